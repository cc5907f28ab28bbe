"""REINFORCE on the tokens of a language model. READ it from top to bottom; the command is `course.policy.train`.

A step draws prompts from the train split, samples completions from the policy *as it is now*, scores them, takes a
baseline off each reward, and makes every token of a sample more or less likely by the same advantage (Williams 1992):

    loss = - mean over samples of  A · Σ_t log π(token_t | prompt, tokens before)

With `beta` the reward of a sample is lowered by beta times its log π - log π0, the leash to where it started. What
stands around the step (settings, measurements on dev, going on after a stop) is in `course/policy/core/learning.py`.

What it simplifies: one update for each batch, so no importance ratios and no clipping of them; no critic. The random
numbers of step s depend on the seed and s alone, so a run that was stopped goes on where it was, to the same end.

Shapes: B samples (`samples_per_prompt` of each prompt, prompt by prompt), N new tokens.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.datasets import Example
from course.policy.core.kl import k1
from course.policy.core.learning import DivergedError, Settings, score_completions
from course.policy.core.model import Policy
from course.policy.core.rollouts import Rollouts, distinct, logprobs, merge_duplicates, roll_out
from course.policy.core.sampling import rng_for

MAX_GRAD_NORM = 1.0  # largest norm of the gradient


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
