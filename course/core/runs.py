"""Run directories: written whole or not at all, and checked to the byte. Knows no scoring rule."""

import contextlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from course.core import durable
from course.core.files import InputError, lines_of, reason_of, sha256_file, strict_json, to_json
from course.core.manifest import MANIFEST, RESULTS, Manifest, has_whole_seal, is_run, load_manifest, manifest_file

RUN_NAME = re.compile(r"run_([0-9]{3,})")
CHECKSUM = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\r?\n?')
HANDWRITTEN = "README.md"  # of a run: a note, written by hand, which is no part of what is verified
OF_THE_SYSTEM = {".DS_Store", "Thumbs.db", "desktop.ini"}  # which file managers leave in a folder that is looked at
CHECKSUM_LENGTH = len(b',"crc32":"00000000"}\n')


class Result(msgspec.Struct, omit_defaults=True):
    """One line of `results.jsonl`, which ends with a checksum of itself besides. What has a default may be absent."""

    id: str
    sample: int
    prompt: str
    expected_answer: int
    completion: str | None  # None: no completion came, which counts as a failure
    reward: float
    details: dict[str, Any]
    error: str | None = None  # these three as in the completions file
    finish_reason: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.reward >= 1.0

    @property
    def code(self) -> str | None:
        """The code of the failure, as text; None where there is none."""
        code = self.details.get("code")
        return None if code is None else str(code)


def result_line(result: Result) -> bytes:
    """The line, with a checksum of its own, so that damage can be named to the line."""
    body = to_json(result)[:-1]
    return b'%b,"crc32":"%08x"}\n' % (body, zlib.crc32(body))


def is_intact(line: bytes) -> bool:
    """Does the line's checksum fit the line?"""
    body, end = line[:-CHECKSUM_LENGTH], line[-CHECKSUM_LENGTH:]
    match = CHECKSUM.fullmatch(end)
    return match is not None and int(match[1], 16) == zlib.crc32(body)


class RunWriter:
    """Builds a run aside and renames it into place when it is complete. Use it with `with`.

    On leaving the block without `finish`, by an error or a signal, what was built is removed; if the process is
    killed, what remains is a hidden folder, which no command takes for a run and the next one that writes here removes
    (`durable`).
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir, self.folder = runs_dir, durable.unfinished_in(runs_dir)
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            durable.begin(self.folder, Path.mkdir)
        except OSError as error:
            raise InputError(runs_dir, f"cannot make a run here: {reason_of(error)}") from None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        durable.end(self.folder)
        if isinstance(error, OSError):
            raise InputError(self.runs_dir, f"cannot write the run: {reason_of(error)}") from None

    def open(self, name: str) -> BinaryIO:
        return (self.folder / name).open("wb", buffering=1 << 20)

    def write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def append(self, name: str, data: bytes) -> None:
        """Add to a file of the run, on disk when this returns."""
        with (self.folder / name).open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def hashes(self) -> dict[str, str]:
        """The hash of every file written so far, by its path in the run; a note by hand is not sealed."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix(): path for path in files}
        return {name: sha256_file(path) for name, path in names.items() if name != HANDWRITTEN}

    def finish(self, manifest: Manifest) -> Path:
        """Write the manifest, and give the run its name once it is on disk. Returns its folder.

        Only under `durable.locked(runs_dir)` its number, and the looks that the manifest counts, are surely its own.
        """
        self.write(MANIFEST, manifest_file(manifest))
        for path in (*self.folder.rglob("*"), self.folder):
            durable.sync(path)
        number = 1 + max((number for number, _ in numbered(self.runs_dir)), default=0)
        while True:
            target = self.runs_dir / f"run_{number:03d}"
            try:
                if not target.exists():
                    self.folder.rename(target)
                    durable.sync(self.runs_dir)
                    return target
            except OSError:
                if not target.exists():
                    raise
            number += 1


def earlier_looks(prompts_sha256: str, runs_dir: Path) -> int:
    """How many runs of a folder have looked at these prompts. Runs that cannot be read are passed over."""
    looks = 0
    for run in list_runs(runs_dir):
        with contextlib.suppress(InputError):
            manifest = load_manifest(run)
            looks += prompts_sha256 in (manifest.prompts_sha256, *manifest.looked_at)
    return looks


def list_runs(runs_dir: Path) -> list[Path]:
    """The runs of a folder: those with a number in its order, then those under other names, copied from elsewhere."""
    if not runs_dir.is_dir():
        return []
    numbers = {path: number for number, path in numbered(runs_dir)}
    runs = (path for path in runs_dir.iterdir() if is_run(path) and not path.name.startswith("."))
    return sorted(runs, key=lambda path: (path not in numbers, numbers.get(path, 0), path.name))


def numbered(runs_dir: Path) -> list[tuple[int, Path]]:
    """Everything in a folder that bears the name of a run, with its number."""
    return [(int(match[1]), path) for path in runs_dir.iterdir() if (match := RUN_NAME.fullmatch(path.name))]


def outside_of_runs(place: Path) -> Path:
    """A place to write at. Raises InputError if it lies in a run."""
    real = Path(os.path.realpath(place))  # which, unlike `resolve`, bears a loop of links
    for above in (real, *real.parents):
        if is_run(above):
            raise InputError(place, f"{above.name} is a run, which is sealed: write outside of it")
    return place


def read_results(run: Path) -> Iterator[Result | InputError]:
    """Every line of a run's results, one at a time: the result, or what is wrong with the line.

    Raises InputError if the file cannot be read.
    """
    for number, line in lines_of(run / RESULTS):
        try:
            yield result_of(run, number, line)
        except InputError as error:
            yield error


def load_results(run: Path) -> Iterator[Result]:
    """The results of a run, one at a time. Raises InputError at the first line that is no result."""
    for result in read_results(run):
        if isinstance(result, InputError):
            raise result
        yield result


_decode_result = msgspec.json.Decoder(Result).decode


def result_of(run: Path, number: int, line: bytes) -> Result:
    """One line of a run's results. Raises InputError."""
    try:
        return _decode_result(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        try:
            result: Result = strict_json(line, Result)  # which reads lone surrogates
            return result
        except ValueError as error:
            raise InputError(run / RESULTS, str(error), number) from None


def damage(run: Path) -> list[str]:
    """What has changed in a run since it was sealed, one line each; empty if nothing has.

    Raises InputError if the folder is no run at all.
    """
    manifest = load_manifest(run)
    damages = [] if has_whole_seal(run) else [f"{MANIFEST}: changed since the run was sealed"]
    for name, expected in manifest.files.items():
        path = run / name
        if os.path.islink(path) or not os.path.isfile(path) or ".." in Path(name).parts or Path(name).is_absolute():
            damages.append(f"{name}: missing")
        elif sha256_file(path) != expected:
            damages.append(f"{name}: changed since the run was sealed")
            if name == RESULTS:
                damages.extend(damaged_lines(path))
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_symlink() or not path.is_dir()}
    known = {MANIFEST, *manifest.files, *([HANDWRITTEN] if has_a_note(run) else [])}
    added = sorted(name for name in there - known if Path(name).name not in OF_THE_SYSTEM)
    return [*damages, *(f"{name}: added since the run was sealed" for name in added)]


def has_a_note(run: Path) -> bool:
    """Does a README.md lie in the run, a regular file and no link?"""
    return (run / HANDWRITTEN).is_file() and not (run / HANDWRITTEN).is_symlink()


def damaged_lines(path: Path) -> list[str]:
    """The lines of a results file whose checksum does not fit."""
    lines = [
        f"{path.name}, line {number}: the line does not fit its checksum"
        for number, line in lines_of(path)
        if not is_intact(line)
    ]
    return lines or [f"{path.name}: every line is whole, so lines were added, removed or moved"]
