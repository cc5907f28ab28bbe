"""YOURS: tests of the scorer. Milestone 4 asks for more of them; docs/milestone_4.md says how they are judged.

    python -m pytest tests/test_rubric.py
    python -m course.check 4

Each test asserts the reward and at least one field of `details`: a scorer that is right without saying why cannot be
debugged. Three cases to begin with; add yours below.
"""

from course.score import score

EXAMPLE = {"id": "mine", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}


def test_a_right_line_earns_the_reward() -> None:
    result = score(EXAMPLE, "Final: 323")
    assert result["reward"] == 1.0
    assert result["details"]["extracted"] == 323


def test_a_wrong_number_earns_nothing() -> None:
    result = score(EXAMPLE, "Final: 324")
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "wrong_answer"


def test_the_bare_number_earns_nothing() -> None:
    result = score(EXAMPLE, "323")
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "bare_number"
