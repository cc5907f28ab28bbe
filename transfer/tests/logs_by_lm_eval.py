"""lm-evaluation-harness itself writes a log: python -m transfer.tests.logs_by_lm_eval FOLDER.

It asks each prompt once (below FOLDER/1), and three times (FOLDER/3). Its model says what π0 said to the dev split: the
frozen rollouts, and the pack. Two filters: strict and lenient.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker

from course.core.datasets import CompletionsFile, load_dataset
from course.core.paths import DEV, FROZEN, PACK

STRICT = r"^[ \t\r\n]*Final: (0|-?[1-9][0-9]{0,17})[ \t\r\n]*\Z"


def a_filter(name: str, pattern: str) -> dict[str, Any]:
    find = {"function": "regex", "regex_pattern": pattern, "fallback": "[invalid]"}
    return {"name": name, "filter": [find, {"function": "take_first"}]}


TASK: dict[str, Any] = {
    "task": "course_dev",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(DEV)}},
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{prompt}}",
    "doc_to_target": "{{expected_answer}}",
    "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": 16, "temperature": 1.0, "do_sample": True},
    "filter_list": [a_filter("strict", STRICT), a_filter("lenient", r"(-?[0-9]+)")],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


class Frozen(LM):  # type: ignore[misc]
    """Says what was said, in its order."""

    def __init__(self, said: dict[str, list[str]]) -> None:
        super().__init__()
        self.said = said

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [self.said[request.args[0]].pop(0) for request in requests]

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError


def main(folder: Path, repeats: int) -> None:
    examples, said = load_dataset(DEV).examples, dict[str, list[str]]()
    for row in CompletionsFile(FROZEN if repeats == 1 else PACK, examples):
        said.setdefault(examples[row.id]["prompt"], []).append(row.completion or "")
    tracker = EvaluationTracker(output_path=str(folder))
    task = {**TASK, "repeats": repeats}
    results = simple_evaluate(
        model=Frozen(said), tasks=[task], evaluation_tracker=tracker, log_samples=True, bootstrap_iters=0
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        tracker.save_results_samples(task_name=name, samples=rows)
    rates = {
        key: float(value) for key, value in results["results"]["course_dev"].items() if key.startswith("exact_match,")
    }
    (folder / "rates.json").write_text(json.dumps(rates), encoding="utf-8")


if __name__ == "__main__":
    for times in (1, 3):
        main(Path(sys.argv[1]) / str(times), times)
