"""Look at a run: what was asked, what was said, what it earned, and why.

    python -m course.inspect_run --run runs/run_001 --only-fails --top-k 5
    python -m course.inspect_run                      lists all runs

Averages hide holes. The rows are ordered from the highest reward to the lowest, ties in file order; `--top-k`
shows the first of them and `--bottom-k` the last. Characters that cannot be seen are shown: `·` is a space
at an end or doubled, `→` a tab, `↵` a newline, `<U+200B>` a character with nothing to show.
"""

import argparse
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from course.core.command_line import run_command
from course.core.display import console, percent, table, typed, unusual_characters, visible
from course.core.files import InputError, read_json
from course.core.runs import RESULTS, SUMMARY, Result, damage, list_runs, load_manifest, load_results
from course.core.scoring import REASONS


def matching(run: Path, only_fails: bool, code: str | None, example_id: str | None) -> Iterator[tuple[int, Result]]:
    """The results that were asked for, numbered in file order."""
    for number, result in enumerate(load_results(run)):
        if only_fails and result.reward >= 1.0:
            continue
        if code is not None and result.details.get("code") != code:
            continue
        if example_id is not None and result.id != example_id:
            continue
        yield number, result


def why(result: Result) -> str:
    """In plain words, why the completion earned what it earned."""
    code = result.details.get("code")
    if code is None and result.reward >= 1.0:
        return "exactly one line in form, and the expected number"
    if code == "wrong_answer":
        return f"the line is in form, but it says {result.details.get('extracted')} and not {result.expected_answer}"
    reason = REASONS.get(str(code), str(code))
    unusual = unusual_characters(result.completion or "")
    return "; ".join([reason, *unusual[:5]])


def show(out: Console, result: Result) -> None:
    """One result as a block."""
    code = result.details.get("code") or ("passed" if result.reward >= 1.0 else "no code")
    out.print(f"{visible(result.id)}, sample {result.sample}: reward {result.reward:g}, {code}")
    said = "(nothing: the completion is missing)" if result.completion is None else visible(result.completion)
    out.print(f"  prompt      {visible(result.prompt)}")
    out.print(f"  expected    Final: {result.expected_answer}")
    out.print(f"  completion  {said}")
    out.print(f"  why         {why(result)}\n")


def print_runs(runs_dir: Path) -> None:
    """A table of all runs, oldest first."""
    out = console()
    runs = list_runs(runs_dir)
    if not runs:
        out.print(f"no runs in {runs_dir} yet. Make one: make eval")
        return
    rows = table("run", "loop", "data set or demo", "scorer", "sampling", "change", ">pass rate")
    unreadable = []
    for run in runs:
        try:
            cells = describe(load_manifest(run), read_json(run / SUMMARY))
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            cells = ["?", "unreadable"]
            unreadable.append(error if isinstance(error, InputError) else f"{run}: its manifest lacks {error}")
        rows.add_row(run.name, *cells)
    out.print(rows)
    for problem in unreadable:
        out.print(f"unreadable: {problem}")
    measured = [run for run in runs if (run / RESULTS).is_file()]
    if measured:
        out.print(f"Next: python -m course.inspect_run --run {typed(measured[-1])} --only-fails --top-k 5")


def describe(manifest: dict[str, Any], summary: dict[str, Any]) -> list[str]:
    """One row of the table of runs, without the run's name."""
    sampling, change = manifest.get("sampling"), manifest.get("change")
    how = "unknown" if "dataset" in manifest else "none"
    if sampling:
        how = f"{manifest['policy']['name']} T={sampling['temperature']:g} top_p={sampling['top_p']:g}"
        how += f" n={sampling['samples_per_prompt']} seed={sampling['seed']}"
    since = f"{change['declared']} (since {change['parent']})" if change else "none"
    scorer = f"v{manifest['scorer']['spec_version']} {manifest['scorer']['sha256'][:8]}"
    if not manifest["core"]["sealed"]:
        scorer += " (seal broken)"
    rate = (
        f"{summary['passes']}/{summary['scored']} = {percent(summary['pass_rate'])}"
        if "pass_rate" in summary
        else "none"
    )
    what = manifest["dataset"]["name"] if "dataset" in manifest else manifest["experiment"]
    return [str(cell) for cell in (manifest["loop"], what, scorer, how, visible(since), rate)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course.inspect_run", description="Look at one run, or list all runs."
    )
    parser.add_argument("--run", type=Path, help="the run's folder; without it, all runs are listed")
    parser.add_argument("--only-fails", action="store_true", help="leave out what passed")
    parser.add_argument("--code", help="only failures of this code")
    parser.add_argument("--id", help="only this example")
    parser.add_argument("--top-k", type=int, metavar="K", help="the first K rows")
    parser.add_argument("--bottom-k", type=int, metavar="K", help="the last K rows")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    args = parser.parse_args()
    if args.run is None:
        print_runs(args.runs_dir)
        return
    for name, k in (("--top-k", args.top_k), ("--bottom-k", args.bottom_k)):
        if k is not None and k < 1:
            raise InputError(name, f"at least 1, not {k}")
    if RESULTS not in load_manifest(args.run)["files"]:
        raise InputError(
            args.run, f"it is a demo's run and holds no {RESULTS}; its log and its summary.json can be read as they are"
        )
    known = {str(code) for result in load_results(args.run) if (code := result.details.get("code"))}
    if args.code is not None and args.code not in REASONS:
        raise InputError("--code", f"unknown code {args.code!r}; this run has: {', '.join(sorted(known)) or 'none'}")

    def asked() -> Iterator[tuple[int, Result]]:
        return matching(args.run, args.only_fails, args.code, args.id)

    total = sum(1 for _ in asked())
    top, bottom = args.top_k, args.bottom_k
    if top and bottom:
        bottom = max(0, min(bottom, total - top))  # no row is shown twice
    if top is None and bottom is None:
        top = total if args.id else 10
    out = console()
    if damage(args.run):
        out.print(f"THIS RUN IS DAMAGED: python -m course.verify_run --run {typed(args.run)} says where.\n")
    shown = 0
    if top:
        for _, result in heapq.nsmallest(top, asked(), key=lambda item: (-item[1].reward, item[0])):
            show(out, result)
            shown += 1
    if bottom:
        last = heapq.nlargest(bottom, asked(), key=lambda item: (-item[1].reward, item[0]))
        if top:
            out.print(f"… and the last {len(last)}:\n")
        for _, result in reversed(last):
            show(out, result)
            shown += 1
    what = "failures" if args.only_fails else "rows"
    out.print(f"{shown} of {total} {what} shown.")
    if args.code is None and known:
        out.print(f"codes in this run: {', '.join(sorted(known))}")
        out.print(f"Next: python -m course.inspect_run --run {typed(args.run)} --code {min(known)}")


if __name__ == "__main__":
    run_command(main)
