"""One run, read as far as it can be: its results, whether it can be trusted, and where it comes from.

Other commands stop at the first thing that is wrong with a run. A report must show a damaged run too: one whose
manifest is refused has no manifest here, and whatever else can be read is shown.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from course.core.comparison import Checked
from course.core.files import InputError, read_json
from course.core.manifest import RESULTS, SUMMARY, Manifest, is_run, load_manifest
from course.core.report.page import spell
from course.core.report.rows import PASSED, Drawn, code_of, placed
from course.core.runs import Result, read_results
from course.core.scoring import describe_sampling
from course.core.stats import Tally
from course.core.verification import Verification, verify


@dataclass(frozen=True)
class RunView:
    """One run, as far as it can be read; a damaged one is shown too, and its damage first."""

    path: Path
    manifest: Manifest | None  # None: refused, and `wrong` says why
    checked: Verification
    drawn: Drawn  # places of results to show
    unreadable: int  # lines of the results that are no results
    rates: dict[str, Any]  # the statistics, remade from the results; empty if there are none
    summary: dict[str, Any]  # as it stands in the run; empty if it cannot be read

    def results(self) -> Iterator[Result]:
        """Every result that can be read, one at a time."""
        if (self.path / RESULTS).is_file():
            yield from (line for line in read_results(self.path) if isinstance(line, Result))

    @property
    def wrong(self) -> list[str]:
        return self.checked.wrong

    @property
    def for_comparison(self) -> Checked:
        return Checked(self.path, self.checked)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def loop(self) -> str | None:
        return self.manifest.loop if self.manifest else None


def view_run(run: Path) -> RunView:
    """Read and verify a run. Raises InputError if the folder is no run at all."""
    manifest, summary = None, {}
    try:
        manifest = load_manifest(run)
        checked = verify(run)
    except InputError as error:
        if not is_run(run):
            raise
        checked = Verification(wrong=[str(error)])
    with contextlib.suppress(InputError):  # verifying has said so
        summary = read_json(run / SUMMARY, dict[str, Any])
    tally, drawn, unreadable = Tally(), Drawn(), 0

    def results() -> Iterator[Result]:
        nonlocal unreadable
        for line in read_results(run) if (run / RESULTS).is_file() else ():
            if isinstance(line, Result):
                yield line
            else:
                unreadable += 1

    for place, result in placed(results()):
        code = code_of(result)
        tally.add(result.id, result.reward, None if code == PASSED else code, result.finish_reason)
        drawn.take(place, code)
    rates = tally.summary() if tally.counts else {}
    return RunView(run, manifest, checked, drawn, unreadable, rates, summary)


def facts_of(run: RunView) -> dict[str, str]:
    """Where a run comes from, as its manifest says; what it does not hold is left out."""
    manifest = run.manifest
    if manifest is None:
        return {}
    change, where, stored = manifest.change, manifest.circumstances, msgspec.to_builtins(manifest)
    facts = {
        "loop and knob": f"{manifest.loop}, {manifest.knob}",
        "experiment": manifest.experiment,
        "declared change": f"{change.declared} (since {change.parent})" if change else "none",
        "note": manifest.note,
        "data set": stored.get("dataset"),
        "data sets": stored.get("data"),
        "prompts": manifest.prompts_sha256,
        "system prompt": manifest.system_prompt,
        "completions": stored.get("completions"),
        "scorer": stored["scorer"],
        "golden cases": manifest.golden.sha256 if manifest.golden else None,
        "policy": stored.get("policy"),
        "sampling": describe_sampling(manifest) if manifest.completions else None,
        "sampling, all settings": stored.get("sampling"),
        "selection": stored.get("selection"),
        "settings and seeds": stored.get("settings"),
        "core": manifest.core.sha256,
        "core, changed": manifest.core.broken or None,
        "commit": where.commit,
        "versions": where.versions,
        "Python": where.python,
        "platform": where.platform,
        "made at": where.time,
        "made by": where.command,
        "files": manifest.files,
        "seal of the run": manifest.seal,
    }
    return {name: spell(value) for name, value in facts.items() if value is not None}


def side_by_side(facts: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str], bool]]:
    """The facts of one run or two: (name, one text for each run, whether they differ)."""
    names = dict.fromkeys(name for of_run in facts for name in of_run)
    rows = [(name, [of_run.get(name, "not recorded") for of_run in facts]) for name in names]
    return [(name, values, len(set(values)) > 1) for name, values in rows]
