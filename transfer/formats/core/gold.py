"""An expected answer as a tool wrote it, read as an integer or refused: never rounded, never guessed."""

import re

from course.core.datasets import LARGEST
from course.score import ASCII_SPACE, MAX_DIGITS, parse
from transfer.views import GSM8K_ANSWER, kind_of

GROUPED = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
WHOLE_FLOAT = re.compile(r"-?[0-9]+\.0+")


def expected(gold: object, commas: bool, dollars: bool) -> int:
    """The integer that an expected answer stands for. Raises ValueError.

    A text that ends in a line `#### 18` or `A: 18`, as GSM8K writes it, stands for 18. With `commas`, `70,000` is
    read as 70000; with `dollars`, `$18` as 18.
    """
    if type(gold) is int:
        if abs(gold) > LARGEST:
            raise ValueError(f"the expected answer has more than {MAX_DIGITS} digits")
        return gold
    if isinstance(gold, float):
        raise ValueError(f"the expected answer {gold!r} is no integer{how_to_convert(repr(gold))}")
    if not isinstance(gold, str):
        raise ValueError(f"the expected answer is {kind_of(gold)}, no integer")
    text = written(gold)
    if dollars:
        text = re.sub(r"^(-?)\$", r"\1", text)
    if commas and GROUPED.fullmatch(text):
        text = text.replace(",", "")
    number = parse(f"Final: {text}")
    if number is None:
        raise ValueError(f"the expected answer {text[:60]!r} is no integer{how_to_convert(text)}")
    return number


def written(gold: str) -> str:
    """What stands after `####` or `A:` in the last line; without them, all of the text; trimmed."""
    last = gold.strip(ASCII_SPACE).rpartition("\n")[2].strip(ASCII_SPACE)
    found = GSM8K_ANSWER.fullmatch(last)
    return (found[1] if found else gold).strip(ASCII_SPACE)


def how_to_convert(text: str) -> str:
    """What would make an integer of it, where something would."""
    if WHOLE_FLOAT.fullmatch(text):
        return ": write it without a point (pandas made a float of it: .astype('int64') before it is saved)"
    if GROUPED.fullmatch(text.replace("$", "")) and "," in text:
        return ": with --commas, thousands separators are read" + (", and with --dollars a $" if "$" in text else "")
    if "$" in text and parse(f"Final: {text.replace('$', '', 1)}") is not None:
        return ": with --dollars, a $ before it is read"
    return ""
