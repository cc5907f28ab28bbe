"""Check a run: is it still what was measured?

    python -m course.verify_run --run runs/run_001

Recomputes every hash, scores every stored completion again, sums the results up again, and holds them against
the original completions if they still lie where they were. What does not fit is named, to the line.
"""

from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console
from course.core.manifest import load_manifest
from course.core.verification import verify

SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Settings:
    run: Path = option(help="the run's folder")


def main() -> int:
    run = parse("course.verify_run", "Check that a run is whole and true.", Settings).run
    wrong, remarks = verify(run)
    out = console()
    for line in wrong[:SHOWN]:
        out.print(f"  {line}")
    if len(wrong) > SHOWN:
        out.print(f"  … and {len(wrong) - SHOWN} more")
    for line in remarks:
        out.print(f"  note: {line}")
    if wrong:
        findings = f"{len(wrong)} finding{'s' * (len(wrong) != 1)}"
        out.print(f"{run}: TAMPERED OR DAMAGED, {findings}. Do not trust its numbers; make the run again.")
        return FOUND
    checked = "what could be remade agrees" if remarks else "every score and the summary were remade and agree"
    if not load_manifest(run).has_results:
        checked = "the run holds no completions to score again"
    out.print(f"{run}: verified. Every hash fits; {checked}.")
    return DONE


if __name__ == "__main__":
    run_command(main)
