"""Three ways to spend the same samples: best-of-N, fine-tuning on the best, and REINFORCE, from the same π0.

    python -m course.policy.three_ways

Each way may sample as many completions as the others and have them scored by the strict scorer:

- *best of N* (Loop B) changes no policy. It spends its samples when it answers: N for each prompt, of which a right
  one is returned if there is one. The scorer, and so the right answer, must be at hand then.
- *fine-tuning on the best* (rejection sampling; Yuan et al. 2023) samples from π0, keeps what was right, and makes that
  likelier: the loss of REINFORCE with advantage 1 for what passed and 0 for the rest, on samples that stay π0's.
- *REINFORCE* (Loop C) samples from the policy as it is now, and pushes down what is worse than its neighbours too.

Both learners make the same number of updates, and answer with one sample. All are measured on dev, and with
--holdout once on the holdout.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from tokenizers import Tokenizer

from course.core.command_line import DONE, parse, run_command
from course.core.datasets import Dataset, Example
from course.core.display import console, notice, p_value, percent, progress, table
from course.core.figures import COLOURS, new_figure, png
from course.core.scoring import STRICT
from course.core.stats import SIGNIFICANT, Counts, mean_pass_at_k, paired, rate_interval
from course.policy import reinforce
from course.policy.core.experiment import Experiment, ExperimentOptions, counts_of, mean, open_experiment
from course.policy.core.kl import kl_from_reference
from course.policy.core.learning import Learned, Settings, score_completions
from course.policy.core.model import Policy
from course.policy.core.rollouts import Rollouts, distinct, logprobs, roll_out
from course.policy.core.sampling import load_checkpoint, rng_for
from course.policy.reinforce import train_step

N = 8  # best of so many
ANSWERS = 8  # to each prompt when a way is measured
PI0, BEST, TUNED, LEARNED = "π0", f"best of {N}", "fine-tuned on the best", "REINFORCE"


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
            f"pass_at_{ANSWERS}": mean_pass_at_k(counts, ANSWERS),
            "samples_at_inference": N if self.way == BEST else 1,
            "kl": self.kl,
        }


@dataclass(frozen=True)
class Findings:
    """Both learned policies, and how every way does on both splits."""

    settings: Settings
    learned: Learned
    tuned: Policy
    right_samples: int  # that the fine-tuning read
    measured: list[Measured]
    pairs: list[dict[str, Any]]


def budget_of(settings: Settings) -> int:
    """How many completions each way may sample."""
    return settings.steps * settings.prompts_per_step * settings.samples_per_prompt


def run(experiment: Experiment, settings: Settings) -> Findings:
    """Learn in two ways from the same π0; then measure every way, on dev and, if asked, on the holdout once."""
    learned = experiment.learn(train_step, settings)
    tuned, tokenizer = load_checkpoint(experiment.options.policy)
    pi0, seed = learned.reference, settings.seed
    right = collect(tuned, tokenizer, list(experiment.train.examples.values()), settings)
    fine_tune(tuned, right, settings)
    measured, pairs = [], []
    for dataset in filter(None, (experiment.dev, experiment.holdout)):
        policies = {PI0: pi0, TUNED: tuned, LEARNED: learned.policy}
        ways = {way: measure_policy(experiment, way, policy, pi0, dataset, seed) for way, policy in policies.items()}
        ways[BEST] = measure_best_of(experiment, pi0, dataset, seed)
        measured += [ways[way] for way in (PI0, BEST, TUNED, LEARNED)]
        for before, after in ((PI0, BEST), (PI0, TUNED), (PI0, LEARNED), (TUNED, LEARNED), (BEST, LEARNED)):
            pairs.append(compared(ways[before], ways[after]))
    return Findings(settings, learned, tuned, sum(len(rollouts.texts) for rollouts in right), measured, pairs)


def collect(policy: Policy, tokenizer: Tokenizer, train: Sequence[Example], settings: Settings) -> list[Rollouts]:
    """What passes among the samples of π0 to the prompts that REINFORCE draws: one `Rollouts` for each step's prompts.

    Equal samples of a prompt are kept once.
    """
    right = []
    with progress("sampling from π0", settings.steps) as show:
        for step in range(1, settings.steps + 1):
            examples, rng = reinforce.prompts_of_step(train, settings, step)
            rollouts = roll_out(policy, tokenizer, examples, settings.samples_per_prompt, rng)
            completions = score_completions(examples, rollouts.texts, STRICT)
            firsts, _ = distinct(rollouts)
            right.append(rollouts.rows([place for place in firsts if completions[place].strict]))
            show(step)
    return right


def fine_tune(policy: Policy, right: Sequence[Rollouts], settings: Settings) -> None:
    """As many updates as REINFORCE makes, each on the right samples of one step's prompts.

    The loss is REINFORCE's, with every advantage 1: the mean over samples of -Σ log π. Raises DivergedError.
    """
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.learning_rate, fused=True)
    order = rng_for(settings.seed, "order").permutation(len(right))
    with progress("fine-tuning", len(right)) as show:
        for done, place in enumerate(order, start=1):
            samples = len(right[place].texts)
            if samples:
                loss = reinforce.loss_of(logprobs(policy, right[place]), torch.ones(samples), samples)
                reinforce.gradient_step(policy, optimizer, loss)
            show(done)


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
    experiment: Experiment, way: str, policy: Policy, pi0: Policy, dataset: Dataset, seed: int
) -> Measured:
    """ANSWERS samples of each prompt, each an answer; and the KL from π0."""
    completions = experiment.sample(policy, dataset, STRICT, ANSWERS, (seed, way, dataset.split))
    examples, stream = list(dataset.examples.values()), rng_for(seed, "drift", way, dataset.split)
    rollouts = roll_out(policy, experiment.tokenizer, examples, 1, stream)
    kl = kl_from_reference(policy, pi0, rollouts)["kl"]
    return Measured(way, dataset.split, counts_of(completions), kl)


def measure_best_of(experiment: Experiment, pi0: Policy, dataset: Dataset, seed: int) -> Measured:
    """ANSWERS answers to each prompt, each the best of N samples of its own."""
    right: dict[str, list[int]] = {key: [] for key in dataset.examples}  # of each N samples, how many
    with progress(f"best of {N}", ANSWERS) as show:
        for turn in range(ANSWERS):
            completions = experiment.sample(pi0, dataset, STRICT, N, (seed, BEST, dataset.split, turn))
            for key, (_, passes) in counts_of(completions).items():
                right[key].append(passes)
            show(turn + 1)
    counts = {key: (ANSWERS, sum(passes > 0 for passes in turns)) for key, turns in right.items()}
    kl = mean(kl_of_best(sum(turns) / (N * ANSWERS), N) for turns in right.values())
    return Measured(BEST, dataset.split, counts, kl)


def compared(before: Measured, after: Measured) -> dict[str, Any]:
    """Two ways, prompt by prompt."""
    verdict = paired(before.counts, after.counts)
    return {
        "split": after.split,
        "before": before.way,
        "after": after.way,
        "difference": verdict.difference,
        "interval": verdict.interval,
        "wins": len(verdict.wins),
        "losses": len(verdict.losses),
        "p": verdict.p,
    }


def draw(findings: Findings) -> bytes:
    """pass@1 and pass@8 of each way on dev; and pass@1 against the distance from π0."""
    seed = findings.settings.seed
    figure, (left, right) = new_figure(f"Three ways to spend the same samples (dev, seed {seed})", 2, 10.5)
    rows = [measured.row() for measured in findings.measured[:4]]
    for place, row in enumerate(rows):
        colour, rate = COLOURS[place], row["pass_at_1"]
        for height, shift, alpha in ((rate, -0.2, 1.0), (row[f"pass_at_{ANSWERS}"], 0.2, 0.45)):
            left.bar(place + shift, height, 0.38, color=colour, alpha=alpha)
            left.annotate(f"{height:.2f}", (place + shift, height), ha="center", va="bottom", fontsize=8)
        right.plot(row["kl"], rate, "o", ms=9, color=colour)
        below = (0, -14 - 12 * (place % 2))
        right.annotate(row["way"], (row["kl"], rate), below, textcoords="offset points", fontsize=9, ha="center")
    left.set_xticks(range(len(rows)), [row["way"].replace(" on", "\non") for row in rows], fontsize=9)
    left.set(ylim=(0, 1.08), ylabel="rate", title=f"pass@1 (full) and pass@{ANSWERS} (pale)")
    right.set(xlabel="KL from π0 (nats a completion)", ylabel="pass@1", ylim=(0, 1.02), title="What it cost in drift")
    right.margins(x=0.25)
    return png(figure)


def print_report(findings: Findings) -> None:
    """The ways beside each other, the paired statistics, and what to notice."""
    out, budget = console(), budget_of(findings.settings)
    shown = table("split", "way", ">pass@1", ">passes", f">pass@{ANSWERS}", ">samples an answer", ">KL from π0")
    for row in (measured.row() for measured in findings.measured):
        fraction = f"{row['passes']}/{row['samples']}"
        rates = percent(row["pass_at_1"]), fraction, percent(row[f"pass_at_{ANSWERS}"])
        shown.add_row(row["split"], row["way"], *rates, str(row["samples_at_inference"]), f"{row['kl']:.2f}")
    out.print()
    out.print(shown)
    shown = table("split", "after", "against", ">pass@1", "95 % interval", ">rate up, down", ">exact paired p")
    for pair in findings.pairs:
        low, high = (100 * end for end in pair["interval"])
        change = f"{100 * pair['difference']:+.1f} points", f"{low:+.1f} to {high:+.1f}"
        won = f"{pair['wins']}, {pair['losses']}"
        shown.add_row(pair["split"], pair["after"], pair["before"], *change, won, p_value(pair["p"]))
    out.print("\nPrompt by prompt:")
    out.print(shown)
    learners = next(pair for pair in findings.pairs if (pair["before"], pair["after"]) == (TUNED, LEARNED))
    verdict = "luck explains it" if learners["p"] >= SIGNIFICANT else "more than luck explains"
    notice(
        f"Best of {N} is selection: π0 is what it was. Chosen and graded by one scorer it is pass@{N} of π0 by "
        f"construction. It needs the right answer at hand, and {N} samples for every answer, for ever.",
        f"The learners spent {budget:,} samples once (the fine-tuning read {findings.right_samples:,} different right "
        f"ones), and answer with one. After {budget // (N - 1):,} answers best of {N} has sampled more than they ever "
        "did.",
        f"REINFORCE against fine-tuning on the best, on {learners['split']}: {100 * learners['difference']:+.1f} "
        f"points, p {p_value(learners['p'], '= ')}: {verdict}.",
        f"Compare pass@1 and pass@{ANSWERS}: what learning gains at one sample it may lose in variety.",
    )


def main() -> int:
    hidden, about = ("rubric", "beta", "baseline", "reward_flip_rate"), "Three ways, one budget."
    settings, options = parse("course.policy.three_ways", about, Settings(), ExperimentOptions, hide=hidden)
    with open_experiment("three_ways", options, settings) as experiment:
        budget = budget_of(settings)
        console().print(f"Loops B and C from the same π0: {budget:,} sampled completions for each way\n")
        findings = run(experiment, settings)
        learned = findings.learned
        counts = [
            {"way": measured.way, "split": measured.split, "id": key, "samples": n, "passes": c}
            for measured in findings.measured
            for key, (n, c) in measured.counts.items()
        ]
        ways = [measured.row() for measured in findings.measured]
        saved = experiment.save(
            asdict(settings),
            {"budget": budget, "kept": findings.right_samples, "ways": ways, "pairs": findings.pairs},
            {"counts.jsonl": counts, "measurements.jsonl": learned.state.measured},
            draw(findings),
            policies={"reinforce": learned.policy, "fine_tuned": findings.tuned},
        )
    print_report(findings)
    saved.close("python -m course.verify_run --run {run}")
    return DONE


if __name__ == "__main__":
    run_command(main)
