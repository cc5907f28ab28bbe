"""Answers that are absent, failed or cut off: none of them may leave the denominator in silence."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Command, write_rows

Lost = Callable[..., tuple[Path, Path]]


@pytest.fixture
def lost(tmp_path: Path) -> Lost:
    """50 prompts asked 8 times, and what came back: as given for each (prompt, sample); None is no row at all."""

    def made(answer: Callable[[int, int], dict[str, Any] | None]) -> tuple[Path, Path]:
        data = write_rows(
            tmp_path / "fifty_dev.jsonl", [{"id": f"x{n}", "prompt": f"{n}", "expected_answer": n} for n in range(50)]
        )
        asked = [(n, s, answer(n, s)) for n in range(50) for s in range(8)]
        kept = [{"id": f"x{n}", "sample": s, **row} for n, s, row in asked if row is not None]
        return data, write_rows(tmp_path / "said.jsonl", kept)

    return made


def only_a_few(n: int, s: int) -> dict[str, Any] | None:
    """57 answers of 400, all right."""
    return {"completion": f"Final: {n}"} if s == 0 or (s == 1 and n < 7) else None


def evaluated(command: Command, data: Path, said: Path, tmp_path: Path, *words: object) -> tuple[str, dict[str, Any]]:
    done = command("course.eval", "--dataset", data, "--completions", said, "--runs-dir", tmp_path / "runs", *words)
    assert done.code == 0, done.err
    run = sorted((tmp_path / "runs").glob("run_*"))[-1]
    assert command("course.verify_run", "--run", run).code == 0
    return done.out, json.loads((run / "summary.json").read_text())


def test_where_nothing_says_how_many_were_asked_the_numbers_are_warned_of(
    command: Command, lost: Lost, tmp_path: Path
) -> None:
    out, _ = evaluated(command, *lost(only_a_few), tmp_path)
    assert "WARNING: from 1 to 2 answers an example, 57 over 50 examples, where 2 each would be 100." in out


def test_where_it_is_said_each_absent_answer_fails(command: Command, lost: Lost, tmp_path: Path) -> None:
    out, summary = evaluated(command, *lost(only_a_few), tmp_path, "--samples", 8)
    assert "Pass rate: 57/400 = 14.2 %" in out
    assert "343 of 400 answers: no completion came" in out
    assert summary["failures"] == {"missing_completion": 343}
    assert summary["completions"] == 57


def test_a_sidecar_says_it_too(command: Command, lost: Lost, tmp_path: Path) -> None:
    data, said = lost(only_a_few)
    how = ("--policy", "p", "--temperature", 1, "--top-p", 1, "--max-new-tokens", 9, "--seed", 0)
    uneven = command("course.datasets.describe", "--dataset", data, "--completions", said, *how)
    assert uneven.code == 2
    assert "say with --samples how many were asked" in uneven.err
    done = command("course.datasets.describe", "--dataset", data, "--completions", said, *how, "--samples", 8)
    assert "343 answers of 400 are absent" in done.out
    out, summary = evaluated(command, data, said, tmp_path)
    assert summary["scored"] == 400
    assert "343 of 400" in out


def test_a_sidecar_that_says_8_over_one_sample_each_fails_seven(command: Command, lost: Lost, tmp_path: Path) -> None:
    data, said = lost(lambda n, s: {"completion": f"Final: {n}"} if s == 0 else None)
    how = ("--policy", "p", "--temperature", 1, "--top-p", 1, "--max-new-tokens", 9, "--seed", 0, "--samples", 8)
    command("course.datasets.describe", "--dataset", data, "--completions", said, *how)
    _, summary = evaluated(command, data, said, tmp_path)
    assert summary["pass_rate"] == 1 / 8


@pytest.mark.parametrize("samples", [1, 4, 7])
def test_more_answers_than_were_asked_for_are_refused(
    samples: int, command: Command, lost: Lost, tmp_path: Path
) -> None:
    data, said = lost(lambda n, s: {"completion": ""})
    words = ("--dataset", data, "--completions", said, "--samples", samples, "--runs-dir", tmp_path / "runs")
    done = command("course.eval", *words)
    assert done.code == 2
    assert f"8 samples of 'x0', where {samples} were asked for" in done.err
    assert list((tmp_path / "runs").glob("*")) == []


def test_samples_against_the_sidecar_are_refused(command: Command, lost: Lost, tmp_path: Path) -> None:
    data, said = lost(lambda n, s: {"completion": ""})
    how = ("--policy", "p", "--temperature", 1, "--top-p", 1, "--max-new-tokens", 9, "--seed", 0)
    command("course.datasets.describe", "--dataset", data, "--completions", said, *how)
    done = command(
        "course.eval", "--dataset", data, "--completions", said, "--samples", 9, "--runs-dir", tmp_path / "runs"
    )
    assert done.code == 2
    assert "the sidecar says that 8 were asked for, not 9" in done.err


def test_failed_requests_stay_in_the_denominator_and_are_counted_apart(
    command: Command, lost: Lost, tmp_path: Path
) -> None:
    out, summary = evaluated(
        command,
        *lost(
            lambda n, s: {"completion": None, "error": "429 slow down\x1b[31m"} if s else {"completion": f"Final: {n}"}
        ),
        tmp_path,
    )
    assert "Pass rate: 50/400 = 12.5 %" in out
    assert "350 of 400 answers: the request failed" in out
    assert summary["failures"] == {"failed_request": 350}
    assert summary["completions"] == 50
    run = tmp_path / "runs" / "run_001"
    shown = command("course.inspect_run", "--run", run, "--code", "failed_request", "--top-k", 1).out
    assert "429 slow down" in shown
    assert "\x1b" not in shown


def test_truncated_answers_are_named_and_kept(command: Command, lost: Lost, tmp_path: Path) -> None:
    out, summary = evaluated(
        command,
        *lost(lambda n, s: {"completion": "Let me", "finish_reason": ("stop", "length")[s % 2], "metadata": {"s": s}}),
        tmp_path,
    )
    assert "200 of 400 answers were cut off (finish_reason length)" in out
    assert summary["finish_reasons"] == {"length": 200, "stop": 200}
    second = json.loads((tmp_path / "runs" / "run_001" / "results.jsonl").read_text().splitlines()[1])
    assert (second["finish_reason"], second["metadata"]) == ("length", {"s": 1})
    page = tmp_path / "page.html"
    command("course.report", tmp_path / "runs" / "run_001", "--out", page)
    assert "were cut off" in page.read_text(encoding="utf-8")


def test_pass_at_k_counts_lost_answers_as_failures(command: Command, lost: Lost, tmp_path: Path) -> None:
    _, summary = evaluated(command, *lost(only_a_few), tmp_path, "--samples", 8)
    assert list(summary["pass_at_k"]) == ["1", "2", "4", "8"]
    assert summary["pass_at_k"]["8"] == 1.0
    assert summary["pass_at_k"]["1"] == pytest.approx(57 / 400)


def test_samples_numbered_from_one_are_not_lost(command: Command, lost: Lost, tmp_path: Path) -> None:
    data, said = lost(lambda n, s: {"completion": f"Final: {n}", "sample": s + 1})
    _, summary = evaluated(command, data, said, tmp_path, "--samples", 8)
    assert summary["passes"] == summary["scored"] == 400


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is asked of the system here")
def test_vast_sample_numbers_cost_no_memory(tmp_path: Path) -> None:
    rows = [{"id": f"x{n}", "prompt": "p", "expected_answer": n} for n in range(4000)]
    data = write_rows(tmp_path / "many.jsonl", rows)
    said = write_rows(
        tmp_path / "said.jsonl", [{"id": f"x{n}", "completion": "", "sample": 999_999} for n in range(4000)]
    )
    measured = (
        "import re, sys; from course.eval import main; main();"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    words = ("-c", measured, "--dataset", data, "--completions", said, "--runs-dir", tmp_path / "runs")
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True, capture_output=True, text=True)
    assert int(done.stderr) < 300_000, "kilobytes"
    duplicate = write_rows(tmp_path / "twice.jsonl", [{"id": "x0", "completion": "", "sample": 999_999}] * 2)
    words = ("-m", "course.eval", "--dataset", data, "--completions", duplicate, "--runs-dir", tmp_path / "runs")
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "line 2: duplicate id 'x0', sample 999999" in done.stderr
