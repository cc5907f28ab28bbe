"""GRPO with TRL: three steps on π0, paid by the scorer.

python -m transfer.examples.trl_grpo
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import load_dataset
from course.core.display import console
from course.core.paths import PI0, TRAIN
from transfer.examples.pi0 import framed, load_pi0, needs
from transfer.stacks.trl_reward import one_line
from transfer.views import NAMES


@dataclass(frozen=True, kw_only=True)
class Settings:
    steps: int = option(3, "updates of the policy", at_least=1)
    samples: int = option(8, "samples for each prompt", at_least=2)
    prompts: int = option(8, "prompts for each step", at_least=1)
    learning_rate: float = option(1e-3, "of AdamW", above=0)
    dataset: Path = option(TRAIN, "the examples (JSONL)")
    view: str = option("whole", "which part of a completion is scored", choices=tuple(NAMES))
    seed: int = option(0, "of every random number", at_least=0)


def run(settings: Settings) -> list[float]:
    """The mean reward of each step's completions. Raises InputError."""
    with needs("trl", "-r transfer/requirements-trl.txt"):
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import GRPOConfig, GRPOTrainer
    model, tokenizer = load_pi0(PI0)
    examples = load_dataset(settings.dataset).examples.values()
    rows = [{"prompt": framed(e["prompt"]), "expected_answer": e["expected_answer"]} for e in examples]
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            max_steps=settings.steps,
            per_device_train_batch_size=settings.prompts * settings.samples,
            num_generations=settings.samples,
            learning_rate=settings.learning_rate,
            max_completion_length=16,
            temperature=1.0,
            top_k=0,
            logging_steps=1,
            seed=settings.seed,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        reward = one_line(settings.view)
        trainer = GRPOTrainer(model, [reward], config, Dataset.from_list(rows), processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return [float(row["reward"]) for row in trainer.state.log_history if "reward" in row]


def print_report(settings: Settings, rewards: list[float]) -> None:
    """The mean reward of each step."""
    each = settings.prompts * settings.samples
    for step, reward in enumerate(rewards, start=1):
        console().print(f"step {step}: mean reward {reward:.3f} ({reward * each:.0f}/{each})")


def main() -> int:
    settings = parse("transfer.examples.trl_grpo", "GRPO with TRL, on π0.", Settings)
    print_report(settings, run(settings))
    console().print("Next: python -m transfer.prove --stacks trl")
    return DONE


if __name__ == "__main__":
    run_command(main)
