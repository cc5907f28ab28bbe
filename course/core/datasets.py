"""What an example and a completion are, and how files of them are loaded.

Loading is strict, because a broken example would be counted as a failure of the model: an example whose
expected answer the spec could never accept, a repeated id or an unknown field stops the command.
"""

import hashlib
import itertools
import marshal
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from course.core.files import InputError, JsonLines, read_json, to_json

SPLITS = ("train", "dev", "holdout")
LARGEST = 10**18 - 1  # 18 digits, as in the spec
MOST_SAMPLES = 10_000  # asked for of one example: each that is absent becomes a row

BY_ANOTHER_TOOL = "; did another tool write this? python -m transfer.read FILE --out FOLDER"

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
    completion: str | None  # None: the request failed, and `error` may say why
    sample: Sample = 0
    error: str | None = None
    finish_reason: str | None = None  # in the words of whoever sampled: `stop`, `length` …
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Examples(Mapping[str, Example]):
    """Examples by id, in file order. Each is kept packed and unpacked when it is asked for, so that a million fit."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def add(self, row: ExampleRow) -> None:
        """Raises ValueError if its id is there already, or its metadata are nested too deeply."""
        if row.id in self._packed:
            raise ValueError(f"duplicate id {row.id!r}")
        self._packed[row.id] = marshal.dumps((row.prompt, row.expected_answer, row.metadata))

    def __getitem__(self, key: str) -> Example:
        prompt, expected, metadata = marshal.loads(self._packed[key])
        return Example(id=key, prompt=prompt, expected_answer=expected, metadata=metadata)

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


@dataclass(frozen=True)
class Dataset:
    """A loaded data set: its examples by id, in file order, and what identifies it."""

    path: Path
    examples: Examples
    sha256: str
    prompts_sha256: str  # identifies what the policy was asked: ids and prompts, in order, and nothing else
    split: str  # "train", "dev", "holdout", or "unknown"


def load_dataset(path: Path) -> Dataset:
    """Load and check a data set. Raises InputError."""
    lines = JsonLines(path, ExampleRow, BY_ANOTHER_TOOL)
    examples, named, prompts = Examples(), set[str](), hashlib.sha256(b"[")
    for number, row in lines:
        prompts.update(b"," * bool(examples) + to_json([row.id, row.prompt]))
        try:
            examples.add(row)
        except ValueError as error:
            raise InputError(path, str(error), number) from None
        named.add(str(row.metadata.get("split")))
    prompts.update(b"]")
    return Dataset(path, examples, lines.sha256, prompts.hexdigest(), split_of(path, named))


def split_of(path: Path, named: set[str]) -> str:
    """The split that every row names in its metadata; failing that, the one that the file's name ends in."""
    if len(named) == 1 and (split := next(iter(named))) in SPLITS:
        return split
    return next((split for split in SPLITS if path.stem.endswith(split)), "unknown")


class CompletionsFile:
    """The completions of a data set, one at a time, each checked: known id, no (id, sample) twice.

    Iterating yields completions. Raises InputError. `seen[id]` holds one bit for each sample of that example below
    NEAR, which is all the memory that a completion costs; `far` holds those with larger numbers.
    """

    NEAR = 1024

    def __init__(self, path: Path, examples: Iterable[str]) -> None:
        self.lines = JsonLines(path, Completion, BY_ANOTHER_TOOL)
        self.seen = dict.fromkeys(examples, 0)
        self.far: set[tuple[str, int]] = set()

    def __iter__(self) -> Iterator[Completion]:
        return self.taken(self.lines)

    def taken(self, rows: Iterable[tuple[int, Completion]]) -> Iterator[Completion]:
        """Some rows, with their line numbers, checked. Raises InputError."""
        for number, row in rows:
            if row.id not in self.seen:
                first = f"the data set's first is {next(iter(self.seen))!r}"
                raise InputError(
                    self.lines.path, f"completion for unknown id {row.id!r}; {first}{self.lines.hint}", number
                )
            if row.error is not None and row.completion is not None:
                raise InputError(self.lines.path, "it holds a completion and an error: which of them counts?", number)
            if self.has(row.id, row.sample):
                raise InputError(self.lines.path, f"duplicate id {row.id!r}, sample {row.sample}", number)
            if row.sample < self.NEAR:
                self.seen[row.id] |= 1 << row.sample
            else:
                self.far.add((row.id, row.sample))
            yield row

    def has(self, example_id: str, sample: int) -> bool:
        """Was this sample read already?"""
        if sample < self.NEAR:
            return bool(self.seen[example_id] >> sample & 1)
        return (example_id, sample) in self.far

    def counts(self) -> Iterator[tuple[str, int]]:
        """How many samples of every example were read."""
        far = Counter(key for key, _ in self.far)
        return ((key, bits.bit_count() + far[key]) for key, bits in self.seen.items())

    def absent(self, asked: int | None) -> Iterator[tuple[str, int]]:
        """(id, sample) of every answer that was asked for and is not there, once all have been read.

        `asked` is the number of samples that each example was asked for; where it is not known, only an example
        without any answer lacks one. Raises InputError if an example has more answers than were asked for.
        """
        for key, there in self.counts():
            if asked is not None and there > asked:
                more = f"{there} samples of {key!r}, where {asked} were asked for"
                raise InputError(self.lines.path, more)
            lacking = (asked or 1) - there
            numbers = (number for number in itertools.count() if not self.has(key, number))
            yield from ((key, number) for number in itertools.islice(numbers, max(0, lacking)))


class Sampling(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How completions were sampled: the knobs that two comparable runs must share. None: not known, or not set."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None
    max_new_tokens: Annotated[int, msgspec.Meta(ge=1)] | None
    samples_per_prompt: Annotated[int, msgspec.Meta(ge=1, le=MOST_SAMPLES)]
    seed: int | None
    request: dict[str, Any] = msgspec.field(default_factory=dict)  # what else was set: `stop`, a chat template …


class Sidecar(msgspec.Struct, forbid_unknown_fields=True):
    """`<name>.meta.json`: where a completions file comes from."""

    policy: str  # a name for people
    policy_sha256: NonEmpty  # of the checkpoint: what was sampled, whatever it is called
    tokenizer_sha256: str
    sampling: Sampling
    prompts_sha256: str
    completions_sha256: str
    command: str
    created: str
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    learned_from: str | None = None  # policy_sha256 of the policy that it was learned from
    system_prompt: str | None = None  # what the policy was told before each prompt
    view: str | None = None  # which part of its text the scorer is handed, with a version: `last_line 1`


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
