"""Check a run: is it still what was measured?

    python -m course.verify_run --run runs/run_001

Recomputes every hash, scores every stored completion again, sums the results up again, and holds them against
the original completions if they still lie where they were. What does not fit is named, to the line.
"""

import argparse
from pathlib import Path

from course.core.command_line import DONE, FOUND, run_command
from course.core.display import console
from course.core.runs import RESULTS, load_manifest
from course.core.verification import verify

SHOWN = 50


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m course.verify_run", description="Check that a run is whole and true."
    )
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    args = parser.parse_args()
    wrong, remarks = verify(args.run)
    out = console()
    for line in wrong[:SHOWN]:
        out.print(f"  {line}")
    if len(wrong) > SHOWN:
        out.print(f"  … and {len(wrong) - SHOWN} more")
    for line in remarks:
        out.print(f"  note: {line}")
    if wrong:
        many = "1 finding" if len(wrong) == 1 else f"{len(wrong)} findings"
        out.print(f"{args.run}: TAMPERED OR DAMAGED, {many}. Do not trust its numbers; make the run again.")
        return FOUND
    checked = "every score and the summary were remade and agree" if not remarks else "what could be remade agrees"
    if RESULTS not in load_manifest(args.run)["files"]:
        checked = "the run holds no completions to score again"
    out.print(f"{args.run}: verified. Every hash fits; {checked}.")
    return DONE


if __name__ == "__main__":
    run_command(main)
