"""Looking at a run: the right rows, in the right order, with nothing hidden."""

from collections.abc import Callable
from pathlib import Path

import pytest

from course.core.display import visible
from tests.conftest import DEV, ROLLOUTS, Command, write_rows

Evaluate = Callable[..., Path]


def ids(out: str) -> list[str]:
    return [line.split(",")[0] for line in out.splitlines() if ": reward " in line]


def test_which_rows_are_shown(command: Command, evaluate: Evaluate) -> None:
    run = evaluate()

    def shown(*words: object) -> list[str]:
        return ids(command("course.inspect_run", "--run", run, *words).out)

    assert shown() == ["x0", "x1", "x2", "x3"]
    assert shown("--only-fails") == ["x1", "x2", "x3"]
    assert shown("--only-fails", "--top-k", 2) == ["x1", "x2"]
    assert shown("--only-fails", "--bottom-k", 2) == ["x2", "x3"]
    assert shown("--top-k", 1, "--bottom-k", 1) == ["x0", "x3"]
    assert shown("--code", "several_lines") == ["x3"]
    assert shown("--id", "x2") == ["x2"]
    assert shown("--id", "x9") == []


def test_a_block_says_what_and_why(command: Command, evaluate: Evaluate, tmp_path: Path) -> None:
    rows = [
        {"id": "x0", "completion": "Final: 1\n"},
        {"id": "x1", "completion": "Final:\u00a02"},
        {"id": "x2", "completion": "Final: 8"},
        {"id": "x3", "completion": " [red]Final:  4[/red]\t\x1b[31m"},
    ]
    out = command("course.inspect_run", "--run", evaluate(said=write_rows(tmp_path / "odd.jsonl", rows))).out
    assert "x0, sample 0: reward 1, passed" in out
    assert "completion  Final: 1↵" in out
    assert "completion  Final:<U+00A0>2" in out
    assert "character 7 is U+00A0 NO-BREAK SPACE" in out
    assert "it says 8 and not 3" in out
    assert "completion  ·[red]Final:··4[/red]→<U+001B>[31m" in out
    assert "\x1b" not in out
    assert "prompt      Compute 0+1." in out
    assert "expected    Final: 1" in out


def test_a_missing_completion_is_shown_as_missing(command: Command, evaluate: Evaluate, tmp_path: Path) -> None:
    run = evaluate(said=write_rows(tmp_path / "one.jsonl", [{"id": "x2", "completion": "Final: 3"}]))
    out = command("course.inspect_run", "--run", run, "--code", "missing_completion").out
    assert ids(out) == ["x0", "x1", "x3"]
    assert "(nothing: no completion came)" in out


def test_the_list_of_runs(command: Command, evaluate: Evaluate, tmp_path: Path) -> None:
    assert "no runs in" in command("course.inspect_run", "--runs-dir", tmp_path / "runs").out
    first = evaluate(data=DEV, said=ROLLOUTS)
    evaluate("--parent", first, "--change", "a smaller set")
    (tmp_path / "runs" / "run_003").mkdir()
    (tmp_path / "runs" / "run_003" / "manifest.json").write_text("{")
    (tmp_path / "runs" / "run_004").mkdir()
    out = command("course.inspect_run", "--runs-dir", tmp_path / "runs").out
    assert "pi0 T=1 top_p=1 n=1 seed=0" in out
    assert "a smaller set" in out
    assert "1/4 = 25.0 %" in out
    assert "run_003" in out
    assert "unreadable" in out
    assert "run_004" not in out, "a folder without a manifest is no run"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--top-k", 0), "--top-k: at least 1, not 0"),
        (("--bottom-k", -3), "--bottom-k: at least 1, not -3"),
        (("--code", "nonsense"), "unknown code 'nonsense'; this run has: missing_prefix, several_lines, wrong_answer"),
    ],
)
def test_bad_words(words: tuple[object, ...], reason: str, command: Command, evaluate: Evaluate) -> None:
    done = command("course.inspect_run", "--run", evaluate(), *words)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_no_run(command: Command, tmp_path: Path) -> None:
    assert command("course.inspect_run", "--run", tmp_path / "none").err.endswith("no such run\n")


def test_visible_leaves_nothing_to_guess() -> None:
    assert visible(" a  b ") == "·a··b·"
    assert visible("a b") == "a b"
    assert visible("\u00b7a\u21b5") == "<U+00B7>a<U+21B5>", "what stands for the unseen is not taken for it"
    assert visible("\u3164\u2800") == "<U+3164><U+2800>"
    assert visible("\u200b\u202e\ud800\u2028\x00\r\n\t") == "<U+200B><U+202E><U+D800><U+2028><U+0000><U+000D>↵→"
    assert visible("e\u0301 \u2212 \u00e9") == "e<U+0301> \u2212 \u00e9"
