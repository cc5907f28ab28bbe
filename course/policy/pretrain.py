"""Pre-train π0: supervised learning on a *mixture* of answer styles, some of the answers wrong.

    python -m course.policy.pretrain

The base policy should know more than it shows. It reads problems from the train side of the wall only
(`course/core/problems.py`), and learns to answer each in one of a dozen styles, of which one, and not the
most frequent, is the style that the scorer rewards. So a sample from π0 often holds the right number in the
wrong form: there is something for selection to find and for learning to shift.

What it simplifies: a real base model gets its mixture of styles from the web; here we write it down.
The batch of step s depends on the seed and s alone, so a run that was stopped goes on where it was.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from course.core.command_line import option, parse, run_command
from course.core.display import console, progress
from course.core.paths import PI0, RUNS
from course.core.problems import Problem
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Config, Policy
from course.policy.core.pretraining_texts import texts_of_step
from course.policy.core.resume import load_state, save_state
from course.policy.core.sampling import save_checkpoint

SEED = 2026
STEPS = 3000
BATCH = 256
TOKENIZER_TEXTS = 20_000
LEARNING_RATE = 3e-3
WARM_UP = 100
WEIGHT_DECAY = 0.1
SAVE_EVERY = 100


def batch_of(tokenizer: Tokenizer, texts: list[tuple[Problem, str, str]]) -> tuple[Tensor, Tensor]:
    """Token ids (B, T), padded at the right, and for each position whether its token is to be learned."""
    end = bpe.special_id(tokenizer, bpe.END)
    rows: list[list[int]] = []
    learned: list[list[bool]] = []
    for _, prompt, completion in texts:
        before = bpe.encode_prompt(tokenizer, prompt)
        after = [*tokenizer.encode(completion).ids, end]
        rows.append(before + after)
        learned.append([False] * len(before) + [True] * len(after))
    length = max(map(len, rows))
    ids = torch.tensor([row + [end] * (length - len(row)) for row in rows])
    mask = torch.tensor([row + [False] * (length - len(row)) for row in learned])
    return ids, mask


def loss_of(policy: Policy, ids: Tensor, learned: Tensor) -> Tensor:
    """Mean negative log-probability of the completions' tokens, in nats."""
    logits = policy(ids[:, :-1])[learned[:, 1:]]
    return F.cross_entropy(logits, ids[:, 1:][learned[:, 1:]])


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to zero."""
    if step < WARM_UP:
        return LEARNING_RATE * (step + 1) / WARM_UP
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))


@dataclass(frozen=True)
class Settings:
    out: Path = option(PI0, "the checkpoint folder to write")
    state: Path = option(RUNS / "pretrain" / "state.pt", "where a stopped run goes on from")
    steps: int = option(STEPS, "updates of the policy", at_least=1)
    batch: int = option(BATCH, "texts of each step", at_least=1)
    seed: int = option(SEED, "of every random number", at_least=0)
    merged_digits: bool = option(False, "only write the tokenizer that merges digits")


def pretrain(settings: Settings, show: Callable[[float], Any] = lambda step: None) -> float:
    """Train and write the checkpoint folder. Returns the last step's loss. Goes on from `settings.state`, if there."""
    torch.manual_seed(settings.seed)
    texts = texts_of_step(settings.seed, -1, TOKENIZER_TEXTS)
    tokenizer = bpe.train(text for _, *pair in texts for text in pair)
    policy = Policy(Config(vocab_size=tokenizer.get_vocab_size()))
    decayed = [p for p in policy.parameters() if p.dim() == 2]
    others = [p for p in policy.parameters() if p.dim() != 2]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    first = (load_state(settings.state, policy, optimizer) or {"step": 0})["step"]
    loss = torch.tensor(float("nan"))
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings.steps)
        loss = loss_of(policy, *batch_of(tokenizer, texts_of_step(settings.seed, step, settings.batch)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        show(step + 1)
        if (step + 1) % SAVE_EVERY == 0:
            save_state(settings.state, policy, optimizer, step=step + 1)
    save_checkpoint(policy, tokenizer, settings.out)
    return loss.item()


def main() -> None:
    settings = parse("course.policy.pretrain", "Pre-train the policy π0.", Settings)
    if settings.merged_digits:  # the tokenizer that π0 does not have, trained on the same texts
        texts = (text for _, *pair in texts_of_step(SEED, -1, TOKENIZER_TEXTS) for text in pair)
        bpe.train(texts, digits_apart=False, vocab_size=1500).save(str(settings.out / "tokenizer.json"))
        return
    with progress("pre-training", settings.steps) as show:
        loss = pretrain(settings, show)
    console().print(f"loss of the last batch: {loss:.4f} nats a token; checkpoint in {settings.out}")


if __name__ == "__main__":
    run_command(main)
