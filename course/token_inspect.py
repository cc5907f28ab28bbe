"""Text space and token space: what a completion is to the scorer, and what it is to the policy.

    python -m course.token_inspect
    python -m course.token_inspect "Final: 323" "Final:323"
    python -m course.token_inspect --tokenizer path/to/tokenizer.json

The scorer reads text. The policy chooses tokens, one after another, and to it two texts that look alike may be
different sequences of different length. Each text is shown under π0's tokenizer, which keeps digits apart, under
one that was trained on the same text but may merge digits, and under any `tokenizer.json` you name. With PyTorch
installed, each of π0's tokens is shown with its log-probability given the prompt.
"""

import argparse
import importlib.util
from pathlib import Path

from tokenizers import Tokenizer

from course.core.command_line import run_command
from course.core.display import console, table, visible
from course.core.files import InputError, read_bytes, sha256_file, to_json_lines, to_pretty_json
from course.core.runs import SUMMARY, RunWriter, add_run_options
from course.core.scoring import experiment
from course.score import score

POLICY = Path(__file__).resolve().parents[1] / "data" / "policy"
PI0 = POLICY / "pi0"
SHIPPED = {"π0, digits apart": PI0 / "tokenizer.json", "digits merged": POLICY / "merged_digits" / "tokenizer.json"}
EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
TEXTS = ("Final: 323", "Final:  323", "Final: 0323", "Final:\n323", "Final:323")


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from its file. Raises InputError."""
    data = read_bytes(path)
    try:
        return Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises a bare Exception for a file it cannot read
        raise InputError(path, f"not a tokenizer: {error}") from None


def pieces(tokenizer: Tokenizer, text: str) -> list[tuple[int, str]]:
    """The tokens of a text: id, and the part of the text that the token stands for.

    A token that is part of a character stands for the whole of it.
    """
    encoded = tokenizer.encode(text, add_special_tokens=False)
    return [(number, text[start:end]) for number, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)]


def boundaries(found: list[tuple[int, str]]) -> str:
    """The tokens' texts with their boundaries between them."""
    return "|".join("".join("␣" if c == " " else visible(c) for c in text) for _, text in found)


def logprobs(text: str) -> list[float] | None:
    """log π0(token | prompt and tokens before) for each token of the text and the end; None without PyTorch."""
    if not (importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors")):
        return None
    from course.policy.core.sampling import load_checkpoint, token_logprobs

    return token_logprobs(*load_checkpoint(PI0), str(EXAMPLE["prompt"]), text)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m course.token_inspect", description="Texts as tokens, and as scored."
    )
    parser.add_argument("texts", nargs="*", help="what to look at (default: five ways to write one answer)")
    parser.add_argument("--tokenizer", type=Path, action="append", default=[], help="a tokenizer.json to show as well")
    add_run_options(parser)
    args = parser.parse_args()
    texts = args.texts or list(TEXTS)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise InputError("texts", "a text holds bytes that are not UTF-8, which no tokenizer can read") from None
    tokenizers = {name: load_tokenizer(path) for name, path in SHIPPED.items()}
    tokenizers |= {str(path): load_tokenizer(path) for path in args.tokenizer}
    rows = []
    for text in texts:
        outcome = score(EXAMPLE, text)
        split = {name: pieces(tokenizer, text) for name, tokenizer in tokenizers.items()}
        rows.append(
            {
                "text": text,
                "reward": outcome["reward"],
                "code": outcome["details"]["code"],
                "tokens": {name: [{"id": i, "text": piece} for i, piece in found] for name, found in split.items()},
            }
        )
    logs = [logprobs(text) for text in texts]
    # The log-probabilities depend on whether torch is there, so the run, which must not, leaves them out.
    with RunWriter(args.runs_dir) as run:
        run.write("token_inspect.jsonl", to_json_lines(rows))
        run.write(SUMMARY, to_pretty_json({"loop": "A", "texts": len(texts), "tokenizers": list(tokenizers)}))
        settings = {"texts": texts, "tokenizers": {path.name: sha256_file(path) for path in args.tokenizer}}
        folder = run.finish({"experiment": "token_inspect", **experiment(args, "A", "none", settings)})

    out = console()
    out.print(f"prompt: {EXAMPLE['prompt']}\n")
    for row, log in zip(rows, logs, strict=True):
        text = str(row["text"])
        verdict = "passes" if row["reward"] == 1.0 else f"fails: {row['code']}"
        out.print(f"text `{visible(text)}`: reward {row['reward']:g}, {verdict}")
        shown = table("tokenizer", ">tokens", "boundaries (␣ is a space)", "ids")
        for name, tokenizer in tokenizers.items():
            found = pieces(tokenizer, text)
            shown.add_row(name, str(len(found)), boundaries(found), " ".join(str(number) for number, _ in found))
        out.print(shown)
        if log is not None:
            said = [boundaries([piece]) for piece in pieces(tokenizers["π0, digits apart"], text)]
            each = "  ".join(f"{name} {value:.2f}" for name, value in zip([*said, "<end>"], log, strict=True))
            out.print(f"  under π0, log p of each: {each}")
            out.print(f"  log π0(text | prompt) = {sum(log):.2f}, the sum: log p of a text is the sum over its tokens")
        out.print()
    if logs[0] is None:
        out.print(
            "(With PyTorch installed, each token's log-probability under π0 is shown: pip install -c constraints.txt"
        )
        out.print(" -e '.[policy]')\n")
    out.print(
        f"""What to notice:
- Here token space and text space part: the scorer sees one string and one rule; the policy makes a decision at every
  boundary, and the boundaries depend on the tokenizer.
- A space, a newline or a zero that hardly shows is another sequence of decisions, with another probability.
- With digits apart a policy can be right about the hundreds and wrong about the units. With digits merged a number
  is one decision among a thousand, and its neighbours are strangers.

Run written to {folder}
Next: python -m course.kl_tradeoff_demo"""
    )


if __name__ == "__main__":
    run_command(main)
