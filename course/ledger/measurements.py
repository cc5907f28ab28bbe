"""Every measurement of the ledger by name, and how one is taken."""

import contextlib
import io
import math
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import msgspec

from course.core.files import read_json, to_pretty_json, write_whole
from course.core.seal import check_seal
from course.ledger.ledger import Measured, Outcome

ON_POLICY = "on_policy"  # the module whose measurements need PyTorch
# By module: how many seeds each measurement is repeated with; 0 where there is no chance in it.
MEASUREMENTS: dict[str, dict[str, int]] = {
    "measuring": {
        "frozen": 0, "draws": 0, "luck": 3, "instruments": 0, "golden": 0, "garbage": 0, "totality": 3,
        "proxy_gap": 0, "tokens": 0,
    },
    "selecting": {"selection": 3, "weak_selection": 0, "equal_draws": 3},
    "microscope": {
        "bandit": 3, "variance": 3, "steadiness": 3, "unbiased": 3, "two_steps": 3, "leash": 0, "two_ways": 3,
    },
    ON_POLICY: {
        "logprobs": 0, "colder": 3, "one_update": 3, "learning": 3, "goodhart_tolerant": 3, "goodhart_format_only": 3,
        "goodhart_length_shaped": 3, "noise": 3, "shift": 3, "three_ways": 3, "frontier": 3,
    },
}  # fmt: skip
MODULE_OF = {name: module for module, names in MEASUREMENTS.items() for name in names}


def needs_torch(name: str) -> bool:
    return MODULE_OF[name] == ON_POLICY


def seeds_of(name: str, first: int) -> list[int]:
    """The seeds that a measurement is repeated with, from `first` on; a single 0 where there is no chance in it."""
    return list(range(first, first + MEASUREMENTS[MODULE_OF[name]][name])) or [0]


def take(name: str, seed: int, runs_dir: Path) -> Measured:
    """One measurement with one seed. What its functions print goes nowhere.

    It is kept in a hidden folder of the runs, and given again as long as the core is the same.
    """
    kept = kept_at(name, seed, runs_dir)
    if kept.is_file():
        measured: Measured = read_json(kept, Measured)
        return measured
    measure: Callable[[int], Measured] = getattr(import_module(f"course.ledger.{MODULE_OF[name]}"), name)
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        measured = measure(seed)
    measured = msgspec.structs.replace(measured, seconds=time.perf_counter() - began)
    write_whole(kept, to_pretty_json(measured))
    return measured


def kept_at(name: str, seed: int, runs_dir: Path) -> Path:
    return runs_dir / ".claims" / f"{name}-{seed}-{core()}.json"


@cache
def core() -> str:
    """The first digits of the core's hash: what this process has loaded, so it is taken once."""
    return check_seal().sha256[:16]


def together(seeds: list[int], taken: list[Measured]) -> Outcome:
    """The outcome of a measurement, from what it gave with each seed."""
    first = taken[0]
    values = {key: [measured.values[key] for measured in taken] for key in first.values}
    return Outcome(values, first.n, first.of, seeds, math.fsum(measured.seconds for measured in taken))
