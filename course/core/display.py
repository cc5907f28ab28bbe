"""What a command shows: tables, progress, numbers in words, and text whose hidden characters can be seen."""

import json
import os
import re
import shlex
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, TimeElapsedColumn
from rich.protocol import is_renderable
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from course.core.files import InputError, reason_of

PIPED_WIDTH = 200
SMALLEST_P = 1e-300  # below it a p-value has no digits
STAND_INS = "·→↵\u115f\u1160\u2800\u3164\uffa0"  # what stands for the unseen, and letters that show nothing
SIGNS = {"\n": "↵", "\t": "→", " ": " "}
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp", "Mn", "Me"}
MIDDLE = re.compile(r"(?<=[^\n])\n+(?=[^\n])")  # newlines with text before and after


class SafeConsole(Console):
    """The one way out to a terminal: characters that would steer it, or that hide, are shown and not obeyed.

    A string, or a cell of a table, is one line: a newline in its middle came from a file, and is shown as `↵`. To
    print several lines, pass several strings and `sep="\\n"`.
    """

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(on_screen(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):  # a `Text` never was a string here
            yield segment if segment.control else Segment(without_controls(segment.text), segment.style)

    def print(self, *objects: Any, **how: Any) -> None:
        """Raises InputError where nothing more can be written."""
        try:
            super().print(*(thing if is_renderable(thing) else str(thing) for thing in objects), **how)
        except OSError as error:
            raise InputError("the output", reason_of(error)) from None

    def on_broken_pipe(self) -> None:
        """The reader, `head` say, has seen enough: the command goes on, and what it prints goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def console(stderr: bool = False) -> Console:
    """Where a command prints. Plain and wide when piped; NO_COLOR is respected. Square brackets are plain text."""
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return SafeConsole(
        stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True, width=PIPED_WIDTH if piped else None
    )


def print_json(value: Any) -> None:
    """Print a value as JSON: what hides is escaped as JSON escapes it, so that a reader gets the value back."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    lines = "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text).replace("\x7f", "\\u007f")
    console().print(*lines.split("\n"), sep="\n")


def on_screen(text: str) -> str:
    """A line as it may be printed: newlines in its middle, and what would steer a terminal or hide, made visible."""
    return text if text.isprintable() else without_controls(MIDDLE.sub(lambda found: "↵" * len(found[0]), text))


def without_controls(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else visible_character(c) for c in text)


def table(*columns: str, title: str | None = None) -> Table:
    """A table in the course's one style; a column whose name begins with `>` is aligned right."""
    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "header_style": "bold"}
    made = Table(title=title, box=None, padding=(0, 2, 0, 0), **style)
    for column in columns:
        side: Any = "right" if column.startswith(">") else "left"
        made.add_column(column.removeprefix(">"), justify=side, overflow="fold")
    return made


def filled(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table of text that is there already."""
    made = table(*columns)
    for row in rows:
        made.add_row(*row)
    return made


@contextmanager
def progress(description: str, total: float) -> Iterator[Callable[[float], Any]]:
    """A progress bar on the error stream, seen on a terminal only. Yields `set(completed)`."""
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=total)
        yield lambda completed: bar.update(task, completed=completed)


def notice(*sentences: str) -> None:
    """What to notice: each in a paragraph of its own, wrapped for reading."""
    console().print("\nWhat to notice:")
    for sentence in sentences:
        indents: dict[str, Any] = {"initial_indent": "- ", "subsequent_indent": "  "}
        console().print(*textwrap.wrap(sentence, 110, break_on_hyphens=False, **indents), sep="\n")


def visible(text: str) -> str:
    """The text with what hides made visible: `·` for spaces at the ends or doubled, `→` tab, `↵` newline,
    `<U+200B>` for everything else that leaves no mark of its own on the screen."""
    shown = [visible_character(character) for character in text]
    for match in re.finditer(r"^ +| +$| {2,}", text):
        shown[match.start() : match.end()] = "·" * len(match[0])
    return "".join(shown)


def typed(path: object) -> str:
    """A path as it is typed in a terminal: quoted where it must be."""
    return shlex.quote(str(path))


def visible_character(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    seen = unicodedata.category(character) not in UNSEEN and character not in STAND_INS
    return character if seen else f"<U+{ord(character):04X}>"


def unusual_characters(text: str) -> list[str]:
    """Every character that is not printable ASCII, by position (from 1), code and name."""
    return [
        f"character {position} is U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"
        for position, character in enumerate(text, start=1)
        if not (" " <= character <= "~" or character in "\n\t\r")
    ]


def percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def p_value(p: float, equals: str = "") -> str:
    """A p-value in words, after `equals` if that is true of it: `0.031`, `7.7e-121`, `< 1e-300`."""
    if p < SMALLEST_P:
        return f"< {SMALLEST_P:.0e}"
    return f"{equals}{p:.3f}" if p >= 0.001 else f"{equals}{p:.1e}"
