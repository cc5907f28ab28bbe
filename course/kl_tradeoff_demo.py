"""The leash: reward against distance from a reference policy, and what the leash protects.

    python -m course.kl_tradeoff_demo

The actions are eight completions of one prompt; the reference policy stands for the habits of a base model. The reward
is a *weak* rubric, `length_shaped`: most of it for the right number, a little for more characters. One action is a
loophole, rare under the reference, with the highest reward of all and no true value. For each penalty `beta` the best
policy of

    E_pi[r(a)] - beta * KL(pi || pi_ref)        has the closed form   pi*(a) ∝ pi_ref(a) exp(r(a) / beta),

and a gradient learner, started at the reference, gets there step by step. The true value is the strict scorer's; nobody
optimises it here.

What it simplifies: the sums run over eight actions; on a language model both terms are estimated from samples.
"""

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.core.bandit import softmax
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table, visible
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, new_figure, png
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
TEXTS = [text for text, _ in ACTIONS]
REFERENCE = np.array([probability for _, probability in ACTIONS])
LOOPHOLE = len(ACTIONS) - 1
BETAS = (10.0, 3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01)
STEP = 0.1  # of the distance to the optimum, for each step of the learner
SMALLEST_BETA = 2e-3


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    betas: tuple[float, ...] = option(
        BETAS, "the penalties to sweep; near zero the optimum is a single action", at_least=SMALLEST_BETA
    )
    steps: int = option(200, "steps of the gradient learner", at_least=1)


@dataclass(frozen=True)
class Findings:
    """For each action the rubric's reward and the strict scorer's (K,), and the sweep: a row for each beta."""

    rewards: np.ndarray
    truth: np.ndarray
    sweep: list[dict[str, Any]]


def run(settings: Settings) -> Findings:
    """For each beta, from a strong leash to a weak one: the best policy, and what the learner arrives at."""
    rewards = np.array([RUBRIC.score(EXAMPLE, text)["reward"] for text in TEXTS])
    truth = np.array([score(EXAMPLE, text)["reward"] for text in TEXTS])
    betas = np.array(sorted(set(settings.betas), reverse=True))
    best_policies = closed_form(REFERENCE, rewards, betas)
    learned_policies = learn(REFERENCE, rewards, betas, settings.steps)
    sweep = [
        {
            "beta": float(beta),
            "mean_reward": float(best @ rewards),
            "kl": float(kl(best, REFERENCE)),
            "top_actions": [(TEXTS[action], float(best[action])) for action in np.argsort(-best, kind="stable")[:3]],
            "true_value": float(best @ truth),
            "loophole": float(best[LOOPHOLE]),
            "learned_reward": float(learned @ rewards),
            "learned_kl": float(kl(learned, REFERENCE)),
            "total_variation": float(abs(learned - best).sum() / 2),
        }
        for beta, best, learned in zip(betas, best_policies, learned_policies, strict=True)
    ]
    return Findings(rewards, truth, sweep)


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) in nats over the last axis; q is positive, and 0 log 0 is 0."""
    logs = np.log(np.where(p > 0, p, 1.0)) - np.log(q)
    return np.asarray((p * logs).sum(axis=-1))


def closed_form(reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The optimum (B, K) for each beta (B,): pi*(a) ∝ pi_ref(a) exp(r(a) / beta)."""
    return softmax(np.log(reference) + rewards / beta[:, None])


def leashed_rewards(theta: np.ndarray, reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """f(a) = r(a) - beta log(pi(a) / pi_ref(a)) for softmax policies theta (B, K): the objective is its mean under pi.

    The objective's gradient ∇θ is pi(a) (f(a) - E_pi[f]).
    """
    return np.asarray(rewards - beta[:, None] * (np.log(softmax(theta)) - np.log(reference)))


def learn(reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray, steps: int) -> np.ndarray:
    """Natural gradient ascent from the reference, all betas side by side. Returns the policies (B, K).

    The plain gradient multiplies the push on an action by the action's own probability, so under a weak leash a rare
    action hardly moves for many steps. The natural gradient (Kakade 2001) measures a step by how far it moves the
    distribution; for a softmax it is f itself, and each step closes a tenth of the distance to the optimum.
    """
    theta = np.tile(np.log(reference), (len(beta), 1))
    for _ in range(steps):
        theta = theta + STEP / beta[:, None] * leashed_rewards(theta, reference, rewards, beta)
    return softmax(theta)


def to_csv(sweep: list[dict[str, Any]]) -> bytes:
    """`kl_tradeoff.csv`: one row for each beta."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("beta", "mean_reward", "kl", "top_actions"))
    for row in sweep:
        top = "; ".join(f"{visible(name)} ({p:.4f})" for name, p in row["top_actions"])
        writer.writerow((row["beta"], row["mean_reward"], row["kl"], top))
    return text.getvalue().encode()


def draw(findings: Findings) -> bytes:
    """The frontier of reward against KL, and what the true value does along it."""
    figure, (left, right) = new_figure("The leash: reward against drift, and the true value", panels=2, width=10)
    sweep = findings.sweep
    columns = {name: [row[name] for row in sweep] for name in sweep[0]}
    left.plot(columns["kl"], columns["mean_reward"], "o-", color=COLOURS[0], label="closed form")
    learned = columns["learned_kl"], columns["learned_reward"]
    left.plot(*learned, "x", color=COLOURS[1], markersize=9, label="gradient learner")
    for row in sweep[::3]:
        place = (row["kl"], row["mean_reward"])
        left.annotate(f"beta {row['beta']:g}", place, xytext=(6, -12), textcoords="offset points", fontsize=8)
    left.set(xlabel="KL from the reference (nats)", ylabel="mean reward (the weak rubric)", title="The frontier")
    left.margins(y=0.1)
    left.legend(loc="lower right")
    for name, label, colour, mark in (
        ("mean_reward", "reward: what is optimised", COLOURS[0], "o-"),
        ("true_value", "true value: the strict scorer", COLOURS[2], "s-"),
        ("loophole", "probability of the loophole", COLOURS[3], "^-"),
    ):
        right.plot(columns["beta"], columns[name], mark, color=colour, label=label)
    right.set(
        xlabel="beta (weaker leash to the right)", xscale="log", title="What the leash protects", ylim=(-0.02, 1.02)
    )
    right.invert_xaxis()
    right.legend(loc="upper left", fontsize=8)
    return png(figure)


def print_report(findings: Findings) -> None:
    """The actions, the sweep, and what the leash protected."""
    out, sweep = console(), findings.sweep
    out.print("Loop C (learning): the best policy under a KL leash\n")
    rows = table(">reference", ">reward", ">true value", "completion", title=f"The actions; the hole: {RUBRIC.hole}")
    for text, p, reward, truth in zip(TEXTS, REFERENCE, findings.rewards, findings.truth, strict=True):
        rows.add_row(f"{p:.3f}", f"{reward:.3f}", f"{truth:g}", text)
    out.print(rows)
    out.print()
    title = "From a strong leash to a weak one (closed form; the learner's total variation from it)"
    columns = (">beta", ">mean reward", ">kl", ">true value", ">loophole", ">learner off by", "top actions")
    rows = table(*columns, title=title)
    for row in sweep:
        top = ", ".join(f"{text if len(text) < 20 else f'{text[:18]}…'} {p:.2f}" for text, p in row["top_actions"])
        numbers = [f"{row[name]:.3f}" for name in ("mean_reward", "kl", "true_value", "loophole")]
        rows.add_row(f"{row['beta']:g}", *numbers, f"{row['total_variation']:.0e}", top)
    out.print(rows)
    strong, weak, peak = sweep[0], sweep[-1], max(sweep, key=lambda row: row["true_value"])
    notice(
        f"Every step down in beta buys reward with drift: from {strong['mean_reward']:.2f} at a KL of "
        f"{strong['kl']:.2f} to {weak['mean_reward']:.2f} at {weak['kl']:.2f}.",
        f"The true value goes its own way: {REFERENCE @ findings.truth:.2f} under the reference, "
        f"{peak['true_value']:.2f} at its best (beta {peak['beta']:g}), {weak['true_value']:.2f} at the end. Past its "
        "best, more reward means less of what was wanted.",
        f"The loophole goes from a probability of {REFERENCE[LOOPHOLE]:g} to {weak['loophole']:.2f}. The leash does "
        "not know which behaviour is wrong; it makes expensive what the reference hardly ever does. With a wrong "
        "reward it buys time, not truth.",
    )


def main() -> None:
    settings = parse("course.kl_tradeoff_demo", "Loop C: reward against KL from a reference.", Settings)
    findings = run(settings)
    betas = [row["beta"] for row in findings.sweep]
    saved = save_experiment(
        settings,
        experiment="kl_tradeoff",
        loop="C",
        knob="policy",
        settings={"betas": betas, "steps": settings.steps, "rubric": RUBRIC.name},
        summary={"sweep": findings.sweep},
        files={"kl_tradeoff.csv": to_csv(findings.sweep)},
        picture=draw(findings),
    )
    print_report(findings)
    saved.close("python -m course.select_or_learn")


if __name__ == "__main__":
    run_command(main)
