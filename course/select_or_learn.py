"""Selection beside learning: the same bandit policy, improved in the two ways there are.

    python -m course.select_or_learn

The policy is a softmax over a few real completions of one prompt, and `score` is reward and judge. Selection draws N
samples and keeps the best: the policy stays as it was, so pass@1 does not move, and pass@N is what more samples buy.
Learning updates the policy by REINFORCE: pass@1 itself moves, and every later sample is better for it.
All rates are exact, summed over the policy's own probabilities: p for one sample, 1 - (1 - p)^N for N.
"""

import argparse

import numpy as np

from course.bandit import add_bandit_options, bandit_of, log_prob_gradient, softmax
from course.files import InputError, to_json, to_pretty_json, write_whole
from course.measurement import experiment
from course.pictures import COLOURS, new_figure, png
from course.runs import SUMMARY, RunWriter, add_run_options
from course.terminal import console, percent, run_command, table

RUNNING_RATE = 0.1


def pass_at_n(probs: np.ndarray, rewards: np.ndarray, n: int) -> float:
    """Chance that at least one of n independent samples of the policy earns 1."""
    return float(1 - (1 - probs @ rewards) ** n)


def learn(rewards: np.ndarray, steps: int, learning_rate: float, seed: int) -> list[np.ndarray]:
    """REINFORCE with a running baseline, from equal probabilities. Returns the policy after 0, 1, … steps."""
    rng = np.random.default_rng(seed)
    theta, baseline = np.zeros(len(rewards)), 0.0
    policies = [softmax(theta)]
    for _ in range(steps):
        action = int(rng.choice(len(rewards), p=policies[-1]))
        advantage = rewards[action] - baseline
        theta = theta + learning_rate * advantage * log_prob_gradient(policies[-1].copy(), action)
        baseline += RUNNING_RATE * (rewards[action] - baseline)
        policies.append(softmax(theta))
    return policies


def draw(curves: dict[str, list[float]], n: int) -> bytes:
    """pass@1 and pass@N over the steps of learning, and the flat lines of selection."""
    figure, panels = new_figure("The same policy, selected from and taught", panels=2, width=9)
    steps = range(len(curves["pass_at_1"]))
    stays = {name: [curve[0]] * len(steps) for name, curve in curves.items()}
    titles = "Selection: the policy stays", "Learning: the policy moves"
    for axes, title, shown in zip(panels, titles, (stays, curves), strict=True):
        axes.plot(steps, shown["pass_at_1"], color=COLOURS[0], label="pass@1")
        axes.plot(steps, shown["pass_at_n"], "--", color=COLOURS[1], label=f"pass@{n}")
        axes.set(title=title, xlabel="samples drawn", ylim=(0, 1.02))
    panels[0].set_ylabel("chance of a right answer")
    panels[0].legend(loc="lower right")
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course.select_or_learn", description="Loop B beside Loop C.")
    parser.add_argument("--n", type=int, default=8, help="samples that selection chooses from (default: 8)")
    parser.add_argument("--steps", type=int, default=60, help="steps of learning, one sample each (default: 60)")
    add_bandit_options(parser)
    add_run_options(parser)
    args = parser.parse_args()
    for name in ("n", "steps"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name}", "at least 1")
    bandit = bandit_of(args)
    policies = learn(bandit.rewards, args.steps, args.learning_rate, args.seed)
    curves = {
        "pass_at_1": [pass_at_n(probs, bandit.rewards, 1) for probs in policies],
        "pass_at_n": [pass_at_n(probs, bandit.rewards, args.n) for probs in policies],
    }
    before, after = ({name: curve[i] for name, curve in curves.items()} for i in (0, -1))
    summary = {"loop": "B and C", "n": args.n, "before": before, "after_selection": before, "after_learning": after}
    picture = draw(curves, args.n)
    settings = {name: getattr(args, name) for name in ("n", "steps", "learning_rate", "seed")}
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        rows = [{"step": i, **{name: curve[i] for name, curve in curves.items()}} for i in range(len(policies))]
        run.write("select_or_learn.jsonl", b"".join(to_json(row) + b"\n" for row in rows))
        run.write("select_or_learn.png", picture)
        run.write(SUMMARY, to_pretty_json(summary))
        loops = experiment(args, "B and C", "selection beside policy", {**settings, "example": bandit.example["id"]})
        folder = run.finish({"experiment": "select_or_learn", **loops})

    out = console()
    out.print("Loops B and C, side by side, on the same policy\n")
    shown = table("", "the policy", ">pass@1", f">pass@{args.n}", ">samples for each answer")
    shown.add_row("before", "equal probabilities", *map(percent, before.values()), "1")
    shown.add_row("selection", "as before", *map(percent, before.values()), str(args.n))
    shown.add_row("learning", f"moved by {args.steps} samples", *map(percent, after.values()), "1")
    out.print(shown)
    out.print(
        f"""
What to notice:
- Selection answers rightly {percent(before["pass_at_n"])} of the time, by paying for {args.n} samples, every time.
  The policy's own pass@1 is {percent(before["pass_at_1"])} before and after.
- Learning pays for its samples once. Then pass@1 itself is {percent(after["pass_at_1"])}.
- So name the knob when a number goes up: more samples, or another policy?

Run written to {folder}; look at {folder / "select_or_learn.png"}
Next: python -m course"""
    )


if __name__ == "__main__":
    run_command(main)
