"""The leash: reward against distance from a reference policy, and what the leash protects.

    python -m course.kl_tradeoff_demo

The actions are eight completions of one prompt, the reference policy a plausible base model's habits. The
reward is a *weak* rubric, `length_shaped`: most of it for the right number, a little for more characters. One action
is a loophole, rare under the reference, with the highest reward of all and no true value. For each penalty
`beta` the best policy of

    E_pi[r(a)] - beta * KL(pi || pi_ref)        has the closed form   pi*(a) ∝ pi_ref(a) exp(r(a) / beta),

and a gradient learner, started at the reference, gets there step by step. The true value, which nobody
optimises here, is the strict scorer's.

What it simplifies: the sums run over eight actions; on a language model both terms are estimated from samples.
"""

import argparse
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from course.core.bandit import softmax
from course.core.command_line import run_command
from course.core.display import console, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment
from course.rubrics import RUBRICS
from course.score import score

EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
RUBRIC = RUBRICS["length_shaped"]
ACTIONS = (  # (completion, probability under the reference)
    ("Final: 323", 0.250),
    ("The answer is 323.", 0.220),
    ("Final: 324", 0.150),
    ("323", 0.120),
    ("The answer is 324.", 0.120),
    ("Let me calculate. Final: 323", 0.100),
    ("I do not know.", 0.038),
    ("323 323 323 323 323 323 323 323 323 323", 0.002),  # the loophole
)
LOOPHOLE = len(ACTIONS) - 1
BETAS = (10.0, 3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01)
LEARNING_STEPS, STEP = 200, 0.1
SMALLEST_BETA = 2e-3
COLUMNS = ("beta", "mean_reward", "kl", "top_actions")


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) in nats over the last axis; q is positive, and 0 log 0 is 0."""
    logs = np.log(np.where(p > 0, p, 1.0)) - np.log(q)
    return np.asarray((p * logs).sum(axis=-1))


def closed_form(reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The optimum (B, K) for each beta (B,): pi*(a) ∝ pi_ref(a) exp(r(a) / beta)."""
    return softmax(np.log(reference) + rewards / beta[:, None])


def objective(probs: np.ndarray, reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """E_pi[r] - beta KL(pi || pi_ref), for each beta."""
    return np.asarray(probs @ rewards - beta * kl(probs, reference))


def gradient(theta: np.ndarray, reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """∇θ of the objective for softmax policies theta (B, K): pi(a) (f(a) - E[f]), f = r - beta log(pi / pi_ref)."""
    probs = softmax(theta)
    f = rewards - beta[:, None] * (np.log(probs) - np.log(reference))
    return np.asarray(probs * (f - (probs * f).sum(axis=-1, keepdims=True)))


def learn(reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray, steps: int) -> np.ndarray:
    """Natural gradient ascent from the reference, all betas side by side. Returns the policies (B, K).

    The plain gradient multiplies the push on an action by the action's own probability, so under a weak leash a rare
    action waits for ages on a plateau. The natural gradient (Kakade 2001) measures a step by how far it moves the
    distribution; for a softmax it is f itself, and each step closes a tenth of the distance to the optimum.
    """
    theta = np.tile(np.log(reference), (len(beta), 1))
    for _ in range(steps):
        f = rewards - beta[:, None] * (np.log(softmax(theta)) - np.log(reference))
        theta = theta + STEP / beta[:, None] * f
    return softmax(theta)


def top_actions(probs: np.ndarray, texts: list[str], count: int = 3) -> list[tuple[str, float]]:
    """The most probable actions and their probabilities."""
    order = np.argsort(-probs, kind="stable")[:count]
    return [(texts[a], float(probs[a])) for a in order]


def shortened(text: str) -> str:
    """A completion for a table cell."""
    return text if len(text) < 20 else f"{text[:18]}…"


def to_csv(rows: list[dict[str, Any]]) -> bytes:
    """`kl_tradeoff.csv`: one row for each beta."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        top = "; ".join(f"{visible(name)} ({p:.4f})" for name, p in row["top_actions"])
        writer.writerow({"beta": row["beta"], "mean_reward": row["mean_reward"], "kl": row["kl"], "top_actions": top})
    return text.getvalue().encode()


def draw(rows: list[dict[str, Any]]) -> bytes:
    """The frontier of reward against KL, and what the true value does along it."""
    figure, (left, right) = new_figure("The leash: reward against drift, and the true value", panels=2, width=10)
    drift = [row["kl"] for row in rows]
    left.plot(drift, [row["mean_reward"] for row in rows], "o-", color=COLOURS[0], label="closed form")
    learned = [row["learned_kl"] for row in rows], [row["learned_reward"] for row in rows]
    left.plot(*learned, "x", color=COLOURS[1], markersize=9, label="gradient learner")
    for row in rows[::3]:
        place = (row["kl"], row["mean_reward"])
        left.annotate(f"beta {row['beta']:g}", place, xytext=(6, -12), textcoords="offset points", fontsize=8)
    left.set(xlabel="KL from the reference (nats)", ylabel="mean reward (the weak rubric)", title="The frontier")
    left.legend(loc="lower right")
    for values, label, colour, mark in (
        ([row["mean_reward"] for row in rows], "reward: what is optimised", COLOURS[0], "o-"),
        ([row["true_value"] for row in rows], "true value: the strict scorer", COLOURS[2], "s-"),
        ([row["loophole"] for row in rows], "probability of the loophole", COLOURS[3], "^-"),
    ):
        right.plot([row["beta"] for row in rows], values, mark, color=colour, label=label)
    right.set(
        xlabel="beta (weaker leash to the right)", xscale="log", title="What the leash protects", ylim=(-0.02, 1.02)
    )
    right.invert_xaxis()
    right.legend(loc="upper left", fontsize=8)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course.kl_tradeoff_demo", description="Loop C: reward against KL from a reference."
    )
    parser.add_argument("--betas", type=float, nargs="+", default=list(BETAS), help="the penalties to sweep")
    parser.add_argument("--steps", type=int, default=LEARNING_STEPS, help="steps of the gradient learner")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")
    add_run_options(parser)
    args = parser.parse_args()
    if not all(SMALLEST_BETA <= beta < float("inf") for beta in args.betas):
        raise InputError(
            "--betas", f"each must be {SMALLEST_BETA:g} or more: without a leash the optimum is a single action"
        )
    if args.steps < 1:
        raise InputError("--steps", "at least one step")
    texts = [text for text, _ in ACTIONS]
    reference = np.array([p for _, p in ACTIONS])
    rewards = np.array([RUBRIC.score(EXAMPLE, text)["reward"] for text in texts])
    truth = np.array([score(EXAMPLE, text)["reward"] for text in texts])
    beta = np.array(sorted(set(args.betas), reverse=True))
    best, learned = closed_form(reference, rewards, beta), learn(reference, rewards, beta, args.steps)
    rows: list[dict[str, Any]] = [
        {
            "beta": float(beta[i]),
            "mean_reward": float(best[i] @ rewards),
            "kl": float(kl(best[i], reference)),
            "top_actions": top_actions(best[i], texts),
            "true_value": float(best[i] @ truth),
            "loophole": float(best[i, LOOPHOLE]),
            "learned_reward": float(learned[i] @ rewards),
            "learned_kl": float(kl(learned[i], reference)),
            "total_variation": float(abs(learned[i] - best[i]).sum() / 2),
        }
        for i in range(len(beta))
    ]
    picture = draw(rows)
    settings = {"betas": beta.tolist(), "steps": args.steps, "rubric": RUBRIC.name}
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("kl_tradeoff.csv", to_csv(rows))
        run.write("kl_tradeoff.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "C", "sweep": rows}))
        folder = run.finish({"experiment": "kl_tradeoff", **experiment(args, "C", "policy", settings)})

    out = console()
    out.print("Loop C (learning): the best policy under a KL leash\n")
    shown = table(">reference", ">reward", ">true value", "completion", title=f"The actions; the hole: {RUBRIC.hole}")
    for text, p, r, t in zip(texts, reference, rewards, truth, strict=True):
        shown.add_row(f"{p:.3f}", f"{r:.3f}", f"{t:g}", text)
    out.print(shown)
    out.print()
    title = "From a strong leash to a weak one (closed form; the learner's total variation from it)"
    columns = (">beta", ">mean reward", ">kl", ">true value", ">loophole", ">learner off by", "top actions")
    shown = table(*columns, title=title)
    for row in rows:
        top = ", ".join(f"{shortened(name)} {p:.2f}" for name, p in row["top_actions"])
        numbers = [f"{row[name]:.3f}" for name in ("mean_reward", "kl", "true_value", "loophole")]
        shown.add_row(f"{row['beta']:g}", *numbers, f"{row['total_variation']:.0e}", top)
    out.print(shown)
    peak = max(rows, key=lambda row: row["true_value"])
    strong, weak, before, rare = rows[0], rows[-1], float(reference @ truth), reference[LOOPHOLE]
    out.print(
        f"""
What to notice:
- Every step down in beta buys reward with drift: from {strong["mean_reward"]:.2f} at a KL of {strong["kl"]:.2f} to \
{weak["mean_reward"]:.2f} at {weak["kl"]:.2f}.
- The true value goes its own way: {before:.2f} under the reference, {peak["true_value"]:.2f} at its best (beta \
{peak["beta"]:g}), {weak["true_value"]:.2f} at the end.
  Past its best, more reward means less of what was wanted.
- The loophole goes from a probability of {rare:g} to {weak["loophole"]:.2f}. The leash does not know which
  behaviour is wrong; it makes expensive what the reference hardly ever does. With a wrong reward it buys time, not
  truth.

Run written to {folder}; look at {folder / "kl_tradeoff.png"}
Next: python -m course.select_or_learn"""
    )


if __name__ == "__main__":
    run_command(main)
