"""Reward against distance on the real policy: the leash swept, beside the best that any policy could do.

    python -m course.policy.frontier
    python -m course.policy.frontier --rubric strict --betas 0.05 0.1 0.2 0.5

The cousin of course.kl_tradeoff_demo, where five completions were all there was. Here π0 learns anew for each strength
of the leash, and each policy is a point: how far it went, and what it earns. The line is the optimum in closed form,

    π*(y | x) ∝ π0(y | x) · exp(reward / beta),

estimated prompt by prompt from samples of π0. It bounds what can be earned at a distance from π0 on prompts that π0
sometimes gets right; what a policy learns on one prompt for another is not in it.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, notice, percent, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.scoring import STRICT
from course.policy.core.experiment import Experiment, ExperimentOptions, open_experiment
from course.policy.core.learning import Settings
from course.policy.core.sampling import load_checkpoint
from course.policy.reinforce import train_step

DEFAULT = Settings(rubric="tolerant", steps=48)
SAMPLES = 32  # of π0 for each prompt, from which the optimum is estimated
LINE = np.geomspace(0.02, 100, 80)  # the betas of the drawn optimum


@dataclass(frozen=True, kw_only=True)
class FrontierOptions(ExperimentOptions):
    betas: tuple[float, ...] = option(
        (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "the leashes, 0 for none", at_least=0, distinct=True
    )


@dataclass(frozen=True)
class Findings:
    """A point for each leash, and the rewards of π0's samples, (prompts, SAMPLES), that give the optimum."""

    settings: Settings
    leashes: list[dict[str, Any]]
    rewards: np.ndarray


def run(experiment: Experiment, settings: Settings, options: FrontierOptions) -> Findings:
    """Learn once for each leash, and estimate the optimum for it."""
    pi0, _ = load_checkpoint(options.policy)
    completions = experiment.sample(pi0, experiment.dev, settings.rubric, SAMPLES, (settings.seed, "optimum"))
    rewards = np.array([completion.proxy for completion in completions]).reshape(-1, SAMPLES)
    rows = []
    for own, learned in experiment.learn_each(train_step, [replace(settings, beta=beta) for beta in options.betas]):
        last = learned.state.measured[-1]
        reward, kl = optimum(rewards, own.beta) if own.beta else (None, None)
        row = {name: last[name] for name in ("strict", "proxy", "kl", "k1", "k3", "codes", "prompts")}
        says = visible(last["completions"][0])
        rows.append({"beta": own.beta, **row, "optimum_reward": reward, "optimum_kl": kl, "says": says})
    return Findings(settings, rows, rewards)


def optimum(rewards: np.ndarray, beta: float) -> tuple[float, float]:
    """(mean reward, KL from π0 in nats) of π* ∝ π0 · exp(reward / beta), from rewards of π0's samples, (prompts, n).

    On n samples of equal weight π* weighs each by w ∝ exp(reward / beta); KL = Σ w log (n w).
    """
    logits = rewards / beta
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    n = rewards.shape[1]
    kl = np.sum(weights * np.log(np.where(weights > 0, weights * n, 1.0)), axis=1)
    return float((weights * rewards).sum(axis=1).mean()), float(kl.mean())


def draw(findings: Findings) -> bytes:
    """The frontier: what each leash earns, by the rubric and by the strict scorer, against how far it went."""
    rubric, seed = findings.settings.rubric, findings.settings.seed
    figure, (panel,) = new_figure(f"Reward against distance from π0: rubric {rubric}, seed {seed}", 1, 8, 4.6)
    line = [optimum(findings.rewards, beta) for beta in LINE]
    panel.plot([kl for _, kl in line], [reward for reward, _ in line], color="#888888", label="optimum on π0's samples")
    ordered = sorted(findings.leashes, key=lambda row: row["kl"])
    names = {"proxy": rubric, "strict": "strict"} if rubric != STRICT else {"strict": "strict"}
    for number, (key, name) in enumerate(names.items()):
        xs, ys = [row["kl"] for row in ordered], [row[key] for row in ordered]
        colour = COLOURS[0] if key == "proxy" else COLOURS[2]
        panel.plot(xs, ys, "os"[number] + "-:"[number], color=colour, label=f"learned, {name}")
    for row in ordered:
        place = (row["kl"], row["proxy"])
        panel.annotate(f"{row['beta']:g}", place, (0, 7), textcoords="offset points", fontsize=8, ha="center")
    panel.set(xlabel="KL from π0 (nats a completion); numbers are betas", ylabel="reward on dev", ylim=(0, 1.05))
    panel.legend(fontsize=8)
    return png(figure)


def print_report(findings: Findings) -> None:
    """One row for each leash, and what to notice."""
    out, rows, rubric = console(), findings.leashes, findings.settings.rubric
    shown = table(">beta", f">{rubric}", ">strict", ">KL", ">optimum's reward", ">optimum's KL", "says")
    for row in rows:
        best = (percent(row["optimum_reward"]), f"{row['optimum_kl']:.2f}") if row["beta"] else ("-", "-")
        rates = percent(row["proxy"]), percent(row["strict"])
        shown.add_row(f"{row['beta']:g}", *rates, f"{row['kl']:.2f}", *best, f"`{row['says']}`")
    out.print()
    out.print(shown)
    best_strict, free = max(rows, key=lambda row: row["strict"]), min(rows, key=lambda row: row["beta"])
    sentences = ["A longer leash buys reward with distance. What is bought is the rubric's reward."]
    if rubric != STRICT:
        sentences.append(
            f"What was wanted was best with beta {best_strict['beta']:g}: strict {percent(best_strict['strict'])}, "
            f"against {percent(free['strict'])} with beta {free['beta']:g}. No rule gives that beta beforehand."
        )
    sentences.append(
        "The optimum is the limit of learning on each prompt alone. The learner had few steps, but what it learns on "
        "one prompt carries over to others."
    )
    notice(*sentences)


def main() -> int:
    hidden = ("beta", "reward_flip_rate", "measure_every", "holdout")
    settings, options = parse("course.policy.frontier", "The leash, swept.", DEFAULT, FrontierOptions, hide=hidden)
    settings = replace(settings, measure_every=settings.steps)  # only the end of each policy is looked at
    with open_experiment("frontier", options, settings) as experiment:
        console().print(f"Loop C (learning): π0 paid by `{settings.rubric}`, on {len(options.betas)} leashes")
        findings = run(experiment, settings, options)
        saved = experiment.save(
            {**asdict(settings), "betas": options.betas},
            {"rubric": settings.rubric, "leashes": findings.leashes},
            {"frontier.jsonl": findings.leashes},
            draw(findings),
        )
    print_report(findings)
    saved.close("python -m course.verify_run --run {run}")
    return DONE


if __name__ == "__main__":
    run_command(main)
