"""Loop A: measure. Score every completion of a data set, and write down what was found.

    python -m course.eval --dataset data/datasets/math_dev.jsonl \\
                          --completions data/rollouts/frozen_rollouts_dev.jsonl

Nothing is optimised and nothing learns: the same files always give the same numbers. The golden gate runs
first, and if the scorer fails it, no run is written. Every example stays in the denominator: one without a
completion is a failure with a name of its own.
"""

import argparse
from pathlib import Path
from typing import Any

from course import stats
from course.datasets import CompletionsFile, check_sidecar, load_dataset, load_sidecar
from course.files import to_pretty_json
from course.golden import FOLDER as GOLDEN
from course.golden import GoldenReport, check_golden, print_report
from course.measurement import REASONS, describe_sampling, measure, provenance
from course.runs import RESULTS, SUMMARY, RunWriter, add_run_options, declare, earlier_looks, looks_line, result_line
from course.seal import core_state
from course.terminal import DONE, FOUND, console, percent, progress, run_command, table, typed


def evaluate(
    dataset_path: Path,
    completions_path: Path,
    runs_dir: Path,
    golden: GoldenReport,
    change: str | None = None,
    parent: Path | None = None,
    note: str | None = None,
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Score the completions and write a run. Returns its folder, summary and manifest. Raises InputError."""
    dataset = load_dataset(dataset_path)
    completions = CompletionsFile(completions_path, dataset.examples)
    sidecar = load_sidecar(completions_path)
    core = core_state()
    declared = declare(change, parent)
    looks = earlier_looks(dataset.prompts_sha256, runs_dir) if dataset.split == "holdout" else None
    tally = stats.Tally()
    with RunWriter(runs_dir) as run:
        with run.open(RESULTS) as results, progress("scoring", file_size(completions_path)) as show:
            for number, result in enumerate(measure(dataset, completions)):
                tally.add(result.id, result.reward, result.details["code"])
                results.write(result_line(result))
                if number % 4096 == 0:
                    show(completions.lines.bytes_read)
        check_sidecar(sidecar, completions, dataset)
        room = provenance(dataset, completions, sidecar)
        summary = {
            "loop": "A",
            "dataset": dataset.path.name,
            "split": dataset.split,
            "spec_version": room["scorer"]["spec_version"],
            **tally.summary(),
            "golden": golden.counts(),
        }
        run.write(SUMMARY, to_pretty_json(summary))
        manifest = {
            "loop": "A",
            "knob": "measurement",
            "change": declared,
            "note": note,
            **room,
            "golden": {"sha256": golden.sha256, **golden.counts()},
            "core": core,
        }
        circumstances = {
            "dataset_path": str(dataset_path),
            "completions_path": str(completions_path),
            "earlier_looks_at_this_holdout": looks,
        }
        folder = run.finish(manifest, circumstances)
    return folder, summary, {**manifest, "circumstances": circumstances}


def file_size(path: Path) -> int:
    """For the progress bar alone; whether the file can be read is found out by reading it."""
    return path.stat().st_size if path.is_file() else 0


def print_summary(run: Path, summary: dict[str, Any], manifest: dict[str, Any]) -> None:
    """What was measured, of what, and what to type next."""
    out = console()
    low, high = summary["pass_at_1_interval"]
    interval = f"95 % interval {percent(low)} to {percent(high)}"
    rate = f"Pass rate: {summary['passes']}/{summary['scored']} = {percent(summary['pass_rate'])}"
    out.print(f"Loop A (measurement): {manifest['completions']['name']} on {manifest['dataset']['name']}")
    out.print(f"policy and sampling: {describe_sampling(manifest)}\n")
    if summary["scored"] == summary["examples"]:
        out.print(f"{rate}   ({interval}, Wilson)")
    else:
        error = percent(summary["pass_at_1_standard_error"])
        out.print(f"{rate}, over {summary['examples']} examples")
        out.print(
            f"pass@1: {percent(summary['pass_at_1'])}   ({interval}; standard error {error}, clustered by example)"
        )
    out.print(f"Mean reward: {summary['mean_reward']:.3f}")
    if len(summary["pass_at_k"]) > 1:
        out.print("  ".join(f"pass@{k}: {percent(rate)}" for k, rate in summary["pass_at_k"].items()))
    if summary["failures"]:
        print_failures(out, summary)
    print_warnings(out, manifest)
    out.print(f"\nRun written to {run}")
    out.print(f"Next: python -m course.inspect_run --run {typed(run)} --only-fails --top-k 5")


def print_failures(out: Any, summary: dict[str, Any]) -> None:
    """Failures by code, most frequent first, with their share of all failures."""
    failures = sorted(summary["failures"].items(), key=lambda item: (-item[1], item[0]))
    total = sum(count for _, count in failures)
    out.print(f"\nFailures: {total}")
    rows = table("code", ">count", ">share", "what it means")
    for code, count in failures:
        rows.add_row(code, str(count), percent(count / total), REASONS[code])
    out.print(rows)


def print_warnings(out: Any, manifest: dict[str, Any]) -> None:
    """What a reader of the number should know before believing in it."""
    looks = manifest["circumstances"].get("earlier_looks_at_this_holdout")
    if looks is not None:
        out.print(f"\n{looks_line(looks)}")
    if not manifest["core"]["sealed"]:
        out.print("\nThe seal on the core is broken (python -m course.seal says where). The run records it.")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course.eval", description="Loop A: score completions, write a run."
    )
    parser.add_argument("--dataset", type=Path, required=True, help="the examples (JSONL)")
    parser.add_argument("--completions", type=Path, required=True, help="the completions (JSONL)")
    add_run_options(parser)
    parser.add_argument("--golden-dir", type=Path, default=GOLDEN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    golden = check_golden(args.golden_dir)
    if not golden.passed:
        print_report(golden)
        console().print("No run was written: an instrument that fails its known cases measures nothing.")
        return FOUND
    run, summary, manifest = evaluate(
        args.dataset, args.completions, args.runs_dir, golden, args.change, args.parent, args.note
    )
    print_summary(run, summary, manifest)
    return DONE


if __name__ == "__main__":
    run_command(main)
