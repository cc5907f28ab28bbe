"""Tests of the scorer, as a student may have written them: they catch every faulty scorer of course.check 4."""

import pytest

from course.score import score


def example(expected: int = 323) -> dict[str, object]:
    return {"id": "mine", "prompt": "Compute it. Output exactly one line: Final: <int>.", "expected_answer": expected}


@pytest.mark.parametrize("expected", [323, 0, -4, 123_456_789_012_345_678])
def test_a_right_line_earns_the_reward(expected: int) -> None:
    result = score(example(expected), f"Final: {expected}")
    assert result["reward"] == 1.0
    assert result["details"]["extracted"] == expected


@pytest.mark.parametrize("completion", ["Final: 323\n", " Final: 323", "Final: 323\r\n", "\tFinal: 323 \n"])
def test_ascii_white_space_at_the_ends_is_trimmed(completion: str) -> None:
    result = score(example(), completion)
    assert result["reward"] == 1.0
    assert result["details"]["code"] is None


def test_asked_twice_it_says_the_same() -> None:
    first, second = (score(example(), "Final: 323") for _ in range(2))
    assert (first["reward"], second["reward"]) == (1.0, 1.0)
    assert first["details"]["code"] is None
    assert second["details"]["extracted"] == 323


@pytest.mark.parametrize(
    ("expected", "completion"),
    [
        (323, "Final: 324"),
        (323, "Final: -323"),
        (323, "Final: 1323"),
        (323, "Final: 7"),
        (9_007_199_254_740_993, "Final: 9007199254740992"),
    ],
)
def test_another_number_earns_nothing(expected: int, completion: str) -> None:
    result = score(example(expected), completion)
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "wrong_answer"


@pytest.mark.parametrize(
    ("completion", "code"),
    [
        ("", "empty"),
        ("323", "bare_number"),
        ("The answer is 323.", "missing_prefix"),
        ("final: 323", "wrong_case"),
        ("Final:323", "missing_space"),
        ("Final:  323", "extra_space"),
        ("Final: 0323", "leading_zero"),
        ("Final: +323", "plus_sign"),
        ("Final: 323.", "trailing_punctuation"),
        ("Final: 323.0", "decimal"),
        ("Final: 17*19", "expression"),
        ("Final: 323 apples", "extra_text_after"),
        ("Let me calculate. Final: 323", "extra_text_before"),
        ("Final: 323\nDone.", "several_lines"),
        ("Final: 323\nFinal: 322", "several_answers"),
        ("Final: 322\nFinal: 323", "several_answers"),
        ("Final: 323\u00a0", "lookalike_character"),
        ("Final: 3\u200b23", "invisible_character"),
        ("Final: \u0663\u0662\u0663", "lookalike_character"),
    ],
)
def test_another_form_earns_nothing_and_says_why(completion: str, code: str) -> None:
    result = score(example(), completion)
    assert result["reward"] == 0.0
    assert result["details"]["code"] == code


def test_separators_of_thousands_are_refused() -> None:
    result = score(example(1234), "Final: 1,234")
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "thousands_separator"


def test_zero_has_no_sign() -> None:
    result = score(example(0), "Final: -0")
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "minus_zero"


def test_a_typographic_minus_is_no_minus() -> None:
    result = score(example(-4), "Final: \u22124")
    assert result["reward"] == 0.0
    assert result["details"]["code"] == "lookalike_character"


@pytest.mark.parametrize(
    ("completion", "code"), [(None, "not_text"), (323, "not_text"), ("Final: " + "9" * 5000, "too_many_digits")]
)
def test_nothing_makes_it_raise(completion: object, code: str) -> None:
    result = score(example(), completion)
    assert result["reward"] == 0.0
    assert result["details"]["code"] == code
