"""How many examples does a comparison need? Asked before the measurement, where the answer is of use.

    python -m course.plan --before 0.20 --after 0.25        a guess of both rates
    python -m course.plan runs/run_001 runs/run_002         or two pilot runs of the same examples

A real difference is missed where too few examples tell of it. The power is the chance to find it: that the exact paired
test of `course.compare` gives p < 0.05, with one sample of each example. It is worked out exactly, nothing is drawn.

What it simplifies: the examples to come are drawn like those of the pilot; with a guess, they are all equally hard.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.core.command_line import option, parse, run_command
from course.core.comparison import NotComparable, checked_run, compare_runs
from course.core.display import console, notice, percent, table, typed
from course.core.experiment import PictureOptions
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import InputError, write_whole
from course.core.power import LARGEST, OFTEN, independent, powers, share_changed, smallest, visible_difference

WANTED = (OFTEN, 0.9)
SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
POINTS = 120  # of the curve
NO_RUN = ("runs_dir", "change", "parent", "note")  # nothing is measured, so no run is written


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    runs: tuple[Path, ...] = option((), "two pilot runs of the same examples", metavar="RUN", positional=True)
    before: float | None = option(None, "a guess: the rate before the change", at_least=0, at_most=1)
    after: float | None = option(None, "a guess: the rate after it", at_least=0, at_most=1)
    n: int = option(200, "the examples that you have", at_least=1, at_most=LARGEST)

    def check(self) -> None:
        """Refuse all but one guess of two rates that differ, or one pilot of two runs. Raises InputError."""
        super().check()
        guessed = sum(rate is not None for rate in (self.before, self.after))
        if (guessed, len(self.runs)) not in ((2, 0), (0, 2)):
            raise InputError("course.plan", "give --before and --after, or two pilot runs; --help explains both")
        if guessed and self.before == self.after:
            raise InputError("--after", "the same as --before: there is no difference to find")


@dataclass(frozen=True)
class Findings:
    """What was assumed of an example, the power with each number of them, and the two questions answered."""

    up: float
    down: float
    rates: tuple[float, float]
    curve: dict[int, float]  # number of examples: power
    needed: dict[float, int | None]  # power: the smallest number of examples that has it from there on
    visible: float | None  # the smallest difference that `n` examples show, with the power OFTEN


def run(settings: Settings) -> Findings:
    """The plan of a guess, or of a pilot. Raises InputError."""
    if settings.runs:
        rates, up, down = pilot(settings.runs)
        split, widest = share_changed(up + down), up + down
    else:
        assert settings.before is not None
        assert settings.after is not None
        before, rates = settings.before, (settings.before, settings.after)
        up, down = independent(*rates)
        split, widest = lambda difference: independent(before, before + difference), 1 - before
    needed = {wanted: smallest(up, down, wanted) for wanted in WANTED}
    longest = max(SIZES[-1], settings.n, *(2 * (n or 0) for n in needed.values()))
    drawn = np.geomspace(10, min(longest, LARGEST), POINTS).astype(int)
    sizes = sorted({*SIZES, settings.n, *map(int, drawn)})
    curve = dict(zip(sizes, powers(sizes, up, down), strict=True))
    return Findings(up, down, rates, curve, needed, visible_difference(settings.n, split, widest, OFTEN))


def pilot(runs: tuple[Path, ...]) -> tuple[tuple[float, float], float, float]:
    """Both rates of two runs, and how often an example is won and lost with one sample each. Raises InputError.

    Of an example with several samples, every one before meets every one after. Runs that `course.compare` would refuse
    for more than a missing declaration are refused.
    """
    before, after = runs
    outcome = compare_runs(checked_run(before), checked_run(after), change="a pilot")
    if isinstance(outcome, NotComparable):
        raise InputError(f"{before} and {after}", f"no pilot of a comparison: {outcome.reasons[0][0]}")
    old, new = (np.array([passes / n for n, passes in counts]) for counts in outcome.verdict.counts)
    return outcome.verdict.rates, float((new * (1 - old)).mean()), float((old * (1 - new)).mean())


def draw(findings: Findings, n: int) -> bytes:
    """Power over the number of examples, with what is needed and what there is."""
    figure, (axes,) = new_figure("How many examples a comparison needs")
    axes.plot(list(findings.curve), list(findings.curve.values()), color=COLOURS[0])
    for (wanted, needed), colour, line in zip(findings.needed.items(), COLOURS[1:], LINES[1:], strict=False):
        axes.axhline(wanted, color=colour, linestyle=line, linewidth=1)
        if needed is not None:
            axes.plot([needed], [wanted], "o", color=colour, label=f"{percent(wanted)}: {needed:,} examples")
    axes.plot([n], [findings.curve[n]], "s", color=COLOURS[3], label=f"you have {n:,}: {percent(findings.curve[n])}")
    axes.set(xlabel="examples", xscale="log", ylabel="power: chance that the difference is found", ylim=(0, 1.02))
    axes.legend(loc="best")
    return png(figure)


def print_report(settings: Settings, findings: Findings) -> None:
    """What was assumed, power by number of examples, and what to notice."""
    out, n = console(), settings.n
    source = "pilot" if settings.runs else "guess"
    before, after = map(percent, findings.rates)
    wins, losses = 100 * findings.up, 100 * findings.down
    out.print(f"Assumed ({source}): {before} before, {after} after; one sample of each example")
    out.print(f"Of 100 examples: {wins:.1f} wins, {losses:.1f} losses, {100 - wins - losses:.1f} ties\n")
    rows = table(">examples", ">power", "")
    for size in sorted({*SIZES, n}):
        rows.add_row(f"{size:,}", percent(findings.curve[size]), "what you have" if size == n else "")
    out.print(rows)
    out.print()
    for wanted, needed in findings.needed.items():
        answer = f"no number up to {LARGEST:,}" if needed is None else f"{needed:,} or more"
        out.print(f"examples for a power of {100 * wanted:.0f} %: {answer}")
    given = "as large a share of examples changes" if settings.runs else f"the rate before is {before}"
    seen = "no difference" if findings.visible is None else f"{100 * findings.visible:.1f} points or more"
    out.print(f"{n:,} examples can show: {seen}, with a power of {100 * OFTEN:.0f} %, if {given}")
    notice(
        "Only examples that change tell anything. Ties do not: for the same difference, fewer changes each way need "
        "fewer examples. A guess takes all examples for equally hard, so that many change; a pilot knows better.",
        "A pilot's difference is itself partly luck. Plan for the smallest difference that would matter to you, not "
        "for the one that you hope for.",
        "Where the power is low, `no difference` says little: the comparison could not have found one.",
    )


def main() -> None:
    settings = parse("course.plan", "How many examples does a comparison need?", Settings, hide=NO_RUN)
    findings = run(settings)
    print_report(settings, findings)
    if settings.plot is not None:
        write_whole(settings.plot, draw(findings, settings.n))
        console().print(f"\nPicture written to {settings.plot}")
    following = f"compare {' '.join(map(typed, settings.runs))}" if settings.runs else "inspect_run"
    console().print(f"\nNext: python -m course.{following}{'' if settings.runs else '   (two runs to plan from)'}")


if __name__ == "__main__":
    run_command(main)
