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

Result = dict[str, Any]
Score = Callable[[Mapping[str, Any], object], Result]


@dataclass(frozen=True)
class Mutant:
    """A scorer with one fault. `make` gives a fresh one; `behaviour` says what it does, not where its code is wrong."""

    name: str
    behaviour: str
    make: Callable[[], Score]


def mutant_named(name: str) -> Score:
    """A fresh scorer with the fault of that name. Raises StopIteration."""
    return next(mutant.make() for mutant in MUTANTS if mutant.name == name)


# Ways to make a mutant: each takes the one thing in which it departs from the true scorer.


def altered(alter: Callable[[Result, object], Result]) -> Callable[[], Score]:
    """A scorer that gives what `alter` makes of the true result and the completion."""

    def scorer(example: Mapping[str, Any], completion: object) -> Result:
        return alter(true_score(example, completion), completion)

    return lambda: scorer


def with_outcome(result: Result, reward: float, extracted: int | None) -> Result:
    """The true result, with another reward and another integer read."""
    details = result["details"]
    right = reward == 1.0
    details |= {"parsed": extracted is not None, "extracted": extracted}
    details["checks"] |= {"is_in_form": extracted is not None, "is_expected_answer": right}
    if right:
        details["code"] = None
    elif details["code"] is None:
        details["code"] = "wrong_answer" if extracted is not None else "not_an_integer"
    return {"reward": reward, "details": details}


def reads(reader: Callable[[str], int | None]) -> Callable[[], Score]:
    """A scorer that reads more than the spec allows: what the true one cannot parse is given to `reader`."""

    def alter(result: Result, completion: object) -> Result:
        text = as_text(completion)
        extracted = None if result["details"]["parsed"] or text is None else reader(text)
        if extracted is None:
            return result
        return with_outcome(result, float(extracted == result["details"]["expected"]), extracted)

    return altered(alter)


def reads_pattern(pattern: str, flags: int = 0) -> Callable[[], Score]:
    """A scorer that also accepts a line of another form; the integer is its one group, commas dropped."""
    compiled = re.compile(pattern, flags)

    def reader(text: str) -> int | None:
        match = compiled.fullmatch(trim(text))
        return int(match[1].replace(",", "")) if match else None

    return reads(reader)


def refuses(refused: Callable[[str, int], bool]) -> Callable[[], Score]:
    """A scorer that gives 0 to right answers for which `refused(text, expected)` holds."""

    def alter(result: Result, completion: object) -> Result:
        if result["reward"] == 1.0 and refused(str(completion), result["details"]["expected"]):
            return with_outcome(result, 0.0, None)
        return result

    return altered(alter)


def equals(equal: Callable[[int, int], bool]) -> Callable[[], Score]:
    """A scorer that reads as the spec says, and compares the integer with `equal(extracted, expected)`."""

    def alter(result: Result, completion: object) -> Result:
        extracted, expected = result["details"]["extracted"], result["details"]["expected"]
        if extracted is None or extracted == expected or not equal(extracted, expected):
            return result
        return with_outcome(result, 1.0, extracted)

    return altered(alter)


# The faults that need more than a line. Readers return the integer that they see in a text, or None.


def several_answers(text: str) -> list[int] | list[None]:
    """Every number that stands after a `Final: `, in order; None if there is only one."""
    answers = [int(number) for number in re.findall(r"Final: (-?[0-9]{1,18})(?![0-9])", text)]
    return answers if len(answers) > 1 else [None]


def as_float(text: str) -> int | None:
    number = rf"(?:{INTEGER})(?:\.[0-9]{{1,18}}(?:[eE][0-9]{{1,2}})?|[eE][0-9]{{1,2}})"
    match = re.fullmatch(rf"Final: ({number})", trim(text))
    value = float(match[1]) if match else 0.5
    return int(value) if value.is_integer() else None


def calculated(text: str) -> int | None:
    match = re.fullmatch(r"Final: ([0-9]{1,9}) ?([-+*]) ?([0-9]{1,9})", trim(text))
    if not match:
        return None
    left, right = int(match[1]), int(match[3])
    return {"+": left + right, "-": left - right, "*": left * right}[match[2]]


def folded(text: str) -> int | None:
    return parse(trim(unicodedata.normalize("NFKC", text).replace("\u2212", "-")))


def without_invisible(text: str) -> int | None:
    return parse(trim("".join(character for character in text if unicodedata.category(character) != "Cf")))


@altered
def crash_on_huge(result: Result, completion: object) -> Result:
    match = re.fullmatch(r"Final: (-?[0-9]+)", trim(as_text(completion) or ""))
    if match:
        int(match[1])  # Python refuses to read more than 4,300 digits
    return result


@altered
def crash_on_other_types(result: Result, completion: object) -> Result:
    completion.strip()  # type: ignore[attr-defined]
    return result


@altered
def bare_details(result: Result, completion: object) -> Result:
    return result if result["reward"] == 1.0 else {"reward": 0.0, "details": {}}


@altered
def one_code(result: Result, completion: object) -> Result:
    if result["details"]["code"] is not None:
        result["details"]["code"] = "wrong_answer"
    return result


@altered
def partial_credit(result: Result, completion: object) -> Result:
    text = as_text(completion) or ""
    if result["reward"] == 0.0 and re.search(rf"(?<![0-9-]){result['details']['expected']}(?![0-9])", text):
        result["reward"] = 0.5
    return result


def remembers() -> Score:
    """Refuses a right answer that it has seen before: state where there should be none."""
    seen: set[str] = set()

    def alter(result: Result, completion: object) -> Result:
        if result["reward"] == 1.0 and str(completion) in seen:
            return with_outcome(result, 0.0, None)
        seen.add(str(completion))
        return result

    return altered(alter)()


FAULTS: tuple[tuple[str, str, Callable[[], Score]], ...] = (
    ("leading_zeros", "pays for `Final: 0323`", reads_pattern(r"Final: (-?0+[0-9]{1,17})")),
    ("plus_sign", "pays for `Final: +323`", reads_pattern(r"Final: (\+[0-9]{1,18})")),
    ("minus_zero", "pays for `Final: -0` where 0 is expected", reads_pattern(r"Final: (-0)")),
    ("unicode_digits", "pays for digits of other scripts", reads_pattern(r"(?=.*[^\0-\x7f])Final: (-?\d{1,18})")),
    ("any_case", "pays for `final: 323` and `FINAL: 323`", reads_pattern(rf"final: ({INTEGER})", re.I)),
    ("any_space", "pays for any white space, or none, after the colon", reads_pattern(rf"Final:\s*({INTEGER})")),
    ("no_word", "pays for the bare number", reads_pattern(rf"({INTEGER})")),
    ("full_stop", "pays for `Final: 323.`", reads_pattern(rf"Final: ({INTEGER})\.")),
    (
        "text_before",
        "pays when other text stands before the line's `Final:`",
        reads_pattern(rf"(?!.*Final:.*Final:).+Final: ({INTEGER})"),
    ),
    ("text_after", "pays when words follow the number", reads_pattern(rf"Final: ({INTEGER}) [A-Za-z](?!.*Final:).*")),
    (
        "second_line",
        "reads the first line only, whatever follows it, unless that is another answer",
        reads_pattern(rf"(?s)Final: ({INTEGER})[\r\n](?!.*Final:).+"),
    ),
    ("first_answer", "takes the first of several answers", reads(lambda text: several_answers(text)[0])),
    ("last_answer", "takes the last of several answers", reads(lambda text: several_answers(text)[-1])),
    ("thousands", "pays for `Final: 1,234`", reads_pattern(r"Final: (-?[1-9][0-9]{0,2}(?:,[0-9]{3})+)")),
    ("floats", "reads the number as a float: pays for `Final: 323.0` and `Final: 3.23e2`", reads(as_float)),
    ("calculations", "works out `Final: 17*19` by itself", reads(calculated)),
    ("no_break_space", "trims a no-break space from the ends", reads(lambda text: parse(text.strip(" \t\r\n\u00a0")))),
    ("lookalikes", "takes a look-alike, a typographic minus say, for the ASCII character", reads(folded)),
    ("invisible", "overlooks characters that cannot be seen", reads(without_invisible)),
    ("sign_ignored", "takes -323 for 323", equals(lambda n, expected: abs(n) == abs(expected))),
    (
        "close_enough",
        "pays for a number within 1 % of the expected one",
        equals(lambda n, expected: abs(n - expected) * 100 <= abs(expected)),
    ),
    (
        "rounded",
        "compares as floats, so huge neighbours are the same to it",
        equals(lambda n, expected: float(n) == float(expected)),
    ),
    ("number_never_compared", "pays for any number in form", equals(lambda _, __: True)),
    (
        "part_of_a_number",
        "pays when the expected digits are part of the number given",
        equals(lambda n, expected: str(expected) in str(n)),
    ),
    ("zero_refused", "gives 0 to a right `Final: 0`", refuses(lambda _, expected: expected == 0)),
    ("negative_refused", "gives 0 to a right negative answer", refuses(lambda _, expected: expected < 0)),
    ("large_refused", "gives 0 to right answers of more than 9 digits", refuses(lambda _, n: abs(n) >= 10**9)),
    ("nothing_trimmed", "gives 0 to a right line that ends in a newline", refuses(lambda text, _: text[-1] == "\n")),
    ("carriage_return", "gives 0 to a right line that ends as on Windows", refuses(lambda text, _: "\r" in text)),
    ("partial_credit", "pays a half for the right number in the wrong form", partial_credit),
    ("remembers", "gives 0 to a right answer that it has seen before", remembers),
    ("huge_number_crash", "raises for a number of thousands of digits", crash_on_huge),
    ("type_crash", "raises for a completion that is not text", crash_on_other_types),
    ("bare_details", "leaves `details` empty where the reward is 0", bare_details),
    ("one_code", "calls every failure `wrong_answer`", one_code),
)
MUTANTS = tuple(Mutant(*fault) for fault in FAULTS)
