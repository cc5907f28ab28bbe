"""Strict reading and hashing of files: what is wrong is named by file, line and reason, never guessed at.

JSON is looser than it seems: most readers take `NaN`, keep the last of two equal keys, and round large
integers, all in silence. `read_json` and `JsonLines` refuse the first two, and keep integers whole.
"""

import errno
import hashlib
import io
import json
import math
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from course.core import durable

T = TypeVar("T")
BOM = b"\xef\xbb\xbf"
LARGEST_JSON = 16 << 20  # bytes of a line, or of a whole file of JSON
LARGEST_FILE = 64 << 20  # bytes of any file that is read whole
DEEPEST = 100  # arrays and objects of JSON in one another
LONGEST_REASON = 500  # characters


class InputError(Exception):
    """Bad input: the message is one line that names the file, the line if there is one, and the reason."""

    def __init__(self, where: object, reason: str, line: int | None = None) -> None:
        reason, place = " ".join(reason.split()), "↵".join(str(where).splitlines())
        shown = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]} …"
        super().__init__(f"{place}{'' if line is None else f', line {line}'}: {shown}")
        self.reason, self.line = reason, line


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_file(path: Path) -> io.BufferedReader:
    """Open a file to be read; a pipe or a device, which may never end, is none. Raises OSError."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder is refused when it is opened
        raise OSError(errno.EINVAL, "a pipe or a device, and no file", str(path))
    return path.open("rb")


def reason_of(error: OSError) -> str:
    """What the system said, without number or path: `No such file or directory`."""
    return error.strerror or str(error)


def read_bytes(path: Path) -> bytes:
    """The whole of a file, at most 64 MB. Raises InputError."""
    try:
        with open_file(path) as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(path, reason_of(error)) from None
    if len(data) > LARGEST_FILE:
        raise InputError(path, f"the file is larger than {LARGEST_FILE >> 20} MB")
    return data


def read_json(path: Path, kind: Any = Any) -> Any:
    """A JSON file, read strictly and checked against a type. Raises InputError."""
    try:
        return strict_json(read_bytes(path).removeprefix(BOM), kind)
    except ValueError as error:
        raise InputError(path, str(error)) from None


def strict_json(data: bytes, kind: Any = Any) -> Any:
    """JSON without duplicate keys, NaN or Infinity, checked against a type: at most 16 MB, 100 deep.

    Lone surrogates, which JSON allows, are kept. Raises ValueError (msgspec's errors are ValueErrors).
    """
    if len(data) > LARGEST_JSON:
        raise ValueError(f"more than {LARGEST_JSON >> 20} MB of JSON")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text: {error.reason} at byte {error.start + 1}") from None
    try:
        value = json.loads(
            text, object_pairs_hook=without_duplicates, parse_constant=refuse_constant, parse_float=finite
        )
        if data.count(b"[") + data.count(b"{") > DEEPEST and deeper_than(DEEPEST, value):
            raise RecursionError
        return msgspec.convert(value, kind)
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError(f"malformed JSON: nested more than {DEEPEST} deep") from None


def deeper_than(bound: int, value: Any) -> bool:
    """Do arrays and objects lie in one another more than so many deep?"""
    level = [value]
    for _ in range(bound):
        inside = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [part for parts in inside for part in parts]
    return any(isinstance(part, dict | list) for part in level)


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some key-value pairs. Raises ValueError if a key comes twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        many = Counter(key for key, _ in pairs)
        raise ValueError(f"duplicate key {next(key for key in many if many[key] > 1)!r}")
    return made


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def finite(number: str) -> float:
    """A number with a point or an exponent. Raises ValueError for one that a float cannot hold."""
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number:.40} is too large for a number")
    return value


def lines_of(path: Path, saw: Callable[[bytes], object] = len) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, each with its number, from 1; `saw` is called with the bytes read, some lines at a time.

    Memory does not grow with the file. Raises InputError, also for a line longer than 16 MB.
    """
    number, size = 0, 0
    parts: list[bytes] = []
    try:
        with open_file(path) as file:
            while block := file.read(1 << 20):
                whole = block.rfind(b"\n") + 1
                if whole:
                    chunk, parts, size = b"".join([*parts, block[:whole]]), [], 0
                    saw(chunk)
                    for line in io.BytesIO(chunk):
                        number += 1
                        yield number, line
                parts.append(block[whole:])
                size += len(parts[-1])
                if size > LARGEST_JSON:
                    raise InputError(path, f"the line is longer than {LARGEST_JSON >> 20} MB", number + 1)
    except OSError as error:
        raise InputError(path, reason_of(error)) from None
    if size:
        saw(last := b"".join(parts))
        yield number + 1, last


class JsonLines(Generic[T]):
    """The rows of a JSONL file, one at a time: memory does not grow with the file.

    Iterating yields `(line number, row)`, the line number counted from 1, the row checked against
    `row_type` (a msgspec struct). A byte-order mark, CRLF and blank lines are read. Raises InputError.
    `bytes_read` tells how far it is; after the last row, `sha256` is the hash of all bytes.
    """

    def __init__(self, path: Path, row_type: type[T], hint: str = "") -> None:
        self.path, self.hint = path, hint  # of what to do with a file whose rows are of another kind
        self.row_type = row_type
        self.bytes_read = 0
        self.sha256 = ""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        digest, rows = hashlib.sha256(), 0

        def saw(chunk: bytes) -> None:
            digest.update(chunk)
            self.bytes_read += len(chunk)

        for rows, numbered in enumerate(self.rows_in(lines_of(self.path, saw)), start=1):  # noqa: B007
            yield numbered
        if rows == 0:
            raise InputError(self.path, "the file holds no rows")
        self.sha256 = digest.hexdigest()

    def rows_in(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, T]]:
        """The rows of some of the file's lines. Raises InputError."""
        decode = msgspec.json.Decoder(self.row_type).decode
        keys = [f'"{field.encode_name}"'.encode() for field in msgspec.structs.fields(self.row_type)]  # type: ignore[arg-type]
        for number, line in lines:
            # The fast decoder keeps the last of two equal keys, so it gets only lines that can hold none:
            # each key's name at most once, nothing nested, and no escape that could spell a key.
            if line.count(b"{") == 1 and b"\\u00" not in line and max(map(line.count, keys)) == 1:
                try:
                    yield number, decode(line)
                    continue
                except (msgspec.MsgspecError, UnicodeError, RecursionError):
                    pass  # the careful way either reads the line or says what is wrong with it
            text = line.removeprefix(BOM) if number == 1 else line
            if text.strip():
                try:
                    row: T = strict_json(text, self.row_type)
                except ValueError as error:
                    raise InputError(self.path, f"{error}{self.hint}", number) from None
                yield number, row


def write_whole(path: Path, data: bytes) -> None:
    """Write a file by writing another and renaming it: what was there stays until the new one is complete, on disk.

    Raises InputError; folders that are missing are made.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise InputError(str(path) or "''", f"cannot write: it is {'a folder' if path.is_dir() else 'no file'}")
    aside = durable.unfinished_in(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.begin(aside, Path.touch)
        aside.write_bytes(data)
        durable.sync(aside)
        aside.replace(path)
        durable.sync(path.parent)
    except OSError as error:
        raise InputError(path, f"cannot write: {reason_of(error)}") from None
    finally:
        durable.end(aside)


def to_json(value: Any) -> bytes:
    """Compact JSON, keys in the order given. Lone surrogates are written as escapes."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def to_json_lines(rows: Iterable[Any]) -> bytes:
    """JSONL: each row as compact JSON on a line of its own."""
    return b"".join(to_json(row) + b"\n" for row in rows)


def to_pretty_json(value: Any) -> bytes:
    """JSON for people to read, ending in a newline. The same value gives the same bytes."""
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
