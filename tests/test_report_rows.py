"""What a page shows of more rows than it has room for: some of every kind, by a rule, and it says so."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.core.report import rows
from course.core.runs import result_line
from course.core.scoring import score_one
from tests.conftest import Command, write_rows
from tests.test_report import data_of, text_of

Evaluate = Callable[..., Path]
MANY = 300
SAID = {0: "The answer is {}.", 1: "final: {}", 2: "Final: {}.", 5: "Final:{}"}  # every other number is answered well


@pytest.fixture
def many(evaluate: Evaluate, tmp_path: Path) -> Callable[..., Path]:
    """A run of 300 examples, all but four of which pass; the completions in this order, some of them changed."""
    examples = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(MANY)]
    data = write_rows(tmp_path / "many_dev.jsonl", examples)

    def run(*words: object, shuffled: int = 0, name: str = "many", **changed: str) -> Path:
        said = {f"x{n}": SAID.get(n, "Final: {}").format(n + 1) for n in range(MANY)} | changed
        completions = [{"id": key, "completion": text} for key, text in said.items()]
        random.Random(shuffled).shuffle(completions)
        return evaluate(*words, data=data, said=write_rows(tmp_path / f"{name}.jsonl", completions))

    return run


def page_of(command: Command, *runs: Path) -> tuple[dict[str, Any], str]:
    """The rows that the page of some runs carries, and its text."""
    out = runs[-1].parent / "page.html"
    assert command("course.report", *runs, "--out", out).code in (0, 1)
    return data_of(out), text_of(out)


def test_every_code_is_shown_however_rare(
    many: Callable[..., Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS", 12)
    data, text = page_of(command, many())
    assert len(data["rows"]) == 12
    assert {row[0] for row in data["rows"]} > {"x0", "x1", "x2", "x5"}, "the four that fail, each with its own code"
    assert "This page shows 12 of 300 rows, because it has no room for more." in text
    assert "296/300 = 98.7 %" in text
    assert "passed 296 " in text, "the bars count all"
    assert "Some 4 of 4 failures" in text


def test_which_rows_are_shown_does_not_depend_on_their_order(
    many: Callable[..., Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS", 40)
    shown = [{row[0] for row in page_of(command, many(shuffled=n))[0]["rows"]} for n in range(3)]
    assert shown[0] == shown[1] == shown[2]
    places = sorted(int(key[1:]) for key in shown[0])
    assert places[-1] > MANY * 0.8, "not the first of the file"


def test_a_page_with_room_for_all_hides_none(many: Callable[..., Path], command: Command) -> None:
    data, text = page_of(command, many())
    assert len(data["rows"]) == MANY
    assert "This page shows" not in text


def test_wins_and_losses_are_shown_of_two_runs(
    many: Callable[..., Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROWS", 16)
    before = many()
    after = many("--parent", before, "--change", "x", name="after", x1="Final: 2", x200="Final: -1", x201="Final: -1")
    data, text = page_of(command, before, after)
    assert len(data["rows"]) == 16
    assert {row[0]: row[3] for row in data["rows"]}.items() >= {"x1": 0, "x200": 1, "x201": 1}.items()
    assert "1 wins, 2 losses, 297 ties" in text
    assert "of both runs, from what went up and from what went down, in turn" in text
    assert all(row[4] and row[5] for row in data["rows"]), "both sides of every row"


def test_long_texts_are_cut_and_a_page_has_its_bounds(
    many: Callable[..., Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROOM", 170_000)
    run = many(**{f"x{n}": "\u200b" * 5_000 for n in range(100)}, x299="y" * 10_001)
    data, text = page_of(command, run)
    assert "rows, because it has no room for more" in text
    assert 150 < len(data["rows"]) <= 201, "one of the hundred long ones, and the short ones"
    assert (run.parent / "page.html").stat().st_size < 300_000
    assert next(row for row in data["rows"] if row[0] == "x299")[4][1] == "y" * 10_000 + " … (1 characters more)"
    assert any(row[4][1].startswith("<U+200B>") for row in data["rows"]), "one at least"


def test_a_forged_run_of_countless_codes_gets_a_page(evaluate: Evaluate, command: Command) -> None:
    run = evaluate()
    example = {"id": "x", "prompt": "?", "expected_answer": 1, "metadata": {}}
    lines = []
    for n in range(400):
        result = score_one(example, n, "Final: 2")  # type: ignore[arg-type]
        result.details["code"] = f"made_up_{n}"
        lines.append(result_line(result))
    (run / "results.jsonl").write_bytes(b"".join(lines))
    data, text = page_of(command, run)
    assert data["codes"] == ["passed", "unknown_code"]
    assert "unknown_code 400 a code that this scorer does not know" in text
    assert [row[4][3] for row in data["rows"]] == [1] * 400


@given(st.lists(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9)), unique=True)))
def test_queues_take_turns(queues: list[list[rows.Place]]) -> None:
    chosen = rows.choose(queues)
    assert set(chosen) == {place for queue in queues for place in queue}
    assert len(set(chosen)) == len(chosen)
    for first in (queue[0] for queue in queues if queue):
        assert chosen.index(first) < len(queues)


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 9))
def test_only_the_first_in_order_are_kept(codes: list[str], fits: int) -> None:
    """However many come, and whatever order they come in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ROWS", fits)
        drawn = rows.Drawn()
        for n, code in enumerate(codes):
            drawn.take((f"x{n}", 0), code)
        places = {code: [(f"x{n}", 0) for n, one in enumerate(codes) if one == code] for code in codes}
        assert drawn.queues() == [sorted(of_code, key=rows.order)[:fits] for of_code in places.values()]


def test_a_data_set_unpacks_what_was_packed(tmp_path: Path, command: Command) -> None:
    """Metadata of any shape, lone surrogates and the largest numbers come back as they were."""
    from course.datasets import load_dataset

    made: list[dict[str, Any]] = [
        {
            "id": "a\ud800",
            "prompt": "\ud800 \u00e9",
            "expected_answer": 10**18 - 1,
            "metadata": {"x": [1, {"y": None}]},
        },
        {"id": "b", "prompt": "?", "expected_answer": -5, "metadata": {"big": 10**30, "f": 0.1, "t": True}},
    ]
    loaded = load_dataset(write_rows(tmp_path / "odd.jsonl", made))
    assert list(loaded.examples.values()) == made
    assert json.loads(json.dumps(dict(loaded.examples))) == {row["id"]: row for row in made}
