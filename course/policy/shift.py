"""Distribution shift, measured: what frozen rollouts of π0 tell about the policy that π0 has become.

    python -m course.policy.shift
    python -m course.policy.shift --rubric strict

Before learning, π0 answers every dev prompt sixteen times, and those rollouts are kept. While the policy learns, its
strict pass@1 is estimated from them in two ways and held against fresh samples:

- *as they are*: the snapshot's own pass rate, which cannot change;
- *reweighted*: each frozen completion counts by how much likelier it has become, π(completion) / π0(completion)
  (importance sampling, self-normalised for each prompt). Its *effective samples*, (Σw)² / Σw² (Kish 1965), say how many
  of the sixteen still speak.

And the failures: how much of what the policy says now, and which codes, the snapshot never saw. No reweighting can
find out about those.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.command_line import DONE, run_command
from course.core.datasets import Dataset
from course.core.display import console, notice, percent, table
from course.core.figures import COLOURS, new_figure, png
from course.core.files import to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter
from course.policy.core.experiment import add_options, ask, mean, open_experiment, settings_of, stoppable, watch
from course.policy.core.model import Policy
from course.policy.core.sampling import BATCH, load_checkpoint, rng_for
from course.policy.reinforce import ScoredCompletion, Settings, distinct, logprobs, roll_out, score_completions

DEFAULT = Settings(rubric="tolerant", steps=48)
FROZEN = 16  # samples of each prompt in the snapshot
LIVE = 4  # fresh samples of each prompt at every measurement


def reweighted(ratios: Tensor, rewards: Tensor) -> tuple[float, float]:
    """The snapshot's estimate of today's mean reward, and the effective samples behind it, averaged over prompts.

    `ratios` are log π - log π0 of the frozen completions, (prompts, samples), like `rewards`.
    """
    weights = (ratios - ratios.max(dim=1, keepdim=True).values).exp()
    total = weights.sum(dim=1)
    estimate = (weights * rewards).sum(dim=1) / total
    effective = total.square() / weights.square().sum(dim=1)
    return estimate.mean().item(), effective.mean().item()


class Snapshot:
    """Rollouts of a policy, kept; and what they say of another one."""

    def __init__(self, policy: Policy, tokenizer: Tokenizer, dataset: Dataset, rubric: str, seed: int) -> None:
        self.tokenizer, self.dataset, self.rubric, self.seed = tokenizer, dataset, rubric, seed
        examples = list(dataset.examples.values())
        rollouts = roll_out(policy, tokenizer, examples, FROZEN, rng_for(seed, "frozen"))
        self.said = score_completions(examples, rollouts.texts, rubric)
        firsts, self.of_sample = distinct(rollouts, FROZEN)
        self.different = rollouts.rows(firsts)
        self.logs = self.logprobs(policy)
        self.seen = {(one.example["id"], one.text) for one in self.said}
        self.codes = {one.code for one in self.said}

    def logprobs(self, policy: Policy) -> Tensor:
        """log π of each different frozen completion."""
        places = range(len(self.different.texts))
        parts = [self.different.rows(places[first : first + BATCH]) for first in places[::BATCH]]
        with torch.no_grad():
            return torch.cat([logprobs(policy, part).sum(dim=1) for part in parts])

    def against(self, policy: Policy, step: int) -> dict[str, Any]:
        """The snapshot's estimates of a policy beside what the policy says when it is asked."""
        rewards = torch.tensor([one.strict for one in self.said]).view(-1, FROZEN)
        ratios = (self.logprobs(policy) - self.logs)[self.of_sample].view(-1, FROZEN)
        estimate, effective = reweighted(ratios, rewards)
        live = ask(policy, self.tokenizer, self.dataset, self.rubric, LIVE, self.seed, "live", step)
        unseen = [one for one in live if (one.example["id"], one.text) not in self.seen]
        return {
            "live": mean(one.strict for one in live),
            "frozen": mean(one.strict for one in self.said),
            "reweighted": estimate,
            "effective_samples": effective,
            "unseen": len(unseen) / len(live),
            "unseen_failures": sum(one.strict == 0 for one in unseen) / max(1, sum(one.strict == 0 for one in live)),
            "live_codes": counted(live),
            "new_codes": sorted({one.code for one in live} - self.codes),
        }


def counted(said: Sequence[ScoredCompletion]) -> dict[str, int]:
    return dict(sorted(Counter(one.code for one in said).items()))


def draw(rows: Sequence[Mapping[str, Any]], settings: Settings) -> bytes:
    """The estimates beside the truth, and how much of the present the snapshot has seen."""
    figure, (left, right) = new_figure(
        f"What frozen rollouts of π0 say of the learning policy: rubric {settings.rubric}, seed {settings.seed}", 2, 10
    )
    steps = [row["step"] for row in rows]
    for name, line, label in (
        ("live", "s-", "live: fresh samples"),
        ("frozen", "o--", "frozen, as they are"),
        ("reweighted", "^:", "frozen, reweighted"),
    ):
        left.plot(steps, [row[name] for row in rows], line, label=label, color=COLOURS["lfr".index(name[0])])
    left.set(xlabel="step", ylabel="strict pass@1, dev", ylim=(0, 1), title="Two estimates and the truth")
    left.legend(fontsize=8)
    right.plot(steps, [row["unseen"] for row in rows], "s-", color=COLOURS[3], label="completions never seen")
    right.plot(steps, [row["unseen_failures"] for row in rows], "o--", color=COLOURS[4], label="failures never seen")
    effective = [row["effective_samples"] / FROZEN for row in rows]
    right.plot(steps, effective, "^:", color=COLOURS[5], label=f"effective samples / {FROZEN}")
    right.set(xlabel="step", ylabel="share", ylim=(0, 1.02), title="What the snapshot knows of today")
    right.legend(fontsize=8)
    return png(figure)


def report(rows: Sequence[Mapping[str, Any]], frozen: Mapping[str, int]) -> None:
    """The table over the steps, the codes then and now, and what to notice."""
    out = console()
    shown = table(
        ">step", ">live", ">frozen", ">reweighted", f">effective of {FROZEN}", ">unseen", ">of failures", "new codes"
    )
    for row in rows:
        rates = [percent(row[name]) for name in ("live", "frozen", "reweighted")]
        unseen = [percent(row[name]) for name in ("unseen", "unseen_failures")]
        shown.add_row(
            str(row["step"]), *rates, f"{row['effective_samples']:.1f}", *unseen, ", ".join(row["new_codes"]) or "-"
        )
    out.print()
    out.print(shown)
    last = rows[-1]
    out.print("\nBy code, share of completions:")
    codes = table("code", ">snapshot", ">live, at the end")
    then, now = sum(frozen.values()), sum(last["live_codes"].values())
    names = sorted({*frozen, *last["live_codes"]}, key=lambda name: (-last["live_codes"].get(name, 0), name))
    for name in names:
        codes.add_row(name, percent(frozen.get(name, 0) / then), percent(last["live_codes"].get(name, 0) / now))
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


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.shift", description="Distribution shift, measured.")
    add_options(parser, DEFAULT, *(name for name in asdict(DEFAULT) if name != "noise"))
    args = parser.parse_args()
    experiment, settings = open_experiment("shift", args), settings_of(args, DEFAULT)
    out = console()
    out.print(f"Loop C (learning): π0 paid by `{settings.rubric}`, beside {FROZEN} frozen samples of each dev prompt")
    snapshot = Snapshot(*load_checkpoint(experiment.start), experiment.dev, settings.rubric, settings.seed)
    with watch(settings) as show:
        learned = experiment.learn(settings, show, snapshot.against)
    rows, frozen = learned.state.measured, counted(snapshot.said)
    picture = draw(rows, settings)
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("measurements.jsonl", to_json_lines(rows))
        run.write("shift.png", picture)
        summary = {"loop": "C", "frozen_codes": frozen, "frozen_samples": FROZEN, "first": rows[0], "last": rows[-1]}
        run.write(SUMMARY, to_pretty_json(summary))
        folder = run.finish(experiment.manifest(args, asdict(settings)), {"seconds_of_learning": learned.state.seconds})
    experiment.forget()
    report(rows, frozen)
    experiment.point_to(folder)
    return DONE


if __name__ == "__main__":
    run_command(main)
