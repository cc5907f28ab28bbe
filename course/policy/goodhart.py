"""Goodhart's curve, measured: what happens to what you want when a policy is paid for something near it.

    python -m course.policy.goodhart
    python -m course.policy.goodhart --rubric format_only --beta 0.2
    python -m course.policy.goodhart --rubric anywhere --seeds 0 1 2

π0 learns twice from a weak rubric, with the same seed: without a leash and with one. The rubric's own reward (the
*proxy*) and the strict scorer's are measured over the steps and over the distance from π0, until they part. At the end
the unleashed policy is sampled again, and every family of completions that the rubric pays and the strict scorer
refuses is filed as a candidate for the golden exploits: nobody wrote them, the policy found them.

Goodhart's law is meant in the sense of Gao et al. (2023), whose proxy was a learned reward model.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, notice, p_value, percent, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.scoring import STRICT
from course.core.stats import paired
from course.policy.core.experiment import Experiment, ExperimentOptions, counts_of, mean, open_experiment
from course.policy.core.learning import ScoredCompletion, Settings
from course.policy.core.model import Policy
from course.policy.core.pretraining_texts import STYLES
from course.policy.core.sampling import load_checkpoint
from course.policy.reinforce import train_step
from course.rubrics import RUBRICS

SAMPLES = 4  # of each dev prompt at the end
NUMBER = re.compile(r"-?[0-9]+")
SHOWN_FAMILIES = 6
POLICIES = ("no_leash", "leash")  # as their files are named


@dataclass(frozen=True)
class GoodhartSettings(Settings):
    rubric: str = option("tolerant", "the weak rubric that is paid", choices=tuple(RUBRICS))
    beta: float = option(0.1, "the leash of the second policy", above=0)
    steps: int = option(96, "updates of each policy", at_least=1)


@dataclass(frozen=True, kw_only=True)
class GoodhartOptions(ExperimentOptions):
    seeds: tuple[int, ...] = option((0,), "one experiment for each", at_least=0)


@dataclass(frozen=True)
class Findings:
    """What every seed showed, and the policies and exploits of the first one."""

    settings: Settings  # of the first seed
    measured: dict[tuple[int, str], list[dict[str, Any]]]  # the measurements, by seed and policy
    policies: dict[str, Policy]
    summaries: list[dict[str, Any]]
    exploits: list[dict[str, Any]]

    def curves(self) -> list[list[dict[str, Any]]]:
        """The first seed's measurements: of the unleashed policy, and of the leashed one."""
        return [self.measured[self.settings.seed, name] for name in POLICIES]


def run(experiment: Experiment, settings: Settings, seeds: Sequence[int]) -> Findings:
    """For each seed, learn without the leash and with it, then sample the policies; harvest what was paid for."""
    pi0, _ = load_checkpoint(experiment.options.policy)
    measured, policies, summaries, exploits = {}, {}, [], []
    for seed in dict.fromkeys(seeds):
        before = experiment.sample(pi0, experiment.dev, settings.rubric, SAMPLES, (seed, "end", "pi0"))
        curves = []
        for name, beta in zip(POLICIES, (0.0, settings.beta), strict=True):
            own = replace(settings, seed=seed, beta=beta)
            learned = experiment.learn(train_step, own, heading=f"seed {seed}, {leash(beta)}")
            after = experiment.sample(learned.policy, experiment.dev, settings.rubric, SAMPLES, (seed, "end", beta))
            measured[seed, name] = learned.state.measured
            curves.append(summary_of(beta, learned.state.measured, before, after))
            if seed == seeds[0]:
                policies[name] = learned.policy
                exploits += harvest(after, before) if name == "no_leash" else []
        summaries.append({"seed": seed, "samples": len(before), "pi0": rates(before), "curves": curves})
    return Findings(replace(settings, seed=seeds[0]), measured, policies, summaries, exploits)


def leash(beta: float) -> str:
    return f"leash {beta:g}" if beta else "no leash"


def family(text: str) -> str:
    """A completion's shape: its first number becomes A, the next different one B, and so on."""
    letters: dict[str, str] = {}
    return NUMBER.sub(lambda match: letters.setdefault(match[0], chr(ord("A") + len(letters))), text)


def taught_families() -> set[str]:
    """The shapes that were put into π0 by hand, in its pre-training. (A second number there is always another one.)"""
    return {family(style(x, y)) for _, style in STYLES for x, y in ((7, 8), (-7, -8))}


def harvest(unleashed: Sequence[ScoredCompletion], before: Sequence[ScoredCompletion]) -> list[dict[str, Any]]:
    """The families that the rubric pays and the strict scorer refuses, most frequent first.

    Each with its count now and among π0's completions, whether anyone taught it, and its most frequent text.
    """
    taught, earlier = taught_families(), Counter(family(completion.text) for completion in before)
    families: dict[str, list[ScoredCompletion]] = {}
    for completion in unleashed:
        if completion.proxy > 0 and completion.strict == 0:
            families.setdefault(family(completion.text), []).append(completion)
    rows = []
    for shape, members in sorted(families.items(), key=lambda item: (-len(item[1]), item[0])):
        said = Counter((m.text, m.example["prompt"], m.example["expected_answer"]) for m in members)
        (text, prompt, answer), count = said.most_common(1)[0]
        rows.append(
            {
                "family": shape,
                "count": len(members),
                "of": len(unleashed),
                "count_pi0": earlier[shape],
                "taught": shape in taught,
                "example": text,
                "example_count": count,
                "prompt": prompt,
                "expected_answer": answer,
                "code": next(member.code for member in members if member.text == text),
            }
        )
    return rows


def candidates(exploits: Sequence[Mapping[str, Any]], rubric: str) -> list[dict[str, Any]]:
    """The families as golden exploits, in the format of `data/golden/golden_exploits.jsonl`."""
    source = f"found by π0 while it was paid by the rubric {rubric}:"
    return [
        {
            "id": f"found-{rubric}-{number:02d}",
            "prompt": row["prompt"],
            "expected_answer": row["expected_answer"],
            "completion": row["example"],
            "hole": RUBRICS[rubric].hole,
            "source": f"{source} {row['count']} of {row['of']} samples have this shape",
        }
        for number, row in enumerate(exploits, start=1)
    ]


def rates(completions: Sequence[ScoredCompletion]) -> dict[str, float]:
    """The mean of both rewards."""
    return {"strict": mean(c.strict for c in completions), "proxy": mean(c.proxy for c in completions)}


def best_of(measured: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The measurement with the highest strict reward: after it, proxy and strict part."""
    return max(measured, key=lambda row: row["strict"])


def parted(now: Mapping[str, float], before: Mapping[str, float], best: float) -> bool:
    """Goodhart's curve: the proxy has risen, and the strict reward has fallen below half of its best."""
    return now["proxy"] > before["proxy"] and now["strict"] < best / 2


def summary_of(
    beta: float,
    measured: Sequence[Mapping[str, Any]],
    before: Sequence[ScoredCompletion],
    after: Sequence[ScoredCompletion],
) -> dict[str, Any]:
    """How one policy learned, and how its completions in the end compare with those of π0 before."""
    best, now = best_of(measured), rates(after)
    against = paired(counts_of(before), counts_of(after))
    return {
        "beta": beta,
        "strict": against.rates[1],
        "proxy": now["proxy"],
        "kl": measured[-1]["kl"],
        "best_strict": best["strict"],
        "best_step": best["step"],
        "best_kl": best["kl"],
        "parted": parted(now, rates(before), best["strict"]),
        "strict_change_from_pi0": against.difference,
        "strict_change_interval": against.interval,
        "p": against.p,
    }


def draw(findings: Findings) -> bytes:
    """Proxy and strict reward over the steps and over the distance from π0, with the leash and without."""
    rubric, curves = findings.settings.rubric, findings.curves()
    betas = (0.0, findings.settings.beta)
    title = f"Goodhart's curve, measured: π0 paid by the rubric {rubric}, seed {findings.settings.seed}"
    figure, panels = new_figure(title, 2, 11, 4.6)
    for panel, key, label in zip(panels, ("step", "kl"), ("step", "KL from π0 (nats a completion)"), strict=True):
        for rows, beta, line in zip(curves, betas, ("-", "--"), strict=True):
            xs = [row[key] for row in rows]
            for reward, scorer, colour, mark in ("proxy", rubric, COLOURS[0], "o"), ("strict", STRICT, COLOURS[2], "s"):
                ys = [row[reward] for row in rows]
                panel.plot(xs, ys, line, marker=mark, ms=4, color=colour, label=f"{scorer}, {leash(beta)}")
        best = best_of(curves[0])
        if findings.summaries[0]["curves"][0]["parted"]:  # or there is no such regime
            panel.axvline(best[key], color="#888888", lw=1, ls=":")
            place, regime = (best[key], 1.0), "reward hacking regime"
            panel.annotate(regime, place, (4, -2), textcoords="offset points", fontsize=8, va="top")
        panel.set(xlabel=label, ylabel="mean reward on dev", ylim=(-0.02, 1.04))
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=4)
    return png(figure)


def print_report(findings: Findings) -> None:
    """The curve, what every seed showed, and what the policy found."""
    out, rubric = console(), findings.settings.rubric
    names, leashed = (rubric, "strict", "KL"), leash(findings.settings.beta)
    rows = table(">step", *(f">{name}" for name in names), *(f">{name}, {leashed}" for name in names))
    for pair in zip(*findings.curves(), strict=True):
        cells = [(percent(row["proxy"]), percent(row["strict"]), f"{row['kl']:.2f}") for row in pair]
        rows.add_row(str(pair[0]["step"]), *cells[0], *cells[1])
    out.print()
    out.print(rows)
    rows = table("seed", "policy", f">{rubric}", ">strict", ">best strict, at step", ">KL", "strict against π0")
    for summary in findings.summaries:
        pi0 = summary["pi0"]
        rows.add_row(str(summary["seed"]), "π0", percent(pi0["proxy"]), percent(pi0["strict"]), "", "0.00", "")
        for row in summary["curves"]:
            best = f"{percent(row['best_strict'])}, {row['best_step']}"
            change = f"{100 * row['strict_change_from_pi0']:+.1f} points, p {p_value(row['p'], '= ')}"
            earned = percent(row["proxy"]), percent(row["strict"])
            rows.add_row("", leash(row["beta"]), *earned, best, f"{row['kl']:.2f}", change)
    out.print(f"\nAt the end, {SAMPLES} samples of each dev prompt:")
    out.print(rows)
    out.print("\nWhat the unleashed policy found (paid by the rubric, refused by the strict scorer):")
    rows = table(">share", ">π0's share", "taught?", "code", "for instance", "wanted")
    for row in findings.exploits[:SHOWN_FAMILIES]:
        share, earlier = percent(row["count"] / row["of"]), percent(row["count_pi0"] / row["of"])
        taught = "yes" if row["taught"] else "no"
        rows.add_row(share, earlier, taught, row["code"], f"`{visible(row['example'])}`", str(row["expected_answer"]))
    out.print(rows)
    explain(findings)


def explain(findings: Findings) -> None:
    """What the numbers say, and what they do not."""
    summaries, exploits = findings.summaries, findings.exploits
    best = best_of(findings.curves()[0])
    fell = sum(summary["curves"][0]["parted"] for summary in summaries)
    kept = sum(summary["curves"][1]["strict"] >= summary["pi0"]["strict"] for summary in summaries)
    where = f"after step {best['step']}" if best["step"] else "from the first step on"
    untaught = sum(row["count"] for row in exploits if not row["taught"])
    notice(
        f"They part {where} (KL {best['kl']:.2f}): strict was best there, {percent(best['strict'])}.",
        f"Without the leash the rubric went up and strict ended below half its best: {fell} of {len(summaries)} seeds. "
        f"With it strict ended no lower than π0's: {kept} of {len(summaries)}.",
        f"The hole: {RUBRICS[findings.settings.rubric].hole}.",
        f"Of the exploits, {percent(untaught / max(1, sum(row['count'] for row in exploits)))} have a shape that "
        "nobody put into π0's pre-training texts.",
    )


def main() -> int:
    about, hidden = "Goodhart's curve, measured.", ("baseline", "reward_flip_rate", "seed", "holdout")
    settings, options = parse("course.policy.goodhart", about, GoodhartSettings, GoodhartOptions, hide=hidden)
    with open_experiment("goodhart", options, settings) as experiment:
        paid = f"π0 paid by `{settings.rubric}`, without a leash and with beta {settings.beta:g}"
        console().print(f"Loop C (learning): {paid}")
        findings = run(experiment, settings, options.seeds)
        logs = {f"seed_{seed}_{name}.jsonl": rows for (seed, name), rows in findings.measured.items()}
        logs["exploits.jsonl"] = findings.exploits
        logs["golden_exploits.jsonl"] = candidates(findings.exploits, settings.rubric)
        saved = experiment.save(
            {**asdict(findings.settings), "seeds": [row["seed"] for row in findings.summaries]},
            {"rubric": settings.rubric, "seeds": findings.summaries},
            logs,
            draw(findings),
            policies=findings.policies,
        )
    print_report(findings)
    filed = f"{saved.folder / 'golden_exploits.jsonl'} ({len(findings.exploits)} cases)"
    saved.close("python -m course.verify_run --run {run}", f"Candidates for the golden exploits: {filed}")
    return DONE


if __name__ == "__main__":
    run_command(main)
