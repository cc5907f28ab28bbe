"""Views: total over what they take, stable, and they never make a right answer of a wrong one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.score import score
from transfer.views import NAMES, VIEWS, after_think, chat_message, gsm8k_answer, last_line, seen, whole

LINES = st.lists(
    st.sampled_from(["Final: 3", "A: 3", "#### 3", "A: 4", "", " ", "so", "<think>", "</think>", "x\u2028y"])
)
TEXT = st.text() | LINES.map("\n".join) | LINES.map("\r\n".join)


@given(TEXT)
def test_a_view_hands_on_a_part_of_the_text(text: str) -> None:
    assert whole(text) == text
    assert last_line(text) in text
    assert after_think(text) in text
    assert "\n" not in last_line(text)
    assert last_line(last_line(text)) == last_line(text)
    assert gsm8k_answer(gsm8k_answer(text)) == gsm8k_answer(text)
    assert chat_message({"role": "assistant", "content": text}) == text


@given(TEXT, st.integers(-9, 9))
def test_only_the_last_line_can_earn(text: str, expected: int) -> None:
    example = {"expected_answer": expected}
    if score(example, gsm8k_answer(text))["reward"]:
        last = last_line(text).strip()
        assert last in (
            f"Final: {expected}",
            f"A: {expected}",
            f"#### {expected}",
            f"A:{expected}",
            f"####{expected}",
        ) or (last.startswith(("A:", "####")) and last.removeprefix("A:").removeprefix("####").strip() == str(expected))


@given(TEXT)
def test_the_whole_is_kept_where_it_differs(text: str) -> None:
    for name in VIEWS:
        if name != NAMES["chat_message"]:
            made = seen(name, "q", 0, text)
            assert made.metadata.get("whole", made.completion) == text


@pytest.mark.parametrize("said", [None, 3, [], {}, [{"role": "user", "content": "x"}], {"content": None}, [1]])
def test_what_is_no_text_is_refused(said: Any) -> None:
    for name, view in VIEWS.items():
        with pytest.raises(ValueError, match=r"expected|not the assistant's"):
            view(said)
        assert json.dumps(name)


def test_thinking_that_never_ends_is_no_answer() -> None:
    assert after_think("<think>Final: 3") == ""
    assert after_think("<think>a</think>\nFinal: 3") == "\nFinal: 3"
    assert after_think("Final: 3") == "Final: 3"
