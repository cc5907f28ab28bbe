"""Reward against distance on the real policy: the leash swept, beside the best that any policy could do.

    python -m course.policy.frontier
    python -m course.policy.frontier --rubric strict --betas 0.05 0.1 0.2 0.5

The cousin of course.kl_tradeoff_demo, where five completions were all there was. Here π0 learns anew for each strength
of the leash, and each policy is a point: how far it went, and what it earns. The line is the optimum in closed form,

    π*(y | x) ∝ π0(y | x) · exp(reward / beta),

estimated prompt by prompt from samples of π0. It bounds what can be earned at a distance from π0 on prompts that π0
sometimes gets right; what a policy learns on one prompt for another is not in it.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from course.core.command_line import DONE, run_command
from course.core.display import console, notice, percent, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter
from course.policy.core.experiment import add_options, ask, learn_each, open_experiment, settings_of, stoppable
from course.policy.core.sampling import load_checkpoint
from course.policy.reinforce import STRICT, Settings

DEFAULT = Settings(rubric="tolerant", steps=48)
BETAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ASKED = 32  # samples of π0 for each prompt, from which the optimum is estimated
LINE = np.geomspace(0.02, 100, 80)  # the betas of the drawn optimum


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


def draw(rows: Sequence[Mapping[str, Any]], rewards: np.ndarray, settings: Settings) -> bytes:
    """The frontier: what each leash earns, by the rubric and by the strict scorer, against how far it went."""
    figure, (panel,) = new_figure(
        f"Reward against distance from π0: rubric {settings.rubric}, seed {settings.seed}", 1, 8, 4.6
    )
    line = [optimum(rewards, beta) for beta in LINE]
    panel.plot([kl for _, kl in line], [reward for reward, _ in line], color="#888888", label="optimum on π0's samples")
    ordered = sorted(rows, key=lambda row: row["kl"])
    names = {"proxy": settings.rubric, "strict": "strict"} if settings.rubric != STRICT else {"strict": "strict"}
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


def report(rows: Sequence[Mapping[str, Any]], rubric: str) -> None:
    """One row for each leash, and what to notice."""
    out = console()
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
        "The optimum has had all the time there is, and can carry nothing from one prompt to another; the learner has "
        "had few steps, and can."
    )
    notice(*sentences)


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.frontier", description="The leash, swept.")
    names = ("rubric", "baseline", "steps", "prompts_per_step", "samples_per_prompt", "learning_rate", "seed")
    add_options(parser, DEFAULT, *names)
    parser.add_argument("--betas", type=float, nargs="+", default=list(BETAS), help="the leashes, 0 for none")
    args = parser.parse_args()
    if len(set(args.betas)) < len(args.betas):
        raise InputError("--betas", "each value once")
    settings = replace(settings_of(args, DEFAULT), measure_every=args.steps)
    experiment = open_experiment("frontier", args)
    out = console()
    out.print(f"Loop C (learning): π0 paid by `{settings.rubric}`, on {len(args.betas)} leashes")
    said = ask(*load_checkpoint(experiment.start), experiment.dev, settings.rubric, ASKED, settings.seed, "optimum")
    rewards = np.array([one.proxy for one in said]).reshape(-1, ASKED)
    rows, seconds = [], 0.0
    for one, learned in learn_each(experiment, [replace(settings, beta=beta) for beta in args.betas]):
        last = learned.state.measured[-1]
        reward, kl = optimum(rewards, one.beta) if one.beta else (None, None)
        row = {name: last[name] for name in ("strict", "proxy", "kl", "k1", "k3", "codes", "prompts_per_step")}
        says = visible(last["completions"][0])
        rows.append({"beta": one.beta, **row, "optimum_reward": reward, "optimum_kl": kl, "says": says})
        seconds += learned.state.seconds
    picture = draw(rows, rewards, settings)
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("frontier.jsonl", to_json_lines(rows))
        run.write("frontier.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "C", "rubric": settings.rubric, "leashes": rows}))
        manifest = experiment.manifest(args, {**asdict(settings), "betas": args.betas})
        folder = run.finish(manifest, {"seconds_of_learning": seconds})
    experiment.forget()
    report(rows, settings.rubric)
    experiment.point_to(folder)
    return DONE


if __name__ == "__main__":
    run_command(main)
