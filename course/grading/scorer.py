"""A scorer of the student's own (`notes/my_score.py`, optional), put to known cases and to strings not seen before.

The golden cases are public; the held-back strings are drawn from a secret seed, and hold a witness of every fault in
`mutants` that shows in a reward. The scorer runs in a process of its own (`course.grading.inside`), where neither
answers nor `course.score` can be had, and gets every case twice, in an order that nobody knows beforehand.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.core.files import InputError
from course.core.golden import REQUIRED_REWARD, GoldenCase, load_cases
from course.grading.process import Enough, converse
from course.score import MAX_CHARACTERS, score

TIME_LIMIT = 20  # seconds for all cases

# What is made of an expected answer n: its size a, its opposite, a neighbour, itself in other digits.
FORMS = (
    *("Final: {n}", "Final: {n}\n", "  Final: {n}\r\n", "\tFinal: {n} ", "Final: {near}", "Final: {opposite}"),
    *("Final: {near}\nFinal: {n}", "Final: {n}\nFinal: {near}", "Final: {n} Final: {near}", "Final: {n}{digit}"),
    *("final: {n}", "FINAL: {n}", "Final:{n}", "Final:  {n}", "Final:\t{n}", "Final : {n}", "Final {n}", "{n}"),
    *("Final: +{n}", "Final: -{n}", "Final: 0{n}", "Final: {n:,}", "Final: {n}.0", "Final: {n}e0", "Final: {n}+0"),
    *("Final: {n}.", "Final: {n} I think", "Final: {n}\nDone.", "Done. Final: {n}", "So\nFinal: {n}", "Final: {n}\x0b"),
    *(
        "Final: {n}\u00a0",
        "Final: {n}\u200b",
        "\ufeffFinal: {n}",
        "Final: {wide}",
        "Final\uff1a {n}",
        "Final: \u2212{a}",
    ),
    *(
        "The answer is {n}.",
        "Final: {n}" + " " * MAX_CHARACTERS,
        "Final: {n}" + "0" * 5_000,
        "",
        "Final:",
        "Final: {{}}",
    ),
)
NO_TEXT: tuple[Any, ...] = (None, 323, 3.5, True, [], ["Final: 323"], {"completion": "Final: 323"})
SIZES = ((0, 0), (100, 999), (-999, -100), (1_000, 999_999), (10**17 + 1, 10**18 - 2), (2 - 10**18, -(10**17)))


@dataclass
class ScorerReport:
    """The cases, those right, of these the codes that are the spec's; by (kind, code of the spec) what is wrong."""

    cases: int
    right: int = 0
    same_codes: int = 0
    wrong: dict[tuple[str, str], list[tuple[GoldenCase, str]]] = field(default_factory=dict)  # with what it gave


def held_back(seed: object) -> list[GoldenCase]:
    """Every form of a number of every size, and what is no text."""
    rng, cases = random.Random(f"scorer:{seed}"), []

    def add(n: int, completion: object, given_as: Any = None) -> None:
        prompt = f"Compute {n - 7}+7. Output exactly one line: Final: <int>."
        cases.append(GoldenCase("held-back", n, completion, "drawn", prompt=prompt, given_as=given_as))

    for form in FORMS:
        for n in (rng.randint(*size) for size in SIZES):
            wide = "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in str(n))
            near, digit = n + rng.choice((-1, 1)), rng.randint(0, 9)
            add(n, form.format(n=n, a=abs(n), opposite=-n, near=near, digit=digit, wide=wide))
    for value in NO_TEXT:
        add(323, value)
    add(323, "Final: 323", "bytes")
    add(323, "Final: 323", "bytearray")
    return cases


def grade_scorer(path: Path, golden: Path, time_limit: float = TIME_LIMIT) -> ScorerReport:
    """Put a file's scorer to every case, twice. Raises InputError if it does not answer to all."""
    cases = [case for name, reward in REQUIRED_REWARD.items() for case in load_cases(golden / f"{name}.jsonl", reward)]
    cases += held_back(secrets.token_hex())
    said: list[list[Any]] = [[] for _ in cases]
    waiting = [*range(len(cases))] * 2
    secrets.SystemRandom().shuffle(waiting)
    last: GoldenCase | None = None

    def answer(message: Any) -> Any:
        nonlocal last
        match message:
            case ["ready"]:
                pass
            case ["gave", int() | float(), str() | None] | ["raised" | "no score", str()] if waiting:
                said[waiting.pop()].append(message)
            case _:
                raise ValueError("nothing that was asked for")
        if not waiting:
            raise Enough
        last = cases[waiting[-1]]
        return [example_of(last), last.completion, last.given_as]

    ending = converse("-m", "course.grading.inside", "scorer", path.resolve(), answer=answer, seconds=time_limit)
    if waiting:
        where = f", at the completion {last.completion!r:.60}" if last else ""
        raise InputError(path, f"{'it stopped the program' if ending.well else ending.text}{where}")
    return judge(cases, said)


def example_of(case: GoldenCase) -> dict[str, Any]:
    """The example as a scorer gets it; its id says nothing of the case."""
    return {"id": "mine", "prompt": case.prompt, "expected_answer": case.expected_answer}


def judge(cases: Sequence[GoldenCase], said: Sequence[list[Any]]) -> ScorerReport:
    """What the scorer said of each case, both times, against the spec."""
    report = ScorerReport(len(cases))
    for case, (first, again) in zip(cases, said, strict=True):
        true = score(example_of(case), case.given)
        code = true["details"]["code"]
        if kind := kind_of(first, again, true["reward"]):
            answers = [" ".join(map(str, answer[1:])) for answer in (first, again)]
            gave = ", then ".join(answers if first != again else answers[:1])
            report.wrong.setdefault((kind, code or "it is right"), []).append((case, gave))
        else:
            report.right += 1
            report.same_codes += first[2] == code
    return report


def kind_of(first: list[Any], again: list[Any], reward: float) -> str:
    """In which way two answers to one case are wrong; empty if they are right."""
    if first != again:
        return "not the same twice"
    if first[0] != "gave":
        return str(first[0])
    if first[1] != reward:
        return "false positive" if first[1] > reward else "false negative"
    return "" if (first[2] is None) == (reward == 1.0) else "no reason"
