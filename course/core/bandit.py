"""The bandit of the demos, and the one loop that learns on it.

Real completions of one prompt are the actions, `score` gives the reward, and the policy is a softmax over one
parameter for each action: the smallest policy there is. `reinforce` trains S such policies side by side, each with its
own seed (S = 1 in most demos).

Shapes: S learners, K actions, a batch of B samples for each step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.core.command_line import option
from course.core.datasets import CompletionsFile, Example, load_dataset
from course.core.experiment import PictureOptions
from course.core.files import InputError
from course.core.paths import DEV, PACK
from course.core.scoring import score_one

BASELINES = ("none", "running", "batch")
RUNNING_RATE = 0.1  # after each sample: baseline <- baseline + 0.1 (reward - baseline)


@dataclass(frozen=True, kw_only=True)
class BanditOptions(PictureOptions):
    """The options of every demo that learns on a bandit."""

    learning_rate: float = option(0.5, "size of an update", above=0)
    seed: int = option(0, "of the sampled actions", at_least=0)
    id: str | None = option(None, "the example whose completions are the actions (default: the first that serves)")
    dataset: Path = option(DEV, "the examples (JSONL)")
    pack: Path = option(PACK, "completions file that the actions are taken from")


@dataclass(frozen=True)
class Bandit:
    """One prompt and the completions to choose from. `rewards[a]` is what the scorer gives `actions[a]`."""

    example: Example
    actions: list[str]
    rewards: np.ndarray
    source: dict[str, str]  # the example's id, and the hashes of the files that it and the actions are from


def load_bandit(dataset: Path, pack: Path, example_id: str | None, size: int = 5) -> Bandit:
    """The bandit of one example: up to `size` different completions of the pack, in the pack's order.

    Without an id, the first example of which some completions pass and at least two do not. Raises InputError.
    """
    loaded = load_dataset(dataset)
    examples, completions = loaded.examples, CompletionsFile(pack, loaded.examples)
    texts: dict[str, dict[str, None]] = {key: {} for key in examples}  # a dict, as a set that keeps its order
    for row in completions:
        texts[row.id][row.completion] = None
    if example_id is not None and example_id not in examples:
        raise InputError(dataset, f"no example {example_id!r}")
    for key in [example_id] if example_id is not None else examples:
        results = [score_one(examples[key], 0, text) for text in texts[key]]
        # One action that passes stays among the few, wherever it stands in the pack.
        passing = [result for result in results if result.reward == 1.0][:1]
        failing = [result for result in results if result.reward == 0.0][: size - 1]
        if passing and len(failing) >= 2:
            kept = [result for result in results if result in passing or result in failing]
            rewards = np.array([result.reward for result in kept])
            source = {"example": key, "dataset_sha256": loaded.sha256, "pack_sha256": completions.lines.sha256}
            return Bandit(examples[key], [str(result.completion) for result in kept], rewards, source)
    which = f"example {example_id!r} has not" if example_id is not None else "no example has"
    raise InputError(pack, f"{which} one completion that passes and two that do not, which a bandit needs")


@dataclass(frozen=True)
class Update:
    """One step of REINFORCE: what each learner saw, and what it did."""

    theta: np.ndarray  # (S, K)
    probs: np.ndarray  # (S, K)
    actions: np.ndarray  # (S, B)
    rewards: np.ndarray  # (S, B)
    baseline: np.ndarray  # (S,)
    advantages: np.ndarray  # (S, B)
    gradient: np.ndarray  # (S, K)
    theta_after: np.ndarray  # (S, K)
    probs_after: np.ndarray  # (S, K)


def reinforce(
    rewards: np.ndarray,
    steps: int,
    learning_rate: float,
    seeds: Sequence[int | tuple[int, int]],
    batch: int = 1,
    baseline: str = "running",
) -> Iterator[Update]:
    """REINFORCE from equal probabilities. `rewards` (K,) is what each action earns; `baseline` is one of BASELINES.

    The running baseline of a step is a moving average of the rewards before it.
    """
    uniform = np.stack([np.random.default_rng(seed).random((steps, batch)) for seed in seeds])
    theta = np.zeros((len(seeds), len(rewards)))
    running = np.zeros(len(seeds))
    for step in range(steps):
        actions = sample_actions(softmax(theta), uniform[:, step])
        batch_mean = rewards[actions].mean(axis=1)
        b = {"none": np.zeros(len(seeds)), "running": running, "batch": batch_mean}[baseline]
        update = take_step(theta, rewards, actions, b, learning_rate)
        yield update
        theta = update.theta_after
        for reward in update.rewards.T:
            running = running + RUNNING_RATE * (reward - running)


def take_step(
    theta: np.ndarray, rewards: np.ndarray, actions: np.ndarray, baseline: np.ndarray, learning_rate: float
) -> Update:
    """One step for sampled actions (S, B): theta + learning rate * mean over the batch of advantage * ∇ log π."""
    probs = softmax(theta)
    earned = rewards[actions]
    advantages = earned - baseline[:, None]
    gradient = (advantages[..., None] * log_prob_gradient(probs[:, None, :], actions)).mean(axis=1)
    after = theta + learning_rate * gradient
    return Update(theta, probs, actions, earned, baseline, advantages, gradient, after, softmax(after))


def sample_actions(probs: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The actions (S, B) whose share of the unit interval holds the numbers (S, B), for policies (S, K)."""
    below = probs.cumsum(axis=1)[:, None, :] <= uniform[:, :, None]
    return np.asarray(below.sum(axis=2).clip(max=probs.shape[1] - 1))


def softmax(theta: np.ndarray) -> np.ndarray:
    """Probabilities of the actions, over the last axis."""
    shifted = np.exp(theta - theta.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def log_prob_gradient(probs: np.ndarray, actions: np.ndarray | int) -> np.ndarray:
    """∇θ log π(action) of a softmax policy, over the last axis: 1 at the action, minus the probabilities."""
    return np.asarray(np.eye(probs.shape[-1])[actions] - probs)
