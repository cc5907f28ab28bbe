"""Say how completions were sampled: the sidecar for a file of your own model's completions.

    python -m course.datasets.describe --dataset mine.jsonl --completions answers.jsonl \\
        --policy "my-model, revision 3f2a" --temperature 0.7 --top-p 0.95 --max-new-tokens 512 --seed 0

It reads both files, counts the samples of each prompt, and writes `answers.meta.json` beside the completions. A run
made of them then knows its policy and its sampling, and `compare` can tell which knob was turned. Name the policy so
that another checkpoint has another name; with --checkpoint the file's own hash identifies it.
"""

import datetime
import sys
from dataclasses import dataclass
from pathlib import Path

from course.core.command_line import DONE, option, parse, run_command
from course.core.datasets import MOST_SAMPLES, CompletionsFile, Sampling, Sidecar, load_dataset, sidecar_path
from course.core.display import console, typed
from course.core.files import InputError, read_bytes, reason_of, sha256, sha256_file, to_pretty_json, write_whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    dataset: Path = option(help="the examples whose prompts were continued")
    completions: Path = option(help="the completions to describe")
    policy: str = option(help="the model's name, revision included")
    temperature: float = option(at_least=0)
    top_p: float = option(above=0, at_most=1)
    max_new_tokens: int = option(at_least=1)
    seed: int = option()
    samples: int | None = option(
        None, "samples asked for of each prompt (default: as many as there are)", at_least=1, at_most=MOST_SAMPLES
    )
    checkpoint: Path | None = option(None, "a file whose hash identifies the policy, for example its weights")
    tokenizer: Path | None = option(None, "the tokenizer's file")
    system_prompt: Path | None = option(None, "a text file: what the policy was told before each prompt")
    learned_from: str | None = option(None, "the policy that this one was trained from: its name, or its file")


def describe(settings: Settings) -> Sidecar:
    """The sidecar of a file of completions. Raises InputError."""
    dataset, start = load_dataset(settings.dataset), settings.learned_from
    completions = CompletionsFile(settings.completions, dataset.examples)
    for _ in completions:
        pass  # read to the end: every row is checked, and the hash is that of the whole file
    asked = settings.samples or asked_by_count(completions)
    lost = sum(1 for _ in completions.absent(asked))
    if lost:
        console().print(
            f"{lost} answers of {len(dataset.examples) * asked} are absent; an evaluation counts each as failed"
        )
    return Sidecar(
        policy=settings.policy,
        policy_sha256=identity(settings.checkpoint, settings.policy),
        tokenizer_sha256=identity(settings.tokenizer, "the tokenizer that the policy brings"),
        sampling=Sampling(settings.temperature, settings.top_p, settings.max_new_tokens, asked, settings.seed),
        prompts_sha256=dataset.prompts_sha256,
        completions_sha256=completions.lines.sha256,
        command=" ".join(["python -m course.datasets.describe", *sys.argv[1:]]),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        learned_from=None if start is None else identity(Path(start) if Path(start).is_file() else None, start),
        system_prompt=None if settings.system_prompt is None else text_of(settings.system_prompt),
    )


def text_of(path: Path) -> str:
    """A file's text. Raises InputError."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None


def asked_by_count(completions: CompletionsFile) -> int:
    """How many samples each prompt was asked for, where all that have any have as many. Raises InputError."""
    counts = {there for _, there in completions.counts()} - {0}
    if len(counts) != 1:
        reason = (
            f"some prompts have {min(counts)} samples and some {max(counts)}: say with --samples how many were asked"
        )
        raise InputError(completions.lines.path, reason)
    return counts.pop()


def identity(file: Path | None, name: str) -> str:
    """The hash of a file; without one, of a name. Raises InputError."""
    if file is None:
        return sha256(name.encode())
    try:
        return sha256_file(file)  # a checkpoint may be larger than the memory
    except OSError as error:
        raise InputError(file, reason_of(error)) from None


def main() -> int:
    settings = parse("course.datasets.describe", "Say how your own completions were sampled.", Settings)
    sidecar = describe(settings)
    path = sidecar_path(settings.completions)
    write_whole(path, to_pretty_json(sidecar))
    words = f"--dataset {typed(settings.dataset)} --completions {typed(settings.completions)}"
    console().print(f"written: {path}", f"Next: python -m course.eval {words}", sep="\n")
    return DONE


if __name__ == "__main__":
    run_command(main)
