"""How a policy speaks: tokens drawn one after another, from random numbers that have a name.

Every completion has a random stream of its own, derived from the seed, the example's id and the sample's number, so a
completion does not depend on what else is sampled beside it, and the same seed gives the same bytes.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.files import InputError, reason_of, sha256, sha256_file
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Policy

MAX_NEW_TOKENS = 16
BATCH = 256


def rng_for(*parts: object) -> np.random.Generator:
    """Random numbers of their own for everything that has a name."""
    key = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(key[:16], "big")))


def uniform_numbers(seed: int, example_id: str, sample: int, count: int) -> np.ndarray:
    """The random numbers of one completion, one for each token, in [0, 1)."""
    return rng_for(seed, sample, example_id).random(count)


def left_padded(rows: Sequence[list[int]], padding_id: int) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with the rows flush right, and how many padding tokens each row got (B,)."""
    length = max(map(len, rows))
    ids = torch.tensor([[padding_id] * (length - len(row)) + row for row in rows])
    return ids, torch.tensor([length - len(row) for row in rows])


def sample_token(logits: Tensor, temperature: float, top_p: float, uniform: Tensor) -> Tensor:
    """The next token of each row. logits: (B, V); uniform: (B,) in [0, 1). Returns ids (B,).

    Temperature 0 is greedy. Otherwise the inverse of the cumulative distribution over the most probable
    tokens, as many as it takes to reach `top_p` (nucleus sampling, Holtzman et al. 2020).
    """
    if temperature == 0:
        return logits.argmax(-1)
    p, order = (logits.double() / temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    kept = p * (p.cumsum(-1) - p < top_p)
    cumulative = kept.cumsum(-1)
    place = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, place.clamp(max=p.shape[-1] - 1)).squeeze(-1)


@torch.no_grad()
def generate(
    policy: Policy,
    prompts: Sequence[list[int]],
    uniform: Tensor,
    temperature: float,
    top_p: float,
    end_id: int,
) -> Tensor:
    """Continue each prompt by as many tokens as `uniform` (B, N) has columns. Returns ids (B, N).

    B may be a multiple of the number of prompts: so many samples of each, one prompt after the other. After its
    end token a row holds end tokens only. With a cache each step computes one new token a row, and the samples of
    a prompt share the reading of it.
    """
    ids, padding = left_padded(prompts, end_id)
    length = ids.shape[1]
    rows, steps = uniform.shape
    samples = rows // len(prompts)
    cache = policy.new_cache(len(prompts), length + steps)
    chosen = torch.full((rows, steps), end_id)
    ended = torch.zeros(rows, dtype=torch.bool)
    logits = policy(ids, padding, 0, cache, last=1)[:, -1].repeat_interleave(samples, dim=0)
    cache, padding = [layer.repeat_interleave(samples, dim=1) for layer in cache], padding.repeat_interleave(samples)
    for step in range(steps):
        token = sample_token(logits, temperature, top_p, uniform[:, step])
        chosen[:, step] = torch.where(ended, end_id, token)
        ended |= token == end_id
        if ended.all() or step == steps - 1:
            break
        logits = policy(chosen[:, step : step + 1], padding, length + step, cache)[:, -1]
    return chosen


def completion_texts(tokenizer: Tokenizer, ids: Tensor, end_id: int) -> list[str]:
    """What the policy said: the tokens before the end token, as text, special ones in plain sight."""
    said = [row[: row.index(end_id)] if end_id in row else row for row in ids.tolist()]
    return [tokenizer.decode(row, skip_special_tokens=False) for row in said]


def sample_completions(
    policy: Policy,
    tokenizer: Tokenizer,
    items: Sequence[tuple[str, str, int]],
    temperature: float,
    top_p: float,
    seed: int,
    max_new_tokens: int = MAX_NEW_TOKENS,
    show: Callable[[float], object] = lambda done: None,
) -> list[str]:
    """One completion for each (id, prompt, sample), in their order."""
    end_id = bpe.special_id(tokenizer, bpe.END)
    prompts = [bpe.encode_prompt(tokenizer, prompt) for _, prompt, _ in items]
    order = sorted(range(len(items)), key=lambda i: len(prompts[i]))  # like lengths together: little padding
    texts = [""] * len(items)
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        numbers = np.stack([uniform_numbers(seed, items[i][0], items[i][2], max_new_tokens) for i in batch])
        ids = generate(policy, [prompts[i] for i in batch], torch.from_numpy(numbers), temperature, top_p, end_id)
        for i, text in zip(batch, completion_texts(tokenizer, ids, end_id), strict=True):
            texts[i] = text
        show(first + len(batch))
    return texts


@torch.no_grad()
def token_logprobs(policy: Policy, tokenizer: Tokenizer, prompt: str, completion: str) -> list[float]:
    """log π(token | prompt and tokens before), in nats, for each token of the completion and its end token."""
    before = bpe.encode_prompt(tokenizer, prompt)
    said = [*tokenizer.encode(completion).ids, bpe.special_id(tokenizer, bpe.END)]
    logs = policy(torch.tensor([before + said]))[0].log_softmax(-1)
    return [float(logs[len(before) + place - 1, token]) for place, token in enumerate(said)]


def load_checkpoint(folder: Path) -> tuple[Policy, Tokenizer]:
    """The policy and the tokenizer of a checkpoint folder. Raises InputError for anything but a whole one."""
    try:
        return Policy.load(folder), bpe.load(folder)
    except OSError as error:
        raise InputError(folder, f"not a checkpoint: {reason_of(error)}") from None
    except Exception as error:  # the readers of the three files raise whatever they like on a damaged one
        raise InputError(folder, f"not a checkpoint: {error}") from None


def checkpoint_sha256(folder: Path) -> str:
    """Identifies what is sampled: the network's shape and its weights."""
    return sha256("".join(sha256_file(folder / name) for name in ("config.json", "model.safetensors")).encode())
