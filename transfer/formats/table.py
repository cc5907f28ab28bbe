"""Any table, as JSONL, a JSON array, CSV or parquet: columns `id`, `prompt`, `expected_answer`, `completion`.

Other columns are named on the command line; nothing is guessed from a column's name. A table of examples alone has no
column but the first three, and `metadata`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer.formats.core.answers import ABSENT, About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row

OWN = ("error", "finish_reason", "sample")
OPTIONS = {"id": "--id-field", "prompt": "--prompt-field", "completion": "--completion-field"}


def fits(row: Mapping[str, Any]) -> bool:
    return True


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    key, prompt, gold = fields.id or "id", fields.prompt or "prompt", fields.answer or "expected_answer"
    if {key, prompt, gold} <= row.keys() <= {key, prompt, gold, "metadata"} and not fields.completion:
        yield Answer(id=row[key], prompt=row[prompt], gold=row[gold], said=ABSENT, example=row.get("metadata") or {})
        return
    said = column(row, "completion", fields.completion)
    failed = said is None
    used = {key, prompt, gold, fields.completion or "completion", *OWN}
    used |= {name for name in (fields.sample, fields.model, fields.verdict) if name}
    others = {name: value for name, value in row.items() if name not in used}
    sample = need(row, fields.sample) if fields.sample else row.get("sample")
    yield Answer(
        id=column(row, "id", fields.id),
        prompt=need(row, prompt) if fields.prompt else row.get(prompt),
        gold=need(row, gold) if fields.answer else row.get(gold, ABSENT),
        said=said,
        error=str(row.get("error") or "the log has no text of an answer") if failed else None,
        model=str(need(row, fields.model)) if fields.model else None,
        sample=None if sample is None else whole_number(sample),
        finish_reason=row["finish_reason"] if isinstance(row.get("finish_reason"), str) else None,
        metadata={"columns": others} if others else {},
        verdicts={fields.verdict: need(row, fields.verdict)} if fields.verdict else {},
    )


def column(row: Row, name: str, named: str | None) -> Any:
    """A column by its own name, or the one that was named for it. Raises ValueError."""
    if named is None and name not in row:
        there = ", ".join(map(repr, row))[:150]
        raise ValueError(f"no column {name!r}; there are {there}: say which it is with {OPTIONS[name]}")
    return need(row, named or name)


def whole_number(value: object) -> int:
    """The number of a sample. Raises ValueError."""
    if type(value) is int or (isinstance(value, str) and value.isascii() and value.isdigit()):
        return int(value)
    raise ValueError(f"the number of a sample must be 0, 1, 2 …, not {value!r:.40}")


def about(path: Path, row: Row) -> About:
    return About(name=stem(path), model=stem(path))


FORMAT = Format(tool="table", fits=fits, answers=answers, about=about)
