"""A student's code in a process of its own, with which this one talks; it ends when time is over, and all it started.

The two exchange lines of JSON, always one asking and one answering, so nothing that the process prints is taken for an
answer. `course.grading.inside` is the other end, and sets limits on memory and files there before any code of the
student's runs. On POSIX the process leads a group of its own, and the whole group is killed; on Windows the whole tree
is, and there is no limit but time. It is no protection against code that means harm: the process may read and write
whatever its user may, and on POSIX a process that makes itself a session of its own is found on Linux only.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from course.core.files import strict_json
from course.core.paths import ROOT

LONGEST_LINE = 1 << 20  # bytes of one message
LAST_WORDS, LONGEST_ENDING = 4_000, 300  # of what was printed: bytes looked at, characters told
GROUP: dict[str, Any] = (
    {"creationflags": 0x200} if sys.platform == "win32" else {"start_new_session": True}  # CREATE_NEW_PROCESS_GROUP
)
RUNNING: set[subprocess.Popen[bytes]] = set()


class Enough(Exception):  # noqa: N818  (no error)
    """Raised by an answer: no more is to be heard."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: by itself and well, or not; and the ending in one line."""

    well: bool
    text: str


def converse(
    *words: object,
    answer: Callable[[Any], Any],
    seconds: float,
    folder: object = ROOT,
    grace: float = 0,
    variables: Mapping[str, str] | None = None,
) -> Ending:
    """Run `python WORDS` in a folder until it ends, time is over, or `answer` raises Enough.

    `answer` gets each message, any JSON value, and returns the reply, another; what else it raises ends the process.
    `grace`: seconds that a process has to end what it started itself. `variables` are added to its environment.
    """
    ends_at = time.monotonic() + seconds
    with tempfile.TemporaryFile() as printed:
        streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": printed}
        environment = {**os.environ, **(variables or {})}
        started = [sys.executable, *map(str, words)]
        process = subprocess.Popen(started, cwd=str(folder), env=environment, **streams, **GROUP)
        RUNNING.add(process)
        heard: list[BaseException] = []
        # A thread, for this one must never wait for a pipe: a daemon of the student's may keep it open for ever.
        talk = threading.Thread(target=answer_all, args=(process, answer, heard), daemon=True)
        late = False
        try:
            talk.start()
            talk.join(seconds)
            if not heard:
                process.wait(max(0.0, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end(process, grace)
            talk.join(1)
            for pipe in (process.stdin, process.stdout):
                if pipe and not talk.is_alive():
                    with contextlib.suppress(OSError):
                        pipe.close()
        printed.seek(max(0, printed.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = printed.read().decode("utf-8", "replace").strip().splitlines()
    if late:
        return Ending(False, f"not done after {seconds:g} seconds")
    if heard and not isinstance(heard[0], Enough):
        return Ending(False, f"it gave an answer that is none: {heard[0]!r:.200}")
    last = lines[-1][:LONGEST_ENDING] if lines else "it stopped the program"
    return Ending(bool(heard) or process.returncode == 0, last)


def answer_all(process: subprocess.Popen[bytes], answer: Callable[[Any], Any], heard: list[BaseException]) -> None:
    """Answer line by line until the process says no more; what ended it sooner is put into `heard`."""
    assert process.stdin
    assert process.stdout
    try:
        while line := process.stdout.readline(LONGEST_LINE):
            process.stdin.write(json.dumps(answer(strict_json(line))).encode() + b"\n")
            process.stdin.flush()
    except OSError:  # it is gone
        return
    except Exception as error:
        heard.append(error)


def end(process: subprocess.Popen[bytes], grace: float = 0) -> None:
    """End a process and all that it started; `grace` gives it some seconds to do so itself (not on Windows)."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
        process.kill()  # where there is no taskkill
    else:
        if grace and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that is gone
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    RUNNING.discard(process)


def end_all() -> None:
    """End every process that is running, from whichever thread it was started."""
    for process in tuple(RUNNING):
        end(process)
