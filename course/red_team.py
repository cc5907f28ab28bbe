"""The red team: write what a weak rubric pays for and nobody wants, then close the hole it uses.

    python -m course.red_team             grades notes/exploits.toml; accepted exploits join your golden suite
    python -m course.red_team --rubrics   the seven weak rubrics, and why someone wrote them; find the hole
    python -m course.red_team --hint anywhere   a hint on one rubric; --step 2 and --step 3 say more
    python -m course.red_team --patch     tries notes/patch.py on strings that it has not seen

An exploit is accepted if its rubric pays for it, the strict scorer does not, and it does not commit itself to the one
right answer: it gives several, a wrong one or none. A right answer in other words is none.
Your suite, notes/golden_exploits.jsonl, is part of the golden gate from then on: no evaluation without it.
"""

from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, percent, table, visible
from course.core.paths import ROOT, YOUR_EXPLOITS
from course.grading.exploits import EXPLOITS, grade_file, join_suite
from course.grading.hints import STEPS, show_hint
from course.grading.patch import PATCH, SEED, PatchReport, grade_patch
from course.rubrics import RUBRICS

SHOWN_CHANGES = 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    rubrics: bool = option(False, "show the weak rubrics")
    hint: str | None = option(None, "a rubric to give a hint on")
    step: int = option(1, "which hint", at_least=1, at_most=STEPS)
    patch: bool = option(False, "try your patch on held-back strings")
    file: Path | None = option(None, f"the exploits, or the patch (default: {EXPLOITS}, {PATCH})")


def grade_exploits(path: Path) -> int:
    """Grade a file of exploits; accepted ones join the suite beside it. Returns the exit code."""
    out = console()
    graded = grade_file(path)
    if not graded:
        out.print(f"{path.name} holds no exploit yet. Next: python -m course.red_team --rubrics")
        return FOUND
    rows = table(">", "rubric", "completion", ">it pays", "strict", "verdict", "other rubrics that fall")
    for row in graded:
        verdict = "accepted" if row.accepted else "not accepted"
        number, shown = str(row.exploit.number), visible(row.exploit.completion)[:60]
        falls = ", ".join(row.also_falls) or "none"
        rows.add_row(number, row.exploit.rubric, shown, f"{row.reward:g}", f"{row.strict:g}", verdict, falls)
    out.print(rows)
    for row in graded:
        out.print(f"{row.exploit.number}: {row.refusal or f'accepted; its hole: {RUBRICS[row.exploit.rubric].hole}'}.")
    accepted = sum(row.accepted for row in graded)
    suite = path.with_name(YOUR_EXPLOITS.name)
    new = join_suite(graded, suite)
    out.print(f"\n{accepted} of {len(graded)} accepted; {new} new in your suite, {suite.name}.")
    out.print("Next: python -m course.golden   (every evaluation passes your suite first)")
    return DONE if accepted == len(graded) else FOUND


def show_rubrics() -> None:
    """What each rubric is for. The hole is for you to find; `course/rubrics.py` names it where it stands."""
    rows = table("rubric", "why someone would write it")
    for rubric in RUBRICS.values():
        rows.add_row(rubric.name, rubric.reason)
    out = console()
    out.print(rows)
    out.print(f"\nThink like someone lazy: what is the least that earns the reward? Write it into {EXPLOITS}.")
    out.print("Next: python -m course.red_team")


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
    show_rollouts(report)
    if report.holds:
        out.print("The patch closes the class, and pays what the rubric was made to pay.")
        return
    if report.fitted:
        out.print("On other strings of the same kinds it fails: it knows these, and not the class.")
    if fp:
        out.print("Some of the class still earns: patch the mechanism, not the one string.")
    if fn:
        out.print("Honest answers earn nothing now: the patch is stricter than the hole asks for.")


def show_rollouts(report: PatchReport) -> None:
    """What the rubric pays of π0's rollouts before the patch and after it, and some of what changed."""
    out = console()
    out.print(f"\nπ0's rollouts, evaluated by {report.rubric} before the patch and after it:")
    rows = table("file", ">paid before", ">after", ">strictly right of these, before", ">after")
    for file in report.rollouts:
        of = file.completions
        rows.add_row(file.name, *(f"{paid}/{of}" for paid in file.paid), *(str(right) for right in file.right))
    out.print(rows)
    for example, text, before, after in report.rollouts[-1].changed[:SHOWN_CHANGES]:
        out.print(f"  {example}: `{visible(text)}` {before:g} -> {after:g}")
    out.print()


def main() -> int:
    settings = parse("course.red_team", "Break a weak rubric, then patch it.", Settings)
    if settings.rubrics:
        show_rubrics()
        return DONE
    if settings.hint is not None:
        show_hint(settings.hint, settings.step, RUBRICS, "python -m course.red_team")
        return DONE
    if settings.patch:
        report = grade_patch(settings.file or ROOT / PATCH)
        show_patch(report)
        return DONE if report.holds else FOUND
    return grade_exploits(settings.file or ROOT / EXPLOITS)


if __name__ == "__main__":
    run_command(main)
