"""π0 for libraries that expect a Hugging Face model: loaded from its folder, nothing fetched."""

from pathlib import Path
from typing import Any

from course.core.paths import PI0
from course.policy.core.tokenizer import ANSWER, END


def load_pi0(folder: Path = PI0) -> tuple[Any, Any]:
    """π0 as a causal language model, and its tokenizer, which pads at the left."""
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    file = str(folder / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, eos_token=END, pad_token=END, padding_side="left")
    return AutoModelForCausalLM.from_pretrained(folder), tokenizer


def framed(prompt: str) -> str:
    """A prompt as π0 continues it: it was trained to answer after `<|answer|>`."""
    return prompt + ANSWER
