"""The files of an import: a data set, and completions with a sidecar for each model; all of them, or none."""

import datetime
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from course.core import durable
from course.core.datasets import MOST_SAMPLES, Sampling, Sidecar, load_dataset, sidecar_path
from course.core.files import InputError, read_bytes, reason_of, sha256, to_json_lines, to_pretty_json
from transfer.formats.core.assemble import Assembly
from transfer.formats.core.parts import Model

LONGEST_NAME = 60
COMPLETIONS = "completions"  # the folder of those, a file a model
KNOBS = ("temperature", "top_p", "max_new_tokens", "seed")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder for `put` to fill, which appears as `out` once it is complete. Raises InputError if `out` has files."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(out, "there is something already: name a new folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = durable.unfinished_in(out.absolute().parent)
        durable.begin(aside, Path.mkdir)
        try:
            yield aside
            if out.is_dir():
                out.rmdir()
            aside.rename(out)
        finally:
            durable.end(aside)
    except OSError as error:
        raise InputError(out, f"cannot write: {reason_of(error)}") from None


def put(path: Path, data: bytes) -> None:
    """Write a file into a folder that `new_folder` made. Raises OSError."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    durable.sync(path)


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:LONGEST_NAME] or "unnamed"


def unused(stem: str, used: set[str]) -> str:
    """A file's name that no other file has, be it in other case; it is added to those that are used."""
    names = (stem if number == 1 else f"{stem}_{number}" for number in itertools.count(1))
    found = next(name for name in names if name.lower() not in used)
    used.add(found.lower())
    return found


def write_dataset(made: Assembly, path: Path, training: bool) -> None:
    """The examples: those of the log; of a data set that was given, all, or in training those that were asked."""
    given = made.dataset is not None and not training
    put(path, read_bytes(made.dataset.path) if given and made.dataset else to_json_lines(made.examples.values()))


def write_completions(
    made: Assembly, model: Model, policy: str, stated: Mapping[str, Any], path: Path, data: Path
) -> None:
    """A model's completions and their sidecar. Raises InputError where the log and what was stated differ."""
    text = to_json_lines(model.completions.values())
    about = {name: getattr(model.about, name) for name in KNOBS}
    for name, value in stated.items():
        if about[name] not in (None, value):
            raise InputError(f"--{name.replace('_', '-')}", f"the log of {model.name} says {about[name]}, not {value}")
    try:
        knobs = {**about, **stated, "samples_per_prompt": asked_for(made, model), "request": model.about.request}
        sampling = msgspec.convert(knobs, Sampling)
    except msgspec.ValidationError as error:
        raise InputError(model.name, f"its settings are not as expected: {error}") from None
    sidecar = Sidecar(
        policy=policy,
        policy_sha256=sha256(policy.encode()),
        tokenizer_sha256=sha256(b"the tokenizer that the policy brings"),
        sampling=sampling,
        prompts_sha256=load_dataset(data).prompts_sha256,
        completions_sha256=sha256(text),
        command=" ".join(["python -m transfer.read", *sys.argv[1:]]),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions=model.about.versions,
        system_prompt=next(iter(model.systems)) if len(model.systems) == 1 else None,
        view=made.view,
    )
    put(path, text)
    put(sidecar_path(path), to_pretty_json(sidecar))


def asked_for(made: Assembly, model: Model) -> int:
    """How many answers each prompt was asked for: as the log says, as was stated, or as many as most have.

    Raises InputError for a training whose prompts have different numbers of answers, where none is stated.
    """
    counts = Counter(key for key, _ in model.completions)
    most = 1 + max(sample for _, sample in model.completions)
    fewest = min(counts.values())
    if (
        made.samples is None
        and "step" in next(iter(model.completions.values())).metadata
        and fewest < max(counts.values())
    ):
        reason = (
            f"prompts were answered {fewest} to {max(counts.values())} times: say with --samples how often each was"
        )
        raise InputError(model.name, f"{reason} asked at a time (num_generations of TRL, rollout.n of verl)")
    asked = max(model.about.samples or 0, made.samples or 0, most)
    if asked > MOST_SAMPLES:
        raise InputError(model.name, f"{asked} answers of one prompt, where at most {MOST_SAMPLES} can be measured")
    return asked
