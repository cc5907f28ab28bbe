"""What `manifest.json` holds: what a run was made of, by which instrument, and under which circumstances.

The manifest is written last: a folder without one is no run. It holds the hash of every other file, and `seal`, the
hash of itself, so a change of any one byte shows. (A seal shows damage and carelessness. It is no signature: whoever
rewrites results, hashes and seal alike forges a run, and then only the original completions can tell.)
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from course.core.datasets import Sampling
from course.core.files import InputError, read_bytes, read_json, sha256, to_pretty_json

MANIFEST, RESULTS, SUMMARY = "manifest.json", "results.jsonl", "summary.json"
FORMAT: Literal[1] = 1
WHOLE = "whole 1"  # the view of a text that leaves nothing out
ERRORS = ("false_positives", "false_negatives", "wrong_codes", "crashes")  # of a scorer, by the golden gate
Loop = Literal["A", "B", "C", "B and C"]


class Record(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """An object of the manifest: what it does not know it refuses; what is None is left out of the file."""


class Change(Record, frozen=True):
    """The single declared change since another run, the parent."""

    declared: str
    parent: str
    parent_seal: str


class ScorerRecord(Record, frozen=True):
    """Which instrument: the version of its spec, and the hash of its source."""

    spec_version: str
    sha256: str


class CoreRecord(Record, frozen=True):
    """Whether the core was as it was sealed, its hash, and a line for each file that was not."""

    sealed: bool
    sha256: str
    broken: list[str]


class GoldenRecord(Record, frozen=True):
    """What the golden gate found: the hash of the course's cases, and counts. `yours` are the student's cases."""

    sha256: str
    cases: int
    yours: int
    false_positives: int
    false_negatives: int
    wrong_codes: int
    crashes: int

    @property
    def errors(self) -> dict[str, int]:
        """How often each kind of error was found."""
        return {kind: getattr(self, kind) for kind in ERRORS}


class FileRecord(Record, frozen=True, kw_only=True):
    """A file by its name, its hash and, for a data set, its split."""

    name: str | None = None
    sha256: str
    split: str | None = None


class PolicyRecord(Record, frozen=True):
    """Which policy was sampled (name and hashes); or from which one learning began, and what it left behind."""

    name: str | None = None
    sha256: str | None = None
    tokenizer_sha256: str | None = None
    start: str | None = None
    tokenizer: str | None = None
    checkpoints: dict[str, str] = msgspec.field(default_factory=dict)  # folder in the run -> hash


class SelectionRecord(Record, frozen=True):
    """How the completions of Loop B were chosen: hash of the rule, samples to choose from, the selecting rubric."""

    rule: str
    n: int
    select_with: str


class Circumstances(Record, frozen=True):
    """What varies from run to run of the same inputs."""

    time: str
    host: str
    platform: str
    python: str
    versions: dict[str, str]
    command: str
    commit: str | None = None
    tree_clean: bool | None = None
    dataset_path: str | None = None
    completions_path: str | None = None
    earlier_looks_at_this_holdout: int | None = None
    seconds_of_learning: float | None = None


class Manifest(Record, frozen=True, kw_only=True):
    """The whole of `manifest.json`."""

    format: Literal[1]
    loop: Loop
    knob: str
    experiment: str | None = None  # None: a plain evaluation
    change: Change | None = None
    note: str | None = None
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    dataset: FileRecord | None = None
    prompts_sha256: str | None = None
    system_prompt: str | None = None
    view: str | None = None  # which part of a text the scorer was handed; None: the whole
    completions: FileRecord | None = None
    policy: PolicyRecord | None = None
    sampling: Sampling | None = None
    selection: SelectionRecord | None = None
    data: dict[str, FileRecord] = msgspec.field(default_factory=dict)
    looked_at: list[str] = msgspec.field(default_factory=list)  # prompts of a holdout that was measured on the way
    scorer: ScorerRecord
    golden: GoldenRecord | None = None
    core: CoreRecord
    files: dict[Annotated[str, msgspec.Meta(min_length=1)], str]
    circumstances: Circumstances
    seal: str = ""

    @property
    def has_results(self) -> bool:
        """Does the run hold scored completions?"""
        return RESULTS in self.files

    @property
    def prompts_version(self) -> str:
        """Which prompts, and which system prompt and which view of the texts if the sidecar tells them."""
        system = "" if self.system_prompt is None else f", system {sha256(self.system_prompt.encode())[:8]}"
        return f"{(self.prompts_sha256 or 'none')[:8]}{system}{'' if self.view in (None, WHOLE) else f', {self.view}'}"


def checkpoint_identity(config_sha256: str, weights_sha256: str) -> str:
    """Identifies a policy that can be sampled, by the hashes of its network's shape and of its weights."""
    return sha256((config_sha256 + weights_sha256).encode())


def is_run(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def load_manifest(run: Path) -> Manifest:
    """The manifest of a run. Raises InputError if this is no run, or if its manifest is not one."""
    manifest: Manifest = read_json(manifest_path(run), Manifest)
    if manifest.has_results and not (manifest.dataset and manifest.prompts_sha256 and manifest.completions):
        raise InputError(run / MANIFEST, f"it holds {RESULTS}, but not of which data set and completions")
    return manifest


def manifest_path(run: Path) -> Path:
    """Where a run's manifest lies. Raises InputError if this is no run."""
    if not run.is_dir():
        raise InputError(run, "no such run")
    if not is_run(run):
        raise InputError(run, f"not a run: it has no {MANIFEST}")
    return run / MANIFEST


def sealed_bytes(manifest: dict[str, Any]) -> bytes:
    """The bytes of `manifest.json`, sealed anew: last stands the hash of all that stands before it."""
    body = {key: value for key, value in manifest.items() if key != "seal"}
    return to_pretty_json({**body, "seal": sha256(to_pretty_json(body))})


def manifest_file(manifest: Manifest) -> bytes:
    """The bytes of a manifest, sealed. Raises ValueError for one that could not be loaded again."""
    body = msgspec.to_builtins(manifest)
    msgspec.convert(body, Manifest)
    return sealed_bytes(body)


def has_whole_seal(run: Path) -> bool:
    """Is every byte of the manifest as it was written and sealed? Raises InputError if it cannot be read."""
    return read_bytes(manifest_path(run)) == manifest_file(load_manifest(run))
