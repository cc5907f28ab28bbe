"""One completion scored, and scores summed up: what all three loops ask of the scorer."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from course import score as scorer
from course.core.datasets import Example
from course.core.display import visible
from course.core.files import InputError, read_bytes, sha256, sha256_file
from course.core.manifest import Manifest, ScorerRecord
from course.core.paths import NOTES
from course.core.runs import Result
from course.core.stats import FAILED, MISSING, Counts, Tally
from course.rubrics import RUBRICS
from course.score import MAX_CHARACTERS, score

Scorer = Callable[[Mapping[str, Any], object], dict[str, Any]]

STRICT = "strict"
SCORERS = (STRICT, *RUBRICS)
PATCHED = "patched"  # the student's rubric, in notes/patch.py
PATCHES: dict[str, Scorer] = {}  # those that were read, each as it stood then
NO_ANSWER = {MISSING: "no completion came for it", FAILED: "the request failed, so no completion came"}
REASONS = {**scorer.CODES, **NO_ANSWER}


def scorer_named(name: str) -> Scorer:
    """`strict`, the scorer itself, the weak rubric of that name, or a patch that was read. Raises KeyError."""
    return score if name == STRICT else PATCHES[name] if name in PATCHES else RUBRICS[name].score


def read_patch(path: Path = NOTES / "patch.py") -> str:
    """Read a student's rubric, and return the name of what stands there now, for `scorer_named`: it ends in a hash.

    It runs in this process, as `pick_best` does: it is the student's own. Raises InputError, and so does the scorer.
    """
    source = read_bytes(path)
    names: dict[str, Any] = {"__name__": PATCHED, "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), names)
        patched = names["patched"]
    except (Exception, SystemExit) as error:
        raise InputError(path, f"it must define the function patched; it raised {error!r:.200}") from None

    def patch(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        try:
            reward = float(patched(dict(example), completion)["reward"])
        except (Exception, SystemExit) as error:
            raise InputError(path, f"it raised {error!r:.200} for {completion!r:.100}") from None
        if not 0 <= reward <= 1:
            raise InputError(path, f"a reward is a number from 0 to 1, not {reward}, as for {completion!r:.100}")
        return {"reward": reward, "details": {}}

    name = f"{PATCHED} {sha256(source)[:12]}"
    PATCHES[name] = patch
    return name


def scorer_identity() -> ScorerRecord:
    """Which instrument this is: the version of its spec and the hash of its source."""
    return ScorerRecord(spec_version=scorer.SPEC_VERSION, sha256=sha256_file(Path(str(scorer.__file__))))


def describe_sampling(manifest: Manifest) -> str:
    """In one line, which policy was asked, and how."""
    sampling, policy = manifest.sampling, manifest.policy
    if sampling is None or policy is None:
        return "sampling unknown (no sidecar beside the completions)"
    known = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
    settings = ", ".join(f"{name} {spelt(value)}" for name, value in known.items())
    settings += "" if manifest.view is None else f"; scored: {visible(manifest.view)}"
    return f"{visible(str(policy.name))} {str(policy.sha256)[:8]}, {sampling.samples_per_prompt} per prompt, {settings}"


def spelt(value: float | None) -> str:
    """A setting as it is typed; `unknown` where nobody knows it."""
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


NUMBER = re.compile(r"(?<![0-9])[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")


def right_in_another_form(result: Result) -> bool:
    """Is it no pass, but the last number in it is the expected one: `3,000`, `+3000`, `3000.0`? Never a reward."""
    numbers = NUMBER.findall(result.completion[-MAX_CHARACTERS:]) if result.completion and not result.passed else []
    whole, _, fraction = numbers[-1].replace(",", "").partition(".") if numbers else ("", "", "")
    digits = whole.lstrip("+-").lstrip("0") or "0"
    sign = "-" if whole.startswith("-") and digits != "0" else ""
    return bool(whole) and not fraction.strip("0") and sign + digits == str(result.expected_answer)


CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length")  # finish reasons of truncated answers


def was_cut_off(finish_reason: str | None) -> bool:
    """Did an answer end because it had no more room?"""
    return (finish_reason or "").lower() in CUT_OFF


def lost_answers(summary: Mapping[str, Any]) -> list[str]:
    """What a reader must know of answers that are absent, failed or cut off; a line each."""
    lines = []
    failures, reasons = summary["failures"], summary["finish_reasons"]
    for code, meaning in NO_ANSWER.items():
        if code in failures:
            lines.append(f"{failures[code]} of {summary['scored']} answers: {meaning} ({code}, counted as failed).")
    fewest, most = summary["samples_per_example"]
    if fewest < most:
        examples, expected = summary["examples"], summary["examples"] * most
        lines.append(
            f"WARNING: from {fewest} to {most} answers an example, {summary['scored']} over {examples} examples, where "
            f"{most} each would be {expected}. If some were lost, --samples {most} counts them as failed."
        )
    for reason, many in reasons.items():
        if was_cut_off(reason):
            lines.append(f"{many} of {summary['scored']} answers were cut off (finish_reason {visible(reason)}).")
    return lines


def score_one(example: Example, sample: int, completion: str | None, no_answer: str | None = None) -> Result:
    """The result of one completion; where none came, `no_answer` is the code that says why."""
    outcome = score(example, completion)
    details = outcome["details"]
    if no_answer is not None:
        details["code"] = no_answer
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
        tally.add(result.id, result.reward, result.code, result.finish_reason)
    return tally.summary() if tally.counts else {}
