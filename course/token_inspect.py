"""Text space and token space: what a completion is to the scorer, and what it is to the policy.

    python -m course.token_inspect
    python -m course.token_inspect "Final: 323" "Final:323"
    python -m course.token_inspect --tokenizer path/to/tokenizer.json

The scorer reads text. The policy chooses tokens, one after another: two texts that look alike may be different token
sequences, of different length. Each text is shown under π0's tokenizer, which keeps digits apart, under one that was
trained on the same text but may merge digits, and under any `tokenizer.json` you name. With PyTorch installed, each of
π0's tokens is shown with its log-probability given the prompt.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, table, visible
from course.core.experiment import RunOptions, save_experiment
from course.core.files import InputError, read_bytes, sha256_file, to_json_lines
from course.core.paths import MERGED_DIGITS, PI0
from course.score import score

SHIPPED = {"π0, digits apart": PI0 / "tokenizer.json", "digits merged": MERGED_DIGITS / "tokenizer.json"}
EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19. Output exactly one line: Final: <int>.", "expected_answer": 323}
TEXTS = ("Final: 323", "Final:  323", "Final: 0323", "Final:\n323", "Final:323")


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions):
    texts: tuple[str, ...] = option(TEXTS, "what to look at", positional=True, metavar="texts")
    tokenizer: tuple[Path, ...] = option((), "files like tokenizer.json to show as well")

    def check(self) -> None:
        """Refuse what no tokenizer can read. Raises InputError."""
        super().check()
        try:
            "".join(self.texts).encode()
        except UnicodeEncodeError:
            raise InputError("texts", "a text holds bytes that are not UTF-8, which no tokenizer can read") from None


@dataclass(frozen=True)
class Findings:
    """A row for each text: its score, and its tokens by tokenizer. And the tokens' log-probabilities under π0."""

    rows: list[dict[str, Any]]
    logprobs: list[list[float]]


def run(settings: Settings, example: Mapping[str, Any] = EXAMPLE) -> Findings:
    """Each text as the scorer sees it, and as each tokenizer splits it. Raises InputError."""
    paths = SHIPPED | {str(path): path for path in settings.tokenizer}
    tokenizers = {name: load_tokenizer(path) for name, path in paths.items()}
    rows = []
    for text in settings.texts:
        outcome = score(example, text)
        tokens = {name: tokens_of(tokenizer, text) for name, tokenizer in tokenizers.items()}
        rows.append({"text": text, "reward": outcome["reward"], "code": outcome["details"]["code"], "tokens": tokens})
    return Findings(rows, logprobs(settings.texts, example))


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from its file. Raises InputError."""
    data = read_bytes(path)
    try:
        return Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises a bare Exception for a file it cannot read
        raise InputError(path, f"not a tokenizer: {error}") from None


def tokens_of(tokenizer: Tokenizer, text: str) -> list[dict[str, Any]]:
    """The tokens of a text: id, and the part of the text that the token stands for.

    A token that is part of a character stands for the whole of it.
    """
    encoded = tokenizer.encode(text, add_special_tokens=False)
    spans = zip(encoded.ids, encoded.offsets, strict=True)
    return [{"id": number, "text": text[start:end]} for number, (start, end) in spans]


def shown(token: dict[str, Any]) -> str:
    """A token's text, with its spaces to be seen."""
    return "".join("␣" if character == " " else visible(character) for character in token["text"])


def logprobs(texts: tuple[str, ...], example: Mapping[str, Any] = EXAMPLE) -> list[list[float]]:
    """log π0(token | prompt and tokens before) for each token of each text and its end; empty without PyTorch."""
    if not (importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors")):
        return []
    from course.policy.core.sampling import load_checkpoint, token_logprobs

    checkpoint = load_checkpoint(PI0)
    return [token_logprobs(*checkpoint, str(example["prompt"]), text) for text in texts]


def print_report(findings: Findings) -> None:
    """Each text with its tokens."""
    out = console()
    out.print(f"prompt: {EXAMPLE['prompt']}")
    for place, row in enumerate(findings.rows):
        verdict = "passes" if row["reward"] == 1.0 else f"fails: {row['code']}"
        out.print(f"\ntext `{visible(row['text'])}`: reward {row['reward']:g}, {verdict}")
        rows = table("tokenizer", ">tokens", "boundaries (␣ is a space)", "ids")
        for name, tokens in row["tokens"].items():
            ids = " ".join(str(token["id"]) for token in tokens)
            rows.add_row(name, str(len(tokens)), "|".join(map(shown, tokens)), ids)
        out.print(rows)
        if findings.logprobs:
            log = findings.logprobs[place]
            texts = [*map(shown, row["tokens"]["π0, digits apart"]), "<end>"]
            each = "  ".join(f"{text} {value:.2f}" for text, value in zip(texts, log, strict=True))
            out.print(f"  under π0, log p of each: {each}")
            out.print(f"  log π0(text | prompt) = {sum(log):.2f}, the sum: log p of a text is the sum over its tokens")
    if not findings.logprobs:
        install = "pip install -c constraints.txt -e '.[policy]'"
        out.print(f"\n(With PyTorch installed, each token's log-probability under π0 is shown: {install})")
    notice(
        "Here token space and text space part: the scorer sees one string and one rule; the policy makes a decision at "
        "every boundary, and the boundaries depend on the tokenizer.",
        "A space, a newline or a zero that hardly shows is another sequence of decisions, with another probability.",
        "With digits apart a policy can be right about the hundreds and wrong about the units. With digits merged a "
        "number is one decision among a thousand, and its neighbours are strangers.",
    )


def main() -> None:
    settings = parse("course.token_inspect", "Texts as tokens, and as scored.", Settings)
    findings = run(settings)
    tokenizers = {path.name: sha256_file(path) for path in settings.tokenizer}
    # The log-probabilities depend on whether torch is there, so the run, which must not, leaves them out.
    saved = save_experiment(
        settings,
        experiment="token_inspect",
        loop="A",
        knob="none",
        settings={"texts": list(settings.texts), "tokenizers": tokenizers},
        summary={"texts": len(findings.rows), "tokenizers": list(findings.rows[0]["tokens"])},
        files={"token_inspect.jsonl": to_json_lines(findings.rows)},
    )
    print_report(findings)
    saved.close("python -m course.kl_tradeoff_demo")


if __name__ == "__main__":
    run_command(main)
