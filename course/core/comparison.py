"""The locked room's reasoning: may two runs be compared, and what does the comparison say?

    found = judge((run_a, run_b), (wrong_a, wrong_b))      a Refusal or an Answer

`compare` prints what is found here and `report` draws it. Two runs share a room if everything but one declared
thing was the same when they were measured; whatever else differs is named, with what it makes of the change.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core import stats
from course.core.display import p_value
from course.core.runs import RESULTS, load_manifest, load_results

# What must be the same in both runs: (name, where the manifest holds it, what a difference makes of the change).
ROOM = (
    ("dataset", ("dataset", "sha256"), "a new environment"),
    ("split", ("dataset", "split"), "a new environment"),
    ("prompts", ("prompts_sha256",), "a new environment"),
    ("tokenizer", ("policy", "tokenizer_sha256"), "another way from tokens to text: a new environment"),
    ("scorer spec", ("scorer", "spec_version"), "a new instrument"),
    ("scorer source", ("scorer", "sha256"), "a new instrument"),
    ("seal of the core", ("core", "sealed"), "an instrument that nobody vouches for"),
)
# What may differ, if it is the only one and is declared: (name, where, the loop and the knob it belongs to).
KNOBS = (
    ("policy", ("policy", "sha256"), "Loop C, learning: another policy, asked in the same way"),
    ("temperature", ("sampling", "temperature"), "sampling: the same policy, asked in another way"),
    ("top_p", ("sampling", "top_p"), "sampling: the same policy, asked in another way"),
    ("max_new_tokens", ("sampling", "max_new_tokens"), "sampling: the same policy, asked in another way"),
    (
        "samples per prompt",
        ("sampling", "samples_per_prompt"),
        "sampling: the same policy, asked more or less often",
    ),
)


SELECTION = "Loop B, selection: the same policy, another choice among its samples"
SELECTION_KNOBS = (
    ("the rule pick_best", ("selection", "rule"), SELECTION),
    ("samples to choose from", ("selection", "n"), SELECTION),
    ("the selecting rubric", ("selection", "select_with"), SELECTION),
)


SAMPLED_AGAIN = "Loop A, measurement: the same policy sampled again"


@dataclass(frozen=True)
class Difference:
    """One thing that differs between two runs."""

    name: str
    before: Any
    after: Any
    meaning: str


def value_at(manifest: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """The value in the manifest, None where there is none."""
    value: Any = manifest
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def differences(before: dict[str, Any], after: dict[str, Any], things: Any) -> list[Difference]:
    """The things of a list that two manifests do not share."""
    found = []
    for name, keys, meaning in things:
        one, other = value_at(before, keys), value_at(after, keys)
        if one != other:
            found.append(Difference(name, one, other, meaning))
    return found


def knobs_turned(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """The knobs that stand differently. To select at all, or not to, is one knob; how to select are three."""
    both_select = before.get("selection") and after.get("selection")
    how = SELECTION_KNOBS if both_select else (("selection", ("selection",), SELECTION),)
    return differences(before, after, (*KNOBS, *how))


def refusals(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """Why two runs cannot be compared: (what differs, what that makes of the change). Empty if they can be."""
    room = differences(before, after, ROOM)
    knobs = knobs_turned(before, after)
    found = [(f"{d.name}: {short(d.before)} before, {short(d.after)} after", d.meaning) for d in room]
    if (before["sampling"] is None) != (after["sampling"] is None):
        found.append(("sampling: known of one run, unknown of the other", "a change that cannot be named"))
    elif len(knobs) > 1:
        found.extend(
            (f"{d.name}: {short(d.before)} before, {short(d.after)} after", "two knobs at once") for d in knobs
        )
    # Without a sidecar only the declaration says what was changed, so other completions count as a change.
    changed = bool(knobs) or (before["sampling"] is None and before["completions"] != after["completions"])
    if changed and not found and not declares(after, before):
        if declares(before, after):
            found.append(("the order: the first run declares a change since the second", "swap the two runs"))
        else:
            what = knobs[0].name if knobs else "the completions"
            found.append((f"{what} changed, and the second run does not declare it", "an undeclared change"))
    return found


def declares(after: dict[str, Any], before: dict[str, Any]) -> bool:
    """Does one run say that it differs from the other in a single thing?"""
    change = after.get("change")
    return change is not None and change["parent_seal"] == before["seal"]


def short(value: Any) -> str:
    """A value for people: hashes by their first eight digits, a selection in words."""
    if isinstance(value, dict) and value.keys() >= {"n", "select_with", "rule"}:
        return f"best of {value['n']} by {value['select_with']} (rule {str(value['rule'])[:8]})"
    text = "unknown" if value is None else str(value)
    return text[:8] if len(text) == 64 else text


def knob_of(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The loop and the knob that the change between two comparable runs belongs to."""
    knobs = knobs_turned(before, after)
    if knobs:
        return knobs[0].meaning
    if before["completions"]["sha256"] == after["completions"]["sha256"]:
        return "Loop A, measurement: the same completions measured twice"
    if before["sampling"] is None:
        return "unknown: no sidecar says how the completions were made, so the declaration is all there is"
    return SAMPLED_AGAIN


def counts_by_example(run: Path) -> dict[str, stats.Counts]:
    """(samples, passes) of every example of a run."""
    samples: dict[str, int] = defaultdict(int)
    passes: dict[str, int] = defaultdict(int)
    for result in load_results(run):
        samples[result.id] += 1
        passes[result.id] += result.reward >= 1.0
    return {key: (n, passes[key]) for key, n in samples.items()}


def sentence(verdict: stats.Paired, knob: str) -> str:
    """The verdict in one plain sentence."""
    points = f"{100 * abs(verdict.difference):.1f} points"
    if verdict.p >= stats.SIGNIFICANT:
        return f"no difference that luck does not explain ({points}, p = {p_value(verdict.p)})."
    if knob == SAMPLED_AGAIN:
        drawn = (
            f"two draws of one policy that differ by {points}, which chance alone does with p = {p_value(verdict.p)}"
        )
        return f"{drawn}: nothing was learned. If p is tiny, more than the seed was changed."
    word = "better" if verdict.difference > 0 else "worse"
    turned = f"{knob[:1].upper()}{knob[1:]}"
    return f"the second run is {word} by {points}, more than luck explains (p = {p_value(verdict.p)}). {turned}."


@dataclass(frozen=True)
class Refusal:
    """Two runs that cannot be compared: each reason is (what differs, what that makes of the change)."""

    reasons: list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """Two runs that can be compared: the paired statistics, the knob that was turned, and what was declared."""

    verdict: stats.Paired
    knob: str
    declared: str | None

    @property
    def ties(self) -> int:
        return len(self.verdict.counts[0]) - len(self.verdict.wins) - len(self.verdict.losses)


def judge(runs: tuple[Path, Path], wrong: tuple[list[str], list[str]]) -> Refusal | Answer:
    """Compare two runs, the one before and the one after, or say why they cannot be compared.

    `wrong` is what verifying each of them found (`course.measurement.verify`). Raises InputError if a folder is no run.
    """
    manifests = load_manifest(runs[0]), load_manifest(runs[1])
    reasons = []
    for run, manifest, found in zip(runs, manifests, wrong, strict=True):
        if found:
            reasons.append((f"{run}: {found[0]}", "a run that does not verify"))
        elif RESULTS not in manifest["files"]:
            reasons.append((f"{run}: it holds no {RESULTS}", "a run that measured no completions"))
    reasons = reasons or refusals(*manifests)
    if reasons:
        return Refusal(reasons)
    before, after = (counts_by_example(run) for run in runs)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        return Refusal([(f"examples: {len(odd)} are in one run only, {odd[0]!r} first", "a new environment")])
    declared = manifests[1]["change"]["declared"] if declares(manifests[1], manifests[0]) else None
    return Answer(stats.paired(before, after), knob_of(*manifests), declared)
