"""What the experiments on π0 share: where they start, how they are watched, stopped, gone on with and written down."""

import argparse
import contextlib
import functools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.live import Live
from rich.text import Text
from tokenizers import Tokenizer

from course.core.command_line import FOUND, INTERRUPTED
from course.core.datasets import Dataset, load_dataset
from course.core.display import console, percent, progress, typed, visible
from course.core.files import InputError, sha256, sha256_file, to_json
from course.core.paths import PI0
from course.core.runs import RunWriter, add_run_options
from course.core.scoring import experiment
from course.core.stats import Counts
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Policy
from course.policy.core.sampling import checkpoint_sha256, rng_for
from course.policy.reinforce import (
    BASELINES,
    STRICT,
    DivergedError,
    Extra,
    Learned,
    ScoredCompletion,
    Settings,
    Show,
    State,
    learn,
    nothing_more,
    roll_out,
    score_completions,
    scorer_of,
)
from course.rubrics import RUBRICS

DATA = Path(__file__).resolve().parents[2] / "data" / "datasets"
HELP = {
    "rubric": f"what is rewarded: {', '.join((STRICT, *RUBRICS))}",
    "beta": "the leash: penalty on log π - log π0",
    "baseline": f"what is taken off a reward: {', '.join(BASELINES)}",
    "noise": "share of rewards r that are turned into 1 - r",
    "steps": "updates of the policy",
    "prompts": "prompts for each step",
    "samples": "samples of each prompt",
    "learning_rate": "of Adam",
    "measure_every": "steps from one measurement on dev to the next",
    "seed": "of every random number",
}


@dataclass
class Experiment:
    """Which experiment it is, where it starts, and on which problems it learns and is measured."""

    name: str
    start: Path
    train: Dataset
    dev: Dataset
    holdout: Dataset
    runs_dir: Path
    start_sha256: str
    states: list[Path] = field(default_factory=list)

    def learn(self, settings: Settings, show: Show, extra: Extra = nothing_more) -> Learned:
        """Learn, or go on with what was stopped. Raises InputError, DivergedError."""
        check(settings, self.train)
        key = sha256(to_json([self.name, asdict(settings), self.start_sha256, self.train.sha256, self.dev.sha256]))
        path = self.runs_dir / ".reinforce" / f"{key[:16]}.pt"
        self.states.append(path)
        try:
            return learn(self.start, self.train, self.dev, settings, path, show, extra)
        except DivergedError as error:
            raise DivergedError(f"{error}. The weights of the last good measurement are in {path}") from None

    def forget(self) -> None:
        """The run is written: what was kept to go on from is not needed any more."""
        for path in self.states:
            path.unlink(missing_ok=True)

    def point_to(self, folder: Path, *more: str) -> None:
        """Say where the run is, what to look at, what `more` there is to say, and what to type next."""
        out = console()
        out.print(f"\nRun written to {folder}; look at {folder / f'{self.name}.png'}")
        for line in more:
            out.print(line)
        out.print(f"Next: python -m course.verify_run --run {typed(folder)}")

    def manifest(self, args: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
        """What every manifest of these experiments holds."""
        return {
            "experiment": self.name,
            **experiment(args, "C", "policy", settings),
            "policy": {"start": self.start_sha256, "tokenizer": sha256_file(self.start / "tokenizer.json")},
            "data": {d.path.name: {"sha256": d.sha256, "split": d.split} for d in (self.train, self.dev, self.holdout)},
        }


def add_options(parser: argparse.ArgumentParser, default: Settings, *names: str) -> None:
    """The options that set fields of `Settings`, by name, and those of every experiment here."""
    for one in fields(Settings):
        if one.name in names:
            assert one.default is not MISSING
            choices = BASELINES if one.name == "baseline" else None
            value = getattr(default, one.name)
            words = f"{HELP[one.name]} (default: {value})"
            parser.add_argument(
                f"--{one.name.replace('_', '-')}", type=type(one.default), choices=choices, default=value, help=words
            )
    parser.add_argument("--policy", type=Path, default=PI0, help="the checkpoint to start from (default: π0)")
    for split in ("train", "dev", "holdout"):
        parser.add_argument(f"--{split}", type=Path, default=DATA / f"math_{split}.jsonl")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")
    add_run_options(parser)


def settings_of(args: argparse.Namespace, default: Settings) -> Settings:
    """The default, with what the options say."""
    return Settings(**{name: getattr(args, name, value) for name, value in asdict(default).items()})


def open_experiment(name: str, args: argparse.Namespace) -> Experiment:
    """Read the data sets and name the policy. Raises InputError."""
    train, dev, holdout = (load_dataset(path) for path in (args.train, args.dev, args.holdout))
    if not (args.policy / "config.json").is_file():
        raise InputError(args.policy, "not a checkpoint: it has no config.json")
    return Experiment(name, args.policy, train, dev, holdout, args.runs_dir, checkpoint_sha256(args.policy))


def check(settings: Settings, train: Dataset) -> None:
    """Refuse settings that mean nothing. Raises InputError."""
    scorer_of(settings.rubric)
    if settings.seed < 0:
        raise InputError("--seed", "a whole number, zero or more")
    for name in ("steps", "prompts_per_step", "samples_per_prompt", "measure_every"):
        if getattr(settings, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}", f"at least 1, not {getattr(settings, name)}")
    if settings.prompts_per_step > len(train.examples):
        raise InputError("--prompts-per-step", f"{train.path.name} has only {len(train.examples)} examples")
    if not 0 <= settings.beta < math.inf:
        raise InputError("--beta", "a number, zero or more")
    if not 0 <= settings.reward_flip_rate <= 1:
        raise InputError("--noise", "a share, from 0 to 1")
    if not 0 < settings.learning_rate < math.inf:
        raise InputError("--learning-rate", "a number above zero")
    if settings.baseline == "prompt" and settings.samples_per_prompt < 2:
        raise InputError("--samples-per-prompt", "the mean of a prompt's own samples needs two or more of them")


def stoppable(main: Callable[[], int]) -> Callable[[], int]:
    """A command that learns: says what is left when learning diverges, or is stopped by Ctrl-C."""

    @functools.wraps(main)
    def guarded() -> int:
        out = console()
        try:
            return main()
        except DivergedError as error:
            out.print(f"DIVERGED at {error}. No run was written.")
            out.print("A smaller --learning-rate or more --prompts may help.")
            return FOUND
        except KeyboardInterrupt:
            out.print("interrupted; no run was written. The same command goes on from the last measurement.")
            return INTERRUPTED

    return guarded


@contextlib.contextmanager
def watch(settings: Settings) -> Iterator[Show]:
    """Show a policy learn: a live view on a terminal, a line for each measurement when piped."""
    out = console()
    live = Live(console=out, refresh_per_second=4) if sys.stdout.isatty() else None

    def show(state: State, measured: bool) -> None:
        if live is not None:
            live.update(view(state, settings))
        elif measured:
            out.print(measurement_line(state.measured[-1], settings))

    with live or contextlib.nullcontext():
        yield show


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
    leash = f", beta {settings.beta:g}" if settings.beta else ""
    lines = [f"step {state.step}/{settings.steps}, {state.seconds:.0f} s of learning, rubric {settings.rubric}{leash}"]
    curves = [("strict pass@1, dev", "strict", 1.0), ("KL from π0", "kl", highest)]
    if settings.rubric != STRICT:
        curves.insert(1, (f"{settings.rubric}, dev", "proxy", 1.0))
    for name, key, top in curves:
        values = [row[key] for row in measured]
        lines.append(f"{name:>22} {sparkline(values, top)} {values[-1]:.3f}")
    lines += [f"{'says':>22} {visible(text)}" for text in measured[-1]["completions"]]
    return Text("\n".join(lines))


def learn_each(experiment: Experiment, grid: Sequence[Settings]) -> Iterator[tuple[Settings, Learned]]:
    """Learn once for each of the settings, under one progress bar."""
    before = 0
    with progress("learning", sum(settings.steps for settings in grid)) as bar:

        def show(state: State, measured: bool) -> None:
            bar(before + state.step)

        for settings in grid:
            yield settings, experiment.learn(settings, show)
            before += settings.steps


def ask(
    policy: Policy, tokenizer: Tokenizer, dataset: Dataset, rubric: str, samples: int, *name: object
) -> list[ScoredCompletion]:
    """So many samples of every example, with their rewards; `name` is that of their random numbers."""
    examples = list(dataset.examples.values())
    texts = roll_out(policy, tokenizer, examples, samples, rng_for(*name)).texts
    return score_completions(examples, texts, rubric)


def counts_of(said: Sequence[ScoredCompletion]) -> dict[str, Counts]:
    """(samples, passes) of every example, by the strict scorer."""
    samples = Counter(one.example["id"] for one in said)
    passes = Counter(one.example["id"] for one in said if one.strict)
    return {key: (many, passes[key]) for key, many in samples.items()}


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def keep_policy(run: RunWriter, name: str, policy: Policy, tokenizer: Tokenizer) -> str:
    """Write a policy into the run as a checkpoint folder; returns its hash."""
    folder = run.folder / name
    policy.save(folder, bpe.special_id(tokenizer, bpe.END))
    tokenizer.save(str(folder / "tokenizer.json"))
    return checkpoint_sha256(folder)
