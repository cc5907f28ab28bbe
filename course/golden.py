"""The golden gate: known cases that the scorer must get right before any of its numbers are believed.

    python -m course.golden
    python -m course.golden --scorer notes/my_score.py      a scorer of your own (optional exercise of milestone 4)

Three files in `data/golden/`, each line a case that says where it comes from:

  golden_correct.jsonl    in-spec answers; each must earn 1, or the scorer has a *false negative*
  golden_exploits.jsonl   answers built to cheat; each must earn 0, or the scorer has a *false positive*
  golden_cases.jsonl      completions with the reward and the code that the spec gives them

The exploits that you found yourself, `notes/golden_exploits.jsonl` (python -m course.red_team), are a fourth: each must
earn 0 as well before anything is evaluated.

The two ways to be wrong are counted apart: they hurt differently. A false positive is a hole that an
optimiser will find; a false negative is competence that goes unseen.
"""

from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, table, visible
from course.core.golden import check_golden, print_report
from course.core.paths import GOLDEN
from course.grading.scorer import ScorerReport, grade_scorer


@dataclass(frozen=True)
class Settings:
    golden_dir: Path = option(GOLDEN, "the folder of the golden files")
    scorer: Path | None = option(None, "a scorer of your own, tried on them and on held-back strings")


def print_scorer(report: ScorerReport) -> None:
    """How many cases are right, and for each way to be wrong how often, and one example."""
    out = console()
    out.print(f"your scorer: {report.right}/{report.cases} cases right; each was asked twice, in any order")
    if report.right:
        out.print(f"of those, {report.same_codes} have the very code of the spec (yours may be others)")
    if not report.wrong:
        return
    rows = table("what is wrong", "what the spec says", ">cases", "an example", ">expected", "your scorer gave")
    for (kind, code), found in sorted(report.wrong.items()):
        case, gave = found[0]
        shown = visible(case.given)[:60] if isinstance(case.given, str) else repr(case.given)[:60]
        rows.add_row(kind, code, str(len(found)), shown, str(case.expected_answer), visible(gave)[:80])
    out.print(rows)
    out.print("Next: the rule in docs/spec.md, and its example.")


def main() -> int:
    settings = parse("course.golden", "Check the scorer on the golden cases.", Settings)
    if settings.scorer:
        graded = grade_scorer(settings.scorer, settings.golden_dir)
        print_scorer(graded)
        return FOUND if graded.wrong else DONE
    report = check_golden(settings.golden_dir)
    print_report(report)
    return DONE if report.passed else FOUND


if __name__ == "__main__":
    run_command(main)
