"""One run, or two side by side, as one page of HTML to read, search and print.

    python -m course.report runs/run_001
    python -m course.report runs/run_001 runs/run_002

The page stands alone: it loads nothing, and can be sent to someone. It says first whether the run verifies,
then what was found, then shows every result with a search box and a filter for each code of failure. Two runs
are compared as `course.compare` compares them, or the page says why they cannot be. The page is written beside
the runs and never into one, because a run is sealed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course.core import stats
from course.core.command_line import DONE, FOUND, run_command
from course.core.comparison import Answer, Refusal, judge, sentence, value_at
from course.core.display import console, p_value, percent, typed
from course.core.files import InputError, write_whole
from course.core.report.page import code_of, picture, render, rows_of, spell, tables_of
from course.core.report.run_view import Seen, checks_of, facts_of, look_at, rates_of, side_by_side
from course.core.runs import is_run, looks_line
from course.core.scoring import REASONS

LISTED = 50  # findings of a verification that are listed
WITHOUT_SCRIPT = 20  # failures that are shown where no script runs
LOOPS = {
    "A": "Loop A, measurement",
    "B": "Loop B, selection",
    "C": "Loop C, learning",
    "B and C": "Loops B and C, selection beside learning",
}
OUTCOMES = ("wins", "losses", "ties")
# What a picture shows, by its file's name: for those who cannot see it, and for those who can.
PICTURES = {
    "selection_demo": "pass@k and pass^k over the number of samples k, beside what equal prompts would give. "
    "pass@k rises; the line of pass@1, the policy itself, stays where it is.",
    "policy_gradient": "The probability of every action over the steps. Solid lines are actions that are rewarded.",
    "bandit_train": "The chance of the right action over the steps for every baseline, with its spread over seeds: "
    "once with rewards 0 and 1, once with rewards 1 and 2.",
    "toy_mdp": "The chance of earning the reward over the episodes, with credit by return and by immediate reward. "
    "Compare where the two medians end.",
    "kl_tradeoff": "Left: the weak rubric's mean reward against KL from the reference. Right: what the true value does "
    "as the leash grows weaker.",
    "select_or_learn": "The chance of a right answer over the samples drawn. Left, selection: flat lines. Right, "
    "learning: the policy moves.",
    "one_update": "Left: every token's probability before and after one update. Right: the gain, which is the same "
    "for every token, and how far each log probability moved.",
    "reinforce": "Left: the reward in training and on dev over the steps. Right: the KL from π0, how far it went.",
    "goodhart": "The rubric's reward and the strict one, with the leash and without: over the steps, and over the KL "
    "from π0. Look for where the two part.",
    "shift": "Left: what frozen rollouts say, as they are and reweighted, beside the truth. Right: how much of what "
    "the policy says today they never held.",
    "three_ways": "Left: pass@1 and pass@8 of each way to spend the samples. Right: pass@1 against the KL from π0.",
    "noise": "Strict pass@1 on dev over the steps, for each share of flipped rewards: a thin line for each seed, a "
    "thick one for their mean.",
    "frontier": "What each leash earns, by the rubric and by the strict scorer, against the KL from π0.",
}


def headline(found: dict[str, Any], loop: object) -> str:
    """What one run found, in a sentence or two."""
    passes, scored = found["passes"], found["scored"]
    what = "chosen completions" if loop == "B" else "completions"
    if passes == scored:
        return f"All {scored} {what} pass. Are the problems too easy? Read some before you believe it."
    code, count = max(found["failures"].items(), key=lambda item: item[1])
    fails = scored - passes
    meaning = REASONS.get(code, "a code that this scorer does not know")
    start = f"{passes} of {scored} {what} pass." if passes else f"None of {scored} {what} passes."
    return f"{start} The commonest failure, {count} of {fails}, is {code}: {meaning}."


def learned(summary: Any) -> str:
    """What a run without results found, in a sentence: where its reward began and where it ended."""
    before, after = (value_at(summary, (f"mean_reward_{when}",)) for when in ("before", "after"))
    if isinstance(before, float) and isinstance(after, float):
        return f"The policy's expected reward went from {before:.3f} to {after:.3f}."
    first, last = (value_at(summary, (when, "strict")) for when in ("first", "last"))
    if isinstance(first, float) and isinstance(last, float):
        return f"By the strict scorer the policy went from {percent(first)} to {percent(last)} on fresh samples."
    return "This run measured no file of completions: its picture and its summary are what it found."


def what_to_look_at(run: Seen, found: dict[str, Any] | None) -> list[str]:
    """Where a reader of one run should look before believing it."""
    if found is None:
        return ["Follow the curves, then read the numbers in the summary; MEASUREMENT_RULES.md explains each name."]
    hints = []
    if found["failures"]:
        hints.append("Press the longest bar, and read ten of its rows. Do the completions deserve their code?")
    if len(found["pass_at_k"]) > 1:
        hints.append("pass@1 is the policy. pass@k is what the best of k samples reaches if the choice is perfect.")
    if run.at("loop") == "B":
        hints.append("These completions were chosen. The policy that said them has not changed.")
    if "dataset" in run.manifest and run.at("sampling") is None:
        hints.append("No sidecar says how these completions were sampled. Can you find out?")
    looks = run.at("circumstances", "earlier_looks_at_this_holdout")
    if isinstance(looks, int):
        hints.append(" ".join(looks_line(looks).split("\n")))
    return hints


def bars_of(found: Sequence[dict[str, Any]], codes: Sequence[str], meanings: Sequence[str]) -> list[dict[str, Any]]:
    """A bar for what passed, then one for each code of failure, most frequent first: its counts, one for each run."""
    bars = []
    for number, code in enumerate(codes):
        counts = [one["passes"] if code == "passed" else one["failures"].get(code, 0) for one in found]
        bars.append({"number": number, "code": code, "meaning": meanings[number], "counts": counts})
    return sorted(bars, key=lambda bar: (bar["number"] > 0, -sum(bar["counts"]), bar["code"]))


def judged(runs: Sequence[Seen]) -> Refusal | Answer:
    """The locked room's verdict; runs that cannot even be read are refused too."""
    try:
        return judge((runs[0].path, runs[1].path), (runs[0].wrong, runs[1].wrong))
    except (InputError, AttributeError, KeyError, TypeError) as error:
        broken = next((run for run in runs if run.wrong), None)
        reason = f"{broken.path}: {broken.wrong[0]}" if broken else f"a manifest lacks what it should hold: {error!r}"
        return Refusal([(reason, "a run that does not verify")])


def answer_of(answer: Answer) -> dict[str, Any]:
    """What a page says of two runs that can be compared."""
    verdict = answer.verdict
    low, high = verdict.interval
    return {
        "declared": answer.declared or "none declared",
        "knob": answer.knob,
        "tally": dict(zip(OUTCOMES, (len(verdict.wins), len(verdict.losses), answer.ties), strict=True)),
        "difference": verdict.difference,
        "low": low,
        "high": high,
        "reach": min(1.0, 0.1 * int(10 * max(abs(low), abs(high)) + 1)),
        "p": p_value(verdict.p),
        "p_name": "exact paired p" if verdict.exact else "paired p, drawn",
        "noise_rule": stats.noise_rule(len(verdict.counts[0]), verdict.difference),
    }


def beside(summary: Any, found: dict[str, Any] | None) -> Any:
    """What a summary says that the page does not show already."""
    known = {"loop", "dataset", "split", "spec_version", "golden", *(found or {})}
    return {name: value for name, value in summary.items() if name not in known} if isinstance(summary, dict) else None


def run_of(run: Seen, found: dict[str, Any] | None) -> dict[str, Any]:
    """What a page says of one run."""
    pictures = [(path, picture(path)) for path in sorted(run.path.glob("*.png"))]
    return {
        "name": run.name,
        "path": str(run.path),
        "loop": LOOPS.get(str(run.at("loop")), "a run of no known loop"),
        "what": f"{spell(run.at('completions', 'name'))} on {spell(run.at('dataset', 'name'))}"
        if "dataset" in run.manifest
        else f"experiment {spell(run.at('experiment'))}",
        "wrong": run.wrong[:LISTED],
        "more_wrong": max(0, len(run.wrong) - LISTED),
        "remarks": run.remarks,
        "unreadable": run.unreadable,
        "checks": checks_of(run),
        "found": found,
        "pictures": [
            {"data": data, "shows": PICTURES.get(path.stem, f"A picture that the run drew: {path.name}.")}
            for path, data in pictures
            if data is not None
        ],
        "tables": tables_of(beside(run.summary, found)),
    }


def page(runs: Sequence[Seen]) -> tuple[str, bool]:
    """The page of one run or two, and whether all is well: every run verifies, and the comparison is no refusal."""
    found = [rates_of(run.results) for run in runs]
    verdict = judged(runs) if len(runs) == 2 else None
    outcome_of: dict[str, int] = {}
    if isinstance(verdict, Answer):
        outcome_of = dict.fromkeys((result.id for result in runs[0].results), OUTCOMES.index("ties"))
        outcome_of |= dict.fromkeys(verdict.verdict.wins, 0) | dict.fromkeys(verdict.verdict.losses, 1)
    rated = [one for one in found if one is not None]
    shown = len(rated) == len(runs) and not isinstance(verdict, Refusal)
    data = rows_of([run.results for run in runs], [run.name for run in runs], REASONS, outcome_of) if shown else None
    if isinstance(verdict, Answer):
        said = sentence(verdict.verdict, verdict.knob)
        said = said[0].upper() + said[1:]
        hints = ["Press `losses`, and read what the change broke; then `wins`. Is it the change that you declared?"]
    elif isinstance(verdict, Refusal):
        said = "Refused: these two runs cannot be compared. Each reason is named below."
        hints = ["Change one thing at a time: make both runs with everything else the same. Or look at each by itself."]
        if any(meaning == "an undeclared change" for _, meaning in verdict.reasons):
            again = f'python -m course.eval … --parent {typed(runs[0].path)} --change "…"'
            hints = [f"Make the second run again, and say what you changed: {again}"]
    else:
        said = headline(rated[0], runs[0].at("loop")) if rated else learned(runs[0].summary)
        hints = what_to_look_at(runs[0], found[0])
    if any(run.wrong for run in runs) and not verdict:
        said = f"Not to be trusted: {said}"
    failures = [result for result in runs[-1].results if code_of(result) != "passed"]
    html = render(
        title=" and ".join(run.name for run in runs),
        said=said,
        hints=hints,
        runs=[run_of(run, one) for run, one in zip(runs, found, strict=True)],
        refused=verdict.reasons if isinstance(verdict, Refusal) else [],
        answer=answer_of(verdict) if isinstance(verdict, Answer) else None,
        data=data,
        bars=bars_of(rated, data["codes"], data["meanings"]) if data else [],
        outcomes=OUTCOMES if verdict else ("passed", "failed"),
        facts=side_by_side([facts_of(run) for run in runs]),
        plain=[(one.id, one.prompt, one.completion, code_of(one)) for one in failures[:WITHOUT_SCRIPT]],
        failures=len(failures),
    )
    return html, not (any(run.wrong for run in runs) or isinstance(verdict, Refusal))


def place_for(out: Path | None, runs: Sequence[Path]) -> Path:
    """Where the page goes: beside the last run, or where it was asked for. Raises InputError if that is in a run."""
    name = "_".join(["report", *(run.resolve().name for run in runs)]) + ".html"
    last = runs[-1]
    folder = last.parent if last.name not in ("", "..") else last.resolve().parent
    place = folder / name if out is None else out
    for above in place.resolve().parents:
        if is_run(above):
            raise InputError(place, f"{above.name} is a run, which is sealed: write the page outside of it")
    return place


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course.report", description="One run, or two to compare, as one page of HTML."
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="one run; or the one before, the one after")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (default: report_RUN.html beside the run)")
    args = parser.parse_args()
    if len(args.runs) > 2:
        raise InputError("RUN", f"one run, or two to compare, not {len(args.runs)}")
    place = place_for(args.out, args.runs)
    html, well = page([look_at(run) for run in args.runs])
    write_whole(place, html.encode())
    out = console()
    if not well:
        refused = len(args.runs) == 2
        out.print("REFUSED: the runs cannot be compared." if refused else "TAMPERED OR DAMAGED: do not trust this run.")
        out.print("The page says why.")
    out.print(f"Page written to {place}; open it in a browser")
    return DONE if well else FOUND


if __name__ == "__main__":
    run_command(main)
