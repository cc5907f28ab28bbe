"""Loop C on a real language model: watch π0 learn from nothing but rewards.

    python -m course.policy.train
    python -m course.policy.train --rubric tolerant --steps 96
    python -m course.policy.train --rubric tolerant --steps 96 --beta 0.1
    python -m course.policy.train --rubric patched             your own rubric, in notes/patch.py
    python -m course.policy.train --holdout

The algorithm is `course/policy/reinforce.py`, to be read from top to bottom. This command runs it once, measures on
dev while it learns, and keeps the learned policy as a checkpoint. The holdout is measured only with --holdout, once, at
the end. The strict scorer is a rubric like the others here, and the default. A run that was stopped resumes when the
command is typed again.
"""

from dataclasses import asdict, dataclass
from typing import Any

from course.core.command_line import DONE, parse, run_command
from course.core.display import console, notice, percent, table
from course.core.experiment import SavedRun
from course.core.figures import COLOURS, new_figure, png
from course.core.scoring import STRICT
from course.policy.core.experiment import Experiment, ExperimentOptions, open_experiment
from course.policy.core.learning import Learned, Settings, Show, State, measure
from course.policy.reinforce import train_step
from course.rubrics import RUBRICS

NAME = "reinforce"


@dataclass(frozen=True)
class Findings:
    """What learning brought: the learned policy, and how it does on problems that it never met."""

    settings: Settings
    learned: Learned
    holdout: dict[str, Any] | None


def run(experiment: Experiment, settings: Settings, show: Show | None = None) -> Findings:
    """Learn, seen in a live view unless there is another `show`; then look at the holdout once, if asked."""
    learned = experiment.learn(train_step, settings, show)
    policies = learned.policy, learned.reference, learned.tokenizer
    how = settings.rubric, settings.seed, learned.state.step
    holdout = measure(*policies, experiment.holdout, *how)[0] if experiment.holdout else None
    return Findings(settings, learned, holdout)


def draw(settings: Settings, state: State) -> bytes:
    """Both rewards and the KL over the steps."""
    log, measured = state.log, state.measured
    title = f"REINFORCE on π0: rubric {settings.rubric}, beta {settings.beta:g}, seed {settings.seed}"
    figure, (left, right) = new_figure(title, panels=2, width=10)
    steps = [row["step"] for row in measured]
    earned = [row["reward"] for row in log]
    left.plot([row["step"] for row in log], earned, color="#BBBBBB", lw=1, label="reward, train")
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


def save(experiment: Experiment, findings: Findings) -> SavedRun:
    """Write the run: the logs, the picture and the learned policy."""
    learned, holdout = findings.learned, findings.holdout
    measured = learned.state.measured
    return experiment.save(
        asdict(findings.settings),
        {"first": measured[0], "last": measured[-1], **({"holdout": holdout} if holdout else {})},
        {"reinforce_log.jsonl": learned.state.log, "measurements.jsonl": measured},
        draw(findings.settings, learned.state),
        policies={"policy": learned.policy},
    )


def print_report(findings: Findings) -> None:
    """What changed, on dev and, if it was asked for, on the holdout."""
    out, settings, state = console(), findings.settings, findings.learned.state
    first, last = state.measured[0], state.measured[-1]
    out.print(f"\n{settings.steps} steps, {state.seconds:.0f} s of learning")
    proxy = [] if settings.rubric == STRICT else [f">{settings.rubric}"]
    rows = table("", ">strict pass@1", *proxy, ">KL from π0")
    for name, row in (("dev, before", first), ("dev, after", last), ("holdout, after, once", findings.holdout)):
        if row is None:
            continue
        fraction = f"{round(row['strict'] * row['prompts'])}/{row['prompts']} = {percent(row['strict'])}"
        rows.add_row(name, fraction, *[percent(row["proxy"])] * len(proxy), f"{row['kl']:.3f}")
    out.print(rows)
    codes = sorted(last["codes"].items(), key=lambda item: (-item[1], item[0]))
    now = f"What it says now, by code: {', '.join(f'{code} {count}' for code, count in codes[:5])}."
    if settings.rubric == STRICT:
        notice(
            "This is a learning improvement: one fresh sample of the new policy passes more often, on problems that it "
            "never trained on. Nobody showed it a right answer; it was only paid.",
            now,
        )
    else:
        weak = RUBRICS.get(settings.rubric)
        notice(
            f"It was paid by `{settings.rubric}`, {f'whose hole is: {weak.hole}' if weak else 'your own rubric'}.",
            "What it was paid for and what was wanted are two curves. Look where they part.",
            now,
        )


def main() -> int:
    settings, options = parse("course.policy.train", "Loop C: REINFORCE on π0.", Settings(), ExperimentOptions)
    with open_experiment(NAME, options, settings) as experiment:
        console().print(f"Loop C (learning): REINFORCE on π0, reward by {settings.rubric}, beta {settings.beta:g}")
        findings = run(experiment, settings)
        saved = save(experiment, findings)
    print_report(findings)
    sample = "python -m course.policy.sample --policy {run}/policy --dataset data/datasets/math_dev.jsonl"
    saved.close(f"{sample} --out runs/learned.jsonl")
    return DONE


if __name__ == "__main__":
    run_command(main)
