"""A stack put to the proof in a place: which rewards differ from the scorer's own, which texts were changed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from course.core.display import visible
from course.score import score
from transfer.proving.places import PLACES
from transfer.proving.texts import Case

SHOWN = 200  # characters of a text, or of an error


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of some texts in a stack and a place."""

    stack: str
    place: str
    texts: int
    differ: int = 0
    changed: int = 0
    seconds: float
    error: str | None = None  # the stack stopped, and proved nothing


@dataclass
class Proof:
    """Adds up what came of every stack in every place."""

    rows: list[Row] = field(default_factory=list)
    # Texts that were changed before they were scored, as Python literals: JSON cannot hold a surrogate beside another.
    changes: list[dict[str, Any]] = field(default_factory=list)
    first_difference: str | None = None

    @property
    def holds(self) -> bool:
        return all(row.differ == 0 and row.error is None for row in self.rows)

    def add(self, stack: str, place: str, cases: Sequence[Case]) -> None:
        """Let a stack score the cases in a place. An error of its libraries becomes a row: others are still to try."""
        where: dict[str, Any] = {"stack": stack, "place": place}
        started, error, scored = time.monotonic(), None, []
        try:
            rewards, handed = PLACES[place](stack, [case.text for case in cases], [case.example for case in cases])
            scored = list(zip(cases, rewards, handed, strict=True))
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised!s:.{SHOWN}}"
        seconds = round(time.monotonic() - started, 2)
        wrong = 0
        before = len(self.changes)
        for case, reward, text in scored:
            right = score(case.example, case.text)["reward"]
            if reward != right:
                wrong += 1
                shown = visible(case.text[:SHOWN])
                self.first_difference = (
                    self.first_difference or f"{stack}, {place}: {reward} and not {right} for {shown}"
                )
            if text != case.text:
                what = {"text": ascii(case.text), "handed": ascii(text), "what": change(case.text, text)}
                self.changes.append({**where, "id": case.example["id"], **what})
        counts: dict[str, Any] = {"texts": len(cases), "differ": wrong, "changed": len(self.changes) - before}
        self.rows.append(Row(**where, **counts, seconds=seconds, error=error))


def change(text: str, handed: str) -> str:
    """What happened to a text, in words: where it first differs, and its lengths."""
    pairs = enumerate(zip(text, handed, strict=False))
    at = next((place for place, (a, b) in pairs if a != b), min(len(text), len(handed)))
    was, became = (visible(part[at : at + 8]) or "nothing" for part in (text, handed))
    return f"from character {at + 1} on, {was} became {became}; {len(text)} characters became {len(handed)}"
