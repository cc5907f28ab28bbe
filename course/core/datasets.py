"""What an example and a completion are, and how files of them are loaded.

Loading is strict, because a broken example would be counted as a failure of the model: an example whose
expected answer the spec could never accept, a repeated id or an unknown field stops the command.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from course.core.files import InputError, JsonLines, read_json, sha256, to_json

SPLITS = ("train", "dev", "holdout")
LARGEST = 10**18 - 1  # 18 digits, as in the spec

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
Sample = Annotated[int, msgspec.Meta(ge=0, lt=1_000_000)]


class Example(TypedDict):
    """One item of a data set, as `score` takes it."""

    id: str
    prompt: str
    expected_answer: int
    metadata: dict[str, Any]


class ExampleRow(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a data set."""

    id: NonEmpty
    prompt: NonEmpty
    expected_answer: Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a completions file. Several samples of one example differ in `sample`."""

    id: NonEmpty
    completion: str
    sample: Sample = 0


@dataclass(frozen=True)
class Dataset:
    """A loaded data set: its examples by id, in file order, and what identifies it."""

    path: Path
    examples: dict[str, Example]
    sha256: str
    prompts_sha256: str  # identifies what the policy was asked: ids and prompts, in order, and nothing else
    split: str  # "train", "dev", "holdout", or "unknown"


def load_dataset(path: Path) -> Dataset:
    """Load and check a data set. Raises InputError."""
    lines = JsonLines(path, ExampleRow)
    examples: dict[str, Example] = {}
    for number, row in lines:
        if row.id in examples:
            raise InputError(path, f"duplicate id {row.id!r}", number)
        prompt, expected, metadata = row.prompt, row.expected_answer, row.metadata
        examples[row.id] = Example(id=row.id, prompt=prompt, expected_answer=expected, metadata=metadata)
    prompts = [[example["id"], example["prompt"]] for example in examples.values()]
    return Dataset(path, examples, lines.sha256, sha256(to_json(prompts)), split_of(path, examples))


def split_of(path: Path, examples: dict[str, Example]) -> str:
    """The split that every row names in its metadata; failing that, the one that the file's name ends in."""
    named = {str(example["metadata"].get("split")) for example in examples.values()}
    if len(named) == 1 and (split := named.pop()) in SPLITS:
        return split
    return next((split for split in SPLITS if path.stem.endswith(split)), "unknown")


class CompletionsFile:
    """The completions of a data set, one at a time, each checked: known id, no (id, sample) twice.

    Iterating yields completions. Raises InputError. `seen[id]` holds one bit for each sample of that
    example, which is all the memory that a completion costs.
    """

    def __init__(self, path: Path, examples: dict[str, Example]) -> None:
        self.lines = JsonLines(path, Completion)
        self.seen = dict.fromkeys(examples, 0)

    def __iter__(self) -> Iterator[Completion]:
        for number, row in self.lines:
            bits = self.seen.get(row.id)
            if bits is None:
                raise InputError(self.lines.path, f"completion for unknown id {row.id!r}", number)
            bit = 1 << row.sample
            if bits & bit:
                raise InputError(self.lines.path, f"duplicate id {row.id!r}, sample {row.sample}", number)
            self.seen[row.id] = bits | bit
            yield row


class Sampling(msgspec.Struct, forbid_unknown_fields=True):
    """How completions were sampled: the knobs that two comparable runs must share."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)]
    max_new_tokens: Annotated[int, msgspec.Meta(ge=1)]
    samples_per_prompt: Annotated[int, msgspec.Meta(ge=1)]
    seed: int


class Sidecar(msgspec.Struct, forbid_unknown_fields=True):
    """`<name>.meta.json`: where a completions file comes from."""

    policy: str  # a name for people
    policy_sha256: str  # of the checkpoint: what was sampled, whatever it is called
    tokenizer_sha256: str
    sampling: Sampling
    prompts_sha256: str
    completions_sha256: str
    command: str
    created: str
    versions: dict[str, str] = msgspec.field(default_factory=dict)


def sidecar_path(completions: Path) -> Path:
    if not completions.name:
        raise InputError(str(completions) or "''", "not a file")
    return completions.with_name(completions.stem + ".meta.json")


def load_sidecar(completions: Path) -> Sidecar | None:
    """The sidecar beside a completions file, or None where there is none. Raises InputError."""
    path = sidecar_path(completions)
    if not os.path.lexists(path):  # a link that leads nowhere is a sidecar that is lost
        return None
    sidecar: Sidecar = read_json(path, Sidecar)
    return sidecar


def check_sidecar(sidecar: Sidecar | None, completions: CompletionsFile, dataset: Dataset) -> None:
    """Refuse a sidecar that describes other completions, or another data set. Raises InputError.

    Call it after the completions have been read to the end, when their hash is known.
    """
    if sidecar is None:
        return
    path = completions.lines.path
    if sidecar.completions_sha256 != completions.lines.sha256:
        raise InputError(sidecar_path(path), f"it describes another file: {path.name} has changed since it was sampled")
    if sidecar.prompts_sha256 != dataset.prompts_sha256:
        raise InputError(sidecar_path(path), f"the completions were sampled for other prompts than {dataset.path.name}")
