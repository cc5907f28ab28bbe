"""What the examples share: π0 for libraries that expect a Hugging Face model, and packages that may be missing."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from course.core.files import InputError
from course.core.paths import PI0
from course.policy.core.tokenizer import ANSWER, END
from transfer.proving.places import QUIET


@contextmanager
def needs(package: str, to_install: str) -> Iterator[None]:
    """Imports of a package that may be missing, and their notices. Raises InputError with what to type."""
    os.environ.update(QUIET)
    warnings.simplefilter("ignore", FutureWarning)  # of one library about another
    try:
        yield
    except ImportError as error:
        raise InputError(package, f"not installed: pip install {to_install} ({error})") from None


def load_pi0(folder: Path = PI0) -> tuple[Any, Any]:
    """π0 as a causal language model, and its tokenizer, which pads at the left. Nothing is fetched."""
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    file, made = str(folder / "tokenizer.json"), cast(Any, PreTrainedTokenizerFast)  # typed in part
    tokenizer = made(tokenizer_file=file, eos_token=END, pad_token=END, padding_side="left")
    return AutoModelForCausalLM.from_pretrained(folder), tokenizer


def framed(prompt: str) -> str:
    """A prompt as π0 continues it: it was trained to answer after `<|answer|>`."""
    return prompt + ANSWER
