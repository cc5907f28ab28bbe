"""The leash: reward against distance from a reference policy, and what the leash protects.

    python -m course.kl_tradeoff_demo
    python -m course.kl_tradeoff_demo --rewards 1 0 0 0 0 0 0 0

The actions are eight completions of one prompt; the reference policy stands for the habits of a base model. The reward
is a *weak* rubric, `length_shaped`: most of it for the right number, a little for more characters. One action is a
loophole, rare under the reference, with the highest reward of all and no true value. For each penalty `beta` the best
policy of

    E_pi[r(a)] - beta * KL(pi || pi_ref)        has the closed form   pi*(a) ∝ pi_ref(a) exp(r(a) / beta),

and a gradient learner, started at the reference, gets there step by step. The true value is the strict scorer's; nobody
optimises it here. The reward can be another rubric's or your own, and the loophole another text.

What it simplifies: the sums run over eight actions; on a language model both terms are estimated from samples.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.core.bandit import softmax
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table, visible
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError
from course.rubrics import LIMIT, RUBRICS
from course.score import score

EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
RUBRIC = "length_shaped"
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
    rubric: str | None = option(None, f"whose rewards (default: {RUBRIC})", choices=tuple(RUBRICS))
    rewards: tuple[float, ...] = option(
        (), f"your own rewards of the {len(ACTIONS)} actions, in their order", at_least=0, at_most=1, metavar="R"
    )
    loophole: str = option(TEXTS[LOOPHOLE], "the text of the last action", metavar="TEXT")

    def check(self) -> None:
        """Refuse rewards and a loophole that mean nothing. Raises InputError."""
        super().check()
        if self.rewards and self.rubric is not None:
            raise InputError("--rewards and --rubric", "one or the other says what the actions earn")
        if self.rewards and len(self.rewards) != len(ACTIONS):
            raise InputError("--rewards", f"one for each of the {len(ACTIONS)} actions, not {len(self.rewards)}")
        if self.loophole in TEXTS[:LOOPHOLE]:
            raise InputError("--loophole", f"{self.loophole!r} is one of the other actions")
        if len(self.loophole) > LIMIT:
            raise InputError("--loophole", f"at most {LIMIT:,} characters, not {len(self.loophole):,}")
        if any("\ud800" <= character <= "\udfff" for character in self.loophole):
            raise InputError("--loophole", "the text holds bytes that are not UTF-8")


@dataclass(frozen=True)
class Findings:
    """The actions' texts, their rewards and the strict scorer's (K,), and the sweep: a row for each beta."""

    texts: list[str]
    rubric: str | None  # whose rewards; None: your own
    rewards: np.ndarray
    truth: np.ndarray
    sweep: list[dict[str, Any]]


def run(settings: Settings) -> Findings:
    """For each beta, from a strong leash to a weak one: the best policy, and what the learner arrives at."""
    texts = [*TEXTS[:LOOPHOLE], settings.loophole]
    rubric = None if settings.rewards else settings.rubric or RUBRIC
    paid = settings.rewards if rubric is None else [RUBRICS[rubric].score(EXAMPLE, text)["reward"] for text in texts]
    rewards, truth = np.array(paid), np.array([score(EXAMPLE, text)["reward"] for text in texts])
    betas = np.array(sorted(set(settings.betas), reverse=True))
    best_policies = closed_form(REFERENCE, rewards, betas)
    learned_policies = learn(REFERENCE, rewards, betas, settings.steps)
    sweep = [
        {
            "beta": float(beta),
            "mean_reward": float(best @ rewards),
            "kl": float(kl(best, REFERENCE)),
            "top_actions": [(texts[action], float(best[action])) for action in np.argsort(-best, kind="stable")[:3]],
            "true_value": float(best @ truth),
            "loophole": float(best[LOOPHOLE]),
            "learned_reward": float(learned @ rewards),
            "learned_kl": float(kl(learned, REFERENCE)),
            "total_variation": float(abs(learned - best).sum() / 2),
        }
        for beta, best, learned in zip(betas, best_policies, learned_policies, strict=True)
    ]
    return Findings(texts, rubric, rewards, truth, sweep)


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) in nats over the last axis; q is positive, and 0 log 0 is 0. Never below 0 by rounding."""
    logs = np.log(np.where(p > 0, p, 1.0)) - np.log(q)
    return np.asarray((p * logs).sum(axis=-1).clip(min=0))


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
    sweep, whose = findings.sweep, "your own" if findings.rubric is None else "the weak rubric"
    named = sweep[:: -(-len(sweep) // 4)]  # the betas that both panels name: at most four
    columns = {name: [row[name] for row in sweep] for name in sweep[0]}
    left.plot(columns["kl"], columns["mean_reward"], "o-", color=COLOURS[0], label="closed form")
    learned = columns["learned_kl"], columns["learned_reward"]
    left.plot(*learned, "x", color=COLOURS[1], markersize=9, label="gradient learner")
    for row in named:
        place = (row["kl"], row["mean_reward"])
        left.annotate(f"beta {row['beta']:g}", place, xytext=(6, -12), textcoords="offset points", fontsize=8)
    left.set(xlabel="KL from the reference (nats)", ylabel=f"mean reward ({whose})", title="The frontier")
    left.locator_params(nbins=5)
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
    right.set_xticks([row["beta"] for row in named], labels=[f"{row['beta']:g}" for row in named])
    right.minorticks_off()
    right.locator_params(axis="y", nbins=5)
    right.invert_xaxis()
    right.legend(loc="upper left", fontsize=8)
    return png(figure)


def print_report(findings: Findings) -> None:
    """The actions, the sweep, and what the leash protected."""
    out, sweep = console(), findings.sweep
    out.print("Loop C (learning): the best policy under a KL leash\n")
    title = "; the rewards are your own" if findings.rubric is None else f"; the hole: {RUBRICS[findings.rubric].hole}"
    rows = table(">reference", ">reward", ">true value", "completion", title=f"The actions{title}")
    for text, p, reward, truth in zip(findings.texts, REFERENCE, findings.rewards, findings.truth, strict=True):
        rows.add_row(f"{p:.3f}", f"{reward:.3f}", f"{truth:g}", brief(text, 80))
    out.print(rows)
    out.print()
    title = "From a strong leash to a weak one (closed form; the learner's total variation from it)"
    columns = (">beta", ">mean reward", ">kl", ">true value", ">loophole", ">learner off by", "top actions")
    rows = table(*columns, title=title)
    for row in sweep:
        top = ", ".join(f"{brief(text, 20)} {p:.2f}" for text, p in row["top_actions"])
        numbers = [f"{row[name]:.3f}" for name in ("mean_reward", "kl", "true_value", "loophole")]
        rows.add_row(f"{row['beta']:g}", *numbers, f"{row['total_variation']:.0e}", top)
    out.print(rows)
    notice(*lessons(findings))


def brief(text: str, most: int) -> str:
    """The text, cut short where it has `most` characters or more."""
    return text if len(text) < most else f"{text[: most - 2]}…"


def lessons(findings: Findings) -> Iterator[str]:
    """What to notice, as far as it is true of these rewards."""
    rewards, truth, sweep = findings.rewards, findings.truth, findings.sweep
    strong, weak, peak = sweep[0], sweep[-1], max(sweep, key=lambda row: row["true_value"])
    before, best, end = REFERENCE @ truth, peak["true_value"], weak["true_value"]
    if np.ptp(rewards) == 0:
        yield "All actions earn the same, so there is nothing to learn: the policy stays the reference at every beta."
        return
    yield (
        f"A weaker leash buys reward with drift: from {strong['mean_reward']:.2f} at a KL of "
        f"{strong['kl']:.2f} to {weak['mean_reward']:.2f} at {weak['kl']:.2f}."
    )
    if end < max(before, best) - 0.005:  # a fall that two digits show
        top = f"{best:.2f} at its best (beta {peak['beta']:g})" if best > before else "nowhere higher"
        yield (
            f"The true value goes its own way: {before:.2f} under the reference, {top}, {end:.2f} at the end. Past its "
            "best, more reward means less of what was wanted."
        )
    else:
        yield (
            f"The true value is {before:.2f} under the reference and {end:.2f} at the end, its best. As far as this "
            "sweep goes, the reward does not lead away from what was wanted."
        )
    moved = f"The loophole goes from a probability of {REFERENCE[LOOPHOLE]:g} to {weak['loophole']:.2f}."
    if truth[LOOPHOLE] == 0 and rewards[LOOPHOLE] > max(rewards[truth == 1]):
        yield (
            f"{moved} The leash does not know which behaviour is wrong; it makes expensive what the reference hardly "
            "ever does. With a wrong reward it buys time, not truth."
        )
    else:
        why = "what is right earns no less" if truth[LOOPHOLE] == 0 else "the strict scorer accepts it"
        yield f"{moved} With these rewards it is none: {why}."


def main() -> None:
    settings = parse("course.kl_tradeoff_demo", "Loop C: reward against KL from a reference.", Settings)
    findings = run(settings)
    betas, recorded = [row["beta"] for row in findings.sweep], ("steps", "rewards", "loophole")
    saved = save_experiment(
        settings,
        experiment="kl_tradeoff",
        loop="C",
        knob="policy",
        settings={"betas": betas, "rubric": findings.rubric, **{name: getattr(settings, name) for name in recorded}},
        summary={"sweep": findings.sweep},
        files={"kl_tradeoff.csv": to_csv(findings.sweep)},
        picture=draw(findings),
    )
    print_report(findings)
    saved.close("python -m course.select_or_learn")


if __name__ == "__main__":
    run_command(main)
