"""However a command ends, and however many end at once: whole runs, each with a number of its own, and nothing else."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from course.core import durable
from course.core.command_line import run_command
from course.core.files import InputError, write_whole
from course.core.manifest import load_manifest
from course.core.runs import RunWriter, list_runs
from course.core.verification import verify
from tests.conftest import PACK, ROOT, Command, write_rows

TraceFunction = Callable[[FrameType, str, Any], Any]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and locks as POSIX has them")

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
STOPPED = r"stopped by SIG\w+: nothing is left half-written\n"
SECONDS = 120  # for whatever is surely over in ten


def big_files(folder: Path, rows: int = 100_000) -> list[str]:
    """The words of an evaluation that takes a second or so."""
    examples = [{"id": f"x{n}", "prompt": "p" * 50, "expected_answer": n} for n in range(500)]
    said = ({"id": f"x{n % 500}", "completion": f"Final: {n // 500}", "sample": n // 500} for n in range(rows))
    dataset, completions = write_rows(folder / "big_dev.jsonl", examples), write_rows(folder / "big.jsonl", list(said))
    return ["course.eval", "--dataset", str(dataset), "--completions", str(completions)]


def begin(*words: object, runs: Path) -> "subprocess.Popen[str]":
    """A command under way; it listens to Ctrl-C even where this process was started in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words), "--runs-dir", str(runs)],
        cwd=ROOT,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_to_the_end(child: "subprocess.Popen[str]") -> None:
    _, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, err


def wait_for(child: "subprocess.Popen[str]", folder: Path, pattern: str) -> None:
    """Until the command has made what the pattern says."""
    while not list(folder.glob(pattern)):
        assert child.poll() is None, child.communicate()
        time.sleep(0.001)


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_a_signal_cleans_up_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    words = big_files(tmp_path)
    for attempt in range(5):  # on a machine that stands still for a second the signal comes too late
        child = begin(*words, runs=tmp_path / f"runs_{attempt}")
        wait_for(child, tmp_path, f"runs_{attempt}/.unfinished-*/results.jsonl")
        child.send_signal(number)
        _, err = child.communicate(timeout=SECONDS)
        if child.returncode != 0:
            break
    assert child.returncode == 128 + number
    assert err == f"stopped by {number.name}: nothing is left half-written\n"
    assert list((tmp_path / f"runs_{attempt}").iterdir()) == []


@pytest.mark.parametrize("first", SIGNALS, ids=[number.name for number in SIGNALS])
def test_more_signals_while_it_cleans_up_change_nothing(first: signal.Signals, tmp_path: Path) -> None:
    child = begin(*big_files(tmp_path), runs=tmp_path / "runs")
    wait_for(child, tmp_path, "runs/.unfinished-*/results.jsonl")
    child.send_signal(first)
    while child.poll() is None:
        child.send_signal(random.choice(SIGNALS))
        time.sleep(0.0005)
    _, err = child.communicate(timeout=SECONDS)
    assert child.returncode - 128 in SIGNALS or -child.returncode in SIGNALS, "at the very end, the system's way"
    assert re.fullmatch(STOPPED, err)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_a_signal_that_was_ignored_stays_ignored(number: signal.Signals, tmp_path: Path) -> None:
    """As `nohup` and a shell's `&` set it."""
    words = [sys.executable, "-m", *big_files(tmp_path, rows=20_000), "--runs-dir", str(tmp_path / "runs")]
    ignore = subprocess.Popen(
        words, cwd=ROOT, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN), stdout=subprocess.DEVNULL, text=True
    )
    wait_for(ignore, tmp_path, "runs/.unfinished-*/results.jsonl")
    ignore.send_signal(number)
    assert ignore.wait(SECONDS) == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run_001"]


def test_a_signal_at_any_line_of_a_writer_leaves_nothing(
    tmp_path: Path, evaluate: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line of `durable`, `RunWriter` and `write_whole` is a moment at which Ctrl-C may strike."""
    manifest, moment = load_manifest(evaluate()), 1

    def main() -> None:
        runs = tmp_path / str(moment)
        with RunWriter(runs) as run:
            run.write("x", b"x")
            write_whole(runs / ".reinforce" / "state", b"x")
            with durable.locked(runs):
                run.finish(manifest)

    def struck() -> bool:
        """Strike at the moment. Does the command get to it?"""
        passed = 0

        def trace(frame: FrameType, event: str, _: object) -> TraceFunction | None:
            nonlocal passed
            name, code = frame.f_code.co_filename, frame.f_code.co_qualname
            if not name.endswith("core/durable.py") and not code.startswith(("RunWriter", "write_whole")):
                return None
            passed += event == "line"
            if passed == moment and event == "line":
                os.kill(os.getpid(), signal.SIGTERM)
            return trace

        sys.settrace(trace)
        try:
            with pytest.raises(SystemExit) as end:
                run_command(main)
        finally:
            sys.settrace(None)
        assert end.value.code == (128 + signal.SIGTERM if passed >= moment else 0)
        return passed >= moment

    while struck():
        assert capsys.readouterr().err == "stopped by SIGTERM: nothing is left half-written\n"
        assert not list(tmp_path.rglob(".unfinished-*"))
        runs = tmp_path / str(moment)
        assert len(list(runs.glob("run_*"))) == len(list_runs(runs))
        assert not durable.begun
        moment += 1
    assert moment > 80


STRUCK_IN_A_DESTRUCTOR = """
import os, signal, time, weakref
from course.core.command_line import run_command

class Struck:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

def main():
    Struck()
    time.sleep(20)

run_command(main)
"""


def test_a_signal_in_a_destructor_is_not_lost(tmp_path: Path) -> None:
    """Python swallows what is raised there, and prints it."""
    done = subprocess.run([sys.executable, "-c", STRUCK_IN_A_DESTRUCTOR], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == "stopped by SIGTERM: nothing is left half-written\n"


TURNED_INTO_ANOTHER_ERROR = """
import os, signal
from course.core.command_line import run_command

def main():
    try:
        os.kill(os.getpid(), signal.{name})
    except KeyboardInterrupt:
        raise ValueError("Invalid bounding box") from None

run_command(main)
"""


@pytest.mark.parametrize(("name", "code", "said"), [("SIGTERM", 143, "stopped by SIGTERM"), ("SIGCONT", 0, "")])
def test_a_signal_that_a_library_turns_into_another_error_still_ends_in_a_line(name: str, code: int, said: str) -> None:
    """As matplotlib's compiled code does when it is struck while it draws."""
    words = [sys.executable, "-c", TURNED_INTO_ANOTHER_ERROR.format(name=name)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, f"{said}: nothing is left half-written\n" if said else "")


# Leftovers of what was killed.


def killed(folder: Path) -> Path:
    """A runs folder in which an evaluation was killed in the middle."""
    child = begin(*big_files(folder), runs=folder / "runs")
    wait_for(child, folder, "runs/.unfinished-*/results.jsonl")
    child.kill()
    child.communicate()
    assert len(list((folder / "runs").glob(".unfinished-*"))) == 1
    return folder / "runs"


def test_the_next_command_removes_what_a_killed_one_left_and_says_so(
    tmp_path: Path, command: Command, dataset: Path, completions: Path
) -> None:
    runs = killed(tmp_path)
    left = next(runs.glob(".unfinished-*"))
    done = command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs)
    assert done.code == 0
    assert done.err == f"removed {left}, left by a command that was killed\n"
    assert [path.name for path in runs.iterdir()] == ["run_001"]


def test_what_a_living_command_writes_is_left_alone(
    tmp_path: Path, command: Command, dataset: Path, completions: Path
) -> None:
    runs = tmp_path / "runs"
    with RunWriter(runs) as writer:
        writer.write("mine", b"x")
        done = command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs)
        assert (done.code, done.err) == (0, "")
        assert (writer.folder / "mine").read_bytes() == b"x"
    assert [path.name for path in runs.iterdir()] == ["run_001"]


NOT_OURS = [
    "unfinished",
    ".unfinished",
    ".unfinished-1",
    ".unfinished-0123456789abcdeg",
    ".x.0123456789abcdef.unfinished",
]


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_is_not_ours_is_left_alone(name: str, tmp_path: Path) -> None:
    mine = tmp_path / name
    mine.write_text("mine")
    write_whole(tmp_path / "x", b"y")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "x"])


def test_a_link_that_bears_such_a_name_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / ".unfinished-0123456789abcdef").symlink_to(tmp_path / "mine")
    write_whole(tmp_path / "x", b"y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "x"]
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "x"
    write_whole(place, b"old")

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "sync", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_whole(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]


def test_all_of_a_run_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, dataset: Path, completions: Path
) -> None:
    """Every file and folder is synced before the rename, and the runs folder after it."""
    synced: list[str] = []
    sync, rename = durable.sync, Path.rename

    def noted(path: Path) -> None:
        synced.append(path.name)
        sync(path)

    def renamed(path: Path, to: Path) -> Path:
        synced.append("rename")
        return rename(path, to)

    monkeypatch.setattr(durable, "sync", noted)
    monkeypatch.setattr(Path, "rename", renamed)
    runs = tmp_path / "runs"
    assert command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs).code == 0
    at = synced.index("rename")
    assert {"results.jsonl", "summary.json", "manifest.json"} < set(synced[:at])
    assert synced[at - 1].startswith(".unfinished-")
    assert synced[at + 1 :] == ["runs"]


# Many at once.


def test_runs_that_end_together_count_each_other(tmp_path: Path) -> None:
    """Eight looks at one holdout at the same time: 0 to 7 looks came before, in some order."""
    rows = [{"id": f"x{n}", "prompt": f"p{n}", "expected_answer": n} for n in range(4)]
    data = write_rows(tmp_path / "set_holdout.jsonl", rows)
    said = write_rows(tmp_path / "said.jsonl", [{"id": "x0", "completion": "Final: 0"}])
    words = ("course.eval", "--dataset", data, "--completions", said)
    children = [begin(*words, runs=tmp_path / "runs") for _ in range(8)]
    assert [child.communicate()[1] for child in children] == [""] * 8
    runs = list_runs(tmp_path / "runs")
    assert [run.name for run in runs] == [f"run_{n:03d}" for n in range(1, 9)]
    assert [load_manifest(run).circumstances.earlier_looks_at_this_holdout for run in runs] == list(range(8))
    assert len(list((tmp_path / "runs").iterdir())) == 8


def test_many_write_one_file_and_it_is_always_whole(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from course.core.files import write_whole\n"
        "for _ in range(50): write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 100_000)"
    )
    place = tmp_path / "x"
    write_whole(place, b"z" * 100_000)
    children = [subprocess.Popen([sys.executable, "-c", code, str(place), letter], cwd=ROOT) for letter in "abcd"]
    while any(child.poll() is None for child in children):
        data = place.read_bytes()
        assert len(data) == 100_000
        assert len(set(data)) == 1
    assert [child.returncode for child in children] == [0] * 4
    assert list(tmp_path.iterdir()) == [place]


# Kills at random moments.


def commands(folder: Path) -> Iterator[list[str]]:
    """Small commands that write runs, again and again."""
    rows = PACK.read_text(encoding="utf-8").splitlines()[:400]
    pack = folder / "pack.jsonl"
    pack.write_text("\n".join(rows) + "\n", encoding="utf-8")
    ids = {json.loads(row)["id"] for row in rows}
    data = (json.loads(row) for row in (ROOT / "data" / "datasets" / "math_dev.jsonl").read_text("utf-8").splitlines())
    dataset = write_rows(folder / "few_dev.jsonl", [row for row in data if row["id"] in ids])
    evaluation = big_files(folder, rows=20_000)
    choice = ["course.selection_demo", "--dataset", str(dataset), "--pack", str(pack)]
    while True:
        yield evaluation
        yield choice


def kill_at_random(folder: Path, kills: int, commands: Iterator[list[str]], seed: int) -> Counter[str]:
    """Kill commands at random moments. Returns how each ended; raises AssertionError where one left what it should not.

    SIGINT before Python has come to the course prints what Python prints; nothing of the course is in it.
    """
    rng, runs, ended = random.Random(seed), folder / "runs", Counter[str]()
    seconds: dict[str, float] = {}
    for _ in range(kills):
        words = next(commands)
        if words[0] not in seconds:
            began = time.monotonic()
            run_to_the_end(begin(*words, runs=runs))
            seconds[words[0]] = time.monotonic() - began
        child, number = begin(*words, runs=runs), rng.choice([signal.SIGKILL, *SIGNALS])
        time.sleep(rng.uniform(0, 1.05 * seconds[words[0]]))
        before = set(runs.iterdir())
        child.send_signal(number)
        _, err = child.communicate(timeout=SECONDS)
        left = set(runs.iterdir()) - before - set(list_runs(runs))
        started = "Traceback" not in err or "course" in err
        assert not started or not err or re.fullmatch(rf"(removed .*\n)?({STOPPED})?|.*resumes.*\n", err), err
        ends = {0, -number, 128 + number}
        if "resumes" in err:  # PyTorch runs Python code from C: a signal in it is noted down as an unhandled Ctrl-C
            ends.add(-signal.SIGINT)
        assert child.returncode in ends or not started, (child.returncode, err)
        assert number == signal.SIGKILL or not [path for path in left if path.name.startswith(".unfinished")], err
        whole = "whole" if child.returncode == 0 else "cleaned up" if child.returncode > 0 else "dead at once"
        ended[f"{number.name}, {whole}"] += 1
    for words in {words[0]: words for words, _ in zip(commands, range(4), strict=False)}.values():
        run_to_the_end(begin(*words, runs=runs))
    assert not list(runs.rglob(".unfinished-*"))
    assert len(list_runs(runs)) >= len(seconds)
    torn = [run for run in runs.glob("run_*") if not (run / "manifest.json").is_file() or verify(run).wrong]
    assert not torn, torn
    return ended


def test_ten_kills(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, 10, commands(tmp_path), seed=0).total() == 10


@pytest.mark.prove
def test_two_hundred_kills(tmp_path: Path) -> None:
    """`KILLS=1000 make prove` for more."""
    kills = int(os.environ.get("KILLS", "200"))
    ended = kill_at_random(tmp_path, kills, commands(tmp_path), seed=1)
    print(f"{kills} kills: {dict(sorted(ended.items()))}")
    assert ended.total() == kills


@pytest.mark.prove
def test_kills_of_a_policy_that_learns(tmp_path: Path, small_sets: tuple[object, ...]) -> None:
    """What a killed command left beside the states of learning is removed as well."""
    pytest.importorskip("torch")
    words = ["course.policy.train", "--steps", "3", "--measure-every", "1", "--prompts-per-step", "2"]
    words += map(str, small_sets)
    ended = kill_at_random(tmp_path, int(os.environ.get("KILLS_OF_TRAIN", "10")), iter(lambda: words, None), seed=2)
    print(f"{ended.total()} kills of learning: {dict(sorted(ended.items()))}")
