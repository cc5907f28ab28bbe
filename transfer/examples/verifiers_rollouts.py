"""The rubric for `verifiers` scores π0's shipped rollouts, in groups of one example's samples as a trainer would.

python -m transfer.examples.verifiers_rollouts
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import CompletionsFile, load_dataset
from course.core.display import console, percent, table
from course.core.paths import DEV, PACK
from transfer.examples.pi0 import needs
from transfer.views import NAMES


@dataclass(frozen=True, kw_only=True)
class Settings:
    dataset: Path = option(DEV, "the examples (JSONL)")
    completions: Path = option(PACK, "several samples of each example (JSONL)")
    view: str = option("whole", "which part of a completion is scored", choices=tuple(NAMES))


def run(settings: Settings) -> list[Any]:
    """The states of all rollouts, scored: `reward`, `advantage`, `code`. Raises InputError."""
    with needs("verifiers", "-r transfer/requirements-verifiers.txt"):
        import verifiers.legacy as vf

        from transfer.stacks.verifiers_rubric import OneLine

    examples = load_dataset(settings.dataset).examples
    groups = defaultdict(list)
    for row in CompletionsFile(settings.completions, examples):
        example = examples[row.id]
        prompt = [{"role": "user", "content": example["prompt"]}]
        said = [{"role": "assistant", "content": row.completion}]
        answer = str(example["expected_answer"])
        state = vf.State(prompt=prompt, completion=said, answer=answer, example_id=row.id, trajectory=[])
        groups[row.id].append(state)
    rubric = OneLine(settings.view)

    async def score() -> None:
        for group in groups.values():
            await rubric.score_group(group)

    asyncio.run(score())
    return [state for group in groups.values() for state in group]


def print_report(states: list[Any]) -> None:
    """How many pass, and why the others fail."""
    passes = sum(state["reward"] == 1 for state in states)
    console().print(f"Pass rate: {passes}/{len(states)} = {percent(passes / len(states))}")
    rows = table("code", ">count")
    for code, count in Counter(state["code"] for state in states if state["code"]).most_common(5):
        rows.add_row(code, str(count))
    console().print(rows)


def main() -> int:
    settings = parse("transfer.examples.verifiers_rollouts", "Score rollouts by a rubric of verifiers.", Settings)
    print_report(run(settings))
    console().print("Next: python -m transfer.prove --stacks verifiers 'verifiers groups'")
    return DONE


if __name__ == "__main__":
    run_command(main)
