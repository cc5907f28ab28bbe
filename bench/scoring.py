"""How fast is the scorer, and how much does a whole evaluation cost beside reading and writing alone?

    python -m bench.scoring            (make bench)

The floor reads the completions, parses each row, and writes it again, without scoring, hashing or details.
An evaluation does all of that as well; the ratio of the two is what its honesty costs.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from course.score import MAX_CHARACTERS, score
from course.terminal import console, run_command, table

ROOT = Path(__file__).resolve().parents[1]
DATASET = ROOT / "data" / "datasets" / "math_train.jsonl"
EXAMPLE = {"id": "x", "prompt": "Compute 17*19.", "expected_answer": 323}
FLOOR = """
import sys, msgspec
from course.datasets import Completion
decode, encode = msgspec.json.Decoder(Completion).decode, msgspec.json.Encoder().encode
with open(sys.argv[1], "rb", buffering=1 << 20) as source, open(sys.argv[2], "wb", buffering=1 << 20) as target:
    for line in source:
        target.write(encode(decode(line)) + b"\\n")
"""
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
    examples = [json.loads(line) for line in DATASET.read_text(encoding="utf-8").splitlines()]
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


def evaluation_table(sizes: list[int], repeats: int) -> None:
    """An evaluation, end to end, beside the floor, start-up included; the best of some repeats each, taken in turn."""
    rows = table(
        ">completions",
        ">floor rows/s",
        ">eval rows/s",
        ">eval/floor",
        ">floor MB",
        ">eval MB",
        title="Evaluation, end to end",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = folder / "floor.py"
        floor.write_text(FLOOR, encoding="utf-8")
        for size in sizes:
            completions = folder / f"completions_{size}.jsonl"
            write_completions(completions, size)
            floors, evals = [], []
            for _ in range(repeats):
                floors.append(timed(str(floor), str(completions), str(folder / "floor.jsonl")))
                words = (
                    "--dataset",
                    str(DATASET),
                    "--completions",
                    str(completions),
                    "--runs-dir",
                    str(folder / "runs"),
                )
                evals.append(timed("course.eval", *words))
            base, full = min(seconds for seconds, _ in floors), min(seconds for seconds, _ in evals)
            rows.add_row(
                f"{size:,}", f"{size / base:,.0f}", f"{size / full:,.0f}", f"{base / full:.2f}",
                f"{max(mb for _, mb in floors):.0f}", f"{max(mb for _, mb in evals):.0f}",
            )  # fmt: skip
    console().print(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scoring", description="Time the scorer and Loop A.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="completions to evaluate")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    scoring_table()
    evaluation_table(args.sizes, args.repeats)


if __name__ == "__main__":
    run_command(main)
