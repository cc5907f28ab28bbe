"""Is a run still what was measured? Everything that it says is made again, and held against what it says."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from course.core.datasets import CompletionsFile, Example, load_dataset
from course.core.files import InputError, read_json, sha256_file
from course.core.manifest import RESULTS, SUMMARY, Manifest, load_manifest
from course.core.runs import Result, damage, load_results
from course.core.scoring import answers, score_one, scorer_identity, summarise

FROM_THE_SOURCE = ("id", "sample", "prompt", "expected_answer", "completion")  # fields of a result


def verify(run: Path) -> tuple[list[str], list[str]]:
    """Everything that is wrong with a run, and remarks on what could not be checked; one line each.

    Checks the hashes of every file, scores every stored completion again, sums the results up again, and
    holds them against the original completions where these still lie where the run found them.
    Raises InputError if the folder is no run.
    """
    manifest = load_manifest(run)
    wrong = damage(run)
    remarks: list[str] = []
    if not manifest.has_results or not (run / RESULTS).is_file():
        return wrong, remarks
    try:
        if manifest.scorer == scorer_identity():
            wrong.extend(scored_otherwise(run))
        else:
            remarks.append("the scorer has changed since this run was made, so its completions were not scored again")
        wrong.extend(summed_otherwise(run))
        lost = lost_source(manifest)
        if lost:
            remarks.append(f"{lost}, so the results were not held against it")
        else:
            wrong.extend(unlike_the_source(run, manifest))
    except InputError as error:
        wrong.append(str(error))
    return wrong, remarks


def line_of(number: int, result: Result) -> str:
    return f"{RESULTS}, line {number}: {result.id}, sample {result.sample}"


def scored_otherwise(run: Path) -> Iterator[str]:
    """The lines whose stored score is not what the scorer gives."""
    for number, stored in enumerate(load_results(run), start=1):
        example = Example(id=stored.id, prompt=stored.prompt, expected_answer=stored.expected_answer, metadata={})
        where = line_of(number, stored)
        try:
            again = score_one(example, stored.sample, stored.completion)
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
    stored: dict[str, Any] = read_json(run / SUMMARY, dict[str, Any])
    again = summarise(load_results(run))
    if not again:
        yield f"{RESULTS}: it holds no results"
    for name, value in again.items():
        if stored.get("loop") == "B" and name.startswith("pass_at"):
            continue  # pass@1 is the policy's; the results of Loop B are of chosen samples
        if stored.get(name) != value:
            yield f"{SUMMARY}, {name}: it says {stored.get(name)}, the results give {value}"


def sources_of(manifest: Manifest) -> dict[str, Path]:
    """Where the run found its data set and its completions."""
    where = manifest.circumstances
    return {"dataset": Path(where.dataset_path or ""), "completions": Path(where.completions_path or "")}


def lost_source(manifest: Manifest) -> str | None:
    """Why the original data set and completions cannot be had; None if they can."""
    for (kind, path), record in zip(
        sources_of(manifest).items(), (manifest.dataset, manifest.completions), strict=True
    ):
        if not path.is_file():
            return f"the {kind} file {path} is not found from here"
        if record is None or sha256_file(path) != record.sha256:
            return f"the {kind} file {path} has changed since"
    return None


def unlike_the_source(run: Path, manifest: Manifest) -> Iterator[str]:
    """The lines that differ from the original data set and completions."""
    paths = sources_of(manifest)
    dataset = load_dataset(paths["dataset"])
    originals = (
        (example["id"], sample, example["prompt"], example["expected_answer"], completion)
        for example, sample, completion in answers(dataset, CompletionsFile(paths["completions"], dataset.examples))
    )
    if manifest.selection:
        pack = {(example_id, sample): (prompt, text) for example_id, sample, prompt, _, text in originals}
        yield from unlike_the_pack(run, pack)
        return
    for number, (original, stored) in enumerate(zip_longest(originals, load_results(run)), start=1):
        if original is None or stored is None:
            amount = "more" if original is None else "fewer"
            yield f"{RESULTS}: it holds {amount} rows than the completions file gives"
            return
        for field, value in zip(FROM_THE_SOURCE, original, strict=True):
            if getattr(stored, field) != value:
                yield f"{RESULTS}, line {number}: the {field} is not that of {paths['completions'].name}"


def unlike_the_pack(run: Path, pack: dict[tuple[str, int], tuple[str, str | None]]) -> Iterator[str]:
    """Whether a run of Loop B holds, for every example, exactly one of the samples that the pack has."""
    waiting = dict.fromkeys(example_id for example_id, _ in pack)
    for number, stored in enumerate(load_results(run), start=1):
        where = line_of(number, stored)
        if stored.id not in waiting:
            yield f"{where}: the pack has no such example, or it was chosen for already"
            continue
        del waiting[stored.id]
        if pack.get((stored.id, stored.sample)) != (stored.prompt, stored.completion):
            yield f"{where}: the pack has no such sample"
    for example_id in waiting:
        yield f"{RESULTS}: nothing was chosen for {example_id}"
