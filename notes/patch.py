"""YOURS: a patch of one weak rubric, chosen from course/rubrics.py. It stands here as it was, with its hole.

    python -m course.red_team --patch

Close the whole class of exploits that its hole lets in, not one string, and go on paying what the rubric was made to
pay.
"""

import re

RUBRIC = "anywhere"


def patched(text: str, expected: int) -> float:
    """The reward of a completion, from 0 to 1."""
    numbers = [int(number) for number in re.findall(r"-?[0-9]{1,18}", text)]
    return 1.0 if expected in numbers else 0.0
