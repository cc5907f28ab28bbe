"""What is written by hand: TOML files of answers, and Markdown notes with a section for every question.

In a note, all that stands between `<!--` and `-->` is the course's, and counts for nothing; the rest is the student's.
A line `- name: value` is a field, which a check can hold against what was measured. Markdown can be written in many
ways, and none of them is a mistake: bullets, bold, capitals and fences are all read as they are meant.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.files import InputError, read_bytes

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
FENCED = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)^[ \t]*\1", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}|\t)\S.*\n?){2,}", re.MULTILINE)
HEADING = re.compile(r"^##[ \t]+(.*)$", re.MULTILINE)
FIELD = re.compile(r"^[ \t]*[-*+][ \t]+\**([A-Za-z][^:\n*]*)\**:\**(.*)$", re.MULTILINE)
LONGEST_FILE = 200_000  # characters: whoever writes more by hand writes no answers


def read_text(path: Path) -> str:
    """A text file, its lines ended alike. Raises InputError."""
    try:
        text = read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    if len(text) > LONGEST_FILE:
        raise InputError(path, f"it is longer than {LONGEST_FILE:,} characters")
    return text


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises InputError, which names the line."""
    try:
        return tomllib.loads(read_text(path))
    except ValueError as error:  # TOMLDecodeError is one
        raise InputError(path, f"not TOML: {error}") from None
    except RecursionError:
        raise InputError(path, "not TOML: nested too deeply") from None


def sentence_words(text: str) -> int:
    """How many words there are; bare punctuation and rules count for none."""
    return sum(1 for word in text.split() if re.search(r"[^\W_]", word))


@dataclass(frozen=True)
class Note:
    """A note, read once: the course's comments on one line, and the student's own text by section and by field."""

    path: Path
    questions: str
    sections: dict[str, str]  # by the key of their heading
    fields: list[tuple[str, str]]  # in order

    @property
    def root(self) -> Path:
        """The student's folder."""
        return self.path.parents[1]

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def section(self, heading: str) -> str:
        """The student's text below a heading; empty if there is no such heading."""
        return self.sections.get(heading_key(heading), "")

    def field(self, name: str) -> str:
        """The value of a field that the note must have, the first of that name. Raises InputError."""
        value = next((value for key, value in self.fields if key == name.lower() and value), "")
        if not value:
            raise InputError(self.name, f"there is no line `- {name}:` with a value")
        return value


def read_note(path: Path) -> Note:
    """A note by its sections (`## …`) and fields. Raises InputError."""
    whole = read_text(path)
    text = COMMENT.sub("", whole)
    fences = [match.span() for match in FENCED.finditer(text)]
    marks = [m for m in HEADING.finditer(text) if not any(start <= m.start() < end for start, end in fences)]
    ends = [m.start() for m in marks[1:]] + [len(text)]
    sections = {heading_key(m[1]): text[m.end() : end] for m, end in zip(marks, ends, strict=False)}
    questions = " ".join(" ".join(COMMENT.findall(whole)).split())
    return Note(path, questions, sections, fields(text))


def heading_key(heading: str) -> str:
    """A heading as it is looked up: capitals do not matter."""
    return heading.strip(" \t#:").casefold()


def fields(text: str) -> list[tuple[str, str]]:
    """The fields of a text, `- name: value`, in order: names in small letters, values without quotes and marks."""
    found = FIELD.findall(COMMENT.sub("", text))
    return [(name.strip().lower(), without_marks(value.strip())) for name, value in found]


def without_marks(value: str) -> str:
    """A value without the quotes, or the bold, that it stands in."""
    while len(value) > 1 and value[0] == value[-1] and value[0] in "`*_\"'":
        value = value[1:-1].strip()
    return value


def code_blocks(text: str) -> list[str]:
    """What stands between fences, or is set in by four spaces."""
    return [block for _, block in FENCED.findall(text)] + INDENTED.findall(FENCED.sub("", text))
