"""Hints, one step at a time: a question to ask, where to look, nearly the answer (`data/kata/hints.jsonl`)."""

from collections.abc import Collection
from typing import Annotated

import msgspec

from course.core.display import console
from course.core.files import InputError, JsonLines
from course.core.paths import KATA

STEPS = 3


class Hint(msgspec.Struct, forbid_unknown_fields=True):
    """The hints on one example of a kata, or on one rubric."""

    id: str
    steps: Annotated[list[str], msgspec.Meta(min_length=STEPS, max_length=STEPS)]


def show_hint(key: str, step: int, among: Collection[str], command: str) -> None:
    """One hint on one of the things that a command has hints on, and how to get the next. Raises InputError."""
    if key not in among:
        raise InputError("--hint", f"there is no {key!r}; there are {', '.join(among)}")
    hint = next(hint for _, hint in JsonLines(KATA / "hints.jsonl", Hint) if hint.id == key)
    more = f" --hint {key} --step {step + 1}" if step < STEPS else ""
    console().print(f"{key}, hint {step} of {STEPS}: {hint.steps[step - 1]}", f"Next: {command}{more}", sep="\n")
