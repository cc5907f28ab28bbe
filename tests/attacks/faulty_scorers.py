"""Scorers that are each wrong about one class of completions, for the golden gate to find.

Apart from its one fault each gives what the true scorer gives. `course/grading/mutants.py` holds those that a student's
tests are tried on; these are more, and sillier.
"""

import html
import json
import math
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from course.grading.mutants import INTEGER, Result, Score, altered, equals, reads, reads_pattern, refuses, with_outcome
from course.score import as_text, parse, trim
from course.score import score as true_score

Made = Callable[[], Score]


def undoes(change: Callable[[str], str]) -> Made:
    """Reads what `change` makes of the text."""
    return reads(lambda text: parse(trim(change(text))))


def strips(*pieces: str) -> Made:
    """Takes any of these off the ends, as often as they stand there, and trims again."""

    def change(text: str) -> str:
        text, before = trim(text), ""
        while text != before:
            before = text
            for piece in pieces:
                text = trim(text.removesuffix(piece).removeprefix(piece))
        return text

    return undoes(change)


def deletes(pattern: str) -> Made:
    """Deletes every match, wherever it stands."""
    return undoes(lambda text: re.sub(pattern, "", text))


def takes(kind: type | tuple[type, ...], text_of: Callable[[Any], Any]) -> Made:
    """Reads a completion of another type."""

    def alter(result: Result, completion: object) -> Result:
        if not isinstance(completion, kind) or isinstance(completion, str):
            return result
        text = text_of(completion)
        extracted = parse(trim(text)) if isinstance(text, str) else None
        return with_outcome(result, float(extracted == result["details"]["expected"]), extracted)

    return altered(alter)


def after_prefix(value: Callable[[str], Any]) -> Made:
    """Reads what stands after `Final: ` in a way of its own; what that raises is no number."""

    def reader(text: str) -> int | None:
        line = trim(text)
        if not line.startswith("Final: "):
            return None
        try:
            number = value(line[7:])
            return int(number) if number == int(number) else None
        except (ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError):
            return None

    return reads(reader)


def pays_if(paid: Callable[[str, int], bool]) -> Made:
    """Pays for other texts too, without reading a number in them."""

    def alter(result: Result, completion: object) -> Result:
        text = as_text(completion)
        if result["reward"] == 0.0 and text is not None and paid(text, result["details"]["expected"]):
            return with_outcome(result, 1.0, result["details"]["expected"])
        return result

    return altered(alter)


def without_limit(cut: Callable[[str], str]) -> Made:
    """Reads a text that is too long, or a part of it."""

    def alter(result: Result, completion: object) -> Result:
        extracted = parse(trim(cut(completion))) if isinstance(completion, str) else None
        return with_outcome(result, float(extracted == result["details"]["expected"]), extracted)

    return altered(alter)


def calculated(text: str) -> Any:
    if not re.fullmatch(r"[-+*/() 0-9.~<>&|^bxoA-Fa-fXBO]{1,40}", text) or "**" in text:
        raise ValueError(text)
    return eval(text, {"__builtins__": {}})


def words(text: str) -> int:
    return {"three hundred twenty-three": 323, "three hundred and twenty-three": 323, "eight": 8, "zero": 0}[
        text.lower().rstrip(".")
    ]


def roman(text: str) -> int:
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    digits = [values[character] for character in text]
    return sum(-a if a < b else a for a, b in zip(digits, [*digits[1:], 0], strict=True))


def json_answer(text: str) -> int | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return parse(value[0])
    found = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else None
    return found if type(found) is int else None


def digits_only(text: str) -> int | None:
    found = re.sub(r"[^0-9]", "", text)
    return int(found) if 0 < len(found) <= 18 else None


CHAT_ENDS = (
    *("</s>", "<s>", "<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>"),
    *("[/INST]", "[INST]", "<end_of_turn>", "<start_of_turn>", "<eos>", "<bos>", "<pad>", "[EOS]", "[SEP]", "[PAD]"),
    *("<|return|>", "<|assistant|>", "<|eom_id|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<unk>", "<|user|>"),
)
TAIL = "\u0085\u2028\u2029\v\f\x1c\x1d\x1e\x1f"


def wrapped(opening: str, closing: str) -> Made:
    """The number stands between two marks."""
    return reads_pattern(rf"Final: {re.escape(opening)} ?({INTEGER}) ?{re.escape(closing)}")


def around(opening: str, closing: str) -> Made:
    """The whole line stands between two marks."""
    return reads_pattern(rf"(?s){re.escape(opening)}\s*Final: ({INTEGER})\s*{re.escape(closing)}")


FAULTY: dict[str, Made] = {
    # What a chat template leaves.
    **{f"takes {mark} off the ends": strips(mark) for mark in CHAT_ENDS},
    "cuts at the first special token": undoes(lambda text: re.split(r"<[|/a-z]|\[/", text)[0]),
    "drops the thinking before": reads_pattern(rf"(?s)<think>.*</think>\s*Final: ({INTEGER})"),
    "drops a role before": reads_pattern(rf"(?i:assistant|model|a): ?\n?Final: ({INTEGER})"),
    "reads the answer tag": reads_pattern(rf"<answer>(?:Final: )?({INTEGER})</answer>"),
    # Types.
    "decodes bytes": takes(bytes, lambda given: given.decode()),
    "decodes a bytearray": takes(bytearray, lambda given: given.decode()),
    "decodes every buffer": takes((bytes, bytearray, memoryview), lambda given: bytes(given).decode()),
    "asks any object for its text": takes(object, str),
    "asks any object for its representation": takes(object, lambda given: f"Final: {given!r}"),
    "takes an integer": takes(int, lambda given: f"Final: {int(given)}"),
    "takes a whole float": takes(float, lambda given: f"Final: {given:.0f}"),
    "takes a list of one": takes(list, lambda given: given[0] if len(given) == 1 else None),
    "takes the last of a list": takes(list, lambda given: given[-1] if given else None),
    "joins a list": takes(list, lambda given: "".join(map(str, given))),
    "takes a record's completion": takes(dict, lambda given: given.get("completion")),
    "takes a record's text": takes(dict, lambda given: given.get("text")),
    "takes a message's content": takes(dict, lambda given: given.get("content")),
    "takes a list of messages": takes(
        list, lambda given: given[-1].get("content") if type(given[-1]) is dict else None
    ),
    "takes null for zero": takes(type(None), lambda given: "Final: 0"),
    # Markup and quotes.
    "drops asterisks": deletes(r"\*+"),
    "drops bold around the line": around("**", "**"),
    "drops bold around the number": wrapped("**", "**"),
    "drops bold around the word": reads_pattern(rf"\*\*Final:\*\* ({INTEGER})"),
    "drops italics": around("_", "_"),
    "drops strike-through": around("~~", "~~"),
    "drops backticks": deletes("`"),
    "drops a code fence": reads_pattern(rf"(?s)```\w*\nFinal: ({INTEGER})\n```"),
    "drops a list mark": reads_pattern(rf"[-*\u2022] Final: ({INTEGER})"),
    "drops a list number": reads_pattern(rf"1[.)] Final: ({INTEGER})"),
    "drops a heading": reads_pattern(rf"#+ Final: ({INTEGER})"),
    "drops a quotation": reads_pattern(rf"> ?Final: ({INTEGER})"),
    "drops straight quotes": deletes("[\"']"),
    "drops quotes around the number": wrapped('"', '"'),
    "drops curly quotes": deletes("[\u201c\u201d\u2018\u2019]"),
    "drops single quotes around the line": around("'", "'"),
    "drops dollars": deletes(r"\$"),
    "drops mathematics around the number": wrapped("\\(", "\\)"),
    "drops mathematics around the line": around("$", "$"),
    "reads a box": reads_pattern(rf"Final: \\boxed\{{({INTEGER})\}}"),
    "reads a bare box": reads_pattern(rf"\\boxed\{{({INTEGER})\}}"),
    "reads a box around the line": reads_pattern(rf"\\boxed\{{Final: ({INTEGER})\}}"),
    "reads a macro of text": reads_pattern(rf"Final: \\text\{{({INTEGER})\}}"),
    "drops backslashes": deletes(r"\\"),
    "drops HTML tags": deletes(r"</?[a-z]+ ?/?>"),
    "drops angle brackets": wrapped("<", ">"),
    "drops square brackets": wrapped("[", "]"),
    "drops curly brackets": wrapped("{", "}"),
    "drops round brackets": wrapped("(", ")"),
    "reads HTML entities": undoes(html.unescape),
    "reads URL escapes": undoes(urllib.parse.unquote),
    "reads unicode escapes": undoes(lambda text: re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)),
    "reads an escaped newline": strips("\\n", "\\r\\n"),
    "reads JSON": reads(json_answer),
    "reads an answer tag of its own": reads_pattern(rf"<final>({INTEGER})</final>"),
    # White space and what cannot be seen.
    "trims as str.strip does": undoes(str.strip),
    "trims vertical tabs and form feeds": undoes(lambda text: text.strip("\v\f")),
    "trims a next-line": strips("\u0085"),
    "trims separators of files and groups": undoes(lambda text: text.strip("\x1c\x1d\x1e\x1f")),
    "takes the first line of splitlines": undoes(
        lambda text: (text.splitlines() or [""])[0] if text[-1:] in TAIL else ""
    ),
    "drops a byte-order mark before": undoes(lambda text: text.removeprefix("\ufeff")),
    "drops a byte-order mark after": undoes(lambda text: text.removesuffix("\ufeff")),
    "drops nulls after": undoes(lambda text: text.rstrip("\0")),
    "drops nulls before": undoes(lambda text: text.lstrip("\0")),
    "drops nulls anywhere": deletes("\0"),
    "ends at a null": undoes(lambda text: text.split("\0")[0] if "\0" in text else ""),
    "drops controls": deletes(r"[\x00-\x08\x0e-\x1f\x7f]"),
    "drops colours of a terminal": deletes(r"\x1b\[[0-9;]*m"),
    "drops backspaces": undoes(lambda text: re.sub(r".\x08", "", text)),
    "drops format characters": undoes(lambda text: "".join(c for c in text if unicodedata.category(c) != "Cf")),
    "drops zero-width characters after": undoes(lambda text: text.rstrip("\u200b\u200c\u200d\u2060")),
    "drops a word joiner": deletes("\u2060"),
    "drops direction marks": deletes("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]"),
    "drops variation selectors": deletes("[\ufe00-\ufe0f]"),
    "drops tag characters": deletes("[\U000e0000-\U000e007f]"),
    "drops combining marks": undoes(lambda text: "".join(c for c in text if not unicodedata.combining(c))),
    "drops soft hyphens": deletes("\u00ad"),
    "drops Hangul fillers": deletes("[\u3164\uffa0\u115f\u1160]"),
    "drops braille blanks": deletes("\u2800"),
    "drops what is not ASCII": undoes(lambda text: text.encode("ascii", "ignore").decode()),
    "drops lone surrogates": undoes(lambda text: text.encode("utf-8", "ignore").decode()),
    "takes any space for the space": reads_pattern(rf"Final:\s({INTEGER})"),
    "takes a tab for the space": reads_pattern(rf"Final:\t({INTEGER})"),
    "takes a space before the colon": reads_pattern(rf"Final : ({INTEGER})"),
    "takes several spaces": reads_pattern(rf"Final: +({INTEGER})"),
    "takes a space after the sign": after_prefix(lambda text: int(text.replace("- ", "-"))),
    "drops spaces among the digits": after_prefix(lambda text: int(text.replace(" ", ""))),
    "drops all white space": undoes(lambda text: re.sub(r"\s+", "", text).replace("Final:", "Final: ")),
    # Words, and what stands around.
    "takes any word before the colon": reads_pattern(rf"[A-Za-z ]+: ({INTEGER})"),
    "takes Final answer": reads_pattern(rf"(?i)Final answer: ({INTEGER})"),
    "takes Answer": reads_pattern(rf"Answer: ({INTEGER})"),
    "takes #### as a benchmark does": reads_pattern(rf"#### ({INTEGER})"),
    "takes FINAL": reads_pattern(rf"FINAL: ({INTEGER})"),
    "takes final": reads_pattern(rf"final: ({INTEGER})"),
    "takes any case but the two usual": reads_pattern(rf"(?!final|FINAL)(?i:final): ({INTEGER})"),
    "takes an equals sign": reads_pattern(rf"Final ?= ?({INTEGER})"),
    "takes a dash": reads_pattern(rf"Final - ({INTEGER})"),
    "takes an arrow": reads_pattern(rf"Final ?(?:->|=>|\u2192) ?({INTEGER})"),
    "takes a semicolon": reads_pattern(rf"Final; ({INTEGER})"),
    "takes two colons": reads_pattern(rf"Final:: ({INTEGER})"),
    "takes no colon": reads_pattern(rf"Final ({INTEGER})"),
    "takes no space": reads_pattern(rf"Final:({INTEGER})"),
    "takes a full-width colon": undoes(lambda text: text.replace("\uff1a", ":")),
    "takes other colons": undoes(lambda text: re.sub("[\u2236\ua789\u02d0\u05c3]", ":", text)),
    "takes full-width letters": undoes(lambda text: unicodedata.normalize("NFKC", text)),
    "takes Cyrillic letters": undoes(lambda text: text.replace("\u0430", "a").replace("\u0456", "i")),
    "anywhere": pays_if(lambda text, n: re.search(rf"(?<![0-9]){n}(?![0-9])", text) is not None),
    "anywhere after the word": pays_if(lambda text, n: re.search(rf"Final:.*\b{n}\b", text) is not None),
    "the last number": pays_if(lambda text, n: (re.findall(r"-?[0-9]+", text) or [""])[-1] == str(n)),
    "the first number": pays_if(lambda text, n: (re.findall(r"-?[0-9]+", text) or [""])[0] == str(n)),
    "the last line": pays_if(lambda text, n: trim(text).split("\n")[-1] == f"Final: {n}"),
    "the first line": pays_if(lambda text, n: trim(text).split("\n")[0] == f"Final: {n}"),
    "any line": pays_if(lambda text, n: f"Final: {n}" in text.split("\n")),
    "the same line twice": reads_pattern(rf"Final: ({INTEGER})(?:\nFinal: \1)+"),
    "begins so": pays_if(lambda text, n: trim(text).startswith(f"Final: {n}")),
    "ends so": pays_if(lambda text, n: trim(text).endswith(f"Final: {n}")),
    "the first fifty characters": pays_if(lambda text, n: len(text) > 50 and trim(text[:50]) == f"Final: {n}"),
    "the last fifty characters": pays_if(lambda text, n: len(text) > 50 and trim(text[-50:]) == f"Final: {n}"),
    "the first 10,000 characters": without_limit(lambda text: text[:10_000]),
    "no limit": without_limit(lambda text: text),
    "drops a comment": undoes(lambda text: re.split(r" *(?:#|//|<!--)", text)[0] if text[:1] == "F" else ""),
    "asks the completion": pays_if(lambda text, n: "<reward>1" in text or "correct" in text.lower()),
    "pays for silence": pays_if(lambda text, n: not trim(text)),
    "pays for the form line": pays_if(lambda text, n: "<int>" in text),
    "pays for the prompt": pays_if(lambda text, n: text.startswith("Compute")),
    "pays for no number": pays_if(lambda text, n: trim(text) == "Final:"),
    # What stands after the number.
    **{f"drops {mark} after": strips(mark) for mark in (",", ".", ";", "!", "?", ")", "...", "\u2026", ":", "\u3002")},
    "drops an ellipsis": undoes(lambda text: re.sub(r"(\.\.\.|\u2026)$", "", trim(text))),
    "drops a per cent sign": reads_pattern(rf"Final: ({INTEGER}) ?%"),
    "drops a unit": reads_pattern(rf"Final: ({INTEGER}) ?[A-Za-z]+"),
    "drops a unit without a space": reads_pattern(rf"Final: ({INTEGER})[A-Za-z]+"),
    "drops a degree": reads_pattern(rf"Final: ({INTEGER}) ?\u00b0C?"),
    "drops a currency before": reads_pattern(rf"Final: [$\u20ac\u00a3] ?({INTEGER})"),
    "drops a currency after": reads_pattern(rf"Final: ({INTEGER}) ?[$\u20ac\u00a3]"),
    "drops a remark in brackets": reads_pattern(rf"Final: ({INTEGER}) \(.*\)"),
    "drops a tick": reads_pattern(rf"Final: ({INTEGER}) ?[\u2713\u2714\u2705\U0001f389]"),
    "drops text of more lines": reads_pattern(rf"(?s)Final: ({INTEGER})\n.*"),
    "drops a rest after a space": reads_pattern(rf"Final: ({INTEGER}) .*"),
    # Ways to write the number.
    "takes what int() takes": after_prefix(int),
    "takes what int(text, 0) takes": after_prefix(lambda text: int(text, 0)),
    "takes hexadecimal": after_prefix(lambda text: int(text, 16) if text[:2] in ("0x", "0X") else None),
    "takes binary": after_prefix(lambda text: int(text, 2) if text[:2] == "0b" else None),
    "takes octal": after_prefix(lambda text: int(text, 8) if text[:2] == "0o" else None),
    "takes what float() takes": after_prefix(float),
    "cuts what float() takes": after_prefix(lambda text: math.trunc(float(text))),
    "rounds what float() takes": after_prefix(lambda text: round(float(text))),
    "takes a decimal comma": after_prefix(lambda text: float(text.replace(",", "."))),
    "takes a fraction": after_prefix(lambda text: int(text.split("/")[0]) / int(text.split("/")[1])),
    "takes a product": after_prefix(lambda text: int(text.split("*")[0]) * int(text.split("*")[1])),
    "takes a sum": after_prefix(lambda text: int(text.split("+")[0]) + int(text.split("+")[1])),
    "takes what eval takes": after_prefix(calculated),
    "takes the result of an equation": reads_pattern(rf"Final: [-+*/0-9 ]+ ?= ?({INTEGER})"),
    "takes a variable": reads_pattern(rf"Final: [a-z] ?= ?({INTEGER})"),
    "takes a plus sign": reads_pattern(r"Final: \+([0-9]{1,18})"),
    "takes two minus signs": reads_pattern(r"Final: --([0-9]{1,18})"),
    "takes a minus after": after_prefix(lambda text: -int(text[:-1]) if text[-1] == "-" else None),
    "takes an accountant's minus": after_prefix(lambda text: -int(text[1:-1]) if text[0] + text[-1] == "()" else None),
    "takes the word minus": after_prefix(lambda text: -int(text[6:]) if text[:6].lower() == "minus " else None),
    "takes a typographic minus": undoes(lambda text: text.replace("\u2212", "-")),
    "takes dashes": undoes(lambda text: re.sub("[\u2010-\u2015\uff0d\ufe63]", "-", text)),
    "takes leading zeros": reads_pattern(r"Final: (-?0+[0-9]{1,17})"),
    "takes minus zero": reads_pattern("Final: (-0)"),
    "takes commas": after_prefix(lambda text: int(text.replace(",", ""))),
    "takes points among the digits": after_prefix(lambda text: int(text.replace(".", ""))),
    "takes underscores": after_prefix(lambda text: int(text.replace("_", ""))),
    "takes apostrophes": after_prefix(lambda text: int(text.replace("'", "").replace("\u2019", ""))),
    "takes narrow spaces among the digits": after_prefix(lambda text: int(re.sub("[\u00a0\u2009\u202f]", "", text))),
    "takes full-width digits": undoes(lambda text: re.sub("[\uff10-\uff19]", lambda m: chr(ord(m[0]) - 0xFEE0), text)),
    "takes digits of every script": after_prefix(lambda text: int(text) if re.fullmatch(r"\d+", text) else None),
    "takes superscripts": undoes(lambda text: text.translate({0xB2: "2", 0xB3: "3", 0xB9: "1"})),
    "takes circled digits": undoes(lambda text: re.sub("[\u2460-\u2468]", lambda m: chr(ord(m[0]) - 0x242F), text)),
    "takes keycaps": deletes("[\ufe0f\u20e3]"),
    "takes words": after_prefix(words),
    "takes Roman numerals": after_prefix(roman),
    "takes Chinese numerals": after_prefix({"\u4e09\u767e\u4e8c\u5341\u4e09": 323}.__getitem__),
    "takes letters for digits": undoes(lambda text: text[:7] + text[7:].translate({ord("O"): "0", ord("l"): "1"})),
    "takes the digits and nothing else": reads(digits_only),
    "takes more than 18 digits": after_prefix(lambda text: int(text[:4000])),
    # Ways to compare.
    "never compares": equals(lambda n, expected: True),
    "never compares long numbers": equals(lambda n, expected: abs(n) >= 10**15),
    "never compares long answers": equals(lambda n, expected: abs(expected) >= 10**15),
    "compares no sign": equals(lambda n, expected: abs(n) == abs(expected)),
    "compares as floats": equals(lambda n, expected: float(n) == float(expected)),
    "compares as small floats": equals(lambda n, expected: math.isclose(n, expected, rel_tol=2**-24)),
    "compares closely": equals(lambda n, expected: math.isclose(n, expected, rel_tol=1e-9)),
    "compares within one": equals(lambda n, expected: abs(n - expected) <= 1),
    "compares within ten": equals(lambda n, expected: abs(n - expected) <= 10),
    "compares within one per cent": equals(lambda n, expected: abs(n - expected) <= abs(expected) / 100),
    "compares 8 bits": equals(lambda n, expected: n % 2**8 == expected % 2**8),
    "compares 16 bits": equals(lambda n, expected: n % 2**16 == expected % 2**16),
    "compares 31 bits": equals(lambda n, expected: n % 2**31 == expected % 2**31),
    "compares 32 bits": equals(lambda n, expected: n % 2**32 == expected % 2**32),
    "compares 53 bits": equals(lambda n, expected: n % 2**53 == expected % 2**53),
    "compares 64 bits": after_prefix(lambda text: int(text[:25]) % 2**64 if len(text) > 18 else None),
    "compares by Python's hash of integers": after_prefix(
        lambda text: hash(int(text[:25])) if len(text) > 18 else None
    ),
    "compares modulo a prime": equals(lambda n, expected: n % (10**9 + 7) == expected % (10**9 + 7)),
    "compares the last digit": equals(lambda n, expected: n % 10 == expected % 10),
    "compares the last three digits": equals(lambda n, expected: n % 1000 == expected % 1000),
    "compares the last nine digits": equals(lambda n, expected: n % 10**9 == expected % 10**9),
    "compares the first digit": equals(lambda n, expected: str(n)[0] == str(expected)[0]),
    "compares the first fifteen digits": equals(lambda n, expected: str(n)[:15] == str(expected)[:15]),
    "compares the first seventeen digits": equals(lambda n, expected: str(n)[:17] == str(expected)[:17]),
    "compares the length": equals(lambda n, expected: len(str(n)) == len(str(expected))),
    "compares the sum of digits": equals(
        lambda n, expected: sum(map(int, str(abs(n)))) == sum(map(int, str(abs(expected))))
    ),
    "compares sorted digits": equals(lambda n, expected: sorted(str(n)) == sorted(str(expected))),
    "compares digits backwards": equals(lambda n, expected: str(n) == str(expected)[::-1]),
    "compares as a beginning": equals(lambda n, expected: str(expected).startswith(str(n))),
    "compares as another beginning": equals(lambda n, expected: str(n).startswith(str(expected))),
    "compares as an end": equals(lambda n, expected: str(n).endswith(str(expected))),
    "compares as a part": equals(lambda n, expected: str(expected) in str(n)),
    "compares parity": equals(lambda n, expected: n % 2 == expected % 2),
    "compares the sign alone": equals(lambda n, expected: (n > 0) - (n < 0) == (expected > 0) - (expected < 0)),
    "compares the truth": equals(lambda n, expected: bool(n) == bool(expected)),
    "takes larger for right": equals(lambda n, expected: n >= expected),
    "takes smaller for right": equals(lambda n, expected: n <= expected),
    "takes a multiple for right": equals(lambda n, expected: expected != 0 and n % expected == 0),
    "takes ten times for right": equals(lambda n, expected: n == 10 * expected),
    "takes a hundred times for right": equals(lambda n, expected: n == 100 * expected),
    # Right answers refused.
    "refuses zero": refuses(lambda _, n: n == 0),
    "refuses one": refuses(lambda _, n: n == 1),
    "refuses negative numbers": refuses(lambda _, n: n < 0),
    "refuses past 16 bits": refuses(lambda _, n: abs(n) >= 2**16),
    "refuses past 31 bits": refuses(lambda _, n: abs(n) >= 2**31),
    "refuses past 32 bits": refuses(lambda _, n: abs(n) > 2**32),
    "refuses past 53 bits": refuses(lambda _, n: abs(n) > 2**53),
    "refuses 18 digits": refuses(lambda _, n: abs(n) >= 10**17),
    "refuses more than 9 digits": refuses(lambda _, n: abs(n) >= 10**9),
    "refuses one digit": refuses(lambda _, n: abs(n) < 10),
    "refuses a last zero": refuses(lambda _, n: n != 0 and n % 10 == 0),
    **{f"refuses the digit {digit}": refuses(lambda _, n, digit=digit: digit in str(n)) for digit in "0123456789"},  # type: ignore[misc]
    "refuses a newline after": refuses(lambda text, _: text[-1] == "\n"),
    "refuses a newline before": refuses(lambda text, _: text[0] == "\n"),
    "refuses a space before": refuses(lambda text, _: text[0] == " "),
    "refuses a space after": refuses(lambda text, _: text[-1] == " "),
    "refuses a carriage return": refuses(lambda text, _: "\r" in text),
    "refuses a tab": refuses(lambda text, _: "\t" in text),
    "refuses long white space": refuses(lambda text, _: len(text) > 40),
    "refuses very long white space": refuses(lambda text, _: len(text) > 1000),
    "refuses the last of 10,000 characters": refuses(lambda text, _: len(text) >= 10_000),
}


# Results that are no score.


def gives(result: object) -> Score:
    """Gives this for a right answer, whatever it is, and the true result for all others."""

    def scorer(example: Mapping[str, Any], completion: object) -> Any:
        true = true_score(example, completion)
        return result if true["reward"] == 1.0 else true

    return scorer


def pays(reward: object) -> Score:
    """Gives this reward for whatever is wrong, and the true result for all else."""

    def scorer(example: Mapping[str, Any], completion: object) -> Result:
        true = true_score(example, completion)
        return true if true["reward"] == 1.0 else {**true, "reward": reward}

    return scorer


def raises(error: BaseException) -> Score:
    def scorer(example: Mapping[str, Any], completion: object) -> Result:
        if completion is None:
            raise error
        return true_score(example, completion)

    return scorer
