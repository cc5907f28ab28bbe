"""The locked room: compare two runs, or refuse to.

    python -m course.compare runs/run_001 runs/run_002

Two numbers can be compared only if everything but one declared thing was the same when they were measured.
The first run is the one before, the second the one after; the second declares what was changed
(`python -m course.eval … --parent runs/run_001 --change "…"`). If anything else differs the comparison is
refused, and each thing that differs is named with what it makes of the change. Otherwise it is answered
by exact paired statistics: example by example, because both runs met the same examples.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course import stats
from course.measurement import verify
from course.runs import RESULTS, load_manifest, load_results
from course.terminal import DONE, FOUND, console, p_value, percent, run_command, table, typed, visible

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
    """A value for people: hashes by their first eight digits."""
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
    return f"the second run is {word} by {points}, more than luck explains (p = {p_value(verdict.p)}). {knob}."


def print_refusal(reasons: list[tuple[str, str]], runs: tuple[Path, Path]) -> None:
    out = console()
    out.print(f"REFUSED: {runs[0]} and {runs[1]} cannot be compared.")
    rows = table("what differs", "what that makes of the change")
    for what, meaning in reasons:
        rows.add_row(what, meaning)
    out.print(rows)
    if any(meaning == "an undeclared change" for _, meaning in reasons):
        out.print("Make the second run again and say what you changed:")
        out.print(f'  python -m course.eval … --parent {runs[0]} --change "…"')
    else:
        out.print("Change one thing at a time: make both runs with everything else the same.")


def print_verdict(
    verdict: stats.Paired, runs: tuple[Path, Path], manifests: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    out = console()
    knob = knob_of(*manifests)
    declared = manifests[1]["change"]["declared"] if declares(manifests[1], manifests[0]) else "none declared"
    out.print(f"declared change: {visible(declared)}")
    out.print(f"loop and knob:   {knob}\n")
    rows = table("", ">passes", ">rate", ">95 % interval")
    for name, run, counts, rate in zip(("before", "after"), runs, verdict.counts, verdict.rates, strict=True):
        low, high = stats.rate_interval(counts)
        passes = f"{sum(c for _, c in counts)}/{sum(n for n, _ in counts)}"
        rows.add_row(f"{name}: {run.name}", passes, percent(rate), f"{percent(low)} to {percent(high)}")
    out.print(rows)
    ties = len(verdict.counts[0]) - len(verdict.wins) - len(verdict.losses)
    lowest, highest = (f"{100 * bound:+.1f}" for bound in verdict.interval)
    out.print(f"\nby example:      {len(verdict.wins)} wins, {len(verdict.losses)} losses, {ties} ties")
    out.print(f"difference:      {100 * verdict.difference:+.1f} points, 95 % interval {lowest} to {highest}")
    out.print(f"{'exact paired p: ' if verdict.exact else 'paired p (drawn):'} {p_value(verdict.p)}")
    out.print(f"the noise rule:  {stats.noise_rule(len(verdict.counts[0]), verdict.difference)}")
    out.print(f"\nVerdict: {sentence(verdict, knob)}")
    if verdict.losses:
        lost = f"--run {typed(runs[1])} --id={typed(verdict.losses[0])}"
        out.print(f"Next: python -m course.inspect_run {lost}   (one that was lost)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.compare", description="Compare two runs, or refuse to.")
    parser.add_argument("before", type=Path, metavar="RUN_A", help="the run before the change")
    parser.add_argument("after", type=Path, metavar="RUN_B", help="the run after it")
    args = parser.parse_args()
    runs = args.before, args.after
    manifests = load_manifest(args.before), load_manifest(args.after)
    reasons = []
    for run, manifest in zip(runs, manifests, strict=True):
        wrong, _ = verify(run)
        if wrong:
            reasons.append((f"{run}: {wrong[0]}", "a run that does not verify"))
        elif RESULTS not in manifest["files"]:
            reasons.append((f"{run}: it holds no {RESULTS}", "a run that measured no completions"))
    reasons = reasons or refusals(*manifests)
    if reasons:
        print_refusal(reasons, runs)
        return FOUND
    before, after = (counts_by_example(run) for run in runs)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        print_refusal([(f"examples: {len(odd)} are in one run only, {odd[0]!r} first", "a new environment")], runs)
        return FOUND
    print_verdict(stats.paired(before, after), runs, manifests)
    return DONE


if __name__ == "__main__":
    run_command(main)
