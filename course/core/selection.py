"""Loop B's machinery: among the first n samples of each prompt of a pack, a rule chooses one, and its score counts.

`selection_demo` runs it with the student's `pick_best`; verifying a run repeats the choice and every number.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from course.core import stats
from course.core.files import InputError, to_json_lines
from course.core.manifest import RESULTS, SelectionRecord
from course.core.measurement import Measurement
from course.core.paths import ROOT
from course.core.runs import Result, result_line
from course.core.scoring import STRICT, Scorer, scorer_named, summarise
from course.core.seal import HAS_A_REGION, region_sha256

EXPERIMENT = "selection_demo"
TEMPLATE = """# Selection summary

<!-- Yours to fill in, beside the run that it is about. A rate as `20.8 %`, as `0.208`, or as a fraction. The label is
`selection` or `learning`. python -m course.check 0.5 compares it with the run; it is no part of what is verified. -->

- average reward, N = 1:
- average reward, chosen:
- pass@1:
- pass@N:
- label of the gain:

## What selection did

<!-- N = 1 against N > 1, in a few sentences. What does the control that picks at random tell you? -->

## Where it still fails

<!-- Two or three prompts, by their ids, for which no choice could help. What did all their samples get wrong? -->

## What did not change

<!-- Who improved: the policy, or the choice? How would you see it if it were the policy? -->
"""


@dataclass(frozen=True)
class Sample:
    """One sample of a prompt, as the selector sees it: `reward` is what the *selecting* scorer gave it."""

    sample: int
    completion: str
    reward: float


Rule = Callable[[str, list[Sample]], Sample]  # (id of the example, its samples) -> the one that is chosen


def students_rule(sha256: str) -> Rule | None:
    """`pick_best`, loaded like a plug-in, if the student's file still holds the one of that hash. Raises InputError."""
    if region_sha256(ROOT / HAS_A_REGION) != sha256:
        return None
    pick_best = import_module("course.selection_demo").pick_best
    return lambda _, samples: pick_best(samples)


@dataclass(frozen=True)
class Selection:
    """What was chosen, and the numbers: `chosen` sums up the chosen samples, `numbers` the choosing."""

    how: SelectionRecord
    seed: int
    choices: list[dict[str, Any]]  # the rows of selection_demo.jsonl
    results: list[Result]
    chosen: dict[str, Any]
    numbers: dict[str, Any]
    measurement: Measurement

    def record(self) -> dict[str, Any]:
        """The fields of a manifest that say what was chosen from, and how."""
        return {**self.measurement.record(), "settings": {"seed": self.seed}, "selection": self.how}

    def summary(self) -> dict[str, Any]:
        return {**self.chosen, "selection": self.numbers}

    def files(self) -> dict[str, bytes]:
        """The files of the run, but for its summary and its picture."""
        return {
            f"{EXPERIMENT}.jsonl": to_json_lines(self.choices),
            RESULTS: b"".join(map(result_line, self.results)),
        }


def select(measurement: Measurement, rule: Rule, how: SelectionRecord, seed: int) -> Selection:
    """Score the pack, and let the rule choose among the first `how.n` samples of every prompt (0: all of the pack).

    Raises InputError.
    """
    samples = load_pack(measurement)
    largest = min(map(len, samples.values()))
    n = how.n or largest
    if not 1 <= n <= largest:
        raise InputError("--n", f"between 1 and {largest}, the samples that the pack has for every prompt; not {n}")
    selector = scorer_named(how.select_with)
    chosen = [choose(measurement, results[:n], rule, selector) for results in samples.values()]
    choices, results = [choice for choice, _ in chosen], [result for _, result in chosen]
    summary = {key: value for key, value in summarise(results).items() if not key.startswith("pass_at")}
    rewards = np.array([choice["rewards"] for choice in choices])
    numbers = summarise_selection(rewards, curve_over_n(samples), seed)
    how = SelectionRecord(rule=how.rule, n=n, select_with=how.select_with)
    return Selection(how, seed, choices, results, summary, numbers, measurement)


def load_pack(measurement: Measurement) -> dict[str, list[Result]]:
    """The scored samples of every prompt, in order of their numbers. Raises InputError if this is no pack."""
    pack: dict[str, list[Result]] = {key: [] for key in measurement.dataset.examples}
    for result in measurement:
        pack[result.id].append(result)
    path = measurement.paths["completions"]
    for key, results in pack.items():
        if all(result.code == stats.MISSING for result in results):
            raise InputError(path, f"the pack has no sample for example {key!r}")
        results.sort(key=lambda result: result.sample)
    if min(map(len, pack.values())) < 2:
        raise InputError(path, "a pack needs several samples for each example; this file has one for some")
    return pack


def choose(
    measurement: Measurement, results: list[Result], rule: Rule, selector: Scorer
) -> tuple[dict[str, Any], Result]:
    """The rule among the samples of a prompt; and the chosen sample's own result. Raises InputError.

    A sample that never came is to be chosen from too, as an empty text.
    """
    key = results[0].id
    example = measurement.dataset.examples[key]
    samples = [Sample(r.sample, r.completion or "", selector(example, r.completion)["reward"]) for r in results]
    try:
        best = rule(key, list(samples))
    except (Exception, SystemExit) as error:  # whatever a rule that is being written may raise
        raise InputError("pick_best", f"it raised {error!r} for {key!r}") from None
    picked = [result for sample, result in zip(samples, results, strict=True) if sample is best]
    if not picked:
        raise InputError("pick_best", f"it must return one of the samples it is given; for {key!r} it did not")
    result = picked[0]
    choice = {
        "id": key,
        "prompt": result.prompt,
        "expected_answer": result.expected_answer,
        "chosen": best.sample,
        "completion": best.completion,
        "selector_reward": best.reward,
        "reward": result.reward,  # this one and all below are the strict scorer's
        "code": result.details["code"],
        "rewards": [r.reward for r in results],
        "codes": [r.details["code"] for r in results],
    }
    return choice, result


def curve_over_n(pack: dict[str, list[Result]]) -> list[dict[str, float]]:
    """For each k: the unbiased pass@k and pass^k, and what equal prompts would give, 1 - (1 - p)^k."""
    counts = [(len(results), sum(r.reward == 1.0 for r in results)) for results in pack.values()]
    p = stats.mean_pass_at_k(counts, 1)
    return [
        {
            "k": k,
            "pass_at_k": stats.mean_pass_at_k(counts, k),
            "pass_hat_k": stats.mean_pass_hat_k(counts, k),
            "equal_prompts": 1 - (1 - p) ** k,
        }
        for k in range(1, min(map(len, pack.values())) + 1)
    ]


def summarise_selection(rewards: np.ndarray, curve: list[dict[str, float]], seed: int) -> dict[str, Any]:
    """What selection did, in numbers: pass@k is unbiased over the whole pack, the rest is of the n chosen from."""
    n = rewards.shape[1]
    rng = random.Random(f"{seed}:control")
    right = rewards.sum(axis=1)
    return {
        "n": n,
        "mean_reward_first": float(rewards[:, 0].mean()),
        "mean_reward_random": float(np.mean([rng.choice(row) for row in rewards])),
        "pass_at_1": curve[0]["pass_at_k"],
        "pass_at_n": curve[n - 1]["pass_at_k"],
        "pass_hat_n": curve[n - 1]["pass_hat_k"],
        "never_right": float((right == 0).mean()),
        "selection_can_matter": float(((right > 0) & (right < n)).mean()),
        "curve": curve,
    }


def lesson(selection: Selection) -> str:
    """What the gain is made of, and what it costs to pick otherwise than by the strict scorer's best."""
    loss = 1 - selection.numbers["never_right"] - selection.chosen["mean_reward"]
    select_with = selection.how.select_with
    if select_with != STRICT:
        found = f"`{select_with}` pays for what the strict scorer refuses."
        return f"{found} Selecting by it loses {100 * loss:.1f} points against selecting by the strict scorer."
    if loss > 1e-12:
        return f"pick_best left {100 * loss:.1f} points on the table: a right sample was there, and another was picked."
    return (
        "Selector and grader are the same instrument, so a right sample is found whenever there is one among the N; a "
        "hole in the scorer would be in both. Try --select-with anywhere."
    )
