"""What a noisy reward does: flip a share of the rewards, and watch the same learner learn from what is left.

    python -m course.policy.noise
    python -m course.policy.noise --shares 0 0.2 0.45 --seeds 0 1 2 3

A reward r becomes 1 - r with chance f, whatever the completion was. On average that leaves (1 - 2f) · r + f: the offset
f falls out with the baseline, and the gradient shrinks by 1 - 2f while its noise grows. So noise of this kind slows
learning down, and at f = 0.5 nothing is left to learn from; it does not teach anything wrong. (A *hole* does: it is an
error that the policy can choose to make. See course.policy.goodhart.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, notice, percent, table
from course.core.figures import COLOURS, LINES, new_figure, png
from course.policy.core.experiment import Experiment, ExperimentOptions, mean, open_experiment
from course.policy.core.learning import Settings, State
from course.policy.reinforce import train_step

DEFAULT = Settings(steps=24, measure_every=4)
EARLY = 4  # first steps, whose gradients are compared: the policies of all shares are still much alike there
HALF = 0.5  # the rate whose first crossing is reported


@dataclass(frozen=True, kw_only=True)
class NoiseOptions(ExperimentOptions):
    shares: tuple[float, ...] = option(
        (0.0, 0.1, 0.2, 0.3, 0.4), "shares of flipped rewards", at_least=0, at_most=1, distinct=True
    )
    seeds: tuple[int, ...] = option((0, 1, 2), "one policy for each, at every share", at_least=0, distinct=True)


@dataclass(frozen=True)
class Findings:
    """How each policy learned: for each share of flipped rewards, a state for each seed."""

    steps: int
    seeds: tuple[int, ...]
    states: dict[float, list[State]]
    summaries: list[dict[str, Any]]


def run(experiment: Experiment, settings: Settings, options: NoiseOptions) -> Findings:
    """Learn once for each share and seed; only the share differs."""
    grid = [replace(settings, reward_flip_rate=share, seed=seed) for share in options.shares for seed in options.seeds]
    states: dict[float, list[State]] = {share: [] for share in options.shares}
    for own, learned in experiment.learn_each(train_step, grid):
        states[own.reward_flip_rate].append(learned.state)
    summaries = [summary_of(share, of_share) for share, of_share in states.items()]
    return Findings(settings.steps, options.seeds, states, summaries)


def summary_of(share: float, states: Sequence[State]) -> dict[str, Any]:
    """One share of flipped rewards, over its seeds."""
    ends = [state.measured[-1]["strict"] for state in states]
    norms = [row["gradient_norm"] for state in states for row in state.log[:EARLY]]
    return {
        "reward_flip_rate": share,
        "signal": 1 - 2 * share,
        "strict": mean(ends),
        "strict_by_seed": ends,
        "crossing": [first_crossing(state.measured, HALF) for state in states],
        "gradient_norm": mean(norms),
    }


def first_crossing(rows: Sequence[Mapping[str, Any]], rate: float) -> int | None:
    """The step of the first measurement at which strict pass@1 reached the rate; None if it never did."""
    return next((row["step"] for row in rows if row["strict"] >= rate), None)


def draw(findings: Findings) -> bytes:
    """Learning curves: a thin line for each seed, a thick one for their mean."""
    seeds = list(findings.seeds)
    figure, (panel,) = new_figure(f"π0 learns from rewards of which a share is flipped (seeds {seeds})", 1, 8)
    for number, (share, states) in enumerate(findings.states.items()):
        colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        steps = [row["step"] for row in states[0].measured]
        curves = [[row["strict"] for row in state.measured] for state in states]
        for curve in curves:
            panel.plot(steps, curve, line, color=colour, lw=0.7, alpha=0.4)
        average = [mean(values) for values in zip(*curves, strict=True)]
        panel.plot(steps, average, line, color=colour, lw=2.4, label=f"{percent(share)} flipped")
    panel.set(xlabel="step", ylabel="strict pass@1, dev", ylim=(0, 1))
    panel.legend(fontsize=8, loc="upper left")
    return png(figure)


def print_report(findings: Findings) -> None:
    """One row for each share, and what to notice."""
    out, steps, summaries = console(), findings.steps, findings.summaries
    rows = table(">flipped", ">signal 1 - 2f", f">strict after {steps} steps", ">by seed", f">steps to {percent(HALF)}")
    for row in summaries:
        by_seed = ", ".join(percent(rate) for rate in row["strict_by_seed"])
        crossing = ", ".join("never" if step is None else str(step) for step in row["crossing"])
        flipped, strict = percent(row["reward_flip_rate"]), percent(row["strict"])
        rows.add_row(flipped, f"{row['signal']:.1f}", strict, by_seed, crossing)
    out.print()
    out.print(rows)
    least, most = (pick(summaries, key=lambda row: row["reward_flip_rate"]) for pick in (min, max))
    notice(
        f"With {percent(most['reward_flip_rate'])} flipped {steps} steps brought {percent(most['strict'])}, with "
        f"{percent(least['reward_flip_rate'])} {percent(least['strict'])}. "
        "Random flips slow learning down; they favour no answer over another.",
        f"Steps are counted to the first measurement of at least {percent(HALF)}; what lies between two is not known.",
    )


def main() -> int:
    hidden = ("reward_flip_rate", "seed", "holdout")
    settings, options = parse("course.policy.noise", "Learning from noisy rewards.", DEFAULT, NoiseOptions, hide=hidden)
    with open_experiment("noise", options, settings) as experiment:
        shares, seeds = len(options.shares), len(options.seeds)
        console().print(f"Loop C (learning): {shares} shares of flipped rewards, {seeds} seeds each")
        findings = run(experiment, settings, options)
        saved = experiment.save(
            {**asdict(settings), "shares": options.shares, "seeds": options.seeds},
            {"shares": findings.summaries},
            {
                f"flipped_{share:g}_seed_{seed}.jsonl": state.measured
                for share, states in findings.states.items()
                for seed, state in zip(options.seeds, states, strict=True)
            },
            draw(findings),
        )
    print_report(findings)
    saved.close("python -m course.verify_run --run {run}")
    return DONE


if __name__ == "__main__":
    run_command(main)
