"""How far are you, and is it right? Every deliverable of the course, with a line for each.

    python -m course.check                 all milestones
    python -m course.check 4               one: first, 0, 0.5, 1 … 6; 4 also says what your tests catch
    python -m course.check --json          for a script; the exit code is 0 when all that was asked is there
    python -m course.check --class DIR     for teachers: one table over the folders of many students

It grades what a program can grade: that runs verify, that notes are written and quote true figures, that tests catch
faulty scorers. Whether something is understood is asked in the oral exam. It runs the student's tests and patch, each
in a process of its own with a time limit; for work that you do not trust, use a machine that you can spare.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, progress, table
from course.core.files import InputError
from course.core.paths import ROOT
from course.core.seal import check_seal
from course.grading.milestones import MILESTONES, Deliverable, Milestone, graded
from course.grading.mutants import MUTANTS
from course.grading.mutation import NEEDED, TestReport
from course.grading.verdict import MISSING, THERE, WRONG, Verdict


@dataclass(frozen=True, kw_only=True)
class Settings:
    milestone: str | None = option(
        None,
        "which one; all by default",
        choices=tuple(m.name for m in MILESTONES),
        metavar="milestone",
        positional=True,
    )
    json: bool = option(False, "print JSON, for a script")
    class_: Path | None = option(None, "check every student's folder in DIR", metavar="DIR")

    @property
    def milestones(self) -> list[Milestone]:
        return [milestone for milestone in MILESTONES if self.milestone in (None, milestone.name)]


@dataclass(frozen=True)
class Row:
    """A deliverable of a milestone, and the verdict on it."""

    milestone: Milestone
    deliverable: Deliverable
    verdict: Verdict


@dataclass(frozen=True)
class Student:
    """How far one folder is."""

    folder: str
    seal: str
    rows: list[Row]

    @property
    def all_there(self) -> bool:
        return self.count(THERE) == len(self.rows)

    def count(self, state: str) -> int:
        return sum(row.verdict.state == state for row in self.rows)

    def at(self, milestone: Milestone) -> "Student":
        """What the folder holds of one milestone."""
        return Student(self.folder, self.seal, [row for row in self.rows if row.milestone is milestone])


def run(settings: Settings) -> list[Student]:
    """Grade every deliverable that was asked for, of this checkout or of each student's folder. Raises InputError."""
    folders = [ROOT] if settings.class_ is None else folders_of(settings.class_)
    students: list[Student] = []
    deliverables = [
        (milestone, deliverable) for milestone in settings.milestones for deliverable in milestone.deliverables
    ]
    with progress("checking", len(folders) * len(deliverables)) as advance:
        for folder in folders:
            rows: list[Row] = []
            for milestone, deliverable in deliverables:
                rows.append(Row(milestone, deliverable, graded(deliverable, folder)))
                advance(len(students) * len(deliverables) + len(rows))
            students.append(Student(folder.name, seal_line(folder), rows))
    return students


def folders_of(class_folder: Path) -> list[Path]:
    """The folders of a class's students. Raises InputError."""
    if not class_folder.is_dir():
        raise InputError(class_folder, "no such folder")
    folders = sorted(path for path in class_folder.iterdir() if (path / "notes").is_dir())
    if not folders:
        raise InputError(class_folder, "no folder in it holds notes/: it should hold one checkout for each student")
    return folders


def seal_line(root: Path) -> str:
    """The state of a folder's core: whole, changed, or sealed anew."""
    try:
        state = check_seal(root)
    except InputError:
        return "not handed in"
    if not state.whole:
        return f"changed ({state.broken[0]}{'' if len(state.broken) == 1 else f' and {len(state.broken) - 1} more'})"
    is_ours = state.core_sha256 == check_seal(ROOT).core_sha256
    return "whole" if is_ours else "whole, but of another version than this one"


def as_data(student: Student) -> dict[str, Any]:
    """The progress of one folder, for a script."""
    milestones: dict[str, dict[str, Any]] = {}
    for row in student.rows:
        entry = milestones.setdefault(row.milestone.name, {"title": row.milestone.title, "deliverables": []})
        verdict = {"state": row.verdict.state, "text": row.verdict.text}
        entry["deliverables"].append({"path": row.deliverable.path, **verdict})
    return {"folder": student.folder, "seal": student.seal, "milestones": milestones}


def print_json(students: Iterable[Student], of_class: bool) -> None:
    """A list for a class, one object for this checkout."""
    data = [as_data(student) for student in students]
    print(json.dumps(data if of_class else data[0], indent=2, ensure_ascii=False))


def print_progress(student: Student, with_tests: bool) -> None:
    """A line for each deliverable. No table: what is to be typed must not be broken by a narrow column."""
    out = console()
    wide = max(len(row.deliverable.path) for row in student.rows)
    for number, row in enumerate(student.rows):
        if number == 0 or row.milestone is not student.rows[number - 1].milestone:
            out.print(f"{row.milestone.name}  {row.milestone.title}")
        out.print(f"   {row.verdict.state:8} {row.deliverable.path:{wide}}  {row.verdict.text}")
    counts = (f"{student.count(state)} {state}" for state in (THERE, MISSING, WRONG))
    out.print(f"\n{', '.join(counts)}, of {len(student.rows)}. The core's seal: {student.seal}.")
    out.print(f"Next: {what_is_next(student)}")
    for row in student.rows:
        if with_tests and isinstance(row.verdict.report, TestReport):
            print_tests(row.deliverable.path, row.verdict.report)


def what_is_next(student: Student) -> str:
    """The first thing that is missing or wrong; or, when all is there, the page that follows."""
    for row in student.rows:
        if row.verdict.state == MISSING:
            return f"{row.deliverable.how}   ({row.milestone.page} says what for)"
        if row.verdict.state == WRONG:
            return f"put right {row.deliverable.path}   ({row.milestone.page})"
    following = MILESTONES[MILESTONES.index(student.rows[-1].milestone) + 1 :]
    return f"read {following[0].page}" if following else "read docs/transfer.md"


def print_tests(path: str, report: TestReport) -> None:
    """What the tests catch, what they do not, and whether each asserts both halves of the contract."""
    out = console()
    out.print(f"\nYour tests, {path}:")
    if report.failures:
        out.print("against the true scorer, which all tests must pass:")
        for failure in report.failures:
            out.print(f"  {failure}")
        return
    rows = table("test", "asserts a reward", "asserts a field of details")
    for name, (reward, details) in report.tests.items():
        rows.add_row(name, "yes" if reward else "NO", "yes" if details else "NO")
    out.print(rows)
    out.print(f"\nFaulty scorers caught: {len(report.caught)} of {len(MUTANTS)}; {NEEDED} are enough.")
    if report.survived:
        out.print("Not caught, each a scorer that")
        for mutant in report.survived:
            out.print(f"  - {mutant.behaviour}")
        out.print("For each: what should the true scorer do there? Write that down as a test.")


def print_class(students: list[Student], milestones: list[Milestone]) -> None:
    """One table over the folders of many students, and what is wrong with their work."""
    out = console()
    rows = table("student", *(f">{milestone.name}" for milestone in milestones), "seal")
    for student in students:
        parts = [student.at(milestone) for milestone in milestones]
        cells = (f"{p.count(THERE)}/{len(p.rows)}{'!' if p.count(WRONG) else ''}" for p in parts)
        rows.add_row(student.folder, *cells, student.seal)
    out.print(rows)
    out.print("\nthere/asked for; `!`: something is wrong with one that is not there:")
    for student in students:
        for row in student.rows:
            if row.verdict.state == WRONG:
                out.print(f"  {student.folder}: {row.deliverable.path}: {row.verdict.text}")


def main() -> int:
    settings = parse("course.check", "How far are you, and is it right?", Settings)
    students = run(settings)
    if settings.json:
        print_json(students, of_class=settings.class_ is not None)
    elif settings.class_ is not None:
        print_class(students, settings.milestones)
    else:
        print_progress(students[0], with_tests=settings.milestone is not None)
    return DONE if all(student.all_there for student in students) else FOUND


if __name__ == "__main__":
    run_command(main)
