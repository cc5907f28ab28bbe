"""Look at a run: what was asked, what was answered, what it earned, and why.

    python -m course.inspect_run --run runs/run_001 --only-fails --top-k 5
    python -m course.inspect_run                      lists all runs

Averages hide holes. The rows are ordered from the highest reward to the lowest, ties in file order; `--top-k`
shows the first of them and `--bottom-k` the last. Characters that cannot be seen are shown: `·` is a space
at an end or doubled, `→` a tab, `↵` a newline, `<U+200B>` a character with nothing to show.
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, filled, percent, typed, unusual_characters, visible
from course.core.files import InputError, read_json, sha256_file
from course.core.manifest import RESULTS, SUMMARY, Manifest, has_whole_seal, load_manifest
from course.core.paths import RUNS
from course.core.runs import HANDWRITTEN, Result, damage, has_a_note, list_runs, load_results
from course.core.scoring import REASONS, spelt

COLUMNS = (
    "run",
    "loop",
    "data set or demo",
    "completions",
    "prompts",
    "scorer",
    "sampling",
    "change",
    "note",
    ">pass rate",
)
Numbered = tuple[int, Result]  # a result, and its place in the file


@dataclass(frozen=True, kw_only=True)
class Settings:
    run: Path | None = option(None, "the run's folder; without it, all runs are listed")
    only_fails: bool = option(False, "leave out what passed")
    code: str | None = option(None, "only failures of this code")
    id: str | None = option(None, "only this example")
    grep: str | None = option(None, "only rows whose prompt or completion this regular expression is found in")
    top_k: int | None = option(None, "the first K rows", at_least=1, metavar="K")
    bottom_k: int | None = option(None, "the last K rows", at_least=1, metavar="K")
    runs_dir: Path = option(RUNS, "where runs are kept")

    def check(self) -> None:
        try:
            re.compile(self.grep or "")
        except re.error as error:
            raise InputError("--grep", f"no regular expression: {error}") from None


class Rate(msgspec.Struct):
    """What the list of runs reads of a `summary.json`."""

    passes: int = 0
    scored: int = 0
    pass_rate: float | None = None


def print_results(run: Path, settings: Settings) -> None:
    """The rows of a run that were asked for, a block each. Raises InputError."""
    if not load_manifest(run).has_results:
        raise InputError(run, f"a demo's run, without {RESULTS}; its log and {SUMMARY} can be read as they are")
    codes = sorted({result.code for result in load_results(run) if result.code})
    if settings.code is not None and settings.code not in REASONS:
        raise InputError("--code", f"unknown code {settings.code!r}; this run has: {', '.join(codes) or 'none'}")
    out = console()
    if damage(run):
        out.print(f"THIS RUN IS DAMAGED: python -m course.verify_run --run {typed(run)} says where.\n")
    if has_a_note(run):
        out.print(f"{HANDWRITTEN} in this run is a note, written by hand: no part of what is verified.\n")
    total = sum(1 for _ in matching(run, settings))
    top, bottom = settings.top_k or 0, settings.bottom_k or 0
    if not top and not bottom:
        top = total if settings.id else 10
    if top and bottom:
        bottom = max(0, min(bottom, total - top))  # no row is shown twice
    first = heapq.nsmallest(top, matching(run, settings), key=by_reward)
    last = heapq.nlargest(bottom, matching(run, settings), key=by_reward)
    for _, result in first:
        print_result(out, result)
    if top and bottom:
        out.print(f"… and the last {len(last)}:\n")
    for _, result in reversed(last):
        print_result(out, result)
    out.print(f"{len(first) + len(last)} of {total} {'failures' if settings.only_fails else 'rows'} shown.")
    if settings.code is None and codes:
        out.print(f"codes in this run: {', '.join(codes)}")
        out.print(f"Next: python -m course.inspect_run --run {typed(run)} --code {codes[0]}")


def matching(run: Path, settings: Settings) -> Iterator[Numbered]:
    """The results that were asked for."""
    for number, result in enumerate(load_results(run)):
        if settings.only_fails and result.passed:
            continue
        if settings.grep and not re.search(settings.grep, f"{result.prompt}\0{result.completion or ''}"):
            continue
        if settings.code in (None, result.code) and settings.id in (None, result.id):
            yield number, result


def by_reward(numbered: Numbered) -> tuple[float, int]:
    """The highest reward first, ties in file order."""
    number, result = numbered
    return -result.reward, number


def print_result(out: Console, result: Result) -> None:
    """One result as a block."""
    code = result.code or ("passed" if result.passed else "no code")
    missing = f"(nothing: {visible(result.error or 'no completion came')})"
    out.print(f"{visible(result.id)}, sample {result.sample}: reward {result.reward:g}, {code}")
    out.print(f"  prompt      {visible(result.prompt)}")
    out.print(f"  expected    Final: {result.expected_answer}")
    out.print(f"  completion  {missing if result.completion is None else visible(result.completion)}")
    if result.finish_reason:
        out.print(f"  finished    {visible(result.finish_reason)}")
    out.print(f"  why         {why(result)}\n")


def why(result: Result) -> str:
    """In plain words, why the completion earned what it earned."""
    if result.code is None and result.passed:
        return "exactly one line in form, and the expected number"
    if result.code == "wrong_answer":
        return f"the line is in form, but it says {result.details.get('extracted')} and not {result.expected_answer}"
    reason = REASONS.get(str(result.code), str(result.code))
    return "; ".join([reason, *unusual_characters(result.completion or "")[:5]])


def print_runs(runs_dir: Path) -> None:
    """A table of all runs, oldest first; a run that cannot be read is named, with the reason."""
    out = console()
    runs = list_runs(runs_dir)
    if not runs:
        out.print(f"no runs in {runs_dir} yet. Make one: make eval")
        return
    rows: list[list[str]] = []
    refused = []
    for run in runs:
        try:
            manifest = load_manifest(run)
            cells = cells_of(manifest, read_json(run / SUMMARY, Rate))
            if not has_whole_seal(run) or sha256_file(run / SUMMARY) != manifest.files.get(SUMMARY):
                cells[-1] += " (DAMAGED)"
        except InputError as error:
            cells = ["?", "unreadable", *[""] * (len(COLUMNS) - 3)]
            refused.append(error)
        rows.append([run.name, *cells])
    used = [at for at, name in enumerate(COLUMNS) if any(row[at] for row in rows)]
    out.print(filled([COLUMNS[at] for at in used], ([row[at] for at in used] for row in rows)))
    for reason in refused:
        out.print(f"unreadable: {reason}; python -m course.report shows what is left of it")
    out.print("The rates are what the runs say. python -m course.verify_run --run RUN derives one again.")
    measured = [run for run in runs if (run / RESULTS).is_file()]
    if measured:
        out.print(f"Next: python -m course.inspect_run --run {typed(measured[-1])} --only-fails --top-k 5")


def cells_of(manifest: Manifest, rate: Rate) -> list[str]:
    """One row of the table of runs, without the run's name."""
    sampling, change, scorer, dataset = manifest.sampling, manifest.change, manifest.scorer, manifest.dataset
    how = "unknown" if dataset else "none"
    if sampling and manifest.policy:
        how = f"{visible(str(manifest.policy.name))} T={spelt(sampling.temperature)} top_p={spelt(sampling.top_p)}"
        how += f" n={sampling.samples_per_prompt} seed={spelt(sampling.seed)}"
    seal = "" if manifest.core.sealed else " (seal broken)"
    passed = "none"
    if manifest.has_results and rate.pass_rate is not None:
        passed = f"{rate.passes}/{rate.scored} = {percent(rate.pass_rate)}"
    return [
        manifest.loop,
        f"{dataset.name} {dataset.sha256[:8]}" if dataset else str(manifest.experiment),
        visible(str(manifest.completions.name)) if manifest.completions else "",
        manifest.prompts_version,
        f"v{scorer.spec_version} {scorer.sha256[:8]}{seal}",
        how,
        visible(f"{change.declared} (since {change.parent})" if change else ""),
        visible(manifest.note or ""),
        passed,
    ]


def main() -> int:
    settings = parse("course.inspect_run", "Look at one run, or list all runs.", Settings)
    if settings.run is None:
        print_runs(settings.runs_dir)
    else:
        print_results(settings.run, settings)
    return DONE


if __name__ == "__main__":
    run_command(main)
