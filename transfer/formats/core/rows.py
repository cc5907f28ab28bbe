"""The rows of a log as objects, whether it is JSONL, a JSON array, CSV or parquet.

A row that cannot be read is a fault with a reason, which is listed among the refused; it stops nothing.
"""

import csv
import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course.core.files import BOM, LARGEST_JSON, InputError, strict_json
from transfer.formats.core import packed

Row = dict[str, Any]
Rows = Iterator[tuple[int, Row | ValueError]]  # line or row number, from 1; what stands there, or why it is refused


def rows(path: Path) -> Rows:
    """The rows of a log. Raises InputError where the file as a whole cannot be read."""
    begin = packed.beginning(path)
    text = begin.removeprefix(BOM).lstrip()
    if not text:
        raise InputError(path, "the file holds no rows")
    if begin.startswith(packed.PARQUET):
        return parquet_rows(path)
    if text.startswith(b"["):
        return array_rows(path)
    return json_rows(path) if text.startswith(b"{") else csv_rows(path)


def json_rows(path: Path) -> Rows:
    for number, line in packed.lines(path):
        text = line.removeprefix(BOM) if number == 1 else line
        if text.strip():
            yield number, parsed(text)


def parsed(line: bytes) -> Row | ValueError:
    try:
        row: Row = strict_json(line, dict[str, Any])
        return row
    except ValueError as error:
        return error


def array_rows(path: Path) -> Rows:
    try:
        found = strict_json(packed.whole(path).removeprefix(BOM), list[Any])
    except ValueError as error:
        hint = "; a longer array is read once it is JSONL, one object a line: jq -c '.[]'"
        raise InputError(path, f"{error}{hint}") from None
    for number, row in enumerate(found, start=1):
        yield number, row if isinstance(row, dict) else ValueError("an object is expected")


def csv_rows(path: Path) -> Rows:
    """Every value is text, as the file has it. Raises InputError."""
    csv.field_size_limit(LARGEST_JSON)
    reader = csv.reader(csv_lines(path), strict=True)
    try:
        names = next(reader)
        if len(set(names)) < len(names) or "" in names:
            raise InputError(
                path, "CSV is expected, each column with a name of its own (or JSON, one object a line)", 1
            )
        begin = reader.line_num + 1
        for values in reader:
            if values:
                wrong = ValueError(f"{len(values)} values for {len(names)} columns")
                yield begin, wrong if len(values) != len(names) else dict(zip(names, values, strict=True))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(path, f"malformed CSV: {error}", reader.line_num) from None


def csv_lines(path: Path) -> Iterator[str]:
    """The text of a CSV file, line by line. A value may hold a newline: the reader joins such lines."""
    for number, line in packed.lines(path):
        try:
            yield line.removeprefix(BOM if number == 1 else b"").decode("utf-8") + "\n"
        except UnicodeDecodeError as error:
            raise InputError(path, f"not UTF-8 text: {error.reason}", number) from None


def parquet_rows(path: Path) -> Rows:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise InputError(path, f"it is a parquet file: {packed.PACKAGES}") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(packed.whole(path)))
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > packed.LARGEST_WHOLE:
            raise InputError(path, f"more than {packed.LARGEST_WHOLE >> 20} MB when it is unpacked: split it")
        batches = (batch.to_pylist() for batch in file.iter_batches())
        yield from enumerate(itertools.chain.from_iterable(batches), start=1)
    except (arrow.ArrowException, OSError) as error:
        raise InputError(path, f"malformed parquet: {error}") from None


def as_number(value: object) -> float | None:
    """A tool's verdict as a number: true is 1, `C` of Inspect is 1 and `I` is 0. None for what is no number."""
    words = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "true": 1.0, "false": 0.0, "True": 1.0, "False": 0.0}
    if isinstance(value, str) and value in words:
        return words[value]
    try:
        number = float(value) if isinstance(value, bool | int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
