"""Tests graded by what they catch: run on the true scorer, and on mutants in its place.

Every run is a process of its own (`course.grading.inside`), in which the scorer is a stub that asks this process: here
alone it is known which scorer answers. The true one is run several times, hidden among the others in an order that
nobody knows beforehand: tests that decide by anything but the answers, by counting their runs say, differ from
themselves.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from course.grading.mutants import MUTANTS, Mutant, Score, altered
from course.grading.process import Enough, converse, end_all

TIME_LIMIT = 60  # seconds for one run of the tests
AGAIN = 3  # more runs on the true scorer
MOST_CASES = 10_000  # of the tests of a file
FAILED = ("failed", "broken")  # outcomes
NEEDED = 28  # of the mutants, for the tests to be enough
HARMLESS = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
RAN = (0, 1, 2, 5)  # pytest's exit codes: passed, failed, cannot be collected, no tests

# What is put in the scorer's place: the true one, and probes that find out what a test asserts.
TRUE = altered(lambda result, _: result)
REWARD_TURNED = altered(lambda result, _: {**result, "reward": 1.0 - result["reward"]})
DETAILS_BLANK = altered(lambda result, _: {**result, "details": dict.fromkeys(result["details"])})
DETAILS_ODD = altered(lambda result, _: result)  # the other process puts an odd value for each field


Word = Annotated[str, msgspec.Meta(max_length=1_000)]


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How one case of a test ended: pytest's word for it, or `broken` where the file could not be run."""

    test: Word
    outcome: Word
    why: Word


@dataclass
class TestReport:
    """What a file of tests is worth. `tests` maps each test function to (asserts a reward, asserts a detail)."""

    __test__ = False  # pytest: this is no test

    failures: list[str] = field(default_factory=list)  # on the true scorer, a line each
    tests: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    caught: list[str] = field(default_factory=list)  # what each of the mutants does
    survived: list[str] = field(default_factory=list)

    def half_asserted(self) -> list[str]:
        """The tests that assert a reward but no detail, or no reward, a line each."""
        lines = []
        for name, asserted in self.tests.items():
            lacks = [what for what, there in zip(("reward", "field of details"), asserted, strict=True) if not there]
            if lacks:
                lines.append(f"{name} asserts no {' and no '.join(lacks)}")
        return lines


def run_tests(
    path: Path, scorer: Callable[[], Score] = TRUE, time_limit: float = TIME_LIMIT, all_of: bool = True
) -> list[Outcome]:
    """How the tests of a file ended with a scorer in the true one's place; unless `all_of`, up to the first failure."""
    score, outcomes, codes = scorer(), list[Outcome](), list[int]()

    def answer(message: Any) -> Any:
        match message:
            case ["score", int(expected), said]:
                return served(score, expected, said, "odd" if scorer is DETAILS_ODD else "result")
            case ["outcome", *row] if len(outcomes) < MOST_CASES:
                outcomes.append(msgspec.convert(row, Outcome))
                if outcomes[-1].outcome in FAILED and not all_of:
                    raise Enough
            case ["end", int(code)] if code in RAN:
                codes.append(code)
                raise Enough
            case _:
                raise ValueError("nothing that was asked for")
        return None

    words = "-m", "course.grading.inside", "tests", path.resolve()
    ending = converse(*words, answer=answer, seconds=time_limit, variables=HARMLESS)
    if not codes and not (outcomes and outcomes[-1].outcome in FAILED and not all_of):
        outcomes.append(Outcome("the file", "broken", ending.text))
    return outcomes


def served(score: Score, expected: int, said: object, kind: str) -> list[Any]:
    """The reply to a question: what the scorer gives, or what it raises. Bytes come as 0, other objects as None."""
    completion = b"" if said == 0 else said
    try:
        return [kind, score({"expected_answer": expected}, completion)]
    except (AttributeError, ValueError) as error:
        return ["raised", [type(error).__name__, str(error)]]


def grade_tests(path: Path, mutants: Sequence[Mutant] = MUTANTS) -> TestReport:
    """Everything about a file of tests. Mutants are tried only if the true scorer passes."""
    report = TestReport()
    true = run_tests(path, TRUE)
    report.failures = [f"{outcome.test}: {outcome.why}" for outcome in true if outcome.outcome in FAILED]
    if report.failures or not true:
        return report
    probes = (REWARD_TURNED, DETAILS_BLANK, DETAILS_ODD)
    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool, contextlib.ExitStack() as at_exit:
        at_exit.callback(end_all)  # after an error or Ctrl-C too, or the pool would wait for what runs
        runs = [(scorer, True) for scorer in (*[TRUE] * AGAIN, *probes)] + [(mutant.make, False) for mutant in mutants]
        order = list(range(len(runs)))
        secrets.SystemRandom().shuffle(order)  # no seed: who knows the order can fail where it pays
        found = dict(zip(order, pool.map(lambda n: run_tests(path, runs[n][0], all_of=runs[n][1]), order), strict=True))
    turned, blank, odd = (failing(found[AGAIN + n]) for n in range(len(probes)))
    for case in (outcome.test for outcome in true):
        name = case.split("[", 1)[0]
        reward, details = report.tests.get(name, (True, True))
        report.tests[name] = reward and case in turned, details and case in blank | odd
    for number, mutant in enumerate(mutants, start=AGAIN + len(probes)):
        (report.caught if failing(found[number]) else report.survived).append(mutant.behaviour)
    for again in (found[n] for n in range(AGAIN)):
        if differ := sorted({(o.test, o.outcome) for o in true} ^ {(o.test, o.outcome) for o in again}):
            report.failures = [f"{differ[0][0]}: it does not end the same way twice"]
    return report


def failing(outcomes: list[Outcome]) -> set[str]:
    """The cases that failed, or what else is broken."""
    return {outcome.test for outcome in outcomes if outcome.outcome in FAILED}
