"""The debugging kata: something is wrong with each example, and the question is what.

    python -m course.kata                 the ten examples, with their evidence
    python -m course.kata --answer        asks for what is not answered yet, and keeps it in notes/kata_1.toml
    python -m course.kata --grade         grades what is answered, and says why
    python -m course.kata --hint k03      a hint on one example; --step 2 and --step 3 say more
    python -m course.kata --number 2 …    the second, harder kata: public verifiers that disagree

You can write the file by hand as well; an example is graded only when it has a label, a reason and a fix.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from course.core.command_line import DONE, FOUND, option, parse, run_command, spelt
from course.core.display import console, table, visible
from course.core.files import InputError, write_whole
from course.core.paths import NOTES
from course.grading import katas
from course.grading.hints import STEPS, show_hint
from course.grading.katas import FEWEST_WORDS, LABELS, Answer, Item


@dataclass(frozen=True, kw_only=True)
class Settings:
    number: int = option(1, "which kata", at_least=1, at_most=2)
    answer: bool = option(False, "ask for what is not answered yet")
    grade: bool = option(False, "grade what is answered")
    hint: str | None = option(None, "an example to give a hint on")
    step: int = option(1, "which hint", at_least=1, at_most=STEPS)
    file: Path | None = option(None, "where the answers are (default: notes/kata_1.toml)")

    @property
    def path(self) -> Path:
        return self.file or NOTES / f"kata_{self.number}.toml"

    @property
    def command(self) -> str:
        return "python -m course.kata" + ("" if self.number == 1 else f" --number {self.number}")


def show(out: Console, settings: Settings) -> int:
    """Every example with its evidence."""
    show_labels(out)
    for item in katas.load_items(settings.number):
        show_item(out, item, with_panel=settings.number == 2)
    asked = f"or let yourself be asked: {settings.command} --answer"
    out.print(f"\nWrite your answers into {spelt(settings.path)}, {asked}")
    out.print(f"Next: {settings.command} --grade")
    return DONE


def answer(out: Console, settings: Settings) -> int:
    """Ask for every answer that is missing; each is kept, and graded, when it is given. Raises InputError."""
    kata, path, shown = settings.number, settings.path, spelt(settings.path)
    if not sys.stdin.isatty():
        raise InputError("--answer", f"there is no terminal to ask on: write {shown}, then --grade")
    items = katas.load_items(kata)
    answers = katas.load_answers(path, kata) if path.is_file() else {item.id: Answer() for item in items}
    show_labels(out)
    for item in items:
        if answers[item.id].lacks() is None:
            continue
        show_item(out, item, with_panel=kata == 2)
        try:
            answers[item.id] = ask(out)
        except KeyboardInterrupt:
            goes_on = f"{settings.command} --answer goes on."
            raise KeyboardInterrupt(f"\nStopped. What you answered is kept in {shown}; {goes_on}") from None
        write_whole(path, as_toml(answers))
        show_grade(out, item.id, answers[item.id], kata)
    out.print(f"\nAll answered; they are in {shown}. Next: {settings.command} --grade")
    return DONE


def grade(out: Console, settings: Settings) -> int:
    """Grade a file of answers: what differs and why for each that is answered, what is missing for the others."""
    answers = katas.load_answers(settings.path, settings.number)
    grades = katas.grade_kata(answers, settings.number)
    for key, given in answers.items():
        show_grade(out, key, given, settings.number)
    right = sum(grades.values())
    unanswered = f"{len(answers) - len(grades)} of {len(answers)} not answered yet."
    out.print(f"\n{right} of {len(grades)} labels right, {unanswered}")
    if right < len(grades):
        out.print("A label that differs is worth more than one that agrees, if you can say now what misled you.")
    return DONE if right == len(answers) else FOUND


def show_item(out: Console, item: Item, with_panel: bool) -> None:
    """The evidence of one example."""
    out.print(f"\n{item.id}   prompt: {item.prompt}")
    out.print(f"      expected answer: {item.expected_answer}")
    out.print(f"      completion:      `{visible(item.completion)}`   (as Python: {item.completion!a})")
    out.print(f"      the instrument's written rule: {item.written_rule()}")
    result = item.result()
    details = result["details"]
    read = "".join(f", {name} {details[name]!r}" for name in ("code", "extracted") if details.get(name) is not None)
    out.print(f"      it gives reward {result['reward']:g}{read}")
    if with_panel:
        paid = (f"{name} {reward:g}" for name, reward in item.panel().items())
        out.print(f"      the panel: {', '.join(paid)}")


def show_labels(out: Console) -> None:
    rows = table("label", "what it means")
    for label, meaning in LABELS.items():
        rows.add_row(label, meaning)
    out.print(rows)
    out.print("The instrument is not always the scorer that the course ships: its written rule says what it should do.")


def as_toml(answers: dict[str, Answer]) -> bytes:
    """The answers as TOML. A JSON string is a TOML string but for DEL."""
    parts = ["# model, verifier, ambiguous or hack; why in two or three sentences; one concrete fix.\n"]
    for key, given in answers.items():
        values = msgspec.to_builtins(given).items()
        parts.append(f"[{key}]\n" + "".join(f"{name} = {json.dumps(v, ensure_ascii=False)}\n" for name, v in values))
    return "\n".join(parts).replace("\x7f", "\\u007f").encode("utf-8", "replace")


def ask(out: Console) -> Answer:
    """One answer from the terminal, each part asked for until it will do. Raises InputError at the terminal's end."""
    given = Answer("model", "enough " * FEWEST_WORDS, "a fix")  # what is not asked yet counts as answered
    for part in ("label", "why", "fix"):
        while True:
            try:
                text = input(f"{part + ':':7}").strip()
            except EOFError:
                raise InputError("--answer", "the terminal was closed; what was answered before is kept") from None
            tried = msgspec.structs.replace(given, **{part: text.lower() if part == "label" else text})
            if tried.lacks() is None:
                break
            out.print(f"       {tried.lacks()}")
        given = tried
    return given


def show_grade(out: Console, key: str, given: Answer, kata: int) -> None:
    """What differs and why; nothing of the solution before the answer is whole."""
    solution = katas.load_solutions(kata)[key]
    verdict = "right" if given.label == solution.label else f"you said {given.label}, it is {solution.label}"
    lacks = given.lacks()
    lines = [lacks] if lacks else [verdict, f"     {solution.why}", f"     A fix: {solution.fix}"]
    out.print(f"\n{key}: {lines[0]}", *lines[1:], sep="\n")


def main() -> int:
    settings = parse("course.kata", "Say what went wrong, ten times.", Settings)
    if settings.hint is not None:
        among = [item.id for kata in (1, 2) for item in katas.load_items(kata)]
        show_hint(settings.hint, settings.step, among, "python -m course.kata")
        return DONE
    do = grade if settings.grade else answer if settings.answer else show
    return do(console(), settings)


if __name__ == "__main__":
    run_command(main)
