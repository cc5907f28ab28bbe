"""How public verifiers read an answer, each rule rewritten in a few lines: the panel of the second kata.

Benchmarks and libraries score the same text differently, and each has a reason. None is the course's scorer; where a
function departs from its written rule, its docstring, that was seen in a real one too, and is kept on purpose.
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


OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


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
    """an arithmetic expression counts as its value"""
    try:
        return value_of(ast.parse(text.removeprefix("Final:").strip().rstrip("."), mode="eval")) == expected
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0.0


def first_number(text: str, expected: int) -> float:
    """the first number in the text is the answer"""
    return numbers(text.replace(",", ""))[:1] == [expected]


def last_number(text: str, expected: int) -> float:
    """the last number in the text is the answer; what is before it is working"""
    return numbers(text.replace(",", ""))[-1:] == [expected]


def one_percent(text: str, expected: int) -> float:
    """the last number in the text must equal the expected answer"""
    # Its written rule says equal; it allows 1 %, which was meant for decimals.
    last = numbers(text.replace(",", ""))[-1:]
    return any(abs(number - expected) <= abs(expected) / 100 for number in last)


def included(text: str, expected: int) -> float:
    """the expected answer must be among the numbers in the text"""
    return expected in numbers(text)


def half_point(text: str, expected: int) -> float:
    """the exact line earns 1; the right number anywhere else in the text earns a half"""
    # Its written rule speaks of the right number; it looks for digits, which may be part of a longer one.
    if text.strip() == f"Final: {expected}":
        return 1.0
    return 0.5 if str(expected) in text else 0.0


def no_separators(text: str, expected: int) -> float:
    """points and commas between digits are dropped before the number is read"""
    return integers(re.sub(r"(?<=[0-9])[.,](?=[0-9])", "", text))[-1:] == [expected]


def any_script(text: str, expected: int) -> float:
    """the first integer in the text is the answer, in any script that has digits"""
    match = re.search(r"-?\d{1,18}(?!\d)", text)
    return match is not None and int(match[0]) == expected


RULES = (evaluates, first_number, last_number, one_percent, included, half_point, no_separators, any_script)
PUBLIC_VERIFIERS: dict[str, Rule] = {rule.__name__.replace("_", " "): rule for rule in RULES}


def public_scorer(name: str) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """A rule of the panel with the scorer's signature. What is not text earns 0."""

    def score(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        text = completion[:LIMIT] if isinstance(completion, str) else ""
        reward = float(PUBLIC_VERIFIERS[name](text, example["expected_answer"]))
        return {"reward": reward, "details": {"instrument": name}}

    return score
