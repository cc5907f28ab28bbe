"""REINFORCE on the tokens of a language model. READ it from top to bottom; the command is `course.policy.train`.

A step draws prompts from the train split, samples completions from the policy *as it is now*, scores them, takes a
baseline off each reward, and makes every token of a sample more or less likely by the same advantage (Williams 1992):

    loss = - mean over samples of  A · Σ_t log π(token_t | prompt, tokens before)

With `beta` the reward of a sample is lowered by beta times its log π - log π0, the leash to where it started. Every few
steps the policy is measured on dev with fresh samples, by the strict scorer and by the rubric it is trained on.

What it simplifies: one update for each batch, so no importance ratios and no clipping of them; no critic. The random
numbers of step s depend on the seed and s alone, so a run that was stopped goes on where it was, to the same end.

Shapes: B samples (`samples_per_prompt` of each prompt, prompt by prompt), N new tokens.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.command_line import option
from course.core.datasets import Dataset, Example
from course.core.files import InputError
from course.core.scoring import SCORERS, STRICT, scorer_named
from course.policy.core.kl import k1, kl_from_reference
from course.policy.core.model import Policy
from course.policy.core.resume import load_state, save_state
from course.policy.core.rollouts import Rollouts, distinct, logprobs, merge_duplicates, roll_out
from course.policy.core.sampling import load_checkpoint, rng_for
from course.score import score

BASELINES = ("none", "batch", "prompt")
MAX_GRAD_NORM = 1.0  # largest norm of the gradient
SHOWN = 3  # completions kept at each measurement
PATIENCE = 8  # steps in a row without any reward, after which there is nothing left to learn from

Show = Callable[["State", bool], None]
Extra = Callable[[Policy, int], dict[str, Any]]


class DivergedError(ArithmeticError):
    """The loss or its gradient is not a finite number any more."""


class CollapsedError(ArithmeticError):
    """No sample has earned anything for many steps: there is nothing left to learn from."""


@dataclass(frozen=True)
class Settings:
    """All that decides how a policy learns, but for the files it starts from."""

    rubric: str = option(STRICT, "what is rewarded", choices=SCORERS)
    beta: float = option(0.0, "the leash: penalty on log π - log π0", at_least=0)
    baseline: str = option("prompt", "what is taken off a reward", choices=BASELINES)
    reward_flip_rate: float = option(0.0, "share of rewards r that are turned into 1 - r", at_least=0, at_most=1)
    steps: int = option(40, "updates of the policy", at_least=1)
    prompts_per_step: int = option(32, "prompts for each step", at_least=1)
    samples_per_prompt: int = option(8, "samples of each prompt", at_least=1)
    learning_rate: float = option(5e-4, "of Adam", above=0)
    measure_every: int = option(8, "steps from one measurement on dev to the next", at_least=1)
    seed: int = option(0, "of every random number", at_least=0)

    def check(self) -> None:
        """Refuse settings that mean nothing together. Raises InputError."""
        if self.baseline == "prompt" and self.samples_per_prompt < 2:
            raise InputError("--samples-per-prompt", "the mean of a prompt's own samples needs two or more of them")


@dataclass(frozen=True)
class ScoredCompletion:
    """One completion and what it earns: by the strict scorer, and by the rubric of the training."""

    example: Example
    text: str
    strict: float
    proxy: float
    code: str  # why the strict scorer refused it, or `passed`


def score_completions(examples: Sequence[Example], texts: Sequence[str], rubric: str) -> list[ScoredCompletion]:
    """Completions with their rewards: as many for each example, those of the first example first."""
    scorer, samples = scorer_named(rubric), len(texts) // len(examples)
    scored = []
    for place, text in enumerate(texts):
        example = examples[place // samples]
        strict, proxy = score(example, text), scorer(example, text)
        code = strict["details"]["code"] or "passed"
        scored.append(ScoredCompletion(example, text, strict["reward"], proxy["reward"], code))
    return scored


def advantages(rewards: Tensor, baseline: str, samples: int) -> Tensor:
    """Rewards (B,) less their baseline: nothing, the mean of the batch, or the mean of the prompt's own samples."""
    if baseline == "none":
        return rewards
    if baseline == "batch":
        return rewards - rewards.mean()
    by_prompt = rewards.view(-1, samples)
    return (by_prompt - by_prompt.mean(dim=1, keepdim=True)).flatten()


def loss_of(log_policy: Tensor, advantage: Tensor, samples: int) -> Tensor:
    """- mean over `samples` samples of A · Σ_t log π, of which idle ones may be left out: (B, N) and (B,) in."""
    return -(advantage * log_policy.sum(dim=1)).sum() / samples


def leash_penalty(policy: Policy, reference: Policy, rollouts: Rollouts, beta: float) -> Tensor:
    """beta · (log π - log π0) of each sample, (B,): what the leash takes off its reward."""
    firsts, of_sample = distinct(rollouts)
    different = rollouts.rows(firsts)
    with torch.no_grad():
        return beta * k1(logprobs(policy, different), logprobs(reference, different)).sum(dim=1)[of_sample]


def gradient_step(policy: Policy, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """New weights from a loss. Returns the gradient's norm before clipping. Raises DivergedError."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), MAX_GRAD_NORM).item()
    if not (math.isfinite(loss.item()) and math.isfinite(norm)):
        raise DivergedError(f"the loss is {loss.item()}, the gradient's norm {norm}")
    optimizer.step()
    return norm


def prompts_of_step(
    train: Sequence[Example], settings: Settings, step: int
) -> tuple[list[Example], np.random.Generator]:
    """The prompts that a step draws, and the random numbers from which its samples come next."""
    rng = rng_for(settings.seed, "step", step)
    return [train[i] for i in rng.choice(len(train), size=settings.prompts_per_step, replace=False)], rng


def train_step(
    policy: Policy,
    reference: Policy,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    train: Sequence[Example],
    settings: Settings,
    step: int,
) -> dict[str, float]:
    """One step, from fresh samples to new weights. Returns what it saw. Raises DivergedError for a NaN."""
    # 1. Sample completions from the policy as it is now.
    examples, rng = prompts_of_step(train, settings, step)
    rollouts = roll_out(policy, tokenizer, examples, settings.samples_per_prompt, rng)

    # 2. Score them. (Some rewards may be flipped, and a leash may take something off.)
    earned = torch.tensor([row.proxy for row in score_completions(examples, rollouts.texts, settings.rubric)])
    flipped = torch.from_numpy(rng_for(settings.seed, "noise", step).random(len(earned)) < settings.reward_flip_rate)
    penalty = leash_penalty(policy, reference, rollouts, settings.beta) if settings.beta else torch.zeros(len(earned))
    rewards = torch.where(flipped, 1 - earned, earned) - penalty

    # 3. Better or worse than expected?
    advantage = advantages(rewards, settings.baseline, settings.samples_per_prompt)

    # 4. Push up what was better, push down what was worse.
    norm = 0.0
    merged, weight = merge_duplicates(rollouts, advantage)
    if len(weight):
        norm = gradient_step(policy, optimizer, loss_of(logprobs(policy, merged), weight, len(earned)))
    return {
        "step": step,
        "reward": earned.mean().item(),
        "kl_penalty": penalty.mean().item(),
        "nonzero_advantages": int((advantage != 0).sum()),
        "gradient_norm": norm,
    }


def measure(
    policy: Policy, reference: Policy, tokenizer: Tokenizer, dataset: Dataset, rubric: str, seed: int, step: int
) -> dict[str, Any]:
    """pass@1 of the policy on fresh samples, one a prompt: by the strict scorer, and by the training rubric."""
    examples = list(dataset.examples.values())
    rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(seed, dataset.split, step))
    scored = score_completions(examples, rollouts.texts, rubric)
    return {
        "step": step,
        "strict": sum(row.strict for row in scored) / len(scored),
        "proxy": sum(row.proxy for row in scored) / len(scored),
        **kl_from_reference(policy, reference, rollouts),
        "codes": dict(sorted(Counter(row.code for row in scored).items())),
        "completions": rollouts.texts[:SHOWN],
        "prompts": len(scored),
    }


@dataclass
class State:
    """Where learning is: what must be kept to go on from here."""

    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)  # a row for each step
    measured: list[dict[str, Any]] = field(default_factory=list)  # a row for each measurement on dev


@dataclass(frozen=True)
class Learned:
    """What came of learning."""

    policy: Policy
    reference: Policy
    tokenizer: Tokenizer
    state: State


def nothing_more(policy: Policy, step: int) -> dict[str, Any]:
    return {}


def learn(
    start: Path,
    train: Dataset,
    dev: Dataset,
    settings: Settings,
    state_path: Path,
    show: Show,
    extra: Extra = nothing_more,
) -> Learned:
    """The whole of learning. What is needed to go on from the last good measurement is kept at `state_path`.

    `show` is called after every step, with True when something was measured; `extra` at every measurement, for what
    an experiment wants to know besides. Raises InputError, DivergedError.
    """
    policy, tokenizer = load_checkpoint(start)
    reference, _ = load_checkpoint(start)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, fused=True)
    state = State(**(load_state(state_path, policy, optimizer) or {}))
    examples = list(train.examples.values())

    def take_measure() -> None:
        row = measure(policy, reference, tokenizer, dev, settings.rubric, settings.seed, state.step)
        state.measured.append({**row, **extra(policy, state.step)})
        if row["proxy"] > 0 or state.step == 0:  # a policy that earns nothing any more is no place to go on from
            save_state(state_path, policy, optimizer, **asdict(state))
        show(state, True)

    if not state.measured:
        take_measure()
    while state.step < settings.steps:
        began = time.perf_counter()
        try:
            row = train_step(policy, reference, optimizer, tokenizer, examples, settings, state.step + 1)
        except DivergedError as error:
            raise DivergedError(f"step {state.step + 1}: {error}") from None
        state.seconds += time.perf_counter() - began
        state.step += 1
        state.log.append(row)
        if len(state.log) >= PATIENCE and not any(row["reward"] for row in state.log[-PATIENCE:]):
            raise CollapsedError(f"step {state.step}: no sample has earned anything for {PATIENCE} steps")
        show(state, False)
        if state.step % settings.measure_every == 0 or state.step == settings.steps:
            take_measure()
    return Learned(policy, reference, tokenizer, state)
