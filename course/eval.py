"""Loop A: measure. Score every completion of a data set, and write a run.

    python -m course.eval --dataset data/datasets/math_dev.jsonl \\
                          --completions data/rollouts/frozen_rollouts_dev.jsonl

`--completions` takes several files, or a folder of them: each becomes a run, and a table at the end shows them all.
Nothing is optimised and nothing learns: the same files always give the same numbers. The golden gate runs
first, and if the scorer fails it, no run is written. Every example stays in the denominator: one without a
completion is a failure with a name of its own.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import MOST_SAMPLES
from course.core.display import console, filled, percent, table, typed
from course.core.experiment import RunOptions, SavedRun
from course.core.files import InputError
from course.core.golden import GoldenReport, golden_gate
from course.core.leaderboard import row_of, runs_shown
from course.core.manifest import Manifest
from course.core.measurement import Measurement, write_run
from course.core.paths import GOLDEN
from course.core.scoring import REASONS, describe_sampling, lost_answers


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions):
    dataset: Path = option(help="the examples (JSONL)")
    completions: tuple[Path, ...] = option(help="the completions (JSONL): a file, several, or a folder", metavar="FILE")
    samples: int | None = option(None, "asked for of each example; absent ones fail", at_least=1, at_most=MOST_SAMPLES)
    golden_dir: Path = option(GOLDEN, argparse.SUPPRESS)


def files_of(settings: Settings) -> list[Path]:
    """The files of completions that were named, and those in the folders that were. Raises InputError."""
    files: list[Path] = []
    for path in settings.completions:
        if not path.is_dir():
            files.append(path)
        elif inside := [file for file in sorted(path.glob("*.jsonl")) if file.resolve() != settings.dataset.resolve()]:
            files += inside
        else:
            raise InputError(path, "a folder without files of completions (*.jsonl)")
    return files


def evaluate(settings: Settings, completions: Path, golden: GoldenReport) -> tuple[SavedRun, dict[str, Any]]:
    """Score a file of completions and write a run. Returns it and its summary. Raises InputError."""
    return write_run(Measurement(settings.dataset, completions, settings.samples), settings, golden)


def print_report(summary: dict[str, Any], manifest: Manifest) -> None:
    """What was measured, of what, and how often the policy passed."""
    out = console()
    low, high = summary["pass_at_1_interval"]
    interval = f"95 % interval {percent(low)} to {percent(high)}"
    rate = f"Pass rate: {summary['passes']}/{summary['scored']} = {percent(summary['pass_rate'])}"
    completions = manifest.completions.name if manifest.completions else None
    out.print(f"Loop A (measurement): {completions} on {summary['dataset']}")
    out.print(f"policy and sampling: {describe_sampling(manifest)}\n")
    if summary["scored"] == summary["examples"]:
        out.print(f"{rate}   ({interval}, Wilson)")
    else:
        interval += f"; standard error {percent(summary['pass_at_1_standard_error'])}, clustered by example"
        out.print(f"{rate}, over {summary['examples']} examples")
        out.print(f"pass@1: {percent(summary['pass_at_1'])}   ({interval})")
    out.print(f"Mean reward: {summary['mean_reward']:.3f}")
    if len(summary["pass_at_k"]) > 1:
        out.print("  ".join(f"pass@{k}: {percent(rate)}" for k, rate in summary["pass_at_k"].items()))
    for line in lost_answers(summary):
        out.print(line)
    if summary["failures"]:
        total = sum(summary["failures"].values())
        out.print(f"\nFailures: {total}")
        rows = table("code", ">count", ">share", "what it means")
        for code, count in sorted(summary["failures"].items(), key=lambda item: (-item[1], item[0])):
            rows.add_row(code, str(count), percent(count / total), REASONS[code])
        out.print(rows)


def main() -> int:
    settings = parse("course.eval", "Loop A: score completions, write a run.", Settings)
    golden, files = golden_gate(settings.golden_dir), files_of(settings)
    if len(files) == 1:
        saved, summary = evaluate(settings, files[0], golden)
        print_report(summary, saved.manifest)
        saved.close("python -m course.inspect_run --run {run} --only-fails --top-k 5")
        return DONE
    runs = []
    for file in files:
        saved, summary = evaluate(settings, file, golden)
        console().print(f"{file.name}: {summary['passes']}/{summary['scored']} passed; run written to {saved.folder}")
        runs.append(saved.folder)
    console().print("", filled(*runs_shown([row_of(run, run.name) for run in runs])), sep="\n")
    console().print(f"\nNext: python -m course.compare {' '.join(map(typed, runs))}")
    return DONE


if __name__ == "__main__":
    run_command(main)
