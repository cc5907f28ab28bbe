"""What is written by hand: TOML files of answers, and Markdown notes with a section for every question.

In a note, all that stands between `<!--` and `-->` is the course's, and counts for nothing; the rest is the student's.
A line `- name: value` is a field, which a check can hold against what was measured.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from course.files import InputError, read_bytes

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
HEADING = re.compile(r"^##\s+(.*?)\s*$", re.MULTILINE)
FIELD = re.compile(r"^- ([A-Za-z][^:\n]*?):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def read_text(path: Path) -> str:
    """A text file. Raises InputError."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises InputError, which names the line."""
    try:
        return tomllib.loads(read_text(path).replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(path, f"not TOML: {error}") from None


def sentence_words(text: str) -> int:
    """How many words there are; bare punctuation and rules count for none."""
    return sum(1 for word in text.split() if re.search(r"[^\W_]", word))


def sections(path: Path) -> dict[str, str]:
    """A note's own text by heading (`## …`), without the course's comments. Raises InputError."""
    text = COMMENT.sub("", read_text(path))
    parts = HEADING.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def fields(path: Path) -> dict[str, str]:
    """The fields of a note, `- name: value`, by their names in small letters. Raises InputError."""
    text = COMMENT.sub("", read_text(path))
    return {name.lower(): value.strip("` ") for name, value in FIELD.findall(text)}


def code_blocks(text: str) -> list[str]:
    """What stands between fences of three backticks."""
    return re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
