"""Scored in pieces, by whoever has the time: the run is the one of `course.eval`, byte for byte."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.core.command_line import run_command
from course.core.experiment import RunOptions
from course.core.files import InputError
from course.core.golden import golden_gate
from course.core.measurement import Measurement, write_run
from tests.conftest import ROOT, write_rows
from transfer import score_many
from transfer.pieces import Piece, Scored, pieces_of, score_piece
from transfer.score_many import Settings, Shards

GATE = golden_gate()
EXAMPLES = 6


def here(pieces: list[Piece], sha256: str, settings: Settings) -> Iterator[Scored]:
    """What Ray's workers do, in this process."""
    for piece in pieces:
        yield pickle.loads(score_piece(piece, settings.dataset, sha256))


def data_in(folder: Path) -> Path:
    rows = [{"id": f"q{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(EXAMPLES)]
    return write_rows(folder / "mine_dev.jsonl", rows)


def outcome(make: Callable[[], Measurement], runs: Path) -> tuple[bytes, bytes, Any] | str:
    """Results, summary and what the manifest says of a run; or the error, without the file's name."""
    try:
        saved, _ = write_run(make(), RunOptions(runs_dir=runs), GATE)
    except InputError as error:
        return f"{error.line}: {error.reason}"
    told = {name: getattr(saved.manifest, name) for name in ("dataset", "completions", "policy", "sampling", "files")}
    return (saved.folder / "results.jsonl").read_bytes(), (saved.folder / "summary.json").read_bytes(), told


LINES = st.one_of(
    st.builds(
        lambda n, s, text, why: json.dumps({"id": f"q{n}", "sample": s, "completion": text, **why}),
        st.integers(0, EXAMPLES),  # one more than there are
        st.sampled_from([0, 1, 2, 3, 5000]),
        st.one_of(st.none(), st.sampled_from(["Final: 1", "Final: 2\n", "Final: 3 "]), st.text(max_size=300)),
        st.sampled_from([{}, {}, {"finish_reason": "length"}, {"metadata": {"a": [1]}}, {"error": "lost"}]),
    ),
    st.sampled_from(["", "   ", "{", '{"id": "q1"}', "\ufeff" + '{"id": "q1", "completion": "Final: 2"}', "nonsense"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(LINES, max_size=8), min_size=1, max_size=3),
    st.integers(1, 400),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from([None, 4]),
)
def test_any_pieces_give_the_run_of_eval(
    monkeypatch: pytest.MonkeyPatch, shards: list[list[str]], size: int, end: str, ended: bool, samples: int | None
) -> None:
    """Faults included: the first one is named with its line, in the file that it stands in."""
    monkeypatch.setattr(score_many, "score_on_ray", here)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, whole, files = data_in(folder), folder / "completions.jsonl", []
        for number, lines in enumerate(shards):
            files.append(folder / f"shard_{number}.jsonl")
            text = end.join(lines) + (end if lines and (ended or number < len(shards) - 1) else "")
            files[-1].write_bytes(text.encode("utf-8"))
        whole.write_bytes(b"".join(file.read_bytes() for file in files))
        many = Settings(dataset=data, completions=tuple(files), whole=whole, samples=samples, piece=size)
        found = outcome(lambda: Shards(many), folder / "a")
        expected = outcome(lambda: Measurement(data, whole, samples), folder / "b")
        if any("\ufeff" in lines[0] for lines in shards[1:] if lines):
            return  # a file may begin with a mark, and the one that they make may not have it in its middle
        if isinstance(expected, str) and isinstance(found, str):
            before = [file.read_bytes().count(b"\n") for file in files]
            line, reason = expected.split(": ", 1)
            where = {line} if line == "None" else {str(int(line) - sum(before[:n])) for n in range(len(files))}
            told, why = found.split(": ", 1)
            assert told in where
            assert why.replace(str(files[0]), str(whole)) == reason
        else:
            assert found == expected


@given(st.binary(max_size=200), st.integers(1, 50))
def test_pieces_hold_every_line_once(data: bytes, size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file"
        path.write_bytes(data)
        read = [piece.read() for piece in pieces_of([path], size)]
    assert b"".join(read) == data
    assert all(not part or part.endswith(b"\n") or not any(read[at + 1 :]) for at, part in enumerate(read))


def command(folder: Path, module: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words), "--runs-dir", folder / "runs"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(parent: int) -> list[int]:
    """The processes that score, of a Ray that a process has started."""
    told = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 1) for line in told.splitlines()[1:]]
    return [int(pid) for pid, words in rows if words.startswith("ray::Map")]


def test_a_killed_worker_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """On a real Ray: a worker is killed at work, and the run is the one of `eval`."""
    rows = [{"id": f"q{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(2000)]
    data, files = write_rows(tmp_path / "mine_dev.jsonl", rows), []
    for shard in range(2):
        said = [
            {"id": f"q{n}", "sample": s, "completion": f"Final: {n + s}"}
            for n in range(1000 * shard, 1000 * shard + 1000)
            for s in range(60)
        ]
        files.append(write_rows(tmp_path / f"shard_{shard}.jsonl", said))
    whole = tmp_path / "completions.jsonl"
    whole.write_bytes(b"".join(file.read_bytes() for file in files))
    alone = command(tmp_path, "course.eval", "--dataset", data, "--completions", whole)
    alone.communicate()
    words = ("--dataset", data, "--completions", *files, "--workers", 2, "--piece", 100_000)
    many = command(tmp_path, "transfer.score_many", *words)
    killed: list[int] = []

    def kill() -> None:
        while many.poll() is None and not killed:
            for pid in workers_of(many.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    out, err = many.communicate()
    killer.join()
    assert many.returncode == 0, err
    assert killed, "no worker was seen at work"
    for name in ("results.jsonl", "summary.json"):
        first, second = (tmp_path / "runs" / run / name for run in ("run_001", "run_002"))
        assert first.read_bytes() == second.read_bytes()
    assert err == ""
    assert f"cat {files[0]} {files[1]} > {whole}" in out


def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*words: object) -> str:
        monkeypatch.setattr(
            sys, "argv", ["transfer.score_many", *map(str, words), "--runs-dir", str(tmp_path / "runs")]
        )
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run_command(score_many.main)
        assert end.value.code == 2
        return capsys.readouterr().err

    data, said = data_in(tmp_path), write_rows(tmp_path / "said.jsonl", [{"id": "q0", "completion": "Final: 1"}])
    assert fails("--dataset", data, "--completions", tmp_path / "no.jsonl").endswith("No such file or directory\n")
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = fails("--dataset", data, "--completions", said)
    assert missing == f"error: transfer.score_many: {score_many.NOT_INSTALLED}\n"
    assert not list((tmp_path / "runs").iterdir())
