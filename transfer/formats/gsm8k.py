"""GSM8K's data (`question`, `answer` ending in `#### 18`), and the published solutions of models to its problems.

A row of `example_model_solutions.jsonl` holds `question`, `ground_truth`, and for each model an object `{"solution":
…, "is_correct": …}`. Neither has ids: the row's number is the id.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer.formats.core.answers import ABSENT, About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row


def fits(row: Mapping[str, Any]) -> bool:
    return "question" in row and ("ground_truth" in row or ("answer" in row and "completion" not in row))


def models(row: Mapping[str, Any]) -> list[str]:
    return [name for name, value in row.items() if isinstance(value, dict) and "solution" in value]


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    gold = need(row, fields.answer or ("ground_truth" if "ground_truth" in row else "answer"))
    common: dict[str, Any] = {
        "id": need(row, fields.id) if fields.id else number,
        "prompt": need(row, fields.prompt or "question", str),
        "gold": gold,
    }
    for model in models(row):
        solution = row[model]["solution"]
        said = solution if isinstance(solution, str) else None
        verdicts = {"is_correct": row[model]["is_correct"]} if "is_correct" in row[model] else {}
        error = None if said is not None else "the log has no text of a solution"
        yield Answer(**common, said=said, error=error, model=model, verdicts=verdicts)
    if not models(row):
        yield Answer(**common, said=ABSENT)


def about(path: Path, row: Row) -> About:
    return About(name=stem(path), model="unknown model")


FORMAT = Format(tool="gsm8k", fits=fits, answers=answers, about=about)
