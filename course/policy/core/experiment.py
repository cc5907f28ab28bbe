"""What the experiments on a policy share: where they start, how learning is resumed or ends badly, how a run is saved.

with open_experiment("shift", options, settings) as experiment:
    learned = experiment.learn(train_step, settings)
    saved = experiment.save(asdict(settings), summary, logs, picture)
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from course.core.command_line import FoundError, option
from course.core.datasets import Dataset, load_dataset
from course.core.display import progress
from course.core.experiment import PictureOptions, SavedRun, save_experiment
from course.core.files import InputError, sha256, sha256_file, to_json, to_json_lines
from course.core.golden import GoldenReport, golden_gate
from course.core.manifest import FileRecord, PolicyRecord
from course.core.paths import DEV, HOLDOUT, PI0, TRAIN
from course.core.scoring import counts_by_example
from course.core.stats import Counts
from course.policy.core.learning import (
    CollapsedError,
    DivergedError,
    Extra,
    Learned,
    ScoredCompletion,
    Settings,
    Show,
    State,
    TrainStep,
    learn,
    score_completions,
)
from course.policy.core.live_view import watch
from course.policy.core.model import Policy
from course.policy.core.rollouts import roll_out
from course.policy.core.sampling import checkpoint_sha256, load_checkpoint, rng_for, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(PictureOptions):
    """The options of every experiment on a policy."""

    policy: Path = option(PI0, "the checkpoint to start from")
    train: Path = option(TRAIN, "the problems that it learns from")
    dev: Path = option(DEV, "the problems that it is measured on while it learns")
    holdout: Path | None = option(
        None, "look at the holdout too, once, at the end (another than the shipped one: its path)", bare=HOLDOUT
    )


@dataclass
class Experiment:
    """One experiment: its data sets, its golden gate, and what has been learned in it so far."""

    name: str
    options: ExperimentOptions
    golden: GoldenReport
    train: Dataset
    dev: Dataset
    holdout: Dataset | None  # None: nobody asked to look at it
    tokenizer: Tokenizer
    start: PolicyRecord
    states: list[Path] = field(default_factory=list)
    seconds: float = 0.0

    def learn(
        self,
        train_step: TrainStep,
        settings: Settings,
        show: Show | None = None,
        extra: Extra = lambda *_: {},
        heading: str = "",
    ) -> Learned:
        """Learn, or resume what was stopped; seen in a live view under a heading, unless there is another `show`.

        `extra` adds to each measurement. Raises InputError, DivergedError, CollapsedError.
        """
        key = sha256(to_json([self.name, asdict(settings), self.start.start, self.train.sha256, self.dev.sha256]))
        path = self.options.runs_dir / ".reinforce" / f"{key[:16]}.pt"
        self.states.append(path)
        with watch(settings, heading) if show is None else contextlib.nullcontext(show) as show_step:
            learned = learn(train_step, self.options.policy, self.train, self.dev, settings, path, show_step, extra)
        self.seconds += learned.state.seconds
        return learned

    def learn_each(self, train_step: TrainStep, grid: Sequence[Settings]) -> Iterator[tuple[Settings, Learned]]:
        """Learn once for each of the settings, under one progress bar."""
        before = 0
        with progress("learning", sum(settings.steps for settings in grid)) as bar:

            def show(state: State, measured: bool) -> None:
                bar(before + state.step)

            for settings in grid:
                yield settings, self.learn(train_step, settings, show)
                before += settings.steps

    def sample(
        self, policy: Policy, dataset: Dataset, rubric: str, samples: int, stream: Sequence[object]
    ) -> list[ScoredCompletion]:
        """Fresh samples of every example, `samples` in a row for each, scored. `stream` names their random numbers."""
        examples = list(dataset.examples.values())
        texts = roll_out(policy, self.tokenizer, examples, samples, rng_for(*stream)).texts
        return score_completions(examples, texts, rubric)

    def save(
        self,
        settings: dict[str, Any],
        summary: dict[str, Any],
        logs: Mapping[str, Sequence[Any]],
        picture: bytes,
        policies: Mapping[str, Policy] | None = None,
    ) -> SavedRun:
        """Write the run, its logs as JSONL and its policies as checkpoints; the states of its learning may go then."""
        sets = filter(None, (self.train, self.dev, self.holdout))
        learned = (policies or {}).items()
        saved = save_experiment(
            self.options,
            loop="C",
            knob="policy",
            experiment=self.name,
            settings=settings,
            data={data.path.name: FileRecord(sha256=data.sha256, split=data.split) for data in sets},
            policy=self.start,
            golden=self.golden,
            seconds_of_learning=self.seconds or None,
            summary=summary,
            files={name: to_json_lines(rows) for name, rows in logs.items()},
            picture=picture,
            looks_at=self.holdout,
            checkpoints={name: partial(save_checkpoint, policy, self.tokenizer) for name, policy in learned},
        )
        for path in self.states:
            path.unlink(missing_ok=True)
        return saved


@contextlib.contextmanager
def open_experiment(name: str, options: ExperimentOptions, settings: Settings) -> Iterator[Experiment]:
    """An experiment, to be used with `with`. What can be refused is refused here, before minutes of learning.

    When learning diverges, collapses or is stopped by Ctrl-C, the command ends and says what is left (FoundError,
    KeyboardInterrupt). Raises InputError.
    """
    golden = golden_gate()
    train, dev = load_dataset(options.train), load_dataset(options.dev)
    holdout = load_dataset(options.holdout) if options.holdout else None
    if settings.prompts_per_step > len(train.examples):
        raise InputError("--prompts-per-step", f"{train.path.name} has only {len(train.examples)} examples")
    _, tokenizer = load_checkpoint(options.policy)
    tokenizer_sha256 = sha256_file(options.policy / "tokenizer.json")
    start = PolicyRecord(start=checkpoint_sha256(options.policy), tokenizer=tokenizer_sha256)
    experiment = Experiment(name, options, golden, train, dev, holdout, tokenizer, start)
    try:
        yield experiment
    except (DivergedError, CollapsedError) as error:
        raise FoundError(
            f"{'DIVERGED' if isinstance(error, DivergedError) else 'COLLAPSED'} at {error}. No run was written.",
            f"The weights of the last good measurement are in {experiment.states[-1]}.",
            "A smaller --learning-rate or more --prompts-per-step may help.",
        ) from None
    except KeyboardInterrupt:
        left = "The same command resumes from the last measurement."
        raise KeyboardInterrupt(f"interrupted; no run was written. {left}") from None


def counts_of(completions: Iterable[ScoredCompletion]) -> dict[str, Counts]:
    """(samples, passes) of every example, by the strict scorer."""
    return counts_by_example((completion.example["id"], bool(completion.strict)) for completion in completions)


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
