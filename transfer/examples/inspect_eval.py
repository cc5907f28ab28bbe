"""Inspect measures π0: a provider that samples it, the dev split, the scorer, and a log to open in Inspect's viewer.

    python -m transfer.examples.inspect_eval

The provider draws π0's random numbers as the course does, so the rate is that of the shipped rollouts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import load_dataset
from course.core.display import console, percent, typed
from course.core.files import InputError
from course.core.paths import DEV, PI0, RUNS
from transfer.examples.pi0 import needs
from transfer.views import NAMES


@dataclass(frozen=True, kw_only=True)
class Settings:
    limit: int | None = option(None, "only so many examples", at_least=1)
    dataset: Path = option(DEV, "the examples (JSONL)")
    view: str = option("whole", "which part of an output is scored", choices=tuple(NAMES))
    seed: int = option(0, "of every random number", at_least=0)
    log_dir: Path = option(RUNS / "inspect", "where Inspect writes its log")


def provider(settings: Settings) -> Any:
    """π0 as a model of Inspect's."""
    from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, ModelUsage, get_model, modelapi

    with needs("torch", "-e '.[policy]'"):
        from course.policy.core.sampling import load_checkpoint, sample_completions

    policy, tokenizer = load_checkpoint(PI0)
    ids = {example["prompt"]: example["id"] for example in load_dataset(settings.dataset).examples.values()}

    @modelapi(name="course")
    class Pi0(ModelAPI):  # type: ignore[misc]
        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: GenerateConfig) -> ModelOutput:  # noqa: A002
            prompt = input[-1].text
            item = (ids[prompt], prompt, 0)
            [text] = sample_completions(policy, tokenizer, [item], temperature=1.0, top_p=1.0, seed=settings.seed)
            output = ModelOutput.from_content("pi0", text)
            output.usage = ModelUsage()
            return output

    return get_model("course/pi0", memoize=False)


def run(settings: Settings) -> Any:
    """Inspect's log of the evaluation. Raises InputError."""
    with needs("inspect-ai", "-r transfer/requirements-inspect.txt"):
        from inspect_ai import Task
        from inspect_ai import eval as evaluate
        from inspect_ai.solver import generate

        from transfer.stacks.inspect_scorer import load, one_line

    task = Task(dataset=load(settings.dataset), solver=generate(), scorer=one_line(settings.view), name="one_line")
    quiet: dict[str, Any] = {"display": "none", "log_level": "error", "log_realtime": False}
    model, folder = provider(settings), str(settings.log_dir)
    [log] = evaluate(task, model=model, log_dir=folder, limit=settings.limit, **quiet)
    if log.status != "success":
        raise InputError("Inspect", f"{log.status}: {log.error.message if log.error else 'it says no more'}")
    return log


def main() -> int:
    settings = parse("transfer.examples.inspect_eval", "Inspect measures π0.", Settings)
    log = run(settings)
    scores = [sample.scores["one_line"] for sample in log.samples]
    passes = sum(score.value == 1 for score in scores)
    console().print(
        f"Pass rate: {passes}/{len(scores)} = {percent(passes / len(scores))}", f"Log: {log.location}", sep="\n"
    )
    console().print(f"Next: inspect view --log-dir {typed(settings.log_dir)}")
    return DONE


if __name__ == "__main__":
    run_command(main)
