"""What comes back from an endpoint: an answer, a refusal, or nothing that counts."""

import json
from typing import Any

import msgspec

from course.core.files import strict_json, to_json
from transfer.clients import Answer, Request
from transfer.clients.key import is_secret, without_key


class Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class Choice(msgspec.Struct):
    """A choice of either API: `message` of a chat, `text` of a completion."""

    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class Body(msgspec.Struct):
    """What a server answers, as far as it is read."""

    choices: list[Choice]
    usage: dict[str, Any] | None = None


class TryAgainError(Exception):
    """A request came to nothing, for a reason that may pass; `asked`: the seconds that the server wants to rest."""

    def __init__(self, reason: str, asked: float | None = None) -> None:
        super().__init__(reason)
        self.asked = asked


class UnreachableError(TryAgainError):
    """Nobody listens at the address."""


class RefusedError(Exception):
    """A request was refused for good; status 0: nobody was there to be asked."""

    def __init__(self, reason: str, status: int, attempts: int = 1) -> None:
        super().__init__(reason)
        self.status, self.attempts = status, attempts


def read(content: bytes, request: Request, attempts: int, key: str) -> Answer:
    """The answer that a body holds. Raises TryAgainError if it holds none."""
    try:
        body: Body = strict_json(content, Body)
        choice = body.choices[0]
    except (ValueError, IndexError) as error:
        raise TryAgainError(f"no valid answer: {without_key(error, key)}") from None
    message = choice.message or Message(content=choice.text)
    answer = Answer(
        id=request.id,
        sample=request.sample,
        content=None if message.refusal else message.content,
        reasoning=message.reasoning_content or message.reasoning,
        finish_reason=choice.finish_reason,
        usage=body.usage,
        attempts=attempts,
    )
    if answer.content is None:
        why = f"the model refused: {message.refusal}" if message.refusal else "no text came"
        answer.error = without_key(f"{why} (finish_reason {choice.finish_reason})", key)
    if is_secret(key) and key.encode() in to_json(answer):
        return failed(request, "the answer repeats the API key, so it was not kept", attempts)
    return answer


def failed(request: Request, reason: str, attempts: int) -> Answer:
    return Answer(id=request.id, sample=request.sample, error=reason, attempts=attempts)


def words_of(body: object) -> str:
    """The message in the body of a refusal, wherever the server puts it."""
    if not isinstance(body, dict):
        return str(body or "")
    for name in ("message", "detail", "error"):
        if body.get(name):
            return words_of(body[name]) if isinstance(body[name], dict) else str(body[name])
    return json.dumps(body)
