"""Rollouts: samples of a policy, and their log-probabilities under any policy.

What saves time here changes no number: a prompt is read once for all its samples, padding is not computed, equal
samples of a prompt are computed once, and samples without an advantage not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.datasets import Example
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Policy
from course.policy.core.sampling import MAX_NEW_TOKENS, Prompts, completion_texts, generate


@dataclass(frozen=True)
class Rollouts:
    """B samples of N tokens each, in the order of the P prompts that they continue."""

    prompts: Prompts
    prompt_of: Tensor  # (B,), each sample's prompt, in ascending order
    completions: Tensor  # (B, N), token ids
    completion_mask: Tensor  # (B, N), True for each token that was sampled, the end token included; False after it
    texts: list[str]

    def rows(self, places: Sequence[int]) -> "Rollouts":
        """Some of the samples, in the same order."""
        texts = [self.texts[place] for place in places]
        completions, completion_mask = self.completions[places], self.completion_mask[places]
        return Rollouts(self.prompts, self.prompt_of[places], completions, completion_mask, texts)


def roll_out(
    policy: Policy, tokenizer: Tokenizer, examples: Sequence[Example], samples: int, rng: np.random.Generator
) -> Rollouts:
    """`samples` completions of each example at temperature 1, those of the first example first."""
    end = bpe.special_id(tokenizer, bpe.END)
    prompts = Prompts.of([bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples])
    uniform = torch.from_numpy(rng.random((len(examples) * samples, MAX_NEW_TOKENS)))
    completions = generate(policy, prompts, uniform, end)
    ends = (completions == end).int().cumsum(1)
    completion_mask = (ends == 0) | ((ends == 1) & (completions == end))
    texts = completion_texts(tokenizer, completions, end)
    prompt_of = torch.arange(len(examples)).repeat_interleave(samples)
    return Rollouts(prompts, prompt_of, completions, completion_mask, texts)


def next_token_logprobs(policy: Policy, rollouts: Rollouts) -> Tensor:
    """log π(· | prompt, tokens before) at each of the M tokens that were sampled, row by row: (M, V)."""
    used, prompt_of = torch.unique_consecutive(rollouts.prompt_of, return_inverse=True)
    prompts = Prompts(rollouts.prompts.ids[used], rollouts.prompts.lengths[used])
    row = torch.arange(len(prompt_of))
    sample = row - torch.searchsorted(prompt_of, prompt_of)  # its number among those of its prompt
    samples, n = int(sample.max()) + 1, int(rollouts.completion_mask.sum(1).max())
    ids, mask = (x.new_zeros(len(used), samples, n) for x in (rollouts.completions, rollouts.completion_mask))
    ids[prompt_of, sample], mask[prompt_of, sample] = rollouts.completions[:, :n], rollouts.completion_mask[:, :n]
    places = prompts.places_with(samples, n, mask)
    t = prompts.ids.shape[1]
    tokens = torch.cat((prompts.ids, ids.transpose(1, 2).flatten(1)), dim=1).flatten()[places.of_token]
    # The place whose output predicts a token: that of the token before, or the prompt's last one.
    step = torch.arange(n)
    before = torch.where(step == 0, prompts.lengths[prompt_of, None] - 1, t + (step - 1) * samples + sample[:, None])
    wanted = (prompt_of[:, None] * places.length + before)[rollouts.completion_mask[:, :n]]
    hidden = policy.hidden(tokens, places).index_select(0, torch.searchsorted(places.of_token, wanted))
    return policy.logits(hidden).log_softmax(-1)


def chosen_logprobs(of_next: Tensor, rollouts: Rollouts) -> Tensor:
    """Of `next_token_logprobs` (M, V), those of the tokens that were sampled: (B, N), 0 after the end token."""
    mask = rollouts.completion_mask
    chosen = of_next.gather(1, rollouts.completions[mask][:, None]).squeeze(1)
    return of_next.new_zeros(mask.shape).masked_scatter(mask, chosen)


def logprobs(policy: Policy, rollouts: Rollouts) -> Tensor:
    """log π(token_t | prompt, tokens before), (B, N), 0 after the end token."""
    return chosen_logprobs(next_token_logprobs(policy, rollouts), rollouts)


def distinct(rollouts: Rollouts) -> tuple[list[int], Tensor]:
    """Where each different sample of each prompt first stands, and for every sample (B,) which of those it equals."""
    numbers: dict[tuple[int, ...], int] = {}
    keys = torch.cat((rollouts.prompt_of[:, None], rollouts.completions), dim=1).tolist()
    of_sample = [numbers.setdefault(tuple(key), len(numbers)) for key in keys]
    return [of_sample.index(number) for number in range(len(numbers))], torch.tensor(of_sample)


def merge_duplicates(rollouts: Rollouts, advantages: Tensor) -> tuple[Rollouts, Tensor]:
    """The different samples that push anything, each with the sum of its equals' advantages: the same gradient."""
    firsts, of_sample = distinct(rollouts)
    total = advantages.new_zeros(len(firsts)).index_add(0, of_sample, advantages)
    pushing = total.nonzero().squeeze(1).tolist()
    return rollouts.rows([firsts[number] for number in pushing]), total[pushing]
