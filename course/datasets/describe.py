"""Say how completions were sampled: the sidecar for a file of your own model's completions.

    python -m course.datasets.describe --dataset mine.jsonl --completions said.jsonl \\
        --policy "my-model, revision 3f2a" --temperature 0.7 --top-p 0.95 --max-new-tokens 512 --seed 0

It reads both files, counts the samples of each prompt, and writes `said.meta.json` beside the completions. A run made
of them then knows its policy and its sampling, and `compare` can tell which knob was turned. Name the policy so that
another checkpoint has another name; with --checkpoint the file's own hash identifies it.
"""

import argparse
import datetime
import sys
from pathlib import Path

from course.core.command_line import run_command
from course.core.datasets import CompletionsFile, Sampling, Sidecar, load_dataset, sidecar_path
from course.core.display import console, typed
from course.core.files import InputError, reason_of, sha256, sha256_file, to_pretty_json, write_whole


def identity(file: Path | None, name: str) -> str:
    """The hash of a file; without one, of a name. Raises InputError."""
    if file is None:
        return sha256(name.encode())
    try:
        return sha256_file(file)
    except OSError as error:
        raise InputError(file, reason_of(error)) from None


def describe(dataset_path: Path, completions_path: Path, args: argparse.Namespace) -> Sidecar:
    """The sidecar of a file of completions. Raises InputError."""
    dataset = load_dataset(dataset_path)
    completions = CompletionsFile(completions_path, dataset.examples)
    for _ in completions:
        pass  # read to the end: every row is checked, and the hash is that of the whole file
    counts = {bits.bit_count() for bits in completions.seen.values()} - {0}
    if len(counts) != 1:
        few, many = min(counts), max(counts)
        raise InputError(completions_path, f"some prompts have {few} samples and some {many}: sample them alike")
    return Sidecar(
        policy=args.policy,
        policy_sha256=identity(args.checkpoint, args.policy),
        tokenizer_sha256=identity(args.tokenizer, "the tokenizer that the policy brings"),
        sampling=Sampling(args.temperature, args.top_p, args.max_new_tokens, counts.pop(), args.seed),
        prompts_sha256=dataset.prompts_sha256,
        completions_sha256=completions.lines.sha256,
        command=" ".join(["python -m course.datasets.describe", *sys.argv[1:]]),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course.datasets.describe", description="Say how your own completions were sampled."
    )
    parser.add_argument("--dataset", type=Path, required=True, help="the examples whose prompts were continued")
    parser.add_argument("--completions", type=Path, required=True, help="the completions to describe")
    parser.add_argument("--policy", required=True, help="the model's name, revision included")
    parser.add_argument("--temperature", type=float, required=True)
    parser.add_argument("--top-p", type=float, required=True)
    parser.add_argument("--max-new-tokens", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--checkpoint", type=Path, help="a file whose hash identifies the policy, its weights say")
    parser.add_argument("--tokenizer", type=Path, help="the tokenizer's file")
    args = parser.parse_args()
    if not 0 <= args.temperature < float("inf"):
        raise InputError("--temperature", "a number, zero or more")
    if not 0 < args.top_p <= 1:
        raise InputError("--top-p", "more than 0, at most 1")
    if args.max_new_tokens < 1:
        raise InputError("--max-new-tokens", "at least 1")
    sidecar = describe(args.dataset, args.completions, args)
    path = sidecar_path(args.completions)
    write_whole(path, to_pretty_json(sidecar))
    out = console()
    out.print(f"written: {path}")
    out.print(f"Next: python -m course.eval --dataset {typed(args.dataset)} --completions {typed(args.completions)}")


if __name__ == "__main__":
    run_command(main)
