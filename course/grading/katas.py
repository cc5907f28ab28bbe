"""The debugging katas: scored examples in which something is wrong, to be told apart by what went wrong.

The evidence is made when it is shown: every instrument is run on the text, so no recorded score can be stale. Labels
and reasons are shown for an example only when the student has labelled it and said why.
"""

from pathlib import Path
from typing import Any

import msgspec

from course.core.files import InputError, JsonLines
from course.core.paths import KATA
from course.core.scoring import SCORERS, STRICT, Scorer, scorer_named
from course.grading.mutants import mutant_named
from course.grading.note_parser import read_toml, sentence_words
from course.grading.public_verifiers import PUBLIC_VERIFIERS, public_scorer

LABELS: dict[str, str] = {
    "model": "model wrong: prompt, spec and instrument are in order, and the output is wrong or out of form",
    "verifier": "verifier wrong: the instrument is broken, its program does not do what its written rule says",
    "ambiguous": "data ambiguous or spec unclear: a defensible answer is refused, or nothing decides",
    "hack": "reward hacked: the instrument does what its rule says, and the rule pays for what nobody wanted",
}
IN_FULL = {"data ambiguous": "ambiguous", "spec unclear": "ambiguous"} | {
    meaning.partition(":")[0]: label for label, meaning in LABELS.items()
}
FEWEST_WORDS = 10  # of a justification


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """One example of a kata. `claims` is the instrument's written rule; empty: the instrument says it itself."""

    id: str
    prompt: str
    expected_answer: int
    completion: str
    instrument: str
    claims: str
    source: str

    @property
    def example(self) -> dict[str, Any]:
        return {"id": self.id, "prompt": self.prompt, "expected_answer": self.expected_answer}

    def written_rule(self) -> str:
        """What the instrument says of itself."""
        return self.claims or PUBLIC_VERIFIERS[self.instrument][0]

    def result(self) -> dict[str, Any]:
        """What the instrument gives this example."""
        return scorer_called(self.instrument)(self.example, self.completion)

    def panel(self) -> dict[str, float]:
        """What every public rule gives it, and the strict scorer: for the second kata."""
        names = (STRICT, *PUBLIC_VERIFIERS)
        return {name: scorer_called(name)(self.example, self.completion)["reward"] for name in names}


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A student's answer to one example; an empty label is one that was not given yet."""

    label: str = ""
    why: str = ""
    fix: str = ""

    def lacks(self) -> str | None:
        """What is missing before the answer can be graded, or None."""
        if not self.label:
            return "not labelled yet"
        if self.label not in LABELS:
            return f"{self.label!r} is no label; there are {', '.join(LABELS)}"
        if sentence_words(self.why) < FEWEST_WORDS:
            return f"say why, in two or three sentences (at least {FEWEST_WORDS} words)"
        if not self.fix.strip():
            return "propose one concrete fix"
        return None


class Solution(Answer, frozen=True, kw_only=True):
    """The course's answer to the example `id`."""

    id: str


def scorer_called(name: str) -> Scorer:
    """The instrument of that name: the strict scorer, a weak rubric, a verifier of the panel, or a mutant."""
    if name in SCORERS:
        return scorer_named(name)
    return public_scorer(name) if name in PUBLIC_VERIFIERS else mutant_named(name)


def load_items(kata: int) -> list[Item]:
    """The examples of a kata, in order. Raises InputError."""
    return [item for _, item in JsonLines(KATA / f"kata_{kata}.jsonl", Item)]


def load_solutions(kata: int) -> dict[str, Solution]:
    """The labels of a kata by example. Raises InputError."""
    return {row.id: row for _, row in JsonLines(KATA / f"kata_{kata}_answers.jsonl", Solution)}


def load_answers(path: Path, kata: int) -> dict[str, Answer]:
    """The student's answers by example; an example that the file lacks has an empty answer. Raises InputError."""
    tables = read_toml(path)
    known = [item.id for item in load_items(kata)]
    answers = dict.fromkeys(known, Answer())
    for key, table in tables.items():
        if key not in answers:
            raise InputError(path, f"the kata has no example {key!r}; it has {known[0]} to {known[-1]}")
        try:
            given = msgspec.convert(table, Answer)
        except msgspec.ValidationError:
            raise InputError(path, f"{key}: an answer has label, why and fix, all of them text in quotes") from None
        label = given.label.strip().lower()
        answers[key] = Answer(IN_FULL.get(label, label), given.why.strip(), given.fix.strip())
    return answers


def grade_kata(answers: dict[str, Answer], kata: int) -> dict[str, bool]:
    """For every example that is answered in full: is the label the right one?"""
    solutions = load_solutions(kata)
    return {key: answer.label == solutions[key].label for key, answer in answers.items() if answer.lacks() is None}
