"""Several runs in one table: every number is that of the run, every p that of the pair, corrected for all of them."""

import csv
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.core.comparison import Comparison, checked_run, compare_runs
from course.core.leaderboard import leaderboard
from course.core.runs import Result
from course.core.scoring import right_in_another_form, score_one
from course.core.stats import SIGNIFICANT, holm
from tests.conftest import Command, N, write_rows

Measured = Callable[..., Path]
NOT_323 = ["Final: 323", "323 or 324", "323.5", "1323", "", "\uff13\uff12\uff13", "323 " + "9" * 5000, "-323"]
FORMS = ["{:,}", "{:+d}", "{}.0", "{}.", "so 7, then {}.", "#### {:,}"]


def says(text: str, expected: int) -> Result:
    return score_one({"id": "x", "prompt": "?", "expected_answer": expected, "metadata": {}}, 0, text)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    """A hypothesis is rejected where Bonferroni rejects every set of hypotheses that it belongs to."""
    every = [set(s) for size in range(1, len(ps) + 1) for s in itertools.combinations(range(len(ps)), size)]
    closed = [max(min(1.0, len(s) * min(ps[j] for j in s)) for s in every if i in s) for i in range(len(ps))]
    assert holm(ps) == pytest.approx(closed)


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.sampled_from(FORMS))
def test_the_right_number_in_another_form_is_named_and_earns_nothing(expected: int, form: str) -> None:
    text = form.format(expected)
    assert right_in_another_form(says(text, expected)), text
    assert says(text, expected).reward == 0
    assert not right_in_another_form(says(text, expected // 2 + 1)) or expected in (1, 2)


@pytest.mark.parametrize(
    "text", ["Final: 323", "323 or 324", "323.5", "1323", "", "\uff13\uff12\uff13", "323 9" + "9" * 5000, "-323"]
)
def test_what_is_not_the_right_number_in_another_form(text: str) -> None:
    assert not right_in_another_form(says(text, 323))


def test_every_number_is_the_runs_own(command: Command, measured: Measured, tmp_path: Path) -> None:
    runs = [
        measured(set(range(10)), "--note", "=1+1", name="a", policy="a", samples=2),
        measured(set(range(30)), name="b", policy="b", samples=2),
        measured(set(range(12)), name="c", policy="c", samples=2),
    ]
    done = command("course.compare", *runs, "--json", tmp_path / "t.json", "--csv", tmp_path / "t.csv")
    assert done.code == 0, done.err
    told = json.loads((tmp_path / "t.json").read_text())
    summaries = {run.name: json.loads((run / "summary.json").read_text()) for run in runs}
    assert [row["run"] for row in told["runs"]] == [runs[1].name, runs[2].name, runs[0].name], "highest rate first"
    for row in told["runs"]:
        summary = summaries[row["run"]]
        for name in ("examples", "scored", "passes", "pass_at_1"):
            assert row[name] == summary[name]
        assert row["interval"] == summary["pass_at_1_interval"]
        assert (row["k"], row["pass_at_k"]) == (2, summary["pass_at_k"]["2"])
        assert row["parsed"] == 2 * N
        assert row["pass_hat_k"] == row["pass_at_1"], "both samples of an example say the same here"
    assert [row["model"] for row in told["runs"]] == ["b", "c", "a"]
    alone = []
    for before, after in itertools.combinations(runs, 2):
        outcome = compare_runs(checked_run(before), checked_run(after), "another policy")
        assert isinstance(outcome, Comparison)
        alone.append((before.name, after.name, outcome.verdict.difference, outcome.verdict.p))
    assert [(p["before"], p["after"], p["difference"], p["p"]) for p in told["pairs"]] == alone
    assert [pair["p_holm"] for pair in told["pairs"]] == holm([p for *_, p in alone])
    real = sum(pair["p_holm"] < SIGNIFICANT for pair in told["pairs"])
    assert f"of 3 pairs compared, {real} differ so" in done.out
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == [row["run"] for row in told["runs"]]
    assert rows[-1]["note"] == "'=1+1", "a spreadsheet would run it"


def test_what_cannot_be_compared_is_named(command: Command, measured: Measured) -> None:
    runs = [
        measured(set(range(10)), name="a", policy="a"),
        measured(set(range(30)), name="b", policy="b", temperature=0.5),
        measured(set(range(12)), name="c", policy="c"),
        measured(set(range(12)), name="d", policy="d", view="last_line 1"),
    ]
    done = command("course.compare", *runs)
    assert done.code == 1
    assert "Pairs compared: 1" in done.out
    assert done.out.count("view of the text: whole 1 before, last_line 1 after") == 3
    assert done.out.count("two knobs at once") == 6, "b with a, c and d: each names policy and temperature"
    assert "last_line 1" in done.out.split("Pairs compared")[0]
    (runs[0] / "results.jsonl").write_bytes(b"")
    done = command("course.compare", *runs)
    assert done.code == 1
    assert "LEFT OUT, a run that does not verify" in done.out


def test_unknown_settings_are_no_known_ones(command: Command, measured: Measured, tmp_path: Path) -> None:
    known = measured(set(range(10)), name="a", policy="a")
    unknown = measured(set(range(30)), name="b", policy="b", temperature=None, seed=None)
    again = measured(set(range(12)), name="c", policy="c", temperature=None, seed=None)
    done = command("course.compare", unknown, again, "--change", "policy")
    assert "NOT VERIFIED, temperature: unknown in both runs, and taken for the same" in done.out
    done = command("course.compare", known, again, "--change", "policy")
    assert done.code == 1
    assert "temperature: 1.0 before, unknown after" in done.out
    command("course.report", again, "--out", tmp_path / "page.html")
    assert "temperature unknown, top_p 1, seed unknown" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_run_is_known_under_any_name(command: Command, measured: Measured, tmp_path: Path) -> None:
    first = measured(set(range(10)), name="a", policy="a")
    second = measured(set(range(30)), name="b", policy="b")
    copied = shutil.copytree(first, first.parent / "from the lab, GPU 3")
    assert "from the lab, GPU 3" in command("course.inspect_run", "--runs-dir", first.parent).out
    assert command("course.compare", copied, second, "--change", "policy").code == 0
    other = shutil.copytree(first, tmp_path / "elsewhere" / second.name)
    board = leaderboard([checked_run(run) for run in (first, second, other)])
    assert len({row.run for row in board.rows}) == 3, "two runs of one name are told apart"


def test_several_files_make_a_run_each(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> None:
    folder, runs = tmp_path / "answers", tmp_path / "runs"
    folder.mkdir()
    shutil.copy(dataset, folder / "set_dev.jsonl")
    for name in ("b", "a"):
        shutil.copy(completions, folder / f"{name}.jsonl")
    words = ("--dataset", folder / "set_dev.jsonl", "--runs-dir", runs)
    done = command("course.eval", *words, "--completions", folder)
    assert done.code == 0, done.err
    names = [json.loads((run / "manifest.json").read_text())["completions"]["name"] for run in sorted(runs.iterdir())]
    assert names == ["a.jsonl", "b.jsonl"], "and not the data set, which lies in the same folder"
    assert "right, other form" in done.out
    assert f"Next: python -m course.compare {runs}/run_001 {runs}/run_002" in done.out
    bad = write_rows(folder / "bad.jsonl", [{"id": "x9", "completion": "Final: 1"}])
    done = command("course.eval", *words, "--completions", folder / "a.jsonl", bad, folder / "b.jsonl")
    assert done.code == 2
    assert done.err.startswith(f"error: {bad}, line 1: completion for unknown id 'x9'; the data set's first is 'x0'")
    assert "a.jsonl: 1/4 passed" in done.out
    assert len(list(runs.iterdir())) == 3, "what was measured before stays, and is named"
    done = command("course.eval", *words, "--completions", runs)
    assert done.err == f"error: {runs}: a folder without files of completions (*.jsonl)\n"


@pytest.mark.parametrize("word", [("--change", "x"), ("--anyway",)])
def test_what_is_for_two_runs_is_refused(command: Command, measured: Measured, word: tuple[str, ...]) -> None:
    run = measured(set(range(10)), name="a", policy="a")
    done = command("course.compare", run, run, run, *word)
    assert done.code == 2
    assert "--change and --anyway: they are for two runs" in done.err
    assert command("course.compare", run, run, run).err == "error: RUN: each run once\n"
    assert command("course.compare", run).err == "error: RUN: a comparison needs two runs, or more\n"


def test_the_page_of_several_runs(command: Command, measured: Measured, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    runs = [measured(set(range(n)), name=f"m{n}", policy=evil if n == 3 else f"p{n}") for n in (3, 5, 7)]
    done = command("course.report", *runs, "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page, "it needs none, and a policy's name does not begin with the sign"
    assert "3 runs in one table" in page
    assert page.count("luck explains it") == 3


def test_rows_are_found_by_their_text(command: Command, evaluate: Callable[..., Path]) -> None:
    run = evaluate()
    out = command("course.inspect_run", "--run", run, "--grep", r"answer is \d").out
    assert "1 of 1 rows shown" in out
    assert "The answer is 3." in out
    assert command("course.inspect_run", "--run", run, "--grep", r"Compute [01]\+").out.count(": reward ") == 2
    done = command("course.inspect_run", "--run", run, "--grep", "(")
    assert (done.code, done.err.startswith("error: --grep: no regular expression")) == (2, True)
