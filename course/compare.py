"""The locked room: compare two runs, or refuse to.

    python -m course.compare runs/run_001 runs/run_002

Two numbers can be compared only if everything but one declared thing was the same when they were measured.
The first run is the one before, the second the one after; the second declares what was changed
(`python -m course.eval … --parent runs/run_001 --change "…"`). If anything else differs the comparison is
refused, and each thing that differs is named with what it makes of the change. Otherwise it is answered
by exact paired statistics: example by example, because both runs met the same examples.
"""

import argparse
from pathlib import Path

from course.core import stats
from course.core.command_line import DONE, FOUND, run_command
from course.core.comparison import Answer, Refusal, judge, sentence
from course.core.display import console, p_value, percent, table, typed, visible
from course.core.verification import verify


def print_refusal(reasons: list[tuple[str, str]], runs: tuple[Path, Path]) -> None:
    out = console()
    out.print(f"REFUSED: {runs[0]} and {runs[1]} cannot be compared.")
    rows = table("what differs", "what that makes of the change")
    for what, meaning in reasons:
        rows.add_row(what, meaning)
    out.print(rows)
    if any(meaning == "an undeclared change" for _, meaning in reasons):
        out.print("Make the second run again and say what you changed:")
        out.print(f'  python -m course.eval … --parent {runs[0]} --change "…"')
    else:
        out.print("Change one thing at a time: make both runs with everything else the same.")


def print_verdict(answer: Answer, runs: tuple[Path, Path]) -> None:
    out = console()
    verdict = answer.verdict
    out.print(f"declared change: {visible(answer.declared or 'none declared')}")
    out.print(f"loop and knob:   {answer.knob}\n")
    rows = table("", ">passes", ">rate", ">95 % interval")
    for name, run, counts, rate in zip(("before", "after"), runs, verdict.counts, verdict.rates, strict=True):
        low, high = stats.rate_interval(counts)
        passes = f"{sum(c for _, c in counts)}/{sum(n for n, _ in counts)}"
        rows.add_row(f"{name}: {run.name}", passes, percent(rate), f"{percent(low)} to {percent(high)}")
    out.print(rows)
    lowest, highest = (f"{100 * bound:+.1f}" for bound in verdict.interval)
    out.print(f"\nby example:      {len(verdict.wins)} wins, {len(verdict.losses)} losses, {answer.ties} ties")
    out.print(f"difference:      {100 * verdict.difference:+.1f} points, 95 % interval {lowest} to {highest}")
    out.print(f"{'exact paired p: ' if verdict.exact else 'paired p (drawn):'} {p_value(verdict.p)}")
    out.print(f"the noise rule:  {stats.noise_rule(len(verdict.counts[0]), verdict.difference)}")
    out.print(f"\nVerdict: {sentence(verdict, answer.knob)}")
    if verdict.losses:
        lost = f"--run {typed(runs[1])} --id={typed(verdict.losses[0])}"
        out.print(f"Next: python -m course.inspect_run {lost}   (one that was lost)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.compare", description="Compare two runs, or refuse to.")
    parser.add_argument("before", type=Path, metavar="RUN_A", help="the run before the change")
    parser.add_argument("after", type=Path, metavar="RUN_B", help="the run after it")
    args = parser.parse_args()
    runs = args.before, args.after
    found = judge(runs, (verify(args.before)[0], verify(args.after)[0]))
    if isinstance(found, Refusal):
        print_refusal(found.reasons, runs)
        return FOUND
    print_verdict(found, runs)
    return DONE


if __name__ == "__main__":
    run_command(main)
