"""One run, two side by side, or a table of several, as one page of HTML to read, search and print.

    python -m course.report runs/run_001
    python -m course.report runs/run_001 runs/run_002
    python -m course.report runs/run_001 runs/run_002 runs/run_003 …

The page stands alone: it loads nothing, and can be sent to someone. It says first whether the run verifies,
then the verdict, then shows the results with a search box and a filter for each code of failure. Of more results
than a page has room for it shows some of every code, and says so; what it counts, it counts over all. Two runs are
compared as `course.compare` compares them, or the page says why they cannot be. The page is written beside
the runs and never into one, because a run is sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.comparison import Comparison, NotComparable, checked_run, compare_runs
from course.core.display import console, p_value, percent
from course.core.experiment import looks_line
from course.core.files import write_whole
from course.core.leaderboard import MEANING, leaderboard, pairs_shown, refusals_shown, runs_shown, verdict_of
from course.core.report.page import Table, flat, pictures_of, render, short_cell, tables_of
from course.core.report.rows import MEANINGS, PASSED, Pair, Place, choose, first_of, pairs_at, rows_of
from course.core.report.run_view import RunView, facts_of, side_by_side, view_run
from course.core.runs import outside_of_runs
from course.core.scoring import lost_answers

LISTED = 50  # findings of a verification that are listed
WITHOUT_SCRIPT = 20  # failures that are shown where no script runs


@dataclass(frozen=True, kw_only=True)
class Settings:
    runs: tuple[Path, ...] = option(
        help="one run, the one before and the one after, or several", metavar="RUN", positional=True
    )
    out: Path | None = option(None, "the page (default: report_RUN.html beside the run)", metavar="FILE")


def page(runs: Sequence[RunView]) -> tuple[str, bool]:
    """The page of one run or two, and whether all is well: every run verifies, and two runs can be compared."""
    first, last = runs[0], runs[-1]
    outcome = compare_runs(first.for_comparison, last.for_comparison) if len(runs) == 2 else None
    comparison = outcome if isinstance(outcome, Comparison) else None
    refusal = outcome if isinstance(outcome, NotComparable) else None
    damaged = any(run.wrong for run in runs)
    pairs: dict[Place, Pair] = {}
    bars: list[dict[str, Any]] = []
    hidden, data = 0, None
    shares = len({run.rates.get("scored") for run in runs}) > 1  # of two runs that scored different numbers
    if all(run.rates for run in runs) and not refusal:
        pairs, hidden = pairs_of(runs, comparison)
        codes = [PASSED, *sorted({code for run in runs for code in run.rates["failures"]})]
        data = rows_of(pairs, [run.name for run in runs], codes, comparison.verdict if comparison else None)
        bars = bars_of([run.rates for run in runs], codes, shares)
    verdict, hints = what_is_said(first, outcome)
    failures = [pair[-1] for pair in pairs.values() if pair[-1] and pair[-1].code]
    html = render(
        "report.html",
        title=" and ".join(run.name for run in runs),
        verdict=f"Not to be trusted: {verdict}" if damaged and not outcome else verdict,
        hints=hints,
        runs=runs,
        refused=refusal.reasons if refusal else [],
        comparison=comparison,
        data=data,
        hidden=hidden,
        bars=bars,
        outcomes=list(comparison.verdict.words.values()) if comparison else ["passed", "failed"],
        shares=shares,
        facts=side_by_side([facts_of(run) for run in runs]),
        plain=[(result.id, result.prompt, result.completion, result.code) for result in failures[:WITHOUT_SCRIPT]],
        failures=sum(last.rates.get("failures", {}).values()),
        listed=LISTED,
        pictures_of=pictures_of,
        short=short_cell,
        summary_of=summary_of,
        p_value=p_value,
    )
    return html, not (damaged or refusal)


def page_of_several(paths: Sequence[Path]) -> tuple[str, bool]:
    """The table of several runs as a page, and whether all is well. Raises InputError."""
    board = leaderboard([checked_run(path) for path in paths])
    shown = {"The runs": runs_shown(board.rows), "Every pair that can be compared": pairs_shown(board)}
    shown["Not comparable"] = refusals_shown(board)
    html = render(
        "several.html",
        title=f"{len(paths)} runs",
        board=board,
        verdict=verdict_of(board),
        meaning=MEANING,
        caveats=board.caveats,
        tables=[Table(caption, columns, rows) for caption, (columns, rows) in shown.items()],
        runs=paths,
        short=short_cell,
    )
    return html, not (board.flaws or board.refused)


def pairs_of(runs: Sequence[RunView], comparison: Comparison | None) -> tuple[dict[Place, Pair], int]:
    """The results that the page shows, and how many more there are."""
    queues = [queue for run in runs for queue in run.drawn.queues()]
    rows = runs[0].rates["scored"]
    if comparison:
        verdict = comparison.verdict
        queues += [first_of(verdict.wins), first_of(verdict.losses)]
        rows = sum(max(before, after) for (before, _), (after, _) in zip(*verdict.counts, strict=True))
    pairs = pairs_at(choose(queues), [run.results() for run in runs])
    return pairs, rows - len(pairs)


def what_is_said(run: RunView, outcome: Comparison | NotComparable | None) -> tuple[str, list[str]]:
    """The verdict on a run, or on its comparison with another, and what to look at."""
    if outcome is None:
        return headline(run) if run.rates else learned(run.summary), what_to_look_at(run)
    if isinstance(outcome, Comparison):
        up, down, _ = outcome.verdict.words.values()
        press = f"Press `{down}`, and read what the change broke; then `{up}`. Is it the change that you declared?"
        return outcome.sentence[0].upper() + outcome.sentence[1:], [press]
    hint = "Change one thing at a time: make both runs with everything else the same. Or look at each by itself."
    if outcome.undeclared:
        hint = 'If it is the one thing that you changed, say so: python -m course.compare, with --change "…"'
    return "Refused: these two runs cannot be compared. Each reason is named below.", [hint]


def headline(run: RunView) -> str:
    """What a run with results found, in a sentence or two."""
    passes, scored = run.rates["passes"], run.rates["scored"]
    what = "chosen completions" if run.loop == "B" else "completions"
    if passes == scored:
        return f"All {scored} {what} pass. Are the problems too easy? Read some before you believe it."
    code, count = max(run.rates["failures"].items(), key=lambda item: item[1])
    start = f"{passes} of {scored} {what} pass." if passes else f"None of {scored} {what} passes."
    return f"{start} The commonest failure, {count} of {scored - passes}, is {code}: {MEANINGS[code]}."


def learned(summary: dict[str, Any]) -> str:
    """What a run without results found, in a sentence: where its reward began and where it ended."""
    values = flat(summary)
    before, after = values.get("mean_reward_before"), values.get("mean_reward_after")
    if isinstance(before, float) and isinstance(after, float):
        return f"The policy's expected reward went from {before:.3f} to {after:.3f}."
    before, after = values.get("first: strict"), values.get("last: strict")
    if isinstance(before, float) and isinstance(after, float):
        return f"By the strict scorer the policy went from {percent(before)} to {percent(after)} on fresh samples."
    return "This run measured no file of completions: its picture and its summary are what it found."


def what_to_look_at(run: RunView) -> list[str]:
    """Where a reader of one run should look before believing it."""
    if not run.rates:
        return ["Follow the curves, then read the numbers in the summary; MEASUREMENT_RULES.md explains each name."]
    hints = []
    if run.rates["failures"]:
        hints.append("Press the longest bar, and read ten of its rows. Do the completions deserve their code?")
    if len(run.rates["pass_at_k"]) > 1:
        hints.append("pass@1 is the policy. pass@k is what the best of k samples reaches if the choice is perfect.")
    if run.loop == "B":
        hints.append("These completions were chosen. The policy that wrote them has not changed.")
    hints.extend(lost_answers(run.rates))
    if run.manifest and run.manifest.sampling is None:
        hints.append("No sidecar says how these completions were sampled. Can you find out?")
    looks = run.manifest.circumstances.earlier_looks_at_this_holdout if run.manifest else None
    if looks is not None:
        hints.append(looks_line(looks).replace("\n", " "))
    return hints


def bars_of(rates: Sequence[dict[str, Any]], codes: Sequence[str], shares: bool) -> list[dict[str, Any]]:
    """A bar for what passed, then one for each code of failure, most frequent first: its sizes, one for each run."""
    bars = []
    for number, code in enumerate(codes):
        counts = [of_run["failures"].get(code, 0) if number else of_run["passes"] for of_run in rates]
        sizes = [many / of_run["scored"] if shares else many for many, of_run in zip(counts, rates, strict=True)]
        texts = [percent(size) if shares else f"{size:,}" for size in sizes]
        bars.append({"number": number, "code": code, "meaning": MEANINGS[code], "sizes": sizes, "texts": texts})
    return sorted(bars, key=lambda bar: (bar["number"] > 0, -sum(bar["sizes"]), bar["code"]))


def summary_of(run: RunView) -> list[Table]:
    """What the summary says that the page does not show elsewhere."""
    known = {"loop", "dataset", "split", "spec_version", "golden", *run.rates}
    return tables_of({name: value for name, value in run.summary.items() if name not in known})


def place_for(out: Path | None, runs: Sequence[Path]) -> Path:
    """Where the page goes: beside the last run, or where `out` says. Raises InputError if that is in a run."""
    name = "_".join(["report", *(run.resolve().name for run in runs)]) + ".html"
    last = runs[-1]
    folder = last.parent if last.name not in ("", "..") else last.resolve().parent
    return outside_of_runs(folder / name if out is None else out)


def main() -> int:
    settings = parse("course.report", "One run, two to compare, or several, as one page of HTML.", Settings)
    place = place_for(settings.out, settings.runs)
    several = len(settings.runs) > 2
    html, well = page_of_several(settings.runs) if several else page([view_run(run) for run in settings.runs])
    write_whole(place, html.encode("utf-8", "backslashreplace"))  # a file's name may hold what UTF-8 cannot
    out = console()
    if not well:
        alone = len(settings.runs) == 1
        refused = "REFUSED: not all of the runs can be compared."
        out.print("TAMPERED OR DAMAGED: do not trust this run." if alone else refused)
        out.print("The page says why.")
    out.print(f"Page written to {place}; open it in a browser")
    return DONE if well else FOUND


if __name__ == "__main__":
    run_command(main)
