"""Learning, watched: the settings, the loop over steps, measurements on dev, and going on where it was stopped.

The step itself is an argument: `course/policy/reinforce.py` holds it.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from course.core.command_line import option
from course.core.datasets import Dataset, Example
from course.core.files import InputError
from course.core.scoring import PATCHED, SCORERS, STRICT, read_patch, scorer_named
from course.policy.core.kl import kl_from_reference
from course.policy.core.model import Policy
from course.policy.core.resume import load_state, save_state
from course.policy.core.rollouts import roll_out
from course.policy.core.sampling import load_checkpoint, rng_for
from course.score import score

BASELINES = ("none", "batch", "prompt")
SHOWN = 3  # completions kept at each measurement
PATIENCE = 8  # steps in a row without any reward, after which there is nothing left to learn from

Show = Callable[["State", bool], None]
Extra = Callable[[Policy, int], dict[str, Any]]
# (policy, reference, optimizer, tokenizer, train, settings, step) -> what the step saw; `reinforce.train_step` is one
TrainStep = Callable[
    [Policy, Policy, torch.optim.Optimizer, Tokenizer, Sequence[Example], "Settings", int], dict[str, float]
]


class DivergedError(ArithmeticError):
    """The loss or its gradient is not a finite number any more."""


class CollapsedError(ArithmeticError):
    """No sample has earned anything for many steps: there is nothing left to learn from."""


@dataclass(frozen=True)
class Settings:
    """All that decides how a policy learns, but for the files it starts from."""

    rubric: str = option(STRICT, "what is rewarded; patched is yours, in notes/patch.py", choices=(*SCORERS, PATCHED))
    beta: float = option(0.0, "the leash: penalty on log π - log π0", at_least=0)
    baseline: str = option("prompt", "what is taken off a reward", choices=BASELINES)
    reward_flip_rate: float = option(0.0, "share of rewards r that are turned into 1 - r", at_least=0, at_most=1)
    steps: int = option(40, "updates of the policy", at_least=1)
    prompts_per_step: int = option(32, "prompts for each step", at_least=1)
    samples_per_prompt: int = option(8, "samples of each prompt", at_least=1)
    learning_rate: float = option(5e-4, "of Adam", above=0)
    measure_every: int = option(8, "steps from one measurement on dev to the next", at_least=1)
    seed: int = option(0, "of every random number", at_least=0)

    def check(self) -> "Settings":
        """These settings, with the student's rubric read. Refuses what means nothing together: raises InputError."""
        if self.baseline == "prompt" and self.samples_per_prompt < 2:
            raise InputError("--samples-per-prompt", "the mean of a prompt's own samples needs two or more of them")
        return replace(self, rubric=read_patch()) if self.rubric == PATCHED else self


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


def counted(completions: Sequence[ScoredCompletion]) -> dict[str, int]:
    """How many completions have each code."""
    return dict(sorted(Counter(completion.code for completion in completions).items()))


def measure(
    policy: Policy, reference: Policy, tokenizer: Tokenizer, dataset: Dataset, rubric: str, seed: int, step: int
) -> tuple[dict[str, Any], list[ScoredCompletion]]:
    """pass@1 of the policy on fresh samples, one a prompt: by the strict scorer, and by the rubric. And the samples."""
    examples = list(dataset.examples.values())
    rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(seed, dataset.split, step))
    scored = score_completions(examples, rollouts.texts, rubric)
    row = {
        "step": step,
        "strict": sum(row.strict for row in scored) / len(scored),
        "proxy": sum(row.proxy for row in scored) / len(scored),
        **kl_from_reference(policy, reference, rollouts),
        "codes": counted(scored),
        "completions": rollouts.texts[:SHOWN],
        "prompts": len(scored),
    }
    return row, scored


@dataclass
class State:
    """Where learning is: what must be kept to go on from here."""

    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)  # a row for each step
    measured: list[dict[str, Any]] = field(default_factory=list)  # a row for each measurement on dev
    newest: list[ScoredCompletion] = field(default_factory=list)  # of the last measurement; not kept


@dataclass(frozen=True)
class Learned:
    """What came of learning."""

    policy: Policy
    reference: Policy
    tokenizer: Tokenizer
    state: State


def learn(
    train_step: TrainStep,
    start: Path,
    train: Dataset,
    dev: Dataset,
    settings: Settings,
    state_path: Path,
    show: Show,
    extra: Extra = lambda policy, step: {},
) -> Learned:
    """Step after step, measured on dev along the way; the last good measurement is kept at `state_path` to go on from.

    `show` is called after every step, with True when something was measured; `extra` at every measurement, for what
    an experiment wants to know besides. Raises InputError, DivergedError, CollapsedError.
    """
    policy, tokenizer = load_checkpoint(start)
    reference, _ = load_checkpoint(start)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, fused=True)
    state = State(**(load_state(state_path, policy, optimizer) or {}))
    examples = list(train.examples.values())

    def take_measure() -> None:
        how = settings.rubric, settings.seed, state.step
        row, state.newest = measure(policy, reference, tokenizer, dev, *how)
        state.measured.append({**row, **extra(policy, state.step)})
        if row["proxy"] > 0 or state.step == 0:  # a policy that earns nothing any more is no place to go on from
            save_state(state_path, policy, optimizer, **{**vars(state), "newest": []})
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
