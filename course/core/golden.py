"""The golden gate's library: cases, and what a scorer makes of them. The command is `course.golden`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from course.core.command_line import FoundError
from course.core.display import console, table, visible
from course.core.files import InputError, JsonLines, sha256
from course.core.manifest import ERRORS, GoldenRecord
from course.core.paths import GOLDEN, YOUR_EXPLOITS
from course.core.scoring import Scorer
from course.score import score

REQUIRED_REWARD = {"golden_correct": 1.0, "golden_exploits": 0.0, "golden_cases": None}


class GoldenCase(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a golden file. `completion` may be any JSON value, because some cases are not text."""

    id: str
    expected_answer: int
    completion: Any
    source: str
    reward: float | None = None
    code: str | None = None
    hole: str | None = None


Case = tuple[GoldenCase, dict[str, Any]]  # a case that the scorer gets wrong, and the scorer's result


@dataclass
class GoldenReport:
    """What the gate found: how many cases were tried, and which of them the scorer gets wrong."""

    cases: int = 0
    yours: int = 0  # of the cases, those of the student's own suite
    sha256: str = ""  # of the three files that the course ships
    false_positives: list[Case] = field(default_factory=list)
    false_negatives: list[Case] = field(default_factory=list)
    wrong_codes: list[Case] = field(default_factory=list)
    crashes: list[Case] = field(default_factory=list)

    @property
    def errors(self) -> dict[str, list[Case]]:
        """The cases that the scorer gets wrong, by kind of error."""
        return {kind: getattr(self, kind) for kind in ERRORS}

    @property
    def passed(self) -> bool:
        return not any(self.errors.values())

    def counts(self) -> dict[str, int]:
        return {"cases": self.cases, "yours": self.yours, **{kind: len(wrong) for kind, wrong in self.errors.items()}}

    def record(self) -> GoldenRecord:
        """What a manifest keeps of it."""
        return GoldenRecord(sha256=self.sha256, **self.counts())


def load_golden(path: Path) -> list[GoldenCase]:
    """The cases of one of the course's golden files, each with the reward it requires. Raises InputError."""
    return load_cases(path, REQUIRED_REWARD[path.stem])


def load_cases(path: Path, required: float | None) -> list[GoldenCase]:
    """Golden cases with the reward that all of them require; None: each says its own. Raises InputError."""
    cases = []
    for number, case in JsonLines(path, GoldenCase):
        if required is not None:
            case.reward = required
        if case.reward not in (0.0, 1.0):
            raise InputError(path, "the case needs a reward of 0 or 1", number)
        if (case.code is not None) == (case.reward == 1.0) and required is None:
            raise InputError(path, "a case needs a code if, and only if, its reward is 0", number)
        cases.append(case)
    return cases


def check_golden(folder: Path = GOLDEN, scorer: Scorer = score, your_suite: Path = YOUR_EXPLOITS) -> GoldenReport:
    """Score every golden case, and those of the student's suite if there is one.

    Raises InputError if a file is missing or broken: no gate, no numbers.
    """
    report = GoldenReport()
    hashes = []
    for name in REQUIRED_REWARD:
        path = folder / f"{name}.jsonl"
        for case in load_golden(path):
            check_case(report, case, scorer)
        hashes.append(sha256(path.read_bytes()))
    if your_suite.is_file():
        for case in load_cases(your_suite, 0.0):
            check_case(report, case, scorer)
            report.yours += 1
    report.sha256 = sha256(" ".join(hashes).encode())
    return report


def golden_gate(folder: Path = GOLDEN) -> GoldenReport:
    """The gate before a run: a scorer that fails a known case ends the command. Raises FoundError, InputError."""
    report = check_golden(folder)
    if not report.passed:
        print_report(report)
        raise FoundError("No run was written: an instrument that fails its known cases measures nothing.")
    return report


def check_case(report: GoldenReport, case: GoldenCase, scorer: Scorer) -> None:
    """Score one case and enter it in the report."""
    assert case.reward is not None, "load_cases sets it"
    report.cases += 1
    example = {"id": case.id, "prompt": "", "expected_answer": case.expected_answer}
    try:
        result = scorer(example, case.completion)
    except Exception as error:  # to find broken scorers is what the gate is for
        report.crashes.append((case, {"reward": float("nan"), "details": {"code": repr(error)}}))
        return
    if result["reward"] > case.reward:
        report.false_positives.append((case, result))
    elif result["reward"] < case.reward:
        report.false_negatives.append((case, result))
    elif case.code is not None and result["details"].get("code") != case.code:
        report.wrong_codes.append((case, result))


def print_report(report: GoldenReport) -> None:
    """One line if all is well; otherwise a table of the cases that the scorer gets wrong."""
    out = console()
    yours = f" ({report.yours} of them yours)" if report.yours else ""
    counted = ", ".join(f"{len(wrong)} {kind.replace('_', ' ')}" for kind, wrong in report.errors.items())
    out.print(f"golden gate: {'passed' if report.passed else 'FAILED'}, {report.cases} cases{yours}, {counted}")
    if report.passed:
        return
    rows = table("case", "what is wrong", "completion", "reward", "code", "where the case comes from")
    for kind, wrong in report.errors.items():
        for case, result in wrong:
            shown = visible(case.completion) if isinstance(case.completion, str) else repr(case.completion)
            reward, code = f"{result['reward']:g}, not {case.reward:g}", str(result["details"].get("code"))
            rows.add_row(case.id, kind.replace("_", " ").removesuffix("s"), shown[:60], reward, code, case.source)
    out.print(rows)
