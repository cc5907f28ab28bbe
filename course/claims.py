"""The ledger: what introductions to RL for language models claim, what would refute it, and what was measured.

    python -m course.claims            the ledger, as it was recorded
    python -m course.claims 16         measures number 16 anew, with other seeds, and holds it against the record
    python -m course.claims --quick    all that need no PyTorch (under a minute)
    python -m course.claims --all      everything (some 20 minutes on two cores); stopped, it resumes when typed again

A claim stands or falls with its parts: numbers, each with a bound that it has to keep with every seed. The verdict is
counted from them and never written by hand. Numbers and bounds: data/claims/; the measurements: course/ledger/.
"""

import datetime
import platform
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from course.core.command_line import DONE, FOUND, option, parse, run_command
from course.core.display import console, notice, progress, table
from course.core.experiment import RunOptions, SavedRun, circumstances_of, save_experiment
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.paths import ROOT
from course.ledger.ledger import HOLDS, RECORD, Claim, Outcome, Record, load_claims, load_record
from course.ledger.measurements import kept_at, needs_torch, seeds_of, take, together
from course.ledger.page import PAGE, PICTURES, counts_of, page


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions):
    numbers: tuple[int, ...] = option((), "the claims to measure anew", positional=True, at_least=1, metavar="NUMBER")
    quick: bool = option(False, "measure all that need no PyTorch")
    all_: bool = option(False, "measure everything")
    seed: int = option(100, "the first of the seeds; the record began with 0", at_least=0)
    record: bool = option(False, "for maintainers: with --all --seed 0, write data/claims/ and docs/claims.md anew")

    def check(self) -> None:
        """Refuse numbers that no claim has, and a record that would not be whole. Raises InputError."""
        super().check()
        claims = load_claims()
        if len(claims) < max(self.numbers, default=1):
            raise InputError("NUMBER", f"there are claims 1 to {len(claims)}")
        for number in self.numbers:
            if why := claims[number - 1].why:
                raise InputError("NUMBER", f"claim {number} cannot be measured here: {why}")
        if self.record and not (self.all_ and self.seed == 0):
            raise InputError("--record", "it goes with --all --seed 0")

    def chosen(self) -> list[int]:
        """The numbers of the claims to be measured."""
        claims = dict(enumerate(load_claims(), 1))
        kinds = {number: {needs_torch(name) for name in claim.measurements} for number, claim in claims.items()}
        if self.all_:
            return [number for number, torch in kinds.items() if torch]
        quick = [number for number, torch in kinds.items() if torch == {False}] if self.quick else []
        return sorted({*self.numbers, *quick})


@dataclass(frozen=True)
class Findings:
    """What was measured anew, by name, with its pictures; and the record that it is held against."""

    numbers: list[int]
    fresh: dict[str, Outcome]
    pictures: dict[str, bytes]
    record: Record

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each claim that was measured."""
        return [row_of(number, load_claims()[number - 1], self.fresh, self.record) for number in self.numbers]


def run(settings: Settings, record: Record) -> Findings:
    """Measure what the chosen claims rest on; each measurement is kept until all are taken. Raises InputError."""
    numbers = settings.chosen()
    names = list(dict.fromkeys(name for number in numbers for name in load_claims()[number - 1].measurements))
    expected = {name: record.outcomes[name].seconds if name in record.outcomes else 1.0 for name in names}
    fresh, pictures, done = {}, {}, 0.0
    with progress("measuring", sum(expected.values())) as show:
        for name in names:
            seeds = seeds_of(name, settings.seed)
            taken = []
            for seed in seeds:
                taken.append(take(name, seed, settings.runs_dir))
                done += expected[name] / len(seeds)
                show(done)
            fresh[name] = together(seeds, taken)
            if taken[0].picture is not None:
                pictures[name] = taken[0].picture
    return Findings(numbers, fresh, pictures, record)


def row_of(number: int, claim: Claim, fresh: dict[str, Outcome], record: Record) -> dict[str, Any]:
    """A claim, its parts as measured now and as recorded, and both verdicts."""
    parts = []
    for part in claim.parts:
        now = fresh[part.measurement]
        before = record.outcomes.get(part.measurement, now)
        parts.append(
            {
                "key": part.key,
                "what": part.what,
                "bound": f"{part.is_} {part.show(part.bound)}",
                "recorded": before.mean(part.name),
                "interval": before.interval(part.name),
                "now": now.mean(part.name),
                "by_seed": now.numbers(part.name),
                "inside": before.agrees(now, part.name),
                "holds": part.holds(now),
            }
        )
    known = all(name in record.outcomes for name in claim.measurements)
    before_verdict = claim.verdict(record.outcomes) if known else None
    verdicts = {"verdict": claim.verdict(fresh), "recorded_verdict": before_verdict}
    return {"claim": number, "sentence": claim.sentence, **verdicts, "parts": parts}


def save(settings: Settings, findings: Findings) -> SavedRun:
    """The run: a row for each claim, every outcome, and the pictures."""
    rows = findings.rows
    return save_experiment(
        settings,
        loop="A",
        knob="none",
        experiment="claims",
        settings={"claims": findings.numbers, "seed": settings.seed},
        summary={
            "verdicts": dict(Counter(row["verdict"] for row in rows)),
            "changed": changed(rows),
            "outcomes": {name: msgspec.to_builtins(outcome) for name, outcome in findings.fresh.items()},
        },
        files={"claims.jsonl": to_json_lines(rows), **{f"{n}.png": data for n, data in findings.pictures.items()}},
    )


def changed(rows: list[dict[str, Any]]) -> list[int]:
    """The claims whose verdict is another than the recorded one."""
    return [row["claim"] for row in rows if row["recorded_verdict"] not in (None, row["verdict"])]


def write_record(findings: Findings) -> None:
    """Write the record, the page and its pictures anew."""
    where = circumstances_of()
    versions = {"python": platform.python_version(), **where.versions}
    record = Record(datetime.date.today().isoformat(), where.platform, versions, findings.fresh)
    write_whole(RECORD, to_pretty_json(record))
    for name, picture in findings.pictures.items():
        write_whole(ROOT / PICTURES / f"{name}.png", picture)
    write_whole(ROOT / PAGE, page(load_claims(), record).encode())


def print_ledger(record: Record) -> None:
    """All claims with their recorded verdicts."""
    out, claims = console(), load_claims()
    rows = table(">", "claim", "loop", "verdict")
    verdicts = [claim.verdict(record.outcomes) for claim in claims]
    for number, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True), 1):
        rows.add_row(str(number), claim.sentence, claim.loop, verdict)
    out.print(rows)
    out.print(f"\n{len(claims)} claims: {counts_of(verdicts)}. Measured on {record.date}. All numbers: {PAGE}")
    departs = next(number for number, verdict in enumerate(verdicts, 1) if verdict != HOLDS)
    out.print(f"Next: python -m course.claims {departs}")


def print_report(findings: Findings) -> None:
    """For each claim its parts, now and as recorded; then what to notice."""
    out, rows = console(), findings.rows
    for row in rows:
        claim = load_claims()[row["claim"] - 1]
        out.print(f"\n{row['claim']}. {claim.sentence}")
        out.print(f"   refuted if {claim.refuted_by}   ({claim.command})")
        shown = table("what", ">bound", ">recorded", ">95 % interval", ">now", "inside?", "holds?")
        for part, made in zip(claim.parts, row["parts"], strict=True):
            interval = part.show_interval(*made["interval"])
            numbers = part.show(made["recorded"]), interval, part.show(made["now"])
            words = ("yes" if made[name] else "no" for name in ("inside", "holds"))
            shown.add_row(part.what, made["bound"], *numbers, *words)
        out.print(shown)
        was = row["recorded_verdict"]
        out.print(f"   verdict: {row['verdict']}{f'; the record says: {was}' if was else ''}")
        if claim.remember:
            out.print(f"   remember: {claim.remember}")
    parts = [part for row in rows for part in row["parts"]]
    inside = sum(part["inside"] for part in parts)
    notice(
        f"{inside} of {len(parts)} numbers fall inside the recorded intervals. With other seeds about 1 of 20 falls "
        "outside by luck alone; a number without chance in it is the same each time.",
        "The verdict is counted from the parts: each has a bound, and keeps to it with every seed, or not.",
    )


def main() -> int:
    settings = parse("course.claims", "What is claimed, and what was measured.", Settings)
    record = load_record() if RECORD.is_file() else Record("", "", {}, {})
    if not settings.chosen():
        print_ledger(record)
        return DONE
    try:
        findings = run(settings, record)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; what was measured is kept, and the same command resumes") from None
    saved = save(settings, findings)
    for name, outcome in findings.fresh.items():
        for seed in outcome.seeds:
            kept_at(name, seed, settings.runs_dir).unlink(missing_ok=True)
    if settings.record:
        write_record(findings)
    print_report(findings)
    saved.close("python -m course.claims")
    return FOUND if changed(findings.rows) and not settings.record else DONE


if __name__ == "__main__":
    run_command(main)
