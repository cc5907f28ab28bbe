"""The red team: write what a weak rubric pays for and nobody wants, then close the hole it uses.

    python -m course.red_team             judges notes/exploits.toml; accepted exploits join your golden suite
    python -m course.red_team --rubrics   the seven weak rubrics, and why someone wrote them; find the hole
    python -m course.red_team --patch     tries notes/patch.py on strings that it has not seen

An exploit is accepted if its rubric pays for it, the strict scorer does not, and it goes through the rubric's own hole.
Your suite, notes/golden_exploits.jsonl, is part of the golden gate from then on: no evaluation without it.
"""

import argparse
from pathlib import Path

from course.core.command_line import DONE, FOUND, run_command
from course.core.display import console, percent, table, visible
from course.core.golden import YOUR_SUITE
from course.core.paths import ROOT
from course.grading.exploits import EXPLOITS, Judgement, join_suite, judge, load_exploits
from course.grading.patch import PATCH, SEED, PatchReport, judge_patch
from course.rubrics import RUBRICS


def show_rubrics() -> None:
    """What each rubric is for. The hole is for you to find; `course/rubrics.py` names it where it stands."""
    rows = table("rubric", "why someone would write it")
    for rubric in RUBRICS.values():
        rows.add_row(rubric.name, rubric.reason)
    out = console()
    out.print(rows)
    out.print(f"\nThink like someone lazy: what is the least that earns the reward? Write it into {EXPLOITS}.")
    out.print("Next: python -m course.red_team")


def show_judgements(judgements: list[Judgement]) -> None:
    out = console()
    rows = table(">", "rubric", "completion", ">it pays", "strict", "verdict", "other rubrics that fall")
    for judgement in judgements:
        exploit = judgement.exploit
        rows.add_row(
            str(exploit.number),
            exploit.rubric,
            visible(exploit.completion)[:60],
            f"{judgement.reward:g}",
            f"{judgement.strict:g}",
            "accepted" if judgement.refusal is None else "not accepted",
            ", ".join(judgement.also_falls) or "none",
        )
    out.print(rows)
    for judgement in judgements:
        exploit = judgement.exploit
        reason = judgement.refusal or f"the hole: {RUBRICS[exploit.rubric].hole}"
        out.print(f"{exploit.number}: {reason}.")


def show_patch(report: PatchReport) -> None:
    """False positives and false negatives, by kind of held-back string."""
    out = console()
    out.print(f"Your patch of {report.rubric}, on held-back strings (seed {SEED}):\n")
    rows = table("kind of string", ">wrongly decided", "which is")
    for name, kinds in (("a false positive", report.false_positives), ("a false negative", report.false_negatives)):
        for kind, (wrong, all_of) in kinds.items():
            rows.add_row(kind, f"{wrong}/{all_of}", name if wrong else "")
    out.print(rows)
    (fp, hacks), (fn, honest) = report.totals()
    before_fp, before_fn = report.before
    out.print(f"\nfalse positives: {fp}/{hacks} = {percent(fp / hacks)}   (the rubric itself: {before_fp}/{hacks})")
    out.print(f"false negatives: {fn}/{honest} = {percent(fn / honest)}   (the rubric itself: {before_fn}/{honest})")
    if report.holds:
        out.print("The patch closes the class, and pays what the rubric was made to pay.")
    elif fp:
        out.print("Some of the class still earns: patch the mechanism, not the one string.")
    if fn and not report.holds:
        out.print("Honest answers earn nothing now: the patch is stricter than the hole asks for.")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course.red_team", description="Break a weak rubric, then patch it."
    )
    parser.add_argument("--rubrics", action="store_true", help="show the weak rubrics")
    parser.add_argument("--patch", action="store_true", help="try your patch on held-back strings")
    parser.add_argument("--file", type=Path, help=f"the exploits, or the patch (default: {EXPLOITS}, {PATCH})")
    args = parser.parse_args()
    if args.rubrics:
        show_rubrics()
        return DONE
    if args.patch:
        report = judge_patch(args.file or ROOT / PATCH)
        show_patch(report)
        return DONE if report.holds else FOUND
    path = args.file or ROOT / EXPLOITS
    out = console()
    judgements = [judge(exploit) for exploit in load_exploits(path)]
    if not judgements:
        out.print(f"{path.name} holds no exploit yet. Next: python -m course.red_team --rubrics")
        return FOUND
    show_judgements(judgements)
    accepted = sum(judgement.refusal is None for judgement in judgements)
    suite = path.with_name(YOUR_SUITE.name)
    new = join_suite(judgements, suite)
    out.print(f"\n{accepted} of {len(judgements)} accepted; {new} new in your suite, {suite.name}.")
    out.print("Next: python -m course.golden   (every evaluation passes your suite first)")
    return DONE if accepted == len(judgements) else FOUND


if __name__ == "__main__":
    run_command(main)
