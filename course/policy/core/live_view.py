"""What is shown while a policy learns: a live view on a terminal, a line for each measurement when piped."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.live import Live
from rich.text import Text

from course.core.display import console, percent, visible
from course.core.scoring import STRICT
from course.policy.core.learning import Settings, Show, State

BARS = " ▁▂▃▄▅▆▇█"


@contextlib.contextmanager
def watch(settings: Settings, heading: str = "") -> Iterator[Show]:
    """Show a policy learn, under a heading. Yields the function that `learn` calls after each step."""
    out = console()
    live = Live(console=out, refresh_per_second=4) if sys.stdout.isatty() else None
    if heading:
        out.print(f"\n{heading}")

    def show(state: State, measured: bool) -> None:
        if live is not None:
            live.update(view(state, settings))
        elif measured:
            out.print(measurement_line(state.measured[-1], settings))

    with live or contextlib.nullcontext():
        yield show


def measurement_line(row: Mapping[str, Any], settings: Settings) -> str:
    """One measurement in a line."""
    proxy = "" if settings.rubric == STRICT else f"   {settings.rubric} {percent(row['proxy'])}"
    completions = "   ".join(f"`{visible(text)}`" for text in row["completions"])
    return f"step {row['step']:4d}   strict {percent(row['strict'])}{proxy}   kl {row['kl']:.3f}   {completions}"


def sparkline(values: Sequence[float], top: float) -> str:
    """The values as a row of bars, `top` and above at full height."""
    return "".join(BARS[round(min(1.0, max(0.0, value / top)) * (len(BARS) - 1))] for value in values)


def view(state: State, settings: Settings) -> Text:
    """What the terminal shows: curves of what was measured, and the latest completions."""
    measured = state.measured
    highest = max(1e-9, *(row["kl"] for row in measured))
    leash = f", beta {settings.beta:g}" if settings.beta else ""
    lines = [f"step {state.step}/{settings.steps}, {state.seconds:.0f} s of learning, rubric {settings.rubric}{leash}"]
    curves = [("strict pass@1, dev", "strict", 1.0), ("KL from π0", "kl", highest)]
    if settings.rubric != STRICT:
        curves.insert(1, (f"{settings.rubric}, dev", "proxy", 1.0))
    for name, key, top in curves:
        values = [row[key] for row in measured]
        lines.append(f"{name:>22} {sparkline(values, top)} {values[-1]:.3f}")
    lines += [f"{'says':>22} {visible(text)}" for text in measured[-1]["completions"]]
    return Text("\n".join(lines))
