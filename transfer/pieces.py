"""A piece of a file of completions: whole lines, read and scored by whoever has the time."""

import functools
import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course.core.datasets import Completion, CompletionsFile, Dataset, load_dataset
from course.core.files import LARGEST_JSON, InputError, open_file
from course.core.measurement import results_of
from course.core.runs import result_line
from course.core.stats import FAILED, Tally

PIECE = 4 << 20  # bytes


@dataclass
class Scored:
    """What became of a piece: its results as they stand in a run, and what is counted of them."""

    lines: int = 0  # ends of lines in the piece
    results: bytes = b""
    seen: dict[str, int] = field(default_factory=dict)  # as in `CompletionsFile`, of the examples in the piece
    far: set[tuple[str, int]] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    faulty: bool = False  # something is wrong in it: whoever reads it in its place says what, and on which line


@dataclass(frozen=True)
class Piece:
    """The lines of a file that begin in a range of its bytes."""

    path: Path
    begin: int
    end: int

    def read(self) -> bytes:
        """Its bytes; of a line that is longer than a line may be, the beginning. Raises OSError."""
        with open_file(self.path) as file:
            if self.begin:
                file.seek(self.begin - 1)
                end_of_line(file)
            data = file.read(max(0, self.end - file.tell()))
            return data if data.endswith(b"\n") or not data else data + end_of_line(file)

    def lines(self, data: bytes, before: int) -> Iterator[tuple[int, bytes]]:
        """Its lines, each with its number in the file, where so many stand before it. Raises InputError."""
        for number, line in enumerate(io.BytesIO(data), start=before + 1):
            if len(line) > LARGEST_JSON:
                raise InputError(self.path, f"the line is longer than {LARGEST_JSON >> 20} MB", number)
            yield number, line


def end_of_line(file: io.BufferedReader) -> bytes:
    """The rest of a line, as far as a line may go."""
    return file.readline(LARGEST_JSON + 1)


def pieces_of(paths: Sequence[Path], size: int) -> list[Piece]:
    """Some files cut into pieces, in order. Raises OSError."""
    lengths = {path: path.stat().st_size for path in paths}
    return [Piece(path, at, min(at + size, lengths[path])) for path in paths for at in range(0, lengths[path], size)]


@functools.cache
def dataset_at(path: Path, sha256: str) -> Dataset:
    """The data set, read once in each process. Raises InputError if it is not the one that was asked for."""
    dataset = load_dataset(path)
    if dataset.sha256 != sha256:
        raise InputError(path, "another data set lies here than where the command was typed")
    return dataset


def score_piece(piece: Piece, dataset: Path, sha256: str) -> bytes:
    """A piece, scored: a pickled `Scored`, as it travels between processes. Raises InputError for another data set."""
    scored, examples = Scored(), dataset_at(dataset, sha256).examples
    file, results = CompletionsFile(piece.path, examples), io.BytesIO()
    data, before = piece.read(), 0 if piece.begin == 0 else 1  # a byte-order mark may stand on a file's line 1

    def answers() -> Iterator[tuple[Completion, str | None]]:
        for row in file.taken(file.lines.rows_in(piece.lines(data, before))):
            yield row, FAILED if row.completion is None else None

    try:
        for result in results_of(answers(), examples):
            results.write(result_line(result))
            scored.tally.add(result.id, result.reward, result.code, result.finish_reason)
        scored.results = results.getvalue()
        scored.lines = data.count(b"\n")
        scored.seen = {key: file.seen[key] for key in scored.tally.counts}
        scored.far = file.far
    except InputError:
        scored.faulty = True
    return pickle.dumps(scored)
