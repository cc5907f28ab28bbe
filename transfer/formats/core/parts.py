"""The parts of an import: a model's completions, the rows that were refused, an answer whose example is known."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from course.core.datasets import LARGEST, Completion
from transfer.formats.core.answers import About, Answer, Asked

DEEPEST = 60  # of what a tool's metadata may nest; the files hold them a little deeper


class Refused(msgspec.Struct, omit_defaults=True):
    """A row that was not used, and why."""

    file: str
    line: int
    reason: str
    id: str | None = None


class Model(msgspec.Struct):
    """The completions of one model, under one set of settings, by (id, sample)."""

    name: str
    about: About
    tool: str
    completions: dict[tuple[str, int], Completion] = msgspec.field(default_factory=dict)
    systems: set[str | None] = msgspec.field(default_factory=set)


class Taken(NamedTuple):
    """An answer whose example is known."""

    id: str
    answer: Answer
    prompt: Asked
    expected: int


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it: what JSON has no word for, such as NaN, becomes text. Raises ValueError if deep."""
    if depth > DEEPEST:
        raise ValueError(f"a value is nested more than {DEEPEST} deep")
    if isinstance(value, Mapping):
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, depth + 1) for part in value]
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST else str(value)
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
