"""Three ways to spend the same samples: best-of-N, fine-tuning on the best, and REINFORCE, from the same π0.

    python -m course.policy.three_ways

Each way may sample as many completions as the others and have them scored by the strict scorer:

- *best of N* (Loop B) changes no policy. It spends its samples when it is asked: N for each prompt, of which a right
  one is returned if there is one. The scorer, and so the right answer, must be at hand then.
- *fine-tuning on the best* (rejection sampling; Yuan et al. 2023) samples from π0, keeps what was right, and makes that
  likelier: the loss of REINFORCE with advantage 1 for what passed and 0 for the rest, on samples that stay π0's.
- *REINFORCE* (Loop C) samples from the policy as it is now, and pushes down what is worse than its neighbours too.

Both learners make the same number of updates, and answer with one sample. All are measured on dev, and on the holdout
once.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from tokenizers import Tokenizer

from course.core.command_line import DONE, run_command
from course.core.datasets import Dataset, Example
from course.core.display import console, notice, p_value, percent, progress, table
from course.core.figures import COLOURS, new_figure, png
from course.core.files import to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter, earlier_looks, looks_line
from course.core.stats import SIGNIFICANT, Counts, mean_pass_at_k, paired, rate_interval
from course.policy.core.experiment import (
    add_options,
    ask,
    counts_of,
    keep_policy,
    mean,
    open_experiment,
    settings_of,
    stoppable,
    watch,
)
from course.policy.core.model import Policy
from course.policy.core.sampling import load_checkpoint, rng_for
from course.policy.reinforce import (
    STRICT,
    Rollouts,
    Settings,
    distinct,
    gradient_step,
    kl_from_reference,
    prompts_of_step,
    roll_out,
    score_completions,
)

DEFAULT = Settings()
N = 8  # best of so many
ASKED = 8  # answers to each prompt when a way is measured
BEST, TUNED, LEARNED = f"best of {N}", "fine-tuned on the best", "REINFORCE"


@dataclass(frozen=True)
class Measured:
    """How one way does on one split."""

    way: str
    split: str
    counts: dict[str, Counts]
    kl: float

    def row(self) -> dict[str, Any]:
        """As the summary holds it."""
        counts = list(self.counts.values())
        return {
            "way": self.way,
            "split": self.split,
            "samples": sum(n for n, _ in counts),
            "passes": sum(c for _, c in counts),
            "pass_at_1": mean_pass_at_k(counts, 1),
            "pass_at_1_interval": rate_interval(counts),
            f"pass_at_{ASKED}": mean_pass_at_k(counts, ASKED),
            "samples_at_inference": N if self.way == BEST else 1,
            "kl": self.kl,
        }


def collect(policy: Policy, tokenizer: Tokenizer, train: Sequence[Example], settings: Settings) -> list[Rollouts]:
    """What passes among the samples of π0 to the prompts that REINFORCE draws: one `Rollouts` for each step's prompts.

    Equal samples of a prompt are kept once.
    """
    kept = []
    with progress("sampling from π0", settings.steps) as show:
        for step in range(1, settings.steps + 1):
            examples, rng = prompts_of_step(train, settings, step)
            rollouts = roll_out(policy, tokenizer, examples, settings.samples_per_prompt, rng)
            said = score_completions(examples, rollouts.texts, STRICT)
            firsts, _ = distinct(rollouts, settings.samples_per_prompt)
            kept.append(rollouts.rows([place for place in firsts if said[place].strict]))
            show(step)
    return kept


def fine_tune(policy: Policy, kept: Sequence[Rollouts], settings: Settings) -> int:
    """As many updates as REINFORCE makes, each on the right samples of one step's prompts. Returns how many there were.

    The loss is REINFORCE's, with every advantage 1: the mean over samples of -Σ log π.
    """
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate)
    order = rng_for(settings.seed, "order").permutation(len(kept))
    with progress("fine-tuning", len(kept)) as show:
        for done, place in enumerate(order, start=1):
            many = len(kept[place].texts)
            if many:
                gradient_step(policy, optimizer, kept[place], torch.ones(many), many)
            show(done)
    return sum(len(rollouts.texts) for rollouts in kept)


def kl_of_best(p: float, n: int) -> float:
    """KL(best of n ‖ policy) at a prompt that the policy gets right with probability p, for rewards of 0 and 1.

    Selection moves probability between right and wrong and nothing within either, so it is the KL of two coins:
    q = 1 - (1 - p)^n against p. (With rewards that are all different it would be log n - (n - 1) / n.)
    """
    if p in (0.0, 1.0):
        return 0.0
    q = 1 - (1 - p) ** n
    return q * math.log(q / p) + (1 - q) * (n - 1) * math.log(1 - p)


def measure_policy(
    way: str, policy: Policy, reference: Policy, tokenizer: Tokenizer, dataset: Dataset, seed: int
) -> Measured:
    """One sample at a time, so many for each prompt."""
    said = ask(policy, tokenizer, dataset, STRICT, ASKED, seed, way, dataset.split)
    examples = list(dataset.examples.values())
    rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(seed, "drift", way, dataset.split))
    return Measured(way, dataset.split, counts_of(said), kl_from_reference(policy, reference, rollouts)["kl"])


def measure_best_of(policy: Policy, tokenizer: Tokenizer, dataset: Dataset, seed: int) -> Measured:
    """Best of N, so many times for each prompt, each time with N samples of its own."""
    chosen: dict[str, list[float]] = {key: [] for key in dataset.examples}
    every: dict[str, list[float]] = {key: [] for key in dataset.examples}
    with progress(f"best of {N}", ASKED) as show:
        for turn in range(ASKED):
            said = ask(policy, tokenizer, dataset, STRICT, N, seed, BEST, dataset.split, turn)
            for place in range(0, len(said), N):
                rewards = [one.strict for one in said[place : place + N]]
                chosen[said[place].example["id"]].append(max(rewards))
                every[said[place].example["id"]] += rewards
            show(turn + 1)
    kl = mean(kl_of_best(mean(rewards), N) for rewards in every.values())
    return Measured(BEST, dataset.split, {key: (ASKED, int(sum(won))) for key, won in chosen.items()}, kl)


def draw(dev: Sequence[Measured], seed: int) -> bytes:
    """pass@1 and pass@8 of each way; and pass@1 against the distance from π0."""
    figure, (left, right) = new_figure(f"Three ways to spend the same samples (dev, seed {seed})", 2, 10.5)
    rows = [measured.row() for measured in dev]
    for place, row in enumerate(rows):
        colour = COLOURS[place]
        bars = ((row["pass_at_1"], -0.2, 1.0), (row[f"pass_at_{ASKED}"], 0.2, 0.45))
        for height, shift, alpha in bars:
            left.bar(place + shift, height, 0.38, color=colour, alpha=alpha)
            left.annotate(f"{height:.2f}", (place + shift, height), ha="center", va="bottom", fontsize=8)
        right.plot(row["kl"], row["pass_at_1"], "o", ms=9, color=colour)
        right.annotate(
            row["way"],
            (row["kl"], row["pass_at_1"]),
            (0, -14 - 12 * (place % 2)),
            textcoords="offset points",
            fontsize=9,
            ha="center",
        )
    left.set_xticks(range(len(rows)), [row["way"].replace(" on", "\non") for row in rows], fontsize=9)
    left.set(ylim=(0, 1.08), ylabel="rate", title=f"pass@1 (full) and pass@{ASKED} (pale)")
    right.set(xlabel="KL from π0 (nats a completion)", ylabel="pass@1", ylim=(0, 1.02), title="What it cost in drift")
    right.margins(x=0.25)
    return png(figure)


def comparisons(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """The pairs of ways that a reader asks about, prompt by prompt."""
    by_way = {one.way: one for one in measured}
    found = []
    for before, after in (("π0", BEST), ("π0", TUNED), ("π0", LEARNED), (TUNED, LEARNED), (BEST, LEARNED)):
        verdict = paired(by_way[before].counts, by_way[after].counts)
        found.append(
            {
                "split": by_way[after].split,
                "before": before,
                "after": after,
                "difference": verdict.difference,
                "interval": verdict.interval,
                "wins": len(verdict.wins),
                "losses": len(verdict.losses),
                "p": verdict.p,
            }
        )
    return found


def report(rows: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]], budget: int, kept: int) -> None:
    """The ways beside each other, the paired statistics, and what to notice."""
    out = console()
    shown = table("split", "way", ">pass@1", ">passes", f">pass@{ASKED}", ">samples an answer", ">KL from π0")
    for row in rows:
        fraction = f"{row['passes']}/{row['samples']}"
        rates = percent(row["pass_at_1"]), fraction, percent(row[f"pass_at_{ASKED}"])
        shown.add_row(row["split"], row["way"], *rates, str(row["samples_at_inference"]), f"{row['kl']:.2f}")
    out.print()
    out.print(shown)
    shown = table("split", "after", "against", ">pass@1", "95 % interval", ">wins, losses", ">exact paired p")
    for pair in pairs:
        low, high = (100 * end for end in pair["interval"])
        shown.add_row(
            pair["split"],
            pair["after"],
            pair["before"],
            f"{100 * pair['difference']:+.1f} points",
            f"{low:+.1f} to {high:+.1f}",
            f"{pair['wins']}, {pair['losses']}",
            p_value(pair["p"]),
        )
    out.print("\nPrompt by prompt:")
    out.print(shown)
    learners = next(pair for pair in pairs if (pair["before"], pair["after"]) == (TUNED, LEARNED))
    verdict = "luck explains it" if learners["p"] >= SIGNIFICANT else "more than luck explains"
    notice(
        f"Best of {N} is selection: π0 is what it was. Chosen and judged by one scorer it is pass@{N} of π0 by "
        f"construction. It needs the right answer at hand, and {N} samples for every answer, for ever.",
        f"The learners spent {budget:,} samples once (the fine-tuning read {kept:,} different right ones), and answer "
        f"with one. After {budget // (N - 1):,} answers best of {N} has sampled more than they ever did.",
        f"REINFORCE against fine-tuning on the best, on {learners['split']}: {100 * learners['difference']:+.1f} "
        f"points, p = {p_value(learners['p'])}: {verdict}.",
        f"Compare pass@1 and pass@{ASKED}: what learning gains at one sample it may lose in variety.",
    )


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.three_ways", description="Three ways, one budget.")
    add_options(
        parser, DEFAULT, "steps", "prompts_per_step", "samples_per_prompt", "learning_rate", "measure_every", "seed"
    )
    args = parser.parse_args()
    experiment, settings = open_experiment("three_ways", args), settings_of(args, DEFAULT)
    budget = settings.steps * settings.prompts_per_step * settings.samples_per_prompt
    out = console()
    out.print(f"Loops B and C from the same π0: {budget:,} sampled completions for each way\n")
    with watch(settings) as show:
        learned = experiment.learn(settings, show)
    tuned, tokenizer = load_checkpoint(experiment.start)
    kept = fine_tune(tuned, collect(tuned, tokenizer, list(experiment.train.examples.values()), settings), settings)

    looks = earlier_looks(experiment.holdout.prompts_sha256, args.runs_dir)
    measured = []
    for dataset in (experiment.dev, experiment.holdout):
        for way, policy in (("π0", learned.reference), (TUNED, tuned), (LEARNED, learned.policy)):
            measured.append(measure_policy(way, policy, learned.reference, tokenizer, dataset, settings.seed))
        measured.insert(-2, measure_best_of(learned.reference, tokenizer, dataset, settings.seed))
    dev, holdout = measured[:4], measured[4:]
    picture = draw(dev, settings.seed)
    if args.plot:
        write_whole(args.plot, picture)
    rows, pairs = [one.row() for one in measured], [*comparisons(dev), *comparisons(holdout)]
    counts = [
        {"way": one.way, "split": one.split, "id": key, "samples_per_prompt": n, "passes": c}
        for one in measured
        for key, (n, c) in one.counts.items()
    ]
    with RunWriter(args.runs_dir) as run:
        run.write("counts.jsonl", to_json_lines(counts))
        run.write("measurements.jsonl", to_json_lines(learned.state.measured))
        run.write("three_ways.png", picture)
        summary = {"loop": "C", "budget": budget, "kept": kept, "ways": rows, "pairs": pairs}
        run.write(SUMMARY, to_pretty_json(summary))
        manifest = experiment.manifest(args, asdict(settings))
        manifest["policy"]["reinforce"] = keep_policy(run, "reinforce", learned.policy, tokenizer)
        manifest["policy"]["fine_tuned"] = keep_policy(run, "fine_tuned", tuned, tokenizer)
        manifest["looked_at"] = [experiment.holdout.prompts_sha256]
        folder = run.finish(manifest, {"seconds_of_learning": learned.state.seconds})
    experiment.forget()
    report(rows, pairs, budget, kept)
    experiment.point_to(folder, *([looks_line(looks)] if experiment.holdout.split == "holdout" else []))
    return DONE


if __name__ == "__main__":
    run_command(main)
