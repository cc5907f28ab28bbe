"""Each stack's own machinery, made to score given texts.

A function of `STACKS` takes texts and their examples, and returns the rewards that the stack reports and the texts as
the scorer was handed them, both in the order given. It may be `async`. Another stack is another entry.
"""

import logging
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

from course.core.datasets import Example
from course.core.files import to_json_lines, write_whole
from course.core.paths import PI0
from transfer.stacks.batch_score import batch_score, compute_score

Texts: TypeAlias = Sequence[str]
Examples: TypeAlias = Sequence[Example]
Scored: TypeAlias = tuple[list[float], list[str]]


def plain(texts: Texts, examples: Examples) -> Scored:
    """batch_score as a trainer of one's own calls it."""
    return [row["reward"] for row in batch_score(examples, texts)], list(texts)


def verl(texts: Texts, examples: Examples) -> Scored:
    """compute_score with verl's arguments, one text at a time; verl itself is not run."""
    pairs = zip(texts, examples, strict=True)
    return [compute_score("math", text, str(e["expected_answer"]), {})["score"] for text, e in pairs], list(texts)


def trl(texts: Texts, examples: Examples, messages: bool = False) -> Scored:
    """A real GRPOTrainer's computation of rewards, over texts or over messages."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from transfer.examples.pi0 import load_pi0
    from transfer.stacks.trl_reward import one_line

    said: list[Any] = [[{"role": "assistant", "content": text}] for text in texts] if messages else list(texts)
    prompts: list[Any] = [e["prompt"] for e in examples]
    if messages:
        prompts = [[{"role": "user", "content": prompt}] for prompt in prompts]
    rows = [{"prompt": p, "expected_answer": e["expected_answer"]} for p, e in zip(prompts, examples, strict=True)]
    model, tokenizer = load_pi0(PI0)
    handed: list[Any] = []
    reward = one_line()

    def one_line_reward(completions: Any, **columns: Any) -> list[float]:
        handed.extend(completions)
        return reward(completions=completions, **columns)

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(output_dir=folder, report_to=[], use_cpu=True, bf16=False, num_generations=8)
        trainer = GRPOTrainer(model, [one_line_reward], config, Dataset.from_list(rows[:8]), processing_class=tokenizer)
        rewards = trainer._calculate_rewards(rows, prompts, said, [[0]] * len(said))[:, 0].tolist()
    return rewards, [message[-1]["content"] for message in handed] if messages else handed


async def inspect(texts: Texts, examples: Examples) -> Scored:
    """A real evaluation of Inspect with the texts as its mock model's outputs; rewards and answers from its log."""
    from inspect_ai import Task, eval_async
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.log import read_eval_log_async
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate
    from inspect_ai.util import display_type

    from transfer.stacks.inspect_scorer import one_line

    def answer(messages: Any, *how: Any) -> ModelOutput:
        number = int(messages[-1].text.partition(" ")[0])
        output = ModelOutput.from_content("mockllm", texts[number])
        output.usage = ModelUsage()  # else it counts tokens, with a tokenizer that it would download
        return output

    samples = [
        Sample(id=n, input=f"{n} {e['prompt']}", target=str(e["expected_answer"])) for n, e in enumerate(examples)
    ]
    task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=one_line())
    model = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    display_type()  # read from the environment now: eval_async alone would choose one that prints
    quiet: dict[str, Any] = dict.fromkeys(("log_realtime", "log_model_api", "score_display"), False)
    quiet |= {"log_level": "error", "log_buffer": 2_000}
    with tempfile.TemporaryDirectory() as folder:
        [log] = await eval_async(task, model=model, log_dir=folder, max_samples=64, **quiet)
        log = await read_eval_log_async(log.location)
    if log.status != "success" or log.samples is None:
        raise RuntimeError(f"Inspect: {log.status}: {log.error.message if log.error else ''}")
    scores = [cast(Any, s.scores)["one_line"] for s in sorted(log.samples, key=lambda sample: cast(int, sample.id))]
    return [float(score.value) for score in scores], [score.answer for score in scores]


def lm_eval(texts: Texts, examples: Examples) -> Scored:
    """lm-eval's simple_evaluate with a model that says the texts; rewards and answers from its samples."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)

    class Says(LM):  # type: ignore[misc]
        """A model whose answers are given: the first document gets the first."""

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [texts[int(request.doc["id"])] for request in requests]

        loglikelihood = loglikelihood_rolling = generate_until

    rows = [
        {"id": str(n), **{key: e[key] for key in ("prompt", "expected_answer")}}
        for n, e in enumerate(cast(Any, examples))
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_whole(
            path := Path(folder) / "texts.jsonl", to_json_lines({**row, "prompt": row["prompt"] or "?"} for row in rows)
        )
        there = Path(__file__).parents[1] / "stacks" / "lm_eval_task"
        manager = TaskManager(include_path=str(there), include_defaults=False, metadata={"dataset": str(path)})
        found = simple_evaluate(Says(), tasks=["one_line"], task_manager=manager, bootstrap_iters=0)
    samples = sorted(found["samples"]["one_line"], key=lambda sample: sample["doc_id"])
    return [sample["reward"] for sample in samples], [sample["filtered_resps"][0] for sample in samples]


async def verifiers(texts: Texts, examples: Examples, group: int = 1) -> Scored:
    """The rubric's own scoring, of one rollout at a time or of groups."""
    import verifiers.legacy as vf

    from transfer.stacks.verifiers_rubric import OneLine

    rubric, states = OneLine(), []
    for number, (text, e) in enumerate(zip(texts, examples, strict=True)):
        row = {
            "prompt": [{"role": "user", "content": e["prompt"]}],
            "answer": str(e["expected_answer"]),
            "example_id": number,
        }
        said = [vf.AssistantMessage(content=text)]
        states.append(vf.State(input=row, **row, completion=said, trajectory=[]))
    for first in range(0, len(states), group):
        if group == 1:
            await rubric.score_rollout(states[first])
        else:
            await rubric.score_group(states[first : first + group])
    return [state["reward"] for state in states], [state["completion"][-1].content for state in states]


@dataclass(frozen=True)
class Stack:
    """A stack: how it scores, what it needs, and whether its places share the texts because it is slow."""

    score: Callable[[Texts, Examples], Scored | Awaitable[Scored]]
    package: str | None = None
    requirements: str = ""
    slow: bool = False


STACKS: dict[str, Stack] = {
    "batch_score": Stack(plain),
    "verl's signature": Stack(verl),
    "trl": Stack(trl, "trl", "trl"),
    "trl messages": Stack(partial(trl, messages=True), "trl", "trl"),
    "inspect": Stack(inspect, "inspect_ai", "inspect", slow=True),
    "lm-eval": Stack(lm_eval, "lm_eval", "lm-eval", slow=True),
    "verifiers": Stack(verifiers, "verifiers", "verifiers"),
    "verifiers groups": Stack(partial(verifiers, group=8), "verifiers", "verifiers"),
}
