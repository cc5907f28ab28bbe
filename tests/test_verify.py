"""A run is believed because it can be remade: any change of any byte shows, and is named to the line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course.core.files import InputError, sha256_file
from course.core.manifest import sealed_bytes
from course.core.runs import damage, is_intact
from course.core.verification import verify
from tests.conftest import DEV, ROLLOUTS, Command

Evaluate = Callable[..., Path]


def test_a_fresh_run_verifies(command: Command, evaluate: Evaluate) -> None:
    run = evaluate(data=DEV, said=ROLLOUTS)
    assert not verify(run).wrong
    done = command("course.verify_run", "--run", run)
    assert done.code == 0
    assert "verified" in done.out


def test_flipping_any_byte_of_any_file_is_detected(evaluate: Evaluate) -> None:
    """Exhaustive over bytes: each is replaced in turn, by its neighbour and by a newline."""
    run = evaluate()
    files = sorted(run.iterdir())
    assert [path.name for path in files] == ["manifest.json", "results.jsonl", "summary.json"]
    for path in files:
        original = path.read_bytes()
        for place in range(len(original)):
            for other in {original[place] ^ 1, 0x0A} - {original[place]}:
                path.write_bytes(original[:place] + bytes([other]) + original[place + 1 :])
                try:
                    assert damage(run), f"{path.name}, byte {place}"
                except InputError:
                    assert path.name == "manifest.json"
        path.write_bytes(original)
    assert damage(run) == []


def test_flipping_any_byte_of_a_line_names_the_line(evaluate: Evaluate) -> None:
    lines = (evaluate() / "results.jsonl").read_bytes().splitlines(keepends=True)
    for line in lines:
        assert is_intact(line)
        for place in range(len(line)):
            assert not is_intact(line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :])


def reseal(run: Path) -> None:
    """What a forger does: make every hash of the run fit again."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    del manifest["seal"]
    manifest["files"] = {name: sha256_file(run / name) for name in manifest["files"]}
    (run / "manifest.json").write_bytes(sealed_bytes(manifest))


def edit_line(run: Path, number: int, **fields: Any) -> None:
    """Change fields of one result, its checksum left as it was."""
    path = run / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    row = json.loads(lines[number - 1])
    row.update(fields)
    lines[number - 1] = json.dumps(row, separators=(",", ":")) + "\n"
    path.write_text("".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({"reward": 1.0}, "line 2: x1, sample 0: the reward stored is 1, the scorer gives 0"),
        ({"completion": "Final: 2"}, "line 2: x1, sample 0: the completion is not that of the originals"),
        ({"expected_answer": 7}, "line 2: x1, sample 0: the expected_answer is not that of the originals"),
        ({"expected_answer": 10**18}, "line 2: x1, sample 0: the expected_answer is not that of the originals"),
        ({"details": {"code": None}}, "line 2: x1, sample 0: the details stored are not what the scorer gives"),
        ({"prompt": "Compute 2+2."}, "line 2: x1, sample 0: the prompt is not that of the originals"),
        ({"id": "x0"}, "line 2: x0, sample 0: the id is not that of the originals"),
        ({"sample": 9}, "line 2: x1, sample 9: the sample is not that of the originals"),
    ],
)
@pytest.mark.parametrize("forged", [False, True], ids=["edited", "edited, and all hashes made to fit"])
def test_an_edited_result_is_named_to_the_line(
    fields: dict[str, Any], finding: str, forged: bool, evaluate: Evaluate, command: Command
) -> None:
    run = evaluate()
    edit_line(run, 2, **fields)
    if forged:
        reseal(run)
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert finding in done.out
    if not forged:
        assert "results.jsonl, line 2: the line does not fit its checksum" in done.out


def test_an_edited_summary_is_named_to_the_field(evaluate: Evaluate) -> None:
    run = evaluate()
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "pass_rate": 0.99}))
    wrong = verify(run).wrong
    assert wrong == [
        "summary.json: changed since the run was sealed",
        "summary.json, pass_rate: it says 0.99, the originals give 0.25",
    ]


def test_a_summary_that_is_no_object_is_a_finding_and_no_traceback(command: Command, evaluate: Evaluate) -> None:
    run = evaluate()
    (run / "summary.json").write_text("[]", encoding="utf-8")
    differences = verify(run).wrong
    assert differences[0] == "summary.json: changed since the run was sealed"
    assert "Expected `object`, got `array`" in differences[-1]
    assert command("course.verify_run", "--run", run).code == 1


def test_rows_taken_away_added_and_moved(evaluate: Evaluate) -> None:
    run = evaluate()
    path = run / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[0]], lines[::-1]):
        path.write_bytes(b"".join(changed))
        wrong = verify(run).wrong
        assert "results.jsonl: every line is whole, so lines were added, removed or moved" in wrong


def test_an_emptied_results_file_is_found(command: Command, evaluate: Evaluate) -> None:
    run, other = evaluate(), evaluate()
    (run / "results.jsonl").write_bytes(b"")
    assert command("course.verify_run", "--run", run).code == 1
    assert command("course.compare", run, other).code == 1
    assert "THIS RUN IS DAMAGED" in command("course.inspect_run", "--run", run).out


def test_a_scorer_that_raises_accuses_no_run_of_lacking_anything(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = evaluate()

    def broken(example: Any, completion: Any) -> dict[str, Any]:
        raise KeyError(1)

    monkeypatch.setattr("course.core.scoring.score", broken)
    found = verify(run)
    assert found.wrong == []
    assert found.unchecked == ["today's core raises KeyError(1)"]


def test_a_missing_file_is_named(evaluate: Evaluate) -> None:
    run = evaluate()
    (run / "summary.json").unlink()
    assert verify(run).wrong == ["summary.json: missing"]
    run = evaluate()
    (run / "results.jsonl").unlink()
    assert verify(run).wrong == ["results.jsonl: missing"]


def test_a_run_may_be_moved_and_looked_at_in_a_file_manager(evaluate: Evaluate, tmp_path: Path) -> None:
    run = evaluate().rename(tmp_path / "elsewhere")
    (run / ".DS_Store").write_bytes(b"")
    assert verify(run).verified


def test_what_cannot_be_checked_is_said(evaluate: Evaluate, completions: Path) -> None:
    run = evaluate()
    completions.write_text('{"id": "x0", "completion": ""}\n')
    found = verify(run)
    wrong, remarks = found.wrong, found.unchecked
    assert wrong == []
    assert "has changed since" in remarks[0]
    completions.unlink()
    assert "is not found from here" in verify(run).unchecked[0]


def test_another_scorer_is_not_taken_for_tampering(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    run = evaluate()
    monkeypatch.setattr("course.score.SPEC_VERSION", "2")
    found = verify(run)
    wrong, remarks = found.wrong, found.unchecked
    assert wrong == []
    assert "the scorer is not the one that made this run" in remarks[0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 2, "files": {}}', '{"a": 1, "a": 2}'])
def test_a_folder_that_is_no_run(content: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    done = command("course.verify_run", "--run", tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"error: {tmp_path / 'manifest.json'}: ")
    assert done.err.count("\n") == 1


def test_no_run_at_all(command: Command, tmp_path: Path) -> None:
    assert command("course.verify_run", "--run", tmp_path / "none").err == f"error: {tmp_path / 'none'}: no such run\n"
    assert "not a run: it has no manifest.json" in command("course.verify_run", "--run", tmp_path).err


def test_a_run_with_nothing_but_a_sealed_manifest(command: Command, evaluate: Evaluate, tmp_path: Path) -> None:
    manifest = json.loads((evaluate() / "manifest.json").read_text(encoding="utf-8"))
    del manifest["seal"]
    (tmp_path / "manifest.json").write_bytes(sealed_bytes({**manifest, "files": {}}))
    assert "results.jsonl: missing" in command("course.verify_run", "--run", tmp_path).out
    (tmp_path / "manifest.json").write_bytes(sealed_bytes({"format": 1, "files": {}}))
    assert command("course.verify_run", "--run", tmp_path).code == 2, "it says neither loop nor scorer"
