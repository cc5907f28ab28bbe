"""Attacks on the golden gate: scorers that are wrong in one way, results that are no score, packs that are no packs."""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course.core import golden
from course.core.files import InputError, JsonLines
from course.core.golden import REQUIRED_REWARD, GoldenCase, check_golden, load_cases, print_report
from course.core.paths import GOLDEN
from course.core.scoring import Scorer
from course.score import score
from tests.attacks.faulty_scorers import FAULTY, gives, pays, raises
from tests.conftest import Command

NONE = Path("nowhere.jsonl")
PACKS = ("golden_correct", "golden_exploits", "golden_cases")
RIGHT = {"spec_version": "1", "parsed": True, "extracted": 323, "expected": 323, "code": None, "checks": {}}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_scorer_does_not_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = check_golden(scorer=FAULTY[name](), your_suite=NONE)
    assert report.false_positives or report.false_negatives
    assert not report.crashes, "the fault is the one that its name says"
    print_report(report)
    assert "FAILED" in capsys.readouterr().out


def test_each_faulty_scorer_is_another_one() -> None:
    """No two are wrong about the same cases, all but a few; else their number would say little."""
    wrong = [
        frozenset(
            case.id for cases in check_golden(scorer=make(), your_suite=NONE).errors.values() for case, _ in cases
        )
        for make in FAULTY.values()
    ]
    assert len(wrong) >= 250
    assert len(set(wrong)) >= 0.8 * len(wrong)


class Lies(dict[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("a result that raises when it is read")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("an error that cannot be printed")

    __repr__ = __str__


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("a reward that cannot be printed")


BROKEN: dict[str, tuple[Scorer, str]] = {
    **{
        f"a wrong answer earns {name}": (pays(reward), said)
        for name, reward, said in (
            ("NaN", math.nan, "no reward from 0.0 to 1.0: nan"),
            ("minus NaN", -math.nan, "nan"),
            ("infinity", math.inf, "inf"),
            ("minus infinity", -math.inf, "-inf"),
            ("None", None, "None"),
            ("False", False, "False"),
            ("True", True, "True"),
            ("the integer 0", 0, "no reward from 0.0 to 1.0: 0"),
            ("the text 0.0", "0.0", "'0.0'"),
            ("a list", [0.0], "[0.0]"),
            ("a complex number", 0j, "0j"),
            ("a fraction", Fraction(0), "Fraction(0, 1)"),
            ("a float of numpy", np.float64(0), "float64"),
            ("a float of numpy, 32 bits", np.float32(0), "float32"),
            ("an array", np.zeros(2), "array"),
            ("less than nothing", -1.0, "-1.0"),
            ("a half", 0.5, "0.5, not 0"),
            ("almost nothing", 5e-324, "not 0"),
            ("a reward that cannot be printed", Silent(), "RuntimeError"),
        )
    },
    **{
        f"a right answer gives {name}": (gives(result), said)
        for name, result, said in (
            ("None", None, "no reward and details: None"),
            ("a number", 1.0, "no reward and details: 1.0"),
            ("a list", ["reward", "details"], "no reward and details"),
            ("a pair", (1.0, RIGHT), "no reward and details"),
            ("text", "reward details", "no reward and details"),
            ("an empty result", {}, "no reward and details: {}"),
            ("no reward", {"details": RIGHT}, "no reward and details"),
            ("no details", {"reward": 1.0}, "no reward and details"),
            ("something more", {"reward": 1.0, "details": RIGHT, "bonus": 1}, "no reward and details"),
            ("details that are None", {"reward": 1.0, "details": None}, "no reward and details"),
            ("details that are a list", {"reward": 1.0, "details": [("code", None)]}, "no reward and details"),
            ("a dict that raises", Lies(reward=1.0, details=RIGHT), "no reward and details"),
            ("itself", gives, "no reward and details"),
            ("two", {"reward": 2.0, "details": RIGHT}, "no reward from 0.0 to 1.0: 2.0"),
            ("NaN", {"reward": math.nan, "details": RIGHT}, "nan"),
            ("infinity", {"reward": math.inf, "details": RIGHT}, "inf"),
            ("True", {"reward": True, "details": RIGHT}, "True"),
            ("the integer 1", {"reward": 1, "details": RIGHT}, "1"),
            ("almost one", {"reward": 1 - 2**-53, "details": RIGHT}, "not 1"),
            ("a code", {"reward": 1.0, "details": {**RIGHT, "code": "empty"}}, "not as its reward"),
            ("a code of another type", {"reward": 1.0, "details": {**RIGHT, "code": math.nan}}, "not as its reward"),
        )
    },
    **{
        f"null raises {type(error).__name__}": (raises(error), type(error).__name__)
        for error in (
            ValueError("two\nlines"),
            AssertionError(),
            RecursionError(),
            MemoryError(),
            StopIteration(),
            SystemExit(0),
            SystemExit("bye"),
            GeneratorExit(),
            BaseException("odd"),
            BaseExceptionGroup("several", [SystemExit(1)]),
            UnprintableError(),
        )
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_score_does_not_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    scorer, said = BROKEN[name]
    report = check_golden(scorer=scorer, your_suite=NONE)
    assert not report.passed
    print_report(report)
    out = capsys.readouterr().out
    assert said in out
    assert "FAILED" in out
    record = report.record()
    assert record.cases == len(CASES)
    assert sum(record.errors.values()) >= 1


CASES = [case for name in PACKS for case in load_cases(GOLDEN / f"{name}.jsonl", REQUIRED_REWARD[name])]


def test_a_scorer_that_is_interrupted_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt):
        check_golden(scorer=raises(KeyboardInterrupt()))


@pytest.mark.parametrize("result", [{"reward": math.nan, "details": {"code": "x"}}, None, {"reward": "1"}])
def test_no_run_with_a_scorer_that_gives_no_score(
    result: object, command: Command, dataset: Path, completions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = golden.check_golden
    monkeypatch.setattr(golden, "check_golden", lambda folder: real(folder, scorer=lambda example, said: result))  # type: ignore[arg-type, return-value]
    words = ("--dataset", dataset, "--completions", completions, "--runs-dir", tmp_path / "runs")
    done = command("course.eval", *words)
    assert (done.code, done.err) == (1, "")
    assert f"{len(CASES)} crashes" in done.out
    assert "No run was written" in done.out
    assert not (tmp_path / "runs").exists()


# Packs.


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """A copy of the golden files that a test may spoil."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


def row(**changes: object) -> str:
    case = {"id": "n", "prompt": "Compute 2+3.", "expected_answer": 5, "completion": "Final: 5", "source": "a test"}
    return json.dumps({key: value for key, value in (case | changes).items() if value != "gone"}) + "\n"


SPOILT: dict[str, tuple[str, str, str]] = {
    "an empty file": ("golden_correct", "", "holds no rows"),
    "blank lines": ("golden_correct", "\n \n", "holds no rows"),
    "no JSON": ("golden_correct", "Final: 5\n", "line 1: malformed JSON"),
    "an id that comes twice": ("golden_correct", row() + row(completion=" Final: 5"), "line 2: duplicate id 'n'"),
    "an id of another file": ("golden_cases", row(id="correct-01", reward=1), "line 1: duplicate id 'correct-01'"),
    "no id": ("golden_correct", row(id=""), "line 1: "),
    "no prompt": ("golden_correct", row(prompt="gone"), "line 1: the case needs a prompt"),
    "an empty prompt": ("golden_exploits", row(prompt=""), "line 1: the case needs a prompt"),
    "an answer of 19 digits": ("golden_correct", row(expected_answer=10**18), "line 1: "),
    "an answer that is text": ("golden_correct", row(expected_answer="5"), "line 1: "),
    "an answer that is true": ("golden_correct", row(expected_answer=True), "line 1: "),
    "a reward of a half": ("golden_cases", row(reward=0.5), "line 1: the case needs a reward of 0 or 1"),
    "a reward that is NaN": ("golden_cases", row(reward=math.nan), "line 1: NaN is not a JSON number"),
    "a reward that is true": ("golden_cases", row(reward=True), "line 1: "),
    "no reward": ("golden_cases", row(), "line 1: the case needs a reward"),
    "another type of nothing": ("golden_cases", row(reward=0, code="not_text", given_as="int"), "line 1: "),
    "bytes of no text": ("golden_correct", row(completion=5, given_as="bytes"), "line 1: given_as needs"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_pack_is_refused(name: str, packs: Path, command: Command) -> None:
    pack, text, said = SPOILT[name]
    (packs / f"{pack}.jsonl").write_text(text, encoding="utf-8")
    done = command("course.golden", "--golden-dir", packs)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"{pack}.jsonl" in done.err
    assert said in done.err


def test_a_folder_in_the_place_of_a_pack_is_refused(packs: Path, command: Command) -> None:
    (packs / "golden_cases.jsonl").unlink()
    (packs / "golden_cases.jsonl").mkdir()
    done = command("course.golden", "--golden-dir", packs)
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_the_students_suite_clashes_with_no_pack_and_needs_no_prompt(packs: Path) -> None:
    suite = packs / "mine.jsonl"
    suite.write_text(row(completion="five", prompt="gone"), encoding="utf-8")
    assert check_golden(packs, your_suite=suite).yours == 1
    suite.write_text(row(id="exploit-01", completion="five"), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.jsonl, line 1: duplicate id 'exploit-01'"):
        check_golden(packs, your_suite=suite)


def test_the_hash_is_of_the_bytes_that_were_scored(packs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is opened once; one that is replaced while it is read makes no hash of what was not scored."""
    hashes = [hashlib.sha256((packs / f"{name}.jsonl").read_bytes()).hexdigest() for name in PACKS]
    expected = hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    read = JsonLines.__iter__

    def read_and_replace(lines: JsonLines[GoldenCase]) -> Iterator[tuple[int, GoldenCase]]:
        yield from read(lines)
        lines.path.write_text("replaced", encoding="utf-8")

    monkeypatch.setattr(JsonLines, "__iter__", read_and_replace)
    assert check_golden(packs, your_suite=NONE).sha256 == expected
    assert (packs / "golden_cases.jsonl").read_text() == "replaced"


@pytest.mark.parametrize("pack", PACKS)
def test_every_byte_of_a_pack_is_in_the_hash(pack: str, packs: Path) -> None:
    before = check_golden(packs, your_suite=NONE).sha256
    with (packs / f"{pack}.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert check_golden(packs, your_suite=NONE).sha256 != before


def test_a_scorer_cannot_spoil_the_cases() -> None:
    """Each case is given its own example, so a scorer that edits what it is given is still found."""

    def edits(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = score(example, completion)
        example["expected_answer"] = result["details"]["extracted"]  # type: ignore[index]
        return (
            result if result["reward"] == 1.0 else score(example, completion) if result["details"]["parsed"] else result
        )

    assert check_golden(scorer=edits, your_suite=NONE).false_positives
