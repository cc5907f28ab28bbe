"""One run, read as far as it can be: its results, whether it can be trusted, and where it comes from.

Other commands stop at the first thing that is wrong with a run. A report must show a damaged run too, so nothing here
relies on a manifest or a summary having the shape that it should have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core import stats
from course.core.comparison import value_at
from course.core.files import InputError, read_json, reason_of
from course.core.report.page import code_of, spell
from course.core.runs import RESULTS, SUMMARY, Result, is_run, load_manifest, parse_result
from course.core.scoring import describe_sampling
from course.core.verification import verify


@dataclass(frozen=True)
class Seen:
    """One run, as far as it can be read; a damaged one is shown too, and its damage first."""

    path: Path
    name: str
    manifest: dict[str, Any]
    wrong: list[str]
    remarks: list[str]
    results: list[Result]
    unreadable: int  # lines of the results that are no results
    summary: Any

    def at(self, *keys: str) -> Any:
        return value_at(self.manifest, keys)


def look_at(run: Path) -> Seen:
    """Read and verify a run. Raises InputError if the folder is no run at all."""
    if not is_run(run):
        load_manifest(run)  # says what is missing
    try:
        manifest = load_manifest(run)
        wrong, remarks = verify(run)
    except InputError as error:
        manifest, wrong, remarks = {}, [str(error)], []
    try:
        summary = read_json(run / SUMMARY) if (run / SUMMARY).is_file() else None
    except InputError:
        summary = None  # verifying has said so
    results, unreadable = read_results(run / RESULTS)
    return Seen(run, run.resolve().name, manifest, wrong, remarks, results, unreadable, summary)


def read_results(path: Path) -> tuple[list[Result], int]:
    """The results that can be read, and how many lines cannot. Raises InputError."""
    results, unreadable = [], 0
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    results.append(parse_result(line))
                except ValueError:
                    unreadable += 1
    except FileNotFoundError:
        pass  # a demo's run holds none
    except OSError as error:
        raise InputError(path, reason_of(error)) from None
    return results, unreadable


def rates_of(results: Sequence[Result]) -> dict[str, Any] | None:
    """The statistics of some results, remade from them; None if there are none."""
    if not results:
        return None
    tally = stats.Tally()
    for result in results:
        code = code_of(result)
        tally.add(result.id, result.reward, None if code == "passed" else code)
    return tally.summary()


def checks_of(run: Seen) -> list[tuple[str, str, str]]:
    """How far the run can be trusted: (what was checked, `good`, `bad` or `unknown`, in words)."""
    gate, sealed, clean = run.at("golden"), run.at("core", "sealed"), run.at("circumstances", "tree_clean")
    if run.wrong:
        verified = ("bad", f"tampered or damaged, {len(run.wrong)} finding{'s' * (len(run.wrong) != 1)}")
    elif run.remarks:
        verified = ("good", "sound: every hash fits, and what could be remade agrees")
    elif run.results:
        verified = ("good", "sound: every hash fits, every score and the summary were remade and agree")
    else:
        verified = ("good", "sound: every hash fits; there are no completions to score again")
    golden = ("unknown", "not recorded: this kind of run does not pass through it")
    if isinstance(gate, dict):
        errors = {key: many for key, many in gate.items() if key not in ("cases", "yours", "sha256")}
        failed = any(errors.values())
        counted = ", ".join(f"{many} {key.replace('_', ' ')}" for key, many in errors.items())
        word = "failed" if failed else "passed"
        yours = f" ({spell(gate['yours'])} of them yours)" if gate.get("yours") else ""
        golden = ("bad" if failed else "good", f"{word}, {spell(gate.get('cases'))} cases{yours}: {counted}")
    seal = ("good", "whole") if sealed is True else ("bad", f"broken: {spell(run.at('core', 'broken'))}")
    tree = ("good", "clean") if clean is True else ("bad", "it had changes that were not committed")
    return [
        ("Verification", *verified),
        ("Golden gate", *golden),
        ("Seal on the core", *(("unknown", "not recorded") if sealed is None else seal)),
        ("Working tree", *(("unknown", "not recorded") if clean is None else tree)),
    ]


def facts_of(run: Seen) -> dict[str, str]:
    """Where a run comes from, as its manifest says; what it does not hold is left out."""
    change, broken = run.at("change"), run.at("core", "broken")
    sampling = None
    if "sampling" in run.manifest:
        try:
            sampling = describe_sampling(run.manifest)
        except (KeyError, TypeError, ValueError, AttributeError):
            sampling = run.at("sampling")
    facts = {
        "loop and knob": f"{run.at('loop')}, {run.at('knob')}" if run.at("loop") else None,
        "experiment": run.at("experiment"),
        "declared change": f"{run.at('change', 'declared')} (since {run.at('change', 'parent')})" if change else "none",
        "note": run.at("note"),
        "data set": run.at("dataset"),
        "data sets": run.at("data"),
        "prompts": run.at("prompts_sha256"),
        "completions": run.at("completions"),
        "scorer": run.at("scorer"),
        "golden cases": run.at("golden", "sha256"),
        "policy": run.at("policy"),
        "sampling": sampling,
        "sampling, all settings": run.at("sampling"),
        "selection": run.at("selection"),
        "settings and seeds": run.at("settings"),
        "core": run.at("core", "sha256"),
        "core, changed": broken or None,
        "commit": run.at("circumstances", "commit"),
        "versions": run.at("circumstances", "versions"),
        "Python": run.at("circumstances", "python"),
        "platform": run.at("circumstances", "platform"),
        "made at": run.at("circumstances", "time"),
        "made by": run.at("circumstances", "command"),
        "files": run.at("files"),
        "seal of the run": run.at("seal"),
    }
    return {name: spell(value) for name, value in facts.items() if value is not None}


def side_by_side(facts: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str], bool]]:
    """The facts of one run or two: (name, one text for each run, whether they differ)."""
    names = dict.fromkeys(name for one in facts for name in one)
    rows = [(name, [one.get(name, "not recorded") for one in facts]) for name in names]
    return [(name, values, len(set(values)) > 1) for name, values in rows]
