"""The golden gate: complete, two-sided, and in the way of every evaluation."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from course.core.files import InputError
from course.core.golden import REQUIRED_REWARD, GoldenCase, check_golden, load_cases
from course.core.paths import GOLDEN
from course.score import CODES, score
from tests.conftest import Command, write_rows

NONE = Path("nowhere.jsonl")  # a student may have exploits of their own
PACKS = ("golden_correct", "golden_exploits", "golden_cases")
CASES = [case for name in PACKS for case in load_cases(GOLDEN / f"{name}.jsonl", REQUIRED_REWARD[name])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}: {case.source}")
def test_every_golden_case(case: GoldenCase) -> None:
    result = score({"expected_answer": case.expected_answer}, case.given)
    assert result["reward"] == case.reward
    if case.code:
        assert result["details"]["code"] == case.code


def test_the_packs_are_large_enough_and_cover_every_code() -> None:
    sizes = {name: len(load_cases(GOLDEN / f"{name}.jsonl", REQUIRED_REWARD[name])) for name in PACKS}
    assert sizes["golden_correct"] >= 35
    assert sizes["golden_exploits"] >= 300
    assert sizes["golden_cases"] >= 90
    assert {case.code for case in CASES if case.code} == set(CODES)
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.source for case in CASES)
    assert all(case.hole for case in load_cases(GOLDEN / "golden_exploits.jsonl", 0.0))
    for name in PACKS:
        same = [
            repr((c.expected_answer, c.completion, c.given_as))
            for c in load_cases(GOLDEN / f"{name}.jsonl", REQUIRED_REWARD[name])
        ]
        assert len(set(same)) == len(same)


def test_every_golden_case_asks_what_its_answer_is() -> None:
    """A row is an example and a completion: the prompt is of the course's form, and the answer is right."""
    for case in CASES:
        asked = re.fullmatch(r"Compute (\d+)([-+*])(\d+)\. Output exactly one line: Final: <int>\.", case.prompt)
        assert asked is not None, case.id
        a, b = int(asked[1]), int(asked[3])
        assert {"+": a + b, "-": a - b, "*": a * b}[asked[2]] == case.expected_answer, case.id


def test_false_positives_and_false_negatives_are_told_apart() -> None:
    def generous(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        return {"reward": 1.0, "details": {"code": None}}

    def mean(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        return {"reward": 0.0, "details": score(example, completion)["details"]}

    right, wrong = (sum(case.reward == reward for case in CASES) for reward in (1.0, 0.0))
    report = check_golden(scorer=generous, your_suite=NONE)
    assert not report.passed
    assert (len(report.false_positives), len(report.false_negatives)) == (wrong, 0)
    report = check_golden(scorer=mean, your_suite=NONE)
    assert (len(report.false_positives), len(report.false_negatives)) == (0, right)
    assert check_golden().passed

    def crashing(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        raise RecursionError("too deep")

    assert check_golden(scorer=crashing, your_suite=NONE).counts()["crashes"] == len(CASES)


def test_a_failing_gate_stops_the_evaluation(
    command: Command, dataset: Path, completions: Path, tmp_path: Path
) -> None:
    golden = shutil.copytree(GOLDEN, tmp_path / "golden")
    with (golden / "golden_correct.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            '{"id": "new", "prompt": "Compute 2+3.", "expected_answer": 5, "completion": "five", "source": "a test"}\n'
        )
    words = ("--dataset", dataset, "--completions", completions, "--runs-dir", tmp_path / "runs")
    done = command("course.eval", *words, "--golden-dir", golden)
    assert done.code == 1
    assert "1 false negatives" in done.out
    assert "No run was written" in done.out
    assert not (tmp_path / "runs").exists()
    assert command("course.golden", "--golden-dir", golden).code == 1
    assert command("course.golden").code == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reward": 0}, "needs a code"),
        ({"reward": 1, "code": "empty"}, "needs a code"),
        ({"reward": 2}, "reward of 0 or 1"),
        ({"rewrad": 0}, "unknown field"),
    ],
)
def test_a_broken_golden_case_is_refused(changes: dict[str, object], reason: str, tmp_path: Path) -> None:
    golden = shutil.copytree(GOLDEN, tmp_path / "golden")
    row = {"id": "n", "prompt": "Compute 2+3.", "expected_answer": 5, "completion": "x", "source": "s"}
    write_rows(golden / "golden_cases.jsonl", [row | changes])
    with pytest.raises(InputError, match=f"line 1: .*{reason}"):
        check_golden(golden)


def test_a_missing_pack_is_refused(tmp_path: Path) -> None:
    golden = shutil.copytree(GOLDEN, tmp_path / "golden")
    (golden / "golden_exploits.jsonl").unlink()
    with pytest.raises(InputError, match="No such file"):
        check_golden(golden)
