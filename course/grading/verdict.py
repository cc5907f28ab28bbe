"""The verdict on one deliverable: it is there, it is missing, or something is wrong with it."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from course.core.display import visible
from course.core.files import InputError
from course.grading.mutation import TestReport

THERE, MISSING, WRONG = "there", "missing", "wrong"
LONGEST = 2_000  # characters of a text


@dataclass(frozen=True)
class Verdict:
    """The state of a deliverable, and a line that says what it is, what to do, or what is wrong with it.

    A text quotes what students wrote: it is one line, and what hides in it is made visible. `report` holds all of the
    findings on tests, where there is more to show than a line.
    """

    state: str
    text: str = ""
    report: TestReport | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", visible(" ".join(self.text.split())[:LONGEST]))


there, missing, wrong = (partial(Verdict, state) for state in (THERE, MISSING, WRONG))  # each takes the text


def message_of(error: InputError, root: Path, path: str = "") -> str:
    """The message of an error, without the student's folder and the deliverable's own path in front."""
    return str(error).replace(f"{root}{os.sep}", "").removeprefix(f"{path}: ")
