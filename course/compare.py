"""The locked room: compare two runs, or refuse to.

    python -m course.compare runs/run_001 runs/run_002

Two numbers can be compared only if everything but one declared thing was the same when they were measured.
The first run is the one before, the second the one after; the second declares what was changed
(`python -m course.eval … --parent runs/run_001 --change "…"`), or `--change` declares it here, afterwards. If anything
else differs the comparison is refused, and each thing that differs is named with what it makes of the change; with
`--anyway` it is answered all the same, and the answer says that it can be attributed to nothing. Otherwise it is
answered by exact paired statistics: example by example, because both runs met the same examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from course.core import stats
from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.comparison import Comparison, NotComparable, Reason, compare_runs
from course.core.declarations import declare_afterwards
from course.core.display import console, p_value, percent, table, typed, visible
from course.core.files import InputError
from course.core.manifest import load_manifest
from course.core.verification import verify

Runs = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Settings:
    before: Path = option(help="the run before the change", metavar="RUN_A", positional=True)
    after: Path = option(help="the run after it", metavar="RUN_B", positional=True)
    change: str | None = option(None, "declare now what was changed; kept beside the runs")
    anyway: bool = option(False, "answer, and say that it is no comparison (exit code 1)")

    def check(self) -> None:
        if self.change is not None and not self.change.strip():
            raise InputError("--change", "what was changed?")


def table_of(reasons: Sequence[Reason]) -> Table:
    """What differs, and what that makes of the change."""
    rows = table("what differs", "what that makes of the change")
    for reason in reasons:
        rows.add_row(*reason)
    return rows


def print_refusal(refusal: NotComparable, runs: Runs) -> None:
    """What differs, what that makes of the change, and what to do instead."""
    out = console()
    out.print(f"REFUSED: {runs[0]} and {runs[1]} cannot be compared.")
    out.print(table_of(refusal.reasons))
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
        out.print(table_of(comparison.reasons))
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


def main() -> int:
    settings = parse("course.compare", "Compare two runs, or refuse to.", Settings)
    runs = settings.before, settings.after
    checked = verify(settings.before), verify(settings.after)
    outcome = compare_runs(runs, checked, settings.change, settings.anyway)
    if isinstance(outcome, NotComparable):
        print_refusal(outcome, runs)
        return FOUND
    if settings.change is not None and not outcome.reasons:
        declare_afterwards(runs[1].resolve().parent, load_manifest(runs[0]), load_manifest(runs[1]), settings.change)
    print_comparison(outcome, runs)
    return FOUND if outcome.reasons else DONE


if __name__ == "__main__":
    run_command(main)
