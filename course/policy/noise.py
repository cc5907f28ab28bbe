"""What a noisy reward does: flip a share of the rewards, and watch the same learner learn from what is left.

    python -m course.policy.noise
    python -m course.policy.noise --shares 0 0.2 0.45 --seeds 0 1 2 3

A reward r becomes 1 - r with chance f, whatever was said. On average that leaves (1 - 2f) · r + f: the offset f falls
out with the baseline, and the gradient shrinks by 1 - 2f while its noise grows. So noise of this kind slows learning
down, and at f = 0.5 nothing is left to learn from; it does not teach anything wrong. (A *hole* does: it is an error
that the policy can choose to make. See course.policy.goodhart.)
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from course.core.command_line import DONE, run_command
from course.core.display import console, notice, percent, table
from course.core.figures import COLOURS, LINES, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter
from course.policy.core.experiment import add_options, learn_each, mean, open_experiment, settings_of, stoppable
from course.policy.reinforce import Settings, State

DEFAULT = Settings(steps=24, measure_every=4)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
EARLY = 4  # first steps, whose gradients are compared: the policies of all shares are still much alike there
HALF = 0.5  # the rate whose first crossing is reported


def first_crossing(rows: Sequence[Mapping[str, Any]], rate: float) -> int | None:
    """The step of the first measurement at which strict pass@1 reached the rate; None if it never did."""
    return next((row["step"] for row in rows if row["strict"] >= rate), None)


def summary_of(share: float, states: Sequence[State]) -> dict[str, Any]:
    """One share of flipped rewards, over its seeds."""
    ends = [state.measured[-1]["strict"] for state in states]
    norms = [row["gradient_norm"] for state in states for row in state.log[:EARLY]]
    return {
        "noise": share,
        "signal": 1 - 2 * share,
        "strict": mean(ends),
        "strict_by_seed": ends,
        "crossing": [first_crossing(state.measured, HALF) for state in states],
        "gradient_norm": mean(norms),
    }


def draw(by_share: Mapping[float, Sequence[State]], seeds: Sequence[int]) -> bytes:
    """Learning curves: a thin line for each seed, a thick one for their mean."""
    figure, (panel,) = new_figure(f"π0 learns from rewards of which a share is flipped (seeds {list(seeds)})", 1, 8)
    for number, (share, states) in enumerate(by_share.items()):
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


def report(summaries: Sequence[Mapping[str, Any]], steps: int) -> None:
    """One row for each share, and what to notice."""
    out = console()
    rows = table(">flipped", ">signal 1 - 2f", f">strict after {steps} steps", ">by seed", f">steps to {percent(HALF)}")
    for row in summaries:
        by_seed = ", ".join(percent(rate) for rate in row["strict_by_seed"])
        crossing = ", ".join("never" if step is None else str(step) for step in row["crossing"])
        rows.add_row(percent(row["noise"]), f"{row['signal']:.1f}", percent(row["strict"]), by_seed, crossing)
    out.print()
    out.print(rows)
    least, most = (pick(summaries, key=lambda row: row["noise"]) for pick in (min, max))
    notice(
        f"With {percent(most['noise'])} flipped {steps} steps brought {percent(most['strict'])}, with "
        f"{percent(least['noise'])} {percent(least['strict'])}. "
        "A coin that lies at random delays; it has no side to take.",
        "Steps are counted to the measurement: between two of them nobody looked.",
    )


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.noise", description="Learning from noisy rewards.")
    names = (
        "rubric",
        "beta",
        "baseline",
        "steps",
        "prompts_per_step",
        "samples_per_prompt",
        "learning_rate",
        "measure_every",
    )
    add_options(parser, DEFAULT, *names)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="shares of flipped rewards")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    args = parser.parse_args()
    if len(set(args.shares)) < len(args.shares) or len(set(args.seeds)) < len(args.seeds):
        raise InputError("--shares and --seeds", "each value once")
    experiment, settings = open_experiment("noise", args), settings_of(args, DEFAULT)
    out = console()
    out.print(f"Loop C (learning): {len(args.shares)} shares of flipped rewards, {len(args.seeds)} seeds each")
    grid = [replace(settings, noise=share, seed=seed) for share in args.shares for seed in args.seeds]
    states = {(one.noise, one.seed): learned.state for one, learned in learn_each(experiment, grid)}
    by_share = {share: [states[share, seed] for seed in args.seeds] for share in args.shares}
    summaries = [summary_of(share, of_share) for share, of_share in by_share.items()]
    picture = draw(by_share, args.seeds)
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        for (share, seed), state in states.items():
            run.write(f"flipped_{share:g}_seed_{seed}.jsonl", to_json_lines(state.measured))
        run.write("noise.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "C", "shares": summaries}))
        manifest = experiment.manifest(args, {**asdict(settings), "shares": args.shares, "seeds": args.seeds})
        folder = run.finish(manifest, {"seconds_of_learning": sum(state.seconds for state in states.values())})
    experiment.forget()
    report(summaries, settings.steps)
    experiment.point_to(folder)
    return DONE


if __name__ == "__main__":
    run_command(main)
