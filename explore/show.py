"""What every room is made of: its heading, knobs in a row, pictures and tables with their words, the code behind them.

All text that comes from outside goes through `text`: what hides is made visible, and HTML stays text.
"""

import base64
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any

import marimo as mo

from course.core.command_line import flag
from course.core.display import on_screen, typed, visible

DRAWING = threading.Lock()  # each open room has a thread of its own, and matplotlib is not made for several


@dataclass(frozen=True)
class Room:
    """A room of the house: its name, its question, and the pages of `docs/` that it belongs to."""

    title: str
    question: str
    pages: tuple[str, ...]


ROOMS = {  # by the file that holds it
    "measure": Room("Measure", "What does the scorer make of what you type?", ("spec", "milestone_0")),
    "how_sure": Room("How sure?", "Is that difference more than luck?", ("milestone_4", "methods")),
    "selection": Room("Select", "How far do more samples get you, and who improved?", ("milestone_0_5",)),
    "push": Room("Push", "Which way will the next update go?", ("milestone_1",)),
    "credit": Room("Credit", "Who is paid for a reward that comes at the end?", ("milestone_2",)),
    "leash": Room("Leash", "What does a penalty on drift protect?", ("milestone_3",)),
    "learn": Room("Learn", "What will π0 do for your reward?", ("milestone_5", "storyline", "findings")),
}


def plain(words: str) -> mo.Html:
    """A text that can be seen as it is: what hides is visible in it already."""
    return mo.Html(escape(words))


def text(words: object) -> str:
    """Any text as HTML that shows it, and does nothing else."""
    return str(words.text) if isinstance(words, mo.Html) else escape(visible(str(words)))


def lines(*words: object) -> mo.Html:
    """Each text as a paragraph of its own."""
    return mo.Html("".join(f"<p>{text(each)}</p>" for each in words))


def heading(name: str, words: str) -> mo.Html:
    """The room's title and question, and the ways out: the front page, the pages it belongs to, the next room."""
    room, names = ROOMS[name], list(ROOMS)
    following = names[(names.index(name) + 1) % len(names)]
    pages = " · ".join(f'<a href="/page/?name={page}">docs/{page}.md</a>' for page in room.pages)
    ways = (
        '<nav class="ways"><a href="/">All rooms</a>'
        f"<span>Read: {pages}</span>"
        f'<a href="/{following}/">Next room: {ROOMS[following].title}</a>'
        '<button type="button" data-full-screen>Full screen</button></nav>'
        f'<h1 class="title">{room.title}</h1><p class="question">{room.question}</p>'
    )
    return stack(mo.Html(ways), mo.md(words))


def stack(*elements: Any) -> mo.Html:
    """One below the other."""
    return mo.vstack(list(elements))


def knobs(*elements: Any) -> mo.Html:
    """The room's knobs, in rows that break on a narrow page."""
    return mo.hstack(list(elements), justify="start", gap=1.5, wrap=True)


def picture(draw: Callable[[], bytes], notice: str, numbers: mo.Html) -> mo.Html:
    """A picture as the command draws it, what to notice in it, and the same in numbers."""
    with DRAWING:
        source = base64.b64encode(draw()).decode()
    return mo.Html(
        f'<figure><img alt="{escape(notice)} The numbers stand below the picture." '
        f'src="data:image/png;base64,{source}"><figcaption>{escape(notice)}</figcaption></figure>'
        f"<details><summary>The picture in numbers</summary>{numbers.text}</details>"
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", bar: int | None = None
) -> mo.Html:
    """A table of texts and numbers. A column whose name begins with `>` is aligned right.

    `bar` is a column that holds numbers from 0 to 1, each shown with a bar of that length.
    """
    sides = ["number" if column.startswith(">") else "words" for column in columns]
    head = "".join(
        f'<th scope="col" class="{side}">{text(column.removeprefix(">"))}</th>'
        for side, column in zip(sides, columns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{side}">{with_bar(cell) if place == bar else text(cell)}</td>'
            for place, (side, cell) in enumerate(zip(sides, row, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    titled = f"<caption>{text(caption)}</caption>" if caption else ""
    rows_of = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return mo.Html(f'<div class="scroll"><table>{titled}{rows_of}</table></div>')


def with_bar(cell: object) -> str:
    """A number with a bar, 100 % of the width for 1."""
    share = min(1.0, max(0.0, float(str(cell))))
    return f'{text(cell)}<span class="bar" aria-hidden="true"><span style="width:{100 * share:.1f}%"></span></span>'


def facts(**named: object) -> mo.Html:
    """A few numbers, each with its name: underscores are spaces."""
    pairs = "".join(
        f"<div><dt>{text(name.replace('_', ' '))}</dt><dd>{text(value)}</dd></div>" for name, value in named.items()
    )
    return mo.Html(f'<dl class="facts">{pairs}</dl>')


def slider(label: str, start: float | None = None, stop: float | None = None, step: float = 1, **how: Any) -> Any:
    """A slider that shows its value; `steps` may list the values instead."""
    bounds: dict[str, Any] = {} if start is None else {"start": start, "stop": stop, "step": step}
    return mo.ui.slider(label=label, show_value=True, **bounds, **how)


def command(module: str, settings: Any) -> str:
    """What is typed in a terminal for these settings: the options that are not at their defaults."""
    words = [f"python -m {module}"]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value not in (field.default, None, ()):
            values = [
                typed(f"{v:g}" if isinstance(v, float) else v) for v in (value if type(value) is tuple else [value])
            ]
            dash = values[0].startswith("-")  # as a word of its own it would be taken for an option
            words += [f"{flag(field.name)}={values[0]}"] if dash else [flag(field.name), *values]
    return " ".join(words)


def behind(command: str, *functions: Callable[..., Any]) -> mo.Html:
    """The command that prints the same numbers, and the code that they come from."""
    sources = "".join(
        f"<p>{text(function.__module__.replace('.', '/'))}.py</p><pre><code>{escape(inspect.getsource(function))}"
        "</code></pre>"
        for function in functions
    )
    return mo.Html(
        f'<p class="typed">The same in a terminal: <code>{escape(on_screen(command))}</code></p>'
        f"<details><summary>The code behind it</summary>{sources}</details>"
    )
