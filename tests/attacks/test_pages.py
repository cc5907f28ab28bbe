"""Runs made to break their page: forged or vast texts in every field of many results. The page stays small and true."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course.core.report import rows
from course.core.runs import Result, result_line
from course.core.scoring import score_one
from tests.conftest import Command

ROOM, MANY = 200_000, 150


def forged(n: int, field: str, value: Any) -> Result:
    """A result with something else in one of its fields, or of its details."""
    example: Any = {"id": f"x{n % 4}", "prompt": "Compute 1+1.", "expected_answer": 2, "metadata": {}}
    result = score_one(example, n, "Final: 3")
    if field in result.details:
        result.details[field] = value
    else:
        setattr(result, field, value)
    return result


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("completion", "\u202e" * 50_000, id="completions of 50,000 unseen characters"),
        pytest.param("completion", "<script>" * 5_000, id="completions of markup"),
        pytest.param("completion", "\ud800" * 20_000, id="completions of lone surrogates"),
        pytest.param("prompt", "\n" * 50_000, id="prompts of newlines"),
        pytest.param("id", "i" * 50_000, id="an id as long as a book"),
        pytest.param("extracted", "9" * 50_000, id="an extracted number of 50,000 digits"),
        pytest.param("extracted", {"a": ["b"] * 9_000}, id="a list in the place of a number"),
        pytest.param("checks", {f"check {n}": True for n in range(5_000)}, id="five thousand checks"),
        pytest.param("code", "c" * 200_000, id="a code as long as a book"),
        pytest.param("expected_answer", 10**4_000, id="an expected answer of 4,000 digits"),
        pytest.param("reward", 1e308, id="a reward as large as a float"),
    ],
)
def test_a_page_stays_small(
    field: str, value: Any, evaluate: Callable[..., Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROOM", ROOM)
    run, out = evaluate(), evaluate().parent / "page.html"
    assert command("course.report", run, "--out", out).code == 0
    size = out.stat().st_size
    lines = (result_line(forged(n, field, value)) for n in range(MANY))
    (run / "results.jsonl").write_bytes(b"".join(lines))
    done = command("course.report", run, "--out", out)
    assert done.code == 1, done.err
    assert done.err == ""
    text = out.read_text(encoding="utf-8")
    assert "is tampered or damaged" in text
    assert f"/{MANY} = " in text, "what is counted is counted over all"
    assert len(text) < size + 2 * ROOM
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    assert len(json.loads(found[1])["rows"]) > 0
