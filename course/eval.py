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

import msgspec

from course import stats
from course.datasets import CompletionsFile, Dataset, Sidecar, load_dataset, load_sidecar, sidecar_path
from course.files import InputError, to_pretty_json
from course.golden import FOLDER as GOLDEN
from course.golden import GoldenReport, check_golden, print_report
from course.measurement import REASONS, measure, scorer_identity
from course.runs import RESULTS, SUMMARY, RunWriter, damage, list_runs, load_manifest, result_line
from course.seal import check_seal
from course.terminal import DONE, FOUND, console, percent, progress, run_command, table


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
    seal = check_seal()
    declared = declare(change, parent)
    looks = earlier_looks(dataset, runs_dir)
    tally = stats.Tally()
    with RunWriter(runs_dir) as run:
        with run.open(RESULTS) as results, progress("scoring", file_size(completions_path)) as show:
            for number, result in enumerate(measure(dataset, completions)):
                tally.add(result.id, result.reward, result.details["code"])
                results.write(result_line(result))
                if number % 4096 == 0:
                    show(completions.lines.bytes_read)
        completions_sha256 = completions.lines.sha256
        check_sidecar(sidecar, completions_path, completions_sha256, dataset)
        scorer = scorer_identity()
        summary = {
            "loop": "A",
            "dataset": dataset_path.name,
            "split": dataset.split,
            "spec_version": scorer["spec_version"],
            **tally.summary(),
            "golden": golden.counts(),
        }
        run.write(SUMMARY, to_pretty_json(summary))
        manifest = {
            "loop": "A",
            "knob": "measurement",
            "change": declared,
            "note": note,
            "dataset": {"name": dataset_path.name, "sha256": dataset.sha256, "split": dataset.split},
            "prompts_sha256": dataset.prompts_sha256,
            "completions": {"name": completions_path.name, "sha256": completions_sha256},
            "scorer": scorer,
            "golden": {"sha256": golden.sha256, **golden.counts()},
            "policy": None if sidecar is None else {"name": sidecar.policy, "sha256": sidecar.policy_sha256},
            "sampling": None if sidecar is None else msgspec.to_builtins(sidecar.sampling),
            "core": {"sealed": seal.whole, "sha256": seal.core_sha256, "broken": seal.broken},
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


def check_sidecar(sidecar: Sidecar | None, path: Path, completions_sha256: str, dataset: Dataset) -> None:
    """A sidecar that describes other completions, or another data set, is worse than none. Raises InputError."""
    if sidecar is None:
        return
    if sidecar.completions_sha256 != completions_sha256:
        raise InputError(sidecar_path(path), f"it describes another file: {path.name} has changed since it was sampled")
    if sidecar.prompts_sha256 != dataset.prompts_sha256:
        raise InputError(sidecar_path(path), f"the completions were sampled for other prompts than {dataset.path.name}")


def declare(change: str | None, parent: Path | None) -> dict[str, Any] | None:
    """The single declared change since the parent run, as the manifest holds it. Raises InputError."""
    if change is None and parent is None:
        return None
    if change is None or parent is None or not change.strip():
        raise InputError("--change and --parent", "they go together: what was changed, and since which run")
    found = damage(parent)
    if found:
        raise InputError(parent, f"the parent run is damaged: {found[0]}")
    return {"declared": change, "parent": parent.name, "parent_seal": load_manifest(parent)["seal"]}


def earlier_looks(dataset: Dataset, runs_dir: Path) -> int | None:
    """How many runs have measured this holdout before; None if it is no holdout."""
    if dataset.split != "holdout":
        return None
    manifests = [load_manifest(run) for run in list_runs(runs_dir)]
    return sum(1 for manifest in manifests if manifest.get("prompts_sha256") == dataset.prompts_sha256)


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
    out.print(f"Next: python -m course.inspect_run --run {run} --only-fails --top-k 5")


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
        out.print(f"\nThis is a holdout. Earlier looks at it, as far as this runs folder knows: {looks}.")
        if looks:
            out.print("Each look invites tuning on it; a holdout that guided a choice is a second dev set.")
    if not manifest["core"]["sealed"]:
        out.print("\nThe seal on the core is broken (python -m course.seal says where). The run records it.")


def describe_sampling(manifest: dict[str, Any]) -> str:
    sampling, policy = manifest["sampling"], manifest["policy"]
    if sampling is None:
        return "sampling unknown (no sidecar beside the completions)"
    settings = f"temperature {sampling['temperature']:g}, top_p {sampling['top_p']:g}, seed {sampling['seed']}"
    return f"{policy['name']} {policy['sha256'][:8]}, {sampling['samples_per_prompt']} per prompt, {settings}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course.eval", description="Loop A: score completions, write a run."
    )
    parser.add_argument("--dataset", type=Path, required=True, help="the examples (JSONL)")
    parser.add_argument("--completions", type=Path, required=True, help="the completions (JSONL)")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    parser.add_argument("--change", help="the single thing that was changed since --parent")
    parser.add_argument("--parent", type=Path, metavar="RUN", help="the run that this one is to be compared with")
    parser.add_argument("--note", help="a free remark for the manifest")
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
