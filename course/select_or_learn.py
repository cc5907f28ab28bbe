"""Selection beside learning: the same bandit policy, improved in the two ways there are.

    python -m course.select_or_learn

The policy is a softmax over a few real completions of one prompt, and `score` is reward and judge. Selection draws N
samples and keeps the best: the policy stays as it was, so pass@1 does not move, and pass@N is what more samples buy.
Learning updates the policy by REINFORCE: pass@1 itself moves, and every later sample is better for it.
All rates are exact, summed over the policy's own probabilities: p for one sample, 1 - (1 - p)^N for N.
"""

import argparse

import numpy as np

from course.core.bandit import add_bandit_options, bandit_of, log_prob_gradient, softmax
from course.core.command_line import run_command
from course.core.display import console, percent, table
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment

RUNNING_RATE = 0.1
TRIALS = 20_000


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
        theta = theta + learning_rate * advantage * log_prob_gradient(policies[-1], action)
        baseline += RUNNING_RATE * (rewards[action] - baseline)
        policies.append(softmax(theta))
    return policies


def answer_rate(probs: np.ndarray, rewards: np.ndarray, n: int, seed: int) -> float:
    """Measured over many prompts' worth of draws: n samples of the policy, the best of them given as the answer."""
    drawn = np.random.default_rng([seed, n]).choice(len(probs), size=(TRIALS, n), p=probs)
    return float(rewards[drawn].max(axis=1).mean())


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
    first, last = policies[0], policies[-1]
    ways = {}
    for way, probs, n in (("before", first, 1), ("selection", first, args.n), ("learning", last, 1)):
        ways[way] = {
            "pass_at_1": pass_at_n(probs, bandit.rewards, 1),
            "pass_at_n": pass_at_n(probs, bandit.rewards, args.n),
            "samples_for_each_answer": n,
            "answers_right": answer_rate(probs, bandit.rewards, n, args.seed),
        }
    before, after, picked = ways["before"], ways["learning"], ways["selection"]["answers_right"]
    summary = {"loop": "B and C", "n": args.n, "trials": TRIALS, **ways}
    picture = draw(curves, args.n)
    settings = {name: getattr(args, name) for name in ("n", "steps", "learning_rate", "seed")}
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        rows = [{"step": i, **{name: curve[i] for name, curve in curves.items()}} for i in range(len(policies))]
        run.write("select_or_learn.jsonl", to_json_lines(rows))
        run.write("select_or_learn.png", picture)
        run.write(SUMMARY, to_pretty_json(summary))
        loops = experiment(args, "B and C", "selection beside policy", {**settings, **bandit.source})
        folder = run.finish({"experiment": "select_or_learn", **loops})

    out = console()
    out.print("Loops B and C, side by side, on the same policy\n")
    title = f"Answers measured over {TRIALS:,} draws"
    shown = table(
        "", ">the policy's pass@1", f">its pass@{args.n}", ">samples an answer", ">answers right", title=title
    )
    for way, row in ways.items():
        rates = percent(row["pass_at_1"]), percent(row["pass_at_n"])
        shown.add_row(way, *rates, str(row["samples_for_each_answer"]), percent(row["answers_right"]))
    out.print(shown)
    out.print(
        f"""
What to notice:
- Selection gives the right answer {percent(picked)} of the time, by paying for {args.n} samples, every time.
  The policy's own pass@1 is {percent(before["pass_at_1"])} before and after.
- Learning pays for its samples once. Then pass@1 itself is {percent(after["pass_at_1"])}.
- So name the knob when a number goes up: more samples, or another policy?

Run written to {folder}; look at {folder / "select_or_learn.png"}
Next: python -m course"""
    )


if __name__ == "__main__":
    run_command(main)
