"""What the ledger measures of Loop B. No PyTorch."""

from itertools import pairwise

import numpy as np

from course import selection_demo
from course.core.scoring import STRICT
from course.ledger.ledger import Measured, Number

TRIALS, DRAWS, CHANCE = 20_000, 10, 0.23  # answers, each the best of so many draws, each right with this chance


def selection(seed: int) -> Measured:
    """Best of eight, selected and graded by the strict scorer; and what became of the policy meanwhile."""
    found = selection_demo.run(selection_demo.Settings(seed=seed))
    numbers, chosen = found.numbers, found.chosen["mean_reward"]
    curve = [row["pass_at_k"] for row in numbers["curve"]]
    values: dict[str, Number] = {
        "gain": chosen - numbers["pass_at_1"],
        "control": numbers["mean_reward_random"] - numbers["pass_at_1"],
        "equal_prompts": curve[-1] - numbers["curve"][-1]["equal_prompts"],
        "smallest_step": min(b - a for a, b in pairwise(curve)),
        "pass_at_1": numbers["pass_at_1"],
        "chosen": (round(chosen * len(found.choices)), len(found.choices)),
    }
    return Measured(values, len(found.choices) * numbers["n"], "completions", selection_demo.draw(found))


def weak_selection(seed: int) -> Measured:
    """The same pack, selected by a loose rubric and graded by the strict scorer."""
    loose = selection_demo.run(selection_demo.Settings(seed=seed, select_with="anywhere"))
    strict = selection_demo.run(selection_demo.Settings(seed=seed, select_with=STRICT))
    looks = float(np.mean([choice["selector_reward"] for choice in loose.choices]))
    right = loose.chosen["mean_reward"]
    values: dict[str, Number] = {"lost": right - strict.chosen["mean_reward"], "overstated": looks - right}
    return Measured(values, len(loose.choices), "prompts")


def equal_draws(seed: int) -> Measured:
    """Ten draws, each right with a chance of 0.23, again and again: how often is one of them right?"""
    right = np.random.default_rng(seed).random((TRIALS, DRAWS)) < CHANCE
    return Measured({"at_least_one": float(right.any(axis=1).mean())}, TRIALS, "answers")
