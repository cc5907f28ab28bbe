"""How public verifiers read an answer, each rule rewritten in a few lines: the panel of the second kata.

Benchmarks and libraries score the same text differently, and each has a reason. None is the course's scorer; where a
program departs from its written rule, that was seen in a real one too, and is kept on purpose.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from course.rubrics import integers

Rule = Callable[[str, int], float]  # (text, expected answer) -> reward

LIMIT = 2_000  # characters that a rule looks at


def numbers(text: str) -> list[float]:
    """The decimal numbers of a text, in order."""
    return [float(number) for number in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", text)]


def grouped_numbers(text: str) -> list[float]:
    """The same where commas group digits."""
    return numbers(text.replace(",", ""))


OPERATORS: dict[Any, Callable[[int, int], int]] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def value_of(node: ast.AST) -> int | None:
    """The value of a sum or product of small integers; None for anything else. No powers: `9**9**9` would never end."""
    if isinstance(node, ast.Expression):
        return value_of(node.body)
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**9:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = value_of(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = value_of(node.left), value_of(node.right)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    return None


def evaluates(text: str, expected: int) -> float:
    try:
        return value_of(ast.parse(text.removeprefix("Final:").strip().rstrip("."), mode="eval")) == expected
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0.0


# Every rule of the panel: as it is written, and as it is programmed.
PUBLIC_VERIFIERS: dict[str, tuple[str, Rule]] = {
    "evaluates": ("an arithmetic expression counts as its value", evaluates),
    "first number": ("the first number in the text is the answer", lambda text, n: grouped_numbers(text)[:1] == [n]),
    "last number": (
        "the last number in the text is the answer; what is before it is working",
        lambda text, n: grouped_numbers(text)[-1:] == [n],
    ),
    # Its written rule says equal; it allows 1 %, which was meant for decimals.
    "one percent": (
        "the last number in the text must equal the expected answer",
        lambda text, n: any(abs(number - n) <= abs(n) / 100 for number in grouped_numbers(text)[-1:]),
    ),
    "included": ("the expected answer must be among the numbers in the text", lambda text, n: n in numbers(text)),
    # Its written rule speaks of the right number; it looks for digits, which may be part of a longer one.
    "half point": (
        "the exact line earns 1; the right number anywhere else in the text earns a half",
        lambda text, n: 1.0 if text.strip() == f"Final: {n}" else 0.5 * (str(n) in text),
    ),
    "no separators": (
        "points and commas between digits are dropped before the number is read",
        lambda text, n: integers(re.sub(r"(?<=[0-9])[.,](?=[0-9])", "", text))[-1:] == [n],
    ),
    "any script": (
        "the first integer in the text is the answer, in any script that has digits",
        lambda text, n: [int(digits) for digits in re.findall(r"-?\d{1,18}(?!\d)", text)[:1]] == [n],
    ),
}


def public_scorer(name: str) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """A rule of the panel with the scorer's signature. What is not text earns 0."""

    def score(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        text = completion[:LIMIT] if isinstance(completion, str) else ""
        reward = float(PUBLIC_VERIFIERS[name][1](text, example["expected_answer"]))
        return {"reward": reward, "details": {"instrument": name}}

    return score
