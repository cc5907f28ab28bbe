"""What an import says: which tool, how many rows, what was refused, where the tool's verdict is not the scorer's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.datasets import load_dataset, load_sidecar
from course.core.display import console, table, typed, visible
from course.core.scoring import REASONS, spelt
from transfer.formats.core.agreement import Agreement
from transfer.formats.core.assemble import Assembly
from transfer.formats.core.logs import Log

SHOWN, LONGEST = 20, 60  # rows of a table, characters of a text in one


@dataclass(frozen=True)
class Findings:
    """What was read, and what was made of it."""

    logs: list[Log]
    made: Assembly
    dataset: Path
    completions: list[tuple[Path, str, dict[str, Any]]]  # file, policy, Loop A's summary
    agreements: list[Agreement]
    differ: list[dict[str, Any]]


def print_report(findings: Findings) -> None:
    out, made = console(), findings.made
    for log in findings.logs:
        out.print(f"{visible(log.file)}: read as {log.format.tool}, {len(log.found)} rows")
        for warning in log.about.warnings:
            out.print(f"  {warning}")
    if made.integers:
        first = min(made.integers)
        out.print(f'{len(made.integers)} ids are integers, and became text: {first} is now "{first}"')
    for note, count in made.notes.items():
        if count:
            out.print(f"{note}: {count}")
    refused = made.rows - made.used
    out.print(f"rows in {made.rows} = rows out {made.used} + rows refused {refused}")
    if refused:
        print_refused(findings)
    out.print(f"\nData set: {findings.dataset}, {len(load_dataset(findings.dataset).examples)} examples")
    if findings.completions:
        print_completions(findings)
    if findings.agreements:
        print_agreement(findings)
    out.print(f"\nNext: {next_command(findings)}")


def print_refused(findings: Findings) -> None:
    rows = table("file", ">line", "id", "refused, since", title="\nRefused rows")
    for row in findings.made.refused[:SHOWN]:
        rows.add_row(visible(row.file), str(row.line), visible(row.id or "")[:LONGEST], visible(row.reason)[:300])
    console().print(rows)
    print_rest(len(findings.made.refused), findings.dataset.parent / "refused.jsonl")


def print_rest(count: int, path: Path) -> None:
    console().print(f"All {count}: {path}" if count <= SHOWN else f"The first {SHOWN} of {count}; all: {path}")


def print_completions(findings: Findings) -> None:
    rows = table("completions", "policy", "temperature", "top_p", "seed", ">strict", title="")
    for path, policy, summary in findings.completions:
        sidecar = load_sidecar(path)
        knobs = [spelt(getattr(sidecar.sampling, name)) for name in ("temperature", "top_p", "seed")] if sidecar else []
        rows.add_row(path.name, visible(policy)[:LONGEST], *knobs, f"{summary['passes']}/{summary['scored']}")
    console().print(rows)
    console().print(f"The scorer is handed the view: {findings.made.view}")
    for path, _, summary in findings.completions:
        for code in ("missing_completion", "failed_request"):
            if code in summary["failures"]:
                console().print(f"{path.name}: {summary['failures'][code]} answers failed, since {REASONS[code]}")


def print_agreement(findings: Findings) -> None:
    rows = table(
        "policy", "the tool's verdict", ">theirs", ">strict", ">agree", title="\nTheir verdict and the scorer's"
    )
    for row in findings.agreements:
        of = row.answers
        counts = (f"{row.theirs:g}/{of}", f"{row.strict:g}/{of}", f"{row.agree}/{of}") if of else ("no numbers", "", "")
        rows.add_row(visible(row.model)[:LONGEST], visible(row.verdict), *counts)
    console().print(rows)
    if not findings.differ:
        return
    rows = table(
        "policy", ">line", "id", ">sample", "verdict", "theirs", ">strict", "code", "scored", title="\nThey differ"
    )
    for one in findings.differ[:SHOWN]:
        scored = visible(one["scored"] or "")
        cells = [visible(str(one[name]))[:LONGEST] for name in ("model", "line", "id", "sample", "verdict", "theirs")]
        rows.add_row(*cells, f"{one['strict']:g}", one["code"] or "", scored[:LONGEST])
    console().print(rows)
    print_rest(len(findings.differ), findings.dataset.parent / "differences.jsonl")


def next_command(findings: Findings) -> str:
    """The command to type: with the completions, or their folder where there are several files."""
    if not findings.completions:
        return f"python -m transfer.ask --dataset {typed(findings.dataset)} --help"
    paths = [path for path, _, _ in findings.completions]
    target = paths[0] if len(paths) == 1 else paths[0].parent
    return f"python -m course.eval --dataset {typed(findings.dataset)} --completions {typed(target)}"
