"""REINFORCE in slow motion: one update at a time, with everything it does laid open.

    python -m course.policy_gradient_demo --slow        asks for a prediction before each step is revealed
    python -m course.policy_gradient_demo --one-line    a line for each step

The policy is a softmax over a handful of real completions of one prompt; `score` gives the reward. A step samples
an action, takes the baseline off its reward, and moves the parameters along  advantage * ∇ log π(action).

In slow motion you are told which action was sampled, and say before you see the rest whether its probability
will go `up`, go `down` or stay the `same`, and why. What you said is sealed by a hash into the run before the step
is revealed. Without a terminal the predictions are read from a file, one line for each step.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from course.core.bandit import Bandit, add_bandit_options, bandit_of, log_prob_gradient, softmax
from course.core.command_line import run_command
from course.core.display import console, table, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, reason_of, sha256, to_json, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment

REASON_WORDS = 3  # that a prediction at the prompt needs after its direction
DIRECTIONS = ("up", "down", "same")
RUNNING_RATE = 0.2  # baseline <- baseline + 0.2 (reward - baseline)
SIGN_LINE = "The sign of the advantage: above zero the sampled action is reinforced, below zero it is suppressed."


@dataclass(frozen=True)
class Step:
    """One update, before and after. Lists have one entry for each action."""

    step: int
    theta: list[float]
    probs: list[float]
    action: int
    completion: str
    reward: float
    baseline: float
    advantage: float
    gradient: list[float]
    theta_after: list[float]
    probs_after: list[float]

    @property
    def direction(self) -> str:
        """What became of the probability of the sampled action."""
        change = self.probs_after[self.action] - self.probs[self.action]
        return "up" if change > 0 else "down" if change < 0 else "same"


@dataclass(frozen=True)
class Prediction:
    """What was said of a step before it was revealed. Each seal holds the one before it, so none can be changed."""

    step: int
    text: str
    direction: str
    seal: str
    came: str
    right: bool


def floats(values: np.ndarray) -> list[float]:
    return [float(value) + 0.0 for value in values]  # a minus zero is a zero


def update(bandit: Bandit, theta: np.ndarray, baseline: float, action: int, step: int, learning_rate: float) -> Step:
    """One step of REINFORCE: theta + learning rate * advantage * ∇ log π(action)."""
    probs = softmax(theta)
    reward = float(bandit.rewards[action])
    advantage = reward - baseline
    gradient = advantage * log_prob_gradient(probs, action)
    after = theta + learning_rate * gradient
    return Step(
        step=step,
        theta=floats(theta),
        probs=floats(probs),
        action=action,
        completion=bandit.actions[action],
        reward=reward,
        baseline=baseline,
        advantage=advantage,
        gradient=floats(gradient),
        theta_after=floats(after),
        probs_after=floats(softmax(after)),
    )


def run_steps(
    bandit: Bandit,
    steps: int,
    use_baseline: bool,
    learning_rate: float,
    seed: int,
    before: Callable[[int, np.ndarray, int, float], None],
    after: Callable[[Step], None],
) -> list[Step]:
    """All steps. `before` is called when the action is drawn, `after` when its update is done."""
    rng = np.random.default_rng(seed)
    theta, baseline = np.zeros(len(bandit.actions)), 0.0
    log = []
    for number in range(1, steps + 1):
        probs = softmax(theta)
        action = int(rng.choice(len(probs), p=probs))
        before(number, probs, action, baseline)
        step = update(bandit, theta, baseline, action, number, learning_rate)
        log.append(step)
        after(step)
        theta = np.array(step.theta_after)
        if use_baseline:
            baseline += RUNNING_RATE * (step.reward - baseline)
    return log


def direction_of(text: str) -> str | None:
    """The direction that a prediction begins with, or None."""
    word = text.split()[0].strip(".,:;!").lower() if text.strip() else ""
    return word if word in DIRECTIONS else None


def read_predictions(path: Path, steps: int) -> list[str]:
    """One prediction for each step, from a file. Raises InputError for a line that predicts nothing, or too few."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(path, reason_of(error)) from None
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    said = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for number, line in said:
        if direction_of(line) is None:
            raise InputError(path, f"a prediction begins with up, down or same, not {line.split()[0]!r}", number)
    if len(said) < steps:
        raise InputError(path, f"the file is too short: {len(said)} predictions for {steps} steps")
    return [line.strip() for _, line in said]


def ask() -> str:
    """A prediction from the terminal, asked for until it begins with a direction. Raises InputError at its end."""
    while True:
        try:
            text = input("Your prediction (up, down or same, then why): ").strip()
        except EOFError:
            raise InputError("--slow", "the terminal closed before the last prediction") from None
        if direction_of(text) and len(text.split()) > REASON_WORDS:
            return text
        print(f"It begins with up, down or same; then say why, in {REASON_WORDS} words or more.")


def show_state(out: Console, bandit: Bandit, step: int, probs: np.ndarray, action: int, baseline: float) -> None:
    """What is known before the step: probabilities, baseline, and which action was sampled."""
    out.print(f"\nStep {step}. The policy now (baseline {baseline:.3f}):")
    rows = table("", ">action", ">probability", "completion")
    for number, text in enumerate(bandit.actions):
        rows.add_row("sampled" if number == action else "", str(number), f"{probs[number]:.3f}", visible(text))
    out.print(rows)


def show_step(out: Console, step: Step) -> None:
    """All that the step did."""
    meaning = {1: "better than expected: reinforce", -1: "worse than expected: suppress", 0: "as expected: no push"}
    sign = meaning[int(np.sign(step.advantage))]
    out.print(f"reward {step.reward:g} - baseline {step.baseline:.3f} = advantage {step.advantage:+.3f}   ({sign})")
    rows = table(">action", ">theta", ">gradient", ">new theta", ">probability", ">new probability")
    for a in range(len(step.probs)):
        values = (step.theta[a], step.gradient[a], step.theta_after[a])
        moved = f"{step.probs[a]:.3f}", f"{step.probs_after[a]:.3f}"
        rows.add_row(str(a), *(f"{value:+.3f}" for value in values), *moved)
    out.print(rows)


def one_line(step: Step) -> str:
    """A step in one line."""
    moved = f"{step.probs[step.action]:.3f} -> {step.probs_after[step.action]:.3f}"
    numbers = f"reward {step.reward:g}, baseline {step.baseline:.3f}, advantage {step.advantage:+.3f}"
    return f"step {step.step:3d}: action {step.action} `{visible(step.completion)}`, {numbers}, probability {moved}"


def draw(bandit: Bandit, log: list[Step]) -> bytes:
    """The probabilities of all actions over the steps."""
    figure, (axes,) = new_figure("One policy, step by step")
    curves = np.array([log[0].probs, *(step.probs_after for step in log)])
    for action, text in enumerate(bandit.actions):
        label = f"{action}: {visible(text)} (reward {bandit.rewards[action]:g})"
        style = "-" if bandit.rewards[action] else "--"
        axes.plot(curves[:, action], style, color=COLOURS[action % len(COLOURS)], label=label)
    axes.set(xlabel="step", ylabel="probability", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course.policy_gradient_demo", description="Loop C: REINFORCE in slow motion."
    )
    parser.add_argument("--slow", action="store_true", help="predict each step before it is revealed")
    parser.add_argument("--predictions", type=Path, help="with --slow: read the predictions from this file")
    parser.add_argument("--one-line", action="store_true", help="print one line for each step in fast mode")
    parser.add_argument("--no-baseline", action="store_true", help="take nothing off the reward")
    parser.add_argument("--steps", type=int, help="default: 5 in slow motion, 40 fast")
    add_bandit_options(parser)
    add_run_options(parser)
    args = parser.parse_args()
    steps = args.steps if args.steps is not None else 5 if args.slow else 40
    if steps < 1:
        raise InputError("--steps", "at least one step")
    if args.predictions and not args.slow:
        raise InputError("--predictions", "predictions are made in slow motion: add --slow")
    said = read_predictions(args.predictions, steps) if args.predictions else None
    if args.slow and said is None and not sys.stdin.isatty():
        raise InputError("--slow", "there is no terminal to ask on: give a file with --predictions")
    bandit = bandit_of(args)

    out = console()
    out.print("Loop C (learning): REINFORCE, one update at a time")
    out.print(f"prompt: {bandit.example['prompt']}")
    out.print(SIGN_LINE)
    pending: list[tuple[str, str]] = []
    predictions: list[Prediction] = []

    with RunWriter(args.runs_dir) as run:

        def before(number: int, probs: np.ndarray, action: int, baseline: float) -> None:
            if not args.slow:
                return
            show_state(out, bandit, number, probs, action, baseline)
            text = said[number - 1] if said is not None else ask()
            seal = sha256(f"{predictions[-1].seal if predictions else ''}|{number}|{text}".encode())
            run.append("sealed.jsonl", to_json({"step": number, "text": text, "seal": seal}) + b"\n")
            out.print(f"predicted: {text}   (sealed: {seal[:12]})")
            pending.append((text, seal))

        def after(step: Step) -> None:
            if args.slow:
                show_step(out, step)
                text, seal = pending.pop()
                predicted = str(direction_of(text))
                right = predicted == step.direction
                predictions.append(Prediction(step.step, text, predicted, seal, step.direction, right))
                out.print(f"You said {predicted}; it went {step.direction}: {'right' if right else 'not so'}.")
            elif args.one_line:
                out.print(one_line(step))

        log = run_steps(bandit, steps, not args.no_baseline, args.learning_rate, args.seed, before, after)
        mean_before, mean_after = (float(np.array(p) @ bandit.rewards) for p in (log[0].probs, log[-1].probs_after))
        summary = {"loop": "C", "mean_reward_before": mean_before, "mean_reward_after": mean_after}
        if args.slow:
            summary |= {"predictions": len(predictions), "predictions_right": sum(p.right for p in predictions)}
        settings = {
            "steps": steps,
            "baseline": "none" if args.no_baseline else "running",
            "learning_rate": args.learning_rate,
            "seed": args.seed,
            "slow": args.slow,
            **bandit.source,
        }
        picture = draw(bandit, log)
        if args.plot:
            write_whole(args.plot, picture)
        run.write("policy_gradient_log.jsonl", to_json_lines(map(asdict, log)))
        run.write("policy_gradient_log.txt", ("\n".join([SIGN_LINE, *map(one_line, log)]) + "\n").encode())
        run.write("policy_gradient.png", picture)
        if args.slow:
            run.write("predictions.jsonl", to_json_lines(map(asdict, predictions)))
        run.write(SUMMARY, to_pretty_json(summary))
        folder = run.finish({"experiment": "policy_gradient", **experiment(args, "C", "policy", settings)})

    rows = table(">action", ">reward", ">before", ">after", "completion", title=f"\nAfter {steps} steps")
    for action, text in enumerate(bandit.actions):
        moved = f"{log[0].probs[action]:.3f}", f"{log[-1].probs_after[action]:.3f}"
        rows.add_row(str(action), f"{bandit.rewards[action]:g}", *moved, visible(text))
    out.print(rows)
    if args.slow:
        out.print(f"\nYour predictions: {sum(p.right for p in predictions)} of {len(predictions)} right.")
    out.print(
        f"""
What to notice:
- Nobody told the policy the right answer. It tried, was paid or not, and moved: expected reward {mean_before:.2f} to \
{mean_after:.2f}.
- One number, the advantage, scales the whole gradient; its sign decides the direction.
- What is pushed up takes its probability from all the others, and what is pushed down gives it back to them.

Run written to {folder}; look at {folder / "policy_gradient.png"}
Next: python -m course.bandit_train"""
    )


if __name__ == "__main__":
    run_command(main)
