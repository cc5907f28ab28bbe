"""What every format is turned into: answers, and what is known of how they were sampled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from course.core.datasets import MOST_SAMPLES
from transfer.formats.core.rows import Row, Rows, rows
from transfer.views import kind_of

ABSENT = msgspec.UNSET
Sample = Annotated[int, msgspec.Meta(ge=0, lt=MOST_SAMPLES)]


class Answer(msgspec.Struct, kw_only=True):
    """What one model said to one prompt, once."""

    id: Any = None  # text or an integer; None: the tool gives none, and the prompt tells which example it is
    said: Any  # text or messages; None: the request failed; ABSENT: nobody was asked
    prompt: Any = None  # text, or messages; None: not in the log
    gold: Any = ABSENT  # the expected answer as the tool wrote it
    model: str | None = None  # None: the log's
    sample: Sample | None = None  # None: the first, and in a log of training the next
    error: str | None = None
    finish_reason: str | None = None
    verdicts: dict[str, Any] = msgspec.field(default_factory=dict)  # the tool's own, by its name for it
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    example: dict[str, Any] = msgspec.field(default_factory=dict)  # metadata of the example


class About(msgspec.Struct, kw_only=True):
    """What a log says of how its answers were sampled. None: it does not say."""

    name: str  # of what was asked: a task, a file
    model: str
    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    samples: int | None = None  # asked for of each prompt
    request: dict[str, Any] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    warnings: list[str] = msgspec.field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Which column holds what, where someone named it; None: the format's own name for it."""

    id: str | None = None
    prompt: str | None = None
    answer: str | None = None
    completion: str | None = None
    sample: str | None = None
    model: str | None = None
    verdict: str | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a tool's logs are recognised and read. `answers` raises ValueError for a row that is refused."""

    tool: str
    fits: Callable[[Mapping[str, Any]], bool]  # is this a row of it?
    answers: Callable[[Row, int, Fields], Iterator[Answer]]
    about: Callable[[Path, Row], About]
    rows: Callable[[Path], Rows] = field(default=rows)
    training: bool = False  # the prompts are a batch of training, not a whole data set
    merges: bool = False  # a row may repeat an answer, with other verdicts


class Asked(NamedTuple):
    """A prompt as text, and what the policy was told before it."""

    text: str
    system: str | None


def asked(prompt: object) -> Asked:
    """A prompt's text. Of messages, a user's only message is the prompt, and a system's before it the system prompt.

    Raises ValueError for other conversations, and for what is neither text nor messages.
    """
    if isinstance(prompt, str):
        return Asked(prompt, None)
    if not isinstance(prompt, list) or not all(isinstance(message, dict) for message in prompt):
        raise ValueError(f"the prompt must be text or messages, not {kind_of(prompt)}")
    roles = [message.get("role") for message in prompt]
    texts = [message.get("content") for message in prompt]
    if roles not in (["user"], ["system", "user"]) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            "a prompt of messages must be one text of the user, with or without one of the system before it"
        )
    return Asked(texts[-1], texts[0] if len(texts) == 2 else None)


def need(row: Mapping[str, Any], name: str, kind: type = object) -> Any:
    """A field of a row. Raises ValueError if it is not there, or of another kind."""
    if name not in row:
        raise ValueError(f"the field {name!r} is absent; there are {', '.join(map(repr, sorted(row)[:12]))}"[:300])
    if not isinstance(row[name], kind):
        raise ValueError(f"the field {name!r} is {kind_of(row[name])}, where {kind.__name__} is expected")
    return row[name]


def stem(path: Path) -> str:
    """A log's name without its endings."""
    name = path.name
    for ending in (".gz", ".zst", ".jsonl", ".json", ".csv", ".parquet", ".eval"):
        name = name.removesuffix(ending)
    return name or "log"
