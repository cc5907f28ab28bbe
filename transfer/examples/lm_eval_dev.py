"""lm-eval measures π0 on the dev split: its own Hugging Face model class, the task of `transfer/stacks/lm_eval_task`.

    python -m transfer.examples.lm_eval_dev --limit 50

The draws are PyTorch's, not the course's, so the rate is near that of the shipped rollouts, and not the same.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, percent
from course.core.paths import DEV
from transfer.examples.pi0 import framed, load_pi0, needs

TASKS = Path(__file__).parents[1] / "stacks" / "lm_eval_task"


@dataclass(frozen=True, kw_only=True)
class Settings:
    limit: int | None = option(None, "only so many examples", at_least=1)
    dataset: Path = option(DEV, "the examples (JSONL)")
    seed: int = option(0, "of PyTorch's random numbers", at_least=0)


def run(settings: Settings) -> list[float]:
    """The reward of each example. Raises InputError."""
    with needs("lm-eval", "-r transfer/requirements-lm-eval.txt"):
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model, tokenizer = load_pi0()
    language_model = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=64, device="cpu")
    metadata = {"dataset": str(settings.dataset), "after_prompt": framed("")}
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    found = simple_evaluate(
        language_model,
        tasks=["one_line"],
        task_manager=manager,
        limit=settings.limit,
        bootstrap_iters=0,
        gen_kwargs="temperature=1.0,do_sample=True,top_k=0,max_gen_toks=16",
        torch_random_seed=settings.seed,
    )
    return [sample["reward"] for sample in found["samples"]["one_line"]]


def main() -> int:
    settings = parse("transfer.examples.lm_eval_dev", "lm-eval measures π0.", Settings)
    rewards = run(settings)
    console().print(f"Pass rate: {sum(rewards):.0f}/{len(rewards)} = {percent(sum(rewards) / len(rewards))}")
    console().print("Next: python -m transfer.prove --stacks lm-eval")
    return DONE


if __name__ == "__main__":
    run_command(main)
