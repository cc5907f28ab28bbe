"""One completion, one update, token by token: how a single number at the end reaches every token before it.

    python -m course.policy.one_update
    python -m course.policy.one_update --id dev-0012 --chosen 3

π0 answers one prompt eight times. Each answer's reward less the mean of the eight is its advantage, and the chosen
answer alone makes one plain gradient step on

    loss = - A · Σ_t log π(token_t | prompt, tokens before)

The derivative of that loss by each token's log π is -A: one gain for all of them, the first token as much as the last,
although the reward was only known at the end. How far each token then moves is another matter: one that was certain
before has nowhere to go. The step is plain (no Adam), so that its size shows the advantage.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import Dataset, Example
from course.core.display import console, notice, table, typed, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError
from course.policy.core.experiment import Experiment, ExperimentOptions, open_experiment
from course.policy.core.learning import Settings, score_completions
from course.policy.core.model import Policy
from course.policy.core.rollouts import Rollouts, logprobs, roll_out
from course.policy.core.sampling import load_checkpoint, rng_for
from course.policy.reinforce import advantages, loss_of

DEFAULT = Settings(learning_rate=0.01)
TRIED = 50  # examples, until one has right and wrong answers


@dataclass(frozen=True, kw_only=True)
class UpdateOptions(ExperimentOptions):
    id: str | None = option(None, "the dev example to answer (default: the first with right and wrong answers)")
    chosen: int | None = option(None, "which of the samples is learned from (default: the first best)")


@dataclass(frozen=True)
class Findings:
    """What one update did. Each row of `samples` is one of the prompt's samples, of `tokens` one of the chosen one's.

    Log-probabilities in nats, before and after. A token's `gain` is - d loss / d log π(token).
    """

    example: Example
    chosen: int
    samples: list[dict[str, Any]]
    tokens: list[dict[str, Any]]


def run(experiment: Experiment, settings: Settings, options: UpdateOptions) -> Findings:
    """Sample one prompt, take the advantages, learn from one of the samples. Raises InputError."""
    policy, tokenizer = load_checkpoint(options.policy)
    example, rollouts, rewards = samples_to_learn_from(policy, tokenizer, experiment.dev, options.id, settings)
    chosen = rewards.index(max(rewards)) if options.chosen is None else options.chosen
    if not 0 <= chosen < len(rewards):
        raise InputError("--chosen", f"there are the samples 0 to {len(rewards) - 1}")
    advantage = advantages(torch.tensor(rewards), "prompt", settings.samples_per_prompt).tolist()
    with torch.no_grad():
        before = logprobs(policy, rollouts).sum(dim=1).tolist()
    tokens = update(policy, tokenizer, rollouts.rows([chosen]), advantage[chosen], settings.learning_rate)
    with torch.no_grad():
        after = logprobs(policy, rollouts).sum(dim=1).tolist()
    names = ("completion", "reward", "advantage", "log_prob", "log_prob_after")
    columns = zip(rollouts.texts, rewards, advantage, before, after, strict=True)
    return Findings(example, chosen, [dict(zip(names, row, strict=True)) for row in columns], tokens)


def samples_to_learn_from(
    policy: Policy, tokenizer: Tokenizer, dev: Dataset, wanted: str | None, settings: Settings
) -> tuple[Example, Rollouts, list[float]]:
    """An example, its samples and their rewards: the one asked for, or the first whose rewards are not all the same."""
    if wanted is not None and wanted not in dev.examples:
        raise InputError("--id", f"{dev.path.name} has no example {wanted!r}")
    for key in [wanted] if wanted is not None else list(dev.examples)[:TRIED]:
        example = dev.examples[key]
        rng = rng_for(settings.seed, "one update", key)
        rollouts = roll_out(policy, tokenizer, [example], settings.samples_per_prompt, rng)
        rewards = [scored.proxy for scored in score_completions([example], rollouts.texts, settings.rubric)]
        if len(set(rewards)) > 1:
            return example, rollouts, rewards
    which = f"the samples of {wanted} all" if wanted is not None else "all samples of each prompt tried"
    raise InputError("--seed", f"{which} earn the same, so nothing would be learned; try another seed or more samples")


def update(
    policy: Policy, tokenizer: Tokenizer, sample: Rollouts, advantage: float, learning_rate: float
) -> list[dict[str, Any]]:
    """Make one plain gradient step on one sample. Returns a row for each of its tokens."""
    log_policy = logprobs(policy, sample)
    log_policy.retain_grad()
    policy.zero_grad()
    loss_of(log_policy, torch.tensor([advantage]), 1).backward()  # type: ignore[no-untyped-call]
    assert log_policy.grad is not None
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.grad is not None:
                parameter.sub_(learning_rate * parameter.grad)
        after = logprobs(policy, sample)
    mask = sample.completion_mask[0]
    texts = [tokenizer.decode([token], skip_special_tokens=False) for token in sample.completions[0][mask].tolist()]
    columns = (column[0][mask].tolist() for column in (-log_policy.grad, log_policy.detach(), after))
    names = ("token", "gain", "log_prob", "log_prob_after")
    return [dict(zip(names, row, strict=True)) for row in zip(texts, *columns, strict=True)]


def moved(row: dict[str, Any]) -> float:
    """By how many nats a log-probability changed."""
    return float(row["log_prob_after"] - row["log_prob"])


def draw(findings: Findings) -> bytes:
    """Each token's probability before and after, and its gain."""
    chosen, tokens = findings.samples[findings.chosen], findings.tokens
    earned = f"reward {chosen['reward']:g}, advantage {chosen['advantage']:+.3f}"
    title = f"One completion, one update: `{visible(chosen['completion'])}`, {earned}"
    figure, (left, right) = new_figure(title, 2, 11)
    places = range(len(tokens))
    bars = (-0.2, "log_prob", "#BBBBBB", "before"), (0.2, "log_prob_after", COLOURS[0], "after")
    for shift, name, colour, label in bars:
        heights = np.exp([token[name] for token in tokens])
        left.bar([place + shift for place in places], heights, 0.38, color=colour, label=label)
    left.set(ylabel="π(token | prompt, tokens before)", ylim=(0, 1.15), title="The chosen token's probability")
    left.legend(fontsize=8, ncols=2, loc="upper left")
    gains = [token["gain"] for token in tokens]
    right.plot(places, gains, "o", color=COLOURS[1], label="gain: the advantage, for every token")
    right.bar(places, list(map(moved, tokens)), 0.5, color=COLOURS[2], label="change of log π after one step")
    right.axhline(0, color="#888888", lw=0.8)
    right.set(title="One gain for all; how far each could move")
    right.legend(fontsize=8)
    for panel in (left, right):
        panel.set_xticks(list(places), [label_of(token) for token in tokens], fontsize=8, rotation=45)
    return png(figure)


def label_of(token: dict[str, Any]) -> str:
    """A token's text, its spaces shown."""
    return visible(token["token"]).replace(" ", "·")


def print_report(findings: Findings) -> None:
    """The samples with their advantages, the chosen one token by token, and what else moved."""
    out, example, samples, tokens = console(), findings.example, findings.samples, findings.tokens
    out.print(f"{example['id']}: {example['prompt']}   (expected: {example['expected_answer']})\n")
    rows = table(">", "sample", ">reward", ">advantage", ">log π before", ">after", ">change")
    for number, row in enumerate(samples):
        mark = f"{'chosen ' if number == findings.chosen else ''}{number}"
        earned = f"{row['reward']:g}", f"{row['advantage']:+.3f}"
        rows.add_row(mark, f"`{visible(row['completion'])}`", *earned, *change_of(row))
    out.print(rows)
    out.print("\nThe chosen completion, token by token:")
    rows = table("token", ">gain", ">log π before", ">after", ">change")
    for token in tokens:
        rows.add_row(f"`{label_of(token)}`", f"{token['gain']:+.3f}", *change_of(token))
    out.print(rows)
    others = [row for row in samples if row["completion"] != samples[findings.chosen]["completion"]]
    bystander = max(others, key=moved)
    notice(
        f"Every token has the same gain, {tokens[0]['gain']:+.3f}: the advantage of the whole completion. The first "
        f"token, `{label_of(tokens[0])}`, moved by {moved(tokens[0]):+.3f} nats for a reward that was known "
        f"{len(tokens)} tokens later.",
        "Tokens that were nearly certain hardly move, whatever the gain: log π has 0 for its ceiling.",
        f"No other sample was in this update, and they moved all the same, `{visible(bystander['completion'])}` by "
        f"{moved(bystander):+.3f}: they share the weights.",
    )


def change_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """The cells of a log-probability: before, after, change."""
    return f"{row['log_prob']:.3f}", f"{row['log_prob_after']:.3f}", f"{moved(row):+.3f}"


def main() -> int:
    own = ("rubric", "samples_per_prompt", "learning_rate", "seed")
    hidden = {"holdout", *Settings.__dataclass_fields__} - set(own)
    settings, options = parse("course.policy.one_update", "One update, by token.", DEFAULT, UpdateOptions, hide=hidden)
    with open_experiment("one_update", options, settings) as experiment:
        console().print(f"Loop C (learning): one update of π0 by one completion, reward by {settings.rubric}\n")
        findings = run(experiment, settings, options)
        example_id, chosen, samples = findings.example["id"], findings.chosen, findings.samples
        saved = experiment.save(
            {**{name: getattr(settings, name) for name in own}, "example": example_id, "chosen": chosen},
            {"example": example_id, "chosen": chosen, "advantage": samples[chosen]["advantage"]},
            {"tokens.jsonl": findings.tokens, "samples.jsonl": samples},
            draw(findings),
        )
    print_report(findings)
    worst = min(range(len(samples)), key=lambda number: samples[number]["reward"])
    again = f"one_update --id {typed(example_id)} --chosen {worst}"
    saved.close(f"python -m course.policy.{again if chosen != worst else 'train'}")
    return DONE


if __name__ == "__main__":
    run_command(main)
