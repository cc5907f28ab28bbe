"""verl's rollout dumps: `<step>.jsonl` of `trainer.rollout_data_dir` or `trainer.validation_data_dir`.

A row holds `input` (the prompt as the policy saw it, its chat template included), `output`, `gts` (the ground truth;
older versions leave it out), `score`, `step`, and what the reward function returned besides. In every step another
policy speaks.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer.formats.core.answers import ABSENT, About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row

OWN = {"input", "output", "gts", "score", "step"}


def fits(row: Mapping[str, Any]) -> bool:
    return {"input", "output", "score", "step"} <= row.keys()


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    gold = need(row, fields.answer) if fields.answer else row["gts"] if row.get("gts") is not None else ABSENT
    others = {name: row[name] for name in row if name not in OWN}
    verdicts = {"score": need(row, "score")} | {name: row[name] for name in ("acc", fields.verdict) if name in row}
    yield Answer(
        id=need(row, fields.id) if fields.id else None,
        prompt=need(row, "input", str),
        gold=gold,
        said=need(row, "output", str),
        verdicts=verdicts,
        metadata={"step": row["step"], **others},
    )


def about(path: Path, row: Row) -> About:
    return About(name=f"step_{stem(path)}", model=f"training run {path.absolute().parent.name}")


FORMAT = Format(tool="verl", fits=fits, answers=answers, about=about, training=True)
