"""The golden gate: known cases that the scorer must get right before any of its numbers are believed.

    python -m course.golden

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
from course.core.golden import check_golden, print_report
from course.core.paths import GOLDEN


@dataclass(frozen=True)
class Settings:
    golden_dir: Path = option(GOLDEN, "the folder of the golden files")


def main() -> int:
    settings = parse("course.golden", "Check the scorer on the golden cases.", Settings)
    report = check_golden(settings.golden_dir)
    print_report(report)
    return DONE if report.passed else FOUND


if __name__ == "__main__":
    run_command(main)
