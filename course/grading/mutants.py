"""Scorers that are each wrong in one way, and in one way only, that real scorers have been wrong in.

A student's tests are worth what they catch. `course.check 4` puts each of these in the place of `course.score.score`
and asks whether some test fails. Apart from its one fault each gives what the true scorer gives, details included.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from course.score import as_text, parse, trim
from course.score import score as true_score

INTEGER = "0|-?[1-9][0-9]{0,17}"  # as the spec has it

Score = Callable[[Mapping[str, Any], object], dict[str, Any]]
Reader = Callable[[str], int | None]


@dataclass(frozen=True)
class FaultyScorer:
    """A scorer with one fault. `make` gives a fresh one; `behaviour` says what it does, not where its code is wrong."""

    name: str
    behaviour: str
    make: Callable[[], Score]


def faulty_scorer(name: str) -> Score:
    """A fresh faulty scorer of that name."""
    return next(faulty.make() for faulty in FAULTY_SCORERS if faulty.name == name)


def outcome(example: Mapping[str, Any], completion: object, reward: float, extracted: int | None) -> dict[str, Any]:
    """The true scorer's result, with another reward and another integer read."""
    result = true_score(example, completion)
    details = result["details"]
    right = reward == 1.0
    details |= {"parsed": extracted is not None, "extracted": extracted}
    details["checks"] |= {"is_in_form": extracted is not None, "is_expected_answer": right}
    if right:
        details["code"] = None
    elif details["code"] is None:
        details["code"] = "wrong_answer" if extracted is not None else "not_an_integer"
    return {"reward": reward, "details": details}


def reads(reader: Reader) -> Callable[[], Score]:
    """A scorer that reads more than the spec allows: what the true one cannot parse is given to `reader`."""

    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        text = as_text(completion)
        if result["details"]["parsed"] or text is None:
            return result
        found = reader(text)
        return (
            result
            if found is None
            else outcome(example, completion, float(found == result["details"]["expected"]), found)
        )

    return lambda: scorer


def reads_pattern(pattern: str, flags: int = 0) -> Callable[[], Score]:
    """A scorer that also accepts a line of another form; the pattern's one group is the integer."""
    compiled = re.compile(pattern, flags)

    def reader(text: str) -> int | None:
        match = compiled.fullmatch(trim(text))
        return int(match[1]) if match else None

    return reads(reader)


def refuses(refused: Callable[[str, int], bool]) -> Callable[[], Score]:
    """A scorer that gives 0 to right answers for which `refused(text, expected)` holds."""

    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        if result["reward"] == 1.0 and refused(str(completion), result["details"]["expected"]):
            return outcome(example, completion, 0.0, None)
        return result

    return lambda: scorer


def equals(equal: Callable[[int, int], bool]) -> Callable[[], Score]:
    """A scorer that reads as the spec says, and compares the integer with `equal(extracted, expected)`."""

    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        extracted, expected = result["details"]["extracted"], result["details"]["expected"]
        if extracted is None or extracted == expected or not equal(extracted, expected):
            return result
        return outcome(example, completion, 1.0, extracted)

    return lambda: scorer


def the_answers(text: str) -> list[int]:
    """Every number that stands after a `Final: `, in order."""
    return [int(number) for number in re.findall(r"Final: (-?[0-9]{1,18})(?![0-9])", text)]


def first_of(text: str) -> int | None:
    found = the_answers(text)
    return found[0] if len(found) > 1 else None


def last_of(text: str) -> int | None:
    found = the_answers(text)
    return found[-1] if len(found) > 1 else None


def other_digits(text: str) -> int | None:
    match = re.fullmatch(r"Final: (-?\d{1,18})", trim(text))
    return int(match[1]) if match and not match[1].isascii() else None


def grouped(text: str) -> int | None:
    match = re.fullmatch(r"Final: (-?[1-9][0-9]{0,2}(?:,[0-9]{3})+)", trim(text))
    return int(match[1].replace(",", "")) if match else None


def as_float(text: str) -> int | None:
    number = rf"(?:{INTEGER})(?:\.[0-9]{{1,18}}(?:[eE][0-9]{{1,2}})?|[eE][0-9]{{1,2}})"
    match = re.fullmatch(rf"Final: ({number})", trim(text))
    value = float(match[1]) if match else 0.5
    return int(value) if value.is_integer() else None


def product_of(text: str) -> int | None:
    match = re.fullmatch(r"Final: ([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9})", trim(text))
    if not match:
        return None
    one, other = int(match[1]), int(match[3])
    return {"+": one + other, "-": one - other, "*": one * other}[match[2]]


def without_no_break_space(text: str) -> int | None:
    return parse(text.strip(" \t\r\n\u00a0"))


def folded(text: str) -> int | None:
    return parse(trim(unicodedata.normalize("NFKC", text).replace("\u2212", "-")))


def without_invisible(text: str) -> int | None:
    return parse(trim("".join(character for character in text if unicodedata.category(character) != "Cf")))


def crash_on_huge() -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        text = as_text(completion)
        match = re.fullmatch(r"Final: (-?[0-9]+)", trim(text)) if text else None
        if match:
            int(match[1])  # Python refuses to read more than 4,300 digits
        return true_score(example, completion)

    return scorer


def crash_on_other_types() -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        completion.strip()  # type: ignore[attr-defined]
        return true_score(example, completion)

    return scorer


def bare_details() -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        return result if result["reward"] == 1.0 else {"reward": 0.0, "details": {}}

    return scorer


def one_code() -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        if result["details"]["code"] is not None:
            result["details"]["code"] = "wrong_answer"
        return result

    return scorer


def remembers() -> Score:
    seen: set[str] = set()

    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        if result["reward"] == 1.0 and str(completion) in seen:
            return outcome(example, completion, 0.0, None)
        seen.add(str(completion))
        return result

    return scorer


def partial_credit() -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        result = true_score(example, completion)
        text = as_text(completion) or ""
        if result["reward"] == 0.0 and re.search(rf"(?<![0-9-]){result['details']['expected']}(?![0-9])", text):
            result["reward"] = 0.5
        return result

    return scorer


def within_one_percent(extracted: int, expected: int) -> bool:
    return abs(extracted - expected) * 100 <= abs(expected)


FAULTY_SCORERS: tuple[FaultyScorer, ...] = (
    FaultyScorer("leading_zeros", "pays for `Final: 0323`", reads_pattern(r"Final: (-?0+[0-9]{1,17})")),
    FaultyScorer("plus_sign", "pays for `Final: +323`", reads_pattern(r"Final: (\+[0-9]{1,18})")),
    FaultyScorer("minus_zero", "pays for `Final: -0` where 0 is expected", reads_pattern(r"Final: (-0)")),
    FaultyScorer("unicode_digits", "pays for digits of other scripts", reads(other_digits)),
    FaultyScorer("any_case", "pays for `final: 323` and `FINAL: 323`", reads_pattern(rf"final: ({INTEGER})", re.I)),
    FaultyScorer(
        "any_space", "pays for any white space, or none, after the colon", reads_pattern(rf"Final:\s*({INTEGER})")
    ),
    FaultyScorer("no_word", "pays for the bare number", reads_pattern(rf"({INTEGER})")),
    FaultyScorer("full_stop", "pays for `Final: 323.`", reads_pattern(rf"Final: ({INTEGER})\.")),
    FaultyScorer(
        "text_before",
        "pays when other text stands before the line's `Final:`",
        reads_pattern(rf"(?!.*Final:.*Final:).+Final: ({INTEGER})"),
    ),
    FaultyScorer(
        "text_after", "pays when words follow the number", reads_pattern(rf"Final: ({INTEGER}) [A-Za-z](?!.*Final:).*")
    ),
    FaultyScorer(
        "second_line",
        "reads the first line only, whatever follows it, unless that is another answer",
        reads_pattern(rf"(?s)Final: ({INTEGER})[\r\n](?!.*Final:).+"),
    ),
    FaultyScorer("first_answer", "takes the first of several answers", reads(first_of)),
    FaultyScorer("last_answer", "takes the last of several answers", reads(last_of)),
    FaultyScorer("thousands", "pays for `Final: 1,234`", reads(grouped)),
    FaultyScorer("floats", "reads the number as a float: pays for `Final: 323.0` and `Final: 3.23e2`", reads(as_float)),
    FaultyScorer("calculations", "works out `Final: 17*19` by itself", reads(product_of)),
    FaultyScorer(
        "no_break_space", "trims a no-break space from the ends", reads(lambda text: parse(text.strip(" \t\r\n\u00a0")))
    ),
    FaultyScorer("lookalikes", "takes a look-alike, a typographic minus say, for the ASCII character", reads(folded)),
    FaultyScorer("invisible", "overlooks characters that cannot be seen", reads(without_invisible)),
    FaultyScorer(
        "sign_ignored", "takes -323 for 323", equals(lambda extracted, expected: abs(extracted) == abs(expected))
    ),
    FaultyScorer("close_enough", "pays for a number within 1 % of the expected one", equals(within_one_percent)),
    FaultyScorer(
        "rounded",
        "compares as floats, so huge neighbours are the same to it",
        equals(lambda one, other: float(one) == float(other)),
    ),
    FaultyScorer("number_never_compared", "pays for any number in form", equals(lambda _, __: True)),
    FaultyScorer(
        "part_of_a_number",
        "pays when the expected digits are part of the number given",
        equals(lambda extracted, expected: str(expected) in str(extracted)),
    ),
    FaultyScorer("zero_refused", "gives 0 to a right `Final: 0`", refuses(lambda _, expected: expected == 0)),
    FaultyScorer("negative_refused", "gives 0 to a right negative answer", refuses(lambda _, expected: expected < 0)),
    FaultyScorer(
        "large_refused",
        "gives 0 to right answers of more than 9 digits",
        refuses(lambda _, expected: abs(expected) >= 10**9),
    ),
    FaultyScorer(
        "nothing_trimmed",
        "gives 0 to a right line that ends in a newline",
        refuses(lambda text, _: text != text.rstrip("\n")),
    ),
    FaultyScorer(
        "carriage_return", "gives 0 to a right line that ends as on Windows", refuses(lambda text, _: "\r" in text)
    ),
    FaultyScorer("partial_credit", "pays a half for the right number in the wrong form", partial_credit),
    FaultyScorer("remembers", "gives 0 to a right answer that it has seen before", remembers),
    FaultyScorer("huge_number_crash", "raises for a number of thousands of digits", crash_on_huge),
    FaultyScorer("type_crash", "raises for a completion that is not text", crash_on_other_types),
    FaultyScorer("bare_details", "leaves `details` empty where the reward is 0", bare_details),
    FaultyScorer("one_code", "calls every failure `wrong_answer`", one_code),
)
