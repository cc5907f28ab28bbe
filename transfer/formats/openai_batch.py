"""The output of OpenAI's Batch API: `custom_id`, and a `response` or an `error`. The prompts come from --dataset.

`n` choices become samples. A request that failed is a failed answer, with the API's words for it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer.formats.core.answers import About, Answer, Fields, Format, need, stem
from transfer.formats.core.rows import Row


def fits(row: Mapping[str, Any]) -> bool:
    return {"custom_id", "response"} <= row.keys() or {"custom_id", "error"} <= row.keys()


def answers(row: Row, number: int, fields: Fields) -> Iterator[Answer]:
    key, response, body = need(row, "custom_id"), row.get("response") or {}, (row.get("response") or {}).get("body")
    body = body if isinstance(body, dict) else {}
    error = row.get("error") or body.get("error")
    if error or response.get("status_code") != 200:
        reason = error if isinstance(error, dict) else {"message": error}
        words = [str(word) for word in (response.get("status_code"), reason.get("code"), reason.get("message")) if word]
        yield Answer(id=key, said=None, error=": ".join(words) or "no response", model=body.get("model"))
        return
    choices = body.get("choices")
    if isinstance(choices, list) and choices:
        for place, choice in enumerate(choices):
            yield answer(
                key, body, choice.get("index", place), choice.get("message") or choice, choice.get("finish_reason")
            )
    elif isinstance(body.get("output"), list):
        yield answer(key, body, 0, {"content": output_text(body["output"])}, body.get("status"))
    else:
        raise ValueError("its body has neither choices (chat completions, completions) nor output (responses)")


def answer(key: Any, body: Row, sample: int, message: Row, finish_reason: str | None) -> Answer:
    """One choice. A message without a text, such as a refusal or a tool call, is a failed answer."""
    text = message.get("content", message.get("text"))
    said = text if isinstance(text, str) else None
    why = None if said is not None else f"the message has no text: {message.get('refusal') or finish_reason or 'empty'}"
    others = {name: message[name] for name in ("refusal", "reasoning_content", "tool_calls") if message.get(name)}
    model = body.get("model")
    return Answer(
        id=key, said=said, error=why, model=model, sample=sample, finish_reason=finish_reason, metadata=others
    )


def output_text(items: list[Any]) -> str | None:
    """The text of a response of the Responses API; None if it has none."""
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    texts = [part["text"] for part in parts if part.get("type") == "output_text"]
    return "".join(texts) if texts else None


def about(path: Path, row: Row) -> About:
    return About(name=stem(path), model="unknown model", request={"api": "openai batch"})


FORMAT = Format(tool="openai_batch", fits=fits, answers=answers, about=about)
