"""Past one machine: any number of files of completions, scored on all cores, or on a cluster, by Ray Data.

    python -m transfer.score_many --dataset mine.jsonl --completions shard_0.jsonl shard_1.jsonl
    python -m transfer.score_many … --address ray://head:10001          on a cluster

The run that it writes is the one of `course.eval` on the files one after the other: `results.jsonl` and `summary.json`
are the same, byte for byte. Workers read and score pieces of a few megabytes; this process puts them in order, counts,
and checks what only it can see: that no answer comes twice, and which are absent. Memory does not grow with the rows.
A worker that dies is replaced, and its piece is scored again.

On a cluster every worker must see the data set and the completions under the same path.
"""

import dataclasses
import hashlib
import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import course
import transfer
from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import MOST_SAMPLES
from course.core.display import typed
from course.core.experiment import RunOptions
from course.core.files import InputError, reason_of
from course.core.golden import golden_gate
from course.core.measurement import Measurement, write_run
from course.core.runs import result_line
from course.eval import print_report
from transfer.pieces import PIECE, Piece, Scored, pieces_of, score_piece

NOT_INSTALLED = "Ray is not installed: pip install -c transfer/constraints.txt -r transfer/requirements-ray.txt"
ATTEMPTS = 3  # to start Ray
TOGETHER = 4  # pieces that are handed out together, because handing out costs some 0.2 s
OBJECT_STORE = 1 << 30  # bytes for what was scored and not yet written, on this machine


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions):
    dataset: Path = option(help="the examples (JSONL)")
    completions: tuple[Path, ...] = option(help="the completions (JSONL), in order", metavar="FILE")
    whole: Path | None = option(None, "the file that they make, one after the other: its name and its sidecar count")
    samples: int | None = option(None, "asked for of each example; absent ones fail", at_least=1, at_most=MOST_SAMPLES)
    address: str | None = option(None, "the head of a Ray cluster (default: this machine)")
    workers: int | None = option(None, "processes on this machine (default: one a core)", at_least=1)
    piece: int = option(PIECE, "bytes of completions that a worker takes at a time", at_least=1)

    def check(self) -> None:
        """Refuse what cannot be read before any worker is started. Raises InputError."""
        super().check()
        for path in self.completions:
            try:
                path.open("rb").close()
            except OSError as error:
                raise InputError(path, reason_of(error)) from None


class Shards(Measurement):
    """Several files of completions, measured as the one that they make. Raises InputError where `eval` would."""

    def __init__(self, settings: Settings) -> None:
        files = settings.completions
        whole = files[0] if len(files) == 1 else files[0].with_name("completions.jsonl")
        super().__init__(settings.dataset, settings.whole or whole, settings.samples)
        self.settings, self.digest = settings, hashlib.sha256()

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.settings.completions)

    def lines(self) -> Iterator[bytes]:
        """`results.jsonl`, piece by piece: what was answered, in order, then every absent answer."""
        source, pieces = self.completions.lines, pieces_of(self.settings.completions, self.settings.piece)
        before = 0
        for piece, scored in zip(pieces, score_on_ray(pieces, self.dataset.sha256, self.settings), strict=True):
            before = 0 if piece.begin == 0 else before
            if scored.faulty or self.comes_again(scored):
                source.path = piece.path  # an error names the shard
                for _ in self.completions.taken(source.rows_in(piece.lines(piece.read(), before))):
                    pass  # until the line that is wrong
                raise InputError(piece.path, "it was changed while it was read")
            for key, bits in scored.seen.items():
                self.completions.seen[key] |= bits
            self.completions.far |= scored.far
            self.tally.merge(scored.tally)
            before += scored.lines
            self.hash(piece)
            yield scored.results
        source.sha256 = self.digest.hexdigest()
        if not self.tally.counts:
            raise InputError(self.settings.completions[0], "the file holds no rows")
        yield from map(result_line, self.tallied(self.absent()))

    def comes_again(self, scored: Scored) -> bool:
        """Is an answer in a piece that was in one before?"""
        seen = self.completions.seen
        return any(seen[key] & bits for key, bits in scored.seen.items()) or bool(self.completions.far & scored.far)

    def hash(self, piece: Piece) -> None:
        """Add a piece to the hash of the whole. A last line without an end is ended, if another file follows."""
        data = piece.read()
        self.digest.update(data)
        if not data.endswith(b"\n") and data and piece.path != self.settings.completions[-1]:
            self.digest.update(b"\n")
        self.completions.lines.bytes_read += len(data)


def score_on_ray(pieces: list[Piece], sha256: str, settings: Settings) -> Iterator[Scored]:
    """What became of each piece, in order. Raises InputError."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_agent_register_timeout_ms": "120000"}  # a busy machine is slow
    try:
        import pyarrow
        import ray
        import ray.data
    except ImportError:
        raise InputError("transfer.score_many", NOT_INSTALLED) from None
    dataset = settings.dataset.resolve()

    def score(row: dict[str, Any]) -> dict[str, Any]:
        scored = score_piece(Piece(Path(row["path"]), row["begin"], row["end"]), dataset, sha256)
        return {"scored": pyarrow.compress(scored, "lz4", asbytes=True), "size": len(scored)}

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    here = {"num_cpus": settings.workers, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    there: dict[str, Any] = {"address": settings.address}
    there["runtime_env"] = {"py_modules": [*course.__path__, *transfer.__path__]}
    for patience in reversed(range(ATTEMPTS)):
        try:
            ray.init(**(there if settings.address else here), logging_level=logging.ERROR, log_to_driver=False)
            break
        except Exception as error:  # of a busy machine, Ray says so by a plain Exception
            ray.shutdown()
            if not patience:
                raise InputError("Ray", f"it does not start: {error}") from None
    try:
        rows = [{**dataclasses.asdict(piece), "path": str(piece.path.resolve())} for piece in pieces]
        scored = ray.data.from_items(rows, override_num_blocks=max(1, len(rows) // TOGETHER)).map(score)
        for row in scored.iter_rows():
            yield pickle.loads(pyarrow.decompress(row["scored"], row["size"], "lz4", asbytes=True))
    except ray.exceptions.RayError as error:
        raise InputError("Ray", str(error)) from None
    finally:
        ray.shutdown()


def main() -> int:
    settings = parse("transfer.score_many", "Score files of completions on all cores, or on a cluster.", Settings)
    shards = Shards(settings)
    saved, summary = write_run(shards, settings, golden_gate())
    print_report(summary, saved.manifest)
    files, whole = settings.completions, shards.paths["completions"]
    cat = [] if len(files) == 1 else [f"To verify it: cat {' '.join(map(typed, files))} > {typed(whole)}"]
    saved.close("python -m course.verify_run --run {run}", *cat)
    return DONE


if __name__ == "__main__":
    run_command(main)
