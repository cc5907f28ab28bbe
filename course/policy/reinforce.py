"""REINFORCE on the tokens of a language model: the whole algorithm, from sampling to the new weights.

A step draws prompts from the train split, samples completions from the policy *as it is now*, scores them, takes a
baseline off each reward, and makes every token of a sample more or less likely by the same advantage (Williams 1992):

    loss = - mean over samples of  A · Σ_t log π(token_t | prompt, tokens before)

With `beta` the reward of a sample is lowered by beta times its log π - log π0, the leash to where it started. Every few
steps the policy is measured on dev with fresh samples, by the strict scorer and by the rubric it is trained on.

What it simplifies: one update for each batch, so no importance ratios and no clipping of them; no critic. What it saves
changes no gradient: samples that push nothing are left out, and equal samples of a prompt are computed once. The random
numbers of step s depend on the seed and s alone, so a run that was stopped goes on where it was, to the same end.

Shapes: B samples, N new tokens, T prompt tokens, V vocabulary.
"""

import io
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.command_line import option
from course.core.datasets import Dataset, Example
from course.core.files import InputError, write_whole
from course.core.scoring import SCORERS, STRICT, scorer_named
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Policy
from course.policy.core.sampling import (
    MAX_NEW_TOKENS,
    completion_texts,
    generate,
    left_padded,
    load_checkpoint,
    rng_for,
)
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
class Rollouts:
    """Samples of the policy, prompt by prompt: the prompt's tokens at the left, the new ones at the right."""

    ids: Tensor  # (B, T + N)
    padding: Tensor  # (B,), padding tokens at the left
    completion_mask: Tensor  # (B, N), 1.0 for each token that was chosen, the end token included; 0.0 after it
    texts: list[str]

    def rows(self, places: Sequence[int]) -> "Rollouts":
        """Some of the samples."""
        return Rollouts(
            self.ids[places],
            self.padding[places],
            self.completion_mask[places],
            [self.texts[place] for place in places],
        )


def roll_out(
    policy: Policy, tokenizer: Tokenizer, examples: Sequence[Example], samples: int, rng: np.random.Generator
) -> Rollouts:
    """Samples at temperature 1: so many for each example, one example after the other."""
    end = bpe.special_id(tokenizer, bpe.END)
    prompts = [bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples]
    uniform = torch.from_numpy(rng.random((len(prompts) * samples, MAX_NEW_TOKENS)))
    said = generate(policy, prompts, uniform, 1.0, 1.0, end)
    ids, padding = (part.repeat_interleave(samples, dim=0) for part in left_padded(prompts, end))
    ends = (said == end).int().cumsum(1)
    completion_mask = ((ends == 0) | ((ends == 1) & (said == end))).float()
    return Rollouts(torch.cat([ids, said], dim=1), padding, completion_mask, completion_texts(tokenizer, said, end))


def next_token_logprobs(policy: Policy, rollouts: Rollouts) -> Tensor:
    """log π(· | prompt, tokens before) at each new token, (B, N, V)."""
    n = rollouts.completion_mask.shape[1]
    logits: Tensor = policy(rollouts.ids, rollouts.padding, last=n + 1)[:, :-1]
    return logits.log_softmax(-1)


def chosen_logprobs(logs: Tensor, rollouts: Rollouts) -> Tensor:
    """Of `next_token_logprobs`, those of the tokens that were chosen, (B, N); 0 after the end token."""
    n = rollouts.completion_mask.shape[1]
    return logs.gather(-1, rollouts.ids[:, -n:, None]).squeeze(-1) * rollouts.completion_mask


def logprobs(policy: Policy, rollouts: Rollouts) -> Tensor:
    """log π(token_t | prompt, tokens before), (B, N), 0 after the end token."""
    return chosen_logprobs(next_token_logprobs(policy, rollouts), rollouts)


def k1(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """log π - log π_ref of sampled tokens: unbiased for KL(π ‖ π_ref), and may be negative (Schulman 2020)."""
    return log_policy - log_reference


def k3(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """exp(log π_ref - log π) - (log π_ref - log π) - 1: unbiased too, and never negative (Schulman 2020).

    Quiet while the policies are close. Where the policy has left behind what the reference liked, a rare token's
    exp() outweighs all the others, and the mean of few samples says little.
    """
    ratio = log_reference - log_policy
    return ratio.exp() - ratio - 1


def kl_by_token(logs: Tensor, reference_logs: Tensor) -> Tensor:
    """KL(π ‖ π_ref) of the next token, summed exactly over the vocabulary: (B, N, V) twice to (B, N).

    Its sum over a sampled completion is k1 with the choice of each token averaged out, so unbiased and less noisy
    (Rao-Blackwell; Amini et al. 2025).
    """
    return (logs.exp() * (logs - reference_logs)).sum(-1)


def kl_from_reference(policy: Policy, reference: Policy, rollouts: Rollouts) -> dict[str, float]:
    """How far the policy is from its reference, nats a completion, by three unbiased estimates on its own samples."""
    with torch.no_grad():
        ours, theirs = next_token_logprobs(policy, rollouts), next_token_logprobs(reference, rollouts)
    chosen, in_reference = chosen_logprobs(ours, rollouts), chosen_logprobs(theirs, rollouts)
    found = {"kl": kl_by_token(ours, theirs), "k1": k1(chosen, in_reference), "k3": k3(chosen, in_reference)}
    return {name: (value * rollouts.completion_mask).sum(dim=1).mean().item() for name, value in found.items()}


def advantages(rewards: Tensor, baseline: str, samples: int) -> Tensor:
    """Rewards (B,) less their baseline: nothing, the mean of the batch, or the mean of the prompt's own samples."""
    if baseline == "none":
        return rewards
    if baseline == "batch":
        return rewards - rewards.mean()
    by_prompt = rewards.view(-1, samples)
    return (by_prompt - by_prompt.mean(dim=1, keepdim=True)).flatten()


def loss_of(log_policy: Tensor, advantage: Tensor) -> Tensor:
    """- mean over samples of A · Σ_t log π. log_policy: (B, N); advantage: (B,)."""
    loss: Tensor = -(advantage * log_policy.sum(dim=1)).mean()
    return loss


def distinct(rollouts: Rollouts, samples: int) -> tuple[list[int], Tensor]:
    """Where each different sample of each prompt first stands, and for every sample (B,) which of those it equals."""
    seen: dict[tuple[int, tuple[int, ...]], int] = {}
    said = rollouts.ids[:, -rollouts.completion_mask.shape[1] :].tolist()
    of_sample = [seen.setdefault((place // samples, tuple(row)), len(seen)) for place, row in enumerate(said)]
    return [of_sample.index(number) for number in range(len(seen))], torch.tensor(of_sample)


def gradient_step(
    policy: Policy, optimizer: torch.optim.Optimizer, rollouts: Rollouts, weight: Tensor, samples: int
) -> float:
    """New weights from rollouts, each with its weight (the advantages of all the samples it stands for).

    `samples` is how many samples the mean is over. Returns the gradient's norm before clipping. Raises DivergedError.
    """
    pushing = weight.nonzero().flatten().tolist()
    optimizer.zero_grad()
    if not pushing:
        return 0.0
    loss = loss_of(logprobs(policy, rollouts.rows(pushing)), weight[pushing]) * (len(pushing) / samples)
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
    scorer, samples = scorer_named(settings.rubric), settings.samples_per_prompt
    examples, rng = prompts_of_step(train, settings, step)
    rollouts = roll_out(policy, tokenizer, examples, samples, rng)
    earned = [scorer(examples[place // samples], text)["reward"] for place, text in enumerate(rollouts.texts)]
    flipped = torch.from_numpy(rng_for(settings.seed, "noise", step).random(len(earned)) < settings.reward_flip_rate)
    rewards = torch.tensor(earned)
    rewards = torch.where(flipped, 1 - rewards, rewards)

    firsts, of_sample = distinct(rollouts, samples)
    different = rollouts.rows(firsts)
    penalty = torch.zeros(len(firsts))
    if settings.beta:
        with torch.no_grad():
            penalty = settings.beta * k1(logprobs(policy, different), logprobs(reference, different)).sum(dim=1)
    advantage = advantages(rewards - penalty[of_sample], settings.baseline, samples)
    weight = torch.zeros(len(firsts)).index_add(0, of_sample, advantage)
    norm = gradient_step(policy, optimizer, different, weight, len(earned))
    return {
        "step": step,
        "reward": sum(earned) / len(earned),
        "kl_penalty": penalty[of_sample].mean().item(),
        "nonzero_advantages": int((advantage != 0).sum()),
        "gradient_norm": norm,
    }


@dataclass(frozen=True)
class ScoredCompletion:
    """One completion and what it earns: by the strict scorer, and by the rubric of the training."""

    example: Example
    text: str
    strict: float
    proxy: float
    code: str  # why the strict scorer refused it, or `passed`


def score_completions(examples: Sequence[Example], texts: Sequence[str], rubric: str) -> list[ScoredCompletion]:
    """Completions with their rewards; as many texts as examples, or so many for each, one example after the other."""
    scorer, samples = scorer_named(rubric), len(texts) // len(examples)
    found = []
    for place, text in enumerate(texts):
        example = examples[place // samples]
        strict = score(example, text)
        proxy = scorer(example, text)["reward"]
        found.append(ScoredCompletion(example, text, strict["reward"], proxy, strict["details"]["code"] or "passed"))
    return found


def measure(
    policy: Policy, reference: Policy, tokenizer: Tokenizer, dataset: Dataset, rubric: str, seed: int, step: int
) -> dict[str, Any]:
    """pass@1 of the policy on fresh samples, one a prompt: by the strict scorer, and by the training rubric."""
    examples = list(dataset.examples.values())
    rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(seed, dataset.split, step))
    said = score_completions(examples, rollouts.texts, rubric)
    return {
        "step": step,
        "strict": sum(one.strict for one in said) / len(said),
        "proxy": sum(one.proxy for one in said) / len(said),
        **kl_from_reference(policy, reference, rollouts),
        "codes": dict(sorted(Counter(one.code for one in said).items())),
        "completions": rollouts.texts[:SHOWN],
        "prompts": len(said),
    }


@dataclass
class State:
    """Where learning is: what must be kept to go on from here."""

    step: int
    seconds: float
    log: list[dict[str, float]]
    measured: list[dict[str, Any]]


@dataclass(frozen=True)
class Learned:
    """What came of learning."""

    policy: Policy
    reference: Policy
    tokenizer: Tokenizer
    state: State


def save_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Keep the last good weights and all that was measured, whole or not at all. Raises InputError."""
    buffer = io.BytesIO()
    torch.save({"policy": policy.state_dict(), "optimizer": optimizer.state_dict(), **asdict(state)}, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> State:
    """The state of a run that was stopped, its weights put in place; a new one if there is none. Raises InputError."""
    if not path.exists():
        return State(0, 0.0, [], [])
    try:
        kept = torch.load(path, weights_only=True)
        policy.load_state_dict(kept.pop("policy"))
        optimizer.load_state_dict(kept.pop("optimizer"))
        return State(**kept)
    except Exception as error:  # torch raises whatever it likes on a damaged file
        raise InputError(path, f"not a state to go on from; delete it to begin anew: {error}") from None


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
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    state = load_state(state_path, policy, optimizer)
    examples = list(train.examples.values())

    def take_measure() -> None:
        row = measure(policy, reference, tokenizer, dev, settings.rubric, settings.seed, state.step)
        state.measured.append({**row, **extra(policy, state.step)})
        if row["proxy"] > 0 or state.step == 0:  # a policy that earns nothing any more is no place to go on from
            save_state(state_path, policy, optimizer, state)
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
