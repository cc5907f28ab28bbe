"""A causal language model in a folder on this machine, in Hugging Face's format, run by `transformers`.

Each completion draws its tokens with random numbers of its own, named by seed, id and sample: the same ones that
`course.policy.sample` uses. So a completion does not depend on what else is in its batch, but for rounding: padding
changes the last digits of a probability, and where a draw falls just there, another token. Sampling is what was typed
and nothing else: defaults in the model's `generation_config.json` (top_k, a repetition penalty) are not applied.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from course.core.datasets import Sampling
from course.core.files import InputError, reason_of, sha256, sha256_file
from course.core.manifest import checkpoint_identity
from transfer.clients import About, Answer, Request, one_line


class LocalModel:
    """A model folder, and how it is asked. Raises InputError for a folder that is none."""

    def __init__(
        self, folder: Path, sampling: Sampling, *, plain: bool, system: str | None, template: str | None, batch: int
    ) -> None:
        self.sampling, self.system, self.batch = sampling, system, batch
        policy_sha256, tokenizer_sha256 = identities(folder)
        self.tokenizer = loaded(folder, "AutoTokenizer")
        own = self.tokenizer.chat_template
        self.template = None if plain else template or (own if isinstance(own, str) else None)
        if self.template is None and system is not None:
            raise InputError("--system-prompt", f"{folder} has no chat template that says where it goes")
        framing = {"prompts": "plain"} if self.template is None else {"chat_template_sha256": hash_of(self.template)}
        self.about = About(
            policy=folder.resolve().name,
            policy_sha256=policy_sha256,
            tokenizer_sha256=tokenizer_sha256,
            versions={name: version(name) for name in ("transformers", "torch", "tokenizers")},
            request={"api": "transformers", **framing, **sampling.request},
            note=None if self.template or plain else f"{folder} has no chat template: its prompts are continued plain",
        )
        self.folder = folder

    @cached_property
    def model(self) -> Any:
        made: Any = import_module("transformers").GenerationConfig
        model = loaded(self.folder, "AutoModelForCausalLM").eval()
        end = model.generation_config.eos_token_id
        pad = end[0] if isinstance(end, list) else end
        model.generation_config = made(eos_token_id=end, pad_token_id=0 if pad is None else pad)
        return model

    def answer(self, requests: Sequence[Request], record: Callable[[Answer], None], begun: bool) -> None:
        """Answer all, in batches of prompts of like length. Raises InputError."""
        rows = sorted(((self.encode(request.prompt), request) for request in requests), key=lambda row: len(row[0]))
        for first in range(0, len(rows), self.batch):
            for answer in self.answer_batch(rows[first : first + self.batch]):
                record(answer)

    def encode(self, prompt: str) -> list[int]:
        """The ids that the model continues."""
        if self.template is None:
            return list(self.tokenizer(prompt)["input_ids"])
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        chat = [*system, {"role": "user", "content": prompt}]
        how = {"chat_template": self.template, "add_generation_prompt": True, "tokenize": True, "return_dict": True}
        try:
            return list(self.tokenizer.apply_chat_template(chat, **how)["input_ids"])
        except Exception as error:  # a template is a program, and raises what it likes
            raise InputError("the chat template", one_line(error)) from None

    def answer_batch(self, rows: Sequence[tuple[list[int], Request]]) -> list[Answer]:
        """The answers to a batch, in its order."""
        import torch

        longest, pad = max(len(ids) for ids, _ in rows), self.model.generation_config.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(ids)) + ids for ids, _ in rows])
        real = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids, _ in rows])
        how: dict[str, Any] = {"max_new_tokens": self.sampling.max_new_tokens, "do_sample": False}
        if stop := self.sampling.request.get("stop"):
            how |= {"stop_strings": stop, "tokenizer": self.tokenizer}
        draw = draws_of([request for _, request in rows], self.sampling, longest)
        with torch.inference_mode():
            out = self.model.generate(ids.to(self.model.device), attention_mask=real, logits_processor=[draw], **how)
        said = out[:, longest:].tolist()
        return [self.answer_of(request, ids, new) for (ids, request), new in zip(rows, said, strict=True)]

    def answer_of(self, request: Request, ids: list[int], new: list[int]) -> Answer:
        """What the new tokens say: up to an end token or a stop string, special tokens in plain sight."""
        end = self.model.generation_config.eos_token_id
        ends = {end} if isinstance(end, int) else set(end or ())
        many = next((place for place, token in enumerate(new) if token in ends), len(new))
        text = self.tokenizer.decode(new[:many], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        places = [place for stop in self.sampling.request.get("stop", ()) if (place := text.find(stop)) >= 0]
        stopped = many < len(new) or bool(places)
        return Answer(
            id=request.id,
            sample=request.sample,
            content=text[: min(places, default=len(text))],
            finish_reason="stop" if stopped else "length",
            usage={"prompt_tokens": len(ids), "completion_tokens": many + (many < len(new))},
        )


def draws_of(requests: Sequence[Request], sampling: Sampling, prompt_tokens: int) -> Any:
    """What leaves of all tokens the one that was drawn: a logits processor, (B, T) ids and (B, V) scores in."""
    import numpy as np
    import torch

    from course.policy.core.sampling import sample_nucleus, uniform_numbers

    how = sampling.temperature or 0.0, sampling.top_p or 1.0
    count, seed = sampling.max_new_tokens or 0, sampling.seed or 0
    numbers = torch.from_numpy(np.stack([uniform_numbers(seed, r.id, r.sample, count) for r in requests]))

    def draw(ids: Any, scores: Any) -> Any:
        chosen = sample_nucleus(scores, numbers[:, ids.shape[1] - prompt_tokens].to(scores.device), *how)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)

    return draw


def loaded(folder: Path, kind: str, **how: Any) -> Any:
    """A tokenizer or a model, from the folder's files alone: nothing is fetched, and none of its code is run."""
    try:
        import_module("torch")
        transformers: Any = import_module("transformers")
    except ModuleNotFoundError as error:
        raise InputError(error.name, "missing: pip install -r transfer/requirements-transformers.txt") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        return getattr(transformers, kind).from_pretrained(str(folder), local_files_only=True, **how)
    except Exception as error:  # it raises whatever it likes on a damaged folder
        raise InputError(folder, f"not a model of transformers: {one_line(error)}") from None


def hash_of(text: str) -> str:
    return sha256(text.encode())


def identities(folder: Path) -> tuple[str, str]:
    """The identity of a checkpoint folder, as the course computes it, and of its tokenizer. Raises InputError."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(folder, "no model folder: it holds no .safetensors (an endpoint's model needs --base-url)")
    try:
        shards = [sha256_file(file) for file in weights]
        whole = shards[0] if len(shards) == 1 else sha256("".join(shards).encode())
        return checkpoint_identity(sha256_file(folder / "config.json"), whole), sha256_file(folder / "tokenizer.json")
    except OSError as error:
        raise InputError(error.filename or folder, reason_of(error)) from None
