"""How a policy speaks: tokens drawn one after another, from random numbers that have a name."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.files import InputError, reason_of, sha256_file
from course.core.manifest import checkpoint_identity
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Places, Policy

MAX_NEW_TOKENS = 16
BATCH = 256
Choose = Callable[[Tensor, Tensor], Tensor]


def rng_for(*parts: object) -> np.random.Generator:
    """Random numbers of their own for everything that has a name."""
    key = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(key[:16], "big")))


def uniform_numbers(seed: int, example_id: str, sample: int, count: int) -> np.ndarray:
    """The random numbers of one completion, one for each token, in [0, 1)."""
    return rng_for(seed, sample, example_id).random(count)


@dataclass(frozen=True)
class Prompts:
    """P prompts as rows of ids, padded at the right to T tokens."""

    ids: Tensor  # (P, T)
    lengths: Tensor  # (P,)

    @classmethod
    def of(cls, rows: Sequence[list[int]]) -> "Prompts":
        length = max(map(len, rows))
        return cls(torch.tensor([row + [0] * (length - len(row)) for row in rows]), torch.tensor([*map(len, rows)]))

    def places_with(self, samples: int, tokens: int, real: Tensor | None = None) -> Places:
        """The places of the prompts and, behind each, of S samples of N tokens, as `Places` of T + N * S.

        Token t of sample s stands at T + t * S + s; it sees its prompt and the tokens of its own sample up to itself.
        `real` (P, S, N) says which of them hold a token; without it only the prompts do.
        """
        (p, t), n = self.ids.shape, samples * tokens
        place = torch.arange(t + n)
        in_prompt = place < t
        sample, step = (place - t) % samples, (place - t) // samples
        is_real = torch.zeros(p, t + n, dtype=torch.bool)
        is_real[:, :t] = place[:t] < self.lengths[:, None]
        if real is not None:
            is_real[:, t:] = real.transpose(1, 2).flatten(1)
        earlier = place <= place[:, None]
        same = in_prompt | (~in_prompt[:, None] & (sample == sample[:, None]))
        sees = (earlier & same & (is_real | ~in_prompt)[:, None]) | (place == place[:, None])
        position = torch.where(in_prompt, place, self.lengths[:, None] + step)
        of_token = is_real.flatten().nonzero().squeeze(1)
        return Places(p, t + n, of_token, position.flatten()[of_token], sees[:, None])


def sample_token(logits: Tensor, uniform: Tensor) -> Tensor:
    """The next token of each row at temperature 1: the inverse of its cumulative distribution.

    logits: (B, V); uniform: (B,) in [0, 1). Returns ids (B,).
    """
    cumulative = logits.double().softmax(-1).cumsum(-1)
    return (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1).clamp(max=logits.shape[-1] - 1)


def sample_nucleus(logits: Tensor, uniform: Tensor, temperature: float, top_p: float) -> Tensor:
    """The next token of each row, at any temperature (0 is greedy) and top_p. Shapes as `sample_token`.

    Draws from the most probable tokens, as many as it takes to reach `top_p` (nucleus sampling, Holtzman et al. 2020).
    """
    if temperature == 0:
        return logits.argmax(-1)
    p, order = (logits.double() / temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    kept = p * (p.cumsum(-1) - p < top_p)
    cumulative = kept.cumsum(-1)
    place = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, place.clamp(max=p.shape[-1] - 1)).squeeze(-1)


@torch.no_grad()
def generate(policy: Policy, prompts: Prompts, uniform: Tensor, end_id: int, choose: Choose = sample_token) -> Tensor:
    """Continue P prompts by up to N tokens each. Returns ids (B, N); after its end token a row holds end tokens only.

    B, the rows of `uniform` (B, N), is S times P: the samples of the first prompt, then those of the second, … A prompt
    is read once for all its samples, and a sample that has ended is computed no further.
    """
    (p, t), (rows, steps) = prompts.ids.shape, uniform.shape
    samples = rows // p
    sees, cache = prompts.places_with(samples, steps).sees, policy.new_cache(p, t + steps * samples)
    reading = replace(prompts.places_with(samples, 0), cache=cache[..., :t, :])
    hidden = policy.hidden(prompts.ids.flatten()[reading.of_token], reading)
    logits = policy.logits(hidden[prompts.lengths.cumsum(0) - 1]).repeat_interleave(samples, dim=0)
    chosen, going = torch.full((rows, steps), end_id), torch.arange(rows)
    for step in range(steps):
        token = choose(logits, uniform[going, step])
        chosen[going, step] = token
        going, token = going[token != end_id], token[token != end_id]
        if len(going) == 0 or step == steps - 1:
            break
        first, last = t + step * samples, t + (step + 1) * samples
        position = prompts.lengths[going // samples] + step
        places = Places(p, samples, going, position, sees[:, :, first:last, :last], cache[..., :last, :])
        logits = policy.logits(policy.hidden(token, places))
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
    show: Callable[[float], object] = lambda done: None,
) -> list[str]:
    """One completion for each (id, prompt, sample), in their order."""
    end_id = bpe.special_id(tokenizer, bpe.END)
    prompts = [bpe.encode_prompt(tokenizer, prompt) for _, prompt, _ in items]
    choose = partial(sample_nucleus, temperature=temperature, top_p=top_p)
    order = sorted(range(len(items)), key=lambda i: len(prompts[i]))  # like lengths together: little padding
    texts = [""] * len(items)
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        numbers = np.stack([uniform_numbers(seed, items[i][0], items[i][2], MAX_NEW_TOKENS) for i in batch])
        ids = generate(policy, Prompts.of([prompts[i] for i in batch]), torch.from_numpy(numbers), end_id, choose)
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


def save_checkpoint(policy: Policy, tokenizer: Tokenizer, folder: Path) -> str:
    """Write a policy and its tokenizer as a checkpoint folder. Returns its hash."""
    policy.save(folder, bpe.special_id(tokenizer, bpe.END))
    tokenizer.save(str(folder / "tokenizer.json"))
    return checkpoint_sha256(folder)


def checkpoint_sha256(folder: Path) -> str:
    """Identifies what is sampled: the network's shape and its weights."""
    return checkpoint_identity(sha256_file(folder / "config.json"), sha256_file(folder / "model.safetensors"))
