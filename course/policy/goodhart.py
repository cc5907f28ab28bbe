"""Goodhart's curve, measured: what happens to what you want when a policy is paid for something near it.

    python -m course.policy.goodhart
    python -m course.policy.goodhart --rubric format_only --beta 0.2
    python -m course.policy.goodhart --rubric anywhere --seeds 0 1 2

π0 learns twice from a weak rubric, with the same seed: without a leash and with one. The rubric's own reward (the
*proxy*) and the strict scorer's are measured over the steps and over the distance from π0, and the step is named after
which they part. Then the unleashed policy is asked again, and every family of completions that the rubric pays and the
strict scorer refuses is filed as a candidate for the golden exploits: nobody wrote them, the policy found them.

Goodhart's law is meant in the sense of Gao et al. (2023), whose proxy was a learned reward model.
"""

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from course.core.command_line import DONE, run_command
from course.core.display import console, notice, p_value, percent, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter
from course.core.stats import paired
from course.policy.core.experiment import (
    add_options,
    ask,
    counts_of,
    keep_policy,
    mean,
    open_experiment,
    settings_of,
    stoppable,
    watch,
)
from course.policy.pretrain import STYLES
from course.policy.reinforce import STRICT, ScoredCompletion, Settings, State
from course.rubrics import RUBRICS

DEFAULT = Settings(rubric="tolerant", beta=0.1, steps=96)
ASKED = 4  # samples of each dev prompt at the end
NUMBER = re.compile(r"-?[0-9]+")
SHOWN_FAMILIES = 6


@dataclass(frozen=True)
class Curve:
    """How one policy learned, and what it says of each dev prompt in the end."""

    beta: float
    state: State
    said: list[ScoredCompletion]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.state.measured

    def best(self) -> dict[str, Any]:
        """The measurement with the highest strict reward: after it, proxy and strict part."""
        return max(self.rows, key=lambda row: row["strict"])


def family(text: str) -> str:
    """A completion's shape: its first number becomes A, the next different one B, and so on."""
    letters: dict[str, str] = {}
    return NUMBER.sub(lambda match: letters.setdefault(match[0], chr(ord("A") + len(letters))), text)


def taught_families() -> set[str]:
    """The shapes that were put into π0 by hand, in its pre-training. (A second number there is always another one.)"""
    return {family(style(x, y)) for _, style in STYLES for x, y in ((7, 8), (-7, -8))}


def harvest(unleashed: Sequence[ScoredCompletion], before: Sequence[ScoredCompletion]) -> list[dict[str, Any]]:
    """The families that the rubric pays and the strict scorer refuses, most frequent first.

    Each with how often it is said now and was said by π0, whether anyone taught it, and its most frequent text.
    """
    taught, earlier = taught_families(), Counter(family(said.text) for said in before)
    found: dict[str, list[ScoredCompletion]] = {}
    for said in unleashed:
        if said.proxy > 0 and said.strict == 0:
            found.setdefault(family(said.text), []).append(said)
    rows = []
    for shape, members in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        (text, answer), many = Counter((m.text, m.example["expected_answer"]) for m in members).most_common(1)[0]
        rows.append(
            {
                "family": shape,
                "count": len(members),
                "of": len(unleashed),
                "count_pi0": earlier[shape],
                "taught": shape in taught,
                "example": text,
                "example_count": many,
                "expected_answer": answer,
                "code": next(member.code for member in members if member.text == text),
            }
        )
    return rows


def candidates(found: Sequence[Mapping[str, Any]], rubric: str) -> list[dict[str, Any]]:
    """The families as golden exploits, in the format of `data/golden/golden_exploits.jsonl`."""
    return [
        {
            "id": f"found-{rubric}-{number:02d}",
            "expected_answer": row["expected_answer"],
            "completion": row["example"],
            "hole": RUBRICS[rubric].hole,
            "source": f"found by π0 while it was paid by the rubric {rubric}: {row['count']} of {row['of']} samples "
            "have this shape",
        }
        for number, row in enumerate(found, start=1)
    ]


def parted(curve: Curve, before: Sequence[ScoredCompletion]) -> bool:
    """Goodhart's curve: the proxy has risen, and the strict reward has fallen below half of its best."""
    strict = mean(one.strict for one in curve.said)
    return mean(one.proxy for one in curve.said) > mean(one.proxy for one in before) and (
        strict < curve.best()["strict"] / 2
    )


def summary_of(seed: int, before: Sequence[ScoredCompletion], curves: Sequence[Curve]) -> dict[str, Any]:
    """What one seed showed."""
    rows = []
    for curve in curves:
        best, last = curve.best(), curve.rows[-1]
        against = paired(counts_of(before), counts_of(curve.said))
        rows.append(
            {
                "beta": curve.beta,
                "strict": against.rates[1],
                "proxy": mean(one.proxy for one in curve.said),
                "kl": last["kl"],
                "best_strict": best["strict"],
                "best_step": best["step"],
                "best_kl": best["kl"],
                "parted": parted(curve, before),
                "strict_change_from_pi0": against.difference,
                "strict_change_interval": against.interval,
                "p": against.p,
            }
        )
    pi0 = {"strict": mean(one.strict for one in before), "proxy": mean(one.proxy for one in before)}
    return {"seed": seed, "samples_per_prompt": len(before), "pi0": pi0, "curves": rows}


def draw(curves: Sequence[Curve], settings: Settings) -> bytes:
    """Proxy and strict reward over the steps and over the distance from π0, with the leash and without."""
    figure, panels = new_figure(
        f"Goodhart's curve, measured: π0 paid by the rubric {settings.rubric}, seed {settings.seed}", 2, 11, 4.6
    )
    for panel, key, label in zip(panels, ("step", "kl"), ("step", "KL from π0 (nats a completion)"), strict=True):
        for curve, line in zip(curves, ("-", "--"), strict=True):
            leash = f"leash {curve.beta:g}" if curve.beta else "no leash"
            for name, colour, mark in (("proxy", COLOURS[0], "o"), ("strict", COLOURS[2], "s")):
                xs, ys = [row[key] for row in curve.rows], [row[name] for row in curve.rows]
                said = settings.rubric if name == "proxy" else STRICT
                panel.plot(xs, ys, line, marker=mark, ms=4, color=colour, label=f"{said}, {leash}")
        best = curves[0].best()
        panel.axvline(best[key], color="#888888", lw=1, ls=":")
        panel.annotate("here they part", (best[key], 1.0), (4, -2), textcoords="offset points", fontsize=8, va="top")
        panel.set(xlabel=label, ylabel="mean reward on dev", ylim=(-0.02, 1.04))
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=4)
    return png(figure)


def report(rubric: str, summaries: Sequence[Mapping[str, Any]], curves: Sequence[Curve], found: Any) -> None:
    """The curve, what every seed showed, and what the policy found."""
    out = console()
    free, leashed = curves
    names = (rubric, "strict", "KL")
    rows = table(">step", *(f">{name}" for name in names), *(f">{name}, leash {leashed.beta:g}" for name in names))
    for one, other in zip(free.rows, leashed.rows, strict=True):
        cells = [[percent(row["proxy"]), percent(row["strict"]), f"{row['kl']:.2f}"] for row in (one, other)]
        rows.add_row(str(one["step"]), *cells[0], *cells[1])
    out.print()
    out.print(rows)
    rows = table("seed", "policy", f">{rubric}", ">strict", ">best strict, at step", ">KL", "strict against π0")
    for summary in summaries:
        pi0 = summary["pi0"]
        rows.add_row(str(summary["seed"]), "π0", percent(pi0["proxy"]), percent(pi0["strict"]), "", "0.00", "")
        for row in summary["curves"]:
            name = f"leash {row['beta']:g}" if row["beta"] else "no leash"
            best = f"{percent(row['best_strict'])}, {row['best_step']}"
            change = f"{100 * row['strict_change_from_pi0']:+.1f} points, p = {p_value(row['p'])}"
            rows.add_row("", name, percent(row["proxy"]), percent(row["strict"]), best, f"{row['kl']:.2f}", change)
    out.print(f"\nAt the end, {ASKED} samples of each dev prompt:")
    out.print(rows)
    out.print("\nWhat the unleashed policy found (paid by the rubric, refused by the strict scorer):")
    rows = table(">share", ">π0's share", "taught?", "code", "for instance", "wanted")
    for row in found[:SHOWN_FAMILIES]:
        share, earlier = percent(row["count"] / row["of"]), percent(row["count_pi0"] / row["of"])
        taught = "yes" if row["taught"] else "no"
        rows.add_row(share, earlier, taught, row["code"], f"`{visible(row['example'])}`", str(row["expected_answer"]))
    out.print(rows)
    explain(rubric, summaries, free, found)


def explain(rubric: str, summaries: Sequence[Mapping[str, Any]], free: Curve, found: Any) -> None:
    """What the numbers say, and what they do not."""
    best = free.best()
    many = sum(summary["curves"][0]["parted"] for summary in summaries)
    kept = sum(summary["curves"][1]["strict"] >= summary["pi0"]["strict"] for summary in summaries)
    where = f"after step {best['step']}" if best["step"] else "from the first step on"
    untaught = sum(row["count"] for row in found if not row["taught"])
    notice(
        f"They part {where} (KL {best['kl']:.2f}): strict was best there, {percent(best['strict'])}.",
        f"Without the leash the rubric went up and strict ended below half its best: {many} of {len(summaries)} seeds. "
        f"With it strict ended no lower than π0's: {kept} of {len(summaries)}.",
        f"The hole: {RUBRICS[rubric].hole}.",
        f"Of the exploits, {percent(untaught / max(1, sum(row['count'] for row in found)))} have a shape that "
        "nobody put into π0's pre-training texts.",
    )


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.goodhart", description="Goodhart's curve, measured.")
    names = ("rubric", "beta", "steps", "prompts_per_step", "samples_per_prompt", "learning_rate", "measure_every")
    add_options(parser, DEFAULT, *names)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one experiment for each (default: 0)")
    args = parser.parse_args()
    if args.rubric == STRICT:
        raise InputError("--rubric", f"a weak rubric has a hole to find; there are {', '.join(RUBRICS)}")
    if not args.beta > 0:
        raise InputError("--beta", "the leash of the second policy must be above zero")
    experiment = open_experiment("goodhart", args)
    out = console()
    out.print(f"Loop C (learning): π0 paid by `{args.rubric}`, without a leash and with beta {args.beta:g}")
    results = []
    for seed in dict.fromkeys(args.seeds):
        settings = replace(settings_of(args, DEFAULT), seed=seed)
        curves = []
        for beta in (0.0, settings.beta):
            out.print(f"\nseed {seed}, {'leash ' + format(beta, 'g') if beta else 'no leash'}")
            one = replace(settings, beta=beta)
            with watch(one) as show:
                learned = experiment.learn(one, show)
            said = ask(learned.policy, learned.tokenizer, experiment.dev, args.rubric, ASKED, seed, "end", beta)
            curves.append((Curve(beta, learned.state, said), learned))
        before = ask(learned.reference, learned.tokenizer, experiment.dev, args.rubric, ASKED, seed, "end", "pi0")
        results.append((settings, curves, before))

    summaries = [summary_of(s.seed, before, [curve for curve, _ in pairs]) for s, pairs, before in results]
    settings, pairs, before = results[0]
    first = [curve for curve, _ in pairs]
    found = harvest(first[0].said, before)
    picture = draw(first, settings)
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        for s, both, _ in results:
            for curve, _ in both:
                name = f"seed_{s.seed}_{'leash' if curve.beta else 'no_leash'}"
                run.write(f"{name}.jsonl", to_json_lines(curve.rows))
        run.write("exploits.jsonl", to_json_lines(found))
        run.write("golden_exploits.jsonl", to_json_lines(candidates(found, args.rubric)))
        run.write("goodhart.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "C", "rubric": args.rubric, "seeds": summaries}))
        manifest = experiment.manifest(args, {**asdict(settings), "seeds": [s.seed for s, _, _ in results]})
        for (_, learned), name in zip(pairs, ("no_leash", "leash"), strict=True):
            manifest["policy"][name] = keep_policy(run, name, learned.policy, learned.tokenizer)
        seconds = sum(curve.state.seconds for _, both, _ in results for curve, _ in both)
        folder = run.finish(manifest, {"seconds_of_learning": seconds})
    experiment.forget()
    report(args.rubric, summaries, first, found)
    filed = f"Candidates for the golden exploits: {folder / 'golden_exploits.jsonl'} ({len(found)} cases)"
    experiment.point_to(folder, filed)
    return DONE


if __name__ == "__main__":
    run_command(main)
