"""Credit assignment in the smallest sequence there is: two steps, two actions each, reward only at the end.

    python -m course.toy_mdp

A completion is written in two moves. Step one chooses how to begin, `Final: ` or `The answer is `; step two chooses
the number, the right one or a wrong one. Only the finished text is scored, so step one earns nothing when it is taken,
and yet decides whether any reward can be had. Two learners draw the same random numbers: one credits every step with
the *return*, all the reward from there to the end; the other with the *immediate* reward of that step alone.

What it simplifies: a language model takes dozens of such steps, over a vocabulary of thousands.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from course.core.bandit import RUNNING_RATE, log_prob_gradient, softmax
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, progress, table
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import to_json_lines
from course.score import score

EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
BEGINNINGS = ("Final: ", "The answer is ")
NUMBERS = ("323", "324")
STATES = ("", *BEGINNINGS)  # the text so far; with an action for each, it is a policy of (3, 2) probabilities
ACTIONS = (BEGINNINGS, NUMBERS, NUMBERS)
HORIZON = 2  # the episode ends after two steps
CREDITS = ("return", "immediate")
SHOWN_EPISODES = 6


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    episodes: int = option(400, "episodes for each learner", at_least=1)
    learning_rate: float = option(0.5, "size of an update", above=0)
    seed: int = option(0, "of the sampled actions", at_least=0)
    seeds: int = option(20, "how many seeds the picture is drawn from", at_least=1)


@dataclass(frozen=True)
class Learned:
    """What became of a learner."""

    log: list[dict[str, Any]]  # two rows for each episode
    policy: np.ndarray  # (3, 2), by state and action
    chance_right: np.ndarray  # after each episode: the exact chance that the policy's completion earns 1


@dataclass(frozen=True)
class Findings:
    """The learners by the way that they credit a step, one for each seed."""

    settings: Settings
    learned: dict[str, list[Learned]]


def run(settings: Settings) -> Findings:
    """Both learners over all seeds; each pair sees the same random numbers."""
    learned: dict[str, list[Learned]] = {credit: [] for credit in CREDITS}
    with progress("learning", settings.seeds) as show:
        for number in range(settings.seeds):
            for credit in CREDITS:
                seed = (settings.seed, number)
                learned[credit].append(learn(credit, settings.episodes, settings.learning_rate, seed))
            show(number + 1)
    return Findings(settings, learned)


def reward_table() -> np.ndarray:
    """The reward (2, 2) of every episode there is, by beginning and number: four calls of the scorer."""
    return np.array([[score(EXAMPLE, begin + number)["reward"] for number in NUMBERS] for begin in BEGINNINGS])


def learn(credit: str, episodes: int, learning_rate: float, seed: int | tuple[int, int]) -> Learned:
    """REINFORCE over two steps. Each step's baseline is the moving average of its own credit."""
    rng = np.random.default_rng(seed)
    ends = reward_table()
    theta, baselines = np.zeros((3, 2)), np.zeros(HORIZON)
    log: list[dict[str, Any]] = []
    curve = []
    for episode in range(1, episodes + 1):
        policy = softmax(theta)
        begin = int(rng.random() >= policy[0, 0])
        number = int(rng.random() >= policy[1 + begin, 0])
        rewards = [0.0, float(ends[begin, number])]  # nothing is scored until the text is finished
        returns = [rewards[0] + rewards[1], rewards[1]]
        credits_ = returns if credit == "return" else rewards
        for step, (state, action) in enumerate(((0, begin), (1 + begin, number))):
            advantage = credits_[step] - baselines[step]
            theta[state] += learning_rate * advantage * log_prob_gradient(policy[state], action)
            log.append(
                {
                    "episode": episode,
                    "step": step + 1,
                    "state": STATES[state],
                    "action": ACTIONS[state][action],
                    "reward": rewards[step],
                    "return": returns[step],
                    "credit": credits_[step],  # what the step's update is given before the baseline is taken off
                    "baseline": float(baselines[step]),
                    "advantage": float(advantage),
                    "prob": float(policy[state, action]),
                    "prob_after": float(softmax(theta)[state, action]),
                }
            )
        baselines = baselines + RUNNING_RATE * (np.array(credits_) - baselines)
        first, second = softmax(theta)[0], softmax(theta)[1:]
        curve.append(float(first @ (second * ends).sum(axis=1)))
    return Learned(log, softmax(theta), np.array(curve))


def story(row: dict[str, Any]) -> str:
    """One row of the log in plain English."""
    what = "reinforced" if row["advantage"] > 0 else "suppressed" if row["advantage"] < 0 else "left as it is"
    return (
        "episode {episode:3d}, step {step}: after `{state}` chose `{action}`; reward now {reward:g}, "
        "return {return:g}, credit {credit:g}, baseline {baseline:.3f}, advantage {advantage:+.3f}: "
        "{what} ({prob:.3f} -> {prob_after:.3f})"
    ).format(what=what, **row)


def draw(findings: Findings) -> bytes:
    """The chance of an episode that earns 1, over episodes: every seed, and the median."""
    figure, (axes,) = new_figure("Credit by return, and by immediate reward")
    for colour, line, (credit, runs) in zip(COLOURS, LINES, findings.learned.items(), strict=False):
        curves = np.stack([run.chance_right for run in runs])
        axes.plot(curves.T, color=colour, alpha=0.2, linewidth=0.8)
        axes.plot(np.median(curves, axis=0), line, color=colour, linewidth=2.5, label=f"credit: {credit}")
    axes.set(xlabel="episode", ylabel="chance of earning the reward", ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return png(figure)


def print_report(findings: Findings) -> None:
    """Every episode there is, the log's first episodes, and what the learners ended with."""
    out, settings, learned = console(), findings.settings, findings.learned
    out.print("Loop C (learning): two steps, and reward only at the end\n")
    out.print("The four episodes there are, and what the scorer gives them:")
    rows = table("step one", "step two", ">reward")
    for (begin, number), reward in np.ndenumerate(reward_table()):
        rows.add_row(f"`{BEGINNINGS[begin]}`", f"`{NUMBERS[number]}`", f"{reward:g}")
    out.print(rows)
    out.print(f"\nCredit by return, the first episodes of {settings.episodes}:")
    for row in learned["return"][0].log[: HORIZON * SHOWN_EPISODES]:
        out.print(story(row))
    out.print()
    columns = ("credit by", ">P(`Final: `) at step one", ">P(323) after `Final: `", ">chance of the reward")
    title = f"After {settings.episodes} episodes, over {settings.seeds} seeds: lowest to highest"
    rows = table(*columns, title=title)
    for credit, learners in learned.items():
        ends = [(end.policy[0, 0], end.policy[1, 0], end.chance_right[-1]) for end in learners]
        rows.add_row(credit, *(f"{min(values):.3f} to {max(values):.3f}" for values in zip(*ends, strict=True)))
    out.print(rows)
    notice(
        "Step one is never paid when it is taken. By its return it learns all the same, because the reward at the end "
        "is credited to every step that led there.",
        "By its immediate reward step one is given 0 in every episode, so its probabilities never move: it stays at "
        "one half, and the policy earns the reward only when it happens to begin well.",
        "A language model is this with more steps: one reward after the last token, credited to each token before it. "
        "The longer the horizon, the more tokens share one number, and the noisier what each of them learns from it.",
    )


def main() -> None:
    settings = parse("course.toy_mdp", "Loop C: delayed reward and credit.", Settings)
    findings = run(settings)
    firsts = {credit: learners[0] for credit, learners in findings.learned.items()}
    texts: list[str] = []
    rows: list[dict[str, Any]] = []
    for credit, first in firsts.items():
        texts.append(f"credit by {credit}, seed {settings.seed}; horizon {HORIZON}, reward only after the last step")
        texts.extend(map(story, first.log))
        rows.extend({"credit_by": credit, **row} for row in first.log)
    saved = save_experiment(
        settings,
        experiment="toy_mdp",
        loop="C",
        knob="policy",
        settings={name: getattr(settings, name) for name in ("episodes", "learning_rate", "seed", "seeds")},
        summary={
            **{f"chance_right_by_{credit}": float(first.chance_right[-1]) for credit, first in firsts.items()},
            **{f"first_step_by_{c}": [float(end.policy[0, 0]) for end in findings.learned[c]] for c in CREDITS},
        },
        files={"toy_mdp_log.txt": ("\n".join(texts) + "\n").encode(), "toy_mdp_log.jsonl": to_json_lines(rows)},
        picture=draw(findings),
    )
    print_report(findings)
    saved.close("python -m course.token_inspect")


if __name__ == "__main__":
    run_command(main)
