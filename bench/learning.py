"""What does one step of the learner cost: beside the step that it was, beside TRL's GRPOTrainer, and this machine?

    python -m bench.learning                                               (make bench)
    python -m pip install -c constraints.txt -r bench/requirements.txt     (for the row of TRL)

The same work in one process: π0, 32 prompts of 8 samples, at most 16 new tokens, reward by the strict scorer, one
update by Adam. Operations are those of matrix products and attention; what the machine can do is measured by a product
of two large matrices.
"""

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.old_step import old_step
from course.core.command_line import option, parse, run_command
from course.core.datasets import load_dataset
from course.core.display import console, table
from course.core.paths import PI0, TRAIN
from course.policy.core import tokenizer as bpe
from course.policy.core.learning import Settings
from course.policy.core.sampling import MAX_NEW_TOKENS, load_checkpoint
from course.policy.reinforce import prompts_of_step, train_step
from course.score import score

OLD, OURS = "as it was before", "the learner's"
SIZE = 2048  # of the matrices whose product tells what the machine can do


def step_of(kind: str, settings: Settings) -> Callable[[int], object]:
    """The learner's own step, or the one that it was, on a policy of its own."""
    policy, tokenizer = load_checkpoint(PI0)
    reference, _ = load_checkpoint(PI0)
    train = list(load_dataset(TRAIN).examples.values())
    if kind == OLD:
        adam = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
        return lambda step: old_step(policy, adam, tokenizer, train, settings, step)
    fused = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, fused=True)
    return lambda step: train_step(policy, reference, fused, tokenizer, train, settings, step)


def times_in_turn(kinds: dict[str, Callable[[int], object]], steps: int) -> dict[str, list[float]]:
    """Seconds of each step of each kind, taken in turn, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(steps + 1):
        for name, step in kinds.items():
            start = time.perf_counter()
            step(number or steps + 1)
            if number:
                times[name].append(time.perf_counter() - start)
    return times


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
    train = list(load_dataset(TRAIN).examples.values())
    examples = [e for number in range(1, steps + 3) for e in prompts_of_step(train, settings, number)[0]]
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


@dataclass(frozen=True)
class Options:
    steps: int = option(12, "steps that are timed, from π0 on", at_least=1)


def main() -> None:
    options, settings, out = parse("bench.learning", "Time one step of the learner.", Options), Settings(), console()
    speed = machine_speed()
    columns = (">median s", ">fastest", ">slowest", ">ours is", ">10⁹ operations", ">of the machine's speed")
    rows = table("step", *columns)
    times = times_in_turn({kind: step_of(kind, settings) for kind in (OLD, OURS)}, options.steps)
    operations = {kind: operations_of(step_of(kind, settings)) for kind in (OLD, OURS)}
    if importlib.util.find_spec("trl"):
        times["TRL's GRPOTrainer"] = trl_times(settings, options.steps)
    ours = statistics.median(times[OURS])
    for name, taken in times.items():
        median = statistics.median(taken)
        work = operations.get(name)
        counted = ("-", "-") if work is None else (f"{work / 1e9:.1f}", f"{100 * work / median / speed:.0f} %")
        seconds = f"{median:.3f}", f"{min(taken):.3f}", f"{max(taken):.3f}"
        rows.add_row(name, *seconds, f"{median / ours:.1f} x", *counted)
    samples = settings.prompts_per_step * settings.samples_per_prompt
    out.print(f"{samples} samples a step, {options.steps} steps from π0, {torch.get_num_threads()} threads")
    out.print(f"This machine multiplies matrices at {speed / 1e9:.0f} · 10⁹ operations a second.\n")
    out.print(rows)
    if "TRL's GRPOTrainer" not in times:
        out.print("\nTRL is not installed: python -m pip install -c constraints.txt -r bench/requirements.txt")


if __name__ == "__main__":
    run_command(main)
