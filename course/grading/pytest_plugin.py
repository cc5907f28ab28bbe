"""A pytest plugin that puts a stand-in in the place of `course.score.score`, and records how every test ended.

`course.grading.mutation` runs the student's tests with it; the environment says which stand-in, and where to write.
"""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import course.score
from course.grading.mutants import Score, altered, mutant_named
from course.grading.mutation import DETAILS_BLANK, DETAILS_ODD, OUTCOMES, REWARD_TURNED, STAND_IN
from course.score import score as true_score


class Odd:
    """A value that equals nothing and that nothing may be asked of."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def asked(self, *_: object) -> NoReturn:
        raise AssertionError("these details say nothing")

    __bool__ = __iter__ = __getitem__ = __contains__ = __call__ = asked


# What is put in the scorer's place to find out what a test asserts; the true scorer for the empty name.
PROBES: dict[str, Callable[[], Score]] = {
    "": altered(lambda result, _: result),
    REWARD_TURNED: altered(lambda result, _: {**result, "reward": 1.0 - result["reward"]}),
    DETAILS_BLANK: altered(lambda result, _: {**result, "details": dict.fromkeys(result["details"])}),
    DETAILS_ODD: altered(lambda result, _: {**result, "details": {key: Odd() for key in result["details"]}}),
}


def stand_in(name: str) -> Score:
    """The probe or the mutant of that name, labelled like the true scorer: no test shall know it by its label."""
    made = PROBES[name]() if name in PROBES else mutant_named(name)
    return functools.wraps(true_score)(made)


setattr(course.score, "score", stand_in(os.environ.get(STAND_IN, "")))  # noqa: B010  (mypy knows it as one function)
outcomes: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        lines = str(report.longrepr).strip().splitlines() if report.failed else []
        why = lines[-1] if lines else "no reason given"
        outcomes.append({"test": report.nodeid.split("::", 1)[-1], "outcome": report.outcome, "why": why})


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        lines = (str(report.longrepr).strip() or "it cannot be collected").splitlines()
        why = ([line for line in lines if line.startswith("E ")] or lines)[-1].removeprefix("E ").strip()
        outcomes.append({"test": "the file", "outcome": "broken", "why": why})


def pytest_sessionfinish() -> None:
    if path := os.environ.get(OUTCOMES):
        Path(path).write_text(json.dumps(outcomes), encoding="utf-8")
