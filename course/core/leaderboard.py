"""Several runs in one table: each by itself, then every pair of them that shares a locked room.

    board = leaderboard([checked_run(run) for run in runs])

A pair is compared as `course.compare` compares two runs. That both were put into one table stands for the declaration:
where two differ in more than one thing, they are not comparable, and each thing is named. Of many pairs some differ by
luck alone, so every p is corrected for all pairs that were tested.
"""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from course.core import stats
from course.core.comparison import Checked, Comparison, NotComparable, compare_runs
from course.core.display import p_value, percent, visible
from course.core.files import InputError
from course.core.manifest import WHOLE, Manifest, load_manifest
from course.core.runs import load_results
from course.core.scoring import right_in_another_form, was_cut_off

Shown = tuple[list[str], list[list[str]]]  # a table: columns, those that begin with `>` aligned right; and rows
MEANING = (
    "In form: exactly the line that the spec asks for, right or wrong. Right, other form: not passed, but the "
    "last number is the expected one; it says what is lost to form, and is never a reward."
)
TOGETHER = "both were put into one table"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(msgspec.Struct, frozen=True):
    """What a table says of one run. Counts are of its scored completions."""

    run: str
    model: str  # the policy's name; where no sidecar tells it, the name of the completions
    view: str
    examples: int
    scored: int
    passes: int
    pass_at_1: float
    interval: tuple[float, float]
    missing: int  # answers that never came, or whose request failed
    truncated: int
    parsed: int  # in form, whether right or wrong
    other_form: int  # not passed, but its last number is the right one: a diagnosis, never a reward
    k: int  # the most samples that every example has, as a power of two
    pass_at_k: float
    pass_hat_k: float
    note: str | None


@dataclass(frozen=True)
class Pair:
    """Two runs of the table, by name, and what comparing them gave; `p` is corrected, None where they are refused."""

    before: str
    after: str
    outcome: Comparison | NotComparable
    p: float | None = None


@dataclass(frozen=True)
class Leaderboard:
    """The runs that can be read, highest rate first; what is wrong with the others; and all pairs, as they came."""

    rows: list[Row]
    flaws: list[tuple[str, str]]  # what is wrong with a run, and what that makes of it
    pairs: list[Pair]

    @property
    def compared(self) -> list[tuple[Pair, Comparison, float]]:
        """The pairs that were compared, with the corrected p."""
        return [
            (pair, pair.outcome, pair.p)
            for pair in self.pairs
            if isinstance(pair.outcome, Comparison) and pair.p is not None
        ]

    @property
    def caveats(self) -> list[str]:
        """What could not be checked of those that were compared."""
        return list(dict.fromkeys(caveat for _, found, _ in self.compared for caveat in found.caveats))

    @property
    def refused(self) -> list[tuple[str, str, str]]:
        """(pair, what differs, what that makes of the change) of the others."""
        return [
            (f"{pair.before} and {pair.after}", *reason)
            for pair in self.pairs
            if isinstance(pair.outcome, NotComparable)
            for reason in pair.outcome.reasons
        ]


def leaderboard(runs: Sequence[Checked]) -> Leaderboard:
    """The table of some runs, and of all their pairs. Raises InputError if a run cannot be read."""
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise InputError("RUN", "each run once")
    flaws, sound = [run.flaw for run in runs if run.flaw], [run for run in runs if not run.flaw]
    names = {run.path: run.path.resolve().name for run in sound}
    if len(set(names.values())) < len(sound):  # runs of several folders bear the same numbers
        names = {run.path: str(run.path) for run in sound}
    rows = [row_of(run.path, names[run.path]) for run in sound]
    outcomes = [
        (names[a.path], names[b.path], compare_runs(a, b, TOGETHER)) for a, b in itertools.combinations(sound, 2)
    ]
    tested = [outcome.verdict.p for _, _, outcome in outcomes if isinstance(outcome, Comparison)]
    corrected = iter(stats.holm(tested))
    pairs = [
        Pair(a, b, outcome, next(corrected) if isinstance(outcome, Comparison) else None) for a, b, outcome in outcomes
    ]
    return Leaderboard(sorted(rows, key=lambda row: -row.pass_at_1), flaws, pairs)


def row_of(run: Path, name: str) -> Row:
    """One run, from its results. Raises InputError."""
    tally, parsed, other_form, manifest = stats.Tally(), 0, 0, load_manifest(run)
    for result in load_results(run):
        tally.add(result.id, result.reward, result.code, result.finish_reason)
        parsed += result.details.get("parsed") is True
        other_form += right_in_another_form(result)
    rates, answered = tally.summary(), tally.answered()
    k = max(map(int, rates["pass_at_k"]))
    return Row(
        run=name,
        model=model_of(manifest),
        view=manifest.view or WHOLE,
        **{name: rates[name] for name in ("examples", "scored", "passes", "pass_at_1")},
        interval=tuple(rates["pass_at_1_interval"]),
        missing=rates["scored"] - rates["completions"],
        truncated=sum(many for reason, many in rates["finish_reasons"].items() if was_cut_off(reason)),
        parsed=parsed,
        other_form=other_form,
        k=k,
        pass_at_k=rates["pass_at_k"][str(k)],
        pass_hat_k=stats.mean_pass_hat_k(answered, k),
        note=manifest.note,
    )


def model_of(manifest: Manifest) -> str:
    """Whose completions a run measured, for people."""
    named = manifest.policy and manifest.policy.name
    return named or (manifest.completions and manifest.completions.name) or "unknown"


def runs_shown(rows: Sequence[Row]) -> Shown:
    """One line a run. Columns in which no run has anything to say are left out."""
    several, viewed = any(row.k > 1 for row in rows), any(row.view != WHOLE for row in rows)
    columns = ["run", "model", ">examples", ">pass@1", ">95 % interval", ">missing", ">cut off", ">in form"]
    columns += [">right, other form", *([">k", ">pass@k", ">pass^k"] * several), *(["what is scored"] * viewed)]
    shown = []
    for row in rows:
        cells = [row.run, visible(row.model), f"{row.examples:,}", percent(row.pass_at_1)]
        cells += [spread(row.interval, "{:.1f} %"), f"{row.missing:,}", f"{row.truncated:,}"]
        cells += [percent(row.parsed / row.scored), percent(row.other_form / row.scored)]
        cells += [str(row.k), percent(row.pass_at_k), percent(row.pass_hat_k)] * several + [visible(row.view)] * viewed
        shown.append(cells)
    return columns, shown


def pairs_shown(board: Leaderboard) -> Shown:
    """One line a pair that was compared: differences are the second run's rate less the first's, in points."""
    shown = []
    for pair, found, p in board.compared:
        verdict = found.verdict
        winner = pair.after if verdict.difference > 0 else pair.before
        said = f"{winner} is better" if p < stats.SIGNIFICANT else "luck explains it"
        change, drawn = f"{100 * verdict.difference:+.1f}", " (drawn)" * (not verdict.exact)
        cells = (
            f"{pair.before} to {pair.after}",
            change,
            spread(verdict.interval, "{:+.1f}"),
            p_value(verdict.p) + drawn,
        )
        shown.append([*cells, p_value(p), said, found.knob.split(":")[0]])
    return ["runs", ">difference", ">95 % interval", ">p", ">p, corrected", "verdict", "what changed"], shown


def refusals_shown(board: Leaderboard) -> Shown:
    """One line for each thing that keeps a pair from being compared."""
    return ["runs", "what differs", "what that makes of the change"], [list(line) for line in board.refused]


def spread(interval: tuple[float, float], form: str) -> str:
    """An interval in words, in percent or points."""
    return " to ".join(form.format(100 * bound) for bound in interval)


def verdict_of(board: Leaderboard) -> str:
    """In one sentence, what the table says of the best run."""
    if not board.compared:
        return "No two of these runs can be compared; each stands by itself."
    real = sum(p < stats.SIGNIFICANT for _, _, p in board.compared)
    first, others = board.rows[0], len(board.rows) - 1
    beaten = sum(p < stats.SIGNIFICANT and first.run in (pair.before, pair.after) for pair, _, p in board.compared)
    return (
        f"{first.run} ({visible(first.model)}) has the highest rate, {percent(first.pass_at_1)}. It differs by more "
        f"than luck from {beaten} of the {others} others; of {len(board.compared)} pairs compared, {real} differ so."
    )


def as_json(board: Leaderboard) -> dict[str, Any]:
    """The whole table for a program: runs, pairs, and what cannot be compared."""
    return {
        "runs": [msgspec.to_builtins(row) for row in board.rows],
        "pairs": [
            {
                "before": pair.before,
                "after": pair.after,
                "difference": found.verdict.difference,
                "interval": list(found.verdict.interval),
                "p": found.verdict.p,
                "p_holm": p,
                "exact": found.verdict.exact,
                "changed": found.knob,
                "not_verified": found.caveats,
            }
            for pair, found, p in board.compared
        ],
        "not_comparable": [dict(zip(("pair", "what", "meaning"), line, strict=True)) for line in board.refused],
        "flaws": [list(flaw) for flaw in board.flaws],
    }


def as_csv(rows: Sequence[Row]) -> str:
    """One line a run, for a spreadsheet. What a spreadsheet would take for a formula begins with an apostrophe."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    names = [name for name in Row.__struct_fields__ if name != "interval"]
    writer.writerow([*names, "interval_low", "interval_high"])
    for row in rows:
        values = [*(getattr(row, name) for name in names), *row.interval]
        writer.writerow([f"'{v}" if isinstance(v, str) and v.startswith(FORMULA) else v for v in values])
    return lines.getvalue()
