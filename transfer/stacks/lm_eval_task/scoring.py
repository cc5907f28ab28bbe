"""The functions that `one_line.yaml` names: the data set, the view as a filter, the reward as a metric."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from course.core.datasets import load_dataset
from course.core.paths import DEV
from transfer.stacks.batch_score import batch_score, text_of

COLUMNS = ("id", "prompt", "expected_answer")


def dataset(dataset: str | Path = DEV, after_prompt: str = "", **metadata: object) -> dict[str, Dataset]:
    """A data set of the course as the split `test`: id, prompt, expected_answer. Raises InputError."""
    examples = load_dataset(Path(dataset)).examples.values()
    rows = [{**example, "prompt": example["prompt"] + after_prompt} for example in examples]
    return {"test": Dataset.from_list([{key: row[key] for key in COLUMNS} for row in rows])}


def viewed(view: str, answers: Sequence[Sequence[object]], docs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The view of each document's answer. Raises InputError."""
    for doc, (answer,) in zip(docs, answers, strict=True):
        yield text_of(answer, view, f"document {doc['id']}")


def whole(answers: Sequence[Sequence[object]], docs: Sequence[dict[str, Any]]) -> list[str]:
    """The filter of the default view: all of the text."""
    return list(viewed("whole", answers, docs))


def last_line(answers: Sequence[Sequence[object]], docs: Sequence[dict[str, Any]]) -> list[str]:
    """The filter for models that think before they answer."""
    return list(viewed("last_line", answers, docs))


def process_results(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """The reward of a document's filtered answer. Raises InputError."""
    [text] = [results] if isinstance(results, str) else results
    [row] = batch_score([doc], [text])
    return {"reward": row["reward"]}
