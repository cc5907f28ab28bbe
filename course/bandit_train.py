"""Loop C under the microscope: a tiny bandit learner whose log reads like a story.

    python -m course.bandit_train
    python -m course.bandit_train --baseline none --steps 50

The actions are a handful of real completions of one prompt; `score` gives the reward. Each step samples an
action, compares its reward with a baseline, and moves the probabilities by the advantage. An ablation then
repeats the learning over many seeds, with and without a baseline, and measures the variance of the gradient.

What it simplifies: one prompt and five actions, so it learns in a hundred steps. A language model has more
completions than there are atoms; the mechanism is this one, the speed is not.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from course.core.bandit import Bandit, add_bandit_options, bandit_of, log_prob_gradient, softmax
from course.core.command_line import run_command
from course.core.display import console, table, visible
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment

BASELINES = ("none", "running", "batch")
RUNNING_RATE = 0.1  # b <- b + 0.1 (r - b)
ABLATION_SEEDS = 200
ABLATION_BATCH = 8
VARIANCE_DRAWS = 20_000
SIGN_LINE = "advantage > 0: better than the baseline, the sampled action is reinforced; < 0: worse, it is suppressed"


@dataclass(frozen=True)
class Step:
    """One sampled action and what it did. A batch of n samples gives n rows of the same step."""

    step: int
    action: int
    completion: str
    prob: float
    reward: float
    baseline: float
    advantage: float
    prob_after: float
    probs_after: list[float]


def sample_action(probs: np.ndarray, uniform: float) -> int:
    """The action whose share of the unit interval holds the number."""
    return min(int(np.searchsorted(probs.cumsum(), uniform, side="right")), len(probs) - 1)


def train(
    bandit: Bandit, baseline: str, steps: int, batch: int, learning_rate: float, seed: int
) -> tuple[list[Step], np.ndarray]:
    """REINFORCE on the bandit from equal probabilities. Returns the log and the last probabilities (K,)."""
    rng = np.random.default_rng(seed)
    theta = np.zeros(len(bandit.actions))
    running = 0.0
    log: list[Step] = []
    for step in range(1, steps + 1):
        probs = softmax(theta)
        actions = [sample_action(probs, rng.random()) for _ in range(batch)]
        rewards = [float(bandit.rewards[action]) for action in actions]
        b = {"none": 0.0, "running": running, "batch": sum(rewards) / batch}[baseline]
        advantages = [reward - b for reward in rewards]
        gradient = np.zeros_like(theta)
        for action, advantage in zip(actions, advantages, strict=True):
            gradient += advantage * log_prob_gradient(probs, action) / batch
        theta = theta + learning_rate * gradient
        after = softmax(theta)
        for action, reward, advantage in zip(actions, rewards, advantages, strict=True):
            running += RUNNING_RATE * (reward - running)
            log.append(
                Step(
                    step=step,
                    action=action,
                    completion=bandit.actions[action],
                    prob=float(probs[action]),
                    reward=reward,
                    baseline=b,
                    advantage=advantage,
                    prob_after=float(after[action]),
                    probs_after=[float(p) for p in after],
                )
            )
    return log, softmax(theta)


def story(row: Step) -> str:
    """One row of the log in plain English."""
    if row.advantage > 0:
        what = "better than the baseline, so it is reinforced"
    elif row.advantage < 0:
        what = "worse than the baseline, so it is suppressed"
    else:
        what = "equal to the baseline, so it pushes nothing"
    direction = f"{row.prob:.3f} -> {row.prob_after:.3f}"
    return (
        f"step {row.step:3d}: sampled action {row.action} `{visible(row.completion)}`, reward {row.reward:g}, "
        f"baseline {row.baseline:.3f}, advantage {row.advantage:+.3f}: {what} ({direction})"
    )


def sampled_gradients(
    theta: np.ndarray, rewards: np.ndarray, baseline: str, batch: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Many independent estimates (draws, K) of the gradient at one policy, each from a batch of samples.

    The running baseline is a moving average of past rewards, here a settled one of the same policy; it is independent
    of the batch, so the estimate stays unbiased. The batch mean holds each sample's own reward, which shrinks the
    estimate by (n - 1) / n exactly.
    """
    probs = softmax(theta)
    actions = rng.choice(len(probs), size=(draws, batch), p=probs)
    found = rewards[actions]
    if baseline == "none":
        b = np.zeros((draws, 1))
    elif baseline == "running":
        past = rewards[rng.choice(len(probs), size=(draws, 50), p=probs)]
        weights = RUNNING_RATE * (1 - RUNNING_RATE) ** np.arange(50)
        b = (past @ (weights / weights.sum()))[:, None]
    else:
        b = found.mean(axis=1, keepdims=True)
    scores = np.eye(len(probs))[actions] - probs
    return np.asarray(((found - b)[..., None] * scores).mean(axis=1))


def variance_table(bandit: Bandit, batch: int, seed: int) -> list[dict[str, Any]]:
    """The measured variance of the gradient for each baseline, early, midway and late.

    Then again with all rewards raised by 1, which changes nothing about which action is better, nor about the exact
    gradient.
    """
    rng = np.random.default_rng(seed)
    right = bandit.rewards > 0
    rows = []
    for raised in (0.0, 1.0):
        for chance in (float(right.mean()), 0.5, 0.9):
            theta = np.log(np.where(right, chance / right.sum(), (1 - chance) / (~right).sum()))
            row: dict[str, Any] = {"chance_right": chance, "rewards": f"{raised:g} and {1 + raised:g}"}
            for baseline in BASELINES:
                drawn = sampled_gradients(theta, bandit.rewards + raised, baseline, batch, VARIANCE_DRAWS, rng)
                unshrunk = batch / (batch - 1) if baseline == "batch" else 1.0  # so that all three estimate the same
                row[baseline] = float((unshrunk * drawn).var(axis=0).sum())
            rows.append(row)
    return rows


def learning_curves(
    bandit: Bandit,
    raised: float,
    baseline: str,
    steps: int,
    batch: int,
    learning_rate: float,
    seeds: Sequence[int | tuple[int, int]],
) -> np.ndarray:
    """The chance of the right action after each step (seeds, steps + 1), all seeds learning side by side."""
    uniform = np.stack([np.random.default_rng(seed).random((steps, batch)) for seed in seeds])
    theta = np.zeros((len(seeds), len(bandit.actions)))
    running = np.zeros(len(seeds))
    curve = [softmax(theta) @ bandit.rewards]
    for step in range(steps):
        probs = softmax(theta)
        actions = (
            (probs.cumsum(axis=1)[:, None, :] < uniform[:, step, :, None]).sum(axis=2).clip(max=probs.shape[1] - 1)
        )
        rewards = bandit.rewards[actions] + raised
        b = {"none": np.zeros(len(seeds)), "running": running, "batch": rewards.mean(axis=1)}[baseline]
        scores = np.eye(probs.shape[1])[actions] - probs[:, None, :]
        theta = theta + learning_rate * ((rewards - b[:, None])[..., None] * scores).mean(axis=1)
        for place in range(batch):
            running = running + RUNNING_RATE * (rewards[:, place] - running)
        curve.append(softmax(theta) @ bandit.rewards)
    return np.stack(curve, axis=1)


def draw(curves: dict[float, dict[str, np.ndarray]]) -> bytes:
    """Learning curves: the median over seeds, and the middle 80 of 100; one panel for each shift of the rewards."""
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course.bandit_train", description="Loop C: a tiny bandit learner.")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--baseline", choices=BASELINES, default="running")
    parser.add_argument("--batch", type=int, default=1, help="samples for each step; the batch baseline needs two")
    add_bandit_options(parser)
    add_run_options(parser)
    args = parser.parse_args()
    if args.steps < 1:
        raise InputError("--steps", "at least one step")
    if args.batch < (2 if args.baseline == "batch" else 1):
        raise InputError("--batch", "the mean of a batch needs two samples or more; else one is enough")
    bandit = bandit_of(args)
    log, probs = train(bandit, args.baseline, args.steps, args.batch, args.learning_rate, args.seed)
    variances = variance_table(bandit, ABLATION_BATCH, args.seed)
    seeds = [(args.seed, number) for number in range(ABLATION_SEEDS)]
    size = (args.steps, ABLATION_BATCH, args.learning_rate, seeds)
    curves = {up: {name: learning_curves(bandit, up, name, *size) for name in BASELINES} for up in (0.0, 1.0)}
    picture = draw(curves)
    settings: dict[str, Any] = {
        name: getattr(args, name) for name in ("steps", "baseline", "batch", "learning_rate", "seed")
    }
    settings |= bandit.source
    summary = {
        "loop": "C",
        "mean_reward_before": float(bandit.rewards.mean()),
        "mean_reward_after": float(probs @ bandit.rewards),
        "gradient_variance": variances,
    }
    lines = [f"prompt: {bandit.example['prompt']}", SIGN_LINE, *map(story, log)]
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("bandit_train_log.txt", ("\n".join(lines) + "\n").encode())
        run.write("bandit_train_log.jsonl", to_json_lines(map(asdict, log)))
        run.write("bandit_train.png", picture)
        run.write(SUMMARY, to_pretty_json(summary))
        folder = run.finish({"experiment": "bandit_train", **experiment(args, "C", "policy", settings)})

    out = console()
    out.print(f"Loop C (learning): a policy over {len(bandit.actions)} completions, moved by rewards\n")
    for line in lines[:14]:
        out.print(line)
    out.print(f"… {len(log)} rows in {folder / 'bandit_train_log.txt'}\n")
    rows = table(">action", ">before", ">after", ">reward", "completion", title="Probabilities")
    for action, text in enumerate(bandit.actions):
        rows.add_row(
            str(action), f"{1 / len(probs):.3f}", f"{probs[action]:.3f}", f"{bandit.rewards[action]:g}", visible(text)
        )
    out.print(rows)
    title = f"Measured variance of the gradient ({VARIANCE_DRAWS:,} batches of {ABLATION_BATCH} samples), by baseline"
    rows = table(">chance of the right action", "rewards", *(f">{name}" for name in BASELINES), title=title)
    for row in variances:
        rows.add_row(f"{row['chance_right']:.1f}", row["rewards"], *(f"{row[name]:.4f}" for name in BASELINES))
    out.print()
    out.print(rows)
    before, after = summary["mean_reward_before"], summary["mean_reward_after"]
    early, late, raised = variances[0], variances[2], variances[3]
    out.print(
        f"""
What to notice:
- Learning moved probability itself: the expected reward went from {before:.2f} to {after:.2f}.
- On average a baseline changes nothing; it changes the noise. Early on it takes the gradient's variance from
  {early["none"]:.4f} to {early["running"]:.4f}; and with all rewards raised by 1, a change that means nothing, from
  {raised["none"]:.4f} to {raised["running"]:.4f}. Without a baseline, everything looks good.
- It is no law. With rewards of 0 and 1 and a policy that is nearly always right, none is quieter: {late["none"]:.4f}
  against {late["running"]:.4f}. Without a baseline a reward of 0 pushes nothing, so the rare failures make no noise."""
    )
    out.print(f"\nRun written to {folder}; look at {folder / 'bandit_train.png'}")
    out.print("Next: python -m course.policy_gradient_demo --slow")


if __name__ == "__main__":
    run_command(main)
