"""Sample completions from a policy, and write down how.

    python -m course.policy.sample --dataset data/datasets/math_dev.jsonl --n 1 --out /tmp/rollouts.jsonl

Every completion has a random stream of its own, derived from the seed, the example's id and the sample's
number, so a completion does not depend on what else is sampled beside it, and the same seed gives the
same bytes. Beside the completions goes `<name>.meta.json`, which a run copies its sampling settings from.
"""

import datetime
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import Dataset, Sampling, Sidecar, load_dataset, sidecar_path
from course.core.display import console, progress
from course.core.files import InputError, sha256, sha256_file, to_json_lines, to_pretty_json, write_whole
from course.core.manifest import is_run, load_manifest
from course.core.paths import PI0
from course.core.runs import damage, outside_of_runs
from course.policy.core.sampling import MAX_NEW_TOKENS, checkpoint_sha256, load_checkpoint, sample_completions


@dataclass(frozen=True, kw_only=True)
class Settings:
    dataset: Path = option(help="the examples whose prompts are continued (JSONL)")
    policy: Path = option(PI0, "a checkpoint folder")
    n: int = option(1, "samples for each prompt", at_least=1)
    temperature: float = option(1.0, "0 is greedy", at_least=0)
    top_p: float = option(1.0, "nucleus sampling; 1 keeps every token", above=0, at_most=1)
    seed: int = option(0, "of every random number", at_least=0)
    out: Path = option(help="the completions file to write (JSONL)")

    def check(self) -> None:
        if not self.out.name or self.out.is_dir():
            raise InputError("--out", f"a file to write, not the folder {self.out}")
        outside_of_runs(self.out)
        if self.out.resolve() == self.dataset.resolve():
            raise InputError("--out", "this is the data set itself, which would be lost")


def run(settings: Settings, dataset: Dataset) -> list[dict[str, Any]]:
    """The rows of `n` completions of each prompt, in the order of the data set."""
    policy, tokenizer = load_checkpoint(settings.policy)
    items = [(e["id"], e["prompt"], number) for e in dataset.examples.values() for number in range(settings.n)]
    how = settings.temperature, settings.top_p, settings.seed
    with progress("sampling", len(items)) as show:
        texts = sample_completions(policy, tokenizer, items, *how, show)
    return [
        {"id": key, "completion": text, "sample": number} for (key, _, number), text in zip(items, texts, strict=True)
    ]


def start_of(checkpoint: Path) -> str | None:
    """The hash of the policy that a checkpoint was learned from, if the checkpoint lies in a whole run that says so."""
    run = checkpoint.resolve().parent
    if not is_run(run) or damage(run):
        return None
    policy = load_manifest(run).policy
    return policy.start if policy and checkpoint.resolve().name in policy.checkpoints else None


def main() -> int:
    settings = parse("course.policy.sample", "Sample completions from a policy.", Settings)
    dataset = load_dataset(settings.dataset)
    completions = run(settings, dataset)
    data, sidecar = to_json_lines(completions), sidecar_path(settings.out)
    made = Sidecar(
        policy=settings.policy.name,
        policy_sha256=checkpoint_sha256(settings.policy),
        tokenizer_sha256=sha256_file(settings.policy / "tokenizer.json"),
        sampling=Sampling(settings.temperature, settings.top_p, MAX_NEW_TOKENS, settings.n, settings.seed),
        prompts_sha256=dataset.prompts_sha256,
        completions_sha256=sha256(data),
        command=" ".join(["python -m course.policy.sample", *sys.argv[1:]]),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        learned_from=start_of(settings.policy),
        versions={"torch": str(torch.__version__), "numpy": np.__version__},
    )
    write_whole(settings.out, data)
    write_whole(sidecar, to_pretty_json(made))
    out = console()
    out.print(f"{len(completions)} completions in {settings.out}, how they were made in {sidecar}")
    out.print(f"Next: python -m course.eval --dataset {settings.dataset} --completions {settings.out}")
    return DONE


if __name__ == "__main__":
    run_command(main)
