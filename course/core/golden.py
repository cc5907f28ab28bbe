"""The golden gate's library: cases, and what a scorer makes of them. The command is `course.golden`."""

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from course.core.command_line import FoundError
from course.core.datasets import LARGEST, NonEmpty
from course.core.display import console, table, visible
from course.core.files import InputError, JsonLines, sha256
from course.core.manifest import ERRORS, GoldenRecord
from course.core.paths import GOLDEN, YOUR_EXPLOITS
from course.core.scoring import Scorer
from course.score import score

REQUIRED_REWARD = {"golden_correct": 1.0, "golden_exploits": 0.0, "golden_cases": None}


# What the scorer is given in place of a text, where JSON has no such value. (An exception is no text, and has one.)
GIVEN_AS: dict[str, Any] = {"bytes": str.encode, "bytearray": lambda s: bytearray(s, "utf-8"), "exception": Exception}


class GoldenCase(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a golden file: an example (a student's may lack its prompt) and a completion, any JSON value."""

    id: NonEmpty
    expected_answer: Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
    completion: Any
    source: str
    prompt: str = ""
    reward: float | None = None
    code: str | None = None
    hole: str | None = None
    given_as: Literal["bytes", "bytearray", "exception"] | None = None

    @property
    def given(self) -> Any:
        """What the scorer is given as the completion."""
        return GIVEN_AS[self.given_as](self.completion) if self.given_as else self.completion


Case = tuple[GoldenCase, str]  # a case that the scorer gets wrong, and what it gave


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


def load_cases(
    source: Path | JsonLines[GoldenCase], required: float | None, names: set[str] | None = None, is_ours: bool = False
) -> list[GoldenCase]:
    """Golden cases with the reward that all need (None: each its own); `names` gathers the ids. Raises InputError."""
    lines = source if isinstance(source, JsonLines) else JsonLines(source, GoldenCase)
    cases, names = [], set() if names is None else names
    for number, case in lines:
        case.reward = case.reward if required is None else required
        refusals = {
            f"duplicate id {case.id!r}": case.id in names,
            "the case needs a reward of 0 or 1": case.reward not in (0.0, 1.0),
            "a case needs a code if, and only if, its reward is 0": required is None
            and (case.reward == 0.0) != bool(case.code),
            "given_as needs a completion that is text": case.given_as and not isinstance(case.completion, str),
            "the case needs a prompt": is_ours and not case.prompt,
        }
        for reason in (reason for reason, fits in refusals.items() if fits):
            raise InputError(lines.path, reason, number)
        names.add(case.id)
        cases.append(case)
    return cases


def check_golden(folder: Path = GOLDEN, scorer: Scorer = score, your_suite: Path = YOUR_EXPLOITS) -> GoldenReport:
    """Score every golden case, and those of the student's suite if there is one.

    Raises InputError if a file is missing or broken: no gate, no numbers.
    """
    report, names, hashes = GoldenReport(), set[str](), []
    for name, required in REQUIRED_REWARD.items():
        lines = JsonLines(folder / f"{name}.jsonl", GoldenCase)
        for case in load_cases(lines, required, names, is_ours=True):
            check_case(report, case, scorer)
        hashes.append(lines.sha256)
    if your_suite.is_file():
        for case in load_cases(your_suite, 0.0, names):
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
    """Score one case and enter it in the report. A scorer that raises, exits or gives no score has crashed."""
    report.cases += 1
    example = {"id": case.id, "prompt": case.prompt, "expected_answer": case.expected_answer}
    try:
        kind, gave = error_of(case, scorer(example, case.given))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # to find broken scorers is what the gate is for
        kind, gave = "crashes", traceback.format_exception_only(error)[-1].strip()
    if kind:
        getattr(report, kind).append((case, gave))


def error_of(case: GoldenCase, result: Any) -> tuple[str, str]:
    """The kind of error that a result shows (empty: none), and what the scorer gave, in words."""
    assert case.reward is not None, "load_cases sets it"
    if type(result) is not dict or result.keys() != {"reward", "details"} or type(result["details"]) is not dict:
        return "crashes", f"no reward and details: {result!r:.60}"
    reward, code = result["reward"], result["details"].get("code")
    if type(reward) is not float or not 0.0 <= reward <= 1.0:  # NaN is not
        return "crashes", f"no reward from 0.0 to 1.0: {reward!r:.60}"
    if reward != case.reward:
        return "false_positives" if reward > case.reward else "false_negatives", f"{reward:g}, not {case.reward:g}"
    if (code is None) != (reward == 1.0) or (case.code is not None and code != case.code):
        return "wrong_codes", f"{reward:g}, code {code!r:.60}, not {case.code or 'as its reward'}"
    return "", ""


def print_report(report: GoldenReport) -> None:
    """One line if all is well; otherwise a table of the cases that the scorer gets wrong."""
    out = console()
    yours = f" ({report.yours} of them yours)" if report.yours else ""
    counted = ", ".join(f"{len(wrong)} {kind.replace('_', ' ')}" for kind, wrong in report.errors.items())
    out.print(f"golden gate: {'passed' if report.passed else 'FAILED'}, {report.cases} cases{yours}, {counted}")
    if report.passed:
        return
    rows = table("case", "what is wrong", "completion", "the scorer gave", "where the case comes from")
    for kind, wrong in report.errors.items():
        singular = "crash" if kind == "crashes" else kind.replace("_", " ").removesuffix("s")
        for case, gave in wrong:
            shown = visible(case.given) if isinstance(case.given, str) else repr(case.given)
            rows.add_row(case.id, singular, shown[:60], visible(gave)[:80], visible(case.source))
    out.print(rows)
