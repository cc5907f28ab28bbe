"""How far are you, and is it right? Every deliverable of the course, with a line for each.

    python -m course.check                 all milestones
    python -m course.check 4               one: first, 0, 0.5, 1 … 6; 4 also says what your tests catch
    python -m course.check --json          for a script; the exit code is 0 when all that was asked is there
    python -m course.check --class DIR     for teachers: one table over the folders of many students

It judges what a program can judge: that runs verify, that notes are written and quote true figures, that tests catch
faulty scorers. Whether something is understood is asked in the oral exam. It runs the student's tests and patch, each
in a process of its own with a time limit; for work that you do not trust, use a machine that you can spare.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from course.core.command_line import DONE, FOUND, run_command
from course.core.display import console, progress, table
from course.core.files import InputError
from course.core.paths import ROOT
from course.core.seal import check_seal
from course.grading.milestones import MILESTONES, Deliverable, Milestone, judged
from course.grading.mutants import FAULTY_SCORERS
from course.grading.mutation import NEEDED, TestReport
from course.grading.verdict import MISSING, THERE, WRONG, Verdict

NAMES = [milestone.name for milestone in MILESTONES]
TESTS = "tests/test_rubric.py"


def verdicts(root: Path, milestones: list[Milestone]) -> Iterator[tuple[Milestone, Deliverable, Verdict]]:
    """Every deliverable of some milestones with its verdict, one at a time."""
    for milestone in milestones:
        for deliverable in milestone.deliverables:
            yield milestone, deliverable, judged(deliverable, root)


def seal_line(root: Path) -> str:
    """The state of a folder's core: whole, changed, or sealed anew."""
    try:
        state = check_seal(root)
    except InputError:
        return "not handed in"
    if not state.whole:
        return f"changed ({state.broken[0]}{'' if len(state.broken) == 1 else f' and {len(state.broken) - 1} more'})"
    return (
        "whole" if state.core_sha256 == check_seal(ROOT).core_sha256 else "whole, but of another version than this one"
    )


def as_data(root: Path, found: list[tuple[Milestone, Deliverable, Verdict]]) -> dict[str, Any]:
    """The progress of one folder, for a script."""
    milestones: dict[str, dict[str, Any]] = {}
    for milestone, deliverable, verdict in found:
        entry = milestones.setdefault(milestone.name, {"title": milestone.title, "deliverables": []})
        entry["deliverables"].append({"path": deliverable.path, "state": verdict.state, "text": verdict.text})
    return {"folder": root.name, "seal": seal_line(root), "milestones": milestones}


def gather(root: Path, milestones: list[Milestone]) -> list[tuple[Milestone, Deliverable, Verdict]]:
    """All verdicts, behind a progress bar."""
    found = []
    with progress("checking", sum(len(milestone.deliverables) for milestone in milestones)) as advance:
        for row in verdicts(root, milestones):
            found.append(row)
            advance(len(found))
    return found


def print_progress(out: Console, root: Path, found: list[tuple[Milestone, Deliverable, Verdict]]) -> None:
    """A line for each deliverable. No table: what is to be typed must not be broken by a narrow column."""
    wide = max(len(deliverable.path) for _, deliverable, _ in found)
    last = None
    for milestone, deliverable, verdict in found:
        if milestone != last:
            out.print(f"{milestone.name}  {milestone.title}")
        last = milestone
        out.print(f"   {verdict.state:8} {deliverable.path:{wide}}  {verdict.text}")
    states = [verdict.state for _, _, verdict in found]
    counts = (f"{states.count(state)} {state}" for state in (THERE, MISSING, WRONG))
    out.print(f"\n{', '.join(counts)}, of {len(states)}. The core's seal: {seal_line(root)}.")
    out.print(f"Next: {what_is_next(found)}")


def what_is_next(found: list[tuple[Milestone, Deliverable, Verdict]]) -> str:
    """The first thing that is missing or wrong; or, when all is there, the page that follows."""
    for milestone, deliverable, verdict in found:
        if verdict.state == MISSING:
            return f"{deliverable.how}   ({milestone.page} says what for)"
        if verdict.state == WRONG:
            return f"put right {deliverable.path}   ({milestone.page})"
    pages = [milestone.page for milestone in MILESTONES]
    following = pages.index(found[-1][0].page) + 1
    return f"read {pages[following]}" if following < len(pages) else "read docs/transfer.md"


def print_tests(out: Console, report: TestReport) -> None:
    """What the tests catch, what they do not, and whether each asserts both halves of the contract."""
    out.print(f"\nYour tests, {TESTS}:")
    if report.failures:
        out.print("against the true scorer, which all tests must pass:")
        for failure in report.failures:
            out.print(f"  {failure}")
        return
    rows = table("test", "asserts a reward", "asserts a field of details")
    for name, (reward, details) in report.tests.items():
        rows.add_row(name, "yes" if reward else "NO", "yes" if details else "NO")
    out.print(rows)
    out.print(f"\nFaulty scorers caught: {len(report.caught)} of {len(FAULTY_SCORERS)}; {NEEDED} are enough.")
    if report.survived:
        out.print("Not caught, each a scorer that")
        for faulty in report.survived:
            out.print(f"  - {faulty.behaviour}")
        out.print("For each: what should the true scorer do there? Write that down as a test.")


def check_class(out: Console, folder: Path, milestones: list[Milestone], as_json: bool) -> int:
    """One table over the folders of many students."""
    if not folder.is_dir():
        raise InputError(folder, "no such folder")
    students = sorted(path for path in folder.iterdir() if (path / "notes").is_dir())
    if not students:
        raise InputError(folder, "no folder in it holds notes/: it should hold one checkout for each student")
    everyone = []
    with progress("checking", len(students)) as advance:
        for student in students:
            everyone.append(as_data(student, list(verdicts(student, milestones))))
            advance(len(everyone))
    if as_json:
        print(json.dumps(everyone, indent=2, ensure_ascii=False))
    else:
        print_class(out, everyone, milestones)
    return DONE if all(all_there(student) for student in everyone) else FOUND


def all_there(student: dict[str, Any]) -> bool:
    states = [row["state"] for entry in student["milestones"].values() for row in entry["deliverables"]]
    return all(state == THERE for state in states)


def print_class(out: Console, everyone: list[dict[str, Any]], milestones: list[Milestone]) -> None:
    rows = table("student", *(f">{milestone.name}" for milestone in milestones), "seal")
    for student in everyone:
        cells = []
        for entry in student["milestones"].values():
            states = [row["state"] for row in entry["deliverables"]]
            cells.append(f"{states.count(THERE)}/{len(states)}{'!' if WRONG in states else ''}")
        rows.add_row(student["folder"], *cells, student["seal"])
    out.print(rows)
    out.print("\nthere/asked for; `!`: something is wrong with one that is not there:")
    for student in everyone:
        for entry in student["milestones"].values():
            for row in entry["deliverables"]:
                if row["state"] == WRONG:
                    out.print(f"  {student['folder']}: {row['path']}: {row['text']}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.check", description="How far are you, and is it right?")
    parser.add_argument("milestone", nargs="?", help=f"one of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON, for a script")
    parser.add_argument(
        "--class", dest="class_dir", type=Path, metavar="DIR", help="check every student's folder in DIR"
    )
    args = parser.parse_args()
    if args.milestone is not None and args.milestone not in NAMES:
        raise InputError("milestone", f"there is no {args.milestone!r}; there are {', '.join(NAMES)}")
    milestones = [milestone for milestone in MILESTONES if args.milestone in (None, milestone.name)]
    out = console()
    if args.class_dir is not None:
        return check_class(out, args.class_dir, milestones, args.json)
    found = gather(ROOT, milestones)
    if args.json:
        print(json.dumps(as_data(ROOT, found), indent=2, ensure_ascii=False))
    else:
        print_progress(out, ROOT, found)
        for _, _, verdict in found:
            if args.milestone is not None and isinstance(verdict.report, TestReport):
                print_tests(out, verdict.report)
    return DONE if all(verdict.state == THERE for _, _, verdict in found) else FOUND


if __name__ == "__main__":
    run_command(main)
