"""Credit assignment in the smallest sequence there is: two steps, two actions each, reward only at the end.

    python -m course.toy_mdp

A completion is written in two moves. Step one chooses how to begin, `Final: ` or `The answer is `; step two
chooses the number, the right one or a wrong one. Only the finished text is scored, so step one earns nothing
when it is taken, and yet decides whether any reward can be had. Two learners see the same episodes: one credits
every step with the *return*, all the reward from there to the end; the other with the *immediate* reward of that
step alone.

What it simplifies: a language model takes dozens of such steps, over a vocabulary of thousands.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.core.bandit import softmax
from course.core.command_line import run_command
from course.core.display import console, progress, table
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment
from course.score import score

EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
BEGINNINGS = ("Final: ", "The answer is ")
NUMBERS = ("323", "324")
HORIZON = 2  # the episode ends after two steps
CREDITS = ("return", "immediate")
RUNNING_RATE = 0.1
SHOWN = 6


@dataclass(frozen=True)
class Row:
    """One step of one episode. `credit` is what the step's update is given before the baseline is taken off."""

    episode: int
    step: int
    state: str
    action: str
    reward: float
    return_: float
    credit: float
    baseline: float
    advantage: float
    prob: float
    prob_after: float


@dataclass(frozen=True)
class Learned:
    """What a learner ended with. `first` (2,) are the probabilities of step one, `second` (2, 2) those of step two."""

    log: list[Row]
    first: np.ndarray
    second: np.ndarray
    chance_right: np.ndarray  # after each episode: the exact chance that the policy's completion earns 1


def reward_table() -> np.ndarray:
    """The reward (2, 2) of every episode there is, by beginning and number: four calls of the scorer."""
    return np.array([[score(EXAMPLE, begin + number)["reward"] for number in NUMBERS] for begin in BEGINNINGS])


def learn(credit: str, episodes: int, learning_rate: float, seed: int | tuple[int, int]) -> Learned:
    """REINFORCE over two steps. Each step's baseline is the moving average of its own credit."""
    rng = np.random.default_rng(seed)
    ends = reward_table()
    theta_first, theta_second = np.zeros(2), np.zeros((2, 2))
    baselines = np.zeros(HORIZON)
    log: list[Row] = []
    curve = []
    for episode in range(1, episodes + 1):
        first, second = softmax(theta_first), softmax(theta_second)
        begin = int(rng.random() >= first[0])
        number = int(rng.random() >= second[begin, 0])
        rewards = [0.0, float(ends[begin, number])]  # nothing is scored until the text is finished
        returns = [rewards[0] + rewards[1], rewards[1]]
        credits_ = returns if credit == "return" else rewards
        advantages = [given - b for given, b in zip(credits_, baselines, strict=True)]
        theta_first = theta_first + learning_rate * advantages[0] * (np.eye(2)[begin] - first)
        theta_second[begin] += learning_rate * advantages[1] * (np.eye(2)[number] - second[begin])
        after = softmax(theta_first), softmax(theta_second)
        steps = (("", BEGINNINGS[begin], first[begin], after[0][begin]),
                 (BEGINNINGS[begin], NUMBERS[number], second[begin, number], after[1][begin, number]))  # fmt: skip
        for step, (state, action, prob, prob_after) in enumerate(steps):
            log.append(
                Row(
                    episode, step + 1, state, action, rewards[step], returns[step], credits_[step],
                    float(baselines[step]), float(advantages[step]), float(prob), float(prob_after),
                )
            )  # fmt: skip
        baselines = baselines + RUNNING_RATE * (np.array(credits_) - baselines)
        curve.append(float(after[0] @ (after[1] * ends).sum(axis=1)))
    return Learned(log, softmax(theta_first), softmax(theta_second), np.array(curve))


def story(row: Row) -> str:
    """One row of the log in plain English."""
    what = "reinforced" if row.advantage > 0 else "suppressed" if row.advantage < 0 else "left as it is"
    where = f"episode {row.episode:3d}, step {row.step}: after `{row.state}` chose `{row.action}`"
    given = f"reward now {row.reward:g}, return {row.return_:g}, credit {row.credit:g}, baseline {row.baseline:.3f}"
    return f"{where}; {given}, advantage {row.advantage:+.3f}: {what} ({row.prob:.3f} -> {row.prob_after:.3f})"


def as_json(row: Row) -> dict[str, Any]:
    """The row under the names that every log of the course uses."""
    return {name.rstrip("_"): value for name, value in asdict(row).items()}


def draw(learned: dict[str, list[Learned]]) -> bytes:
    """The chance of an episode that earns 1, over episodes: every seed, and the median."""
    figure, (axes,) = new_figure("Credit by return, and by immediate reward")
    for colour, line, (credit, runs) in zip(COLOURS, LINES, learned.items(), strict=False):
        curves = np.stack([run.chance_right for run in runs])
        axes.plot(curves.T, color=colour, alpha=0.2, linewidth=0.8)
        axes.plot(np.median(curves, axis=0), line, color=colour, linewidth=2.5, label=f"credit: {credit}")
    axes.set(xlabel="episode", ylabel="chance of earning the reward", ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m course.toy_mdp", description="Loop C: delayed reward and credit.")
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds the picture is drawn from (default: 20)")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")
    add_run_options(parser)
    args = parser.parse_args()
    for name in ("episodes", "seeds"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name}", "at least 1")
    if args.seed < 0:
        raise InputError("--seed", "a whole number, zero or more")
    if not 0 < args.learning_rate < float("inf"):
        raise InputError("--learning-rate", "a number above zero")
    learned: dict[str, list[Learned]] = {credit: [] for credit in CREDITS}
    with progress("learning", args.seeds) as show:
        for number in range(args.seeds):
            for credit in CREDITS:
                learned[credit].append(learn(credit, args.episodes, args.learning_rate, (args.seed, number)))
            show(number + 1)
    picture = draw(learned)
    texts = []
    for credit in CREDITS:
        texts.append(f"credit by {credit}, seed {args.seed}; horizon {HORIZON}, reward only after the last step")
        texts.extend(story(row) for row in learned[credit][0].log)
    summary = {
        "loop": "C",
        **{f"chance_right_by_{credit}": float(learned[credit][0].chance_right[-1]) for credit in CREDITS},
        **{f"first_step_by_{credit}": [float(run.first[0]) for run in learned[credit]] for credit in CREDITS},
    }
    settings = {name: getattr(args, name) for name in ("episodes", "learning_rate", "seed", "seeds")}
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("toy_mdp_log.txt", ("\n".join(texts) + "\n").encode())
        rows = [{"credit_by": c, **as_json(row)} for c in CREDITS for row in learned[c][0].log]
        run.write("toy_mdp_log.jsonl", to_json_lines(rows))
        run.write("toy_mdp.png", picture)
        run.write(SUMMARY, to_pretty_json(summary))
        folder = run.finish({"experiment": "toy_mdp", **experiment(args, "C", "policy", settings)})

    out = console()
    out.print("Loop C (learning): two steps, and reward only at the end\n")
    out.print("The four episodes there are, and what the scorer gives them:")
    shown = table("step one", "step two", ">reward")
    for begin, by_number in zip(BEGINNINGS, reward_table(), strict=True):
        for digits, reward in zip(NUMBERS, by_number, strict=True):
            shown.add_row(f"`{begin}`", f"`{digits}`", f"{reward:g}")
    out.print(shown)
    out.print(f"\nCredit by return, the first episodes of {args.episodes}:")
    for row in learned["return"][0].log[: 2 * SHOWN]:
        out.print(story(row))
    out.print()
    shown = table("credit by", ">P(`Final: `) at step one", ">P(323) after `Final: `", ">chance of the reward",
                  title=f"After {args.episodes} episodes, over {args.seeds} seeds: lowest to highest")  # fmt: skip
    for credit in CREDITS:
        ends = [(run.first[0], run.second[0, 0], run.chance_right[-1]) for run in learned[credit]]
        spans = [f"{min(values):.3f} to {max(values):.3f}" for values in zip(*ends, strict=True)]
        shown.add_row(credit, *spans)
    out.print(shown)
    out.print(
        f"""
What to notice:
- Step one is never paid when it is taken. By its return it learns all the same, because the reward at the end is
  credited to every step that led there.
- By its immediate reward step one is given 0 in every episode, so its probabilities never move: it stays at one
  half, and the policy earns the reward only when it happens to begin well.
- A language model is this with more steps: one reward after the last token, credited to each token before it. The
  longer the horizon, the more tokens share one number, and the noisier what each of them learns from it.

Run written to {folder}; look at {folder / "toy_mdp.png"}
Next: python -m course.token_inspect"""
    )


if __name__ == "__main__":
    run_command(main)
