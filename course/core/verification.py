"""Is a run still what was measured? Everything that it says is made again, and held against what it says."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from course.core.datasets import CompletionsFile, Dataset, Example, load_dataset
from course.core.files import InputError, read_json, sha256_file
from course.core.manifest import RESULTS, SUMMARY, Manifest, load_manifest
from course.core.runs import Result, damage, load_results
from course.core.scoring import score_one, scorer_identity, summarise


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
    if not manifest.has_results or not (run / RESULTS).is_file():
        return wrong, remarks
    try:
        if manifest.scorer == scorer_identity():
            wrong.extend(scored_otherwise(run))
        else:
            remarks.append("the scorer has changed since this run was made, so its completions were not scored again")
        wrong.extend(summed_otherwise(run))
        differing, remark = unlike_the_source(run, manifest)
        wrong.extend(differing)
        remarks.extend(remark)
    except InputError as error:
        wrong.append(str(error))
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


def unlike_the_source(run: Path, manifest: Manifest) -> tuple[list[str], list[str]]:
    """The lines that differ from the original data set and completions, where those can still be had."""
    assert manifest.dataset is not None, "load_manifest sees to it"
    assert manifest.completions is not None, "load_manifest sees to it"
    where, hashes = manifest.circumstances, (manifest.dataset.sha256, manifest.completions.sha256)
    paths = {"dataset": Path(str(where.dataset_path)), "completions": Path(str(where.completions_path))}
    for (kind, path), expected in zip(paths.items(), hashes, strict=True):
        if not path.is_file():
            return [], [f"the {kind} file {path} is not found from here, so the results were not held against it"]
        if sha256_file(path) != expected:
            return [], [f"the {kind} file {path} has changed since, so the results were not held against it"]
    dataset = load_dataset(paths["dataset"])
    originals = unscored(dataset, CompletionsFile(paths["completions"], dataset.examples))
    if manifest.selection:
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
