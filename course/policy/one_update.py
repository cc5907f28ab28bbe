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

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from course.core.command_line import DONE, run_command
from course.core.datasets import Dataset, Example
from course.core.display import console, notice, table, typed, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.runs import SUMMARY, RunWriter
from course.policy.core.experiment import add_options, check, open_experiment, settings_of, stoppable
from course.policy.core.model import Policy
from course.policy.core.sampling import MAX_NEW_TOKENS, load_checkpoint, rng_for
from course.policy.reinforce import (
    Rollouts,
    ScoredCompletion,
    Settings,
    advantages,
    logprobs,
    loss_of,
    roll_out,
    score_completions,
)

DEFAULT = Settings(learning_rate=0.01)
LOOKED_THROUGH = 50  # examples that are tried for one with right and wrong answers


@dataclass(frozen=True)
class Update:
    """What one update did. Log-probabilities in nats; one number a token of the chosen completion."""

    tokens: list[str]
    before: list[float]
    gain: list[float]  # - d loss / d log π(token)
    after: list[float]
    totals: list[tuple[float, float]]  # log π of each whole sample, before and after


def find(
    policy: Policy, tokenizer: Tokenizer, dev: Dataset, wanted: str | None, settings: Settings
) -> tuple[Example, Rollouts, list[ScoredCompletion]]:
    """The example and its samples: the one asked for, or the first whose samples do not all earn the same."""
    if wanted is not None and wanted not in dev.examples:
        raise InputError("--id", f"{dev.path.name} has no example {wanted!r}")
    for key in [wanted] if wanted is not None else list(dev.examples)[:LOOKED_THROUGH]:
        example = dev.examples[key]
        rng = rng_for(settings.seed, "one update", key)
        rollouts = roll_out(policy, tokenizer, [example], settings.samples_per_prompt, rng)
        said = score_completions([example], rollouts.texts, settings.rubric)
        if len({one.proxy for one in said}) > 1:
            return example, rollouts, said
    which = f"the samples of {wanted} all" if wanted is not None else "all samples of each prompt tried"
    raise InputError("--seed", f"{which} earn the same, so nothing would be learned; try another seed or more samples")


def update(
    policy: Policy, tokenizer: Tokenizer, rollouts: Rollouts, chosen: int, advantage: float, rate: float
) -> Update:
    """Make one plain gradient step on one completion, and look before and after."""
    with torch.no_grad():
        before = logprobs(policy, rollouts).sum(dim=1)
    one = rollouts.rows([chosen])
    log_policy = logprobs(policy, one)
    log_policy.retain_grad()
    loss = loss_of(log_policy, torch.tensor([advantage]))
    policy.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    assert log_policy.grad is not None
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.grad is not None:
                parameter.sub_(rate * parameter.grad)
        after_one, after = logprobs(policy, one), logprobs(policy, rollouts).sum(dim=1)
    said = one.completion_mask[0].bool()
    ids = one.ids[0, -MAX_NEW_TOKENS:][said].tolist()

    def completion_mask(values: Tensor) -> list[float]:
        return [float(value) for value in values[0][said]]

    totals = list(zip(before.tolist(), after.tolist(), strict=True))
    texts = [tokenizer.decode([token], skip_special_tokens=False) for token in ids]
    return Update(
        texts,
        completion_mask(log_policy.detach()),
        completion_mask(-log_policy.grad),
        completion_mask(after_one),
        totals,
    )


def draw(found: Update, said: ScoredCompletion, advantage: float) -> bytes:
    """Each token's probability before and after, and its gain."""
    figure, (left, right) = new_figure(
        f"One completion, one update: `{visible(said.text)}`, reward {said.proxy:g}, advantage {advantage:+.3f}", 2, 11
    )
    places = range(len(found.tokens))
    names = [visible_token(token) for token in found.tokens]
    left.bar([p - 0.2 for p in places], np.exp(found.before), 0.38, color="#BBBBBB", label="before")
    left.bar([p + 0.2 for p in places], np.exp(found.after), 0.38, color=COLOURS[0], label="after")
    left.set(ylabel="π(token | prompt, tokens before)", ylim=(0, 1.15), title="The chosen token's probability")
    left.legend(fontsize=8, ncols=2, loc="upper left")
    moved = [after - before for before, after in zip(found.before, found.after, strict=True)]
    right.plot(places, found.gain, "o", color=COLOURS[1], label="gain: the advantage, for every token")
    right.bar(places, moved, 0.5, color=COLOURS[2], label="change of log π after one step")
    right.axhline(0, color="#888888", lw=0.8)
    right.set(title="One gain for all; how far each could move")
    right.legend(fontsize=8)
    for panel in (left, right):
        panel.set_xticks(list(places), names, fontsize=8, rotation=45)
    return png(figure)


def visible_token(token: str) -> str:
    """A token as a label: its spaces shown."""
    return visible(token).replace(" ", "·")


def report(
    example: Example, all_said: Sequence[ScoredCompletion], advantage: Sequence[float], chosen: int, found: Update
) -> None:
    """The samples with their advantages, the chosen one token by token, and what else moved."""
    out = console()
    out.print(f"{example['id']}: {example['prompt']}   (expected: {example['expected_answer']})\n")
    rows = table(">", "sample", ">reward", ">advantage", ">log π before", ">after", ">change")
    for number, (said, gain, (before, after)) in enumerate(zip(all_said, advantage, found.totals, strict=True)):
        mark = f"{'chosen ' if number == chosen else ''}{number}"
        cells = f"{said.proxy:g}", f"{gain:+.3f}", f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"
        rows.add_row(mark, f"`{visible(said.text)}`", *cells)
    out.print(rows)
    out.print("\nThe chosen completion, token by token:")
    rows = table("token", ">gain", ">log π before", ">after", ">change")
    for token, gain, before, after in zip(found.tokens, found.gain, found.before, found.after, strict=True):
        moved = f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"
        rows.add_row(f"`{visible_token(token)}`", f"{gain:+.3f}", *moved)
    out.print(rows)
    ranks = sorted(range(len(all_said)), key=lambda n: found.totals[n][1] - found.totals[n][0])
    other = next(n for n in (*ranks[::-1], *ranks) if all_said[n].text != all_said[chosen].text)
    notice(
        f"Every token has the same gain, {found.gain[0]:+.3f}: the advantage of the whole completion. The first token, "
        f"`{visible_token(found.tokens[0])}`, moved by {found.after[0] - found.before[0]:+.3f} nats for a reward "
        f"that was known {len(found.tokens)} tokens later.",
        "Tokens that were nearly certain hardly move, whatever the gain: log π has 0 for its ceiling.",
        f"No other sample was in this update, and they moved all the same, `{visible(all_said[other].text)}` by "
        f"{found.totals[other][1] - found.totals[other][0]:+.3f}: they share the weights.",
    )


@stoppable
def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.policy.one_update", description="One update, by token.")
    add_options(parser, DEFAULT, "rubric", "samples_per_prompt", "learning_rate", "seed")
    parser.add_argument("--id", help="the dev example to answer (default: the first with right and wrong answers)")
    parser.add_argument("--chosen", type=int, help="which of the samples is learned from (default: the first best)")
    args = parser.parse_args()
    settings = settings_of(args, DEFAULT)
    experiment = open_experiment("one_update", args)
    check(settings, experiment.train)
    policy, tokenizer = load_checkpoint(experiment.start)
    example, rollouts, said = find(policy, tokenizer, experiment.dev, args.id, settings)
    rewards = [one.proxy for one in said]
    chosen = rewards.index(max(rewards)) if args.chosen is None else args.chosen
    if not 0 <= chosen < len(said):
        raise InputError("--chosen", f"there are the samples 0 to {len(said) - 1}")
    advantage = advantages(torch.tensor(rewards), "prompt", settings.samples_per_prompt).tolist()
    out = console()
    out.print(f"Loop C (learning): one update of π0 by one completion, reward by {settings.rubric}\n")
    found = update(policy, tokenizer, rollouts, chosen, advantage[chosen], settings.learning_rate)
    picture = draw(found, said[chosen], advantage[chosen])
    if args.plot:
        write_whole(args.plot, picture)
    by_token: list[Mapping[str, Any]] = [
        {"token": token, "gain": gain, "log_prob": before, "log_prob_after": after}
        for token, gain, before, after in zip(found.tokens, found.gain, found.before, found.after, strict=True)
    ]
    by_sample = [
        {"completion": one.text, "reward": one.proxy, "advantage": gain, "log_prob": before, "log_prob_after": after}
        for one, gain, (before, after) in zip(said, advantage, found.totals, strict=True)
    ]
    with RunWriter(args.runs_dir) as run:
        run.write("tokens.jsonl", to_json_lines(by_token))
        run.write("samples.jsonl", to_json_lines(by_sample))
        run.write("one_update.png", picture)
        summary = {"loop": "C", "example": example["id"], "chosen": chosen, "advantage": advantage[chosen]}
        run.write(SUMMARY, to_pretty_json(summary))
        own = {name: getattr(settings, name) for name in ("rubric", "samples_per_prompt", "learning_rate", "seed")}
        folder = run.finish(experiment.manifest(args, {**own, "example": example["id"], "chosen": chosen}))
    report(example, said, advantage, chosen, found)
    out.print(f"\nRun written to {folder}; look at {folder / 'one_update.png'}")
    worst = rewards.index(min(rewards))
    other = f"one_update --id {typed(example['id'])} --chosen {worst}" if chosen != worst else "reinforce"
    out.print(f"Next: python -m course.policy.{other}")
    return DONE


if __name__ == "__main__":
    run_command(main)
