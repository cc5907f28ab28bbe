"""The texts: golden cases, real rollouts, and hostile ones made from a seed, each with an example it may answer."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from course.core.datasets import CompletionsFile, Example, load_dataset
from course.core.files import JsonLines
from course.core.golden import GoldenCase
from course.core.paths import DEV, FROZEN, GOLDEN, HOLDOUT, PACK
from course.score import MAX_CHARACTERS

ROLLOUTS = ((DEV, FROZEN), (DEV, PACK), (HOLDOUT, FROZEN.with_name("frozen_rollouts_holdout.jsonl")))
ODD = "\x00\x07\x1b\x7f\x85\xa0\u200b\u202e\u2028\u2029\ufeff\ufffd\ufffe\ud800\udfff\t\r\n\v\f 0９٣߃:;.,-−+\U0001f600é"  # noqa: RUF001
LIKE = str.maketrans("Final:0123456789-", "Ｆіnаl：０１２３４５６７８９−")  # noqa: RUF001
WRAPS = (
    "{}", "{}\x00", "**{}**", "`{}`", "```\n{}\n```", "$\\boxed{{{}}}$", "\\[ {} \\]", '{{"answer": "{}"}}',
    "<answer>{}</answer>", "<|im_start|>assistant\n{}<|im_end|>", "[INST] {} [/INST]", "{}<|endoftext|>", "{}<|end|>",
    "<|answer|>{}", "{}</s>", "<think>{0}</think>\n{0}", "<think><think>{0}</think>{0}</think>", "<think>{}",
    "</think>{}", "# {}\n", "- {}", "| {} |", "{}\n{}", "{0} {0}", "\n\n{}\n\n", " {} ", "\ufeff{}", "\u202e{}",
    "A: {}", "#### {}", "Let me see.\n{}",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A text, and the example whose completion it plays."""

    example: Example
    text: str


def right_line(rng: random.Random, answer: int) -> str:
    return f"Final: {answer}"


def near_number(rng: random.Random, answer: int) -> str:
    """Another way to write the number, or another number."""
    return "Final: " + rng.choice(
        (f"{answer:+d}", f"{answer:,}", f"{answer}.0", f"0{answer}", f"{answer:e}", f"{answer}-0", f"{answer + 1}",
         f"{answer}/1", f"9**9**{rng.randrange(9, 99)}", f"{answer}%", hex(answer), f"int('{answer}')", "nan", "1e999")
    )  # fmt: skip


def mutated(rng: random.Random, answer: int) -> str:
    """A right line in which up to four characters were put in, taken out, replaced or swapped."""
    line = list(f"Final: {answer}")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(line) + 1)
        line[at : at + rng.randrange(3)] = rng.choice(
            (rng.choice(ODD), "", rng.choice("Final: -0123456789"), rng.choice(ODD))
        )
    return "".join(line)


def look_alike(rng: random.Random, answer: int) -> str:
    """A right line in which some characters only look as they should."""
    return "".join(c.translate(LIKE) if rng.random() < 0.2 else c for c in f"Final: {answer}")


def wrapped(rng: random.Random, answer: int) -> str:
    """Markdown, LaTeX, JSON, templates, thoughts, in one another."""
    text = rng.choice((right_line, mutated, near_number))(rng, answer)
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(WRAPS).format(text, text)
    return text


def noise(rng: random.Random, answer: int) -> str:
    """Any code points at all, lone surrogates among them."""
    return "".join(chr(rng.randrange(rng.choice((128, 0x3000, 0x110000)))) for _ in range(rng.randrange(60)))


def long(rng: random.Random, answer: int) -> str:
    """Around the scorer's limit, far beyond it, and numbers of 100,000 digits."""
    line, many = f"Final: {answer}", MAX_CHARACTERS - rng.randint(-3, 20)
    return rng.choice(
        (
            " " * many + line,
            line + "\n" * many,
            "9" * many,
            line + "9" * 100_000,
            "Final: " * 3_000,
            "<think>" * 5_000 + line,
        )
    )


def utf16(rng: random.Random, answer: int) -> str:
    """The line with what a broken decoder makes of it: surrogates in pairs and alone, bytes as characters."""
    text = f"Final: {answer}" + rng.choice(("\ud83d\ude00", "\ud83d", "\udc80", "\xc3\xa9", ""))
    return rng.choice((text, text[::-1], "\udcff" + text, text.encode("utf-16-le", "surrogatepass").decode("latin-1")))


KINDS: tuple[tuple[Callable[[random.Random, int], str], int], ...] = (
    (right_line, 8),
    (near_number, 16),
    (mutated, 28),
    (look_alike, 10),
    (wrapped, 26),
    (noise, 6),
    (utf16, 5),
    (long, 1),
)  # fmt: skip  (how many of 100)


def hostile(count: int, seed: int) -> list[Case]:
    """So many hostile texts; each depends on the seed and its number alone."""
    examples, (kinds, weights) = list(load_dataset(DEV).examples.values()), zip(*KINDS, strict=True)
    made = []
    for number in range(count):
        rng = random.Random(f"{seed}:{number}")
        example, [kind] = rng.choice(examples), rng.choices(kinds, weights)
        made.append(Case(example, kind(rng, example["expected_answer"])))
    return made


def golden() -> list[Case]:
    """The golden cases whose completion is a text. Raises InputError."""
    rows = [row for path in sorted(GOLDEN.glob("*.jsonl")) for _, row in JsonLines(path, GoldenCase)]
    made = [
        (Example(id=row.id, prompt=row.prompt, expected_answer=row.expected_answer, metadata={}), row) for row in rows
    ]
    return [Case(example, row.given) for example, row in made if isinstance(row.given, str)]


def rollouts() -> list[Case]:
    """What π0 really said. Raises InputError."""
    made = []
    for dataset, completions in ROLLOUTS:
        examples = load_dataset(dataset).examples
        made += [Case(examples[row.id], row.completion or "") for row in CompletionsFile(completions, examples)]
    return made
