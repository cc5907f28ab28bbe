"""A rubric for `verifiers`: `vf.SingleTurnEnv(dataset=…, rubric=OneLine())`; the column `answer` holds the integer.

The library makes a 0 of every error in a reward function and goes on. So each rollout is read before it is scored, and
one that holds no text, or no answer, stops the training.
"""

from collections.abc import Mapping
from typing import Any

import verifiers.legacy as vf
from pydantic import BaseModel

from transfer.stacks.batch_score import batch_score, text_of


class OneLine(vf.Rubric):  # type: ignore[misc]
    """The strict scorer on a view of the last message. The codes lie in `state["code"]` ("" for a right answer)."""

    def __init__(self, view: str = "whole") -> None:
        super().__init__(funcs=[self.one_line])
        self.view = view

    def one_line(self, state: Mapping[str, Any]) -> float:
        """The reward of a rollout that has been read."""
        return float(state["one_line"]["reward"])

    def read(self, state: dict[str, Any]) -> None:
        """Score a rollout, and keep what the scorer says of it in its state. Raises InputError."""
        said, where = state.get("completion"), f"rollout of example {state.get('example_id')}"
        if isinstance(said, list):
            said = [message.model_dump() if isinstance(message, BaseModel) else message for message in said]
        text = text_of(said, self.view, where)
        [state["one_line"]] = batch_score([{"expected_answer": state.get("answer")}], [text])
        state["code"] = state["one_line"]["details"]["code"] or ""

    async def score_rollout(self, state: vf.State) -> None:
        """Raises InputError."""
        self.read(state)
        await super().score_rollout(state)

    async def score_group(self, states: list[vf.State]) -> None:
        """Raises InputError."""
        for state in states:
            self.read(state)
        await super().score_group(states)
