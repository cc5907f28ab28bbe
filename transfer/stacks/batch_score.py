"""The scorer for many completions, without a framework: what a trainer of your own imports.

    >>> batch_score([{"expected_answer": 323}], ["Final: 323"])[0]["reward"]
    1.0

What is no text is an error here and never a 0: a trainer would learn from zeros that its own plumbing made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from course.core.files import InputError
from course.score import parse, score
from transfer.views import NAMES, VIEWS, chat_message


def batch_score(
    examples: Sequence[Mapping[str, Any]], completions: Sequence[object], view: str = "whole"
) -> list[dict[str, Any]]:
    """One `{reward, details}` for each example and its completion, a text or messages. Raises InputError."""
    if len(examples) != len(completions):
        raise InputError("batch_score", f"{len(examples)} examples, but {len(completions)} completions")
    rows = []
    for number, (example, completion) in enumerate(zip(examples, completions, strict=True)):
        text = text_of(completion, view, f"completion {number}")
        expected = expected_of(example.get("expected_answer"), f"example {number}")
        rows.append(score({"expected_answer": expected}, text))
    return rows


def text_of(said: object, view: str = "whole", where: str = "the completion") -> str:
    """What the scorer is handed: a view of the text; of messages, of the last one's content. Raises InputError."""
    if view not in NAMES:
        raise InputError("view", f"unknown: {view!r}; there are {', '.join(NAMES)}")
    try:
        is_message = isinstance(said, list | dict) and view != "chat_message"
        return VIEWS[NAMES[view]](chat_message(said) if is_message else said)
    except ValueError as error:
        raise InputError(where, str(error)) from None


def expected_of(answer: object, where: str = "the example") -> int:
    """The expected answer, an integer or its plain digits (`-34`): a column, a target. Raises InputError."""
    number = parse(f"Final: {answer}") if type(answer) in (int, str) else None
    if number is None:
        found = "absent" if answer is None else f"{answer!r:.40}"
        raise InputError(where, f"expected_answer must be an integer of at most 18 digits; it is {found}")
    return number


def compute_score(
    data_source: str, solution_str: object, ground_truth: object, extra_info: object = None, view: str = "whole"
) -> dict[str, Any]:
    """The same with the signature of verl's custom reward function: `score`, and `code` ("" for a right answer)."""
    [row] = batch_score([{"expected_answer": ground_truth}], [solution_str], view)
    return {"score": row["reward"], "code": row["details"]["code"] or ""}
