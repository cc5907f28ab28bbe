"""The ledger as a page of the documents: docs/claims.md."""

from collections import Counter
from collections.abc import Sequence

from course.ledger.ledger import Claim, Part, Record

PAGE, PICTURES = "docs/claims.md", "docs/diagrams/claims"
LOOPS = {"A": "Loop A, measure", "B": "Loop B, select", "C": "Loop C, learn", "A, B, C": "all loops"}
HEAD = """# What is claimed, and what was measured

Introductions to RL for language models claim many things, this course's own among them. Each is a row here: what would
refute it, the command that tests it, what was measured, and a verdict that is counted from the numbers. A part of a
claim holds if its number keeps to its bound with every seed. All parts hold: the claim **holds**. Some do: it **holds
within limits**. None does: it **does not hold here**. Here means: one small model, one task, one strict scorer.

```bash
python -m course.claims
python -m course.claims 16
```

The second command measures number 16 anew, with other seeds, and says whether the new numbers fall inside the recorded
intervals. `--quick` measures all that need no PyTorch (half a minute), `--all` everything (some 20 minutes on two
cores). An interval says where another measurement of the same size falls, 95 times of 100; for a rate it is Wilson's. A
number that is read off the files of this repository, or computed, is the same each time, and has none.

"""


def page(claims: Sequence[Claim], record: Record) -> str:
    """The page, written from the claims and the record: nothing in it is typed by hand."""
    verdicts = [claim.verdict(record.outcomes) for claim in claims]
    counted = counts_of(verdicts)
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    lines = [f"{HEAD}{len(claims)} claims: {counted}. Measured on {record.date} ({record.machine}; {versions}).\n"]
    lines += ["| | claim | loop | verdict |", "|---|---|---|---|"]
    for number, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True), 1):
        lines.append(f"| [{number}](#claim-{number}) | {claim.sentence} | {claim.loop} | {verdict} |")
    shown: set[str] = set()
    for number, (claim, verdict) in enumerate(zip(claims, verdicts, strict=True), 1):
        lines += section(number, claim, verdict, record, shown)
    return "\n".join(lines) + "\n"


def counts_of(verdicts: Sequence[str]) -> str:
    """How many claims have each verdict: `30 hold, …`."""
    kinds = Counter(verdict.partition(" (")[0] for verdict in verdicts)
    return ", ".join(
        f"{many} {kind.replace('holds', 'hold').replace('does', 'do')}" for kind, many in kinds.most_common()
    )


def section(number: int, claim: Claim, verdict: str, record: Record, shown: set[str]) -> list[str]:
    """One claim. `shown` gathers the measurements whose pictures stand on the page already."""
    about = f"**{verdict}** · {LOOPS[claim.loop]} · said in: {', '.join(claim.said_in)}"
    lines = [f"\n## Claim {number}\n", f"> {claim.sentence}\n", f"{about}\n"]
    if not claim.parts:
        return [*lines, claim.why]
    lines.append(f"Refuted if {claim.refuted_by}. Test it: `{claim.command}`\n")
    lines += ["| measured | bound | value | 95 % interval | of | holds |", "|---|---|---|---|---|---|"]
    lines += [row_of(part, record) for part in claim.parts]
    if claim.remember:
        lines.append(f"\n**Remember:** {claim.remember}")
    for name in claim.measurements:
        if name not in shown and name in WITH_PICTURE:
            shown.add(name)
            lines.append(f'\n<img src="diagrams/claims/{name}.png" width="640" alt="{WITH_PICTURE[name]}">')
    return lines


def row_of(part: Part, record: Record) -> str:
    """One part of a claim as a row."""
    outcome = record.outcomes[part.measurement]
    interval = part.show_interval(*outcome.interval(part.name))
    value, bound = part.show(outcome.mean(part.name)), part.show(part.bound)
    sign = {"<": "below", "<=": "at most", "=": "exactly", ">=": "at least", ">": "above"}[part.is_]
    seeds = f", {len(outcome.seeds)} seeds" if len(outcome.seeds) > 1 else ""
    held = "yes" if part.holds(outcome) else "**no**"
    return f"| {part.what} | {sign} {bound} | {value} | {interval} | {outcome.n:,} {outcome.of}{seeds} | {held} |"


WITH_PICTURE = {
    "selection": "pass@k and pass^k over k: more samples, the same policy",
    "bandit": "learning curves with and without a baseline",
    "two_steps": "chance of the reward over episodes, credited by the return and by the immediate reward",
    "leash": "reward against KL, and the true value along the sweep",
    "two_ways": "pass@1 and pass@N: selection leaves both, learning moves both",
    "one_update": "one gain for every token, and how far each moved",
    "goodhart_tolerant": "rubric and strict reward part, with and without a leash, paid by tolerant",
    "goodhart_format_only": "rubric and strict reward part, paid by format_only",
    "goodhart_length_shaped": "rubric and strict reward part, paid by length_shaped",
    "noise": "learning curves with 0, 20 and 40 % of the rewards flipped",
    "shift": "frozen rollouts, reweighted or not, beside the truth",
    "three_ways": "pass@1 and pass@8 of four ways, and their distance from π0",
    "frontier": "reward against distance from π0",
}
