"""What the ledger measures on π0 itself. Needs PyTorch; minutes.

Each learns as its command does, with the command's own settings, from the seed that it is given.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from course import token_inspect
from course.core.datasets import load_dataset
from course.core.paths import DEV, PI0
from course.ledger.ledger import Measured, Number
from course.policy import frontier as frontier_command
from course.policy import goodhart as goodhart_command
from course.policy import noise as noise_command
from course.policy import one_update as one_update_command
from course.policy import shift as shift_command
from course.policy import three_ways as three_ways_command
from course.policy.core.experiment import Experiment, ExperimentOptions, mean, open_experiment
from course.policy.core.learning import Settings
from course.policy.core.sampling import load_checkpoint, sample_completions
from course.policy.reinforce import train_step
from course.score import score

FORM = "several_lines", "several_answers", "extra_text_after"  # codes of answers that did not stop where they should
MOSTLY_RIGHT = 0.6
BETAS = (1.0, 0.2, 0.05, 0.0)
SHARES = (0.0, 0.2, 0.4)


@contextmanager
def experiment_of(settings: Settings, options: ExperimentOptions | None = None) -> Iterator[Experiment]:
    """An experiment of a command; what it learned is kept until it has been read, so that it can be resumed."""
    with open_experiment("claims", options or ExperimentOptions(), settings) as experiment:
        yield experiment
    for path in experiment.states:
        path.unlink(missing_ok=True)


def logprobs(_: int) -> Measured:
    """How far apart π0 holds texts that a reader takes for the same, in nats."""
    sums = [sum(values) for values in token_inspect.logprobs(token_inspect.TEXTS)]
    return Measured({"apart": max(sums) - min(sums)}, len(sums), "texts")


def colder(seed: int) -> Measured:
    """The same policy on the same prompts, at temperature 1 and at 0.3."""
    policy, tokenizer = load_checkpoint(PI0)
    examples = load_dataset(DEV).examples
    items = [(key, example["prompt"], number) for key, example in examples.items() for number in range(4)]
    rates = [
        mean(
            score(examples[key], text)["reward"]
            for (key, _, _), text in zip(
                items, sample_completions(policy, tokenizer, items, temperature, 1.0, seed), strict=True
            )
        )
        for temperature in (1.0, 0.3)
    ]
    return Measured({"moved": abs(rates[1] - rates[0])}, len(items), "completions at each temperature")


def one_update(seed: int) -> Measured:
    """One completion, one update: the gain of every token, and how far the first one moved."""
    settings = replace(one_update_command.DEFAULT, seed=seed)
    options = one_update_command.UpdateOptions()
    with experiment_of(settings, options) as experiment:
        found = one_update_command.run(experiment, settings, options)
    gains = [token["gain"] for token in found.tokens]
    values: dict[str, Number] = {
        "gains_differ": max(gains) - min(gains),
        "first_moved": one_update_command.moved(found.tokens[0]),
    }
    return Measured(values, len(gains), "tokens", one_update_command.draw(found))


def learning(seed: int, steps: int = 40) -> Measured:
    """π0 learns from the strict scorer: pass@1, form, stopping, and how many samples that took."""
    settings = Settings(seed=seed, steps=steps)
    with experiment_of(settings) as experiment:
        measured = experiment.learn(train_step, settings).state.measured
    first, last = measured[0], measured[-1]
    per_step = settings.prompts_per_step * settings.samples_per_prompt
    there = next((row["step"] for row in measured if row["strict"] >= MOSTLY_RIGHT), settings.steps)
    values: dict[str, Number] = {
        "gain": last["strict"] - first["strict"],
        "in_form_gain": share(last, "passed", "wrong_answer") - share(first, "passed", "wrong_answer"),
        "no_stop": share(last, *FORM) - share(first, *FORM),
        "samples": float(there * per_step),
    }
    return Measured(values, last["prompts"], "completions at each measurement")


def share(row: dict[str, Any], *codes: str) -> float:
    """The share of a measurement's completions that have one of the codes."""
    return sum(int(row["codes"].get(code, 0)) for code in codes) / int(row["prompts"])


def goodhart(rubric: str) -> Callable[[int], Measured]:
    """π0 paid by a weak rubric, without a leash and with one: both rewards, the drift, and what it found."""

    def take(seed: int) -> Measured:
        settings = goodhart_command.GoodhartSettings(rubric=rubric, seed=seed)
        with experiment_of(settings) as experiment:
            found = goodhart_command.run(experiment, settings, [seed])
        summary = found.summaries[0]
        free, held = summary["curves"]
        untaught = sum(row["count"] for row in found.exploits if not row["taught"])
        values: dict[str, Number] = {
            "proxy_gain": free["proxy"] - summary["pi0"]["proxy"],
            "strict_first": free["best_strict"] - summary["pi0"]["strict"],
            "strict_end": free["strict"] - summary["pi0"]["strict"],
            "strict_end_of_best": free["strict"] / free["best_strict"],
            "strict_leashed": held["strict_change_from_pi0"],
            "kl_saved": free["kl"] - held["kl"],
            "untaught": untaught / max(1, sum(row["count"] for row in found.exploits)),
        }
        return Measured(values, summary["samples"], "completions at the end", goodhart_command.draw(found))

    return take


def noise(seed: int) -> Measured:
    """A share of the rewards flipped: strict pass@1 after 24 steps, less that without noise."""
    settings, options = noise_command.DEFAULT, noise_command.NoiseOptions(shares=SHARES, seeds=(seed,))
    with experiment_of(settings, options) as experiment:
        found = noise_command.run(experiment, settings, options)
    clean, some, many = (row["strict"] for row in found.summaries)
    first = found.states[SHARES[0]][0].measured[0]
    start = first["strict"]
    values: dict[str, Number] = {
        "some_of_clean": (some - start) / (clean - start),
        "many_of_clean": (many - start) / (clean - start),
    }
    return Measured(values, first["prompts"], "completions at each measurement", noise_command.draw(found))


def shift(seed: int) -> Measured:
    """Frozen rollouts of π0 against the policy that it has become."""
    settings = replace(shift_command.DEFAULT, seed=seed)
    with experiment_of(settings) as experiment:
        found = shift_command.run(experiment, settings)
    first, last = found.rows[0], found.rows[-1]
    values: dict[str, Number] = {
        "frozen_off": abs(last["frozen"] - last["live"]),
        "reweighted_off": max(abs(row["reweighted"] - row["live"]) for row in found.rows),
        "unseen_failures": last["unseen_failures"] - first["unseen_failures"],
    }
    return Measured(values, sum(last["live_codes"].values()), "fresh completions", shift_command.draw(found))


def three_ways(seed: int) -> Measured:
    """Selection, fine-tuning on the best and REINFORCE on one budget, from the same π0."""
    settings = Settings(seed=seed)
    with experiment_of(settings) as experiment:
        found = three_ways_command.run(experiment, settings)
    rows = {measured.way: measured.row() for measured in found.measured if measured.split == "dev"}
    ways = (getattr(three_ways_command, name) for name in ("PI0", "BEST", "TUNED", "LEARNED"))
    pi0, best, tuned, learned = (rows[way] for way in ways)
    wide = f"pass_at_{three_ways_command.ANSWERS}"
    values: dict[str, Number] = {
        "learned_less_tuned": learned["pass_at_1"] - tuned["pass_at_1"],
        "tuned_less_covered": tuned["pass_at_1"] - pi0[wide],
        "variety_lost": (learned[wide] - learned["pass_at_1"]) - (pi0[wide] - pi0["pass_at_1"]),
        "selection_nearer": learned["kl"] - best["kl"],
    }
    return Measured(values, learned["samples"], "completions of each way", three_ways_command.draw(found))


def frontier(seed: int) -> Measured:
    """The leash swept from strong to none: reward and KL of what is learned."""
    settings = replace(frontier_command.DEFAULT, seed=seed)
    options = frontier_command.FrontierOptions(betas=BETAS)
    with experiment_of(settings, options) as experiment:
        found = frontier_command.run(experiment, settings, options)
    rows = found.leashes
    values: dict[str, Number] = {
        "kl_rises": min(after["kl"] - before["kl"] for before, after in pairwise(rows)),
        "reward_gain": rows[-1]["proxy"] - rows[0]["proxy"],
    }
    return Measured(values, len(rows), "strengths of the leash", frontier_command.draw(found))


goodhart_tolerant, goodhart_format_only = goodhart("tolerant"), goodhart("format_only")
goodhart_length_shaped = goodhart("length_shaped")
