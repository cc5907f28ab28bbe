"""What does one step of the learner cost: beside a full batch, beside TRL's GRPOTrainer, and beside this machine?

    python -m bench.learning                                               (make bench)
    python -m pip install -c constraints.txt -r bench/requirements.txt     (for the row of TRL)

The same work in one process: π0, 32 prompts of 8 samples, at most 16 new tokens, reward by the strict scorer, one
update by Adam. *Every row computed* is the step without its savings (see course/policy/learner.py). Operations are
those of matrix products and attention; what the machine can do is measured by a product of two large matrices.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from course.core.command_line import run_command
from course.core.datasets import Example, load_dataset
from course.core.display import console, table
from course.core.paths import PI0
from course.policy.core import tokenizer as bpe
from course.policy.core.sampling import MAX_NEW_TOKENS, load_checkpoint, rng_for
from course.policy.reinforce import (
    Settings,
    advantages,
    gradient_step,
    prompts_of_step,
    roll_out,
    score_completions,
    train_step,
)
from course.score import score

TRAIN = Path(__file__).resolve().parents[1] / "data" / "datasets" / "math_train.jsonl"
SIZE = 2048  # of the matrices whose product tells what the machine can do


def examples_of(step: int, settings: Settings) -> list[Example]:
    """The prompts of a step, as the learner draws them."""
    train = list(load_dataset(TRAIN).examples.values())
    return prompts_of_step(train, settings, step)[0]


def saving_steps(settings: Settings) -> Callable[[int], object]:
    """The learner's own step."""
    policy, tokenizer = load_checkpoint(PI0)
    reference, _ = load_checkpoint(PI0)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    train = list(load_dataset(TRAIN).examples.values())
    return lambda step: train_step(policy, reference, optimizer, tokenizer, train, settings, step)


def full_steps(settings: Settings) -> Callable[[int], object]:
    """The same step with every sample read and computed for itself."""
    policy, tokenizer = load_checkpoint(PI0)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)

    def step(number: int) -> None:
        examples = [example for example in examples_of(number, settings) for _ in range(settings.samples_per_prompt)]
        rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(settings.seed, "full", number))
        rewards = torch.tensor([said.strict for said in score_completions(examples, rollouts.texts, "strict")])
        weight = advantages(rewards, "prompt", settings.samples_per_prompt)
        weight[weight == 0] = 1e-30  # too small to push, and not left out
        gradient_step(policy, optimizer, rollouts, weight, len(examples))

    return step


def times_of(step: Callable[[int], object], steps: int) -> list[float]:
    """Seconds of each step, after one that does not count."""
    step(steps + 1)
    found = []
    for number in range(1, steps + 1):
        start = time.perf_counter()
        step(number)
        found.append(time.perf_counter() - start)
    return found


def operations_of(step: Callable[[int], object]) -> float:
    """Floating-point operations of a step's matrix products and attention."""
    with FlopCounterMode(display=False) as counter:
        step(1)
    return float(counter.get_total_flops())


def machine_speed() -> float:
    """Operations a second of a product of two large matrices: the best of ten."""
    a, b = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * SIZE**3 / best


def trl_times(settings: Settings, steps: int) -> list[float]:
    """Seconds of each step of TRL's GRPOTrainer, after one that does not count. No KL, as here; no checkpointing."""
    import datasets
    import transformers
    import trl

    tokenizer = bpe.load(PI0)
    fast: Any = transformers.PreTrainedTokenizerFast
    processing = fast(tokenizer_object=tokenizer, eos_token=bpe.END, pad_token=bpe.END, padding_side="left")
    examples = [e for number in range(1, steps + 3) for e in examples_of(number, settings)]
    rows = [{"prompt": e["prompt"] + bpe.ANSWER, "expected_answer": e["expected_answer"]} for e in examples]

    def reward(completions: list[str], expected_answer: list[int], **_: Any) -> list[float]:
        pairs = zip(completions, expected_answer, strict=True)
        return [score({"id": "x", "prompt": "", "expected_answer": answer}, text)["reward"] for text, answer in pairs]

    marks: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        config = trl.GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=settings.prompts_per_step * settings.samples_per_prompt,
            num_generations=settings.samples_per_prompt,
            max_completion_length=MAX_NEW_TOKENS,
            max_steps=steps + 1,
            learning_rate=settings.learning_rate,
            beta=0.0,
            scale_rewards=False,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=settings.seed,
        )
        model = transformers.LlamaForCausalLM.from_pretrained(PI0)
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=processing,
            callbacks=[Clock()],
        )
        trainer.train()
    # From the beginning of a step to the beginning of the next: TRL samples inside its step.
    found = [end - begin for begin, end in zip(marks[::2], marks[1::2], strict=True)]
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.learning", description="Time one step of the learner.")
    parser.add_argument("--steps", type=int, default=12, help="steps that are timed, from π0 on")
    args = parser.parse_args()
    settings, out = Settings(), console()
    speed = machine_speed()
    rows = table("step", ">median s", ">fastest", ">slowest", ">ours is", ">10⁹ operations", ">of the machine's speed")
    kinds = {"the learner's": saving_steps, "every row computed": full_steps}
    times = {name: times_of(kind(settings), args.steps) for name, kind in kinds.items()}
    operations = {name: operations_of(kind(settings)) for name, kind in kinds.items()}
    if importlib.util.find_spec("trl"):
        times["TRL's GRPOTrainer"] = trl_times(settings, args.steps)
    ours = statistics.median(times["the learner's"])
    for name, taken in times.items():
        median = statistics.median(taken)
        work = operations.get(name)
        counted = ("-", "-") if work is None else (f"{work / 1e9:.1f}", f"{100 * work / median / speed:.0f} %")
        rows.add_row(
            name, f"{median:.3f}", f"{min(taken):.3f}", f"{max(taken):.3f}", f"{median / ours:.1f} x", *counted
        )
    tokens = settings.prompts_per_step * settings.samples_per_prompt
    out.print(f"{tokens} samples a step, {args.steps} steps from π0, {torch.get_num_threads()} threads")
    out.print(f"This machine multiplies matrices at {speed / 1e9:.0f} · 10⁹ operations a second.\n")
    out.print(rows)
    if "TRL's GRPOTrainer" not in times:
        out.print("\nTRL is not installed: python -m pip install -c constraints.txt -r bench/requirements.txt")


if __name__ == "__main__":
    run_command(main)
