"""The learner's step as it was before 2026-11-24, kept to be timed beside today's: the same work, twice as slow.

Every token is drawn by sorting the vocabulary, samples that have ended are computed to the last token, and in the
gradient every sample reads its prompt again. Equal samples are computed once and idle ones left out, as today.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from course.core.datasets import Example
from course.policy.core import tokenizer as bpe
from course.policy.core.learning import Settings
from course.policy.core.model import Attention, Policy
from course.policy.core.sampling import MAX_NEW_TOKENS, completion_texts, sample_nucleus
from course.policy.reinforce import advantages, gradient_step, prompts_of_step
from course.score import score


def left_padded(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with the rows flush right, and how many padding tokens each row got (B,)."""
    length = max(map(len, rows))
    ids = torch.tensor([[0] * (length - len(row)) + row for row in rows])
    return ids, torch.tensor([length - len(row) for row in rows])


def rotary(x: Tensor, start: int, theta: float) -> Tensor:
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.arange(start, start + x.shape[-2])[:, None] * frequency
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), dim=-1)


def attend(attention: Attention, x: Tensor, mask: Tensor, start: int, theta: float, cache: Tensor | None) -> Tensor:
    b, t, size = x.shape
    q, k, v = (
        proj(x).view(b, t, attention.heads, size // attention.heads).transpose(1, 2)
        for proj in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    q, k = rotary(q, start, theta), rotary(k, start, theta)
    if cache is not None:
        cache[0, :, :, start : start + t], cache[1, :, :, start : start + t] = k, v
        k, v = cache[:, :, :, : start + t]
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out: Tensor = attention.o_proj(y.transpose(1, 2).reshape(b, t, size))
    return out


def logits_of(
    policy: Policy, ids: Tensor, padding: Tensor, last: int, start: int = 0, cache: list[Tensor] | None = None
) -> Tensor:
    """Logits (B, last, V) of whole rows, the padding at their left computed too."""
    query = torch.arange(start, start + ids.shape[1])[:, None]
    key = torch.arange(start + ids.shape[1])[None, :]
    mask = ((key <= query) & ((key >= padding[:, None, None]) | (key == query)))[:, None]
    x = policy.model.embed_tokens(ids)
    blocks: Any = policy.model.layers
    for number, block in enumerate(blocks):
        own = None if cache is None else cache[number]
        x = x + attend(block.self_attn, block.input_layernorm(x), mask, start, policy.config.rope_theta, own)
        x = x + block.mlp(block.post_attention_layernorm(x))
    return policy.logits(policy.model.norm(x[:, -last:]))


@torch.no_grad()
def generate(policy: Policy, ids: Tensor, padding: Tensor, uniform: Tensor, end: int) -> Tensor:
    """Continue each prompt by as many tokens as `uniform` (B, N) has columns."""
    rows, steps = uniform.shape
    samples = rows // len(ids)
    cache = list(policy.new_cache(len(ids), ids.shape[1] + steps))
    logits = logits_of(policy, ids, padding, 1, 0, cache)[:, -1].repeat_interleave(samples, dim=0)
    cache, padding = [layer.repeat_interleave(samples, dim=1) for layer in cache], padding.repeat_interleave(samples)
    chosen, ended = torch.full((rows, steps), end), torch.zeros(rows, dtype=torch.bool)
    for step in range(steps):
        token = sample_nucleus(logits, uniform[:, step], 1.0, 1.0)
        chosen[:, step] = torch.where(ended, end, token)
        ended |= token == end
        if ended.all() or step == steps - 1:
            break
        logits = logits_of(policy, chosen[:, step : step + 1], padding, 1, ids.shape[1] + step, cache)[:, -1]
    return chosen


def old_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    tokenizer: Tokenizer,
    train: Sequence[Example],
    settings: Settings,
    step: int,
) -> None:
    """One step with the strict scorer and no leash: the same prompts, the same number of samples, the same update."""
    end, samples = bpe.special_id(tokenizer, bpe.END), settings.samples_per_prompt
    examples, rng = prompts_of_step(train, settings, step)
    prompts, padding = left_padded([bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples])
    uniform = torch.from_numpy(rng.random((len(examples) * samples, MAX_NEW_TOKENS)))
    chosen = generate(policy, prompts, padding, uniform, end)
    texts = completion_texts(tokenizer, chosen, end)
    rewards = torch.tensor([score(examples[place // samples], text)["reward"] for place, text in enumerate(texts)])
    advantage = advantages(rewards, "prompt", samples)
    numbers: dict[tuple[int, ...], int] = {}
    keys = [(place // samples, *row) for place, row in enumerate(chosen.tolist())]
    of_sample = torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])
    weight = torch.zeros(len(numbers)).index_add(0, of_sample, advantage)
    first = torch.tensor([of_sample.tolist().index(number) for number in range(len(numbers))])
    pushing = first[weight != 0]
    if len(pushing) == 0:
        return
    completions = chosen[pushing]
    ids, padding = torch.cat((prompts[pushing // samples], completions), dim=1), padding[pushing // samples]
    of_next = logits_of(policy, ids, padding, MAX_NEW_TOKENS + 1)[:, :-1].log_softmax(-1)
    ends = (completions == end).int().cumsum(1)
    mask = ((ends == 0) | ((ends == 1) & (completions == end))).float()
    logprobs = of_next.gather(-1, completions[..., None]).squeeze(-1) * mask
    gradient_step(policy, optimizer, -(weight[weight != 0] * logprobs.sum(dim=1)).sum() / len(texts))
