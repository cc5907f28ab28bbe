"""The policy's tokenizer: byte-level BPE, with every digit a token of its own.

Digits apart means that `323` is three actions, `3`, `2`, `3`, so a policy can be right about the
hundreds and wrong about the units. Two special tokens: `<|answer|>` stands between the prompt and the
completion, `<|end|>` closes the completion (and pads batches).
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

ANSWER = "<|answer|>"
END = "<|end|>"
VOCAB_SIZE = 512


def train(texts: Iterable[str], digits_apart: bool = True, vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Learn the merges from the texts. With `digits_apart` no digit is ever merged with anything."""
    tokenizer = Tokenizer(BPE())
    by_words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = [pre_tokenizers.Digits(individual_digits=True)] if digits_apart else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, by_words])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, ANSWER],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The ids that the policy continues: the prompt, then `<|answer|>`."""
    return [*tokenizer.encode(prompt).ids, special_id(tokenizer, ANSWER)]


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a special token. Raises ValueError for a tokenizer that is not of this course."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer has no token {token}")
    return int(number)
