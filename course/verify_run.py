"""Check a run: is it still what was measured?

    python -m course.verify_run --run runs/run_001

Derives the run again from the original data set, completions and sidecar: results, summary and manifest must come out
the same. What does not is named, to the line; what no original can tell is listed as claimed. Forged originals, or a
forged interpreter, are not found.
"""

from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console
from course.core.manifest import load_manifest
from course.core.verification import verify

SHOWN = 50
LIMIT = "(Forged originals or a forged interpreter would not be found.)"


@dataclass(frozen=True, kw_only=True)
class Settings:
    run: Path = option(help="the run's folder")
    dataset: Path | None = option(None, "the original data set, if it lies elsewhere now")
    completions: Path | None = option(None, "the original completions, if they lie elsewhere now")


def main() -> int:
    settings = parse("course.verify_run", "Check that a run is whole and true.", Settings)
    run, checked = settings.run, verify(settings.run, settings.dataset, settings.completions)
    out = console()
    for line in checked.wrong[:SHOWN]:
        out.print(f"  {line}")
    if len(checked.wrong) > SHOWN:
        out.print(f"  … and {len(checked.wrong) - SHOWN} more")
    for line in checked.unchecked:
        out.print(f"  not checked: {line}")
    for line in checked.claimed:
        out.print(f"  claimed: {line}")
    if checked.wrong:
        findings = f"{len(checked.wrong)} finding{'s' * (len(checked.wrong) != 1)}"
        out.print(f"{run}: TAMPERED OR DAMAGED, {findings}. Do not trust its numbers; make the run again.")
        return FOUND
    if checked.unchecked:
        out.print(
            f"{run}: NOT VERIFIED. Every hash fits, but see what was not checked; --dataset and --completions help."
        )
        return FOUND
    if not load_manifest(run).has_results:
        out.print(f"{run}: whole. Every hash fits; there are no completions to derive it from.")
        return DONE
    out.print(f"{run}: verified. All but the claims was derived again from the originals, and agrees. {LIMIT}")
    return DONE


if __name__ == "__main__":
    run_command(main)
