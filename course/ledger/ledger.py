"""The ledger: claims, the measurements that they rest on, and the verdict that follows from the numbers.

A claim is cut into parts. Each part is a number with a bound, so it is plain what would refute it. A part holds if the
number keeps to its bound with every seed; the verdict of a claim counts its parts.
"""

import math
import operator
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from course.core.files import InputError, read_bytes, read_json
from course.core.paths import DATA
from course.core.stats import rate_interval, student95

CLAIMS, RECORD = DATA / "claims" / "claims.toml", DATA / "claims" / "measured.json"
HOLDS, WITHIN_LIMITS, DOES_NOT = "holds", "holds within limits", "does not hold here"
NOT_HERE = "not measurable here"
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": lambda a, b: math.isclose(a, b, abs_tol=1e-9),
    ">=": operator.ge,
    ">": operator.gt,
}
SAME = 1e-6  # two numbers this close, relative to their size, are the same on any machine

Number = float | tuple[int, int]  # a rate may be given as (how many, of which)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number that a claim rests on: `measurement.name`, what it is, and the bound that it has to keep."""

    key: str
    what: str
    is_: Literal["<", "<=", "=", ">=", ">"] = msgspec.field(name="is")
    bound: float
    shown: Literal["number", "share", "points"] = "number"

    @property
    def measurement(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.partition(".")[2]

    def holds(self, outcome: "Outcome") -> bool:
        """Does the number keep to the bound with every seed?"""
        return all(OPERATORS[self.is_](value, self.bound) for value in outcome.numbers(self.name))

    def show(self, value: float) -> str:
        """The number as people read it."""
        if self.shown == "number":
            return f"{value:,.0f}" if value == round(value) else f"{value:.3g}"
        return f"{100 * value:.1f} %" if self.shown == "share" else f"{100 * value:+.1f} points"

    def show_interval(self, low: float, high: float) -> str:
        """An interval as people read it; one of width zero belongs to a number without chance in it."""
        return f"{self.show(low)} to {self.show(high)}" if low < high else "the same each time"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim. `remember` is what to say where it holds only in part; `why` says why it is not measured."""

    sentence: str
    said_in: list[Literal["storyline", "introduction", "in practice", "course", "first meeting"]]
    loop: Literal["A", "B", "C", "A, B, C"]
    command: str = ""
    refuted_by: str = ""
    parts: list[Part] = []
    remember: str = ""
    why: str = ""

    @property
    def measurements(self) -> list[str]:
        """The names of what is measured for it; none if it cannot be measured here."""
        return list(dict.fromkeys(part.measurement for part in self.parts))

    def verdict(self, outcomes: Mapping[str, "Outcome"]) -> str:
        """The verdict on outcomes by the measurement's name; within limits, with how many of the parts hold."""
        if not self.parts:
            return NOT_HERE
        held, all_of = sum(part.holds(outcomes[part.measurement]) for part in self.parts), len(self.parts)
        return HOLDS if held == all_of else f"{WITHIN_LIMITS} ({held} of {all_of})" if held else DOES_NOT


class Outcome(msgspec.Struct, frozen=True):
    """A measurement's numbers: by name, one for each seed, or one pair (how many, of which) without seeds.

    `n` of `of` were looked at with each seed.
    """

    values: dict[str, list[Number]]
    n: int
    of: str
    seeds: list[int]
    seconds: float

    def numbers(self, key: str) -> list[float]:
        """The values of a name as plain numbers."""
        return [value[0] / value[1] if isinstance(value, tuple) else value for value in self.values[key]]

    def interval(self, key: str) -> tuple[float, float]:
        """Where another measurement of the same size falls, 95 times of 100 (Student's prediction interval).

        Without seeds it is Wilson's interval of a rate, and the number itself for anything else.
        """
        first, values, mean = self.values[key][0], self.numbers(key), self.mean(key)
        n = len(values)
        if isinstance(first, tuple):
            count, of = first
            return rate_interval([(1, int(place < count)) for place in range(of)])
        if n == 1:
            return mean, mean
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
        half = student95(n - 1) * spread * math.sqrt(2 / n)
        return mean - half, mean + half

    def mean(self, key: str) -> float:
        return math.fsum(self.numbers(key)) / len(self.numbers(key))

    def agrees(self, other: "Outcome", key: str) -> bool:
        """Does the mean of another outcome fall inside this one's interval?"""
        low, high = self.interval(key)
        room = SAME * max(1.0, abs(low), abs(high))
        return low - room <= other.mean(key) <= high + room


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`measured.json`: what was measured when the ledger was written, and on which machine."""

    date: str
    machine: str
    versions: dict[str, str]
    outcomes: dict[str, Outcome]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one measurement gave with one seed: numbers by name, what they were taken from, perhaps a picture."""

    values: dict[str, Number]
    n: int
    of: str
    picture: bytes | None = None
    seconds: float = 0.0


@cache
def load_claims(path: Path = CLAIMS) -> tuple[Claim, ...]:
    """The claims, in order; the first is number 1. Raises InputError."""
    try:
        return tuple(msgspec.convert(tomllib.loads(read_bytes(path).decode())["claim"], list[Claim]))
    except (ValueError, KeyError) as error:
        raise InputError(path, str(error)) from None


def load_record(path: Path = RECORD) -> Record:
    """What was measured before. Raises InputError."""
    record: Record = read_json(path, Record)
    return record
