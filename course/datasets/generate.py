"""Remake the environment's three data sets, byte for byte.

    python -m course.datasets.generate

A *problem* is two operands and an operation; its wording is decoration. Every problem belongs to
exactly one split, decided once by a hash of the problem, so `3+5`, `5+3` and "Ana has 3 pears and
buys 5 more" can never stand on two sides of the wall between training and testing. The policy π0 is
pre-trained on problems from the train side only (`problems("train")`).
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from course.core.command_line import DONE, option, parse, run_command
from course.core.files import write_whole

SEED = 2026
FORMAT_LINE = "Output exactly one line: Final: <int>."
SIZES = {"train": 2000, "dev": 200, "holdout": 200}
HELD_OUT = 0.10  # share of the problems of each operation that dev gets, and again that holdout gets

# (operation, is it a word problem, share of the rows of a split)
MIXTURE = (
    ("+", False, 0.35),
    ("-", False, 0.30),
    ("*", False, 0.10),
    ("+", True, 0.10),
    ("-", True, 0.10),
    ("*", True, 0.05),
)
NAMES = {"+": "sum", "-": "difference", "*": "product"}

STORIES = {
    "+": (
        "A farmer has {a} {things}. She buys {b} more. How many {things} does she have now?",
        "There are {a} {things} in one box and {b} in another. How many {things} are there in all?",
        "Tom counts {a} {things} on Monday and {b} on Tuesday. How many {things} did he count?",
    ),
    "-": (
        "A farmer has {a} {things}. She sells {b}. How many {things} remain?",
        "There are {a} {things} on a table. {b} of them fall off. How many {things} are still there?",
        "Mia had {a} {things} and gave {b} away. How many {things} does she have left?",
    ),
    "*": (
        "There are {a} boxes with {b} {things} each. How many {things} are there in all?",
        "Tom packs {a} bags. Each bag holds {b} {things}. How many {things} does he pack?",
        "A farmer has {a} rows of {b} {things}. How many {things} is that?",
    ),
}
THINGS = ("apples", "pears", "pencils", "coins", "books", "shells", "stamps", "eggs")


@dataclass(frozen=True, kw_only=True)
class Settings:
    out_dir: Path = option(Path("data/datasets"), "where they are written")


class Problem(NamedTuple):
    """Operands and operation, in one canonical order where the operation commutes."""

    a: int
    op: str
    b: int

    @property
    def answer(self) -> int:
        return {"+": self.a + self.b, "-": self.a - self.b, "*": self.a * self.b}[self.op]

    @property
    def key(self) -> str:
        return f"{self.a}{self.op}{self.b}"


def canonical(a: int, op: str, b: int) -> Problem:
    """The problem that `a op b` is, whichever way round it was written."""
    return Problem(min(a, b), op, max(a, b)) if op in "+*" else Problem(a, op, b)


def universe(op: str) -> list[Problem]:
    """Every problem of one operation: sums and differences of 2..99, products of 2..25."""
    numbers = range(2, 26) if op == "*" else range(2, 100)
    return sorted({canonical(a, op, b) for a in numbers for b in numbers})


@cache
def problems(split: str) -> dict[str, tuple[Problem, ...]]:
    """The problems of one split, by operation. The order is that of a hash, so it favours nothing."""
    by_operation = {}
    for op in NAMES:
        shuffled = sorted(universe(op), key=lambda p: hashlib.sha256(f"{SEED}:{p.key}".encode()).digest())
        cut = round(len(shuffled) * HELD_OUT)
        parts = {"dev": shuffled[:cut], "holdout": shuffled[cut : 2 * cut], "train": shuffled[2 * cut :]}
        by_operation[op] = tuple(parts[split])
    return by_operation


def wording(problem: Problem, story: bool, rng: random.Random) -> str:
    """One prompt for the problem, the format line included."""
    a, op, b = problem
    if op in "+*" and rng.random() < 0.5:
        a, b = b, a
    if not story:
        return f"Compute {a}{op}{b}. {FORMAT_LINE}"
    question = rng.choice(STORIES[op]).format(a=a, b=b, things=rng.choice(THINGS))
    return f"{question} {FORMAT_LINE}"


def draw(split: str, op: str, story: bool, rng: random.Random) -> Problem:
    """One random problem of a split. A story needs a difference that is not negative."""
    while True:
        problem = rng.choice(problems(split)[op])
        if not (story and problem.answer < 0):
            return problem


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
        yield {
            "id": f"{split}-{number:04d}",
            "prompt": prompt,
            "expected_answer": problem.answer,
            "metadata": {
                "split": split,
                "operation": NAMES[op],
                "wording": "story" if story else "plain",
                "problem": problem.key,
            },
        }


def main() -> int:
    settings = parse("course.datasets.generate", "Remake the data sets of the environment.", Settings)
    for split in SIZES:
        path = settings.out_dir / f"math_{split}.jsonl"
        text = "".join(json.dumps(row) + "\n" for row in rows(split))
        write_whole(path, text.encode())
        print(f"{path}: {SIZES[split]} rows")
    return DONE


if __name__ == "__main__":
    run_command(main)
