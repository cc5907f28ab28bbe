"""TRL's completion logs: what `log_completions` writes, `completions_00005.parquet`, or its table as JSONL or CSV.

The columns are `step`, `prompt`, `completion`, one for each reward function, what it logged besides, and `advantage`.
There is no id: the prompt tells which example it is. The expected answer comes from --dataset, or from a column that
a reward function logged and --answer-field names. In every step another policy speaks.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer.formats.core.answers import ABSENT, About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row, as_number

OWN = {"step", "prompt", "completion", "advantage"}


def fits(row: Mapping[str, Any]) -> bool:
    return row.keys() >= OWN


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    others = {name: value for name, value in row.items() if name not in OWN | {fields.id, fields.answer}}
    rewards = {name: value for name, value in others.items() if name == fields.verdict or is_reward(value)}
    yield Answer(
        id=need(row, fields.id) if fields.id else None,
        prompt=need(row, "prompt"),
        gold=need(row, fields.answer) if fields.answer else ABSENT,
        said=need(row, "completion"),
        verdicts=rewards,
        metadata={
            "step": row["step"],
            "advantage": row["advantage"],
            "columns": {name: value for name, value in others.items() if name not in rewards},
        },
    )


def is_reward(value: object) -> bool:
    """A reward is a float, and stays one in CSV: `1.0`."""
    return isinstance(value, float) or (isinstance(value, str) and "." in value and as_number(value) is not None)


def about(path: Path, row: Row) -> About:
    return About(name=stem(path), model=f"training run {path.absolute().parent.parent.name}")


FORMAT = Format(tool="trl", fits=fits, answers=answers, about=about, training=True)
