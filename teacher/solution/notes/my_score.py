"""The scorer, written from docs/spec.md without a pattern: the number is in form if it is what Python would print."""


def score(example: dict, completion: object) -> dict:
    """The reward of a completion, any object, of an example with its `expected_answer`."""
    code = why_not(example["expected_answer"], completion)
    return {"reward": 1.0 if code is None else 0.0, "details": {"code": code}}


def why_not(expected: int, completion: object) -> str | None:
    """Which rule of the spec a completion breaks first, or None."""
    if not isinstance(completion, str):
        return "not_text"
    if len(completion) > 10_000:
        return "too_long"
    word, _, number = completion.strip(" \t\r\n").partition(" ")
    digits = number.removeprefix("-")
    if word != "Final:":
        return "other_line"
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18 and str(int(number)) == number):
        return "not_an_integer"
    return None if int(number) == expected else "wrong_answer"
