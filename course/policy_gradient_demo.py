"""REINFORCE in slow motion: one update at a time, with everything it does laid open.

    python -m course.policy_gradient_demo --slow        asks for a prediction before each step is revealed
    python -m course.policy_gradient_demo --one-line    a line for each step

The policy is a softmax over a handful of real completions of one prompt; `score` gives the reward. A step samples an
action, takes the baseline off its reward, and moves the parameters along  advantage * ∇ log π(action)
(`reinforce` in core/bandit.py is the loop).

In slow motion you see which action was sampled, and predict whether its probability will go `up`, go `down` or stay
the `same`, and why. The prediction is sealed by a hash and written into the run before the step is revealed. Without a
terminal the predictions are read from a file, one line for each step.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.core.bandit import Bandit, BanditOptions, Step, learn, load_bandit
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table, visible
from course.core.experiment import save_experiment
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, read_bytes, sha256, to_json, to_json_lines
from course.core.golden import golden_gate
from course.core.runs import RunWriter

REASON_WORDS = 3  # that a prediction at the prompt needs after its direction
LOG_FIELDS = (
    "step", "theta", "probs", "action", "completion", "reward", "baseline", "advantage", "gradient", "theta_after",
    "probs_after",
)  # fmt: skip
DIRECTIONS = ("up", "down", "same")
SIGN_LINE = "The sign of the advantage: above zero the sampled action is reinforced, below zero it is suppressed."


@dataclass(frozen=True, kw_only=True)
class Settings(BanditOptions):
    slow: bool = option(False, "predict each step before it is revealed")
    predictions: Path | None = option(None, "with --slow: read the predictions from this file")
    one_line: bool = option(False, "print one line for each step in fast mode")
    no_baseline: bool = option(False, "take nothing off the reward")
    steps: int | None = option(None, "updates of the policy (default: 5 in slow motion, 40 fast)", at_least=1)

    def check(self) -> None:
        """Refuse predictions that nobody asks for, or that nobody can make. Raises InputError."""
        super().check()
        if self.predictions and not self.slow:
            raise InputError("--predictions", "predictions are made in slow motion: add --slow")
        if self.slow and not self.predictions and not sys.stdin.isatty():
            raise InputError("--slow", "there is no terminal to ask on: give a file with --predictions")


@dataclass(frozen=True)
class Findings:
    """The bandit, every step of its learner, and the expected reward before and after."""

    bandit: Bandit
    log: list[Step]
    baseline: str
    mean_rewards: dict[str, float]


def run(settings: Settings) -> Findings:
    """All steps of REINFORCE, with one sample each."""
    bandit = load_bandit(settings.dataset, settings.pack, settings.id)
    steps = settings.steps or (5 if settings.slow else 40)
    baseline = "none" if settings.no_baseline else "running"
    log = learn(bandit, steps, settings.learning_rate, settings.seed, baseline=baseline)
    before, after = np.array([log[0].probs, log[-1].probs_after]) @ bandit.rewards
    return Findings(bandit, log, baseline, {"mean_reward_before": float(before), "mean_reward_after": float(after)})


def direction(step: Step) -> str:
    """What became of the probability of the sampled action."""
    change = step.prob_after - step.prob
    return "up" if change > 0 else "down" if change < 0 else "same"


def slow_motion(findings: Findings, texts: Iterator[str], writer: RunWriter) -> list[dict[str, Any]]:
    """Show the state before each step, seal a prediction of it on disk, and only then reveal the step.

    Each seal holds the one before it, so no prediction can be changed later. Returns predictions with what came.
    """
    out, predictions, seal = console(), [], ""
    for step in findings.log:
        show_state(findings.bandit, step)
        row = prediction(next(texts), step, seal)
        seal = row["seal"]
        writer.append("sealed.jsonl", to_json({name: row[name] for name in ("step", "text", "seal")}) + b"\n")
        out.print(f"predicted: {row['text']}   (sealed: {seal[:12]})")
        show_step(step)
        verdict = "right" if row["right"] else "wrong"
        out.print(f"You predicted {row['direction']}; it went {row['came']}: {verdict}.")
        predictions.append(row)
    return predictions


def prediction(text: str, step: Step, before: str) -> dict[str, Any]:
    """What was predicted of a step and what came; its seal holds the one `before` it."""
    seal = sha256(f"{before}|{step.step}|{text}".encode())
    predicted, came = direction_of(text), direction(step)
    return {
        "step": step.step,
        "text": text,
        "direction": predicted,
        "seal": seal,
        "came": came,
        "right": predicted == came,
    }


def direction_of(text: str) -> str | None:
    """The direction that a prediction begins with, or None."""
    word = text.split()[0].strip(".,:;!").lower() if text.strip() else ""
    return word if word in DIRECTIONS else None


def read_predictions(path: Path, steps: int) -> Iterator[str]:
    """One prediction for each step, from a file. Raises InputError for a line without a direction, or too few lines."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    texts = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    for number, text in texts:
        if direction_of(text) is None:
            raise InputError(path, f"a prediction begins with up, down or same, not {text.split()[0]!r}", number)
    if len(texts) < steps:
        raise InputError(path, f"the file is too short: {len(texts)} predictions for {steps} steps")
    return (text for _, text in texts)


def ask() -> Iterator[str]:
    """Predictions from the terminal, each asked for until it begins with a direction. Raises InputError at its end."""
    while True:
        try:
            text = input("Your prediction (up, down or same, then why): ").strip()
        except EOFError:
            raise InputError("--slow", "the terminal closed before the last prediction") from None
        if direction_of(text) and len(text.split()) > REASON_WORDS:
            yield text
        else:
            console().print(f"Begin with up, down or same; then say why, in {REASON_WORDS} words or more.")


def show_state(bandit: Bandit, step: Step) -> None:
    """What is known before the step: theta, probabilities, baseline, and which action was sampled."""
    console().print(f"\nStep {step.step}. The policy now (baseline {step.baseline:.3f}):")
    rows = table("", ">action", ">theta", ">probability", "completion")
    for action, (text, theta, prob) in enumerate(zip(bandit.actions, step.theta, step.probs, strict=True)):
        drawn = "sampled" if action == step.action else ""
        rows.add_row(drawn, str(action), f"{theta:+.3f}", f"{prob:.3f}", visible(text))
    console().print(rows)


def show_step(step: Step) -> None:
    """All that the step did."""
    meaning = {1: "better than expected: reinforce", -1: "worse than expected: suppress", 0: "as expected: no push"}
    sign = meaning[int(np.sign(step.advantage))]
    console().print(
        f"reward {step.reward:g} - baseline {step.baseline:.3f} = advantage {step.advantage:+.3f}   ({sign})"
    )
    rows = table(">action", ">theta", ">gradient", ">new theta", ">probability", ">new probability")
    columns = zip(step.theta, step.gradient, step.theta_after, step.probs, step.probs_after, strict=True)
    for action, (theta, gradient, theta_after, *probs) in enumerate(columns):
        moved = (f"{value:+.3f}" for value in (theta, gradient, theta_after))
        rows.add_row(str(action), *moved, *(f"{prob:.3f}" for prob in probs))
    console().print(rows)


def one_line(step: Step) -> str:
    """A step in one line."""
    moved = f"{step.prob:.3f} -> {step.prob_after:.3f}"
    numbers = f"reward {step.reward:g}, baseline {step.baseline:.3f}, advantage {step.advantage:+.3f}"
    return f"step {step.step:3d}: action {step.action} `{visible(step.completion)}`, {numbers}, probability {moved}"


def draw(findings: Findings) -> bytes:
    """The probabilities of all actions over the steps."""
    figure, (axes,) = new_figure("One policy, step by step")
    bandit, log = findings.bandit, findings.log
    curves = np.array([log[0].probs, *(step.probs_after for step in log)])
    for action, text in enumerate(bandit.actions):
        label = f"{action}: {visible(text)} (reward {bandit.rewards[action]:g})"
        style = "-" if bandit.rewards[action] else "--"
        axes.plot(curves[:, action], style, color=COLOURS[action % len(COLOURS)], label=label)
    axes.set(xlabel="step", ylabel="probability", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return png(figure)


def print_heading(findings: Findings) -> None:
    console().print("Loop C (learning): REINFORCE, one update at a time")
    console().print(f"prompt: {findings.bandit.example['prompt']}", SIGN_LINE, sep="\n")


def print_report(findings: Findings, predictions: list[dict[str, Any]], with_steps: bool) -> None:
    """The policy before and after."""
    out, bandit, log = console(), findings.bandit, findings.log
    for step in log if with_steps else ():
        out.print(one_line(step))
    rows = table(">action", ">reward", ">before", ">after", "completion", title=f"\nAfter {len(log)} steps")
    for action, text in enumerate(bandit.actions):
        moved = f"{log[0].probs[action]:.3f}", f"{log[-1].probs_after[action]:.3f}"
        rows.add_row(str(action), f"{bandit.rewards[action]:g}", *moved, visible(text))
    out.print(rows)
    if predictions:
        out.print(f"\nYour predictions: {sum(row['right'] for row in predictions)} of {len(predictions)} right.")
    before, after = findings.mean_rewards.values()
    notice(
        "Nobody told the policy the right answer. It tried, was paid or not, and moved: expected reward "
        f"{before:.2f} to {after:.2f}.",
        "One number, the advantage, scales the whole gradient; its sign decides the direction.",
        "What is pushed up takes its probability from all the others, and what is pushed down gives it back to them.",
    )


def main() -> None:
    settings = parse("course.policy_gradient_demo", "Loop C: REINFORCE in slow motion.", Settings)
    golden, findings = golden_gate(), run(settings)
    texts = read_predictions(settings.predictions, len(findings.log)) if settings.predictions else ask()
    print_heading(findings)
    with RunWriter(settings.runs_dir) as writer:
        predictions = slow_motion(findings, texts, writer) if settings.slow else []
        summary: dict[str, Any] = {**findings.mean_rewards}
        files = {
            "policy_gradient_log.jsonl": to_json_lines(step.row(LOG_FIELDS) for step in findings.log),
            "policy_gradient_log.txt": ("\n".join([SIGN_LINE, *map(one_line, findings.log)]) + "\n").encode(),
        }
        if settings.slow:
            files["predictions.jsonl"] = to_json_lines(predictions)
            right = sum(row["right"] for row in predictions)
            summary |= {"predictions": len(predictions), "predictions_right": right}
        recorded = {name: getattr(settings, name) for name in ("learning_rate", "seed", "slow")}
        saved = save_experiment(
            settings,
            experiment="policy_gradient",
            loop="C",
            knob="policy",
            settings={"steps": len(findings.log), "baseline": findings.baseline, **recorded, **findings.bandit.source},
            summary=summary,
            files=files,
            picture=draw(findings),
            golden=golden,
            writer=writer,
        )
    print_report(findings, predictions, settings.one_line and not settings.slow)
    saved.close("python -m course.bandit_train")


if __name__ == "__main__":
    run_command(main)
