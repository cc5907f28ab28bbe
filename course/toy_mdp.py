"""Credit assignment in the smallest sequence there is: two steps, two actions each, reward only at the end.

    python -m course.toy_mdp
    python -m course.toy_mdp --horizon 4

A completion is written in two moves. Step one chooses how to begin, `Final: ` or `The answer is `; step two chooses
the number, the right one or a wrong one. Only the finished text is scored, so step one earns nothing when it is taken,
and yet decides whether any reward can be had. Two learners draw the same random numbers: one credits every step with
the *return*, all the reward from there to the end; the other with the *immediate* reward of that step alone. With a
longer horizon the number, too, is written piece by piece.

What it simplifies: a language model takes dozens of such steps, over a vocabulary of thousands.

Shapes: S learners, one for each seed, side by side; H steps; N = 2^H - 1 states, the texts so far.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from course.core.bandit import RUNNING_RATE, log_prob_gradient, softmax
from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import to_json_lines
from course.score import score

EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
BEGINNINGS = ("Final: ", "The answer is ")
PIECES = {  # by horizon: what each step chooses from, the right piece first
    2: (BEGINNINGS, ("323", "324")),
    3: (BEGINNINGS, ("3", "4"), ("23", "24")),
    4: (BEGINNINGS, ("3", "4"), ("2", "3"), ("3", "4")),
}
CREDITS = ("return", "immediate")
NUMBERS = ("one", "two", "three", "four")
SHOWN_EPISODES = 6


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    horizon: int = option(2, "steps in which a completion is written", at_least=2, at_most=4)
    episodes: int = option(400, "episodes for each learner", at_least=1)
    learning_rate: float = option(0.5, "size of an update", above=0)
    seed: int = option(0, "of the sampled actions", at_least=0)
    seeds: int = option(20, "how many seeds the picture is drawn from", at_least=1)


@dataclass(frozen=True)
class Tree:
    """Every text on the way, from the empty one (0): action a leads from text n to text 2n + 1 + a."""

    texts: list[str]  # the N states, then the 2^H finished ones
    rewards: np.ndarray  # of each text: nothing is scored until it is finished
    actions: list[tuple[str, str]]  # of each state


@dataclass(frozen=True)
class Learned:
    """What became of the learners that credit a step in one way."""

    log: list[dict[str, Any]]  # of the first seed: a row for each step of each episode
    policy: np.ndarray  # (S, N, 2), at the end
    chance_right: np.ndarray  # (S, episodes): the exact chance, after each, that the policy's completion earns 1


@dataclass(frozen=True)
class Findings:
    """The learners by the way that they credit a step."""

    settings: Settings
    tree: Tree
    learned: dict[str, Learned]


def run(settings: Settings) -> Findings:
    """The learners of both kinds; those of one seed see the same random numbers."""
    tree, seeds = grow(settings.horizon), [(settings.seed, number) for number in range(settings.seeds)]
    how = (settings.episodes, settings.learning_rate, seeds)
    return Findings(settings, tree, {credit: learn(credit, tree, *how) for credit in CREDITS})


def grow(horizon: int) -> Tree:
    """The tree of a horizon: 2^H calls of the scorer."""
    texts, actions, last = [""], list[tuple[str, str]](), [""]
    for pieces in PIECES[horizon]:
        actions += [pieces] * len(last)
        last = [text + piece for text in last for piece in pieces]
        texts += last
    return Tree(texts, np.array([0.0] * len(actions) + [score(EXAMPLE, text)["reward"] for text in last]), actions)


def learn(
    credit: str, tree: Tree, episodes: int, learning_rate: float, seeds: Sequence[int | tuple[int, int]]
) -> Learned:
    """REINFORCE over all steps. Each step's baseline is the moving average of its own credit."""
    states, horizon = len(tree.actions), len(tree.actions).bit_length()
    uniform = np.stack([np.random.default_rng(seed).random((episodes, horizon)) for seed in seeds])
    learners = np.arange(len(seeds))
    theta, baselines = np.zeros((len(seeds), states, 2)), np.zeros((len(seeds), horizon))
    policy, chance_right = softmax(theta), np.empty((len(seeds), episodes))
    log: list[dict[str, Any]] = []
    for episode in range(episodes):
        path = np.zeros((len(seeds), horizon + 1), int)  # the texts that each learner passes through
        for step in range(horizon):
            second = uniform[:, episode, step] >= policy[learners, path[:, step], 0]
            path[:, step + 1] = 2 * path[:, step] + 1 + second
        at = (learners[:, None], path[:, :-1])
        actions, rewards = 1 - path[:, 1:] % 2, tree.rewards[path[:, 1:]]
        returns = rewards[:, ::-1].cumsum(axis=1)[:, ::-1]
        credits_ = returns if credit == "return" else rewards
        advantages, before = credits_ - baselines, policy
        theta[at] += learning_rate * advantages[..., None] * log_prob_gradient(policy[at], actions)
        policy = softmax(theta)
        columns = (actions, rewards, returns, credits_, baselines, advantages)
        log.extend(rows_of(tree, episode + 1, path[0].tolist(), [c[0].tolist() for c in columns], before[0], policy[0]))
        baselines = baselines + RUNNING_RATE * (credits_ - baselines)
        chance_right[:, episode] = expected_reward(policy, tree.rewards)
    return Learned(log, policy, chance_right)


def rows_of(
    tree: Tree, episode: int, path: list[int], columns: list[list[Any]], before: np.ndarray, after: np.ndarray
) -> Iterator[dict[str, Any]]:
    """A row of the log for each step of an episode, of one learner with policies (N, 2) before and after it."""
    for step, (action, reward, return_, credit, baseline, advantage) in enumerate(zip(*columns, strict=True)):
        state = path[step]
        yield {
            "episode": episode,
            "step": step + 1,
            "state": tree.texts[state],
            "action": tree.actions[state][action],
            "reward": reward,
            "return": return_,
            "credit": credit,  # what the step's update is given before the baseline is taken off
            "baseline": baseline,
            "advantage": advantage,
            "prob": float(before[state, action]),
            "prob_after": float(after[state, action]),
        }


def expected_reward(policy: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """The exact mean reward (S,) of policies (S, N, 2), from the finished texts back to the empty one."""
    values, first = rewards[policy.shape[1] :], policy.shape[1]
    while first:
        last, first = first, first // 2
        values = (policy[:, first:last] * values.reshape(*values.shape[:-1], -1, 2)).sum(axis=-1)
    return np.asarray(values[:, 0])


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
    for colour, line, (credit, learned) in zip(COLOURS, LINES, findings.learned.items(), strict=False):
        curves = learned.chance_right
        axes.plot(curves.T, color=colour, alpha=0.2, linewidth=0.8)
        axes.plot(np.median(curves, axis=0), line, color=colour, linewidth=2.5, label=f"credit: {credit}")
    axes.set(xlabel="episode", ylabel="chance of earning the reward", ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return png(figure)


def print_report(findings: Findings) -> None:
    """Every episode there is, the log's first episodes, and what the learners ended with."""
    out, settings, tree, learned = console(), findings.settings, findings.tree, findings.learned
    horizon = settings.horizon
    out.print(f"Loop C (learning): {NUMBERS[horizon - 1]} steps, and reward only at the end\n")
    out.print(f"The {2**horizon} episodes there are, and what the scorer gives them:")
    rows = table(*(f"step {number}" for number in NUMBERS[:horizon]), ">reward")
    for pieces, reward in zip(product(*PIECES[horizon]), tree.rewards[-(2**horizon) :], strict=True):
        rows.add_row(*(f"`{piece}`" for piece in pieces), f"{reward:g}")
    out.print(rows)
    out.print(f"\nCredit by return, the first episodes of {settings.episodes}:")
    for row in learned["return"].log[: horizon * SHOWN_EPISODES]:
        out.print(story(row))
    out.print()
    title, columns, ends = ends_of(findings)
    rows = table(*columns, title=title)
    for end in ends:
        rows.add_row(*end)
    out.print(rows)
    notice(*lessons(findings))


def ends_of(findings: Findings) -> tuple[str, list[str], list[list[str]]]:
    """What the learners ended with, as a table: its title, its columns, and a row for each way to credit a step."""
    settings, tree = findings.settings, findings.tree
    title = f"After {settings.episodes} episodes, over {settings.seeds} seeds: lowest to highest"
    right = [2**step - 1 for step in range(settings.horizon)]  # the states on the way to the reward
    later = [f">P({tree.actions[state][0]}) after `{tree.texts[state]}`" for state in right[1:]]
    rows = []
    for credit, end in findings.learned.items():
        values = (*end.policy[:, right, 0].T, end.chance_right[:, -1])
        rows.append([credit, *(f"{value.min():.3f} to {value.max():.3f}" for value in values)])
    return title, ["credit by", ">P(`Final: `) at step one", *later, ">chance of the reward"], rows


def lessons(findings: Findings) -> Iterator[str]:
    """What to notice."""
    horizon = findings.settings.horizon
    yield (
        "Step one is never paid when it is taken. By its return it can learn all the same, because the reward at the "
        "end is credited to every step that led there."
    )
    yield (
        "By its immediate reward step one is given 0 in every episode, so its probabilities never move: it stays at "
        "one half, and the policy earns the reward only when it happens to begin well."
    )
    if horizon > 2:
        median = np.median(findings.learned["return"].chance_right, axis=0)
        passed = (
            f"after {(median > 0.5).argmax() + 1} episodes" if (median > 0.5).any() else "in none of these episodes"
        )
        yield (
            f"Chance alone earns the reward in one episode of {2**horizon}, at horizon 2 in one of 4, so at first there"
            f" is less to learn from: by return the median seed passes one half {passed}. By immediate reward only the "
            f"last step learns, and no seed passes one in {2 ** (horizon - 1)}."
        )
    yield (
        "A language model is this with more steps: one reward after the last token, credited to each token before it. "
        "The longer the horizon, the more tokens share one number, and the noisier what each of them learns from it."
    )


def main() -> None:
    settings = parse("course.toy_mdp", "Loop C: delayed reward and credit.", Settings)
    findings = run(settings)
    horizon, learned = settings.horizon, findings.learned
    texts: list[str] = []
    rows: list[dict[str, Any]] = []
    for credit, learners in learned.items():
        texts.append(f"credit by {credit}, seed {settings.seed}; horizon {horizon}, reward only after the last step")
        texts.extend(map(story, learners.log))
        rows.extend({"credit_by": credit, **row} for row in learners.log)
    saved = save_experiment(
        settings,
        experiment="toy_mdp",
        loop="C",
        knob="policy",
        settings={name: getattr(settings, name) for name in ("horizon", "episodes", "learning_rate", "seed", "seeds")},
        summary={
            **{f"chance_right_by_{credit}": float(ends.chance_right[0, -1]) for credit, ends in learned.items()},
            **{f"first_step_by_{credit}": ends.policy[:, 0, 0].tolist() for credit, ends in learned.items()},
        },
        files={"toy_mdp_log.txt": ("\n".join(texts) + "\n").encode(), "toy_mdp_log.jsonl": to_json_lines(rows)},
        picture=draw(findings),
    )
    print_report(findings)
    saved.close("python -m course.token_inspect")


if __name__ == "__main__":
    run_command(main)
