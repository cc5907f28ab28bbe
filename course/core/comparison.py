"""The locked room's reasoning: may two runs be compared, and what does the comparison say?

    outcome = compare_runs(checked_run(run_a), checked_run(run_b))      a NotComparable or a Comparison

`compare` prints the outcome and `report` draws it. Two runs share a room if everything but one declared thing was the
same when they were measured. Whatever else differs is named, with what it makes of the change.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from course.core import stats
from course.core.declarations import declared_afterwards
from course.core.display import p_value
from course.core.files import sha256
from course.core.manifest import RESULTS, WHOLE, Manifest, PolicyRecord, SelectionRecord, load_manifest
from course.core.power import LARGEST, OFTEN, share_changed, visible_difference
from course.core.runs import load_results
from course.core.scoring import counts_by_example
from course.core.verification import Verification, verify

ENVIRONMENT, INSTRUMENT = "a new environment", "a new instrument"
UNDECLARED = "an undeclared change"
ASKED_OTHERWISE = "sampling: the same policy, asked in another way"
ASKED_MORE_OFTEN = "sampling: the same policy, asked more or less often"
SELECTION = "Loop B, selection: the same policy, another choice among its samples"
SAMPLED_AGAIN = "Loop A, measurement: the same policy sampled again"
MEASURED_TWICE = "Loop A, measurement: the same completions measured twice"
LEARNED = "Loop C, learning: a policy that was learned from the first one, asked in the same way"
UNKNOWN = "unknown: no sidecar says how the completions were made, so the declaration is all there is"
ANOTHER_POLICY = "another policy: what changed between the two is not known here"
SELECTING = (("the rule pick_best", "rule"), ("samples to choose from", "n"), ("the selecting rubric", "select_with"))

ASKED = ("temperature", "top_p", "max_new_tokens")

Condition = tuple[str, object, str]  # name, value, what a difference makes of the change
Reason = tuple[str, str]  # what differs, what that makes of the change


@dataclass(frozen=True)
class NotComparable:
    """Two runs that cannot be compared, and why."""

    reasons: list[Reason]

    @property
    def undeclared(self) -> bool:
        """Would a declaration alone make them comparable?"""
        return any(meaning == UNDECLARED for _, meaning in self.reasons)


@dataclass(frozen=True)
class Comparison:
    """Two runs that can be compared: the paired statistics, the knob that was turned, and what was declared."""

    verdict: stats.Paired
    knob: str
    declared: str | None
    caveats: list[str] = field(default_factory=list)  # what verifying the two runs could not check
    reasons: list[Reason] = field(default_factory=list)  # why the room is not locked, where an answer was forced

    @property
    def noise_rule(self) -> str:
        return stats.noise_rule(len(self.verdict.counts[0]), self.verdict.difference)

    @property
    def could_find(self) -> str | None:
        """Where luck explains the difference: the smallest one that would often be found. Of single samples only.

        It takes the share of examples that changed from the runs, and not the difference: the power to find the
        difference that was seen would only say p again.
        """
        verdict = self.verdict
        n, changed = len(verdict.counts[0]), len(verdict.wins) + len(verdict.losses)
        drawn_twice = verdict.words is stats.WON_OR_LOST and self.knob != MEASURED_TWICE
        if self.reasons or verdict.p < stats.SIGNIFICANT or not drawn_twice or n > LARGEST:
            return None
        smallest = visible_difference(n, share_changed(changed / n), changed / n, OFTEN)
        often = f"in {100 * OFTEN:.0f} of 100 such comparisons"
        if smallest is None:
            return f"no difference {often}: only {changed} of {n} examples changed"
        return f"a difference of {100 * smallest:.1f} points or more, {often}"

    @property
    def sentence(self) -> str:
        """The verdict in one plain sentence."""
        verdict = self.verdict
        if self.reasons:
            return "none: the difference of the rates can be attributed to none of the things named above."
        points, p = f"{100 * abs(verdict.difference):.1f} points", f"p {p_value(verdict.p, '= ')}"
        if verdict.p >= stats.SIGNIFICANT:
            return f"no difference that luck does not explain ({points}, {p})."
        if self.knob == SAMPLED_AGAIN:
            drawn = f"two draws of one policy that differ by {points}, which chance alone does with {p}"
            return f"{drawn}: nothing was learned. If p is tiny, more than the seed was changed."
        word = "better" if verdict.difference > 0 else "worse"
        turned = f"{self.knob[:1].upper()}{self.knob[1:]}"
        return f"the second run is {word} by {points}, more than luck explains ({p}). {turned}."


@dataclass(frozen=True)
class Checked:
    """A run and what verifying it found. What a comparison reads of it is read once, and only if it verifies."""

    path: Path
    found: Verification

    @cached_property
    def manifest(self) -> Manifest:
        return load_manifest(self.path)

    @cached_property
    def counts(self) -> dict[str, stats.Counts]:
        return counts_by_example((result.id, result.passed) for result in load_results(self.path))

    @property
    def flaw(self) -> Reason | None:
        """Why it can be compared with nothing; or None. Raises InputError."""
        if self.found.wrong:
            return f"{self.path}: {self.found.wrong[0]}", "a run that does not verify"
        if not self.manifest.has_results:
            return f"{self.path}: it holds no {RESULTS}", "a run that measured no completions"
        return None


def checked_run(run: Path) -> Checked:
    """Verify a run for a comparison. Raises InputError if the folder is no run."""
    return Checked(run, verify(run))


def compare_runs(
    before: Checked, after: Checked, change: str | None = None, anyway: bool = False
) -> NotComparable | Comparison:
    """Compare two runs, the one before and the one after, or say why they cannot be compared.

    A run that does not verify is not read. `change` declares now what was changed. `anyway` answers in a room that is
    not locked too, if both runs have met the same examples. Raises InputError if a folder is no run.
    """
    if flaws := [run.flaw for run in (before, after) if run.flaw]:
        return NotComparable(flaws)
    old, new = before.manifest, after.manifest
    declared = f"{change} (declared afterwards, now)" if change else declaration(before, after)
    reasons = reasons_against(old, new, declared is not None)
    unpaired = sorted(before.counts.keys() ^ after.counts.keys())
    if unpaired:
        reasons.append((f"examples: {len(unpaired)} are in one run only, {unpaired[0]!r} first", ENVIRONMENT))
    if unpaired or (reasons and not anyway):
        return NotComparable(reasons)
    knob = "none can be named" if reasons else knob_of(old, new)
    if knob == MEASURED_TWICE and before.counts != after.counts:
        return NotComparable([("the rewards: the same completions by the same scorer", "impossible: one is forged")])
    caveats = [f"{run.path.name}: {why}" for run in (before, after) for why in run.found.unchecked]
    if old.sampling and (unknown := [name for name in ASKED if getattr(old.sampling, name) is None]):
        caveats.append(f"{', '.join(unknown)}: unknown in both runs, and taken for the same")
    return Comparison(stats.paired(before.counts, after.counts), knob, declared, caveats, reasons)


def declaration(before: Checked, after: Checked) -> str | None:
    """What was declared of the change from one run to the other, when the second was made or afterwards."""
    old, new = before.manifest, after.manifest
    if new.change is not None and declares(new, old):
        return new.change.declared
    return declared_afterwards(after.path.resolve().parent, old, new)


def room_of(run: Manifest) -> list[Condition]:
    """What must be the same in both runs."""
    assert run.dataset is not None, "load_manifest refuses results of no data set"
    return [
        ("dataset", run.dataset.sha256, ENVIRONMENT),
        ("split", run.dataset.split, ENVIRONMENT),
        ("prompts", run.prompts_sha256, ENVIRONMENT),
        ("system prompt", run.system_prompt and sha256(run.system_prompt.encode()), ENVIRONMENT),
        ("view of the text", run.view or WHOLE, ENVIRONMENT),
        ("scorer spec", run.scorer.spec_version, INSTRUMENT),
        ("scorer source", run.scorer.sha256, INSTRUMENT),
        ("golden cases", run.golden and run.golden.sha256, INSTRUMENT),
        ("core", run.core.sha256, INSTRUMENT),
        ("seal of the core", run.core.sealed, "an instrument that nobody vouches for"),
    ]


def knobs_of(run: Manifest, how_selected: bool) -> list[Condition]:
    """What may differ, if it is the only thing and is declared. A policy is its weights and its tokenizer.

    To select at all, or not to, is one knob; how to select are three.
    """
    policy, sampling, selection = run.policy or PolicyRecord(), run.sampling, run.selection
    asked = [(name, getattr(sampling, name, None), ASKED_OTHERWISE) for name in (*ASKED, "request")]
    samples = getattr(sampling, "samples_per_prompt", run.settings.get("samples"))
    selected = [(name, getattr(selection, field, None), SELECTION) for name, field in SELECTING]
    return [
        ("policy", (policy.sha256, policy.tokenizer_sha256), ANOTHER_POLICY),
        *asked,
        ("samples per prompt", samples, ASKED_MORE_OFTEN),
        *(selected if how_selected else [("selection", selection, SELECTION)]),
    ]


def differences(before: list[Condition], after: list[Condition]) -> dict[str, Reason]:
    """The conditions that two runs do not share, by name."""
    return {
        name: (f"{name}: {short(old)} before, {short(new)} after", meaning)
        for (name, old, meaning), (_, new, _) in zip(before, after, strict=True)
        if old != new
    }


def knobs_turned(before: Manifest, after: Manifest) -> dict[str, Reason]:
    """The knobs that stand differently in two runs, by name.

    Other completions are one themselves where no sidecar says how they were made, and where something else was to
    be chosen among the same ones.
    """
    both_select = before.selection is not None and after.selection is not None
    knobs = differences(knobs_of(before, both_select), knobs_of(after, both_select))
    unknown = before.sampling is None and after.sampling is None
    if not same_completions(before, after) and (unknown or before.selection != after.selection):
        knobs["the completions"] = "the completions: other ones, by their hash", UNKNOWN
    return knobs


def reasons_against(before: Manifest, after: Manifest, declared: bool) -> list[Reason]:
    """Why two runs cannot be compared; empty if they can be."""
    knobs = knobs_turned(before, after)
    reasons = list(differences(room_of(before), room_of(after)).values())
    if (before.sampling is None) != (after.sampling is None):
        reasons.append(("sampling: known of one run, unknown of the other", "a change that cannot be named"))
    elif "samples per prompt" in knobs and same_completions(before, after):
        reasons.append((knobs["samples per prompt"][0], "impossible: the same completions were asked for once"))
    elif len(knobs) > 1:
        reasons.extend((what, "two knobs at once") for what, _ in knobs.values())
    if reasons or not knobs or declared:
        return reasons
    if declares(before, after):
        return [("the order: the first run declares a change since the second", "swap the two runs")]
    return [(f"{next(iter(knobs))} changed, and nobody declared it", UNDECLARED)]


def declares(after: Manifest, before: Manifest) -> bool:
    """Does one run say that it differs from the other in a single thing?"""
    return after.change is not None and after.change.parent_seal == before.seal


def same_completions(before: Manifest, after: Manifest) -> bool:
    """Were the same bytes measured, under whatever name?"""
    hashes = [run.completions.sha256 for run in (before, after) if run.completions]
    return len(hashes) == 2 and hashes[0] == hashes[1]


def short(value: object) -> str:
    """A value for people: hashes by their first eight digits, a selection in words, a policy with its tokenizer."""
    if isinstance(value, SelectionRecord):
        return f"best of {value.n} by {value.select_with} (rule {value.rule[:8]})"
    if isinstance(value, tuple):
        return " with tokenizer ".join(map(short, value))
    text = "unknown" if value is None else str(value)
    return text[:8] if len(text) == 64 else text


def knob_of(before: Manifest, after: Manifest) -> str:
    """The loop and the knob that the change between two comparable runs belongs to.

    Loop C is claimed only where the second run's sidecar says that its policy was learned from the first one's.
    """
    for name, (_, meaning) in knobs_turned(before, after).items():
        old, new = before.policy, after.policy
        if name == "policy" and old and new and new.start is not None and new.start == old.sha256 != new.sha256:
            return LEARNED
        return meaning
    return MEASURED_TWICE if same_completions(before, after) else SAMPLED_AGAIN
