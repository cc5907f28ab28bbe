"""The scorer's specification written a second time, from docs/spec.md alone, and a stream of completions to try it on.

    python -m tests.second_writing 10000000     compares the two on so many completions; further word: the seed

No regular expression, no strip, no int(). Of `course.score` only two lists are used here: which characters are
invisible, and which look like others.
"""

import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from course.score import CODES, INVISIBLE, LOOKALIKES, MAX_CHARACTERS, score

DIGITS, BLANKS, LINE_ENDS = "0123456789", " \t", "\n\r\x0b\x0c\x85\u2028\u2029"


def trimmed(text: str) -> str:
    start, end = 0, len(text)
    while start < end and text[start] in " \t\r\n":
        start += 1
    while end > start and text[end - 1] in " \t\r\n":
        end -= 1
    return text[start:end]


def number_of(line: str) -> int | None:
    """The integer of a trimmed line in form; None for any other."""
    if line[:7] != "Final: ":
        return None
    number = line[7:]
    digits = number[1:] if number[:1] == "-" else number
    if not 1 <= len(digits) <= 18 or any(character not in DIGITS for character in digits):
        return None
    if digits[0] == "0" and (len(digits) > 1 or number[0] == "-"):
        return None
    value = 0
    for character in digits:
        value = 10 * value + DIGITS.index(character)
    return -value if number[0] == "-" else value


def spec_accepts(text: str, expected: int) -> bool:
    return len(text) <= MAX_CHARACTERS and number_of(trimmed(text)) == expected


# The codes. Each answers for itself whether it fits a trimmed line that is not in form.


def without_invisible(line: str) -> str:
    return trimmed("".join(c for c in line if not INVISIBLE.match(c)))


def as_ascii(line: str) -> str:
    table = {chr(key): value for key, value in LOOKALIKES.items()}
    once = "".join(table.get(c, c) for c in without_invisible(line))
    twice = (table.get(c, c) for c in unicodedata.normalize("NFKC", once))
    return trimmed(
        "".join(c if unicodedata.decimal(c, None) is None else DIGITS[unicodedata.decimal(c)] for c in twice)
    )


def begins_with_final(line: str, place: int = 0) -> bool:
    return len(line) >= place + 5 and all(
        line[place + i] in pair for i, pair in enumerate(("Ff", "Ii", "Nn", "Aa", "Ll"))
    )


def run_of(line: str, place: int, allowed: str) -> int:
    """How many characters from a place on are allowed."""
    end = place
    while end < len(line) and line[end] in allowed:
        end += 1
    return end - place


def said(line: str) -> list[tuple[int, int]]:
    """Where the line says `Final:`, from and to."""
    found = []
    for place in range(len(line)):
        if line[place] in "Ff" and begins_with_final(line, place):
            colon = place + 5 + run_of(line, place + 5, BLANKS)
            if colon - place <= 14 and line[colon : colon + 1] == ":":
                found.append((place, colon + 1))
    return found


def says_it_without_colon(line: str) -> bool:
    between = run_of(line, 5, " \t=-")
    return begins_with_final(line) and between <= 9 and line[5 + between : 6 + between] in tuple(DIGITS)


def rest(line: str) -> str | None:
    """What follows the first `Final:`; None if it is never said."""
    places = said(line)
    return line[places[0][1] :] if places else None


def unsigned(number: str, signs: str) -> str:
    return number[1:] if number[:1] in tuple(signs) else number


def all_digits(text: str) -> bool:
    return len(text) > 0 and run_of(text, 0, DIGITS) == len(text)


def is_bare_number(line: str) -> bool:
    number = unsigned(line, "+-")
    return number[:1] in tuple(DIGITS) and run_of(number, 0, DIGITS + ",._") == len(number)


def is_grouped(number: str) -> bool:
    number = unsigned(number, "-")
    first = run_of(number, 0, DIGITS)
    groups = number[first:]
    return (
        1 <= first <= 3
        and len(groups) > 0
        and len(groups) % 4 == 0
        and all(groups[i] in ",_' " and all_digits(groups[i + 1 : i + 4]) for i in range(0, len(groups), 4))
    )


def is_decimal(number: str) -> bool:
    number = unsigned(number, "+-")
    whole = run_of(number, 0, DIGITS)
    return number[whole : whole + 1] == "." and all_digits(number[whole + 1 :])


def is_scientific(number: str) -> bool:
    number = unsigned(number, "+-")
    place = run_of(number, 0, DIGITS)
    if place == 0:
        return False
    if number[place : place + 1] == ".":
        place += 1 + run_of(number, place + 1, DIGITS)
    return number[place : place + 1] in ("e", "E") and all_digits(unsigned(number[place + 1 :], "+-"))


def is_punctuated(number: str) -> bool:
    number = unsigned(number, "-")
    digits = run_of(number, 0, DIGITS)
    return 0 < digits < len(number) and run_of(number, digits, ".,;:!?") == len(number) - digits


def is_calculation(number: str) -> bool:
    operators = "-+*/^=x\u00d7\u00f7"
    return (
        run_of(number, 0, operators + "() " + DIGITS) == len(number)
        and any(c in operators for c in number)
        and any(c in DIGITS for c in number)
    )


def of_number(fits: Callable[[str], bool]) -> Callable[[str], bool]:
    """A code of the number: asked of all that follows `Final: `."""
    return lambda line: line[:7] == "Final: " and fits(line[7:])


FITS: dict[str, Callable[[str], bool]] = {
    "empty": lambda line: line == "",
    "invisible_character": lambda line: len(line) <= 104 and number_of(without_invisible(line)) is not None,
    "lookalike_character": lambda line: len(line) <= 104 and number_of(as_ascii(line)) is not None,
    "several_answers": lambda line: len(said(line)) > 1,
    "bare_number": is_bare_number,
    "missing_prefix": lambda line: not said(line) and not says_it_without_colon(line),
    "several_lines": lambda line: any(c in LINE_ENDS for c in line),
    "extra_text_before": lambda line: bool(said(line)) and said(line)[0][0] > 0,
    "wrong_case": lambda line: begins_with_final(line) and line[:5] != "Final",
    "missing_colon": lambda line: not said(line) and says_it_without_colon(line),
    "missing_number": lambda line: rest(line) == "",
    "wrong_space": lambda line: (rest(line) or "")[:1] == "\t",
    "missing_space": lambda line: (rest(line) or " ")[:1] not in (" ", "\t"),
    "extra_space": lambda line: (
        (bool(said(line)) and line[said(line)[0][1] - 2] in BLANKS)
        or (rest(line) or "")[:2] in ("  ", " \t")
        or (rest(line) or "")[:3] == " - "
    ),
    "plus_sign": of_number(lambda number: number[:1] == "+" and all_digits(number[1:])),
    "minus_zero": of_number(lambda number: number[:1] == "-" and number[1:] == "0" * max(1, len(number) - 1)),
    "leading_zero": of_number(
        lambda number: unsigned(number, "-")[:1] == "0" and all_digits(unsigned(number, "-")[1:])
    ),
    "thousands_separator": of_number(is_grouped),
    "decimal": of_number(is_decimal),
    "scientific_notation": of_number(is_scientific),
    "trailing_punctuation": of_number(is_punctuated),
    "too_many_digits": of_number(
        lambda number: (
            all_digits(unsigned(number, "-")) and unsigned(number, "-")[0] != "0" and len(unsigned(number, "-")) > 18
        )
    ),
    "expression": of_number(is_calculation),
    "extra_text_after": of_number(lambda number: unsigned(number, "-")[:1] in tuple(DIGITS)),
    "not_an_integer": of_number(lambda number: number != ""),
}
assert list(FITS) == list(CODES)[2:-1], "the order of the table"


def code_of(text: str, expected: int) -> str | None:
    """The code of a text: the first that fits. Raises StopIteration if none does."""
    if len(text) > MAX_CHARACTERS:
        return "too_long"
    line = trimmed(text)
    number = number_of(line)
    if number is not None:
        return None if number == expected else "wrong_answer"
    return next(code for code, fits in FITS.items() if fits(line))


# Completions to try.

MARKS = (
    "</s>",
    "<|im_end|>",
    "<|eot_id|>",
    "[/INST]",
    "<end_of_turn>",
    "<|endoftext|>",
    "**",
    "`",
    "$",
    '"',
    "\\n",
    "<b>",
)
NASTY = (
    *" \t\n\r\v\f\0\x1b\x1c\x7f\x85\u00a0\u00ad\u0301\u0661\u0969\u180e\u200b\u200e\u2028\u2029\u202e\u2060\u2212",
    *"\u2800\u3000\u3164\ufe0f\ufeff\uff0b\uff0d\uff11\uff1a\uff26\u0456\u0430\u00b2\u2461\u2153\U0001d7d1\U000e0031\ud800",
    *"\udfff\u22360123456789+-.,:;_'!?%=/*^()xeEFfinal",
    *("Final", "final", "FINAL", "Final:", "Final: ", ": ", "  ", "-0", "00", "1,000", "1e3", "0x1f", " - ", "10" * 9),
)
NEAR = (  # the right number, in a form that is not right
    *(
        "Final: +{}",
        "Final: 0{}",
        "Final: -0{}",
        "Final: -{}",
        "Final: {:,}",
        "Final: {:_}",
        "Final: {}.0",
        "Final: {}e0",
    ),
    *("Final: {}.", "Final: {},", "Final: {} apples", "Final: {}%", "Final: {} or 5", "Final: {}+0", "Final: 1*{}"),
    *("Final: {}\nDone.", "Final: {}\nFinal: 5", "Final: 5\nFinal: {}", "Final: {0} Final: {0}", "So\nFinal: {}"),
    *("{}", "{}.", "Final answer: {}", "Answer: {}", "I think Final: {}", "\\boxed{{{}}}", "Final: \\boxed{{{}}}"),
    *(
        "final: {}",
        "FINAL: {}",
        "Final {}",
        "Final = {}",
        "Final:{}",
        "Final:\t{}",
        "Final:  {}",
        "Final : {}",
        "Final:\n{}",
    ),
)
EDGES = (0, 1, -1, 10, -10, 323, 10**18 - 1, 1 - 10**18, 2**31, 2**32, 2**53 + 1, -(2**53) - 1, 10**17)


def completions(seed: int) -> Iterator[tuple[int, str]]:
    """(expected answer, completion), without end: right lines, lines spoilt in a few places, and nothing alike."""
    rng = random.Random(seed)
    while True:
        expected = rng.randrange(-(10 ** rng.randint(1, 18)), 10 ** rng.randint(1, 18))
        expected = rng.choice(EDGES) if rng.random() < 0.3 else expected
        text, kind = f"Final: {expected}", rng.random()
        if kind < 0.05:
            text = rng.choice(NEAR).format(expected)
        elif kind < 0.15:
            others = (expected + 1, -expected, expected + 2 ** rng.randint(1, 64), expected * 10, expected // 10)
            text = f"Final: {rng.choice(others)}"
        elif kind < 0.2:
            text = rng.choice(("Final: ", "Final: -", "")) + str(rng.randrange(10 ** rng.randint(1, 60)))
        elif kind < 0.4:
            text = "".join(rng.choices(rng.choice((NASTY, "0123-+.,_e' *")), k=rng.randint(0, 7)))
            text = rng.choice(("Final: ", "Final:", "final", "Final", "", "")) + text
        elif kind < 0.8:
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
                text = edited(text, rng)
        if rng.random() < 0.2:
            text = rng.choice(("", *MARKS)) + text + rng.choice(("", *MARKS))
        if rng.random() < 0.3:
            before, after = ("".join(rng.choices(" \t\r\n", k=rng.randint(0, 3))) for _ in range(2))
            text = before + text + after
        if rng.random() < 0.001:
            text += rng.choice(" \n0x") * (MAX_CHARACTERS - len(text) + rng.randint(-2, 2))
        yield expected, text


def edited(text: str, rng: random.Random) -> str:
    """The text with a piece put in, taken out, replaced, doubled, or put in another case, at one place."""
    place = rng.randint(0, len(text))
    before, after = text[:place], text[place:]
    if rng.random() < 0.1:
        return before + chr(rng.randrange(rng.choice((0x100, 0x3000, 0x110000)))) + after
    piece = rng.choice(NASTY)
    choices = (before + piece + after, before + after[1:], before + piece + after[1:], before + after[:1] + after)
    return rng.choice((*choices, before + after[:1].swapcase() + after[1:]))


def compare(count: int, seed: int = 2026) -> tuple[Counter[str], list[tuple[int, str]]]:
    """How often each code (`None`: a reward) was given, and where the two writings disagree."""
    given: Counter[str] = Counter()
    disagree = []
    for expected, text in islice(completions(seed), count):
        result = score({"expected_answer": expected}, text)
        code = result["details"]["code"]
        given[str(code)] += 1
        if code != code_of(text, expected) or result["reward"] != float(spec_accepts(text, expected)):
            disagree.append((expected, text))
    return given, disagree


if __name__ == "__main__":
    given, disagree = compare(*(int(word) for word in sys.argv[1:]))
    print(*(f"{count:12,}  {code}" for code, count in given.most_common()), sep="\n")
    print(f"{given['None']:,} rewards among {sum(given.values()):,} completions, {len(disagree):,} disagreements")
    print(*map(ascii, disagree[:20]), sep="\n")
