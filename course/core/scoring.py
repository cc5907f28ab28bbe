"""Completions scored, one at a time: what Loop A measures, and Loops B and C ask the same scorer for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from course import score as scorer
from course.core.datasets import CompletionsFile, Dataset, Example, Sidecar
from course.core.display import visible
from course.core.files import sha256_file
from course.core.manifest import FileRecord, Manifest, PolicyRecord, ScorerRecord
from course.core.runs import Result
from course.core.stats import MISSING, Counts, Tally
from course.rubrics import RUBRICS
from course.score import score

Scorer = Callable[[Mapping[str, Any], object], dict[str, Any]]

STRICT = "strict"
SCORERS = (STRICT, *RUBRICS)
REMEMBERED, FEW, SHORT = 50_000, 1_000, 200  # scores kept for when a completion comes again: how many, and how long
REASONS = {**scorer.CODES, MISSING: "the example has no completion"}


def scorer_named(name: str) -> Scorer:
    """`strict`, the scorer itself, or the weak rubric of that name. Raises KeyError."""
    return score if name == STRICT else RUBRICS[name].score


def scorer_identity() -> ScorerRecord:
    """Which instrument this is: the version of its spec and the hash of its source."""
    return ScorerRecord(spec_version=scorer.SPEC_VERSION, sha256=sha256_file(Path(str(scorer.__file__))))


def provenance(dataset: Dataset, completions: CompletionsFile, sidecar: Sidecar | None) -> dict[str, Any]:
    """What was measured and how it was sampled: the fields of a manifest that a comparison reads.

    For completions that have been read to the end, when their hash is known.
    """
    policy = None
    if sidecar is not None:
        tokenizer = sidecar.tokenizer_sha256
        policy = PolicyRecord(name=sidecar.policy, sha256=sidecar.policy_sha256, tokenizer_sha256=tokenizer)
    return {
        "dataset": FileRecord(name=dataset.path.name, sha256=dataset.sha256, split=dataset.split),
        "prompts_sha256": dataset.prompts_sha256,
        "completions": FileRecord(name=completions.lines.path.name, sha256=completions.lines.sha256),
        "policy": policy,
        "sampling": None if sidecar is None else sidecar.sampling,
    }


def describe_sampling(manifest: Manifest) -> str:
    """In one line, which policy was asked, and how."""
    sampling, policy = manifest.sampling, manifest.policy
    if sampling is None or policy is None:
        return "sampling unknown (no sidecar beside the completions)"
    settings = f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, seed {sampling.seed}"
    return f"{visible(str(policy.name))} {str(policy.sha256)[:8]}, {sampling.samples_per_prompt} per prompt, {settings}"


def answers(dataset: Dataset, completions: CompletionsFile) -> Iterator[tuple[Example, int, str | None]]:
    """(example, sample, completion) in file order; then every example without a completion, with None for it.

    Raises InputError.
    """
    for row in completions:
        yield dataset.examples[row.id], row.sample, row.completion
    for example_id, samples in completions.seen.items():
        if not samples:
            yield dataset.examples[example_id], 0, None


def measure(dataset: Dataset, completions: CompletionsFile) -> Iterator[Result]:
    """Score every completion, in file order; then every example without one, as a failure. Raises InputError."""
    known: dict[tuple[str, str], Result] = {}  # score() is pure, so the same answer need not be scored again
    room = REMEMBERED if len(dataset.examples) <= REMEMBERED else FEW  # of more examples, only near ones come again
    for example, sample, completion in answers(dataset, completions):
        if completion is None or len(completion) > SHORT:
            yield score_one(example, sample, completion)
            continue
        if len(known) >= room:
            known.clear()
        key = example["id"], completion
        if key not in known:
            known[key] = score_one(example, sample, completion)
        result = known[key]
        yield result if result.sample == sample else msgspec.structs.replace(result, sample=sample)


def score_one(example: Example, sample: int, completion: str | None) -> Result:
    """The result of one completion; None is a completion that is missing."""
    outcome = score(example, completion)
    details = outcome["details"]
    if completion is None:
        details["code"] = MISSING
    prompt, expected = example["prompt"], example["expected_answer"]
    return Result(example["id"], sample, prompt, expected, completion, outcome["reward"], details)


def counts_by_example(results: Iterable[tuple[str, bool]]) -> dict[str, Counts]:
    """(samples, passes) of every example, from (example id, did it pass) for each sample."""
    counts: dict[str, Counts] = {}
    alike: dict[Counts, Counts] = {}  # equal counts are kept once
    for example_id, passed in results:
        samples, passes = counts.get(example_id, (0, 0))
        count = samples + 1, passes + passed
        counts[example_id] = alike.setdefault(count, count)
    return counts


def summarise(results: Iterable[Result]) -> dict[str, Any]:
    """The statistics of some results (`Tally.summary`); empty if there are none."""
    tally = Tally()
    for result in results:
        tally.add(result.id, result.reward, result.code)
    return tally.summary() if tally.counts else {}
