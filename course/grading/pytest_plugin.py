"""A pytest plugin that puts a stand-in in the place of `course.score.score`, and records how every test ended.

`course.grading.mutation` runs the student's tests with it; the environment says which stand-in, and where to write.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import course.score
from course.grading.mutants import Score, mutant_named
from course.grading.mutation import DETAILS_BLANK, DETAILS_ODD, OUTCOMES, REWARD_TURNED, STAND_IN
from course.score import score as true_score


class Odd:
    """A value that equals nothing and that nothing may be asked of."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        raise AssertionError("these details say nothing")

    def __iter__(self) -> None:
        raise AssertionError("these details say nothing")

    __getitem__ = __contains__ = __call__ = lambda self, *_: self.__iter__()


def reward_turned(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
    """The true result with its reward turned round: whoever asserts rewards notices."""
    result = true_score(example, completion)
    return {**result, "reward": 1.0 - result["reward"]}


def details_blank(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
    """The true result with every detail None: whoever asserts that a detail is something notices."""
    result = true_score(example, completion)
    return {**result, "details": dict.fromkeys(result["details"])}


def details_odd(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
    """The true result with every detail odd: whoever asserts what a detail is notices, None included."""
    result = true_score(example, completion)
    return {**result, "details": {key: Odd() for key in result["details"]}}


def stand_in(name: str) -> Score:
    """The scorer of that name; the true one for the empty name."""
    others: dict[str, Score] = {
        "": true_score,
        REWARD_TURNED: reward_turned,
        DETAILS_BLANK: details_blank,
        DETAILS_ODD: details_odd,
    }
    made = others[name] if name in others else mutant_named(name)
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):  # no test shall know it by its label
        setattr(made, attribute, getattr(true_score, attribute))
    return made


setattr(course.score, "score", stand_in(os.environ.get(STAND_IN, "")))  # noqa: B010  (mypy knows it as one function)
outcomes: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        lines = str(report.longrepr).strip().splitlines() if report.failed else []
        why = lines[-1] if lines else "no reason given"
        outcomes.append({"test": report.nodeid.split("::", 1)[-1], "outcome": report.outcome, "why": why})


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        lines = [line for line in str(report.longrepr).splitlines() if line.startswith("E ")]
        why = (lines or (str(report.longrepr).strip() or "it cannot be collected").splitlines())[-1]
        why = why.removeprefix("E ").strip()
        outcomes.append({"test": "the file", "outcome": "broken", "why": why})


def pytest_sessionfinish() -> None:
    if path := os.environ.get(OUTCOMES):
        Path(path).write_text(json.dumps(outcomes), encoding="utf-8")
