"""Distribution shift, measured: what frozen rollouts of π0 tell about the policy that π0 has become.

    python -m course.policy.shift
    python -m course.policy.shift --rubric strict

Before learning, π0 answers every dev prompt sixteen times, and those rollouts are kept. While the policy learns, its
strict pass@1 is estimated from them in two ways and held against fresh samples:

- *as they are*: the snapshot's own pass rate, which cannot change;
- *reweighted*: each frozen completion counts by how much likelier it has become, π(completion) / π0(completion)
  (importance sampling, self-normalised for each prompt). Its *effective samples*, (Σw)² / Σw² (Kish 1965), say how many
  of the sixteen still count.

And the failures: which share of today's completions, and which codes, the snapshot never held. Reweighting cannot show
those.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from course.core.command_line import DONE, parse, run_command
from course.core.display import console, notice, percent, table
from course.core.figures import COLOURS, new_figure, png
from course.policy.core.experiment import Experiment, ExperimentOptions, mean, open_experiment
from course.policy.core.learning import ScoredCompletion, Settings, counted, score_completions
from course.policy.core.model import Policy
from course.policy.core.rollouts import distinct, logprobs, roll_out
from course.policy.core.sampling import BATCH, load_checkpoint, rng_for
from course.policy.reinforce import train_step

DEFAULT = Settings(rubric="tolerant", steps=48)
FROZEN = 16  # samples of each prompt in the snapshot
LIVE = 4  # fresh samples of each prompt at every measurement


@dataclass(frozen=True)
class Findings:
    """The measurements, each with the snapshot's estimates beside the truth; and the snapshot's codes."""

    settings: Settings
    rows: list[dict[str, Any]]
    frozen_codes: dict[str, int]


def run(experiment: Experiment, settings: Settings) -> Findings:
    """Keep rollouts of π0, then learn, and hold their estimates against fresh samples at every measurement."""
    pi0, _ = load_checkpoint(experiment.options.policy)
    snapshot = Snapshot(experiment, pi0, settings)
    learned = experiment.learn(train_step, settings, extra=snapshot.against)
    return Findings(settings, learned.state.measured, counted(snapshot.completions))


class Snapshot:
    """Rollouts of a policy, kept; and their estimates of another one."""

    def __init__(self, experiment: Experiment, policy: Policy, settings: Settings) -> None:
        self.experiment, self.settings = experiment, settings
        examples = list(experiment.dev.examples.values())
        rollouts = roll_out(policy, experiment.tokenizer, examples, FROZEN, rng_for(settings.seed, "frozen"))
        self.completions = score_completions(examples, rollouts.texts, settings.rubric)
        firsts, self.of_sample = distinct(rollouts)
        self.different = rollouts.rows(firsts)
        self.logs = self.logprobs(policy)

    def logprobs(self, policy: Policy) -> Tensor:
        """log π of each different frozen completion."""
        places = range(len(self.different.texts))
        parts = [self.different.rows(places[first : first + BATCH]) for first in places[::BATCH]]
        with torch.no_grad():
            return torch.cat([logprobs(policy, part).sum(dim=1) for part in parts])

    def against(self, policy: Policy, step: int) -> dict[str, Any]:
        """The snapshot's estimates of a policy, beside what fresh samples of it show."""
        rewards = torch.tensor([frozen.strict for frozen in self.completions]).view(-1, FROZEN)
        ratios = (self.logprobs(policy) - self.logs)[self.of_sample].view(-1, FROZEN)
        estimate, effective = reweighted(ratios, rewards)
        stream = self.settings.seed, "live", step
        live = self.experiment.sample(policy, self.experiment.dev, self.settings.rubric, LIVE, stream)
        seen = {(frozen.example["id"], frozen.text) for frozen in self.completions}
        unseen = [fresh for fresh in live if (fresh.example["id"], fresh.text) not in seen]
        return {
            "live": mean(fresh.strict for fresh in live),
            "frozen": mean(frozen.strict for frozen in self.completions),
            "reweighted": estimate,
            "effective_samples": effective,
            "unseen": len(unseen) / len(live),
            "unseen_failures": failures(unseen) / max(1, failures(live)),
            "live_codes": counted(live),
            "new_codes": sorted({fresh.code for fresh in live} - {frozen.code for frozen in self.completions}),
        }


def reweighted(ratios: Tensor, rewards: Tensor) -> tuple[float, float]:
    """The snapshot's estimate of today's mean reward, and the effective samples behind it, averaged over prompts.

    `ratios` are log π - log π0 of the frozen completions, (prompts, samples), like `rewards`.
    """
    weights = (ratios - ratios.max(dim=1, keepdim=True).values).exp()
    total = weights.sum(dim=1)
    estimate = (weights * rewards).sum(dim=1) / total
    effective = total.square() / weights.square().sum(dim=1)
    return estimate.mean().item(), effective.mean().item()


def failures(completions: Sequence[ScoredCompletion]) -> int:
    return sum(completion.strict == 0 for completion in completions)


def draw(findings: Findings) -> bytes:
    """The estimates beside the truth, and how much of the present the snapshot has seen."""
    settings, rows = findings.settings, findings.rows
    title = f"What frozen rollouts of π0 say of the learning policy: rubric {settings.rubric}, seed {settings.seed}"
    figure, (left, right) = new_figure(title, 2, 10)
    curves = (
        (left, "live", 1, "s-", "live: fresh samples"),
        (left, "frozen", 1, "o--", "frozen, as they are"),
        (left, "reweighted", 1, "^:", "frozen, reweighted"),
        (right, "unseen", 1, "s-", "completions never seen"),
        (right, "unseen_failures", 1, "o--", "failures never seen"),
        (right, "effective_samples", FROZEN, "^:", f"effective samples / {FROZEN}"),
    )
    for (panel, name, unit, line, label), colour in zip(curves, COLOURS, strict=True):
        xs, ys = [row["step"] for row in rows], [row[name] / unit for row in rows]
        panel.plot(xs, ys, line, label=label, color=colour)
    left.set(xlabel="step", ylabel="strict pass@1, dev", ylim=(0, 1), title="Two estimates and the truth")
    right.set(xlabel="step", ylabel="share", ylim=(0, 1.02), title="What the snapshot knows of today")
    for panel in (left, right):
        panel.legend(fontsize=8)
    return png(figure)


def print_report(findings: Findings) -> None:
    """The table over the steps, the codes then and now, and what to notice."""
    out, rows, frozen = console(), findings.rows, findings.frozen_codes
    effective, unseen = f">effective of {FROZEN}", (">unseen", ">of failures")
    shown = table(">step", ">live", ">frozen", ">reweighted", effective, *unseen, "new codes")
    for row in rows:
        estimates = [percent(row[name]) for name in ("live", "frozen", "reweighted")]
        shares = [percent(row[name]) for name in ("unseen", "unseen_failures")]
        new_codes = ", ".join(row["new_codes"]) or "-"
        shown.add_row(str(row["step"]), *estimates, f"{row['effective_samples']:.1f}", *shares, new_codes)
    out.print()
    out.print(shown)
    last = rows[-1]
    live = last["live_codes"]
    out.print("\nBy code, share of completions:")
    codes = table("code", ">snapshot", ">live, at the end")
    then, now = sum(frozen.values()), sum(live.values())
    for name in sorted({*frozen, *live}, key=lambda name: (-live.get(name, 0), name)):
        codes.add_row(name, percent(frozen.get(name, 0) / then), percent(live.get(name, 0) / now))
    out.print(codes)
    worst = max(rows, key=lambda row: abs(row["reweighted"] - row["live"]))
    notice(
        f"As they are, the frozen rollouts say {percent(last['frozen'])} for ever; asked, the policy passes "
        f"{percent(last['live'])}. They are a measurement of π0 and of nobody else.",
        f"Reweighted, they were furthest from the truth at step {worst['step']}: {percent(worst['reweighted'])}, "
        f"where it was {percent(worst['live'])}. They can only speak of what they hold.",
        f"Of today's failures {percent(last['unseen_failures'])} are texts that the snapshot never held for "
        f"that prompt; at step 0, where both are π0, {percent(rows[0]['unseen_failures'])}.",
    )


def main() -> int:
    hidden = ("reward_flip_rate", "holdout")
    settings, options = parse("course.policy.shift", "Distribution shift.", DEFAULT, ExperimentOptions, hide=hidden)
    with open_experiment("shift", options, settings) as experiment:
        beside = f"beside {FROZEN} frozen samples of each dev prompt"
        console().print(f"Loop C (learning): π0 paid by `{settings.rubric}`, {beside}")
        findings = run(experiment, settings)
        rows, codes = findings.rows, findings.frozen_codes
        saved = experiment.save(
            asdict(settings),
            {"frozen_codes": codes, "frozen_samples": FROZEN, "first": rows[0], "last": rows[-1]},
            {"measurements.jsonl": rows},
            draw(findings),
        )
    print_report(findings)
    saved.close("python -m course.verify_run --run {run}")
    return DONE


if __name__ == "__main__":
    run_command(main)
