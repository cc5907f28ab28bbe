"""One scorer in every stack: the same texts earn the same rewards, whoever asks and wherever it runs.

    python -m transfer.prove

The golden packs, π0's rollouts and hostile texts made from a seed go through each installed stack's own machinery: in
the main thread, a worker thread, another process and an event loop. A slow stack gets each text once, a quarter in each
place. A reward that differs from the scorer's own is shown, and the exit code is 1. A stack may change a text before
the scorer sees it; each such text is listed in a file.
"""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, progress, table, typed
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.paths import RUNS
from course.core.scoring import scorer_identity
from course.score import score
from transfer.proving.machinery import STACKS
from transfer.proving.places import PLACES
from transfer.proving.proof import Proof
from transfer.proving.texts import Case, golden, hostile, rollouts


@dataclass(frozen=True, kw_only=True)
class Settings:
    stacks: tuple[str, ...] = option(tuple(STACKS), "which stacks", choices=tuple(STACKS), distinct=True)
    texts: int = option(20_000, "hostile texts", at_least=1, at_most=1_000_000)
    seed: int = option(0, "of the hostile texts", at_least=0)
    out: Path = option(RUNS / "prove.json", "the findings (JSON); the changed texts are listed beside it")

    def check(self) -> None:
        if self.out.suffix != ".json" or self.out.is_dir():
            raise InputError("--out", f"a file whose name ends in .json, not {self.out}")


@dataclass(frozen=True)
class Findings:
    """What was put to the stacks, and what came of it."""

    packs: dict[str, list[Case]]
    not_installed: dict[str, str]  # stack -> what to type
    proof: Proof


def run(settings: Settings) -> Findings:
    """Score all texts in every installed stack and every place. Raises InputError if none is installed."""
    packs = {"golden": golden(), "rollouts": rollouts(), "hostile": hostile(settings.texts, settings.seed)}
    cases = [case for pack in packs.values() for case in pack]
    missing = [name for name in settings.stacks if not is_installed(name)]
    not_installed = {name: f"pip install -r transfer/requirements-{STACKS[name].requirements}.txt" for name in missing}
    units = [(name, place) for name in settings.stacks if name not in missing for place in PLACES]
    if not units:
        raise InputError("--stacks", "not installed: " + "; ".join(not_installed.values()))
    proof = Proof()
    with progress("proving", len(units)) as show:
        for number, (stack, place) in enumerate(units):
            quarter = slice(list(PLACES).index(place), None, len(PLACES))
            proof.add(stack, place, cases[quarter] if STACKS[stack].slow else cases)
            show(number + 1)
    return Findings(packs, not_installed, proof)


def is_installed(stack: str) -> bool:
    """Can the package that a stack needs be imported?"""
    package = STACKS[stack].package
    return package is None or find_spec(package) is not None


def save(settings: Settings, findings: Findings) -> Path:
    """Write the findings, and beside them every changed text. Returns that file. Raises InputError."""
    cases = [case for pack in findings.packs.values() for case in pack]
    packages = {STACKS[row.stack].package for row in findings.proof.rows} - {None}
    record = {
        "holds": findings.proof.holds,
        "first_difference": findings.proof.first_difference,
        "seed": settings.seed,
        "texts": {name: len(pack) for name, pack in findings.packs.items()},
        "right": sum(score(case.example, case.text)["reward"] == 1 for case in cases),
        "scorer": scorer_identity(),
        "versions": {package: version(package) for package in sorted(map(str, packages))},
        "rows": [asdict(row) for row in findings.proof.rows],
        "not_installed": findings.not_installed,
    }
    changed = settings.out.with_name(f"{settings.out.stem}_changed.jsonl")
    write_whole(changed, to_json_lines(findings.proof.changes))
    write_whole(settings.out, to_pretty_json(record))
    return changed


def print_report(findings: Findings) -> None:
    """Every stack and place, and the first reward that differs."""
    out, proof = console(), findings.proof
    counts = [f"{len(pack)} {name}" for name, pack in findings.packs.items()]
    out.print(f"Texts: {', '.join(counts)}\n")
    rows = table("stack", "where it ran", ">texts", ">rewards that differ", ">changed on the way", ">seconds")
    for row in proof.rows:
        numbers = (row.differ, row.changed) if row.error is None else ("stopped", "")
        rows.add_row(row.stack, row.place, str(row.texts), *map(str, numbers), f"{row.seconds:.1f}")
    out.print(rows)
    for stack, what in findings.not_installed.items():
        out.print(f"{stack}: not installed, so nothing is proven of it: {what}")
    for row in proof.rows:
        if row.error:
            out.print(f"{row.stack}, {row.place}: it stopped: {row.error}")
    if proof.first_difference:
        out.print(f"The first reward that differs: {proof.first_difference}")
    ways = {row.stack for row in proof.rows if row.error is None}
    packages = sorted({STACKS[name].package or "plain Python" for name in ways})
    scored = sum(row.texts for row in proof.rows if row.error is None)
    differ = sum(row.differ for row in proof.rows)
    out.print(f"\n{differ} of {scored} rewards differ: {len(ways)} ways to call the scorer, in {', '.join(packages)}.")


def main() -> int:
    settings = parse("transfer.prove", "Prove that every stack gives the scorer's rewards.", Settings)
    findings = run(settings)
    changed = save(settings, findings)
    print_report(findings)
    console().print(f"Findings in {settings.out}; changed texts ({len(findings.proof.changes)}) in {changed}")
    console().print(f"Next: python -m json.tool {typed(settings.out)}")
    return DONE if findings.proof.holds else FOUND


if __name__ == "__main__":
    run_command(main)
