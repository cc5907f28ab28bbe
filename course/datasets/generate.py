"""Remake the environment's three data sets, byte for byte. What a problem is: `course/core/problems.py`.

python -m course.datasets.generate
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console
from course.core.files import write_whole
from course.core.problems import NAMES, SEED, draw, wording

SIZES = {"train": 2000, "dev": 200, "holdout": 200}
# (operation, is it a word problem, share of the rows of a split)
MIXTURE = (
    ("+", False, 0.35),
    ("-", False, 0.30),
    ("*", False, 0.10),
    ("+", True, 0.10),
    ("-", True, 0.10),
    ("*", True, 0.05),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    out_dir: Path = option(Path("data/datasets"), "where they are written")


def rows(split: str) -> Iterator[dict[str, object]]:
    """The rows of one split. Dev and holdout repeat no problem; train repeats no prompt."""
    rng = random.Random(f"{SEED}:{split}")
    kinds = [(op, story) for op, story, share in MIXTURE for _ in range(round(share * SIZES[split]))]
    rng.shuffle(kinds)
    seen: set[str] = set()
    for number, (op, story) in enumerate(kinds, start=1):
        while True:
            problem = draw(split, op, story, rng)
            prompt = wording(problem, story, rng)
            once = prompt if split == "train" else problem.key
            if once not in seen:
                break
        seen.add(once)
        kind = "story" if story else "plain"
        yield {
            "id": f"{split}-{number:04d}",
            "prompt": prompt,
            "expected_answer": problem.answer,
            "metadata": {"split": split, "operation": NAMES[op], "wording": kind, "problem": problem.key},
        }


def main() -> int:
    settings = parse("course.datasets.generate", "Remake the data sets of the environment.", Settings)
    for split in SIZES:
        path = settings.out_dir / f"math_{split}.jsonl"
        write_whole(path, "".join(json.dumps(row) + "\n" for row in rows(split)).encode())
        console().print(f"{path}: {SIZES[split]} rows")
    return DONE


if __name__ == "__main__":
    run_command(main)
