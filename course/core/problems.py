"""The problems of the environment, each on one side of the wall between training and testing.

A *problem* is two operands and an operation; its wording is decoration. A hash of the problem decides once which split
it belongs to, so `3+5`, `5+3` and "Ana has 3 pears and buys 5 more" never stand on two sides of the wall. The policy π0
is pre-trained on problems of the train side only (`problems("train")`).
"""

import hashlib
import random
from functools import cache
from typing import NamedTuple

SEED = 2026
FORMAT_LINE = "Output exactly one line: Final: <int>."
HELD_OUT = 0.10  # share of the problems of each operation that dev gets, and again that holdout gets

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
