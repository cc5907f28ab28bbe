"""The bandit of the demos, and the one loop that learns on it.

Real completions of one prompt are the actions, `score` gives the reward, and the policy is a softmax over one
parameter for each action: the smallest policy there is. `reinforce` trains S such policies side by side, each with its
own seed (S = 1 in most demos).

Shapes: S learners, K actions, a batch of B samples for each step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        if row.completion is not None:
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
        # The action whose share of the unit interval holds the random number.
        below = softmax(theta).cumsum(axis=1)[:, None, :] <= uniform[:, step, :, None]
        actions = below.sum(axis=2).clip(max=len(rewards) - 1)
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


@dataclass(frozen=True)
class Step:
    """One sampled action, and what its step did; lists have one entry for each action."""

    step: int
    theta: list[float]
    probs: list[float]
    action: int
    completion: str
    prob: float
    reward: float
    baseline: float
    advantage: float
    gradient: list[float]
    theta_after: list[float]
    prob_after: float
    probs_after: list[float]

    def row(self, fields: Sequence[str]) -> dict[str, Any]:
        """The row of a log that has these fields."""
        return {name: getattr(self, name) for name in fields}


def learn(
    bandit: Bandit, steps: int, learning_rate: float, seed: int, batch: int = 1, baseline: str = "running"
) -> list[Step]:
    """One learner's log: a row for each sample, so a batch of n samples gives n rows of the same step."""
    return [
        Step(
            step=number,
            theta=floats(update.theta[0]),
            probs=floats(update.probs[0]),
            action=int(action),
            completion=bandit.actions[action],
            prob=float(update.probs[0, action]),
            reward=float(reward),
            baseline=float(update.baseline[0]),
            advantage=float(advantage),
            gradient=floats(update.gradient[0]),
            theta_after=floats(update.theta_after[0]),
            prob_after=float(update.probs_after[0, action]),
            probs_after=floats(update.probs_after[0]),
        )
        for number, update in enumerate(reinforce(bandit.rewards, steps, learning_rate, [seed], batch, baseline), 1)
        for action, reward, advantage in zip(update.actions[0], update.rewards[0], update.advantages[0], strict=True)
    ]


def floats(values: np.ndarray) -> list[float]:
    return [float(value) + 0.0 for value in values]  # a minus zero is a zero


def sampled_gradients(
    theta: np.ndarray, rewards: np.ndarray, baseline: str, batch: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Many independent estimates (draws, K) of the gradient at one policy theta (K,), each from a batch of samples.

    The running baseline is a moving average of past rewards, here a settled one of the same policy; it is independent
    of the batch, so the estimate stays unbiased. The batch mean holds each sample's own reward, which shrinks the
    estimate by (n - 1) / n exactly.
    """
    probs = softmax(theta)
    actions = rng.choice(len(probs), size=(draws, batch), p=probs)
    if baseline == "none":
        b = np.zeros(draws)
    elif baseline == "running":
        past = rewards[rng.choice(len(probs), size=(draws, 50), p=probs)]
        weights = RUNNING_RATE * (1 - RUNNING_RATE) ** np.arange(50)
        b = past @ (weights / weights.sum())
    else:
        b = rewards[actions].mean(axis=1)
    return take_step(np.tile(theta, (draws, 1)), rewards, actions, b, learning_rate=0.0).gradient


def softmax(theta: np.ndarray) -> np.ndarray:
    """Probabilities of the actions, over the last axis."""
    shifted = np.exp(theta - theta.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def log_prob_gradient(probs: np.ndarray, actions: np.ndarray | int) -> np.ndarray:
    """∇θ log π(action) of a softmax policy, over the last axis: 1 at the action, minus the probabilities."""
    return np.asarray(np.eye(probs.shape[-1])[actions] - probs)
