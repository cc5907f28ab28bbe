"""A data set and a scorer for Inspect: `Task(dataset=load("mine.jsonl"), solver=generate(), scorer=one_line())`.

The value of a score is the reward, its answer the text that the scorer was handed, its explanation the code in words,
and its metadata the details.
"""

from pathlib import Path

from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from course.core.datasets import load_dataset
from course.core.files import InputError
from course.score import CODES
from transfer.stacks.batch_score import batch_score, text_of


def load(path: Path | str) -> MemoryDataset:
    """A data set of the course as Inspect's: id, prompt, expected answer. Raises InputError."""
    dataset = load_dataset(Path(path))
    samples = [
        Sample(id=example["id"], input=example["prompt"], target=str(example["expected_answer"]))
        for example in dataset.examples.values()
    ]
    return MemoryDataset(samples, name=dataset.path.stem, location=str(path))


@scorer(metrics=[mean(), stderr()])  # type: ignore[untyped-decorator]
def one_line(view: str = "whole") -> Scorer:
    """The strict scorer on a view of the model's last output."""

    async def grade(state: TaskState, target: Target) -> Score:
        """Raises InputError where there is no output or no target: Inspect fails the sample, and scores no 0."""
        where = f"sample {state.sample_id}"
        if not state.output.choices:
            raise InputError(where, "the model gave no output: put generate() before the scorer")
        text = text_of(state.output.completion, view, where)
        [row] = batch_score([{"expected_answer": target.text}], [text])
        code = row["details"]["code"]
        words = "the expected answer" if code is None else f"{code}: {CODES[code]}"
        return Score(value=row["reward"], answer=text, explanation=words, metadata=row["details"])

    return grade
