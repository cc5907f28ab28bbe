"""Tests graded by what they catch: run on the true scorer, and on mutants in its place.

Every run is a process of its own, so a scorer that hangs or a test that exits stops nothing else.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from course.core.paths import ROOT
from course.grading.mutants import MUTANTS, Mutant
from course.grading.process import run_python

# How the plugin, course.grading.pytest_plugin, is told what to do; it imports pytest, which Loop A does without.
STAND_IN, OUTCOMES = "COURSE_STAND_IN", "COURSE_TEST_OUTCOMES"
REWARD_TURNED, DETAILS_BLANK, DETAILS_ODD = "reward turned", "details blank", "details odd"
TIME_LIMIT = 60  # seconds for one run of the tests
FAILED = ("failed", "broken")  # outcomes
NEEDED = 28  # of the mutants, for the tests to be enough
PYTEST = (
    *("-m", "pytest", "-p", "course.grading.pytest_plugin", "-p", "no:cacheprovider", "--noconftest"),
    *("--import-mode=importlib", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")),
)


class Outcome(msgspec.Struct):
    """How one case of a test ended: pytest's word for it, or `broken` where the file could not be run."""

    test: str
    outcome: str
    why: str


@dataclass
class TestReport:
    """What a file of tests is worth. `tests` maps each test function to (asserts a reward, asserts a detail)."""

    __test__ = False  # pytest: this is no test

    failures: list[str] = field(default_factory=list)  # on the true scorer, a line each
    tests: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    caught: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)

    def half_asserted(self) -> list[str]:
        """The tests that assert a reward but no detail, or no reward, a line each."""
        lines = []
        for name, asserted in self.tests.items():
            lacks = [what for what, there in zip(("reward", "field of details"), asserted, strict=True) if not there]
            if lacks:
                lines.append(f"{name} asserts no {' and no '.join(lacks)}")
        return lines


def run_tests(path: Path, stand_in: str, *flags: str, time_limit: float = TIME_LIMIT) -> list[Outcome]:
    """How every test of a file ended, with a stand-in in the scorer's place: `""` is the true scorer."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.json"
        environment = {
            STAND_IN: stand_in,
            OUTCOMES: str(outcomes),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        *_, ending = run_python(*PYTEST, *flags, path.resolve(), seconds=time_limit, environment=environment)
        if not outcomes.is_file():
            return [Outcome("the file", "broken", ending)]
        return msgspec.convert(json.loads(outcomes.read_bytes()), list[Outcome])


def grade_tests(path: Path, mutants: Sequence[Mutant] = MUTANTS) -> TestReport:
    """Everything about a file of tests. Mutants are tried only if the true scorer passes."""
    report = TestReport()
    true = run_tests(path, "")
    report.failures = [f"{outcome.test}: {outcome.why}" for outcome in true if outcome.outcome in FAILED]
    if report.failures or not true:
        return report
    with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1))) as pool:
        probes = (REWARD_TURNED, DETAILS_BLANK, DETAILS_ODD)
        turned, blank, odd = (failing(outcomes) for outcomes in pool.map(lambda probe: run_tests(path, probe), probes))
        for case in (outcome.test for outcome in true):
            name = case.split("[", 1)[0]
            reward, details = report.tests.get(name, (True, True))
            report.tests[name] = reward and case in turned, details and case in blank | odd
        runs = pool.map(lambda mutant: run_tests(path, mutant.name, "-x"), mutants)  # one failure is enough
        for mutant, outcomes in zip(mutants, runs, strict=True):
            (report.caught if failing(outcomes) else report.survived).append(mutant)
    return report


def failing(outcomes: list[Outcome]) -> set[str]:
    """The cases that failed, or what else is broken."""
    return {outcome.test for outcome in outcomes if outcome.outcome in FAILED}
