"""Tests judged by what they catch: run against the true scorer, and against faulty ones in its place.

Every run is a process of its own, so a scorer that hangs or a test that exits hurts nobody.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.core.paths import ROOT
from course.grading.mutants import FAULTY_SCORERS, FaultyScorer

# How the plugin, course.grading.pytest_plugin, is told what to do; it imports pytest, which Loop A does without.
STAND_IN, OUTCOMES = "COURSE_STAND_IN", "COURSE_TEST_OUTCOMES"
REWARD_TURNED, DETAILS_BLANK, DETAILS_ODD = "reward turned", "details blank", "details odd"
TIME_LIMIT = 60  # seconds for one run of the tests
NEEDED = 28  # of the faulty scorers, for the tests to be enough


@dataclass
class TestReport:
    """What a file of tests is worth. `tests` maps each test function to (asserts a reward, asserts a detail)."""

    __test__ = False  # pytest: this is no test

    failures: list[str] = field(default_factory=list)  # against the true scorer, a line each
    tests: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    caught: list[FaultyScorer] = field(default_factory=list)
    survived: list[FaultyScorer] = field(default_factory=list)

    def half_asserted(self) -> list[str]:
        """The tests that assert a reward but no detail, or no reward, a line each."""
        lines = []
        for name, asserted in self.tests.items():
            lacks = [what for what, there in zip(("reward", "field of details"), asserted, strict=True) if not there]
            if lacks:
                lines.append(f"{name} asserts no {' and no '.join(lacks)}")
        return lines


def run_tests(path: Path, stand_in: str, first_failure_only: bool = False) -> list[dict[str, Any]]:
    """How every test of a file ended, with a stand-in in the scorer's place: `test`, `outcome` and `why` of each."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.json"
        words = [sys.executable, "-m", "pytest", "-p", "course.grading.pytest_plugin", "-p", "no:cacheprovider"]
        words += ["--noconftest", "--import-mode=importlib", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
        words += ["-x"] if first_failure_only else []
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
            STAND_IN: stand_in,
            OUTCOMES: str(outcomes),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                [*words, str(path.resolve())],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIME_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return [{"test": "the file", "outcome": "broken", "why": f"not done after {TIME_LIMIT} seconds"}]
        if not outcomes.is_file():
            last = (done.stderr.strip() or done.stdout.strip() or "pytest did not start").splitlines()[-1]
            return [{"test": "the file", "outcome": "broken", "why": last}]
        found: list[dict[str, Any]] = json.loads(outcomes.read_text(encoding="utf-8"))
        return found


def function_of(test: str) -> str:
    return test.split("[", 1)[0]


def judge_tests(path: Path, faulty_scorers: Sequence[FaultyScorer] = FAULTY_SCORERS) -> TestReport:
    """Everything about a file of tests. Faulty scorers are tried only if the true one passes."""
    report = TestReport()
    true = run_tests(path, "")
    report.failures = [f"{row['test']}: {row['why']}" for row in true if row["outcome"] in ("failed", "broken")]
    if report.failures or not true:
        return report
    with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1))) as pool:
        probes = (REWARD_TURNED, DETAILS_BLANK, DETAILS_ODD)
        turned, blank, odd = (failing(outcomes) for outcomes in pool.map(lambda probe: run_tests(path, probe), probes))
        for row in true:
            name, case = function_of(row["test"]), row["test"]
            reward, details = report.tests.get(name, (True, True))
            report.tests[name] = reward and case in turned, details and (case in blank or case in odd)
        runs = pool.map(lambda faulty: run_tests(path, faulty.name, first_failure_only=True), faulty_scorers)
        for faulty, outcomes in zip(faulty_scorers, runs, strict=True):
            (report.caught if failing(outcomes) else report.survived).append(faulty)
    return report


def failing(outcomes: list[dict[str, Any]]) -> set[str]:
    """The cases that failed, or what else is broken."""
    return {row["test"] for row in outcomes if row["outcome"] in ("failed", "broken")}
