"""What the scorer is handed: a named, versioned part of what a model wrote.

The spec wants exactly one line, and real models write their thoughts before it. A view says which part of a text is
the answer. It belongs to the environment, like the prompts: the sidecar and every run made of it name it
(`last_line 1`), and two runs with different views are never compared. A view that does something else than before gets
a new version.

What the view left out is not lost: the whole of what was said lies in the completion's metadata, under `whole`.
"""

import re
from collections.abc import Callable
from typing import Any

from course.core.datasets import Completion
from course.score import trim

THINK_ENDS, THINK_BEGINS = "</think>", "<think>"
GSM8K_ANSWER = re.compile(r"(?:A:|####) *(.*)")


def whole(said: object) -> str:
    """All of the text. Raises ValueError for messages, which are no text."""
    if not isinstance(said, str):
        raise ValueError(f"a text is expected, not {kind_of(said)}; for messages there is the view chat_message")
    return said


def last_line(said: object) -> str:
    """The last line that is not blank, where lines end in a newline alone: no other character can hide an end."""
    lines = [line for line in whole(said).split("\n") if trim(line)]
    return lines[-1] if lines else ""


def after_think(said: object) -> str:
    """What follows the last `</think>`: nothing where the thinking never ended, everything where there was none."""
    text = whole(said)
    _, ended, after = text.rpartition(THINK_ENDS)
    return after if ended else "" if THINK_BEGINS in text else text


def chat_message(said: object) -> str:
    """The content of a message, or of the last of several, if the assistant wrote it. Raises ValueError."""
    message = said[-1] if isinstance(said, list) and said else said
    if not isinstance(message, dict) or not isinstance(message.get("content"), str):
        raise ValueError(f"a message with a text as its content is expected, not {kind_of(said)}")
    if message.get("role", "assistant") != "assistant":
        raise ValueError(f"the last message is not the assistant's: its role is {message['role']!r:.40}")
    return str(message["content"])


def gsm8k_answer(said: object) -> str:
    """The last line, in which `A: 18` or `#### 18`, as GSM8K writes its answers, becomes `Final: 18`."""
    line = last_line(said)
    found = GSM8K_ANSWER.fullmatch(line)
    return f"Final: {found[1]}" if found else line


VIEWS: dict[str, Callable[[object], str]] = {
    f"{view.__name__} {version}": view
    for view, version in ((whole, 1), (last_line, 1), (after_think, 1), (chat_message, 1), (gsm8k_answer, 1))
}
NAMES = {name.split()[0]: name for name in VIEWS}  # as typed -> as recorded: the newest version


def kind_of(said: object) -> str:
    """What something is, in words."""
    return "nothing" if said is None else {"list": "a list", "dict": "an object"}.get(name := type(said).__name__, name)


def seen(view: str, example_id: str, sample: int, said: object, **more: Any) -> Completion:
    """The completion that a view of what was said makes, the whole beside it where they differ. Raises ValueError."""
    handed = VIEWS[view](said)
    metadata = {**more.pop("metadata", {}), **({} if handed == said else {"whole": said})}
    return Completion(example_id, handed, sample, metadata=metadata, **more)
