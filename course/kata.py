"""The debugging kata: something is wrong with each example, and the question is what.

    python -m course.kata                 the ten examples, with their evidence
    python -m course.kata --answer        asks for what is not answered yet, and keeps it in notes/kata_1.toml
    python -m course.kata --grade         grades what is answered, and says why
    python -m course.kata --number 2 …    the second, harder kata: public verifiers that disagree

Four labels: the policy failed (`model`), the instrument is broken (`verifier`), prompt or spec leave it open
(`ambiguous`), or the rule pays for what nobody wanted (`hack`). You can write the file by hand as well; an example is
graded only when it has a label, a reason and a fix.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from course.core.command_line import DONE, FOUND, INTERRUPTED, run_command
from course.core.display import console, table, visible
from course.core.files import InputError, write_whole
from course.core.paths import ROOT
from course.grading.katas import (
    FEWEST_WORDS,
    LABELS,
    Answer,
    Item,
    answers_path,
    grade,
    load_answers,
    load_items,
    load_solutions,
)

KATAS = (1, 2)


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

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

    parts = [
        f"[{key}]\nlabel = {quoted(answer.label)}\nwhy = {quoted(answer.why)}\nfix = {quoted(answer.fix)}\n"
        for key, answer in answers.items()
    ]
    return (
        "# model, verifier, ambiguous or hack; why in two or three sentences; one concrete fix.\n\n" + "\n".join(parts)
    ).encode("utf-8", "replace")


def ask(out: Console) -> Answer:
    """One answer from the terminal, each part asked for until it will do. Raises InputError at the terminal's end."""

    def part(prompt: str, answer_with: Callable[[str], Answer]) -> str:
        while True:
            text = input(prompt).strip()
            lacks = answer_with(text).lacks()
            if lacks is None:
                return text
            out.print(f"       {lacks}")

    enough = "enough " * FEWEST_WORDS
    try:
        label = part("label: ", lambda text: Answer(text.lower(), enough, "a fix")).lower()
        why = part("why:   ", lambda text: Answer(label, text, "a fix"))
        return Answer(label, why, part("fix:   ", lambda text: Answer(label, why, text)))
    except EOFError:
        raise InputError("--answer", "the terminal was closed; what was answered before is kept") from None


def show_grade(out: Console, key: str, answer: Answer, right: bool, kata: int) -> None:
    solution = load_solutions(kata)[key]
    verdict = "right" if right else f"you said {answer.label}, it is {solution.label}"
    out.print(f"\n{key}: {verdict}\n     {solution.why}\n     A fix: {solution.fix}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.kata", description="Say what went wrong, ten times.")
    parser.add_argument("--number", type=int, choices=KATAS, default=1, help="which kata (default: 1)")
    parser.add_argument("--answer", action="store_true", help="ask for what is not answered yet")
    parser.add_argument("--grade", action="store_true", help="grade what is answered")
    parser.add_argument("--file", type=Path, help="where the answers are (default: notes/kata_1.toml)")
    args = parser.parse_args()
    kata, path = args.number, args.file or ROOT / answers_path(args.number)
    shown = args.file or answers_path(kata)
    out = console()
    items = load_items(kata)
    again = "" if kata == 1 else f" --number {kata}"
    if args.grade:
        return grade_file(out, path, kata)
    if not args.answer:
        show_labels(out)
        for item in items:
            show_item(out, item, with_panel=kata == 2)
        out.print(f"\nWrite your answers into {shown}, or let yourself be asked: python -m course.kata{again} --answer")
        out.print(f"Next: python -m course.kata{again} --grade")
        return DONE
    if not sys.stdin.isatty():
        raise InputError("--answer", f"there is no terminal to ask on: write {shown}, then --grade")
    answers = load_answers(path, kata) if path.is_file() else {item.id: Answer() for item in items}
    show_labels(out)
    for item in items:
        if answers[item.id].lacks() is None:
            continue
        show_item(out, item, with_panel=kata == 2)
        try:
            answers[item.id] = ask(out)
        except KeyboardInterrupt:
            out.print(
                f"\nStopped. What you answered is kept in {shown}; python -m course.kata{again} --answer goes on."
            )
            return INTERRUPTED
        write_whole(path, as_toml(answers))
        show_grade(out, item.id, answers[item.id], grade(answers, kata)[item.id], kata)
    out.print(f"\nAll answered; they are in {shown}. Next: python -m course.kata{again} --grade")
    return DONE


def grade_file(out: Console, path: Path, kata: int) -> int:
    """Grade a file of answers: what differs and why for each that is answered, what is missing for the others."""
    answers = load_answers(path, kata)
    grades = grade(answers, kata)
    for key, answer in answers.items():
        if key in grades:
            show_grade(out, key, answer, grades[key], kata)
        else:
            out.print(f"\n{key}: {answer.lacks()}")
    right = sum(grades.values())
    out.print(
        f"\n{right} of {len(grades)} labels right, {len(answers) - len(grades)} of {len(answers)} not answered yet."
    )
    if right < len(grades):
        out.print("A label that differs is worth more than one that agrees, if you can say now what misled you.")
    return DONE if right == len(answers) else FOUND


if __name__ == "__main__":
    run_command(main)
