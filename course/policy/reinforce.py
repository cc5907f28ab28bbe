"""Loop C on a real language model: REINFORCE on the tokens of π0.

    python -m course.policy.reinforce
    python -m course.policy.reinforce --rubric anywhere --steps 96
    python -m course.policy.reinforce --rubric anywhere --steps 96 --beta 0.1

A step draws prompts from the train split, samples completions from the policy *as it is now*, scores them, takes a
baseline off each reward, and makes every token of a sample more or less likely by the same advantage:

    loss = - mean over samples of  A · Σ_t log π(token_t | prompt, tokens before)

With `--beta` the reward of a sample is lowered by beta times its log π - log π0, the leash to where it started. Every
few steps the policy is measured on dev with fresh samples, by the strict scorer and by the rubric it is trained on; on
the holdout once, at the end. The strict scorer is a rubric like the others here, and the default.

What it simplifies: one update for each batch, so no importance ratios and no clipping; no critic. The random numbers of
step s depend on the seed and s alone, so a run that was stopped goes on where it was, to the same end.
"""

import argparse
import contextlib
import io
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.live import Live
from rich.text import Text
from tokenizers import Tokenizer
from torch import Tensor

from course.datasets import Dataset, Example, load_dataset
from course.files import InputError, sha256, sha256_file, to_json, to_pretty_json, write_whole
from course.measurement import experiment
from course.pictures import COLOURS, new_figure, png
from course.policy import tokenizer as bpe
from course.policy.model import Policy
from course.policy.sample import (
    MAX_NEW_TOKENS,
    PI0,
    checkpoint_sha256,
    completion_texts,
    generate,
    generator_of,
    left_padded,
    load_checkpoint,
)
from course.rubrics import RUBRICS
from course.runs import SUMMARY, RunWriter, add_run_options, earlier_looks, looks_line
from course.score import score
from course.terminal import DONE, FOUND, INTERRUPTED, console, percent, run_command, table, typed, visible

DATA = Path(__file__).resolve().parents[2] / "data" / "datasets"
STRICT = "strict"
BASELINES = ("none", "batch", "prompt")
CLIP = 1.0  # largest norm of the gradient
SHOWN = 3  # completions shown at each measurement

Scorer = Callable[[Mapping[str, Any], object], dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """All that decides what a run will be, but for the files it reads."""

    rubric: str = STRICT
    beta: float = 0.0
    baseline: str = "prompt"
    steps: int = 40
    prompts: int = 32
    samples: int = 8
    learning_rate: float = 5e-4
    measure_every: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Rollouts:
    """Samples of the policy, prompt by prompt. B sequences: T prompt tokens at the left, N new ones at the right."""

    ids: Tensor  # (B, T + N)
    padding: Tensor  # (B,), padding tokens at the left
    spoken: Tensor  # (B, N), 1.0 for each token that was chosen, the end token included; 0.0 after it
    texts: list[str]


def scorer_of(rubric: str) -> Scorer:
    """The rubric of that name; `strict` is the scorer itself. Raises InputError."""
    if rubric == STRICT:
        return score
    if rubric not in RUBRICS:
        raise InputError("--rubric", f"unknown rubric {rubric!r}; there are {', '.join((STRICT, *RUBRICS))}")
    return RUBRICS[rubric].score


def roll_out(policy: Policy, tokenizer: Tokenizer, examples: Sequence[Example], rng: np.random.Generator) -> Rollouts:
    """One sample at temperature 1 for each example."""
    end = bpe.special_id(tokenizer, bpe.END)
    prompts = [bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples]
    uniform = torch.from_numpy(rng.random((len(prompts), MAX_NEW_TOKENS)))
    said = generate(policy, prompts, uniform, 1.0, 1.0, end)
    ids, padding = left_padded(prompts, end)
    ends = (said == end).int().cumsum(1)
    spoken = ((ends == 0) | ((ends == 1) & (said == end))).float()
    return Rollouts(torch.cat([ids, said], dim=1), padding, spoken, completion_texts(tokenizer, said, end))


def log_probs(policy: Policy, rollouts: Rollouts) -> Tensor:
    """log π(token_t | prompt, tokens before), (B, N), 0 after the end token."""
    n = rollouts.spoken.shape[1]
    logits = policy(rollouts.ids, rollouts.padding)[:, -n - 1 : -1]
    chosen: Tensor = logits.log_softmax(-1).gather(-1, rollouts.ids[:, -n:, None]).squeeze(-1)
    return chosen * rollouts.spoken


def k1(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """log π - log π_ref of sampled tokens: unbiased for KL(π ‖ π_ref), and may be negative (Schulman 2020)."""
    return log_policy - log_reference


def k3(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """exp(log π_ref - log π) - (log π_ref - log π) - 1: unbiased too, never negative, less noisy (Schulman 2020)."""
    ratio = log_reference - log_policy
    return ratio.exp() - ratio - 1


def advantages(rewards: Tensor, baseline: str, samples: int) -> Tensor:
    """Rewards (B,) less their baseline: nothing, the mean of the batch, or the mean of the prompt's own samples."""
    if baseline == "none":
        return rewards
    if baseline == "batch":
        return rewards - rewards.mean()
    by_prompt = rewards.view(-1, samples)
    return (by_prompt - by_prompt.mean(dim=1, keepdim=True)).flatten()


def loss_of(log_policy: Tensor, advantage: Tensor) -> Tensor:
    """- mean over samples of A · Σ_t log π. log_policy: (B, N); advantage: (B,)."""
    loss: Tensor = -(advantage * log_policy.sum(dim=1)).mean()
    return loss


def train_step(
    policy: Policy,
    reference: Policy,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    train: Sequence[Example],
    scorer: Scorer,
    settings: Settings,
    step: int,
) -> dict[str, float]:
    """One step, from fresh samples to new weights. Returns what it saw. Raises FloatingPointError for a NaN."""
    rng = generator_of(settings.seed, "step", step)
    drawn = [train[i] for i in rng.choice(len(train), size=settings.prompts, replace=False)]
    examples = [example for example in drawn for _ in range(settings.samples)]
    rollouts = roll_out(policy, tokenizer, examples, rng)
    rewards = torch.tensor([scorer(e, text)["reward"] for e, text in zip(examples, rollouts.texts, strict=True)])
    log_policy = log_probs(policy, rollouts)
    with torch.no_grad():
        log_reference = log_probs(reference, rollouts)
        leashed = rewards - settings.beta * k1(log_policy, log_reference).sum(dim=1)
        advantage = advantages(leashed, settings.baseline, settings.samples)
        kl = (k3(log_policy, log_reference) * rollouts.spoken).sum(dim=1).mean().item()
    loss = loss_of(log_policy, advantage)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), CLIP)
    if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
        raise FloatingPointError(f"step {step}: the loss is {loss.item()}, the gradient's norm {norm.item()}")
    optimizer.step()
    return {"step": step, "reward": rewards.mean().item(), "kl": kl, "gradient_norm": norm.item()}


def measure(
    policy: Policy, reference: Policy, tokenizer: Tokenizer, dataset: Dataset, scorer: Scorer, seed: int, step: int
) -> dict[str, Any]:
    """pass@1 of the policy on fresh samples, one a prompt: by the strict scorer, and by the training rubric."""
    examples = list(dataset.examples.values())
    rollouts = roll_out(policy, tokenizer, examples, generator_of(seed, dataset.split, step))
    pairs = list(zip(examples, rollouts.texts, strict=True))
    with torch.no_grad():
        drift = k3(log_probs(policy, rollouts), log_probs(reference, rollouts)) * rollouts.spoken
    codes = Counter(score(example, text)["details"]["code"] or "passed" for example, text in pairs)
    return {
        "step": step,
        "strict": sum(score(example, text)["reward"] for example, text in pairs) / len(pairs),
        "proxy": sum(scorer(example, text)["reward"] for example, text in pairs) / len(pairs),
        "kl": drift.sum(dim=1).mean().item(),
        "codes": dict(sorted(codes.items())),
        "completions": rollouts.texts[:SHOWN],
        "prompts": len(pairs),
    }


@dataclass
class State:
    """Where a run is: what must be kept to go on from here."""

    step: int
    seconds: float
    log: list[dict[str, float]]
    measured: list[dict[str, Any]]


def save_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Keep the last good weights and all that was measured, whole or not at all. Raises InputError."""
    buffer = io.BytesIO()
    torch.save({"policy": policy.state_dict(), "optimizer": optimizer.state_dict(), **asdict(state)}, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> State:
    """The state of a run that was stopped, its weights put in place; a new one if there is none. Raises InputError."""
    if not path.exists():
        return State(0, 0.0, [], [])
    try:
        kept = torch.load(path, weights_only=True)
        policy.load_state_dict(kept.pop("policy"))
        optimizer.load_state_dict(kept.pop("optimizer"))
        return State(**kept)
    except Exception as error:  # torch raises whatever it likes on a damaged file
        raise InputError(path, f"not a state to go on from; delete it to begin anew: {error}") from None


def reinforce(
    start: Path,
    train: Dataset,
    dev: Dataset,
    settings: Settings,
    state_path: Path,
    show: Callable[[State, bool], None],
) -> tuple[Policy, Policy, Tokenizer, State]:
    """The whole of learning: the learned policy, its reference, their tokenizer, and the log.

    `show` is called after every step, with True when something was measured. Raises InputError, FloatingPointError.
    """
    scorer = scorer_of(settings.rubric)
    policy, tokenizer = load_checkpoint(start)
    reference, _ = load_checkpoint(start)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    state = load_state(state_path, policy, optimizer)
    examples = list(train.examples.values())

    def take_measure() -> None:
        state.measured.append(measure(policy, reference, tokenizer, dev, scorer, settings.seed, state.step))
        save_state(state_path, policy, optimizer, state)
        show(state, True)

    if not state.measured:
        take_measure()
    while state.step < settings.steps:
        began = time.perf_counter()
        row = train_step(policy, reference, optimizer, tokenizer, examples, scorer, settings, state.step + 1)
        state.seconds += time.perf_counter() - began
        state.step += 1
        state.log.append(row)
        show(state, False)
        if state.step % settings.measure_every == 0 or state.step == settings.steps:
            take_measure()
    return policy, reference, tokenizer, state


def draw(measured: Sequence[Mapping[str, Any]], log: Sequence[Mapping[str, float]], settings: Settings) -> bytes:
    """Both rewards and the KL over the steps."""
    figure, (left, right) = new_figure(
        f"REINFORCE on π0: rubric {settings.rubric}, beta {settings.beta:g}, seed {settings.seed}", panels=2, width=10
    )
    steps = [row["step"] for row in measured]
    if log:
        left.plot(
            [row["step"] for row in log], [row["reward"] for row in log], color="#BBBBBB", lw=1, label="reward, train"
        )
    if settings.rubric != STRICT:
        left.plot(steps, [row["proxy"] for row in measured], "o-", color=COLOURS[0], label=f"{settings.rubric}, dev")
    left.plot(steps, [row["strict"] for row in measured], "s-", color=COLOURS[2], label="strict pass@1, dev")
    left.set(xlabel="step", ylabel="reward", ylim=(0, 1.02), title="What it earns")
    left.legend(fontsize=8)
    right.plot(steps, [row["kl"] for row in measured], "o-", color=COLOURS[3])
    right.set(xlabel="step", ylabel="KL from π0 (nats a completion, k3)", title="How far it went")
    return png(figure)


def measurement_line(row: Mapping[str, Any], settings: Settings) -> str:
    """One measurement in a line."""
    proxy = "" if settings.rubric == STRICT else f"   {settings.rubric} {percent(row['proxy'])}"
    said = "   ".join(f"`{visible(text)}`" for text in row["completions"])
    return f"step {row['step']:4d}   strict {percent(row['strict'])}{proxy}   kl {row['kl']:.3f}   {said}"


def sparkline(values: Sequence[float], top: float) -> str:
    """The values as a row of bars."""
    bars = " ▁▂▃▄▅▆▇█"
    return "".join(bars[round(min(1.0, max(0.0, value / top)) * (len(bars) - 1))] for value in values)


def view(state: State, settings: Settings) -> Text:
    """What the terminal shows while the policy learns."""
    measured = state.measured
    highest = max(1e-9, *(row["kl"] for row in measured))
    lines = [f"step {state.step}/{settings.steps}, {state.seconds:.0f} s of learning, rubric {settings.rubric}"]
    curves = [("strict pass@1, dev", "strict", 1.0), ("KL from π0", "kl", highest)]
    if settings.rubric != STRICT:
        curves.insert(1, (f"{settings.rubric}, dev", "proxy", 1.0))
    for name, key, top in curves:
        values = [row[key] for row in measured]
        lines.append(f"{name:>22} {sparkline(values, top)} {values[-1]:.3f}")
    lines += [f"{'says':>22} {visible(text)}" for text in measured[-1]["completions"]]
    return Text("\n".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.reinforce", description="Loop C: REINFORCE on π0.")
    default = Settings()
    parser.add_argument("--rubric", default=default.rubric, help=f"what is rewarded: {', '.join((STRICT, *RUBRICS))}")
    parser.add_argument("--beta", type=float, default=default.beta, help="the leash: penalty on log π - log π0")
    parser.add_argument("--baseline", choices=BASELINES, default=default.baseline)
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--prompts", type=int, default=default.prompts, help="prompts for each step")
    parser.add_argument("--samples", type=int, default=default.samples, help="samples of each prompt")
    parser.add_argument("--learning-rate", type=float, default=default.learning_rate)
    parser.add_argument("--measure-every", type=int, default=default.measure_every, metavar="STEPS")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--policy", type=Path, default=PI0, help="the checkpoint to start from (default: π0)")
    parser.add_argument("--train", type=Path, default=DATA / "math_train.jsonl")
    parser.add_argument("--dev", type=Path, default=DATA / "math_dev.jsonl")
    parser.add_argument("--holdout", type=Path, default=DATA / "math_holdout.jsonl")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")
    add_run_options(parser)
    args = parser.parse_args()
    settings = Settings(**{name: getattr(args, name) for name in Settings.__dataclass_fields__})
    check(settings)
    train, dev, holdout = (load_dataset(path) for path in (args.train, args.dev, args.holdout))
    if settings.prompts > len(train.examples):
        raise InputError("--prompts", f"{args.train.name} has only {len(train.examples)} examples")
    start_sha256 = checkpoint_sha256(args.policy) if (args.policy / "config.json").is_file() else ""
    key = sha256(to_json([asdict(settings), start_sha256, train.sha256, dev.sha256]))
    state_path = args.runs_dir / ".reinforce" / f"{key[:16]}.pt"

    out = console()
    out.print(f"Loop C (learning): REINFORCE on π0, reward by {settings.rubric}, beta {settings.beta:g}")
    if state_path.exists():
        out.print(f"going on from {state_path}")
    live = Live(console=out, refresh_per_second=4) if sys.stdout.isatty() else None

    def show(state: State, measured: bool) -> None:
        if live is not None:
            live.update(view(state, settings))
        elif measured:
            out.print(measurement_line(state.measured[-1], settings))

    try:
        with live or contextlib.nullcontext():
            policy, reference, tokenizer, state = reinforce(args.policy, train, dev, settings, state_path, show)
    except FloatingPointError as error:
        out.print(f"DIVERGED at {error}. No run was written. The weights of the last measurement are in {state_path}.")
        out.print("A smaller --learning-rate or a larger batch may help.")
        return FOUND
    except KeyboardInterrupt:
        out.print(f"interrupted; no run was written. The same command goes on from {state_path}.")
        return INTERRUPTED
    looks = earlier_looks(holdout.prompts_sha256, args.runs_dir)
    last = measure(policy, reference, tokenizer, holdout, scorer_of(settings.rubric), settings.seed, state.step)
    picture = draw(state.measured, state.log, settings)
    if args.plot:
        write_whole(args.plot, picture)
    first, final = state.measured[0], state.measured[-1]
    summary = {"loop": "C", "first": first, "last": final, "holdout": last, "steps": state.step}
    with RunWriter(args.runs_dir) as run:
        run.write("reinforce_log.jsonl", b"".join(to_json(row) + b"\n" for row in state.log))
        run.write("measurements.jsonl", b"".join(to_json(row) + b"\n" for row in state.measured))
        run.write("reinforce.png", picture)
        run.write(SUMMARY, to_pretty_json(summary))
        policy.save(run.folder / "policy", bpe.special_id(tokenizer, bpe.END))
        tokenizer.save(str(run.folder / "policy" / "tokenizer.json"))
        manifest = {
            "experiment": "reinforce",
            **experiment(args, "C", "policy", asdict(settings)),
            "policy": {
                "start": start_sha256,
                "learned": checkpoint_sha256(run.folder / "policy"),
                "tokenizer": sha256_file(run.folder / "policy" / "tokenizer.json"),
            },
            "looked_at": [holdout.prompts_sha256],
            "data": {d.path.name: {"sha256": d.sha256, "split": d.split} for d in (train, dev, holdout)},
        }
        folder = run.finish(manifest, {"seconds_of_learning": state.seconds})
    state_path.unlink(missing_ok=True)
    report(folder, first, final, last, settings, state.seconds)
    if holdout.split == "holdout":
        out.print(looks_line(looks))
    return DONE


def check(settings: Settings) -> None:
    """Refuse settings that mean nothing. Raises InputError."""
    scorer_of(settings.rubric)
    if settings.seed < 0:
        raise InputError("--seed", "a whole number, zero or more")
    for name in ("steps", "prompts", "samples", "measure_every"):
        if getattr(settings, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}", f"at least 1, not {getattr(settings, name)}")
    if not 0 <= settings.beta < math.inf:
        raise InputError("--beta", "a number, zero or more")
    if not 0 < settings.learning_rate < math.inf:
        raise InputError("--learning-rate", "a number above zero")
    if settings.baseline == "prompt" and settings.samples < 2:
        raise InputError("--samples", "the mean of a prompt's own samples needs two or more of them")


def report(
    folder: Path,
    first: Mapping[str, Any],
    final: Mapping[str, Any],
    holdout: Mapping[str, Any],
    settings: Settings,
    seconds: float,
) -> None:
    """What changed, on dev and on the holdout, and what to type next."""
    out = console()
    out.print(f"\n{settings.steps} steps, {seconds:.0f} s of learning")
    rows = table("", ">strict pass@1", f">{settings.rubric}", ">KL from π0")
    for name, row in (("dev, before", first), ("dev, after", final), ("holdout, after, once", holdout)):
        fraction = f"{round(row['strict'] * row['prompts'])}/{row['prompts']} = {percent(row['strict'])}"
        rows.add_row(name, fraction, percent(row["proxy"]), f"{row['kl']:.3f}")
    out.print(rows)
    out.print("\nWhat to notice:")
    if settings.rubric == STRICT:
        out.print(
            "- This is a learning improvement: one fresh sample of the new policy passes more often, on problems it"
        )
        out.print("  never trained on. Nobody showed it a right answer; it was only paid.")
    else:
        out.print(f"- It was paid by `{settings.rubric}`, whose hole is: {RUBRICS[settings.rubric].hole}.")
        out.print("- What it was paid for and what was wanted are two curves. Look where they part.")
    codes = sorted(final["codes"].items(), key=lambda item: (-item[1], item[0]))
    out.print(f"- What it says now, by code: {', '.join(f'{code} {many}' for code, many in codes[:5])}.")
    out.print(f"\nRun written to {folder}; look at {folder / 'reinforce.png'}")
    sample = (
        f"python -m course.policy.sample --policy {typed(folder / 'policy')} --dataset data/datasets/math_dev.jsonl"
    )
    out.print(f"Next: {sample} --out runs/learned.jsonl")


if __name__ == "__main__":
    run_command(main)
