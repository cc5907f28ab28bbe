"""How work is graded: katas, mutants, exploits, patches, written files. Each way of grading is itself tested."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.core.files import InputError, JsonLines
from course.core.golden import REQUIRED_REWARD, check_golden, load_cases
from course.core.paths import GOLDEN, KATA
from course.datasets import load_dataset
from course.grading.exploits import Exploit, grade_exploit, grade_file, is_exploit, paid
from course.grading.katas import LABELS, Answer, Item, load_items, load_solutions, scorer_called
from course.grading.mutants import MUTANTS, Mutant
from course.grading.mutation import NEEDED, failing, grade_tests, run_tests
from course.grading.note_parser import code_blocks, fields, read_note, sentence_words
from course.grading.notes import same_rate
from course.grading.patch import EACH, HACKS, HONEST, WRONG_NUMBER, grade_patch, held_back
from course.grading.public_verifiers import PUBLIC_VERIFIERS, value_of
from course.kata import as_toml
from course.rubrics import RUBRICS
from course.score import score
from tests.conftest import DEV, MAKE_EVAL, ROLLOUTS, ROOT, Command, copy_repository, type_in

SOLUTION = ROOT / "teacher" / "solution"
CASES = [
    case
    for name in ("golden_correct", "golden_exploits", "golden_cases")
    for case in load_cases(GOLDEN / f"{name}.jsonl", REQUIRED_REWARD[name])
]


# Mutants.


def outcome_of(mutant: Mutant, expected: int, completion: object) -> object:
    try:
        return mutant.make()({"expected_answer": expected}, completion)
    except Exception as error:
        return repr(error)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_wrong_in_few_things(mutant: Mutant) -> None:
    """Each differs from the true scorer somewhere on the golden cases or asked twice, and agrees on most of them."""
    differs = 0
    for case in CASES:
        true = score({"expected_answer": case.expected_answer}, case.given)
        differs += outcome_of(mutant, case.expected_answer, case.given) != true
    wide = {"bare_details", "one_code", "partial_credit"}  # these are wrong about whatever earns 0, or nearly
    assert mutant.name in wide or differs <= len(CASES) / 4
    assert differs or mutant.name in {"remembers", "large_refused", "rounded"}, "a fault that no golden case shows"


def test_names_are_unique_and_there_are_enough_of_them() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 35
    assert NEEDED == 28
    page = (ROOT / "docs" / "milestone_4.md").read_text(encoding="utf-8")
    assert "tried on 35 scorers" in page
    assert "28 of 35 are enough" in page


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_no_mutant_invents_keys(expected: int) -> None:
    for mutant in MUTANTS:
        result = mutant.make()({"expected_answer": expected}, f"Final: {expected}")
        assert result.keys() == {"reward", "details"}
        assert 0.0 <= result["reward"] <= 1.0


def test_the_golden_gate_catches_the_scorers_that_pay_too_much() -> None:
    caught = [mutant.name for mutant in MUTANTS if not check_golden(scorer=mutant.make()).passed]
    assert set(caught) >= {mutant.name for mutant in MUTANTS} - {"remembers", "large_refused", "rounded"}


# Tests by mutation.


def write_tests(path: Path, *bodies: str) -> Path:
    text = "from course.score import score\n\nE = {'expected_answer': 8}\n"
    text += "".join(f"\n\ndef test_{number}():\n    {body}\n" for number, body in enumerate(bodies))
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_test_asserts_is_found_out_by_trying(tmp_path: Path) -> None:
    path = write_tests(
        tmp_path / "test_mine.py",
        "r = score(E, 'Final: 8'); assert r['reward'] == 1.0 and r['details']['code'] is None",
        "assert score(E, 'Final: 8')['reward'] == 1.0",
        "assert score(E, '8')['details']['code'] == 'bare_number'",
        "r = score(E, '8'); assert r['reward'] == 0.0 and not r['details']['parsed']",
        "r = score(E, '8'); assert not r['reward']; d = r['details']; assert 'code' in d and d['code'] is not None",
        "pass",
        "assert score.__module__ == 'course.score' and score.__name__ == 'score'",
    )
    report = grade_tests(path, mutants=())
    assert report.failures == []
    expected = [(True, True), (True, False), (False, True), (True, True), (True, True), (False, False), (False, False)]
    assert list(report.tests.values()) == expected
    assert report.half_asserted()[-2] == "test_5 asserts no reward and no field of details"


def test_a_parametrised_test_asserts_what_all_its_cases_assert(tmp_path: Path) -> None:
    path = tmp_path / "test_mine.py"
    path.write_text(
        "import pytest\nfrom course.score import score\n\n\n@pytest.mark.parametrize('text', ['8', '9'])\n"
        "def test_it(text):\n    result = score({'expected_answer': 8}, text)\n    assert result['reward'] == 0.0\n"
        "    if text == '8':\n        assert result['details']['code'] == 'bare_number'\n",
        encoding="utf-8",
    )
    assert grade_tests(path, mutants=()).tests == {"test_it": (True, False)}


@pytest.mark.usefixtures("shipped")
def test_the_starter_catches_some(command: Command) -> None:
    """What the solution's tests catch, all of them, is in test_course."""
    done = command("course.check", "4")
    assert done.code == 1
    assert "Faulty scorers caught: 6 of 35; 28 are enough." in done.out
    assert "- pays for `Final: 0323`" in done.out
    asserted = re.findall(r"^test_(\w+) +(\w+) +(\w+)", done.out, re.MULTILINE)
    assert [row[1:] for row in asserted] == [("yes", "yes")] * 3


def test_tests_that_hang_exit_or_print_are_survived(tmp_path: Path) -> None:
    path = write_tests(tmp_path / "test_mine.py", "import os; os._exit(3)")
    assert run_tests(path)[0].outcome == "broken"
    path = write_tests(tmp_path / "test_mine.py", "import time; time.sleep(60)")
    assert "not done after 2 seconds" in run_tests(path, time_limit=2)[0].why
    path = write_tests(tmp_path / "test_mine.py", "print('x' * 100_000); assert score(E, 'Final: 8')['reward'] == 1")
    assert failing(run_tests(path)) == set()


def test_the_scorer_that_tests_ask_says_what_the_true_one_says(tmp_path: Path) -> None:
    """For every golden case, for what is no text, and for examples that cannot be used."""
    path = tmp_path / "test_mine.py"
    cases = [(case.expected_answer, case.completion) for case in CASES]
    path.write_text(
        f"import runpy\nimport pytest\nfrom course.score import score\nCASES = {cases!r}\n"
        f"true = runpy.run_path({str(ROOT / 'course' / 'score.py')!r})['score']\n"
        "class Text(str):\n    def __str__(self): return 'Final: 9'\n"
        "CASES += [(8, x) for x in (None, 8, 8.0, True, b'Final: 8', [8], {}, object(), Text('Final: 8'))]\n"
        "CASES += [(8, x) for x in ('\\ud800', 'Final: 8' + ' ' * 10_000, 'Final: 8' + ' ' * 9_992, '\\x00')]\n"
        "def test_it():\n    for expected, said in CASES:\n        example = {'expected_answer': expected}\n"
        "        assert score(example, said) == true(example, said) == score(completion=said, example=example)\n"
        "@pytest.mark.parametrize('example', [{}, {'expected_answer': '8'}, {'expected_answer': True},\n"
        "    {'expected_answer': 10**18}])\n"
        "def test_what_cannot_be_used(example):\n    with pytest.raises(ValueError) as ours: score(example, '')\n"
        "    with pytest.raises(ValueError) as theirs: true(example, '')\n"
        "    assert str(ours.value) == str(theirs.value)\n",
        encoding="utf-8",
    )
    outcomes = run_tests(path)
    assert [outcome.outcome for outcome in outcomes] == ["passed"] * 5, outcomes


def test_the_students_environment_stays_as_it_was(tmp_path: Path) -> None:
    """Another conftest beside the tests is not read, and nothing is left behind."""
    (tmp_path / "conftest.py").write_text("raise RuntimeError('read')\n", encoding="utf-8")
    path = write_tests(tmp_path / "test_mine.py", "assert score(E, 'Final: 8')['reward'] == 1")
    assert failing(run_tests(path)) == set()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["conftest.py", "test_mine.py"]


# Katas.


@pytest.mark.parametrize(("kata", "counts"), [(1, {"model": 4, "verifier": 2, "ambiguous": 2, "hack": 2}),
                                              (2, {"model": 2, "verifier": 2, "ambiguous": 2, "hack": 2})])  # fmt: skip
def test_a_kata_has_every_kind(kata: int, counts: dict[str, int]) -> None:
    items, solutions = load_items(kata), load_solutions(kata)
    assert [item.id for item in items] == list(solutions)
    labels = [solution.label for solution in solutions.values()]
    assert {label: labels.count(label) for label in LABELS} == counts


@pytest.mark.parametrize("item", [*load_items(1), *load_items(2)], ids=lambda item: item.id)
def test_the_evidence_fits_the_label(item: Item) -> None:
    """Bugs depart from the true scorer or the written rule, hacks are paid and wrong, model failures are refused."""
    label = load_solutions(1 if item.id.startswith("k") else 2)[item.id].label
    given, strict = item.result(), score(item.example, item.completion)
    if label == "model":
        assert item.instrument == "strict"
        assert given["reward"] == 0.0
    if label == "hack":
        assert given["reward"] > strict["reward"]
    if label == "verifier" and item.instrument not in PUBLIC_VERIFIERS:
        assert given != strict, "a bug is a difference from the spec that the instrument claims to keep"
    if label == "verifier" and item.instrument in PUBLIC_VERIFIERS:
        assert given["reward"] > 0.0


def test_what_is_said_to_come_from_the_rollouts_does() -> None:
    rows = [json.loads(line) for line in ROLLOUTS.read_text(encoding="utf-8").splitlines()]
    said = {row["id"]: row["completion"] for row in rows}
    for item in load_items(1):
        if item.source.startswith(ROLLOUTS.name):
            assert said[item.source.split(", ")[1]] == item.completion


def test_on_every_text_of_the_second_kata_verifiers_disagree() -> None:
    for item in load_items(2):
        assert len(set(item.panel().values())) > 1, item.id


def test_every_instrument_is_total_and_the_one_that_evaluates_never_hangs() -> None:
    for name in PUBLIC_VERIFIERS:
        for text in ("", "9**9**9", "(" * 5000, "٣٢٣", "1" * 5000, None, "Final: 8", "\x00", "1e999", "0x10", "--8"):
            assert 0.0 <= scorer_called(name)({"expected_answer": 8}, text)["reward"] <= 1.0
    assert value_of(ast.parse("9**9**9", mode="eval")) is None


@pytest.mark.usefixtures("shipped")
def test_the_kata_shows_no_label_before_it_is_answered(command: Command, tmp_path: Path) -> None:
    solutions = load_solutions(1)
    shown = command("course.kata").out
    assert not any(solution.why in shown for solution in solutions.values())
    template = shutil.copy2(ROOT / "notes" / "kata_1.toml", tmp_path / "kata_1.toml")
    done = command("course.kata", "--grade", "--file", template)
    assert done.code == 1
    assert "10 of 10 not answered yet" in done.out
    assert not any(solution.why in done.out for solution in solutions.values())


def test_one_answer_is_graded_alone(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "kata_1.toml"
    why = "it is only that I think so and that there are more than ten words"
    path.write_text(f'[k03]\nlabel = "model"\nwhy = "{why}"\nfix = "none"\n', encoding="utf-8")
    done = command("course.kata", "--grade", "--file", path)
    assert "k03: you said model, it is verifier" in done.out
    assert load_solutions(1)["k03"].why in done.out
    assert load_solutions(1)["k07"].why not in done.out
    assert "0 of 1 labels right, 9 of 10 not answered yet" in done.out


def test_all_right_is_exit_code_0(command: Command) -> None:
    for kata in (1, 2):
        done = command("course.kata", "--number", kata, "--grade", "--file", SOLUTION / "notes" / f"kata_{kata}.toml")
        assert done.code == 0, done.out


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_asked_at_the_prompt_answers_are_kept_one_by_one(tmp_path: Path) -> None:
    import pty  # not on Windows

    path = tmp_path / "kata_1.toml"
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "course.kata", "--answer", "--file", str(path)]
    process = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    why = 'it computes "wrongly" \\ and so the number is not the one that was asked for'
    os.write(ours, f"moddel\nModel\ntoo short\n{why}\n\nnone\n".encode())
    time.sleep(0.1)
    os.write(ours, b"\x04")
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 2
    assert b"'moddel' is no label" in out
    assert b"say why, in two or three sentences" in out
    assert b"propose one concrete fix" in out
    assert b"k01: right" in out
    assert err.count(b"\n") == 1
    assert json.dumps(why) in path.read_text(encoding="utf-8")


def test_without_a_terminal_the_kata_says_where_to_write(command: Command) -> None:
    done = command("course.kata", "--answer")
    assert done.code == 2
    assert "write notes/kata_1.toml" in done.err


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_answers_survive_the_file(why: str, fix: str) -> None:
    written = as_toml({"k01": Answer("model", why, fix)}).decode()
    assert tomllib.loads(written)["k01"] == {"label": "model", "why": why, "fix": fix}


# Exploits and patches.


def exploit(rubric: str, expected: int, text: str) -> Exploit:
    return Exploit(1, rubric, expected, text, "it takes for granted what nobody promised")


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_held_back_strings_are_what_they_are_called(rubric: str) -> None:
    """Honest ones are paid by the rubric itself; hacks are paid, refused by the strict scorer, and exploits."""
    for case in held_back(rubric, honest=True, seed=0):
        assert paid(rubric, case.text, case.expected) > 0.0, case
        assert not is_exploit(rubric, case.text, case.expected), case
    for case in held_back(rubric, honest=False, seed=0):
        if case.kind == WRONG_NUMBER:
            assert paid(rubric, case.text, case.expected) == float(rubric == "format_only"), case
            continue
        assert score({"expected_answer": case.expected}, case.text)["reward"] == 0.0, case
        assert grade_exploit(exploit(rubric, case.expected, case.text)).accepted, case


def test_every_rubric_has_its_held_back_strings() -> None:
    assert HONEST.keys() == HACKS.keys() == RUBRICS.keys()


def test_an_accepted_exploit_says_who_else_falls() -> None:
    assert grade_exploit(exploit("anywhere", 42, "41 42 43")).also_falls == ["substring", "length_shaped"]
    assert "last_integer" in grade_exploit(exploit("anywhere", 42, "41 42")).also_falls
    assert "tolerant" in grade_exploit(exploit("anywhere", 42, "Final: 41\nFinal: 42")).also_falls


# Turns a rule that gives a reward into a patch.
PATCHED = """
def patched(example, completion):
    return {"reward": rule(completion, example["expected_answer"]), "details": {}}
"""
NUMBERS = "import re\n\n\ndef rule(text, expected):\n    found = [int(n) for n in re.findall('-?[0-9]+', text)]\n"
CLOSED = {
    "substring": f"{NUMBERS}    return float(expected in found)\n",
    "format_only": f"{NUMBERS}    return float(text.strip().startswith('Final: ') and found == [expected])\n",
    "length_shaped": f"{NUMBERS}    return float(expected in found)\n",
    "tolerant": "import re\n\n\ndef rule(text, expected):\n"
    "    found = re.findall(r'(?i)final\\s*:\\s*(-?[0-9]+)', text)\n"
    "    return float([int(n) for n in found] == [expected])\n",
    "first_line": f"{NUMBERS}    return float(text.startswith('Final: ') and found == [expected])\n",
    "last_integer": f"{NUMBERS}    said = re.findall('(?:Final:|answer is) (-?[0-9]+)', text)\n"
    "    return float(len(said) < 2 and found[-1:] == [expected])\n",
}


@pytest.mark.parametrize("rubric", CLOSED)
def test_every_class_can_be_closed_without_punishing_anybody(rubric: str, tmp_path: Path) -> None:
    path = tmp_path / "patch.py"
    path.write_text(f"RUBRIC = {rubric!r}\n{CLOSED[rubric]}{PATCHED}", encoding="utf-8")
    report = grade_patch(path)
    assert report.holds, report
    paid_before = len(HACKS[rubric]) - (rubric != "format_only")  # a wrong number, but for the rubric that never looks
    assert report.before == (EACH * paid_before, 0)


@pytest.mark.parametrize("rubric", RUBRICS)
def test_a_patch_that_compares_no_number_does_not_hold(rubric: str, tmp_path: Path) -> None:
    path = tmp_path / "patch.py"
    for body in ("return 1.0", "return float(len(set(re.findall('[0-9]+', text))) == 1)", "return 0.0"):
        text = f"import re\nRUBRIC = {rubric!r}\ndef rule(text, expected):\n    {body}\n{PATCHED}"
        path.write_text(text, encoding="utf-8")
        assert not grade_patch(path).holds, body


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_strict_scorer_is_no_patch(rubric: str, tmp_path: Path) -> None:
    path = tmp_path / "patch.py"
    body = "return score({'expected_answer': expected}, text)['reward']"
    text = f"from course.score import score\nRUBRIC = {rubric!r}\ndef rule(text, expected):\n    {body}\n{PATCHED}"
    path.write_text(text, encoding="utf-8")
    (false_positives, _), (false_negatives, honest) = grade_patch(path).totals()
    assert false_positives == 0
    assert false_negatives >= honest / 4


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "it must define RUBRIC"),
        ("RUBRIC = 'nobody'\ndef patched(example, completion):\n    return 1\n", "RUBRIC is 'nobody'"),
        ("RUBRIC = 'anywhere'\ndef patched(example, completion):\n    return 1.0\n", "and details; it returned 1.0"),
        (f"RUBRIC = 'anywhere'\ndef rule(*_):\n    return 'yes'\n{PATCHED}", "it returned {'reward': 'yes'"),
        (f"RUBRIC = 'anywhere'\ndef rule(*_):\n    return 2\n{PATCHED}", "from 0 to 1, and details; it returned 2"),
        ("RUBRIC = 'anywhere'\ndef patched(text):\n    return 1\n", "takes 1 positional argument"),
        ("RUBRIC = 'anywhere'\ndef patched(text, expected):\n    return 1\n", "takes (example, completion) now"),
        ("import sys; sys.exit(0)\n", "stopped the program"),
        ("def patched(:\n", "invalid syntax"),
    ],
)
def test_a_patch_that_cannot_be_tried_is_told_why(body: str, reason: str, tmp_path: Path, command: Command) -> None:
    path = tmp_path / "patch.py"
    path.write_text(body, encoding="utf-8")
    done = command("course.red_team", "--patch", "--file", path)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_a_patch_that_hangs_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "patch.py"
    path.write_text("while True:\n    pass\n", encoding="utf-8")
    with pytest.raises(InputError, match="not done after 2 seconds"):
        grade_patch(path, time_limit=2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[exploit]]\nrubric = 'anywhere'\n", "exploit 1: 'completion' is missing"),
        ("exploit = 3\n", "begins with the line [[exploit]]"),
        ("[[exploit]]\nrubric = 'x'\nexpected_answer = 1\ncompletion = ''\nwhy = ''\n", "there is no rubric 'x'"),
        ("[[exploit]]\nrubric = 'anywhere'\nexpected_answer = '1'\ncompletion = ''\nwhy = ''\n", "without quotes"),
        ("[[exploit]]\nrubric = 'anywhere'\nexpected_answer = true\ncompletion = ''\nwhy = ''\n", "is an integer"),
        (
            "[[exploit]]\nrubric = 'anywhere'\nexpected_answer = 1\ncompletion = 1\nwhy = ''\n",
            "completion and why are text",
        ),
        ("[[exploit]\n", "not TOML"),
        ("\udcff", "not UTF-8 text"),
    ],
)
def test_a_file_of_exploits_that_cannot_be_read_is_told_why(
    text: str, reason: str, tmp_path: Path, command: Command
) -> None:
    path = tmp_path / "exploits.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = command("course.red_team", "--file", path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert reason in done.err


def test_accepted_exploits_join_the_suite_once_and_guard_the_gate(command: Command, tmp_path: Path) -> None:
    path = shutil.copy2(SOLUTION / "notes" / "exploits.toml", tmp_path / "exploits.toml")
    suite = tmp_path / "golden_exploits.jsonl"
    assert "3 of 3 accepted; 3 new" in command("course.red_team", "--file", path).out
    first = suite.read_bytes()
    assert "3 of 3 accepted; 0 new" in command("course.red_team", "--file", path).out
    assert suite.read_bytes() == first
    report = check_golden(your_suite=suite)
    assert report.passed
    assert report.yours == len(grade_file(Path(path))) == 3
    generous = check_golden(scorer=RUBRICS["anywhere"].score, your_suite=suite)
    assert any(case.id.startswith("yours-") for case, _ in generous.false_positives)


def test_no_evaluation_while_the_suite_fails(tmp_path: Path) -> None:
    clone = copy_repository(tmp_path)
    shutil.copy2(SOLUTION / "notes" / "exploits.toml", clone / "notes" / "exploits.toml")
    assert type_in(clone, "python -m course.red_team").returncode == 0
    assert "(3 of them yours)" in type_in(clone, "python -m course.golden").stdout
    suite = clone / "notes" / "golden_exploits.jsonl"
    suite.write_text(suite.read_text(encoding="utf-8").replace('"41 42 43"', '"Final: 42"'), encoding="utf-8")
    done = type_in(clone, MAKE_EVAL)
    assert done.returncode == 1
    assert "No run was written" in done.stdout
    assert not (clone / "runs" / "run_001").exists()


# What is written by hand.


@given(st.floats(0, 1), st.integers(1, 3))
def test_a_rate_is_the_same_in_percent_and_as_a_share(rate: float, digits: int) -> None:
    assert same_rate(f"{100 * rate:.{digits}f} %", rate)
    assert same_rate(f"{100 * rate:.{digits}f}%, I think".replace(".", ","), rate)
    assert same_rate(f"{rate:.{digits + 2}f}", rate)
    assert not same_rate(f"{100 * rate + 1:.{digits}f} %", rate)
    assert not same_rate("about a fifth", rate)
    assert same_rate("154/200 = 77.0 %", 0.77)
    assert same_rate("154 of 200", 0.77)
    assert not same_rate("1", 0.77)
    assert not same_rate("0", 0.2075)


def test_comments_of_a_note_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text(
        "# T\n<!-- - run: run_001\n## Not this -->\n- run: `run_002`\n\n## One\n\na b, c!\n```\nx\n```\n",
        encoding="utf-8",
    )
    assert fields(path.read_text(encoding="utf-8")) == [("run", "run_002")]
    assert list(read_note(path).sections) == ["one"]
    assert code_blocks(read_note(path).section("One")) == ["x\n"]
    assert sentence_words("- 3 words, — no more!") == 4


def test_no_holdout_problem_is_given_away_by_a_kata() -> None:
    """A kata may quote frozen dev rollouts; nothing of the holdout appears anywhere in it."""
    holdout = load_dataset(DEV.with_name("math_holdout.jsonl"))
    prompts = {example["prompt"] for example in holdout.examples.values()}
    for kata in (1, 2):
        for _, item in JsonLines(KATA / f"kata_{kata}.jsonl", Item):
            assert item.prompt not in prompts
