"""π0 learning in the background while a page looks on: stopped, gone on with, saved as the run of `policy.train`."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from course.core.command_line import FoundError
from course.core.files import InputError
from course.core.verification import verify
from course.policy import train
from course.policy.core.experiment import Experiment, ExperimentOptions, open_experiment
from course.policy.core.learning import ScoredCompletion, Settings, State
from course.policy.goodhart import family


class Learner:
    """One learning of π0 with its settings. `show` is called after every step, in the thread that learns."""

    def __init__(self, settings: Settings) -> None:
        """Read the student's rubric, if it is the one that pays. Raises InputError."""
        self.settings = settings.check()
        self.state: State | None = None
        self.families: list[Counter[str]] = []  # at each measurement since this learner began
        self.findings: train.Findings | None = None
        self.experiment: Experiment | None = None
        self.turn = threading.Lock()  # who is told to stop may be in the middle of a step when the next begins
        self.ended = ""  # why it ended before its last step

    def learn(self, show: Callable[[bool], None], stop: Callable[[], bool]) -> None:
        """Learn to the end, or until `stop` says so: then it goes on from the last measurement when called again.

        `show` gets whether something was measured. What goes wrong is told in `ended`.
        """

        def watch(state: State, measured: bool) -> None:
            self.state = state
            if measured:
                self.families.append(Counter(family(completion.text) for completion in state.newest))
            show(measured)
            if stop():
                raise KeyboardInterrupt

        with self.turn:
            self.ended = ""
            try:
                with open_experiment(train.NAME, ExperimentOptions(), self.settings) as self.experiment:
                    self.findings = train.run(self.experiment, self.settings, watch)
                self.state = self.findings.learned.state
            except KeyboardInterrupt:
                self.ended = "Stopped. Go continues from the last measurement."
            except (InputError, FoundError) as error:
                self.ended = " ".join(map(str, error.args)) if isinstance(error, FoundError) else str(error)

    def best_paid(self, many: int = 5) -> list[ScoredCompletion]:
        """Of the last measurement's completions those that the rubric pays most, different ones, refused ones first."""
        different = {completion.text: completion for completion in (self.state.newest if self.state else [])}
        return sorted(different.values(), key=lambda said: (-said.proxy, said.strict))[:many]

    def new_families(self, many: int = 5) -> list[tuple[int, str]]:
        """(times, shape) of what the last measurement has and none before it had, most frequent first."""
        if len(self.families) < 2:
            return []
        *before, now = self.families
        new = [(count, shape) for shape, count in now.most_common() if not any(shape in said for said in before)]
        return new[:many]

    def save(self) -> tuple[Path, str]:
        """Write the run, as the command does, and verify it. Returns its folder and the verdict. Raises InputError."""
        if self.experiment is None or self.findings is None:
            raise InputError("Learn", "only a learning that has come to its last step is a run")
        folder = train.save(self.experiment, self.findings).folder
        found = verify(folder)
        return folder, found.wrong[0] if found.wrong else "whole: every hash fits"
