"""THE contract: one example, one completion -> reward and details.

    >>> score({"prompt": "Compute 17*19. ...", "expected_answer": 323}, "Final: 323")["reward"]
    1.0

Specification, version 1 (`docs/spec.md` says it with examples). A completion earns 1.0 if and only if

  1. it is text, of at most 10,000 characters;
  2. after trimming ASCII space, tab, CR and LF at both ends, and nothing else,
  3. the whole of it is `Final: ` and one base-10 ASCII integer: no plus sign, no leading zero, no minus
     zero, at most 18 digits, nothing before or after;
  4. that integer is the example's `expected_answer`.

Everything else earns 0.0, and `details["code"]` says why: the first of CODES that fits.

Read it in the order it runs: `score` -> `trim` -> `parse` (where parsing happens) -> the comparison (where
the answer is checked) -> `diagnose` (where a failure becomes a code). The reward never depends on
`diagnose`. What makes it deterministic: no state, no clock, no random number, no locale, no file, and no
import from the rest of the course. What makes it total: any object at all may be the completion, length
is checked before anything reads the text, and every pattern below runs in linear time.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

SPEC_VERSION = "1"
MAX_CHARACTERS = 10_000
MAX_DIGITS = 18  # every such integer fits in 64 bits, so no reader of our files can round it

# Every way to fail, in words (docs/spec.md says exactly when each fits). The first that fits is the code.
CODES: dict[str, str] = {
    "not_text": "the completion is not text",
    "too_long": f"the completion is longer than {MAX_CHARACTERS:,} characters",
    "empty": "nothing is left after trimming the ends",
    "invisible_character": "a character that cannot be seen hides in an otherwise right line",
    "lookalike_character": "a character only looks like the ASCII one that the line needs",
    "several_answers": "it says `Final:` more than once",
    "bare_number": "the number stands alone, without `Final: `",
    "missing_prefix": "it never says `Final:`",
    "several_lines": "it has more than one line",
    "extra_text_before": "something stands before `Final:`",
    "wrong_case": "`Final` is not spelt with exactly one capital, F",
    "missing_colon": "the colon after `Final` is missing",
    "missing_number": "nothing follows `Final:`",
    "wrong_space": "a tab stands where the space should",
    "missing_space": "the space after the colon is missing",
    "extra_space": "there is a space too many",
    "plus_sign": "the number has a plus sign",
    "minus_zero": "zero has a minus sign",
    "leading_zero": "the number begins with a needless zero",
    "thousands_separator": "the digits are grouped by a separator",
    "decimal": "the number has a decimal point",
    "scientific_notation": "the number is in scientific notation",
    "trailing_punctuation": "punctuation follows the number",
    "too_many_digits": f"the number has more than {MAX_DIGITS} digits",
    "expression": "it is a calculation, not its result",
    "extra_text_after": "something follows the number",
    "not_an_integer": "what follows `Final: ` is not an integer",
    "wrong_answer": "the line is in form, but the number is not the expected one",
}

ASCII_SPACE = " \t\r\n"
ANSWER_LINE = re.compile(r"Final: (0|-?[1-9][0-9]{0,17})")


def score(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
    """Score one completion of one example.

    `example` holds at least `expected_answer`, an integer of at most 18 digits; `completion` is any object.
    Returns `{"reward": 0.0 or 1.0, "details": {...}}`; the keys of `details` are always the same:
    `spec_version`, `parsed`, `extracted` (integer or None), `expected`, `code` (None if and only if the
    reward is 1.0) and `checks` (name -> passed, in the order they are made; a check not reached counts as
    not passed).

    Raises ValueError for an example that is no mapping with a usable expected answer: no wrong answer, a broken ruler.
    """
    expected = expected_answer(example)
    text = as_text(completion)
    extracted = None if text is None else parse(trim(text))
    correct = extracted == expected
    return {
        "reward": 1.0 if correct else 0.0,
        "details": {
            "spec_version": SPEC_VERSION,
            "parsed": extracted is not None,
            "extracted": extracted,
            "expected": expected,
            "code": None if correct else "wrong_answer" if extracted is not None else diagnose(completion),
            "checks": {
                "is_text_within_limit": text is not None,
                "is_in_form": extracted is not None,
                "is_expected_answer": correct,
            },
        },
    }


def expected_answer(example: Mapping[str, Any]) -> int:
    """The example's expected answer. Raises ValueError if there is none, or one that the spec could never accept."""
    try:
        expected = example.get("expected_answer")
    except Exception as error:  # no mapping, or one that raises when it is read
        raise ValueError(f"the example is no mapping that holds expected_answer: {type(error).__name__}") from error
    if type(expected) is not int or abs(expected) >= 10**MAX_DIGITS:
        found = "a longer one" if type(expected) is int else type(expected).__name__
        raise ValueError(f"expected_answer must be an integer of at most {MAX_DIGITS} digits, not {found}")
    return expected


def as_text(completion: object) -> str | None:
    """Rule 1: the completion as a plain string, or None if it is not text or too long.

    The type is asked of `type()`, and a subclass of `str` is copied into a real one, because an object may
    lie about its class or raise when it is asked.
    """
    if type(completion) is not str:
        if not issubclass(type(completion), str):
            return None
        completion = str.__str__(completion)
    return completion if len(completion) <= MAX_CHARACTERS else None


def trim(text: str) -> str:
    """Rule 2. A no-break space is not ASCII space: it stays, and the line fails."""
    return text.strip(ASCII_SPACE)


def parse(line: str) -> int | None:
    """Rule 3: the integer, if the whole line is in form. The digits are bounded, so `int` is cheap."""
    match = ANSWER_LINE.fullmatch(line)
    return int(match[1]) if match else None


# From here on: why a completion that did not parse failed. Nothing below can change a reward.

# Controls, soft hyphen, fillers, zero-width characters, direction marks, variation selectors, surrogates, U+2800.
INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# What Unicode's compatibility form (NFKC) leaves alone: dashes, colons, a space, Greek and Cyrillic letters.
LOOKALIKES = {
    ord(other): plain
    for plain, others in {
        "-": "\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2796",
        ":": "\u02d0\u0589\u05c3\u2236\ua789",
        " ": "\u1680",
        "F": "\u03dc\u0492",
        "i": "\u0131\u03b9\u0456",
        "n": "\u043f\u0578",
        "a": "\u0251\u03b1\u0430",
        "l": "\u01c0\u04cf",
        "0": "\u039f\u03bf\u041e\u043e",
    }.items()
    for other in others
}
LONGEST_LINE = len("Final: -") + MAX_DIGITS
NEWLINE = re.compile(r"[\n\r\x0b\x0c\x85\u2028\u2029]")
MARKER = re.compile(r"final[ \t]{0,9}:", re.IGNORECASE | re.ASCII)
NO_COLON = re.compile(r"final[ \t=-]{0,9}[0-9]", re.IGNORECASE | re.ASCII)
BARE_NUMBER = re.compile(r"[+-]?[0-9][0-9,._]*")


def diagnose(completion: object) -> str:
    """The code of a completion that did not parse: the first of CODES that fits it."""
    text = as_text(completion)
    if text is None:
        return "too_long" if issubclass(type(completion), str) else "not_text"
    line = trim(text)
    marker = MARKER.search(line) if ":" in line else None
    begin, end = marker.span() if marker else (-1, 0)
    return next(code for code, fits in FITS.items() if fits(line, begin, end))


def undisguised(line: str, fold: bool = False) -> str:
    """A short line without what cannot be seen; folded, also with ASCII in place of what looks like it."""
    line = "" if len(line) > 4 * LONGEST_LINE else INVISIBLE.sub("", line)
    if fold:
        line = unicodedata.normalize("NFKC", line.translate(LOOKALIKES)).translate(LOOKALIKES)
        line = "".join(str(unicodedata.decimal(character, character)) for character in line)
    return trim(line)


def after_space(form: str) -> Callable[[str, int, int], object]:
    """What follows `Final: ` has, as a whole, this form."""
    pattern = re.compile(form)
    return lambda line, begin, end: pattern.fullmatch(line, len("Final: "))


# When each of CODES fits a trimmed line that is not in form and whose first `Final:` stands from `begin` to `end` (or
# from -1 to 0: there is none). They are asked in their order: each may count on it that none before it fits.
FITS: dict[str, Callable[[str, int, int], object]] = {
    "empty": lambda line, begin, end: not line,
    "invisible_character": lambda line, begin, end: parse(undisguised(line)) is not None,
    "lookalike_character": lambda line, begin, end: not line.isascii() and parse(undisguised(line, True)) is not None,
    "several_answers": lambda line, begin, end: begin >= 0 and MARKER.search(line, end),
    "bare_number": lambda line, begin, end: BARE_NUMBER.fullmatch(line),
    "missing_prefix": lambda line, begin, end: begin < 0 and not NO_COLON.match(line),
    "several_lines": lambda line, begin, end: NEWLINE.search(line),
    "extra_text_before": lambda line, begin, end: begin > 0,
    "wrong_case": lambda line, begin, end: not line.startswith("Final"),
    "missing_colon": lambda line, begin, end: begin < 0,
    "missing_number": lambda line, begin, end: end == len(line),
    "wrong_space": lambda line, begin, end: line.startswith("\t", end),
    "missing_space": lambda line, begin, end: not line.startswith(" ", end),
    "extra_space": lambda line, begin, end: end > len("Final:") or line.startswith(("  ", " \t", " - "), end),
    "plus_sign": after_space(r"\+[0-9]+"),
    "minus_zero": after_space(r"-0+"),
    "leading_zero": after_space(r"-?0[0-9]+"),
    "thousands_separator": after_space(r"-?[0-9]{1,3}(?:[,_' ][0-9]{3})+"),
    "decimal": after_space(r"[+-]?[0-9]*\.[0-9]+"),
    "scientific_notation": after_space(r"[+-]?[0-9]+(?:\.[0-9]*)?[eE][+-]?[0-9]+"),
    "trailing_punctuation": after_space(r"-?[0-9]+[.,;:!?]+"),
    "too_many_digits": after_space(r"-?[1-9][0-9]{18,}"),
    "expression": after_space(r"(?=.*[0-9])(?=.*[-+*/^=x×÷])[-+*/^=x×÷() 0-9]+"),  # noqa: RUF001
    "extra_text_after": after_space(r"-?[0-9].*"),
    "not_an_integer": lambda line, begin, end: True,
}
