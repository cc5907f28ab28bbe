"""Files and streams that are no files and streams: each takes one line and exit code 2, or the run is whole; soon."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from course.core.files import DEEPEST, LARGEST_FILE, LARGEST_JSON, InputError, read_bytes, strict_json
from course.core.runs import list_runs
from tests.conftest import ROOT, Command, Done, write_rows

posix = pytest.mark.skipif(os.name == "nt", reason="pipes, devices and descriptors are POSIX")
ROW = {"id": "x0", "prompt": "Compute 0+1.", "expected_answer": 1}
SECONDS = 30  # generous: what took minutes, or for ever, takes less than two


def assert_refused(done: Done, *said: object) -> None:
    """Exit code 2 and one short line, which says so."""
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert len(done.err) < 2000
    assert "Traceback" not in done.err
    for word in said:
        assert str(word) in done.err


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def with_metadata(text: str) -> str:
    return json.dumps(ROW)[:-1] + f', "metadata": {{"a": {text}}}}}'


LARGE = "k" * 7_000_000
KEYS = ", ".join(f'"k{n}": 1' for n in range(60_000))
LINES = {  # what is wrong with a line of a data set, and what is said of it
    "60,000 keys, of which one comes twice": (with_metadata(f'{{{KEYS}, "k59999": 2}}'), "duplicate key 'k59999'"),
    "60,000 keys that all come twice": (with_metadata(f"{{{KEYS}, {KEYS}}}"), "duplicate key"),
    "60,000 unknown fields": (json.dumps(ROW)[:-1] + f", {KEYS}}}", "k0"),
    "lists nested 500 deep": (with_metadata(deep(500)), f"nested more than {DEEPEST} deep"),
    "lists nested 100,000 deep": (with_metadata(deep(100_000)), "deep"),
    "objects nested 500 deep": (with_metadata('{"a":' * 500 + "1" + "}" * 500), f"nested more than {DEEPEST} deep"),
    "lists that never close": (with_metadata("[" * 100_000), "deep"),
    "nesting in the place of an id": (json.dumps(ROW).replace('"x0"', deep(100_000)), "deep"),
    "nesting in a field that there is not": (json.dumps(ROW)[:-1] + f', "z": {deep(100_000)}}}', "deep"),
    "an integer of 100,000 digits": (json.dumps(ROW).replace(": 1}", f": {'9' * 100_000}}}"), "100000 digits"),
    "an integer of 100,000 digits in the metadata": (with_metadata("9" * 100_000), "100000 digits"),
    "a negative one": (json.dumps(ROW).replace(": 1}", f": -{'9' * 100_000}}}"), "100000 digits"),
    "an exponent of 999": (with_metadata("1e999"), "1e999 is too large for a number"),
    "an exponent of 999 as the answer": (json.dumps(ROW).replace(": 1}", ": 1e999}"), ""),
    "an exponent of 100,000 digits": (with_metadata(f"1e{'9' * 100_000}"), "is too large for a number"),
    "a fraction as the answer": (json.dumps(ROW).replace(": 1}", ": 1.5}"), "expected_answer"),
    "a string of 15 MB in the place of the answer": (json.dumps(ROW).replace(": 1}", f': "{"9" * 15_000_000}"}}'), ""),
    "a key of 15 MB that comes twice": (
        with_metadata(f'{{"{"k" * 7_000_000}": 1, "{"k" * 7_000_000}": 2}}'),
        "duplicate",
    ),
    "more JSON than a line may hold": (with_metadata(f'"{"x" * LARGEST_JSON}"'), "16 MB"),
    "half a line": (json.dumps(ROW)[:-5], "malformed JSON"),
    "a NUL": ("\0", "malformed JSON"),
    "a line of 1,000,000 NULs, as a full disk leaves": ("\0" * 1_000_000, "malformed JSON"),
    "NaN": (with_metadata("NaN"), "NaN is not a JSON number"),
    "minus infinity": (with_metadata("-Infinity"), "Infinity is not a JSON number"),
}


@pytest.mark.parametrize(("line", "said"), LINES.values(), ids=LINES.keys())
def test_a_line_of_a_data_set(line: str, said: str, tmp_path: Path, command: Command, completions: Path) -> None:
    data, runs, began = tmp_path / "set_dev.jsonl", tmp_path / "runs", time.monotonic()
    data.write_text(json.dumps({**ROW, "id": "before"}) + f"\n{line}\n")
    done = command("course.eval", "--dataset", data, "--completions", completions, "--runs-dir", runs)
    assert_refused(done, data, "line 2", said)
    assert time.monotonic() - began < SECONDS
    assert not runs.exists() or not list(runs.iterdir())


@pytest.mark.parametrize(
    "text",
    ["\ud800", "\udc80\udcff", "x\ud83d", "\x00", "\x1b[2J", "\u202e", " ", "💥" * 99],
    ids=["a high surrogate", "two low ones", "half an emoji", "NUL", "ESC", "an override", "a space", "99 emoji"],
)
def test_any_text_is_an_id_and_its_run_verifies(text: str, tmp_path: Path, command: Command) -> None:
    data = write_rows(tmp_path / "set_dev.jsonl", [{**ROW, "id": text}])
    said = write_rows(tmp_path / "said.jsonl", [{"id": text, "completion": "Final: 1"}])
    runs = tmp_path / "runs"
    assert command("course.eval", "--dataset", data, "--completions", said, "--runs-dir", runs).code == 0
    assert command("course.verify_run", "--run", runs / "run_001").code == 0


def test_json_as_deep_as_it_may_be_is_read_and_can_be_written_again() -> None:
    for text in (deep(DEEPEST), '{"a":' * DEEPEST + "1" + "}" * DEEPEST):
        assert strict_json(text.encode()) is not None
    for text in (deep(DEEPEST + 1), '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1)):
        with pytest.raises(ValueError, match="nested more than"):
            strict_json(text.encode())


def test_many_brackets_are_not_deep() -> None:
    assert len(strict_json(f"[{','.join(['[[]]'] * 1000)}]".encode())) == 1000


# What lies in the place of a file.


def places(tmp_path: Path, dataset: Path, completions: Path) -> dict[str, Path]:
    """Every file that an evaluation or a look at a run reads, by its kind."""
    run = tmp_path / "runs" / "run_001"
    return {
        "data set": dataset,
        "completions": completions,
        "sidecar": completions.with_name("said.meta.json"),
        "results": run / "results.jsonl",
        "summary": run / "summary.json",
        "manifest": run / "manifest.json",
    }


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def endless_line(path: Path) -> None:
    """1 GB without a newline, which take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(1 << 30)


@contextlib.contextmanager
def at_most_more_memory(size: int) -> Iterator[None]:
    """On Linux, this process may have so many bytes more than it has; MemoryError is what comes of asking for more."""
    if sys.platform != "linux":
        yield
        return
    import resource

    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (has + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_the_bound_on_memory_is_one() -> None:
    if sys.platform == "linux":
        with pytest.raises(MemoryError), at_most_more_memory(64 << 20):
            bytearray(1 << 30)


@posix
@pytest.mark.parametrize("kind", ["data set", "completions", "sidecar", "results", "summary", "manifest"])
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, zeros, endless_line, Path.mkdir, lambda path: path.symlink_to(path)],
    ids=["a pipe that nobody writes to", "/dev/zero", "a line of 1 GB", "a folder", "a link to itself"],
)
def test_in_the_place_of_a_file(
    make: Callable[[Path], None], kind: str, tmp_path: Path, command: Command, dataset: Path, completions: Path
) -> None:
    """It is refused in a line by all that read it, in 512 MB of memory more than Python has."""
    runs = tmp_path / "runs"
    evaluation = ("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs)
    assert command(*evaluation).code == 0
    place = places(tmp_path, dataset, completions)[kind]
    place.unlink(missing_ok=True)
    make(place)
    looks = [("course.verify_run", "--run", runs / "run_001"), ("course.inspect_run", "--run", runs / "run_001")]
    for words in [evaluation] if kind in ("data set", "completions", "sidecar") else looks:
        if kind == "summary" and words[0] == "course.inspect_run":
            continue  # it shows the results alone
        began = time.monotonic()
        with at_most_more_memory(512 << 20):
            done = command(*words)
        assert "Traceback" not in done.out + done.err
        assert done.code == 2 or (words[0] == "course.verify_run" and done.code == 1), done.err
        assert done.err.count("\n") == (done.code == 2)
        assert time.monotonic() - began < SECONDS
    assert kind == "manifest" or [run.name for run in list_runs(runs)] == ["run_001"]
    assert not list(runs.glob(".unfinished-*"))


def test_a_file_that_is_read_whole_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(InputError, match="larger than 64 MB"):
        read_bytes(path)


# Names and places.

LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("course.eval", "--dataset", LONG, "--completions", "SAID"),
        ("course.eval", "--dataset", "DATA", "--completions", LONG),
        ("course.eval", "--dataset", "DATA", "--completions", "SAID", "--runs-dir", LONG),
        ("course.eval", "--dataset", "DATA", "--completions", "SAID", "--parent", LONG, "--change", "x"),
        ("course.toy_mdp", "--plot", LONG),
        ("course.toy_mdp", "--plot", f"{LONG}/x.png"),
        ("course.inspect_run", "--run", LONG),
        ("course.verify_run", "--run", LONG),
        ("course.compare", LONG, LONG),
        ("course.report", LONG),
        ("course.report", "RUN", "--out", LONG),
    ],
    ids=lambda words: " ".join("300 characters" if LONG in word else word for word in words),
)
def test_a_name_of_300_characters(
    words: tuple[str, ...], tmp_path: Path, command: Command, dataset: Path, completions: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs)
    paths = {"DATA": dataset, "SAID": completions, "RUN": runs / "run_001"}
    done = command(*(paths.get(word, word) for word in words))
    assert_refused(done)
    assert [run.name for run in list_runs(runs)] == ["run_001"]
    assert not list(tmp_path.rglob(".unfinished-*"))


def test_the_longest_name_that_there_is_is_written(tmp_path: Path, command: Command, evaluate: Any) -> None:
    page = tmp_path / ("n" * 250 + ".html")
    assert command("course.report", evaluate(), "--out", page).code == 0
    assert page.read_bytes().endswith(b"</html>\n") or page.stat().st_size > 1000


@posix
@pytest.mark.parametrize("device", ["/dev/null", "pipe"])
def test_a_device_is_not_replaced_by_a_file(device: str, tmp_path: Path, command: Command, evaluate: Any) -> None:
    """As root, a rename onto /dev/null would put a file in its place."""
    place = Path(device)
    if device == "pipe":
        os.mkfifo(place := tmp_path / "pipe")
    assert_refused(command("course.report", evaluate(), "--out", place), place, "it is no file")
    assert not place.is_file()


# Streams and surroundings, in a process of their own.


def shell(line: str, folder: Path, dataset: Path, completions: Path, **environment: str) -> Done:
    """A line typed into a shell; EVAL stands for an evaluation, INTERPRETER for the interpreter."""
    evaluation = f"INTERPRETER -m course.eval --dataset {dataset} --completions {completions} --runs-dir {folder}/runs"
    done = subprocess.run(
        ["bash", "-c", line.replace("EVAL", evaluation).replace("INTERPRETER", sys.executable)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@posix
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("EVAL >&-", 0, None),
        ("EVAL 2>&-", 0, None),
        ("EVAL <&-", 0, None),
        ("EVAL <&- >&- 2>&-", 0, None),
        ("EVAL > /dev/full", 2, "error: the output: No space left on device\n"),
        ("EVAL 2> /dev/full", 0, None),
        ("EVAL > /dev/full 2>&1", 2, ""),
        ("EVAL | true; exit ${PIPESTATUS[0]}", 0, None),
        ("EVAL | head -1 > /dev/null; exit ${PIPESTATUS[0]}", 0, None),
        ("EVAL 2>&1 | true; exit ${PIPESTATUS[0]}", 0, None),
        ("env -u HOME EVAL", 0, None),
        ("env -i PATH=$PATH PYTHONPATH=$PYTHONPATH EVAL", 0, None),
        ("LANG=C LC_ALL=C EVAL", 0, None),
        ("LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 EVAL", 0, None),
        ("PYTHONIOENCODING=ascii EVAL", 0, None),
        ("TERM=dumb EVAL", 0, None),
        ("COLUMNS=1 EVAL", 0, None),
        ("ulimit -n 32; EVAL", 0, None),
        ("INTERPRETER -m course.kata --answer <&-", 2, "error: --answer: there is no terminal to ask on"),
        ("INTERPRETER -m course.policy_gradient_demo --slow <&-", 2, "error: --slow"),
        ("INTERPRETER -m course.eval --dataset 2> /dev/full", 2, ""),
        ("INTERPRETER -m course.eval --dataset 2>&-", 2, ""),
        ("INTERPRETER -m course.golden | true; exit ${PIPESTATUS[0]}", 0, None),
        ("INTERPRETER -m course --help > /dev/full", 2, "error: "),
    ],
)
def test_streams_and_surroundings(
    line: str, code: int, said: str | None, tmp_path: Path, dataset: Path, completions: Path
) -> None:
    done = shell(line, tmp_path, dataset, completions)
    assert done.code == code, done.err
    assert "Traceback" not in done.out + done.err
    assert "Exception ignored" not in done.err
    assert done.err.startswith(said) and done.err.count("\n") <= 1 if said is not None else done.err == ""
    if "EVAL" in line:
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run_001"], "the run is whole"
        verify = f"INTERPRETER -m course.verify_run --run {tmp_path}/runs/run_001"
        assert shell(verify, tmp_path, dataset, completions).code == 0


@posix
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("mkdir gone; cd gone; rmdir ../gone", "No such file or directory"),
        ("touch taken; RUNS=taken", "File exists"),
        ("RUNS=/dev/null", ""),
        ("RUNS=/dev/full", ""),
        ("RUNS=/proc", ""),
        ("ln -s loop loop; RUNS=loop", ""),
        ("ln -s nowhere/at/all dangling; RUNS=dangling", ""),
        ("ulimit -f 0; trap '' XFSZ", "cannot write the run"),
    ],
    ids=[
        "a folder that is gone",
        "a file",
        "/dev/null",
        "/dev/full",
        "/proc",
        "a link to itself",
        "a dead link",
        "full",
    ],
)
def test_a_runs_folder_that_is_none(prepare: str, said: str, tmp_path: Path, dataset: Path, completions: Path) -> None:
    line = f"cd {tmp_path}; RUNS=runs; {prepare}; EVAL --runs-dir $RUNS"  # the option that is typed last counts
    done = shell(line, tmp_path, dataset, completions)
    assert_refused(done, said)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_runs_folder_that_may_not_be_written(tmp_path: Path, command: Command, evaluate: Any) -> None:
    runs = evaluate().parent
    runs.chmod(0o500)
    try:
        with pytest.raises(InputError):
            evaluate()
    finally:
        runs.chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="where a file's name may be any bytes")
def test_names_that_are_no_utf8(tmp_path: Path, command: Command, dataset: Path, completions: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff\xfe"))
    odd.mkdir()
    data, said = (
        dataset.rename(odd / os.fsdecode(b"s\xe9t_dev.jsonl")),
        completions.rename(odd / os.fsdecode(b"\x80.jsonl")),
    )
    assert command("course.eval", "--dataset", data, "--completions", said, "--runs-dir", odd / "runs").code == 0
    run = odd / "runs" / "run_001"
    for words in (("verify_run", "--run"), ("inspect_run", "--run"), ("report",)):
        done = command(f"course.{words[0]}", *words[1:], run)
        assert done.code == 0, done.err


BY_OTHER_TOOLS: dict[str, tuple[str, bytes]] = {  # which file, and what tools write in its place
    "integer ids": ("dataset", b'{"id": 0, "prompt": "p", "expected_answer": 1}'),
    "an answer in quotes": ("dataset", b'{"id": "0", "prompt": "p", "expected_answer": "323"}'),
    "a float": ("dataset", b'{"id": "0", "prompt": "p", "expected_answer": 323.0}'),
    "thousands": ("dataset", b'{"id": "0", "prompt": "p", "expected_answer": "70,000"}'),
    "null": ("dataset", b'{"id": "0", "prompt": "p", "expected_answer": null}'),
    "GSM8K's own": ("dataset", b'{"question": "p", "answer": "#### 5"}'),
    "CSV": ("completions", b"id,completion\n0,Final: 1\n"),
    "gzip": ("completions", gzip.compress(b'{"id": "x0", "completion": "Final: 1"}')),
    "a JSON array": ("completions", b'[{"id": "x0", "completion": "Final: 1"}]'),
    "an indented array": ("completions", b'[\n  {"id": "x0"}\n]'),
    "unknown fields": ("completions", b'{"id": "x0", "prediction": "Final: 1"}'),
    "lm-eval's samples": ("completions", b'{"doc_id": 0, "doc": {}, "resps": [["Final: 1"]]}'),
    "wrong ids": ("completions", b'{"id": "0", "completion": "Final: 1"}'),
}


@pytest.mark.parametrize("name", BY_OTHER_TOOLS)
def test_what_another_tool_wrote_is_refused_with_the_command_that_reads_it(
    command: Command, dataset: Path, completions: Path, tmp_path: Path, name: str
) -> None:
    which, data = BY_OTHER_TOOLS[name]
    files = {"dataset": dataset, "completions": completions}
    files[which] = tmp_path / "theirs.jsonl"
    files[which].write_bytes(data)
    done = command("course.eval", *(word for kind, path in files.items() for word in (f"--{kind}", path)))
    assert done.code == 2
    assert done.err.startswith(f"error: {files[which]}, line ")
    assert done.err.endswith("; did another tool write this? python -m transfer.read FILE --out FOLDER\n")
    assert done.err.count("\n") == 1
