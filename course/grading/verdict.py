"""What is said of one deliverable: it is there, it is missing, or something is wrong with it."""

import os
from dataclasses import dataclass
from pathlib import Path

THERE, MISSING, WRONG = "there", "missing", "wrong"


@dataclass(frozen=True)
class Verdict:
    """The state of a deliverable, and a line that says what it is, what to do, or what is wrong.

    `report` is the whole of what was found, where there is more to show than a line.
    """

    state: str
    text: str = ""
    report: object = None


def there(text: str = "") -> Verdict:
    return Verdict(THERE, text)


def missing(text: str) -> Verdict:
    return Verdict(MISSING, text)


def wrong(text: str) -> Verdict:
    return Verdict(WRONG, text)


def said_of(error: Exception, root: Path, path: str = "") -> str:
    """What an error says, without the student's folder, nor the deliverable's own path, before it."""
    return str(error).replace(f"{root}{os.sep}", "").removeprefix(f"{path}: ")
