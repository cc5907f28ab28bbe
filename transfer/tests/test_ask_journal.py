"""The file of answers: wherever it is torn, nothing else is lost; whatever else is wrong with it is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.core.files import InputError
from transfer.clients import Answer
from transfer.clients.journal import Journal

ASKED = {"policy": "m", "temperature": 1.0, "stop": ["\n"]}
TEXTS = st.none() | st.text(st.characters())  # lone surrogates among them


def kept(path: Path, asked: dict[str, object] = ASKED) -> list[Answer]:
    journal = Journal(path, asked)
    journal.close()
    return list(journal.answers.values())


def written(path: Path, answers: list[Answer]) -> bytes:
    journal = Journal(path, ASKED)
    for answer in answers:
        journal.record(answer)
    journal.close()
    return path.read_bytes() if path.exists() else b""


@given(st.lists(st.tuples(st.text(st.characters(), min_size=1), TEXTS, TEXTS), unique_by=lambda row: row[0]))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.asked"
    answers = [Answer(id=key, sample=0, content=text, reasoning=more) for key, text, more in rows]
    written(path, answers)
    assert kept(path) == answers


def test_torn_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.asked"
    answers = [Answer(id=f"é{number}", sample=number, content='{"x":1}\n') for number in range(4)]
    whole = written(path, answers)
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        lines = whole[:size].count(b"\n")
        assert kept(path) == answers[: max(0, lines - 1)]
        if lines > 1:
            assert written(path, answers[lines - 1 :]) == whole  # what was lost is written again, and all is as it was


def test_a_long_torn_line_is_cut_away(tmp_path: Path) -> None:
    path = tmp_path / "a.asked"
    whole = written(path, [Answer(id="a", sample=0, content="x" * 200_000)])
    path.write_bytes(whole + b"y" * 200_000)
    assert len(kept(path)) == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{}", "missing required field"),
        (b'{"id":"a","sample":0,"content":"twice"}', "'a', sample 0, is answered twice"),
        (b'{"id":"b","sample":0,"sample":1}', "duplicate key 'sample'"),
        (b'{"id":"b","sample":0,"usage":{"x":NaN}}', "NaN"),
        (b"\xff", "not UTF-8"),
        (b"", "malformed JSON"),
    ],
)
def test_damage_is_named_and_nothing_is_changed(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.asked"
    damaged = written(path, [Answer(id="a", sample=0, content="x")]) + line + b"\n"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=rf"a\.asked, line 3: .*{reason}"):
        kept(path)
    assert path.read_bytes() == damaged


def test_a_failed_answer_may_be_followed_by_another(tmp_path: Path) -> None:
    path = tmp_path / "a.asked"
    answers = [Answer(id="a", sample=0, error="503"), Answer(id="a", sample=0, content="x", attempts=2)]
    written(path, answers)
    assert kept(path) == answers[1:]


def test_without_an_answer_nothing_binds(tmp_path: Path) -> None:
    path = tmp_path / "a.asked"
    assert kept(path) == []
    assert not path.exists()
    path.write_text(json.dumps({"asked": {"policy": "other"}}) + "\n")
    assert kept(path) == []
    written(path, [Answer(id="a", sample=0, content="x")])
    with pytest.raises(InputError, match=r"policy was .m., now .other."):
        kept(path, {**ASKED, "policy": "other"})
