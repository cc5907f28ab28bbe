"""Strict reading and hashing of files: what is wrong is named by file, line and reason, never guessed at.

JSON is looser than it seems: most readers take `NaN`, keep the last of two equal keys, and round large
integers, all in silence. `read_json` and `JsonLines` refuse the first two, and keep integers whole.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

T = TypeVar("T")
BOM = b"\xef\xbb\xbf"


class InputError(Exception):
    """Bad input: the message is one line that names the file, the line if there is one, and the reason."""

    def __init__(self, where: object, reason: str, line: int | None = None) -> None:
        super().__init__(f"{where}{'' if line is None else f', line {line}'}: {' '.join(reason.split())}")


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason_of(error: OSError) -> str:
    """What the system said, without number or path: `No such file or directory`."""
    return error.strerror or str(error)


def read_bytes(path: Path) -> bytes:
    """The whole of a file. Raises InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, reason_of(error)) from None


def read_json(path: Path, kind: Any = Any) -> Any:
    """A JSON file, read strictly and checked against a type. Raises InputError."""
    try:
        return strict_json(read_bytes(path).removeprefix(BOM), kind)
    except ValueError as error:
        raise InputError(path, str(error)) from None


def strict_json(data: bytes, kind: Any = Any) -> Any:
    """JSON without duplicate keys, NaN or Infinity, checked against a type.

    Lone surrogates, which JSON allows, are kept. Raises ValueError (msgspec's errors are ValueErrors).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text: {error.reason} at byte {error.start + 1}") from None
    try:
        value = json.loads(text, object_pairs_hook=without_duplicates, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("malformed JSON: nested too deeply") from None
    return msgspec.convert(value, kind)


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of some key-value pairs. Raises ValueError if a key comes twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return made


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


class JsonLines(Generic[T]):
    """The rows of a JSONL file, one at a time: memory does not grow with the file.

    Iterating yields `(line number, row)`, the line number counted from 1, the row checked against
    `row_type` (a msgspec struct). A byte-order mark, CRLF and blank lines are read. Raises InputError.
    `bytes_read` tells how far it is; after the last row, `sha256` is the hash of all bytes.
    """

    def __init__(self, path: Path, row_type: type[T]) -> None:
        self.path = path
        self.row_type = row_type
        self.bytes_read = 0
        self.sha256 = ""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        digest = hashlib.sha256()
        decode = msgspec.json.Decoder(self.row_type).decode
        keys = [f'"{field.encode_name}"'.encode() for field in msgspec.structs.fields(self.row_type)]  # type: ignore[arg-type]
        number = rows = 0
        try:
            with self.path.open("rb") as file:
                while lines := file.readlines(1 << 20):
                    chunk = b"".join(lines)
                    digest.update(chunk)
                    self.bytes_read += len(chunk)
                    for line in lines:
                        number += 1
                        # The fast decoder keeps the last of two equal keys, so it gets only lines that can hold none:
                        # each key's name at most once, nothing nested, and no escape that could spell a key.
                        if line.count(b"{") == 1 and b"\\u00" not in line and max(map(line.count, keys)) == 1:
                            try:
                                yield number, decode(line)
                                rows += 1
                                continue
                            except (msgspec.MsgspecError, UnicodeError):
                                pass  # the careful way either reads the line or says what is wrong with it
                        row = self._careful(line.removeprefix(BOM) if number == 1 else line, number)
                        if row is not None:
                            yield number, row
                            rows += 1
        except OSError as error:
            raise InputError(self.path, reason_of(error)) from None
        if rows == 0:
            raise InputError(self.path, "the file holds no rows")
        self.sha256 = digest.hexdigest()

    def _careful(self, line: bytes, number: int) -> T | None:
        """One row, read strictly; None for a blank line."""
        if not line or line.isspace():
            return None
        try:
            row: T = strict_json(line, self.row_type)
        except ValueError as error:
            raise InputError(self.path, str(error), number) from None
        return row


def write_whole(path: Path, data: bytes) -> None:
    """Write a file by writing another and renaming it: what was there stays until the new one is complete.

    Raises InputError; folders that are missing are made.
    """
    if not path.name or path.is_dir():
        raise InputError(str(path) or "''", "cannot write: it is a folder")
    aside = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise InputError(path, f"cannot write: {reason_of(error)}") from None


_encode = msgspec.json.Encoder().encode


def to_json(value: Any) -> bytes:
    """Compact JSON, keys in the order given. Lone surrogates are written as escapes."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def to_json_lines(rows: Iterable[Any]) -> bytes:
    """JSONL: each row as compact JSON on a line of its own."""
    return b"".join(to_json(row) + b"\n" for row in rows)


def to_pretty_json(value: Any) -> bytes:
    """JSON for people to read, ending in a newline. The same value gives the same bytes."""
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
