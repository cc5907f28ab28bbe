"""Selection beside learning: the same bandit policy, improved in the two ways there are.

    python -m course.select_or_learn

The policy is a softmax over a few real completions of one prompt, and `score` gives the reward. Selection draws N
samples and keeps the best: the policy stays as it was, so pass@1 does not move, and pass@N is what more samples buy.
Learning updates the policy by REINFORCE: pass@1 itself moves, and every later sample is better for it.
All rates are exact, summed over the policy's own probabilities: p for one sample, 1 - (1 - p)^N for N. Only the share
of right answers is measured.
"""

from dataclasses import dataclass

import numpy as np

from course.core.bandit import BanditOptions, load_bandit, reinforce
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, percent, table
from course.core.experiment import save_experiment
from course.core.figures import COLOURS, new_figure, png
from course.core.files import to_json_lines

TRIALS = 20_000


@dataclass(frozen=True, kw_only=True)
class Settings(BanditOptions):
    n: int = option(8, "samples that selection chooses from", at_least=1)
    steps: int = option(60, "steps of learning, one sample each", at_least=1)


@dataclass(frozen=True)
class Findings:
    """The rates after 0, 1, … steps of learning, and the three ways to answer, by name."""

    settings: Settings
    source: dict[str, str]
    curves: list[dict[str, float]]
    ways: dict[str, dict[str, float]]


def run(settings: Settings) -> Findings:
    """Select from the policy as it is; then let it learn, and ask it once."""
    bandit = load_bandit(settings.dataset, settings.pack, settings.id)
    updates = list(reinforce(bandit.rewards, settings.steps, settings.learning_rate, [settings.seed]))
    policies = [updates[0].probs[0], *(update.probs_after[0] for update in updates)]

    def rates(probs: np.ndarray) -> dict[str, float]:
        return {f"pass_at_{name}": pass_at_n(probs, bandit.rewards, n) for name, n in (("1", 1), ("n", settings.n))}

    first, last, ways = policies[0], policies[-1], {}
    for way, probs, samples in (("before", first, 1), ("selection", first, settings.n), ("learning", last, 1)):
        right = answer_rate(probs, bandit.rewards, samples, settings.seed)
        ways[way] = {**rates(probs), "samples_for_each_answer": samples, "answers_right": right}
    curves = [{"step": step, **rates(probs)} for step, probs in enumerate(policies)]
    return Findings(settings, bandit.source, curves, ways)


def pass_at_n(probs: np.ndarray, rewards: np.ndarray, n: int) -> float:
    """Chance that at least one of n independent samples of the policy earns 1."""
    return float(1 - (1 - probs @ rewards) ** n)


def answer_rate(probs: np.ndarray, rewards: np.ndarray, n: int, seed: int) -> float:
    """The share of right answers, measured over TRIALS answers: each is the best of n samples of the policy."""
    drawn = np.random.default_rng([seed, n]).choice(len(probs), size=(TRIALS, n), p=probs)
    return float(rewards[drawn].max(axis=1).mean())


def draw(findings: Findings) -> bytes:
    """pass@1 and pass@N over the steps of learning, and the flat lines of selection."""
    figure, panels = new_figure("The same policy, selected from and taught", panels=2, width=9)
    curves = np.array([[row["pass_at_1"], row["pass_at_n"]] for row in findings.curves]).T
    stays = np.tile(curves[:, :1], curves.shape[1])
    titles = "Selection: the policy stays", "Learning: the policy moves"
    for axes, title, (at_1, at_n) in zip(panels, titles, (stays, curves), strict=True):
        axes.plot(at_1, color=COLOURS[0], label="pass@1")
        axes.plot(at_n, "--", color=COLOURS[1], label=f"pass@{findings.settings.n}")
        axes.set(title=title, xlabel="samples drawn", ylim=(0, 1.02))
    panels[0].set_ylabel("chance of a right answer")
    panels[0].legend(loc="lower right")
    return png(figure)


def print_report(findings: Findings) -> None:
    """The three ways to answer, side by side."""
    out, n, ways = console(), findings.settings.n, findings.ways
    out.print("Loops B and C, side by side, on the same policy\n")
    columns = ("", ">the policy's pass@1", f">its pass@{n}", ">samples an answer", ">answers right")
    rows = table(*columns, title=f"Answers measured over {TRIALS:,} draws")
    for way, row in ways.items():
        rates = percent(row["pass_at_1"]), percent(row["pass_at_n"])
        rows.add_row(way, *rates, str(row["samples_for_each_answer"]), percent(row["answers_right"]))
    out.print(rows)
    notice(
        f"Selection gives the right answer {percent(ways['selection']['answers_right'])} of the time, by paying for "
        f"{n} samples, every time. The policy's own pass@1 is {percent(ways['before']['pass_at_1'])} before and after.",
        f"Learning pays for its samples once. Then pass@1 itself is {percent(ways['learning']['pass_at_1'])}.",
        "So name the knob when a number goes up: more samples, or another policy?",
    )


def main() -> None:
    settings = parse("course.select_or_learn", "Loop B beside Loop C.", Settings)
    findings = run(settings)
    recorded = {name: getattr(settings, name) for name in ("n", "steps", "learning_rate", "seed")}
    saved = save_experiment(
        settings,
        experiment="select_or_learn",
        loop="B and C",
        knob="selection beside policy",
        settings={**recorded, **findings.source},
        summary={"n": settings.n, "trials": TRIALS, **findings.ways},
        files={"select_or_learn.jsonl": to_json_lines(findings.curves)},
        picture=draw(findings),
    )
    print_report(findings)
    saved.close("python -m course")


if __name__ == "__main__":
    run_command(main)
