"""A log: which tool wrote it, recognised by its first row or said, and its rows as answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from course.core.files import InputError
from transfer.formats import gsm8k, inspect_log, lm_eval, openai_batch, table, trl, verl
from transfer.formats.core import packed
from transfer.formats.core.answers import About, Answer, Fields, Format
from transfer.formats.core.rows import Row, rows

# In the order in which they are tried: the last one fits every row.
FORMATS = {
    module.FORMAT.tool: module.FORMAT for module in (inspect_log, lm_eval, openai_batch, trl, verl, gsm8k, table)
}
# What is no log, though a tool writes it: some of its keys, and what to give instead.
NO_LOGS = {
    ("results", "configs", "n-shot"): "the results of lm-evaluation-harness, no answers: give samples_*.jsonl beside"
    " it, which lm_eval writes with --log_samples",
    ("custom_id", "method", "url"): "the requests of a batch, no answers: give the batch's output file",
    ("policy", "policy_sha256", "sampling"): "a sidecar of this project, no answers",
}


@dataclass(frozen=True)
class Log:
    path: Path
    format: Format
    about: About
    found: list[tuple[int, list[Answer] | ValueError]]  # every row: its line, and its answers or why it is refused

    @property
    def file(self) -> str:
        return self.path.name


def read_log(path: Path, name: str | None, fields: Fields) -> Log:
    """Read a log to its end. Raises InputError where nothing of it can be read."""
    inspected = name == "inspect" or (name is None and inspect_log.is_log(packed.beginning(path)))
    found = list(inspect_log.rows(path) if inspected else rows(path))
    first = next(((line, row) for line, row in found if isinstance(row, dict)), None)
    if first is None:
        raise InputError(path, f"no row of it can be read: {found[0][1]}" if found else "it holds no rows")
    line, row = first
    for keys, reason in NO_LOGS.items():
        if row.keys() >= set(keys):
            raise InputError(path, f"these are {reason}" if reason.startswith("the") else f"this is {reason}", line)
    format_ = FORMATS[name] if name else next(made for made in FORMATS.values() if made.fits(row))
    if not format_.fits(row):
        raise InputError(path, f"not a row of the format {name}: its fields are {', '.join(row)}"[:300], line)
    try:
        about = format_.about(path, row)
    except (ValueError, KeyError, TypeError, AttributeError, LookupError) as error:
        raise InputError(path, f"not a row as {format_.tool} writes it: {reason_of(error)}", line) from None
    answers = list(answered(format_, found, fields))
    named = {one.model for _, row in answers if isinstance(row, list) for one in row if one.model is not None}
    if len(named) == 1:  # whose answer failed is the same model, though the failure does not name it
        about = msgspec.structs.replace(about, model=named.pop())
    return Log(path, format_, about, answers)


def answered(
    format_: Format, found: list[tuple[int, Row | ValueError]], fields: Fields
) -> Iterator[tuple[int, list[Answer] | ValueError]]:
    """The answers of each row, or why it is refused."""
    for line, row in found:
        if isinstance(row, ValueError):
            yield line, row
            continue
        try:
            made = map(msgspec.structs.asdict, format_.answers(row, line, fields))
            yield line, [msgspec.convert(values, Answer) for values in made]  # each value of the kind that it must be
        except (ValueError, KeyError, TypeError, AttributeError, LookupError) as error:
            yield line, ValueError(reason_of(error))


def reason_of(error: Exception) -> str:
    """What is wrong with a row: a reader says it; where a value is of another kind than the tool writes, the name."""
    return str(error) if isinstance(error, ValueError) else f"a value is not as the tool writes it: {error!r:.150}"
