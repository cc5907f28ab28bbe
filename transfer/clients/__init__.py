"""Who is asked: an endpoint, or a model folder on this machine. Both take requests and hand over answers.

A request is one sample of one prompt, with a seed of its own; an answer is what came, word for word.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One sample to be drawn."""

    id: str
    sample: int
    prompt: str

    @property
    def key(self) -> tuple[str, int]:
        return self.id, self.sample


class Answer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What came of a request: a text, or the reason why there is none. Unlike a completion, no view has touched it."""

    id: str
    sample: int
    content: str | None = None
    reasoning: str | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None  # tokens, as the server counts them
    error: str | None = None
    attempts: int = 1

    @property
    def key(self) -> tuple[str, int]:
        return self.id, self.sample


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a sidecar says of who was asked."""

    policy: str  # a name for people
    policy_sha256: str
    tokenizer_sha256: str
    versions: dict[str, str]
    request: dict[str, Any]  # how it is asked, beyond temperature, top_p, length and seed
    note: str | None = None  # what whoever asks must know of it


class Client(Protocol):
    """Somebody who can be asked."""

    @property
    def about(self) -> About: ...

    def answer(self, requests: Sequence[Request], record: Callable[[Answer], None], begun: bool) -> None:
        """Answer every request, in any order, handing each answer to `record` as it comes. Raises InputError.

        `begun`: it has answered such requests before, so what it refuses now is that one request.
        """


def seed_of(*parts: object) -> int:
    """A seed of its own for everything that has a name: 31 bits, which every server takes."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()[:4]) >> 1


def is_text(text: str) -> bool:
    """Whether it can be sent at all: half a character (a lone surrogate, which JSON allows) has no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def one_line(text: object, longest: int = 300) -> str:
    """What somebody said, as a reason that takes one line."""
    said = " ".join(str(text).split())
    return said if len(said) <= longest else f"{said[:longest]} …"
