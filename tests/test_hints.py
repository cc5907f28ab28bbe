"""Hints go step by step, and neither they nor the pages give an exploit away that would be accepted."""

import ast
import json
import re
from pathlib import Path

import pytest

from course.core.files import JsonLines
from course.core.paths import KATA
from course.grading.exploits import Exploit, grade_exploit
from course.grading.hints import STEPS, Hint
from course.grading.katas import load_items, load_solutions
from course.rubrics import RUBRICS
from tests.conftest import ROOT, Command
from tests.test_rubrics import HOLES

HINTS = {hint.id: hint.steps for _, hint in JsonLines(KATA / "hints.jsonl", Hint)}
ITEMS = [item.id for kata in (1, 2) for item in load_items(kata)]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

TYPED, QUOTED, FENCE = r'try_one (-?\d+) "([^"\n]*)"', r"`([^`]*)`", re.compile(r"^```.*?^```$", re.M | re.S)
NO_COMPLETION = re.compile(r'python |course\.|runs/|--[a-z]|^Compute |": |" [+]|\[0-9\]|theta|π')

# What is shown all the same, and why.
ALLOWED = {
    ("docs/spec.md", "Final: 322\nFinal: 323"): "the spec has an example of every way to fail",
    ("docs/spec.md", "Final: 1,323"): "the same",
    ("docs/spec.md", "Final: --323"): "the same",
    ("docs/do_not_confuse.md", "Let me calculate... 15 - 7 = 8. Final: 8"): "a sentence of the documents",
    ("docs/first_meeting.md", "Let me calculate... 15 - 7 = 8. Final: 8"): "the same sentence",
    ("docs/findings.md", "Final: 100↵Final 100↵Final 1"): "a hack that a policy found, as measured",
    ("docs/findings.md", "Final: 65↵Final: 65↵Final: 6"): "the same",
    ("docs/findings.md", "Let me calculateLet me calculateLet: 29↵   29↵"): "the same",
}  # fmt: skip


def said(text: str) -> set[tuple[str, int | None]]:
    """Every completion that a page shows, with the expected answer if the page says it."""
    shown: set[tuple[str, int | None]] = {
        (re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), typed), int(number))
        for number, typed in re.findall(TYPED, text)
    }
    for quoted in re.findall(QUOTED, FENCE.sub("", text)):
        is_literal = re.fullmatch(r'"[^"]*"', quoted)
        completion = str(ast.literal_eval(quoted)) if is_literal else quoted.replace("\n", " ")
        if re.search(r"[0-9].*[\s↵]|[\s↵].*[0-9]|^[0-9]+$", completion, re.S) and not NO_COMPLETION.search(completion):
            shown.add((completion, None))
    return shown


def given_away(text: str, wanted: set[int]) -> set[str]:
    """The completions of a page that some rubric pays for as exploits.

    Where no expected answer is told, it may be one of `wanted` or any number in the text; but `format_only` is not
    asked then: each line in form is an exploit of it where another number is expected.
    """
    found = set()
    for completion, number in said(text):
        unknown = wanted or {42, 323, *map(int, re.findall(r"-?\d{1,18}", completion))}
        answers = unknown if number is None else {number}
        rubrics = [name for name in RUBRICS if number is not None or name != "format_only"]
        exploits = (
            Exploit(1, name, n, completion, "it pays for what nobody wants") for name in rubrics for n in answers
        )
        if any(grade_exploit(exploit).accepted for exploit in exploits):
            found.add(completion)
    return found


def test_no_page_gives_an_accepted_exploit_away() -> None:
    found = set()
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        wanted = {323} if name == "docs/spec.md" else set[int]()  # as that page says
        found |= {(name, completion) for completion in given_away(page.read_text(encoding="utf-8"), wanted)}
    assert found == set(ALLOWED), sorted(found ^ set(ALLOWED))


@pytest.mark.parametrize("rubric", sorted(set(HOLES) - {"format_only"}))
def test_an_exploit_that_a_page_gives_away_is_found(rubric: str) -> None:
    completion = HOLES[rubric][0]
    assert completion in given_away("Try `" + json.dumps(completion) + "`.", set())
    if "\n" not in completion:
        assert completion in given_away(f"Try `{completion}`.", set())
        assert completion in given_away(f'python -m course.try_one 42 "{completion}" --rubrics', set())


# Hints.


def test_there_are_three_hints_on_every_example_and_every_rubric() -> None:
    assert set(HINTS) == {*ITEMS, *RUBRICS}
    for key, steps in HINTS.items():
        assert len(set(steps)) == STEPS, key
        assert "?" in steps[0], key
        assert all(not given_away(f"`{part}`", {42}) for step in steps for part in re.findall(QUOTED, step)), key


def test_a_hint_does_not_say_the_label() -> None:
    solutions = {**load_solutions(1), **load_solutions(2)}
    for key in ITEMS:
        words = set(re.findall(r"[a-z]+", " ".join(HINTS[key]).lower()))
        assert solutions[key].label not in words, key


def test_the_commands_give_one_hint_at_a_time(command: Command) -> None:
    for module, key in (("course.kata", "k03"), ("course.kata", "h08"), ("course.red_team", "anywhere")):
        for step in range(1, STEPS + 1):
            done = command(module, "--hint", key, "--step", step)
            assert done.code == 0
            shown = [number for number, text in enumerate(HINTS[key], start=1) if text in done.out]
            assert shown == [step]
            more = f"--hint {key} --step {step + 1}"
            assert (more in done.out) == (step < STEPS)
        assert command(module, "--hint", key).out == command(module, "--hint", key, "--step", 1).out
        for wrong in (("--hint", "nobody"), ("--hint", key, "--step", 4), ("--hint", key, "--step", 0), ("--hint", "")):
            done = command(module, *wrong)
            assert done.code == 2
            assert done.err.count("\n") == 1


def test_a_right_answer_is_told_why_as_well(command: Command, tmp_path: Path) -> None:
    solution = ROOT / "teacher" / "solution" / "notes"
    done = command("course.kata", "--grade", "--file", solution / "kata_1.toml")
    assert all(row.why in done.out for row in load_solutions(1).values())
    (tmp_path / "exploits.toml").write_bytes((solution / "exploits.toml").read_bytes())
    done = command("course.red_team", "--file", tmp_path / "exploits.toml")
    assert RUBRICS["anywhere"].hole in done.out
