"""The weak rubrics: right where the strict scorer is, and each with the one hole on its label."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from course.rubrics import LIMIT, RUBRICS, length_shaped
from course.score import score

EXAMPLE = {"id": "x", "prompt": "Compute 6*7.", "expected_answer": 42}
# For each rubric: what goes through its hole, and what even it refuses.
HOLES = {
    "anywhere": ("40 41 42 43 44", "Final: 41"),
    "last_integer": ("I guess 7, or 8, no: 42", "Final: 42 or 43"),
    "first_line": ("Final: 42\nFinal: 43\nFinal: 44", "Final: 41\nFinal: 42"),
    "substring": ("Final: 1042", "Final: 41"),
    "format_only": ("Final: 7", "42"),
    "length_shaped": ("42 " * 20, "Final: 41"),
    "tolerant": ("final: 41 FINAL:42", "Final: 41"),
}


def test_there_are_at_least_six_and_each_says_why_and_where() -> None:
    assert len(RUBRICS) >= 6
    assert set(RUBRICS) == set(HOLES)
    for name, rubric in RUBRICS.items():
        assert rubric.name == name
        assert rubric.reason
        assert rubric.hole


@pytest.mark.parametrize("name", RUBRICS)
def test_the_hole_is_there_and_the_strict_scorer_refuses_what_goes_through(name: str) -> None:
    exploit, refused = HOLES[name]
    assert RUBRICS[name].score(EXAMPLE, exploit)["reward"] == 1.0
    assert score(EXAMPLE, exploit)["reward"] == 0.0
    assert RUBRICS[name].score(EXAMPLE, refused)["reward"] == 0.0


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_no_rubric_refuses_a_right_answer_in_form(answer: int) -> None:
    """They are weak by what they let in; in-spec answers earn the most that this form can earn."""
    example = {**EXAMPLE, "expected_answer": answer}
    for name, rubric in RUBRICS.items():
        text = f"Final: {answer}"
        best = length_shaped(example, text)["reward"] if name == "length_shaped" else 1.0
        assert rubric.score(example, text)["reward"] == best > 0.7


@example("42" * LIMIT)
@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()))
def test_every_rubric_is_total_and_bounded(completion: Any) -> None:
    for rubric in RUBRICS.values():
        result = rubric.score(EXAMPLE, completion)
        assert 0.0 <= result["reward"] <= 1.0
        assert result == rubric.score(EXAMPLE, completion)
        assert result["details"]["rubric"] == rubric.name
