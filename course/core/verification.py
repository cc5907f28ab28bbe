"""Is a run still what was measured? Everything that it says is derived again, and held against what it says.

    checked = verify(run)       checked.wrong, checked.unchecked, checked.claimed

A run with results is made again from the original data set, completions and sidecar, by today's core: its results,
its summary, its other files and its manifest must come out the same. What no original can tell is `claimed`.
Whoever forges the originals too, or replaces the interpreter, is not found.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PureWindowsPath
from typing import Any

import msgspec

from course.core.datasets import MOST_SAMPLES, Example, sidecar_path
from course.core.files import InputError, lines_of, read_bytes, read_json, sha256_file, to_pretty_json
from course.core.golden import check_golden
from course.core.manifest import MANIFEST, RESULTS, SUMMARY, WHOLE, Manifest, checkpoint_identity, load_manifest
from course.core.measurement import Measurement
from course.core.paths import DATA
from course.core.runs import HANDWRITTEN, Result, damage, has_a_note, load_results, result_line, result_of
from course.core.scoring import SCORERS, score_one, scorer_identity, summarise
from course.core.seal import check_seal
from course.core.selection import EXPERIMENT, Rule, Selection, select, students_rule

ABOUT_ITSELF = (  # of the manifest: no original tells them
    "the note, and the declared change with its parent, or that there are none",
    "circumstances (time, machine, versions, command, commit, looks at a holdout)",
)
OF_THE_SCORER = ("reward", "details")  # of a result
RULE_CHANGED = "pick_best is not the one that made this run, so its choice was not repeated"


@dataclass
class Verification:
    """What was found: what is wrong, why something could not be derived again, and what is only claimed."""

    wrong: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Was everything but the claims derived again, and found the same?"""
        return not self.wrong and not self.unchecked


def verify(run: Path, dataset: Path | None = None, completions: Path | None = None) -> Verification:
    """Derive a run again. The originals are looked for where the run found them, and in data/, if not given.

    Raises InputError if the folder is no run.
    """
    manifest = load_manifest(run)
    found = Verification(wrong=damage(run))
    if has_a_note(run):
        found.claimed.append(f"{HANDWRITTEN}: a note, written by hand, no part of what is verified")
    found.wrong.extend(unlike(manifest, manifest_by_itself(manifest, found), "this checkout's core and cases"))
    measured = manifest.experiment in (None, EXPERIMENT)
    needed = [SUMMARY, RESULTS][: 1 + measured]
    found.wrong.extend(f"{name}: missing" for name in needed if name not in manifest.files)
    if not manifest.has_results:
        found.claimed.append("everything but the hashes: a run without completions is made again by its own command")
        return found
    if not (run / RESULTS).is_file() or not (run / SUMMARY).is_file():
        return found
    found.claimed.extend(ABOUT_ITSELF)
    view = manifest.view or WHOLE
    found.claimed.extend([f"that each text is what the view {view} hands over of the whole"] * (view != WHOLE))
    try:
        if not (same_scorer := manifest.scorer == scorer_identity()):
            found.unchecked.append("the scorer is not the one that made this run, so nothing was scored again")
        originals = originals_of(manifest, {"dataset": dataset, "completions": completions}, found)
        lost = [why for why in originals.values() if isinstance(why, str)]
        if lost:
            found.unchecked.extend(f"{why}, so the results were not held against it" for why in lost)
            found.wrong.extend(unlike_themselves(run, same_scorer))
        else:
            found.wrong.extend(unlike_the_originals(run, manifest, originals, same_scorer, found))
    except InputError as error:
        found.wrong.append(str(error))
    except Exception as error:  # a scorer that is being edited may raise anything, and accuses no run
        found.unchecked.append(f"today's core raises {error!r}")
    return found


def manifest_by_itself(manifest: Manifest, found: Verification) -> dict[str, Any]:
    """What this checkout says of a manifest: its golden cases and its core, if they are those of the run."""
    expected: dict[str, Any] = {}
    if manifest.policy:
        expected["policy"] = msgspec.structs.replace(manifest.policy, checkpoints=checkpoints_of(manifest.files))
    core, golden = check_seal(), check_golden().record()
    if manifest.core.sha256 == core.sha256:
        expected["core"] = core
    else:
        found.claimed.append(f"core (another than this one, {core.sha256[:8]})")
    if manifest.golden is None:
        found.wrong.append(f"{MANIFEST}, golden: no run is written without its golden gate")
    elif manifest.golden.sha256 == golden.sha256:
        yours = manifest.golden.yours - golden.yours  # the student's suite may have grown since
        expected["golden"] = msgspec.structs.replace(golden, yours=manifest.golden.yours, cases=golden.cases + yours)
        found.claimed.append("how many golden cases were the student's")
    else:
        found.claimed.append(f"golden (other cases than these, {golden.sha256[:8]})")
    return expected


def checkpoints_of(files: Mapping[str, str]) -> dict[str, str]:
    """The hash of every checkpoint of a run, by its folder."""
    folders = [name.removesuffix("/model.safetensors") for name in files if name.endswith("/model.safetensors")]
    return {
        folder: checkpoint_identity(files.get(f"{folder}/config.json", ""), files[f"{folder}/model.safetensors"])
        for folder in folders
    }


def unlike(record: Any, expected: Mapping[str, Any], source: str, where: str = MANIFEST) -> Iterator[str]:
    """The fields of a manifest, or all of a summary, that differ from what is expected of them."""
    says = record if isinstance(record, dict) else {name: getattr(record, name) for name in expected}
    for name in dict.fromkeys([*expected, *says]):
        if name not in says or name not in expected or written(says[name]) != written(expected[name]):
            stored, again = (spelt(of[name]) if name in of else "nothing" for of in (says, expected))
            yield f"{where}, {name}: it says {stored}, {source} give {again}"


def written(value: Any) -> str:
    """A value as JSON, in which 1 is neither true nor 1.0, and keys have no order."""
    return json.dumps(msgspec.to_builtins(value), sort_keys=True)


def spelt(value: Any) -> str:
    """A value in one short line."""
    return str(msgspec.to_builtins(value))[:300]


def originals_of(manifest: Manifest, given: Mapping[str, Path | None], found: Verification) -> dict[str, Path | str]:
    """Where the original data set and completions lie; for each that cannot be had, why.

    The same bytes may lie in two places with sidecars that differ. The first is believed, and the other not checked.
    """
    originals: dict[str, Path | str] = {}
    for kind, path in given.items():
        record, recorded = getattr(manifest, kind), getattr(manifest.circumstances, f"{kind}_path") or ""
        shipped = [DATA / folder / PureWindowsPath(recorded).name for folder in ("datasets", "rollouts")]
        places = [place for place in ([path] if path else [Path(recorded), *shipped]) if os.path.isfile(place)]
        same = [place for place in places if place.name == record.name and sha256_file(place) == record.sha256]
        why = "has changed since" if places else "is not found from here"
        originals[kind] = same[0] if same else f"the {kind} file {path or recorded} {why}"
        if len({read_bytes(sidecar_path(place)) for place in same if sidecar_path(place).is_file()}) > 1:
            found.unchecked.append(
                f"the sidecars of {' and '.join(map(str, same))} differ; only the first was believed"
            )
    return originals


def line_of(number: int, result: Result) -> str:
    return f"{RESULTS}, line {number}: {result.id}, sample {result.sample}"


def unlike_themselves(run: Path, same_scorer: bool) -> Iterator[str]:
    """Where the originals are lost: the rows whose score is not what the scorer gives, and what does not sum up."""
    for number, stored in enumerate(load_results(run), start=1):
        if not same_scorer:
            break
        example = Example(id=stored.id, prompt=stored.prompt, expected_answer=stored.expected_answer, metadata={})
        no_answer = stored.code if stored.completion is None else None
        try:
            again = score_one(example, stored.sample, stored.completion, no_answer)
        except ValueError as error:  # of the expected answer
            yield f"{line_of(number, stored)}: {error}"
            continue
        yield from differences(number, stored, again, OF_THE_SCORER)
    yield from unsummed(run, read_json(run / SUMMARY, dict[str, Any]).get("loop"))


def unsummed(run: Path, loop: object) -> Iterator[str]:
    """The fields of the summary that do not follow from the run's own results."""
    expected = summarise(load_results(run))
    if not expected:
        yield f"{RESULTS}: it holds no results"
    if loop == "B":  # pass@1 is the policy's; the results of Loop B are of chosen samples
        expected = {name: value for name, value in expected.items() if not name.startswith("pass_at")}
    summary = read_json(run / SUMMARY, dict[str, Any])
    summed = {name: value for name, value in summary.items() if name in expected}
    yield from unlike(summed, expected, "the results", SUMMARY)


def differences(number: int, stored: Result, again: Result, names: Iterable[str]) -> Iterator[str]:
    """The fields of a result that are not as they came out again."""
    for name in names:
        says, gives = getattr(stored, name), getattr(again, name)
        if says == gives:
            continue
        if name == "details":
            keys = [key for key in gives if key not in says or says[key] != gives[key]]
            named = ", ".join(keys) or "keys"
            yield f"{line_of(number, stored)}: the details stored are not what the scorer gives ({named})"
        elif name == "reward":
            yield f"{line_of(number, stored)}: the reward stored is {says:g}, the scorer gives {gives:g}"
        else:
            yield f"{line_of(number, stored)}: the {name} is not that of the originals"
            if name in ("id", "sample"):
                return  # another row: to name its other fields would say no more


@dataclass(frozen=True)
class Again:
    """A run made again: its results, one at a time; and after the last of them, all else that it says."""

    results: Iterator[Result]
    manifest: Callable[[], dict[str, Any]]
    summary: Callable[[], dict[str, Any]]
    files: Mapping[str, bytes]  # besides results and summary
    split: str


def made_again(run: Path, manifest: Manifest, originals: Mapping[str, Any], found: Verification) -> Again:
    """A run of Loop A or B, made again from its originals. Raises InputError."""
    known = manifest.policy is not None or manifest.sampling is not None
    paths = originals["dataset"], originals["completions"]
    selects = manifest.experiment == EXPERIMENT
    samples = None if selects else manifest.settings.get("samples")
    if samples is not None and (type(samples) is not int or not 1 <= samples <= MOST_SAMPLES):
        raise InputError(run / MANIFEST, f"settings: nobody can ask for {spelt(samples)} samples")
    measured = Measurement(*paths, samples, with_sidecar=known)
    if not known and sidecar_path(originals["completions"]).exists():
        found.unchecked.append("a sidecar lies beside the completions, of which this run knows nothing")
    common: dict[str, Any] = {"data": {}, "looked_at": []}
    if selects:
        made = select_again(run, manifest, measured, found)
        common |= {"experiment": EXPERIMENT, "loop": "B", "knob": "selection"}
        found.claimed.append("the seed of the random control, beyond the control's mean")
        again = lambda: common | made.record()  # noqa: E731
        return Again(iter(made.results), again, made.summary, made.files(), measured.dataset.split)
    common |= {"experiment": None, "loop": "A", "knob": "measurement", "selection": None}
    golden = {name: value for name, value in msgspec.to_builtins(manifest.golden or {}).items() if name != "sha256"}
    return Again(
        iter(measured),
        lambda: common | measured.record(),
        lambda: {**measured.summary(), "golden": golden},
        {},
        measured.dataset.split,
    )


def select_again(run: Path, manifest: Manifest, measured: Measurement, found: Verification) -> Selection:
    """Loop B again: the choice repeated by the same rule; where that has changed since, the choice as it stands."""
    how, seed = manifest.selection, manifest.settings.get("seed")
    if how is None or how.select_with not in SCORERS or not isinstance(seed, int):
        raise InputError(run / MANIFEST, "it does not say by what it was selected, and with which seed")
    rule: Rule | None = None
    with contextlib.suppress(Exception, SystemExit):  # whatever the student's file does when it is loaded
        rule = students_rule(how.rule)
    if rule is None:
        found.unchecked.append(RULE_CHANGED)
        stored = {result.id: result.sample for result in load_results(run)}
        rule = lambda key, samples: next(s for s in samples if s.sample == stored.get(key))  # noqa: E731
    return select(measured, rule, how, seed)


def unlike_the_originals(
    run: Path, manifest: Manifest, originals: Mapping[str, Any], same_scorer: bool, found: Verification
) -> Iterator[str]:
    """The run made again from its originals: every difference, a line each."""
    again = made_again(run, manifest, originals, found)
    names = [name for name in Result.__struct_fields__ if same_scorer or name not in OF_THE_SCORER]
    for numbered, new in zip_longest(lines_of(run / RESULTS), again.results):
        if numbered is None or new is None:
            yield f"{RESULTS}: it holds {'more' if new is None else 'fewer'} rows than the originals give"
            return  # how many more would come, a forged manifest may say
        number, line = numbered
        if same_scorer and line == result_line(new):
            continue  # the same bytes need not be read
        stored = result_of(run, number, line)
        named = list(differences(number, stored, new, names))
        if same_scorer and not named:
            named = [f"{line_of(number, stored)}: it says what the originals give, but is written in another way"]
        yield from named
    yield from unlike(manifest, again.manifest(), "the originals")
    looks = manifest.circumstances.earlier_looks_at_this_holdout
    if (again.split == "holdout") != (looks is not None):
        yield f"{MANIFEST}: earlier looks at a holdout: {looks}, where the split is {again.split}"
    picture = {f"{manifest.experiment}.png"} if again.files else set()
    found.claimed.extend(picture)
    known = {RESULTS, SUMMARY, *again.files, *picture}
    for name in sorted(manifest.files.keys() ^ known):
        yield f"{name}: {'missing' if name in known else 'no file of such a run'}"
    if same_scorer:
        summary = json.loads(to_pretty_json({"loop": manifest.loop, **again.summary()}))
        yield from unlike(read_json(run / SUMMARY, dict[str, Any]), summary, "the originals", SUMMARY)
        for name, data in again.files.items():
            if name != RESULTS and (run / name).is_file() and read_bytes(run / name) != data:
                yield f"{name}: it is not what the originals give"
    else:
        yield from unsummed(run, manifest.loop)
