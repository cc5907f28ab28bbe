"""Ask the scorer about one completion: its reward, and why.

    python -m course.try_one 8 "Let me calculate... 15 - 7 = 8. Final: 8"
    python -m course.try_one 323 "Final: 322\\nFinal: 323" --escapes --rubrics

First the expected answer, then the completion. `--escapes` reads \\n, \\t and \\u00a0 in it as Python would;
`--rubrics` adds what the deliberately weak rubrics pay for the same text, `--holes` why: it names the hole of each,
which milestone 5 asks you to find.
"""

import re
from dataclasses import dataclass

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, table, unusual_characters, visible
from course.core.files import InputError
from course.rubrics import RUBRICS
from course.score import CODES, score

ESCAPE = re.compile(r"\\(?:n|r|t|\\|u[0-9a-fA-F]{4}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})")


def with_escapes(text: str) -> str:
    """The text with its escapes read: newline, tab, backslash and characters by their code."""
    plain = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}
    return ESCAPE.sub(lambda match: plain.get(match[0]) or chr(int(match[0][2:], 16)), text)


@dataclass(frozen=True, kw_only=True)
class Settings:
    expected: int = option(help="the expected answer", positional=True)
    completion: str = option(help="the completion, in quotes", positional=True)
    escapes: bool = option(False, r"read \n, \t and \u00a0 in the completion")
    rubrics: bool = option(False, "show what the weak rubrics pay, too")
    holes: bool = option(False, "show their holes besides: a spoiler for milestone 5")


def main() -> int:
    settings = parse("course.try_one", "Ask the scorer about one completion.", Settings)
    example = {"expected_answer": settings.expected}
    text = with_escapes(settings.completion) if settings.escapes else settings.completion
    try:
        result = score(example, text)
    except ValueError as error:
        raise InputError("expected", str(error)) from None
    details, code = result["details"], result["details"]["code"]
    out = console()
    out.print(f"completion: `{visible(text)}`")
    for line in unusual_characters(text):
        out.print(f"            {line}")
    out.print(f"reward:     {result['reward']:g}")
    out.print(f"code:       {code or 'none: it passes'}{f' ({CODES[code]})' if code else ''}")
    out.print(f"extracted:  {details['extracted']}, expected {details['expected']}")
    if settings.rubrics or settings.holes:
        out.print()
        rows = table("weak rubric", ">it pays", *(["its hole"] if settings.holes else []))
        for rubric in RUBRICS.values():
            pays = f"{rubric.score(example, text)['reward']:g}"
            rows.add_row(rubric.name, pays, *([rubric.hole] if settings.holes else []))
        out.print(rows)
    return DONE


if __name__ == "__main__":
    run_command(main)
