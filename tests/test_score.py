"""The contract: score is exact, total, deterministic, explainable."""

import ast
import itertools
import json
import math
import os
import re
import subprocess
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import score as scorer
from course.score import CODES, MAX_CHARACTERS, score
from tests.conftest import ROOT
from tests.second_writing import FITS, code_of, compare, completions, spec_accepts, trimmed

EXAMPLE = {"id": "x", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
DETAIL_KEYS = ["spec_version", "parsed", "extracted", "expected", "code", "checks"]
CHECKS = ["is_text_within_limit", "is_in_form", "is_expected_answer"]


def check(completion: Any, expected: int = 323) -> dict[str, Any]:
    """Score, and assert all that holds of every score."""
    example = {**EXAMPLE, "expected_answer": expected}
    result = score(example, completion)
    assert list(result) == ["reward", "details"]
    details = result["details"]
    assert list(details) == DETAIL_KEYS
    assert list(details["checks"]) == CHECKS
    assert result["reward"] in (0.0, 1.0)
    assert type(result["reward"]) is float
    assert (details["code"] is None) == (result["reward"] == 1.0) == details["checks"]["is_expected_answer"]
    assert details["code"] is None or details["code"] in CODES
    assert details["parsed"] == (details["extracted"] is not None) == details["checks"]["is_in_form"]
    assert details["expected"] == expected
    assert result == score(example, completion), "same input, same output"
    return result


def test_every_short_string_of_nasty_characters_around_the_answer() -> None:
    """Exhaustive: each string of up to five of these, before, inside and after, is scored as the spec says."""
    alphabet = " \t\n\r\u00a0\u200b03-+,.\u0663F"
    assert len(set(alphabet)) == 14
    accepted = tried = 0
    for length in range(6):
        for characters in itertools.product(alphabet, repeat=length):
            nasty = "".join(characters)
            for text in (nasty + "Final: 323", "Final: " + nasty + "323", "Final: 323" + nasty):
                tried += 1
                rewarded = score(EXAMPLE, text)["reward"] == 1.0
                assert rewarded == spec_accepts(text, 323), repr(text)
                accepted += rewarded
    assert tried == 3 * sum(14**length for length in range(6))
    # What is accepted: any of the four trimmed characters at either end, and the answer untouched inside.
    assert accepted == 2 * sum(4**length for length in range(6)) + 1


def test_every_place_inside_the_line() -> None:
    """Exhaustive: one or two nasty characters at every place of lines with one, two and no sign or zero."""
    alphabet = " \t\n\r\u00a0\u200b\u2212\u202e0123-+,.:_eFf\x00\u0663\uff13\ud800"
    for answer in (323, -5, 0, 10):
        line = f"Final: {answer}"
        for place in range(len(line) + 1):
            for length in (1, 2):
                for characters in itertools.product(alphabet, repeat=length):
                    text = line[:place] + "".join(characters) + line[place:]
                    rewarded = score({**EXAMPLE, "expected_answer": answer}, text)["reward"] == 1.0
                    assert rewarded == spec_accepts(text, answer), repr(text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text() | st.complex_numbers(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.frozensets(st.text())
    ),
    max_leaves=5,
)
NEAR_MISSES = st.lists(
    st.sampled_from(
        ["Final", ":", " ", "323", "-", "0", "final", "\n", ".", ",", "+", "1", "\u00a0", "\u2212", "x", "="]
    )
    | st.text(st.characters(codec=None, categories=None), max_size=2),
    max_size=8,
).map("".join)


@settings(max_examples=3_000, deadline=None, database=None)
@given(NEAR_MISSES)
def test_near_misses_are_scored_as_the_spec_says(text: str) -> None:
    assert (check(text)["reward"] == 1.0) == spec_accepts(text, 323)


def disagreements(count: int) -> list[tuple[int, str]]:
    """Where the two writings of the spec disagree; and that the completions tried are of every kind."""
    given, disagree = compare(count)
    assert given.keys() >= {str(None), *CODES} - {"not_text"}
    assert given["None"] > count / 10
    return disagree


def test_the_two_writings_agree_on_rewards_and_codes() -> None:
    assert not disagreements(20_000)


@pytest.mark.prove
def test_the_two_writings_agree_on_a_million_completions() -> None:
    """Ten million: python -m tests.second_writing 10000000"""
    assert not disagreements(1_000_000)


def test_the_first_code_that_fits_is_the_code() -> None:
    """The scorer goes through the table in its order. Exhaustive: up to four pieces, alone and after `Final`."""
    assert list(scorer.FITS) == list(CODES)[2:-1]
    pieces = (":", " ", "\t", "-", "+", "0", "1", ".", "323", "\n", "e")
    for length in range(5):
        for characters in itertools.product(pieces, repeat=length):
            for start in ("", "Final", "final", "Final:"):
                text = start + "".join(characters)
                assert score(EXAMPLE, text)["details"]["code"] == code_of(text, 323), repr(text)


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("Final :323", ["missing_space", "extra_space"]),
        ("Final :", ["missing_number", "extra_space"]),
        ("Final :\t323", ["wrong_space", "extra_space"]),
        ("Final:\t323", ["wrong_space"]),
        ("Final\t: 323", ["extra_space"]),
        ("final :323", ["wrong_case", "missing_space", "extra_space"]),
        ("Final 323\nDone.", ["several_lines", "missing_colon"]),
        ("So final: 1\nFinal: 2", ["several_answers", "several_lines", "extra_text_before"]),
        ("\u200bFinal: \uff13", ["lookalike_character", "extra_text_before"]),
        ("Final: -0323", ["leading_zero", "expression", "extra_text_after", "not_an_integer"]),
        ("Final: +323.", ["not_an_integer"]),
    ],
)
def test_of_several_codes_that_fit_the_first_is_given(text: str, fitting: list[str]) -> None:
    assert [code for code, fits in FITS.items() if fits(trimmed(text))] == fitting
    assert score(EXAMPLE, text)["details"]["code"] == fitting[0]


@settings(max_examples=2_000, deadline=None, database=None)
@given(ANYTHING)
def test_total_for_any_value(value: Any) -> None:
    result = check(value)
    if not isinstance(value, str):
        assert result["details"]["code"] == "not_text"


@pytest.mark.prove
@settings(max_examples=50_000, deadline=None, database=None)
@given(ANYTHING)
def test_total_for_very_many_values(value: Any) -> None:
    assert (check(value)["details"]["code"] == "not_text") == (not isinstance(value, str))


@settings(max_examples=2_000, deadline=None, database=None)
@given(st.integers(-(10**18) + 1, 10**18 - 1), st.text(" \t\r\n", max_size=20), st.text(" \t\r\n", max_size=20))
def test_every_integer_in_form_earns_one(answer: int, before: str, after: str) -> None:
    assert check(f"{before}Final: {answer}{after}", answer)["details"]["extracted"] == answer


@settings(max_examples=2_000, deadline=None, database=None)
@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(-(10**18) + 1, 10**18 - 1))
def test_another_integer_is_a_wrong_answer(answer: int, said: int) -> None:
    result = check(f"Final: {said}", answer)
    assert result["reward"] == (1.0 if answer == said else 0.0)
    assert result["details"]["code"] in (None, "wrong_answer")


def hostile_objects() -> Iterator[object]:
    """Objects that lie about themselves, or raise when they are touched."""

    class Raises:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("==")

        __hash__ = None  # type: ignore[assignment]

        def __len__(self) -> int:
            raise RuntimeError("len")

        def __str__(self) -> str:
            raise RuntimeError("str")

    class Liar(str):
        __slots__ = ()

        def __len__(self) -> int:
            raise RuntimeError("len")

        def strip(self, *_: Any) -> Any:
            return "Final: 323"

        def __str__(self) -> str:
            return "Final: 323"

    yield Raises()
    yield Liar("nonsense")
    yield Liar("x" * (MAX_CHARACTERS + 1))
    yield type
    yield NotImplemented
    yield lambda: "Final: 323"
    yield memoryview(b"Final: 323")
    yield math.nan


def test_total_for_hostile_objects() -> None:
    codes = [score(EXAMPLE, thing)["details"]["code"] for thing in hostile_objects()]
    assert codes == ["not_text", "missing_prefix", "too_long", *["not_text"] * 5]


def test_a_subclass_of_text_is_text() -> None:
    class Text(str):
        __slots__ = ()

    assert score(EXAMPLE, Text("Final: 323"))["reward"] == 1.0


def test_long_text_is_refused_before_anything_reads_it() -> None:
    assert check("Final: 323" + " " * (MAX_CHARACTERS - 10))["reward"] == 1.0
    assert check("Final: 323" + " " * (MAX_CHARACTERS - 9))["details"]["code"] == "too_long"
    assert check("9" * 10_000_000)["details"]["code"] == "too_long"


@pytest.mark.parametrize("unit", ["1", "+", "1+", "final ", "fina", ".", "1,111", "\u0301\u0316", "\u200b", "\n", "- "])
def test_no_pattern_backtracks(unit: str) -> None:
    """The longest text of each kind is scored at all: a pattern that backtracks would not end in a lifetime.

    (How fast is measured in `make bench`.)
    """
    for prefix, suffix in (("", ""), ("Final: ", "!"), ("Final: 1", "x"), ("Final:", "\u0300")):
        body = unit * ((MAX_CHARACTERS - len(prefix) - len(suffix)) // len(unit))
        check(prefix + body + suffix)


class Raises(dict[str, Any]):
    def get(self, *_: Any) -> Any:
        raise RuntimeError("two\nlines")


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("repr")


BROKEN_RULERS: dict[str, Any] = {
    **{
        f"expects {name}": {"expected_answer": value}
        for name, value in (
            ("nothing", None),
            ("text", "323"),
            ("a float", 3.0),
            ("true", True),
            ("19 digits", 10**18),
            ("19 digits below zero", -(10**18)),
            ("more digits than Python prints", 10**5000),
            ("NaN", math.nan),
            ("what cannot be printed", Unprintable()),
        )
    },
    "is empty": {},
    "is None": None,
    "is a list": [("expected_answer", 323)],
    "is text": "expected_answer",
    "is a number": 323,
    "is a type": dict,
    "raises when it is read": Raises(expected_answer=323),
}


@pytest.mark.parametrize("name", BROKEN_RULERS)
def test_a_broken_ruler_is_refused(name: str) -> None:
    """In one line, whatever the completion is."""
    for completion in ("Final: 323", None):
        with pytest.raises(ValueError, match="expected_answer") as refused:
            score(BROKEN_RULERS[name], completion)
        assert "\n" not in str(refused.value)


def test_an_example_may_be_any_mapping_and_is_not_changed() -> None:
    example = types.MappingProxyType({"expected_answer": 323})
    assert score(example, "Final: 323")["reward"] == 1.0
    missing: dict[str, int] = defaultdict(int)
    with pytest.raises(ValueError, match="expected_answer"):
        score(missing, "Final: 0")
    assert not missing


def test_nothing_outside_changes_a_score() -> None:
    """Another process, with another locale, time zone and seed of hashes: the same results, to the byte."""
    texts = [text for _, text in itertools.islice(completions(7), 2_000)]
    lines = (
        "import sys, json",
        "from course.score import score",
        "print([score({'expected_answer': 0}, text) for text in json.load(sys.stdin)])",
    )
    outs = set()
    for changes in (
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
        {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8"},
    ):
        environment = {**os.environ, **changes, "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            cwd=ROOT,
            env=environment,
            input=json.dumps(texts),
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        outs.add(done.stdout)
    assert len(outs) == 1
    assert len(outs.pop()) > 100_000


def test_the_scorer_needs_the_standard_library_alone() -> None:
    """In a Python without any package, with nothing but the checkout on its path: it imports, and prints nothing."""
    lines = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})",
        "from course.score import score",
        f"assert score({EXAMPLE!r}, 'Final: 323')['reward'] == 1.0",
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_results_share_nothing() -> None:
    """Whoever edits a result cannot change the next one."""
    first = score(EXAMPLE, "323")
    first["details"]["checks"]["is_in_form"] = "edited"
    first["details"]["code"] = "edited"
    assert score(EXAMPLE, "323")["details"]["code"] == "bare_number"
    assert score(EXAMPLE, "323")["details"]["checks"]["is_in_form"] is False


def test_the_scorer_imports_nothing_of_ours_and_nothing_that_varies() -> None:
    source = (ROOT / "course" / "score.py").read_text(encoding="utf-8")
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {n.module if isinstance(n, ast.ImportFrom) else name.name for n in statements for name in n.names}
    assert imported == {"re", "unicodedata", "collections.abc", "typing"}


def test_the_spec_page_shows_every_code_and_its_examples_hold() -> None:
    """docs/spec.md: the table of codes is complete, and every example in it gets the code beside it."""
    page = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `(\"[^`]*)` \|$", page, re.MULTILINE)
    shown = {}
    for code, literal in rows:
        text = eval(literal, {"__builtins__": {}})  # a Python string literal, or a product of one
        shown[code] = score({"expected_answer": 323}, text)["details"]["code"]
    assert shown == {code: code for code in CODES if code != "not_text"}
    assert list(shown) == list(CODES)[1:], "the order is the scorer's"
    accepted = re.findall(r"^- accepted: `(\"[^`]*\")`", page, re.MULTILINE)
    rejected = re.findall(r"^- rejected: `(\"[^`]*\"[^`]*)`", page, re.MULTILINE)
    assert len(accepted) >= 4
    assert len(rejected) >= 4
    assert all(score(EXAMPLE, eval(text))["reward"] == 1.0 for text in accepted)
    assert all(score(EXAMPLE, eval(text))["reward"] == 0.0 for text in rejected)
    decided = re.findall(r"^- decided: `(\"[^`]*\")` is `(\w+)`", page, re.MULTILINE)
    assert len(decided) == 4
    assert all(score(EXAMPLE, eval(text))["details"]["code"] == code for text, code in decided)
    assert scorer.SPEC_VERSION in page
