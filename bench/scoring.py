"""How fast is the scorer, and how much does a whole evaluation cost beside reading and writing alone?

    python -m bench.scoring            (make bench)

A floor reads the completions, parses each row and writes one, without scoring. There are three: the fastest library
copying rows that it does not check; the course's own strict reader, writing rows as long as a run's; and Python's
`json`. An evaluation does what the second does, and scores, hashes and sums up besides.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, table
from course.core.paths import ROOT, TRAIN
from course.score import MAX_CHARACTERS, score

EXAMPLE = {"id": "x", "prompt": "Compute 17*19.", "expected_answer": 323}
BARE = """
import sys, msgspec
from course.core.datasets import Completion
decode, encode = msgspec.json.Decoder(Completion).decode, msgspec.json.Encoder().encode
with open(sys.argv[2], "rb") as source, open(sys.argv[3], "wb", buffering=1 << 20) as target:
    for line in source:
        target.write(encode(decode(line)) + b"\\n")
"""
STRICT = """
import sys
from pathlib import Path
from course.core.datasets import CompletionsFile, load_dataset
from course.core.files import to_json
from course.core.runs import Result
from course.core.scoring import score_one
examples = load_dataset(Path(sys.argv[1])).examples
details = score_one(next(iter(examples.values())), 0, "").details
with open(sys.argv[3], "wb", buffering=1 << 20) as target:
    for row in CompletionsFile(Path(sys.argv[2]), examples):
        example = examples[row.id]
        result = Result(row.id, row.sample, example["prompt"], example["expected_answer"], row.completion, 0.0, details)
        target.write(to_json(result) + b"\\n")
"""
JSON = """
import json, sys
examples = {row["id"]: row for row in map(json.loads, open(sys.argv[1]))}
with open(sys.argv[2]) as source, open(sys.argv[3], "w") as target:
    for line in source:
        row = json.loads(line)
        target.write(json.dumps({**examples[row["id"]], **row, "reward": 0.0, "details": {}}) + "\\n")
"""
MEANINGS = {
    "copy": "floor: each row copied by msgspec, unchecked",
    "strict": "floor: read strictly, full result rows written",
    "json": "floor: read and written by Python's json",
    "eval": "eval: all of it, scored, hashed, summed up",
}
FLOORS = {"copy": BARE, "strict": STRICT, "json": JSON}
PEAK = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__") if sys.argv[0].endswith(".py") else runpy.run_module(
        sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak // 1024 if sys.platform != "darwin" else peak // 2**20, file=sys.stderr)
"""


def microseconds(call: Callable[[], object], number: int, repeats: int = 15) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(number):
            call()
        times.append((time.perf_counter() - start) / number * 1e6)
    return statistics.median(times)


def scoring_table() -> None:
    """`score()` on completions in form, near misses, and the longest and nastiest it can meet."""
    longest = MAX_CHARACTERS - len("Final: ")
    cases = {
        "in spec: Final: 323": "Final: 323",
        "wrong answer": "Final: 324",
        "no prefix": "The answer is 323.",
        "look-alike": "Final: \uff13\uff12\uff13",
        "10,000 digits": "Final: " + "9" * longest,
        "10,000 operators": "Final: " + "+" * longest,
        "10,000 prefixes' halves": "fina" * (MAX_CHARACTERS // 4),
        "10,000 combining marks": "\u0301\u0316" * (MAX_CHARACTERS // 2),
        "10 MB of text": "x" * 10_000_000,
        "10 MB of white space": " " * 10_000_000,
    }
    rows = table("score()", "code", ">µs a call", title="One call (median)")
    for name, completion in cases.items():
        number = 20_000 if len(completion) < 100 else 200
        cost = microseconds(lambda text=completion: score(EXAMPLE, text), number)  # type: ignore[misc]
        rows.add_row(name, str(score(EXAMPLE, completion)["details"]["code"]), f"{cost:.2f}")
    console().print(rows)


def write_completions(path: Path, count: int) -> None:
    """`count` completions over the examples of the train split, in several styles, some of them right."""
    rng = random.Random(count)
    examples = [json.loads(line) for line in TRAIN.read_text(encoding="utf-8").splitlines()]
    styles = ("Final: {}", "The answer is {}.", "{}", "Final: {}.", "final: {}", "Final: {}\nDone.")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(count):
            example = examples[number % len(examples)]
            text = rng.choice(styles).format(example["expected_answer"] + rng.choice((0, 0, 0, 1)))
            row = {"id": example["id"], "completion": text, "sample": number // len(examples)}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def timed(*words: str) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a Python process."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, cwd=ROOT)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds, float(done.stderr.rsplit("peak", 1)[1])


def evaluation_table(sizes: Sequence[int], repeats: int) -> None:
    """An evaluation, end to end, beside the floors, start-up included: the best of some repeats, taken in turn."""
    columns = (">completions", "what", ">rows/s", ">eval / this", ">peak MB")
    rows = table(*columns, title="Evaluation, end to end, beside reading, parsing and writing without scoring")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for floor, code in FLOORS.items():
            (folder / f"{floor}.py").write_text(code, encoding="utf-8")
        for size in sizes:
            completions = folder / f"completions_{size}.jsonl"
            write_completions(completions, size)
            files = (str(TRAIN), str(completions))
            calls = {floor: [str(folder / f"{floor}.py"), *files, str(folder / "floor.jsonl")] for floor in FLOORS}
            options = ("--dataset", files[0], "--completions", files[1], "--runs-dir", str(folder / "runs"))
            calls["eval"] = ["course.eval", *options]
            taken: dict[str, list[tuple[float, float]]] = {what: [] for what in calls}
            for _ in range(repeats):
                for what, words in calls.items():
                    taken[what].append(timed(*words))
            best = {what: min(seconds for seconds, _ in found) for what, found in taken.items()}
            for what, found in taken.items():
                memory = max(mb for _, mb in found)
                rows.add_row(
                    f"{size:,}",
                    MEANINGS[what],
                    f"{size / best[what]:,.0f}",
                    f"{best[what] / best['eval']:.2f}",
                    f"{memory:.0f}",
                )
    console().print(rows)


@dataclass(frozen=True, kw_only=True)
class Settings:
    sizes: tuple[int, ...] = option((100_000, 1_000_000), "completions to evaluate", at_least=1)
    repeats: int = option(3, "of which the best is shown", at_least=1)


def main() -> int:
    settings = parse("bench.scoring", "Time the scorer and Loop A.", Settings)
    scoring_table()
    evaluation_table(settings.sizes, settings.repeats)
    return DONE


if __name__ == "__main__":
    run_command(main)
