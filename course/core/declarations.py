"""Changes that were declared after both runs were made: `declared_afterwards.jsonl`, beside the runs.

A run is sealed, so it cannot take a declaration in later. The file is a claim, and says when it was made.
"""

import datetime
from pathlib import Path

import msgspec

from course.core import durable
from course.core.files import InputError, JsonLines, reason_of, to_json_lines
from course.core.manifest import Manifest

NAME = "declared_afterwards.jsonl"


class Declaration(msgspec.Struct, forbid_unknown_fields=True):
    """What was changed between two runs, each known by its seal."""

    time: str
    before: str
    after: str
    change: str


def declared_afterwards(folder: Path, before: Manifest, after: Manifest) -> str | None:
    """The last declaration of the change from one run to another; None if there is none. Raises InputError."""
    pair = before.seal, after.seal
    found = [row for row in declarations(folder) if (row.before, row.after) == pair]
    return f"{found[-1].change} (declared afterwards, {found[-1].time})" if found else None


def declarations(folder: Path) -> list[Declaration]:
    """All declarations of a runs folder. Raises InputError."""
    path = folder / NAME
    return [row for _, row in JsonLines(path, Declaration)] if path.exists() else []


def declare_afterwards(folder: Path, before: Manifest, after: Manifest, change: str) -> None:
    """Add a declaration to those that are there, if they can be read. Raises InputError."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path, row = folder / NAME, Declaration(now, before.seal, after.seal, change)
    there = bool(declarations(folder))
    try:
        with path.open("ab") as file:  # a single write, so that two at once are two lines
            # A line that an editor left without an end is ended; a blank line says nothing.
            file.write(b"\n" * (there and not path.read_bytes().endswith(b"\n")) + to_json_lines([row]))
        durable.sync(path)
    except OSError as error:
        raise InputError(path, f"cannot write: {reason_of(error)}") from None
