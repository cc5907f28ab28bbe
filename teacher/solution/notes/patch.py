"""A patch of `anywhere`: every number that the text offers must be the same one."""

import re

RUBRIC = "anywhere"


def patched(text: str, expected: int) -> float:
    """The reward of a completion: 1 if it offers one number only, however often, and that is the expected one."""
    offered = {int(number) for number in re.findall(r"-?[0-9]{1,18}", text)}
    return 1.0 if offered == {expected} else 0.0
