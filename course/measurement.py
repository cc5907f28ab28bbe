"""What Loop A does to completions, and the same done again to check a run.

`measure` scores and `summarise` counts; `eval` writes down what they give, and `verify` repeats them on a
finished run, so a run is believed because it can be remade and not because it says so.
"""

import argparse
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from course import score as scorer
from course.datasets import CompletionsFile, Dataset, Example, Sidecar, load_dataset
from course.files import InputError, read_json, sha256_file
from course.runs import RESULTS, SUMMARY, Result, damage, declare, load_manifest, load_results
from course.score import score
from course.seal import core_state
from course.stats import MISSING, Tally
from course.terminal import visible

REMEMBERED, SHORT = 50_000, 200  # scores kept for when a completion comes again: how many, and how long
REASONS = {**scorer.CODES, MISSING: "the example has no completion"}


def scorer_identity() -> dict[str, str]:
    """Which instrument this is: the version of its spec and the hash of its source."""
    return {"spec_version": scorer.SPEC_VERSION, "sha256": sha256_file(Path(str(scorer.__file__)))}


def experiment(args: argparse.Namespace, loop: str, knob: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a demo: its loop and the knob it turns, its settings, the scorer, the state of the core.

    `args` are those of `add_run_options`.
    """
    return {
        "loop": loop,
        "knob": knob,
        "change": declare(args.change, args.parent),
        "note": args.note,
        "settings": settings,
        "scorer": scorer_identity(),
        "core": core_state(),
    }


def provenance(dataset: Dataset, completions: CompletionsFile, sidecar: Sidecar | None) -> dict[str, Any]:
    """What was measured, by which instrument, and how it was sampled: the part of a manifest that a comparison reads.

    To be asked when the completions have been read to their end.
    """
    policy = None
    if sidecar is not None:
        hashes = {"sha256": sidecar.policy_sha256, "tokenizer_sha256": sidecar.tokenizer_sha256}
        policy = {"name": sidecar.policy, **hashes}
    return {
        "dataset": {"name": dataset.path.name, "sha256": dataset.sha256, "split": dataset.split},
        "prompts_sha256": dataset.prompts_sha256,
        "completions": {"name": completions.lines.path.name, "sha256": completions.lines.sha256},
        "scorer": scorer_identity(),
        "policy": policy,
        "sampling": None if sidecar is None else msgspec.to_builtins(sidecar.sampling),
    }


def describe_sampling(manifest: dict[str, Any]) -> str:
    """In one line, which policy was asked, and how, as the manifest of a run with completions says it."""
    sampling, policy = manifest["sampling"], manifest["policy"]
    if sampling is None:
        return "sampling unknown (no sidecar beside the completions)"
    settings = f"temperature {sampling['temperature']:g}, top_p {sampling['top_p']:g}, seed {sampling['seed']}"
    return f"{visible(policy['name'])} {policy['sha256'][:8]}, {sampling['samples_per_prompt']} per prompt, {settings}"


def measure(dataset: Dataset, completions: CompletionsFile) -> Iterator[Result]:
    """Score every completion, in file order; then every example without one, as a failure. Raises InputError."""
    # score() is pure, so what an example has been answered before need not be scored again.
    known: dict[tuple[str, str], Result] = {}
    for row in completions:
        key = (row.id, row.completion)
        result = known.get(key)
        if result is None:
            result = score_one(dataset.examples[row.id], row.sample, row.completion)
            if len(row.completion) <= SHORT:
                if len(known) >= REMEMBERED:
                    known.clear()
                known[key] = result
        elif result.sample != row.sample:
            result = Result(
                row.id, row.sample, result.prompt, result.expected_answer, row.completion, result.reward, result.details
            )
        yield result
    for example_id, samples in completions.seen.items():
        if not samples:
            yield score_one(dataset.examples[example_id], 0, None)


def score_one(example: Example, sample: int, completion: str | None) -> Result:
    """The result of one completion; None is a completion that is missing."""
    outcome = score(example, completion)
    details = outcome["details"]
    if completion is None:
        details["code"] = MISSING
    prompt, expected = example["prompt"], example["expected_answer"]
    return Result(example["id"], sample, prompt, expected, completion, outcome["reward"], details)


def summarise(results: Iterable[Result]) -> dict[str, Any]:
    """The statistics of some results."""
    tally = Tally()
    for result in results:
        tally.add(result.id, result.reward, result.details["code"])
    return tally.summary()


def example_of(result: Result) -> Example:
    """The example that a result was scored against."""
    return {
        "id": result.id,
        "prompt": result.prompt,
        "expected_answer": result.expected_answer,
        "metadata": {},
    }


def verify(run: Path) -> tuple[list[str], list[str]]:
    """Everything that is wrong with a run, and remarks on what could not be checked; one line each.

    Checks the hashes of every file, scores every stored completion again, sums the results up again, and
    holds them against the original completions where these still lie where the run found them.
    Raises InputError if the folder is no run.
    """
    manifest = load_manifest(run)
    wrong = damage(run)
    remarks: list[str] = []
    if RESULTS not in manifest["files"] or not (run / RESULTS).is_file():
        return wrong, remarks
    try:
        if manifest["scorer"] == scorer_identity():
            wrong.extend(scored_otherwise(run))
        else:
            remarks.append("the scorer has changed since this run was made, so its completions were not scored again")
        wrong.extend(summed_otherwise(run))
        differing, remark = unlike_the_source(run, manifest)
        wrong.extend(differing)
        remarks.extend(remark)
    except InputError as error:
        wrong.append(str(error))
    except (AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
        wrong.append(f"the run lacks what a run with results holds: {error!r}")
    return wrong, remarks


def scored_otherwise(run: Path) -> Iterator[str]:
    """The lines whose stored score is not what the scorer gives."""
    for number, stored in enumerate(load_results(run), start=1):
        where = f"{RESULTS}, line {number}: {stored.id}, sample {stored.sample}"
        try:
            again = score_one(example_of(stored), stored.sample, stored.completion)
        except Exception as error:  # a scorer that is being edited may raise anything
            yield f"{where}: today's scorer raises {error}"
            continue
        if stored.reward != again.reward:
            yield f"{where}: the reward stored is {stored.reward:g}, the scorer gives {again.reward:g}"
        elif stored.details != again.details:
            keys = [key for key in again.details if stored.details.get(key) != again.details[key]]
            yield f"{where}: the details stored are not what the scorer gives ({', '.join(keys) or 'keys'})"


def summed_otherwise(run: Path) -> Iterator[str]:
    """The fields of the summary that do not follow from the results."""
    if not (run / SUMMARY).is_file():
        return
    stored, again = read_json(run / SUMMARY), summarise(load_results(run))
    selected = stored.get("loop") == "B"
    for name, value in again.items():
        if selected and name.startswith("pass_at"):
            continue  # pass@1 is the policy's; the results of Loop B are of chosen samples
        if stored.get(name) != value:
            yield f"{SUMMARY}, {name}: it says {stored.get(name)}, the results give {value}"


def unlike_the_source(run: Path, manifest: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The lines that differ from the original data set and completions, where those can still be had."""
    paths = {kind: Path(manifest["circumstances"][f"{kind}_path"]) for kind in ("dataset", "completions")}
    for kind, path in paths.items():
        if not path.is_file():
            return [], [f"the {kind} file {path} is not found from here, so the results were not held against it"]
        if sha256_file(path) != manifest[kind]["sha256"]:
            return [], [f"the {kind} file {path} has changed since, so the results were not held against it"]
    dataset = load_dataset(paths["dataset"])
    originals = unscored(dataset, CompletionsFile(paths["completions"], dataset.examples))
    if manifest.get("selection"):
        return list(unlike_the_pack(run, originals)), []
    wrong = []
    for number, (one, other) in enumerate(zip_longest(originals, load_results(run)), start=1):
        if one is None or other is None:
            wrong.append(
                f"{RESULTS}: it holds {'more' if one is None else 'fewer'} rows than the completions file gives"
            )
            break
        wrong.extend(f"{RESULTS}, line {number}: {difference}" for difference in differing(one, other, paths))
    return wrong, []


def unscored(dataset: Dataset, completions: CompletionsFile) -> Iterator[Result]:
    """What `measure` would yield, but for rewards and details: to hold a run against its source needs no scorer."""

    def plain(example: Example, sample: int, completion: str | None) -> Result:
        return Result(example["id"], sample, example["prompt"], example["expected_answer"], completion, 0.0, {})

    for row in completions:
        yield plain(dataset.examples[row.id], row.sample, row.completion)
    for example_id, samples in completions.seen.items():
        if not samples:
            yield plain(dataset.examples[example_id], 0, None)


def differing(original: Result, stored: Result, paths: dict[str, Path]) -> Iterator[str]:
    """The fields in which a stored result is not that of its source."""
    for field in ("id", "sample", "prompt", "expected_answer", "completion"):
        if getattr(original, field) != getattr(stored, field):
            yield f"the {field} is not that of {paths['completions'].name}"


def unlike_the_pack(run: Path, originals: Iterator[Result]) -> Iterator[str]:
    """Whether a run of Loop B holds, for every example, exactly one of the samples that the pack has."""
    pack: dict[str, dict[int, Result]] = {}
    for result in originals:
        pack.setdefault(result.id, {})[result.sample] = result
    for number, stored in enumerate(load_results(run), start=1):
        where = f"{RESULTS}, line {number}: {stored.id}, sample {stored.sample}"
        if stored.id not in pack:
            yield f"{where}: the pack has no such example, or it was chosen for already"
            continue
        original = pack.pop(stored.id).get(stored.sample)
        if original is None or original.completion != stored.completion or original.prompt != stored.prompt:
            yield f"{where}: the pack has no such sample"
    for example_id in pack:
        yield f"{RESULTS}: nothing was chosen for {example_id}"
