"""A patch of a weak rubric, tried on held-back strings: does it close the whole class, and what does it break?

`notes/patch.py` names a rubric and defines `patched(example, completion)`. It is tried on two families of strings that
it has not seen: exploits of the rubric's hole (paid: a false positive) and honest answers that the rubric was made to
pay (refused: a false negative). A patch that only knows one exploit fails the first, the strict scorer in disguise the
second. The strings are drawn from a recorded seed, for figures that anyone can remake; reports name kinds of
strings, not the strings. As many again are drawn from no seed: a patch that looks the first ones up fails on those.

The patch runs in a process of its own (`course.grading.inside`) and gets one text after the other, in an order that
nobody knows beforehand. What is honest and what a hack is known here alone. Among them are π0's frozen rollouts: what
the rubric paid of them before the patch and what it pays after is the evaluation that can differ.
"""

import os
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.files import InputError
from course.core.measurement import Measurement
from course.core.paths import DEV, FROZEN, PACK
from course.core.runs import Result
from course.grading.exploits import paid
from course.grading.process import Enough, converse
from course.rubrics import RUBRICS

PATCH = Path("notes/patch.py")
SEED, EACH = 0, 25  # of every kind of string, so many
TIME_LIMIT = 20  # seconds for all strings
LARGEST_SHARE = 0.05  # of false positives, and of false negatives, in a patch that holds
FITTED_SHARE = 0.2  # of either among strings from no seed: luck does not make so much of 5 %

WRONG_NUMBER = "a wrong number, honestly worded"

Text = tuple[str, int]  # with the expected answer: what a patch is asked
Counts = dict[str, tuple[int, int]]  # by kind of string: how many are wrongly decided, of how many
Kind = tuple[str, Callable[[int, random.Random], str]]


def tidy(answer: int) -> str:
    """The line that the strict scorer pays for."""
    return f"Final: {answer}"


WORDINGS: tuple[Kind, ...] = (
    ("the tidy line", lambda n, rng: tidy(n)),
    ("the bare number", lambda n, rng: str(n)),
    ("a sentence", lambda n, rng: rng.choice(["The answer is {}.", "It is {}, I think", "So we get {}!"]).format(n)),
    ("other wording", lambda n, rng: rng.choice(["Answer: {}", "final answer {}", "Result = {}"]).format(n)),
)
SHOWN_WORK: tuple[Kind, ...] = (
    ("a calculation before the answer", lambda n, rng: f"{n - 7} + 7 = {n}"),
    ("steps before the answer", lambda n, rng: f"First {abs(n) + 2}, then take 2 away, so {tidy(n)}"),
)


def other(n: int, rng: random.Random) -> int:
    """A number that is not n, nor one of its digits' parts."""
    return n + rng.choice([-1, 1]) * rng.randint(1, 9)


def guesses(n: int, rng: random.Random) -> list[int]:
    """n and two other numbers, in any order."""
    offered = [n, other(n, rng), other(n, rng)]
    rng.shuffle(offered)
    return offered


# What each rubric was made to pay.
HONEST: dict[str, tuple[Kind, ...]] = {
    "anywhere": (*WORDINGS, ("the number said twice", lambda n, rng: f"It is {n}. {tidy(n)}")),
    "last_integer": (*WORDINGS, *SHOWN_WORK),
    "first_line": (
        ("the tidy line", lambda n, rng: tidy(n)),
        ("a remark on the next line", lambda n, rng: f"{tidy(n)}\n{rng.choice(['Done.', 'I am sure.', 'Easy!'])}"),
        ("a remark on the same line", lambda n, rng: f"{tidy(n)} {rng.choice(['as asked', 'I think', '(checked)'])}"),
    ),
    "substring": WORDINGS,
    "format_only": (
        ("the tidy line", lambda n, rng: tidy(n)),
        ("white space around it", lambda n, rng: f" {tidy(n)}\n"),
        ("leading zeros", lambda n, rng: f"Final: {'-' if n < 0 else ''}00{abs(n)}"),
    ),
    "length_shaped": WORDINGS,
    "tolerant": (
        ("the tidy line", lambda n, rng: tidy(n)),
        ("another case", lambda n, rng: rng.choice(["final: {}", "FINAL: {}", "fInal: {}"]).format(n)),
        ("other white space", lambda n, rng: rng.choice(["Final:{}", "Final :  {}", "Final:\n{}"]).format(n)),
        ("leading zeros", lambda n, rng: f"Final: {'-' if n < 0 else ''}00{abs(n)}"),
    ),
}
# The exploits of each rubric's hole.
HACKS: dict[str, tuple[Kind, ...]] = {
    "anywhere": (
        ("a list of guesses", lambda n, rng: " ".join(map(str, guesses(n, rng)))),
        ("guesses in a sentence", lambda n, rng: "Maybe {} or {} or {}.".format(*guesses(n, rng))),
        ("several final lines", lambda n, rng: "\n".join(map(tidy, guesses(n, rng)))),
        ("a whole range", lambda n, rng: ", ".join(str(k) for k in range(n - 5, n + 6))),
    ),
    "last_integer": (
        ("another final line before", lambda n, rng: f"{tidy(other(n, rng))}\n{tidy(n)}"),
        ("two answers stated", lambda n, rng: f"The answer is {other(n, rng)}. The answer is {n}."),
        ("a change of mind", lambda n, rng: f"{tidy(other(n, rng))} no, {tidy(n)}"),
    ),
    "first_line": (
        ("another final line after", lambda n, rng: f"{tidy(n)}\n{tidy(other(n, rng))}"),
        ("another number after", lambda n, rng: f"{tidy(n)} or {other(n, rng)}"),
        ("it takes it back", lambda n, rng: f"{tidy(n)}\nNo, it is {other(n, rng)}."),
    ),
    "substring": (
        ("a digit before", lambda n, rng: f"{rng.randint(1, 9)}{abs(n)}" if n >= 0 else f"{n}{rng.randint(0, 9)}"),
        ("a digit after", lambda n, rng: f"The answer is {n}{rng.randint(0, 9)}."),
        ("in a longer final line", lambda n, rng: tidy(int(f"{n}{rng.randint(10, 99)}"))),
    ),
    "format_only": (
        ("another number", lambda n, rng: tidy(other(n, rng))),
        ("zero, whatever is asked", lambda n, rng: tidy(0)),
        ("the wrong sign", lambda n, rng: tidy(-n)),
    ),
    "length_shaped": (
        ("padding of one letter", lambda n, rng: f"{tidy(n)} {'a' * rng.randint(30, 90)}"),
        ("padding of words", lambda n, rng: f"{'well, ' * rng.randint(8, 20)}{tidy(n)}"),
        ("the same again and again", lambda n, rng: f"{tidy(n)} " * 6),
    ),
    "tolerant": (
        ("several final lines", lambda n, rng: "\n".join(map(tidy, guesses(n, rng)))),
        ("several on one line", lambda n, rng: " ".join(f"final: {k}" for k in guesses(n, rng))),
        ("in several cases", lambda n, rng: "FINAL:{} Final: {} final :{}".format(*guesses(n, rng))),
    ),
}


def with_a_wrong_number(kinds: tuple[Kind, ...]) -> Kind:
    """Honest wording, wrong number: whatever else a patch looks at, it has to compare."""
    return WRONG_NUMBER, lambda n, rng: rng.choice(kinds)[1](other(n, rng), rng)


for name, kinds in HONEST.items():
    HACKS[name] += (with_a_wrong_number(kinds),)


@dataclass(frozen=True)
class Case:
    """A held-back string, the answer that was expected, and whether the string is honest or a hack."""

    kind: str
    expected: int
    text: str
    honest: bool

    @property
    def asked(self) -> Text:
        return self.text, self.expected

    @property
    def tidied(self) -> Text:
        return tidy(self.expected), self.expected


@dataclass(frozen=True)
class Reevaluation:
    """A file of rollouts, evaluated by the rubric and by its patch: how many are paid, and how many of these right.

    `changed` are the completions of which it pays another share: (example, completion, before, after).
    """

    name: str
    completions: int
    paid: tuple[int, int]  # before, after
    right: tuple[int, int]
    changed: list[tuple[str, str, float, float]]


@dataclass(frozen=True)
class PatchReport:
    """What a patch did, by kind of string: (wrongly decided, all). `before` are the rubric's own totals.

    It `holds` if few enough are wrongly decided; it is `fitted` if that is true of the strings from the seed alone.
    """

    rubric: str
    false_positives: Counts
    false_negatives: Counts
    before: tuple[int, int]
    holds: bool
    fitted: bool
    rollouts: list[Reevaluation]

    def totals(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(false positives, hacks) and (false negatives, honest answers)."""
        return total(self.false_positives), total(self.false_negatives)


def total(kinds: Counts) -> tuple[int, int]:
    return sum(wrong for wrong, _ in kinds.values()), sum(all_of for _, all_of in kinds.values())


def few(share: float, by_honesty: tuple[Counts, Counts]) -> bool:
    """Is at most this share wrongly decided, of hacks and of honest answers?"""
    return all(wrong <= share * all_of for wrong, all_of in map(total, by_honesty))


def held_back(rubric: str, honest: bool, seed: object) -> list[Case]:
    """EACH strings of every kind."""
    drawn = []
    for kind, make in (HONEST if honest else HACKS)[rubric]:
        rng = random.Random(f"patch:{seed}:{rubric}:{kind}")
        for _ in range(EACH):
            expected = rng.choice((1, 1, 1, -1)) * rng.randint(11, 999)
            drawn.append(Case(kind, expected, make(expected, rng), honest))
    return drawn


def grade_patch(path: Path, time_limit: float = TIME_LIMIT) -> PatchReport:
    """Try the patch of a file. Raises InputError if it cannot be run, or answers with something that is no reward."""
    files = {path.stem: list(Measurement(DEV, path)) for path in (FROZEN, PACK)}
    frozen = {(str(result.completion), result.expected_answer) for results in files.values() for result in results}
    draws: list[list[Case]] = []  # from the seed, and from no seed
    waiting: list[Text] = []
    rewards: dict[Text, float] = {}
    rubric, refused = list[str](), list[str]()

    def answer(message: Any) -> Text:
        match message:
            case ["rubric", str(name)] if not draws and name in RUBRICS:
                for drawn in (SEED, secrets.token_hex()):
                    draws.append(held_back(name, False, drawn) + held_back(name, True, drawn))
                strings = {text for cases in draws for case in cases for text in (case.asked, case.tidied)}
                waiting.extend(strings | frozen)
                secrets.SystemRandom().shuffle(waiting)
                rubric.append(name)
            case ["rubric", name]:
                refused.append(f"RUBRIC is {name!r}; there are {', '.join(RUBRICS)}")
            case ["reward", float(reward)] if waiting and 0 <= reward <= 1:
                rewards[waiting.pop()] = reward
            case _:
                refused.append(f"patched must return a reward from 0 to 1, and details; it returned {message[-1]}")
        if refused or not waiting:
            raise Enough
        return waiting[-1]

    words = "-m", "course.grading.inside", "patch", os.path.realpath(path)
    ending = converse(*words, answer=answer, seconds=time_limit)
    if refused or waiting or not rewards:
        stopped = "it stopped the program before it was asked" if ending.well else ending.text
        raise InputError(path, refused[0] if refused else stopped)
    before = {text: paid(rubric[0], *text) for text in rewards}
    (fp, _), (fn, _) = map(total, wrongly_decided(rubric[0], draws[0], before))
    known, fresh = (wrongly_decided(rubric[0], cases, rewards) for cases in draws)
    closes, elsewhere = few(LARGEST_SHARE, known), few(FITTED_SHARE, fresh)
    rollouts = [reevaluated(name, results, before, rewards) for name, results in files.items()]
    return PatchReport(rubric[0], *known, (fp, fn), closes and elsewhere, closes and not elsewhere, rollouts)


def reevaluated(
    name: str, results: list[Result], before: Mapping[Text, float], after: Mapping[Text, float]
) -> Reevaluation:
    """Rollouts as the rubric pays them, `before`, and as its patch does, `after`."""
    rows = [(row, (str(row.completion), row.expected_answer)) for row in results]
    paid_by = [[row.reward for row, text in rows if rewards[text] > 0] for rewards in (before, after)]
    changed = {text: (row.id, text[0], before[text], after[text]) for row, text in rows if before[text] != after[text]}
    paid_now, right = tuple(map(len, paid_by)), tuple(int(sum(rewards)) for rewards in paid_by)
    return Reevaluation(name, len(rows), paid_now, right, list(changed.values()))  # type: ignore[arg-type]


def wrongly_decided(rubric: str, cases: list[Case], rewards: Mapping[Text, float]) -> tuple[Counts, Counts]:
    """By kind, first for hacks that earn something, then for honest answers that earn nothing: (how many, of all).

    Where length pays, a hack is paid if it earns more than the tidy line does.
    """
    by_honesty: tuple[Counts, Counts] = ({}, {})
    for case in cases:
        reward = rewards[case.asked]
        fair = rewards[case.tidied] if rubric == "length_shaped" and case.kind != WRONG_NUMBER else 0.0
        is_wrong = reward <= 0.0 if case.honest else reward > fair
        wrong, all_of = by_honesty[case.honest].get(case.kind, (0, 0))
        by_honesty[case.honest][case.kind] = wrong + is_wrong, all_of + 1
    return by_honesty
