"""A piece of a file of completions: whole lines, read and scored by whoever has the time."""

import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from course.core.datasets import Completion, CompletionsFile, Dataset, load_dataset
from course.core.files import LARGEST_JSON, InputError, open_file
from course.core.measurement import results_of
from course.core.runs import result_line
from course.core.stats import FAILED

PIECE = 4 << 20  # bytes
Told = tuple[
    int, str, int, float, str | None, str | None
]  # of a result: line in the piece, id, sample; and what counts


class Scored(msgspec.Struct):
    """What became of a piece: its results as they stand in a run, what is counted of each, and the first fault."""

    lines: int  # of the piece, blank ones too
    results: bytes
    told: list[Told]
    fault: tuple[int | None, str] | None = None  # line in the piece, reason; nothing after it was scored


@dataclass(frozen=True)
class Piece:
    """The lines of a file that begin in a range of its bytes."""

    path: Path
    begin: int
    end: int
    first: bool  # of all: only there a line may begin with a byte-order mark

    def read(self) -> bytes:
        """Its bytes; of a line that is longer than a line may be, the beginning. Raises OSError."""
        with open_file(self.path) as file:
            if self.begin:
                file.seek(self.begin - 1)
                end_of_line(file)
            data = file.read(max(0, self.end - file.tell()))
            return data if data.endswith(b"\n") or not data else data + end_of_line(file)


def end_of_line(file: io.BufferedReader) -> bytes:
    """The rest of a line, as far as a line may go."""
    return file.readline(LARGEST_JSON + 1)


def pieces_of(paths: Sequence[Path], size: int) -> list[Piece]:
    """Some files cut into pieces, in order. Raises OSError."""
    lengths = {path: path.stat().st_size for path in paths}
    ranges = [(path, at) for path in paths for at in range(0, lengths[path], size)]
    return [Piece(path, at, min(at + size, lengths[path]), not n) for n, (path, at) in enumerate(ranges)]


@functools.cache
def dataset_at(path: Path, sha256: str) -> Dataset:
    """The data set, read once in each process. Raises InputError if it is not the one that was asked for."""
    dataset = load_dataset(path)
    if dataset.sha256 != sha256:
        raise InputError(path, "another data set lies here than where the command was typed")
    return dataset


def score_piece(piece: Piece, dataset: Path, sha256: str) -> bytes:
    """A piece, scored: a packed `Scored`, as it travels between processes. Faults in the piece are part of it."""
    scored, at = Scored(0, b"", []), list[int]()
    try:
        examples = dataset_at(dataset, sha256).examples
        file, lines = CompletionsFile(piece.path, examples), io.BytesIO()

        def answers() -> Iterator[tuple[Completion, str | None]]:
            rows = file.lines.rows_in(numbered(piece, scored))
            for row in file.taken((scored.lines, row) for _, row in rows):
                at.append(scored.lines)
                yield row, FAILED if row.completion is None else None

        for result in results_of(answers(), examples):
            lines.write(result_line(result))
            counted = result.reward, result.code, result.finish_reason
            scored.told.append((at[-1], result.id, result.sample, *counted))
        scored.results = lines.getvalue()
    except InputError as error:
        scored.fault = scored.lines if error.line else None, error.reason
    except OSError as error:
        scored.fault = None, str(error.strerror)
    return msgspec.msgpack.encode(scored)


def numbered(piece: Piece, scored: Scored) -> Iterator[tuple[int, bytes]]:
    """The lines of a piece, counted as they come. They are numbered from 1 only in the very first piece."""
    for line in io.BytesIO(piece.read()):
        scored.lines += 1
        if len(line) > LARGEST_JSON:
            raise InputError(piece.path, f"the line is longer than {LARGEST_JSON >> 20} MB", scored.lines)
        yield scored.lines if piece.first else scored.lines + 1, line
