"""Completions scored, one example at a time: what Loop A measures, and Loops B and C ask the same scorer for."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
REMEMBERED, SHORT = 50_000, 200  # scores kept for when a completion comes again: how many, and how long
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
        hashes = {"sha256": sidecar.policy_sha256, "tokenizer_sha256": sidecar.tokenizer_sha256}
        policy = PolicyRecord(name=sidecar.policy, **hashes)
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


def counts_by_example(results: Iterable[tuple[str, bool]]) -> dict[str, Counts]:
    """(samples, passes) of every example, from (example id, did it pass) for each sample."""
    samples: Counter[str] = Counter()
    passes: Counter[str] = Counter()
    for example_id, passed in results:
        samples[example_id] += 1
        passes[example_id] += passed
    return {example_id: (many, passes[example_id]) for example_id, many in samples.items()}


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
