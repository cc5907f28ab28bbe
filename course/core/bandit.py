"""The bandit of the demos: real completions of one prompt are the actions, `score` gives the reward.

A softmax over one parameter for each action is the smallest policy there is. Its gradient can be summed over
all actions exactly, which is what the sampled gradients of the demos are held against.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.core.datasets import CompletionsFile, Example, load_dataset
from course.core.files import InputError
from course.core.scoring import score_one

DATA = Path(__file__).resolve().parents[1] / "data"
DATASET = DATA / "datasets" / "math_dev.jsonl"
PACK = DATA / "rollouts" / "selection_pack_dev.jsonl"


@dataclass(frozen=True)
class Bandit:
    """One prompt and what may be answered. `rewards[a]` is what the scorer gives `actions[a]`."""

    example: Example
    actions: list[str]
    rewards: np.ndarray
    codes: list[str | None]
    source: dict[str, str]  # the example's id, and the hashes of the files that it and the actions are from


def load_bandit(dataset: Path, pack: Path, example_id: str | None, size: int = 5) -> Bandit:
    """The bandit of one example: up to `size` different completions of the pack, in the pack's order.

    Without an id, the first example of which some completions pass and at least two do not. Raises InputError.
    """
    loaded = load_dataset(dataset)
    examples, completions = loaded.examples, CompletionsFile(pack, loaded.examples)
    said: dict[str, list[str]] = {key: [] for key in examples}
    for row in completions:
        if row.completion not in said[row.id]:
            said[row.id].append(row.completion)
    if example_id is not None and example_id not in examples:
        raise InputError(dataset, f"no example {example_id!r}")
    for key in [example_id] if example_id is not None else examples:
        found = [score_one(examples[key], 0, text) for text in said[key]]
        # One action that passes stays among the few, wherever it stands in the pack.
        passing = [result for result in found if result.reward == 1.0][:1]
        failing = [result for result in found if result.reward == 0.0][: size - 1]
        if passing and len(failing) >= 2:
            kept = [result for result in found if result in passing or result in failing]
            rewards = np.array([result.reward for result in kept])
            texts = [str(result.completion) for result in kept]
            source = {"example": key, "dataset_sha256": loaded.sha256, "pack_sha256": completions.lines.sha256}
            return Bandit(examples[key], texts, rewards, [result.details["code"] for result in kept], source)
    which = f"example {example_id!r} has not" if example_id is not None else "no example has"
    raise InputError(pack, f"{which} one completion that passes and two that do not, which a bandit needs")


def add_bandit_options(parser: argparse.ArgumentParser) -> None:
    """The options of every demo that learns on a bandit."""
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--id", help="the example whose completions are the actions (default: the first that serves)")
    parser.add_argument("--dataset", type=Path, default=DATASET)
    parser.add_argument("--pack", type=Path, default=PACK, help="completions file that the actions are taken from")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")


def bandit_of(args: argparse.Namespace) -> Bandit:
    """The bandit that the options ask for. Raises InputError."""
    if not 0 < args.learning_rate < float("inf"):
        raise InputError("--learning-rate", "a number above zero")
    if args.seed < 0:
        raise InputError("--seed", "a whole number, zero or more")
    return load_bandit(args.dataset, args.pack, args.id)


def softmax(theta: np.ndarray) -> np.ndarray:
    """Probabilities of the actions, over the last axis."""
    shifted = np.exp(theta - theta.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def log_prob_gradient(probs: np.ndarray, action: int) -> np.ndarray:
    """∇θ log π(action) of a softmax policy: 1 at the action, minus the probabilities. Shape of `probs`."""
    gradient = -probs
    gradient[..., action] += 1.0
    return gradient


def exact_gradient(theta: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """∇θ of the expected reward, summed over all actions: π(a) (r(a) - E[r])."""
    probs = softmax(theta)
    return np.asarray(probs * (rewards - probs @ rewards))
