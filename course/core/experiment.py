"""The one way to write a run.

`save_experiment` is where every command that writes a run ends: golden gate, seal, looks at a holdout, run directory,
manifest, picture. `SavedRun.close` prints the closing lines.
"""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from course.core import durable
from course.core.command_line import option
from course.core.datasets import Dataset
from course.core.display import console, typed
from course.core.files import InputError, to_pretty_json, write_whole
from course.core.golden import GoldenReport, golden_gate
from course.core.manifest import FORMAT, SUMMARY, Change, Circumstances, Loop, Manifest, PolicyRecord, load_manifest
from course.core.paths import ROOT, RUNS
from course.core.runs import RunWriter, damage, earlier_looks, outside_of_runs
from course.core.scoring import scorer_identity
from course.core.seal import check_seal


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of every command that writes a run."""

    runs_dir: Path = option(RUNS, "where runs are kept")
    change: str | None = option(None, "the single thing that was changed since --parent")
    parent: Path | None = option(None, "the run that this one is to be compared with", metavar="RUN")
    note: str | None = option(None, "a free remark for the manifest")

    def check(self) -> None:
        """Refuse now a declaration that says nothing, and a place inside a run. Raises InputError."""
        outside_of_runs(self.runs_dir)
        declare(self.change, self.parent)


@dataclass(frozen=True, kw_only=True)
class PictureOptions(RunOptions):
    """The options of every command whose run has a picture."""

    plot: Path | None = option(None, "write the picture here as well")

    def check(self) -> None:
        """Refuse now what could not be written after minutes of measuring. Raises InputError."""
        super().check()
        if self.plot is not None:
            outside_of_runs(self.plot)
            folder = next(path for path in self.plot.absolute().parents if path.exists())
            if self.plot.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise InputError("--plot", f"no file can be written at {self.plot}")


@dataclass(frozen=True)
class SavedRun:
    """A run that was written: its folder, its manifest, its picture if it has one."""

    folder: Path
    manifest: Manifest
    picture: Path | None

    def close(self, following: str, *more: str) -> None:
        """The closing lines: what to know, where the run is, what to look at, and what to type next."""
        out = console()
        if not self.manifest.core.sealed:
            out.print("\nThe seal on the core is broken (python -m course.seal says where). The run records it.")
        out.print(f"\nRun written to {self.folder}{f'; look at {self.picture}' if self.picture else ''}")
        for line in more:
            out.print(line)
        out.print(f"Next: {following.replace('{run}', typed(self.folder))}")


def save_experiment(
    options: RunOptions,
    *,
    loop: Loop,
    knob: str,
    summary: Mapping[str, Any],
    experiment: str | None = None,
    files: Mapping[str, bytes] | None = None,
    picture: bytes | None = None,
    golden: GoldenReport | None = None,
    looks_at: Dataset | None = None,
    policy: PolicyRecord | None = None,
    checkpoints: Mapping[str, Callable[[Path], str]] | None = None,
    paths: Mapping[str, Path] | None = None,
    seconds_of_learning: float | None = None,
    writer: RunWriter | None = None,
    **record: Any,
) -> SavedRun:
    """Write a run, whole or not at all. Raises FoundError where the scorer fails the golden gate, and InputError.

    `record` holds further fields of the manifest (`settings`, or what `Measurement.record` gives). `files` maps names
    in the run to their bytes; `checkpoints` maps folders to functions that write them and return their hash. `writer`
    is a run already begun, `golden` the report of a gate already passed. `looks_at` is a data set that was measured: of
    a holdout, the looks are counted and said. `paths` says where `dataset` and `completions` were found.
    """
    record |= {"loop": loop, "knob": knob, "experiment": experiment, "policy": policy, "note": options.note}
    record |= {"golden": (golden or golden_gate()).record(), "core": check_seal(), "scorer": scorer_identity()}
    record["change"] = declare(options.change, options.parent)
    holdout = looks_at.prompts_sha256 if looks_at is not None and looks_at.split == "holdout" else None
    if holdout is not None and "prompts_sha256" not in record:
        record["looked_at"] = [holdout]
    if picture is not None and isinstance(options, PictureOptions) and options.plot:
        write_whole(options.plot, picture)
    with writer or RunWriter(options.runs_dir) as run:
        for file, data in {**(files or {}), **({} if picture is None else {f"{experiment}.png": picture})}.items():
            run.write(file, data)
        run.write(SUMMARY, to_pretty_json({"loop": loop, **summary}))
        if policy is not None and checkpoints:
            hashes = {folder: write(run.folder / folder) for folder, write in checkpoints.items()}
            record["policy"] = msgspec.structs.replace(policy, checkpoints=hashes)
        found = {f"{kind}_path": str(path) for kind, path in (paths or {}).items()}
        where = circumstances_of(seconds_of_learning=seconds_of_learning, **found)
        hashes = run.hashes()
        with durable.locked(options.runs_dir):  # of runs that end together, each sees those before it
            looks = None if holdout is None else earlier_looks(holdout, options.runs_dir)
            where = msgspec.structs.replace(where, earlier_looks_at_this_holdout=looks)
            manifest = Manifest(format=FORMAT, files=hashes, circumstances=where, **record)
            folder = run.finish(manifest)
    say_looks(looks)
    return SavedRun(folder, manifest, None if picture is None else folder / f"{experiment}.png")


def declare(change: str | None, parent: Path | None) -> Change | None:
    """The single declared change since the parent run, as a manifest holds it. Raises InputError."""
    if change is None and parent is None:
        return None
    if change is None or parent is None or not change.strip():
        raise InputError("--change and --parent", "they go together: what was changed, and since which run")
    damages = damage(parent)
    if damages:
        raise InputError(parent, f"the parent run is damaged: {damages[0]}")
    return Change(declared=change, parent=parent.name, parent_seal=load_manifest(parent).seal)


def looks_line(looks: int) -> str:
    """What someone who looks at a holdout is told."""
    known = f"This is a holdout. Earlier looks at it, as far as this runs folder knows: {looks}."
    warning = "Each look invites tuning on it; a holdout that guided a choice is a second dev set."
    return f"{known}\n{warning}" if looks else known


def say_looks(looks: int | None) -> None:
    """Where a holdout was measured, say how often before: to be known before any figure is seen."""
    if looks is not None:
        console().print(*looks_line(looks).splitlines(), "", sep="\n")


def circumstances_of(**known: Any) -> Circumstances:
    """What varies between runs of the same inputs: time, machine, versions, commit, and what is `known` besides."""
    versions = {}
    for name in ("msgspec", "numpy", "tokenizers", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return Circumstances(
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        platform=platform.platform(),
        python=platform.python_version(),
        versions=versions,
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        **describe_commit(),
        **known,
    )


def describe_commit() -> dict[str, Any]:
    """Commit of the checkout, and whether its tree was clean; both None outside of a repository of its own."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10).stdout

    try:
        if Path(git("rev-parse", "--show-toplevel").strip()).resolve() != ROOT:
            return {"commit": None, "tree_clean": None}  # a foreign repository that the checkout lies in
        changes = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD").strip(), "tree_clean": not changes}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "tree_clean": None}
