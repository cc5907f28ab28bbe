"""A scorer of the student's own: graded on known cases and on held-back strings, and never told the answers."""

import secrets
import time
from pathlib import Path

import pytest

from course.core.files import InputError
from course.core.paths import GOLDEN
from course.grading.inside import scored
from course.grading.mutants import MUTANTS, Mutant
from course.grading.scorer import example_of, grade_scorer, held_back, judge
from course.score import CODES, score
from tests.conftest import ROOT, Command

SOLUTION = (ROOT / "teacher" / "solution" / "notes" / "my_score.py").read_text(encoding="utf-8")
BEGIN = "def score(example, completion):\n    "


def written(folder: Path, text: str) -> Path:
    path = folder / "my_score.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_solution_passes_and_what_is_handed_out_does_not(tmp_path: Path, command: Command) -> None:
    done = command("course.golden", "--scorer", written(tmp_path, SOLUTION))
    assert done.code == 0
    cases = done.out.split()[2]
    assert cases.split("/")[0] == cases.split("/")[1]
    done = command("course.golden", "--scorer", ROOT / "notes" / "my_score.py")
    assert done.code == 1
    assert "false negative" in done.out
    assert "not_written_yet" in done.out


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_held_back_strings_alone_find_every_fault(mutant: Mutant) -> None:
    """All but the one that shows in no reward: which words a student has for a failure is left open."""
    cases, scorer = held_back(secrets.token_hex()), mutant.make()
    said = [[scored(scorer, example_of(case), case.given) for case in cases] for _ in range(2)]
    assert bool(judge(cases, list(map(list, zip(*said, strict=True)))).wrong) == (mutant.name != "one_code")


def test_the_true_scorer_is_right_on_held_back_strings_of_nearly_every_code() -> None:
    cases = held_back(secrets.token_hex())
    said = [[scored(score, example_of(case), case.given)] * 2 for case in cases]
    report = judge(cases, said)
    assert report.right == report.same_codes == report.cases
    assert len({pair[0][2] for pair in said} & set(CODES)) >= 24


@pytest.mark.parametrize(
    ("old", "new", "kind", "code"),
    [
        ('.strip(" \\t\\r\\n")', ".strip()", "false positive", "lookalike_character"),
        ('.strip(" \\t\\r\\n")', "", "false negative", "it is right"),
        (' and str(int(number)) == number', "", "false positive", "leading_zero"),
        ('digits.isascii() and ', "str(int(digits or 0)) and ", "raised", "not_an_integer"),
        ("int(number) == expected", "abs(int(number)) == abs(expected)", "false positive", "wrong_answer"),
        ('"code": code', '"why": code', "no reason", "several_answers"),
        ('{"reward": 1.0 if code is None else 0.0, "details": {"code": code}}', "1.0", "no score", "expression"),
        ("    code = why", "    import random\n    example['expected_answer'] += random.randint(0, 1)\n    code = why",
         "not the same twice", "it is right"),
    ],
)  # fmt: skip
def test_typical_mistakes_are_named(old: str, new: str, kind: str, code: str, tmp_path: Path, command: Command) -> None:
    assert old in SOLUTION
    path = written(tmp_path, SOLUTION.replace(old, new))
    assert (kind, code) in grade_scorer(path, GOLDEN).wrong
    done = command("course.golden", "--scorer", path)
    assert done.code == 1
    assert any(line.startswith(kind) and f" {code} " in line for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys\nsys.exit(0)\n", "it stopped the program"),
        ("import os\n" + BEGIN + "os._exit(0)\n", "it stopped the program, at the completion"),
        (BEGIN + "import sys; sys.exit('enough')\n", "enough, at the completion"),
        ("x = 'a' * (1 << 40)\n", "MemoryError"),
        ("from course.score import score\n", "write the scorer yourself"),
        ("from course.core.scoring import score\n", "write the scorer yourself"),
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("def score(:\n", "invalid syntax"),
        ("score = 1\n", "it must define the function score(example, completion)"),
        ("print('[\"gave\", 1.0, null]', flush=True)\nx\n", "name 'x' is not defined"),
    ],
)
def test_a_scorer_that_cannot_be_tried_costs_one_line(text: str, reason: str, tmp_path: Path, command: Command) -> None:
    done = command("course.golden", "--scorer", written(tmp_path, text))
    assert done.code == 2
    assert reason in done.err
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1


def test_no_such_file_and_one_that_hangs(tmp_path: Path, command: Command) -> None:
    assert "no such file" in command("course.golden", "--scorer", tmp_path / "none.py").err
    began = time.monotonic()
    with pytest.raises(InputError, match=r"not done after 2 seconds, at the completion"):
        grade_scorer(written(tmp_path, BEGIN + "while True: pass\n"), GOLDEN, time_limit=2)
    assert time.monotonic() - began < 20


def test_what_a_scorer_prints_or_does_to_the_example_changes_nothing(tmp_path: Path) -> None:
    noisy = SOLUTION.replace("    code = why", "    print('[\"gave\", 1.0, null]', flush=True)\n    code = why")
    assert not grade_scorer(written(tmp_path, noisy), GOLDEN).wrong


def test_who_knows_the_golden_cases_only_fails_on_the_rest(tmp_path: Path) -> None:
    looked_up = f"""
import json, pathlib
ROWS = [json.loads(line) for path in pathlib.Path({str(GOLDEN)!r}).glob("*.jsonl") for line in path.open()]
PAID = {{(row["expected_answer"], str(row["completion"])) for row in ROWS if row.get("reward", "hole" not in row)}}
def score(example, completion):
    right = (example["expected_answer"], completion) in PAID if isinstance(completion, str) else False
    return {{"reward": float(right), "details": {{"code": None if right else "unknown"}}}}
"""
    wrong = [case for cases in grade_scorer(written(tmp_path, looked_up), GOLDEN).wrong.values() for case, _ in cases]
    assert len(wrong) >= 10
    assert {case.source for case in wrong} == {"drawn"}
