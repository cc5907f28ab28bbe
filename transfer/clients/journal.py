"""The answers as they came, kept in a file that only grows, so that a run may be killed at any moment.

The first line says what was asked; each further line is one answer, on disk before the next is written. A killed run
leaves at most one torn last line: it is cut away and its request asked again. Whatever stands in a whole line is never
asked again. One process at a time: the second is refused (where the system has locks).
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from course.core.files import InputError, lines_of, reason_of, strict_json, to_json
from transfer.clients import Answer, one_line

if sys.platform != "win32":
    import fcntl

BLOCK = 1 << 16  # bytes


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """The first line: everything on which an answer depends."""

    asked: dict[str, Any]


class Journal:
    """The file of answers to one question. Raises InputError for another's, a damaged one, or one in use."""

    def __init__(self, path: Path, asked: dict[str, Any]) -> None:
        self.path = path
        self.answers: dict[tuple[str, int], Answer] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise InputError(path, f"cannot write: {reason_of(error)}") from None
        try:
            self.lock()
            self.cut_torn_line()
            self.read(msgspec.json.decode(to_json(asked)))
            if not self.answers:
                os.ftruncate(self.file, 0)
                self.write(Header(asked))
        except BaseException:
            os.close(self.file)
            raise

    def lock(self) -> None:
        """Refuse a file that another process is writing. Some systems and folders have no locks, and refuse nothing."""
        if sys.platform != "win32":
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                in_use = os.fstat(self.file).st_nlink == 0  # the other has just removed it, see `close`
            except OSError as error:
                in_use = isinstance(error, BlockingIOError)
            if in_use:
                raise InputError(self.path, "another process is asking into it: wait for it, or stop it")

    def cut_torn_line(self) -> None:
        """Cut away what follows the last newline."""
        start = size = os.fstat(self.file).st_size
        block = b""
        while start and b"\n" not in block:
            start = max(0, start - BLOCK)
            os.lseek(self.file, start, os.SEEK_SET)
            block = os.read(self.file, BLOCK)
        if (whole := start + block.rfind(b"\n") + 1) < size:
            os.ftruncate(self.file, whole)

    def read(self, asked: dict[str, Any]) -> None:
        """All answers that are there. Raises InputError."""
        differ = ""
        for number, line in lines_of(self.path):
            try:
                if number == 1:
                    differ = difference(strict_json(line, Header).asked, asked)
                    continue
                answer: Answer = strict_json(line, Answer)
                if self.has_text(answer.key):
                    raise ValueError(f"{answer.id!r}, sample {answer.sample}, is answered twice")
            except ValueError as error:
                raise InputError(self.path, str(error), number) from None
            self.answers[answer.key] = answer
        if self.answers and differ:
            reason = f"these are answers to another question, so name another --out: {differ}"
            raise InputError(self.path, reason, 1)

    def has_text(self, key: tuple[str, int]) -> bool:
        """Was this request answered, and did not fail for good?"""
        answer = self.answers.get(key)
        return answer is not None and answer.error is None

    def record(self, answer: Answer) -> None:
        """Put an answer on disk. Raises InputError."""
        self.write(answer)
        self.answers[answer.key] = answer

    def write(self, row: Any) -> None:
        """One line, on disk when this returns. Raises InputError."""
        line = to_json(row) + b"\n"
        try:
            while line:
                line = line[os.write(self.file, line) :]
            os.fsync(self.file)
        except OSError as error:
            raise InputError(self.path, f"cannot write: {reason_of(error)}") from None

    def close(self) -> None:
        """Let others write. A file without an answer is removed."""
        if not self.answers:
            with contextlib.suppress(OSError):  # Windows removes no open file
                self.path.unlink()
        os.close(self.file)


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What was asked otherwise; empty where nothing was."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{name} was {shown(before.get(name))}, now {shown(now.get(name))}" for name in names)


def shown(value: Any) -> str:
    """A setting in few words."""
    return "none" if value is None else one_line(json.dumps(value), 60)
