"""A patch of `anywhere`: every number that the text offers must be the same one."""

import re
from collections.abc import Mapping
from typing import Any

RUBRIC = "anywhere"


def patched(example: Mapping[str, Any], completion: str) -> dict[str, Any]:
    """The reward of a completion: 1 if it offers one number only, however often, and that is the expected one."""
    offered = {int(number) for number in re.findall(r"-?[0-9]{1,18}", completion)}
    reward = 1.0 if offered == {example["expected_answer"]} else 0.0
    return {"reward": reward, "details": {"offered": sorted(offered)}}
