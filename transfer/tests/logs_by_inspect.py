"""Inspect itself writes two logs, `.eval` and `.json`: python -m transfer.tests.logs_by_inspect FOLDER.

Its mock model says what π0 said to forty of the dev split, two samples of each. Two scorers: the course's, and `match`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval  # noqa: A004
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Target, accuracy, match, scorer
from inspect_ai.solver import TaskState, generate, system_message

from course.core.datasets import CompletionsFile, load_dataset
from course.core.paths import DEV, PACK
from course.score import score

EXAMPLES, EPOCHS, MODEL = 40, 2, "mockllm/model"


@scorer(metrics=[accuracy()])
def strict() -> Any:
    async def judge(state: TaskState, target: Target) -> Score:
        example = {"expected_answer": int(target.text)}
        reward = score(example, state.output.completion)["reward"]
        return Score(value=CORRECT if reward else INCORRECT, answer=state.output.completion)

    return judge


def output(text: str) -> ModelOutput:
    made = ModelOutput.from_content(MODEL, text)
    made.usage = ModelUsage()
    return made


def main(folder: Path) -> None:
    examples = load_dataset(DEV).examples
    said: dict[str, list[str]] = {}
    for row in CompletionsFile(PACK, examples):
        said.setdefault(examples[row.id]["prompt"], []).append(row.completion or "")
    rows = [examples[key] for key in list(examples)[:EXAMPLES]]
    samples = [
        Sample(input=row["prompt"], target=str(row["expected_answer"]), id=row["id"], metadata=row["metadata"])
        for row in rows
    ]

    task = Task(
        dataset=MemoryDataset(samples),
        solver=[system_message("Be brief."), generate()],
        scorer=[strict(), match()],
        epochs=EPOCHS,
        name="dev",
    )
    for kind in ("eval", "json"):
        left = {prompt: list(texts) for prompt, texts in said.items()}

        def answer(messages: Any, *_: Any, left: dict[str, list[str]] = left) -> ModelOutput:
            return output(left[messages[-1].text].pop(0))

        model = get_model(MODEL, memoize=False, custom_outputs=answer)
        how: dict[str, Any] = {"temperature": 0.5, "max_tokens": 16, "seed": 3}
        (log,) = eval(task, model=model, log_dir=str(folder), log_format=kind, display="none", **how)
        rates = {one.name: one.metrics["accuracy"].value for one in (log.results.scores if log.results else [])}
        (folder / f"rates_{kind}").write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
