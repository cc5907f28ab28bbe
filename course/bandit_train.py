"""Loop C under the microscope: a tiny bandit learner whose log reads like a story.

    python -m course.bandit_train
    python -m course.bandit_train --baseline none --steps 50
    python -m course.bandit_train --explain             afterwards: each shown step in plain English

The actions are a handful of real completions of one prompt; `score` gives the reward. Each step samples an action,
takes a baseline off its reward, and moves the probabilities by this advantage (`reinforce` in core/bandit.py is the
loop). An ablation then repeats the learning over many seeds, with and without a baseline, and measures the variance of
the gradient.

What it simplifies: one prompt and five actions, so it learns in a hundred steps. A language model has more completions
than there are atoms; the mechanism is the same, the speed is not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from course.core.bandit import BASELINES, Bandit, BanditOptions, Step, learn, load_bandit, reinforce, sampled_gradients
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table, visible
from course.core.experiment import save_experiment
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import InputError, to_json_lines

ABLATION_SEEDS = 200
ABLATION_BATCH = 8
VARIANCE_DRAWS = 20_000
SHOWN_STEPS = 12
LOG_FIELDS = (
    "step", "theta", "probs", "action", "completion", "prob", "reward", "baseline", "advantage", "theta_after",
    "prob_after", "probs_after",
)  # fmt: skip
SIGN_LINE = "advantage > 0: better than the baseline, the sampled action is reinforced; < 0: worse, it is suppressed"


@dataclass(frozen=True, kw_only=True)
class Settings(BanditOptions):
    steps: int = option(60, "updates of the policy", at_least=1)
    baseline: str = option("running", "what is taken off the reward", choices=BASELINES)
    batch: int = option(1, "samples for each step; the batch baseline needs two", at_least=1)
    explain: bool = option(False, "print the plain-English reading below each step; write your own first")

    def check(self) -> None:
        """Refuse a mean over one sample, which would leave no advantage. Raises InputError."""
        super().check()
        if self.baseline == "batch" and self.batch < 2:
            raise InputError("--batch", "the mean of a batch needs two samples or more")


@dataclass(frozen=True)
class Findings:
    """What was learned, and what the ablation measured. `curves` are by shift of the rewards, then by baseline."""

    bandit: Bandit
    log: list[Step]
    curves: dict[float, dict[str, np.ndarray]]
    summary: dict[str, Any]


def run(settings: Settings) -> Findings:
    """Learn once and keep the log; then repeat it over seeds for each baseline, with two scales of the rewards."""
    bandit = load_bandit(settings.dataset, settings.pack, settings.id)
    rewards, size = bandit.rewards, (settings.steps, settings.learning_rate)
    log = learn(bandit, *size, settings.seed, settings.batch, settings.baseline)
    curves = {up: {name: learning_curves(rewards, up, name, settings) for name in BASELINES} for up in (0.0, 1.0)}
    summary = {
        "mean_reward_before": float(rewards.mean()),
        "mean_reward_after": float(np.array(log[-1].probs_after) @ rewards),
        "gradient_variance": variance_table(rewards, settings.seed),
    }
    return Findings(bandit, log, curves, summary)


def learning_curves(rewards: np.ndarray, raised: float, baseline: str, settings: Settings) -> np.ndarray:
    """The chance of the right action after 0, 1, … steps (seeds, steps + 1), with all rewards raised by a constant."""
    seeds = [(settings.seed, number) for number in range(ABLATION_SEEDS)]
    updates = reinforce(rewards + raised, settings.steps, settings.learning_rate, seeds, ABLATION_BATCH, baseline)
    start = np.full(ABLATION_SEEDS, rewards.mean())
    return np.stack([start, *(update.probs_after @ rewards for update in updates)], axis=1)


def variance_table(rewards: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """The measured variance of the gradient for each baseline, early, midway and late.

    Then again with all rewards raised by 1, which changes nothing about which action is better, nor about the exact
    gradient.
    """
    rng = np.random.default_rng(seed)
    right = rewards > 0
    rows = []
    for raised in (0.0, 1.0):
        for chance in (float(right.mean()), 0.5, 0.9):
            theta = np.log(np.where(right, chance / right.sum(), (1 - chance) / (~right).sum()))
            row: dict[str, Any] = {"chance_right": chance, "rewards": f"{raised:g} and {1 + raised:g}"}
            for baseline in BASELINES:
                how = (baseline, ABLATION_BATCH, VARIANCE_DRAWS, rng)
                gradients = sampled_gradients(theta, rewards + raised, *how)
                # So that all three estimate the same.
                unshrunk = ABLATION_BATCH / (ABLATION_BATCH - 1) if baseline == "batch" else 1.0
                row[baseline] = float((unshrunk * gradients).var(axis=0).sum())
            rows.append(row)
    return rows


def step_lines(row: Step) -> list[str]:
    """One row of the log: the sample and its advantage, and the whole policy before and after. No reading."""
    sampled = f"step {row.step:3d}: sampled action {row.action} `{visible(row.completion)}`, reward {row.reward:g}"
    policies = (row.theta, row.theta_after), (row.probs, row.probs_after)
    moves = [" -> ".join(" ".join(f"{value:{form}}" for value in values) for values in pair)
             for pair, form in zip(policies, ("+.3f", ".3f"), strict=True)]  # fmt: skip
    return [
        f"{sampled}, baseline {row.baseline:.3f}, advantage {row.advantage:+.3f}",
        f"  theta {moves[0]}",
        f"  probs {moves[1]}",
    ]


def reading(row: Step) -> str:
    """One row of the log in plain English."""
    if row.advantage > 0:
        what = "better than the baseline, so it is reinforced"
    elif row.advantage < 0:
        what = "worse than the baseline, so it is suppressed"
    else:
        what = "equal to the baseline, so it pushes nothing"
    return f"  read: {what} ({row.prob:.3f} -> {row.prob_after:.3f})"


def log_lines(findings: Findings) -> list[str]:
    """The log as text: numbers alone, since the reading is the student's."""
    steps = [line for row in findings.log for line in step_lines(row)]
    return [f"prompt: {findings.bandit.example['prompt']}", SIGN_LINE, *steps]


def draw(findings: Findings) -> bytes:
    """Learning curves: the median over seeds, and the middle 80 of 100; one panel for each shift of the rewards."""
    curves = findings.curves
    figure, panels = new_figure("Baselines: learning, and its spread over seeds", panels=len(curves), width=9)
    for axes, (raised, by_baseline) in zip(panels, curves.items(), strict=True):
        for colour, line, (name, curve) in zip(COLOURS, LINES, by_baseline.items(), strict=False):
            low, middle, high = np.quantile(curve, [0.1, 0.5, 0.9], axis=0)
            axes.plot(middle, line, color=colour, label=f"baseline: {name}")
            axes.fill_between(range(len(middle)), low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set(title=f"rewards {raised:g} and {1 + raised:g}", xlabel="step", ylim=(0, 1.02))
    panels[0].set_ylabel("chance of the right action")
    panels[0].legend(loc="lower right")
    return png(figure)


def print_report(findings: Findings, explain: bool) -> None:
    """The log's first steps, the probabilities, and the ablation."""
    out, bandit, variances = console(), findings.bandit, findings.summary["gradient_variance"]
    out.print(f"Loop C (learning): a policy over {len(bandit.actions)} completions, moved by rewards\n")
    for line in log_lines(findings)[:2]:
        out.print(line)
    for row in findings.log[:SHOWN_STEPS]:
        for line in [*step_lines(row), *([reading(row)] if explain else [])]:
            out.print(line)
    out.print(f"… {len(findings.log)} rows in bandit_train_log.txt\n")
    rows = table(">action", ">before", ">after", ">reward", "completion", title="Probabilities")
    start = 1 / len(bandit.actions)
    for action, (text, prob) in enumerate(zip(bandit.actions, findings.log[-1].probs_after, strict=True)):
        rows.add_row(str(action), f"{start:.3f}", f"{prob:.3f}", f"{bandit.rewards[action]:g}", visible(text))
    out.print(rows)
    title = f"Measured variance of the gradient ({VARIANCE_DRAWS:,} batches of {ABLATION_BATCH} samples), by baseline"
    rows = table(">chance of the right action", "rewards", *(f">{name}" for name in BASELINES), title=title)
    for row in variances:
        rows.add_row(f"{row['chance_right']:.1f}", row["rewards"], *(f"{row[name]:.4f}" for name in BASELINES))
    out.print()
    out.print(rows)
    before, after = findings.summary["mean_reward_before"], findings.summary["mean_reward_after"]
    early, late, raised = variances[0], variances[2], variances[3]
    notice(
        f"Learning moved probability itself: the expected reward went from {before:.2f} to {after:.2f}.",
        "On average a baseline changes nothing; it changes the noise. Early on it takes the gradient's variance from "
        f"{early['none']:.4f} to {early['running']:.4f}; and with all rewards raised by 1, a change that means "
        f"nothing, from {raised['none']:.4f} to {raised['running']:.4f}. Without a baseline, everything looks good.",
        "It is no law. With rewards of 0 and 1 and a policy that is nearly always right, none is quieter: "
        f"{late['none']:.4f} against {late['running']:.4f}. Without a baseline a reward of 0 pushes nothing, so the "
        "rare failures make no noise.",
    )


def main() -> None:
    settings = parse("course.bandit_train", "Loop C: a tiny bandit learner.", Settings)
    findings = run(settings)
    recorded = {name: getattr(settings, name) for name in ("steps", "baseline", "batch", "learning_rate", "seed")}
    saved = save_experiment(
        settings,
        experiment="bandit_train",
        loop="C",
        knob="policy",
        settings={**recorded, **findings.bandit.source},
        summary=findings.summary,
        files={
            "bandit_train_log.txt": ("\n".join(log_lines(findings)) + "\n").encode(),
            "bandit_train_log.jsonl": to_json_lines(step.row(LOG_FIELDS) for step in findings.log),
        },
        picture=draw(findings),
    )
    print_report(findings, settings.explain)
    saved.close("python -m course.check 1")


if __name__ == "__main__":
    run_command(main)
