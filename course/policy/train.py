"""Loop C on a real language model: watch π0 learn from nothing but rewards.

    python -m course.policy.reinforce
    python -m course.policy.reinforce --rubric tolerant --steps 96
    python -m course.policy.reinforce --rubric tolerant --steps 96 --beta 0.1

The algorithm stands in `course/policy/learner.py`, to be read from top to bottom. This command runs it once, measures
on dev by the way and on the holdout once, at the end, and keeps the learned policy as a checkpoint. The strict scorer
is a rubric like the others here, and the default. A run that was stopped goes on when the command is typed again.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course.core.command_line import DONE, run_command
from course.core.display import console, notice, percent, table, typed
from course.core.figures import COLOURS, new_figure, png
from course.core.files import to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, earlier_looks, looks_line
from course.policy.core.experiment import add_options, keep_policy, open_experiment, settings_of, stoppable, watch
from course.policy.reinforce import STRICT, Settings, measure
from course.rubrics import RUBRICS


def draw(measured: Sequence[Mapping[str, Any]], log: Sequence[Mapping[str, float]], settings: Settings) -> bytes:
    """Both rewards and the KL over the steps."""
    figure, (left, right) = new_figure(
        f"REINFORCE on π0: rubric {settings.rubric}, beta {settings.beta:g}, seed {settings.seed}", panels=2, width=10
    )
    steps = [row["step"] for row in measured]
    left.plot(
        [row["step"] for row in log], [row["reward"] for row in log], color="#BBBBBB", lw=1, label="reward, train"
    )
    if settings.rubric != STRICT:
        left.plot(steps, [row["proxy"] for row in measured], "o-", color=COLOURS[0], label=f"{settings.rubric}, dev")
    left.plot(steps, [row["strict"] for row in measured], "s-", color=COLOURS[2], label="strict pass@1, dev")
    left.set(xlabel="step", ylabel="reward", ylim=(0, 1.02), title="What it earns")
    left.legend(fontsize=8)
    right.plot(steps, [row["kl"] for row in measured], "o-", color=COLOURS[3], label="summed over the vocabulary")
    right.plot(steps, [row["k3"] for row in measured], "x:", color="#888888", label="k3, from the sampled tokens alone")
    right.set(xlabel="step", ylabel="KL from π0 (nats a completion)", title="How far it went")
    right.legend(fontsize=8)
    return png(figure)


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.reinforce", description="Loop C: REINFORCE on π0.")
    add_options(parser, Settings(), *asdict(Settings()))
    args = parser.parse_args()
    experiment, settings = open_experiment("reinforce", args), settings_of(args, Settings())
    out = console()
    out.print(f"Loop C (learning): REINFORCE on π0, reward by {settings.rubric}, beta {settings.beta:g}")
    with watch(settings) as show:
        learned = experiment.learn(settings, show)
    state = learned.state
    looks = earlier_looks(experiment.holdout.prompts_sha256, args.runs_dir)
    policies = learned.policy, learned.reference, learned.tokenizer
    holdout = measure(*policies, experiment.holdout, settings.rubric, settings.seed, state.step)
    picture = draw(state.measured, state.log, settings)
    if args.plot:
        write_whole(args.plot, picture)
    first, last = state.measured[0], state.measured[-1]
    with RunWriter(args.runs_dir) as run:
        run.write("reinforce_log.jsonl", to_json_lines(state.log))
        run.write("measurements.jsonl", to_json_lines(state.measured))
        run.write("reinforce.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "C", "first": first, "last": last, "holdout": holdout}))
        manifest = experiment.manifest(args, asdict(settings))
        manifest["policy"]["learned"] = keep_policy(run, "policy", learned.policy, learned.tokenizer)
        manifest["looked_at"] = [experiment.holdout.prompts_sha256]
        folder = run.finish(manifest, {"seconds_of_learning": state.seconds})
    experiment.forget()
    report(folder, first, last, holdout, settings, state.seconds)
    if experiment.holdout.split == "holdout":
        out.print(looks_line(looks))
    return DONE


def report(
    folder: Path,
    first: Mapping[str, Any],
    last: Mapping[str, Any],
    holdout: Mapping[str, Any],
    settings: Settings,
    seconds: float,
) -> None:
    """What changed, on dev and on the holdout, and what to type next."""
    out = console()
    out.print(f"\n{settings.steps} steps, {seconds:.0f} s of learning")
    proxy = [] if settings.rubric == STRICT else [f">{settings.rubric}"]
    rows = table("", ">strict pass@1", *proxy, ">KL from π0")
    for name, row in (("dev, before", first), ("dev, after", last), ("holdout, after, once", holdout)):
        fraction = f"{round(row['strict'] * row['prompts'])}/{row['prompts']} = {percent(row['strict'])}"
        rows.add_row(name, fraction, *[percent(row["proxy"])] * len(proxy), f"{row['kl']:.3f}")
    out.print(rows)
    codes = sorted(last["codes"].items(), key=lambda item: (-item[1], item[0]))
    now = f"What it says now, by code: {', '.join(f'{code} {many}' for code, many in codes[:5])}."
    if settings.rubric == STRICT:
        notice(
            "This is a learning improvement: one fresh sample of the new policy passes more often, on problems that it "
            "never trained on. Nobody showed it a right answer; it was only paid.",
            now,
        )
    else:
        notice(
            f"It was paid by `{settings.rubric}`, whose hole is: {RUBRICS[settings.rubric].hole}.",
            "What it was paid for and what was wanted are two curves. Look where they part.",
            now,
        )
    out.print(f"\nRun written to {folder}; look at {folder / 'reinforce.png'}")
    sample = (
        f"python -m course.policy.sample --policy {typed(folder / 'policy')} --dataset data/datasets/math_dev.jsonl"
    )
    out.print(f"Next: {sample} --out runs/learned.jsonl")


if __name__ == "__main__":
    run_command(main)
