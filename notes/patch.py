"""YOURS: a patch of one weak rubric, chosen from course/rubrics.py. It stands here as it was, with its hole.

    python -m course.red_team --patch

Close the whole class of exploits that its hole lets in, not one string, and go on paying what the rubric was made to
pay.
"""

import re
from collections.abc import Mapping
from typing import Any

RUBRIC = "anywhere"


def patched(example: Mapping[str, Any], completion: str) -> dict[str, Any]:
    """The reward of a completion, from 0 to 1, and what it read."""
    numbers = [int(number) for number in re.findall(r"-?[0-9]{1,18}", completion)]
    reward = 1.0 if example["expected_answer"] in numbers else 0.0
    return {"reward": reward, "details": {"numbers": numbers}}
