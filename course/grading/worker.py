"""A student's folder graded in processes of their own, so that nothing in it stops who grades, or the rest of a class.

    python -m course.grading.worker FOLDER NUMBER …     grades some of DELIVERABLES; each verdict is said at once

Whatever a file does to the process that reads it, only the verdict on that deliverable is lost: a new process goes on
with the next. A process opens no device, no pipe, no huge file, and in the folder nothing that leads out of it.
"""

import contextlib
import ctypes
import glob
import os
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from course.core.files import InputError
from course.core.paths import ROOT
from course.core.seal import check_seal
from course.grading.inside import GIGABYTE, LARGEST_FILE, Channel, set_limits
from course.grading.milestones import MILESTONES, Deliverable, graded
from course.grading.process import converse, end_all
from course.grading.verdict import Verdict, there, wrong

GRACE = 5.0  # seconds for a worker to end what it started
SUBREAPER, DIE_WITH_PARENT = 36, 1  # of Linux's prctl


def seal_state(root: Path) -> Verdict:
    """The state of a folder's core: whole, changed, or sealed anew."""
    try:
        state = check_seal(root)
    except InputError:
        return there("not handed in")
    if not state.sealed:
        more = "" if len(state.broken) == 1 else f" and {len(state.broken) - 1} more"
        return there(f"changed ({state.broken[0]}{more})")
    is_ours = state.sha256 == check_seal(ROOT).sha256
    return there("whole" if is_ours else "whole, but of another version than this one")


SEAL = Deliverable("course/seal.json", "hand in course/", seal_state)
DELIVERABLES = (SEAL, *(deliverable for milestone in MILESTONES for deliverable in milestone.deliverables))


def grade_folder(
    root: Path, asked: Sequence[Deliverable], seconds: float, advance: Callable[[], object]
) -> list[Verdict]:
    """The verdicts on some DELIVERABLES of a folder, in order; `advance` is called for each.

    What runs the student's code has a process of its own, and the rest share one. After `seconds` a process is ended.
    """
    numbers = [DELIVERABLES.index(deliverable) for deliverable in asked]
    quick = [number for number in numbers if not DELIVERABLES[number].slow]
    verdicts: dict[int, Verdict] = {}
    for batch in [quick, *([number] for number in numbers if number not in quick)]:
        while left := [number for number in batch if number not in verdicts]:

            def keep(message: Any, left: list[int] = left) -> None:
                verdicts[left.pop(0)] = msgspec.convert(message[0], Verdict)
                advance()

            words = "-m", "course.grading.worker", root.absolute(), *left
            ending = converse(*words, answer=keep, seconds=seconds, grace=GRACE)
            if left:
                verdicts[left[0]] = wrong(f"it could not be graded ({ending.text})")
                advance()
    return [verdicts[number] for number in numbers]


# In the worker.


def refusing(root: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook: whichever function opens a file, it raises InputError if grading has no business with it."""
    inside, real = os.path.join(root, ""), os.path.join(os.path.realpath(root), "")

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event != "open" or isinstance(details[0], int):
            return
        path = os.path.abspath(os.fsdecode(details[0]))
        try:
            info = os.stat(path)
        except (OSError, ValueError):  # a new file; or whoever opens it says what is wrong
            return
        if path.startswith(inside) and not os.path.realpath(path).startswith(real):
            raise InputError(path, "it leads out of the folder")
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) or path == os.devnull):
            raise InputError(path, "it is no regular file")
        if stat.S_ISREG(info.st_mode) and info.st_size > LARGEST_FILE:
            raise InputError(path, f"it is larger than {LARGEST_FILE >> 20} MB")

    return hook


def adopt_orphans() -> None:
    """On Linux, what loses its parent below this process becomes its child; and this one ends with its own parent."""
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(SUBREAPER, 1, 0, 0, 0)
        system.prctl(DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)


def end_orphans() -> None:
    """End what a student's code left behind, however it hid: on Linux, where the kernel lists children."""
    while children := children_here():
        for child in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def children_here() -> list[int]:
    found: list[int] = []
    for listed in glob.glob("/proc/self/task/*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, Path(listed).read_text(encoding="ascii").split())
    return found


def stop(*_: object) -> None:
    """Told to end, by Ctrl-C in the process that grades or because time is over."""
    end_all()
    end_orphans()
    os._exit(1)


def main() -> None:
    root, *numbers = sys.argv[1:]
    channel = Channel()
    signal.signal(signal.SIGTERM, stop)
    adopt_orphans()
    set_limits(4 * GIGABYTE, processes=False)  # it starts those that have the limit
    sys.addaudithook(refusing(Path(root)))
    for number in map(int, numbers):
        verdict = graded(DELIVERABLES[number], Path(root))
        end_orphans()
        channel.ask(msgspec.to_builtins(verdict))


if __name__ == "__main__":
    main()
