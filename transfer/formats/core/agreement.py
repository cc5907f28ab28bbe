"""Does the tool's own verdict agree with the strict scorer? Counted by verdict, and every difference kept."""

from pathlib import Path
from typing import Any

import msgspec

from course.core.measurement import Measurement
from transfer.formats.core.rows import as_number


class Agreement(msgspec.Struct):
    """One verdict of one model: over how many answers, the sum of theirs and of ours, how many are equal."""

    model: str
    verdict: str
    answers: int = 0
    theirs: float = 0
    strict: float = 0
    agree: int = 0
    not_numbers: int = 0


def compare(
    dataset: Path, completions: Path, model: str
) -> tuple[list[Agreement], list[dict[str, Any]], dict[str, Any]]:
    """The agreements of a model's completions, the answers that differ, and Loop A's summary. Raises InputError."""
    measured, differ = dict[str, Agreement](), list[dict[str, Any]]()
    measurement = Measurement(dataset, completions)
    for result in measurement:
        for name, value in (result.metadata.get("verdicts") or {}).items():
            row = measured.setdefault(name, Agreement(model, name))
            theirs = as_number(value)
            if theirs is None:
                row.not_numbers += 1
                continue
            row.answers += 1
            row.theirs += theirs
            row.strict += result.reward
            row.agree += theirs == result.reward
            if theirs != result.reward:
                differ.append(
                    {
                        "model": model,
                        **{name: result.metadata["from"][name] for name in ("file", "line")},
                        "id": result.id,
                        "sample": result.sample,
                        "verdict": name,
                        "theirs": value,
                        "strict": result.reward,
                        "code": result.code,
                        "scored": result.completion,
                    }
                )
    return list(measured.values()), differ, measurement.summary()
