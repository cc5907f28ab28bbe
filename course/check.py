"""How far are you, and is it right? Every deliverable of the course, with a line for each.

    python -m course.check                 all milestones
    python -m course.check 4               one: first, 0, 0.5, 1 … 6; 4 also says what your tests catch
    python -m course.check --json          for a script; the exit code is 0 when all that was asked is there
    python -m course.check --class DIR     for teachers: one table over the folders of many students

It grades what a program can grade: that runs verify, that notes are written and quote true figures, that tests catch
faulty scorers. Whether something is understood is asked in the oral exam.

A folder is graded in processes of its own, with limits on time and, but for Windows, on memory, files and processes;
whatever one deliverable does costs its own verdict only, and what it started is ended. A student's code is not told
what it is put to, and prints no grade. It still runs as you: it can read and write whatever you can, other students'
work and this program included. For work that you do not trust, use an account or a machine that you can spare.
"""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, print_json, progress, table, visible
from course.core.files import InputError
from course.core.paths import ROOT
from course.grading.milestones import MILESTONES, Deliverable, Milestone
from course.grading.mutants import MUTANTS
from course.grading.mutation import NEEDED, TestReport
from course.grading.verdict import MISSING, THERE, WRONG, Verdict
from course.grading.worker import SEAL, grade_folder

NAMES = tuple(milestone.name for milestone in MILESTONES)


@dataclass(frozen=True, kw_only=True)
class Settings:
    milestone: str | None = option(
        None, f"one of {', '.join(NAMES)} (default: all)", choices=NAMES, metavar="milestone", positional=True
    )
    json: bool = option(False, "print JSON, for a script")
    class_: Path | None = option(None, "check every student's folder in DIR", metavar="DIR")
    seconds: int = option(180, "time for each deliverable that runs code, and for all others together", at_least=1)

    @property
    def milestones(self) -> list[Milestone]:
        return [milestone for milestone in MILESTONES if self.milestone in (None, milestone.name)]


@dataclass(frozen=True)
class Student:
    """How far one folder is: every deliverable that was asked for, with its milestone and the verdict on it."""

    folder: str
    seal: str
    rows: list[tuple[Milestone, Deliverable, Verdict]]

    def states(self, *milestones: Milestone) -> list[str]:
        """The states of the deliverables, of some milestones or of all."""
        return [verdict.state for milestone, _, verdict in self.rows if not milestones or milestone in milestones]


def run(settings: Settings) -> list[Student]:
    """Grade every deliverable that was asked for, of this checkout or of each student's folder. Raises InputError."""
    folders = [ROOT] if settings.class_ is None else folders_of(settings.class_)
    asked = [(milestone, deliverable) for milestone in settings.milestones for deliverable in milestone.deliverables]
    each = [SEAL, *(deliverable for _, deliverable in asked)]
    students: list[Student] = []
    with progress("checking", len(folders) * len(each)) as advance:
        steps = itertools.count(1)
        for folder in folders:
            seal, *verdicts = grade_folder(folder, each, settings.seconds, lambda: advance(next(steps)))
            rows = [(*pair, verdict) for pair, verdict in zip(asked, verdicts, strict=True)]
            students.append(Student(folder.name, seal.text, rows))
    return students


def folders_of(class_folder: Path) -> list[Path]:
    """The folders of a class's students, those that cannot be looked into among them. Raises InputError."""
    if not os.access(class_folder, os.R_OK | os.X_OK) or not class_folder.is_dir():
        raise InputError(class_folder, "no such folder, or you may not look into it")
    folders = [path for path in sorted(class_folder.iterdir()) if os.path.isdir(path)]
    folders = [path for path in folders if os.path.lexists(path / "notes") or not os.access(path, os.X_OK)]
    if not folders:
        raise InputError(class_folder, "no folder in it holds notes/: it should hold one checkout for each student")
    return folders


def as_data(student: Student) -> dict[str, Any]:
    """The progress of one folder, for a script."""
    milestones: dict[str, dict[str, Any]] = {}
    for milestone, deliverable, verdict in student.rows:
        entry = milestones.setdefault(milestone.name, {"title": milestone.title, "deliverables": []})
        entry["deliverables"].append({"path": deliverable.path, "state": verdict.state, "text": verdict.text})
    return {"folder": student.folder, "seal": student.seal, "milestones": milestones}


def print_progress(student: Student, with_tests: bool) -> None:
    """A line for each deliverable. No table: what is to be typed must not be broken by a narrow column."""
    out = console()
    wide = max(len(deliverable.path) for _, deliverable, _ in student.rows)
    for milestone, deliverable, verdict in student.rows:
        if deliverable is milestone.deliverables[0]:
            out.print(f"{milestone.name}  {milestone.title}")
        out.print(f"   {verdict.state:8} {deliverable.path:{wide}}  {verdict.text}")
    states = student.states()
    counts = (f"{states.count(state)} {state}" for state in (THERE, MISSING, WRONG))
    out.print(f"\n{', '.join(counts)}, of {len(states)}. The core's seal: {student.seal}.")
    out.print(f"Next: {what_is_next(student)}")
    for _, deliverable, verdict in student.rows:
        if with_tests and verdict.report:
            print_tests(deliverable.path, verdict.report)


def what_is_next(student: Student) -> str:
    """The first thing that is missing or wrong; or, when all is there, the page that follows."""
    for milestone, deliverable, verdict in student.rows:
        if verdict.state == MISSING:
            return f"{deliverable.how}   ({milestone.page} says what for)"
        if verdict.state == WRONG:
            return f"put right {deliverable.path}   ({milestone.page})"
    pages = [*(milestone.page for milestone in MILESTONES), "docs/transfer.md"]
    return f"read {pages[pages.index(student.rows[-1][0].page) + 1]}"


def print_tests(path: str, report: TestReport) -> None:
    """What the tests catch, what they do not, and whether each asserts both halves of the contract."""
    out = console()
    out.print(f"\nYour tests, {path}:")
    if report.failures:
        out.print("against the true scorer, which all tests must pass:", *report.failures, sep="\n  ")
        return
    rows = table("test", "asserts a reward", "asserts a field of details")
    for name, (reward, details) in report.tests.items():
        rows.add_row(name, "yes" if reward else "NO", "yes" if details else "NO")
    out.print(rows)
    out.print(f"\nFaulty scorers caught: {len(report.caught)} of {len(MUTANTS)}; {NEEDED} are enough.")
    if report.survived:
        out.print("Not caught, each a scorer that", *report.survived, sep="\n  - ")
        out.print("For each: what should the true scorer do there? Write that down as a test.")


def print_class(students: list[Student], milestones: list[Milestone]) -> None:
    """One table over the folders of many students, and what is wrong with their work."""
    out = console()
    rows = table("student", *(f">{milestone.name}" for milestone in milestones), "seal")
    for student in students:
        states = map(student.states, milestones)
        cells = (f"{some.count(THERE)}/{len(some)}{'!' if WRONG in some else ''}" for some in states)
        rows.add_row(visible(student.folder), *cells, student.seal)
    out.print(rows)
    out.print("\nthere/asked for; `!`: something is wrong with one that is not there:")
    for student in students:
        for _, deliverable, verdict in student.rows:
            if verdict.state == WRONG:
                out.print(f"  {visible(student.folder)}: {deliverable.path}: {verdict.text}")


def main() -> int:
    settings = parse("course.check", "How far are you, and is it right?", Settings)
    students = run(settings)
    if settings.json:
        data = [as_data(student) for student in students]
        print_json(data if settings.class_ else data[0])
    elif settings.class_:
        print_class(students, settings.milestones)
    else:
        print_progress(students[0], with_tests=settings.milestone is not None)
    return DONE if all({*student.states()} == {THERE} for student in students) else FOUND


if __name__ == "__main__":
    run_command(main)
