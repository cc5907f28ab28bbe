"""A reward function for TRL's trainers (GRPO, RLOO): `GRPOTrainer(reward_funcs=[one_line()], …)`.

The expected answers come from the data set's column `expected_answer`, which TRL hands over beside the completions.
Completions are texts, or messages where the prompts are. In TRL's table of completions each gets the scorer's code.
"""

from collections.abc import Callable, Sequence
from typing import Any

from course.core.files import InputError
from transfer.stacks.batch_score import batch_score

NO_COLUMN = "it has no column expected_answer: rename the one that holds the answers, as integers"


def one_line(view: str = "whole") -> Callable[..., list[float]]:
    """The reward function of a view."""

    def one_line_reward(
        prompts: Sequence[object],
        completions: Sequence[object],
        expected_answer: Sequence[object] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: object,
    ) -> list[float]:
        """1.0 or 0.0 for each completion. Raises InputError, which stops the training."""
        if expected_answer is None:
            raise InputError("the data set", NO_COLUMN)
        rows = batch_score([{"expected_answer": answer} for answer in expected_answer], completions, view)
        if log_extra is not None:
            log_extra("code", [row["details"]["code"] or "" for row in rows])
        return [row["reward"] for row in rows]

    return one_line_reward
