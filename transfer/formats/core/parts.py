"""The parts of an import: a model's completions, the rows that were refused, an answer whose example is known."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from course.core.datasets import Completion
from transfer.formats.core.answers import About, Answer, Asked


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


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what JSON has no word for, such as NaN, becomes text."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    return value if value is None or isinstance(value, str | bool | int) else str(value)
