"""The locked room: compare two runs, or refuse to.

    python -m course.compare runs/run_001 runs/run_002
    python -m course.compare runs/run_001 runs/run_002 runs/run_003 …      a table of all, and every pair of them

Two numbers can be compared only if everything but one declared thing was the same when they were measured.
The first run is the one before, the second the one after; the second declares what was changed
(`python -m course.eval … --parent runs/run_001 --change "…"`), or `--change` declares it here, afterwards. If anything
else differs the comparison is refused, and each thing that differs is named with what it makes of the change; with
`--anyway` it is answered all the same, and the answer says that it can be attributed to nothing. Otherwise it is
answered by exact paired statistics: example by example, because both runs met the same examples.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from course.core import leaderboard as boards
from course.core import stats
from course.core.command_line import DONE, FOUND, FoundError, option, parse, run_command
from course.core.comparison import Comparison, NotComparable, Reason, checked_run, compare_runs
from course.core.declarations import declare_afterwards
from course.core.display import console, filled, p_value, percent, table, typed, visible
from course.core.files import InputError, to_pretty_json, write_whole
from course.core.leaderboard import Leaderboard
from course.core.manifest import load_manifest
from course.core.runs import outside_of_runs

Runs = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Settings:
    runs: tuple[Path, ...] = option(help="the one before and the one after; or several", metavar="RUN", positional=True)
    change: str | None = option(None, "of two: declare now what was changed; kept beside the runs")
    anyway: bool = option(False, "of two: answer, and say that it is no comparison (exit code 1)")
    json: Path | None = option(None, "write the table here as JSON, with all pairs", metavar="FILE")
    csv: Path | None = option(None, "write the table here as CSV, a line a run", metavar="FILE")

    def check(self) -> None:
        """Refuse what does not go together. Raises InputError."""
        if len(self.runs) < 2:
            raise InputError("RUN", "a comparison needs two runs, or more")
        if len(self.runs) > 2 and (self.change is not None or self.anyway):
            raise InputError("--change and --anyway", "they are for two runs, the one before and the one after")
        if self.change is not None and not self.change.strip():
            raise InputError("--change", "what was changed?")
        for place in filter(None, (self.json, self.csv)):
            outside_of_runs(place)


def reasons_table(reasons: Sequence[Reason]) -> Table:
    """What differs, and what that makes of the change."""
    return filled(("what differs", "what that makes of the change"), reasons)


def print_refusal(refusal: NotComparable, runs: Runs) -> None:
    """What differs, what that makes of the change, and what to do instead."""
    out = console()
    out.print(f"REFUSED: {runs[0]} and {runs[1]} cannot be compared.")
    out.print(reasons_table(refusal.reasons))
    if refusal.undeclared:
        out.print("If it is the one thing that you changed, say so:")
        out.print(f'  python -m course.compare {typed(runs[0])} {typed(runs[1])} --change "…"')
    else:
        out.print("Change one thing at a time: make both runs with everything else the same.")


def print_comparison(comparison: Comparison, runs: Runs) -> None:
    """Both rates, the paired statistics, the noise rule and the verdict."""
    out = console()
    verdict = comparison.verdict
    if comparison.reasons:
        out.print("NOT A COMPARISON. These differ, and the numbers below can be attributed to none of them:")
        out.print(reasons_table(comparison.reasons))
    for line in comparison.caveats:
        out.print(f"NOT VERIFIED, {line}")
    out.print(f"declared change: {visible(comparison.declared or 'none declared')}")
    out.print(f"loop and knob:   {comparison.knob}\n")
    rows = table("", ">passes", ">rate", ">95 % interval")
    for name, run, counts, rate in zip(("before", "after"), runs, verdict.counts, verdict.rates, strict=True):
        low, high = stats.rate_interval(counts)
        passes = f"{sum(c for _, c in counts)}/{sum(n for n, _ in counts)}"
        rows.add_row(f"{name}: {run.name}", passes, percent(rate), f"{percent(low)} to {percent(high)}")
    out.print(rows)
    lowest, highest = (f"{100 * bound:+.1f}" for bound in verdict.interval)
    out.print(f"\nby example:      {verdict.by_example}")
    out.print(f"difference:      {100 * verdict.difference:+.1f} points, 95 % interval {lowest} to {highest}")
    out.print(f"{'exact paired p: ' if verdict.exact else 'paired p (drawn):'} {p_value(verdict.p)}")
    out.print(f"the noise rule:  {comparison.noise_rule}")
    out.print(f"\nVerdict: {comparison.sentence}")
    if found := comparison.could_find:
        out.print(f"It could have found: {found} (python -m course.plan {' '.join(map(typed, runs))}).")
    if verdict.losses:
        lost = f"--run {typed(runs[1])} --id={typed(verdict.losses[0])}"
        out.print(f"Next: python -m course.inspect_run {lost}   (one whose rate went down)")


def print_board(board: Leaderboard) -> None:
    """A line a run, every pair that can be compared, and why the others cannot be."""
    out = console()
    for what, meaning in board.flaws:
        out.print(f"LEFT OUT, {meaning}: {what}")
    out.print(filled(*boards.runs_shown(board.rows)))
    out.print("", *textwrap.wrap(boards.MEANING, 110), sep="\n")
    if board.compared:
        how = "p is paired and, unless drawn, exact; corrected for all of them by Holm's rule"
        out.print(f"\nPairs compared: {len(board.compared)}; {how}.")
        out.print(filled(*boards.pairs_shown(board)))
        for line in board.caveats:
            out.print(f"NOT VERIFIED, {line}")
    if board.refused:
        out.print("\nNot comparable:")
        out.print(filled(*boards.refusals_shown(board)))
    out.print(f"\nVerdict: {boards.verdict_of(board)}")


def compare_many(settings: Settings) -> int:
    """The table of several runs, printed and written. Returns the exit code."""
    board = boards.leaderboard([checked_run(run) for run in settings.runs])
    if not board.rows:
        raise FoundError(*(f"{meaning}: {what}" for what, meaning in board.flaws))
    print_board(board)
    if settings.json:
        write_whole(settings.json, to_pretty_json(boards.as_json(board)))
    if settings.csv:
        write_whole(settings.csv, boards.as_csv(board.rows).encode("utf-8", "backslashreplace"))
    runs = " ".join(map(typed, settings.runs))
    console().print(f"\nNext: python -m course.report {runs}   (the same as a page)")
    return FOUND if board.flaws or board.refused else DONE


def main() -> int:
    settings = parse("course.compare", "Compare two runs, or refuse to; or several, in one table.", Settings)
    if len(settings.runs) > 2 or settings.json or settings.csv:
        return compare_many(settings)
    runs = before, after = settings.runs[0], settings.runs[1]
    outcome = compare_runs(checked_run(before), checked_run(after), settings.change, settings.anyway)
    if isinstance(outcome, NotComparable):
        print_refusal(outcome, runs)
        return FOUND
    if settings.change is not None and not outcome.reasons:
        declare_afterwards(runs[1].resolve().parent, load_manifest(runs[0]), load_manifest(runs[1]), settings.change)
    print_comparison(outcome, runs)
    return FOUND if outcome.reasons else DONE


if __name__ == "__main__":
    run_command(main)
