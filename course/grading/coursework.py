"""Runs and files of a student, judged: is it there, is it sound, is it what was asked for?"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from course.core.files import InputError, read_bytes, strict_json
from course.core.golden import YOUR_SUITE, GoldenReport, check_case, load_cases
from course.core.runs import RESULTS, list_runs, load_manifest
from course.core.seal import region_sha256
from course.core.verification import verify
from course.grading.exploits import EXPLOITS, judge, load_exploits, not_in_suite
from course.grading.katas import answers_path, grade, load_answers
from course.grading.mutation import NEEDED, TestReport, judge_tests
from course.grading.note_parser import sentence_words
from course.grading.patch import PATCH, judge_patch
from course.grading.verdict import MISSING, Verdict, missing, said_of, there, wrong
from course.score import score

Manifest = dict[str, Any]
Fact = Callable[[Path, Manifest], str | None]  # (a run, its manifest) -> what is wrong with it, or None

# The hash of `pick_best` as the course ships it.
SHIPPED_RULE = "dc2513882f3bc41ecfbb4dd931fded96bcd85fe1ef88c2c5604e400861bd656a"
STARTER_TESTS = {
    "test_a_right_line_earns_the_reward",
    "test_a_wrong_number_earns_nothing",
    "test_the_bare_number_earns_nothing",
}
RULE_LIMIT = 60  # seconds for one run of selection_demo with an edited rule
FEWEST_EXPLOITS, FEWEST_PREDICTIONS, FEWEST_REASON_WORDS = 2, 5, 3


def judge_run(root: Path, asked: Callable[[Manifest], bool], how: str, *facts: Fact) -> Verdict:
    """Is there a run as asked for, which verifies and was made with a whole seal? The newest good one counts."""
    problems = []
    for run in reversed(list_runs(root / "runs")):
        try:
            manifest = load_manifest(run)
            if not asked(manifest):
                continue
            problems_of_fact = filter(None, (fact(run, manifest) for fact in facts))  # quicker than to verify
            problem = next(problems_of_fact, None) or what_is_wrong(run, manifest)
        except InputError as error:
            problem = said_of(error, root)
        except (KeyError, TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
            problem = f"runs/{run.name} cannot be read: {error!r:.120}"
        if problem is None:
            return there(f"runs/{run.name}")
        problems.append(problem)
    return wrong(problems[0]) if problems else missing(f"type: {how}")


def what_is_wrong(run: Path, manifest: Manifest) -> str | None:
    """A run that does not verify, or that was made with a changed core."""
    found, _ = verify(run)
    if found:
        return f"runs/{run.name} does not verify: {found[0]}"
    core = manifest.get("core", {})
    if not core.get("sealed"):
        broken = core.get("broken") or ["course"]
        restore = f"git checkout -- {broken[0].split(':')[0]}"
        return f"runs/{run.name} was made with a changed core ({'; '.join(broken)}); {restore}, and run it again"
    return None


def is_evaluation(manifest: Manifest) -> bool:
    """Loop A on completions, and no demo."""
    return manifest.get("loop") == "A" and "experiment" not in manifest and RESULTS in manifest["files"]


def on_the_frozen_rollouts(run: Path, manifest: Manifest) -> str | None:
    if manifest["dataset"]["split"] == "holdout":
        return f"runs/{run.name} looked at the holdout; it is kept for the end, measure on dev"
    if manifest["completions"]["name"] != "frozen_rollouts_dev.jsonl":
        return f"runs/{run.name} measured {manifest['completions']['name']}, not the frozen rollouts"
    return None


def judge_predictions(root: Path, how: str) -> Verdict:
    """A run in slow motion; fast ones of the same demo are none, however many came after it."""

    def is_slow(manifest: Manifest) -> bool:
        return manifest.get("experiment") == "policy_gradient" and bool(manifest.get("settings", {}).get("slow"))

    verdict = judge_run(root, is_slow, how, predicted)
    if verdict.state == MISSING and any(is_demo(run) for run in list_runs(root / "runs")):
        return wrong(f"no run has predictions: slow motion asks for them. Type: {how}")
    return verdict


def is_demo(run: Path) -> bool:
    with contextlib.suppress(InputError):
        return bool(load_manifest(run).get("experiment") == "policy_gradient")
    return False


def predicted(run: Path, manifest: Manifest) -> str | None:
    """Was every step predicted, with a reason, before it was revealed?"""
    rows = [strict_json(line) for line in read_bytes(run / "predictions.jsonl").splitlines()]
    if len(rows) < FEWEST_PREDICTIONS:
        return f"runs/{run.name} has {len(rows)} of {FEWEST_PREDICTIONS} predictions"
    for row in rows:
        if sentence_words(row["text"]) < 1 + FEWEST_REASON_WORDS:
            return f"runs/{run.name}, step {row['step']}: the prediction `{row['text']}` does not say why"
    return None


def judge_selection(root: Path, how: str) -> Verdict:
    """A run of Loop B; and if `pick_best` is edited, the rule as it stands must choose, and choose the same twice."""
    demo = root / "course" / "selection_demo.py"
    if demo.is_file() and region_sha256(demo) != SHIPPED_RULE:
        problem = trouble_with_the_rule(root)
        if problem:
            return wrong(problem)
    return judge_run(root, lambda manifest: manifest.get("experiment") == "selection_demo", how)


def trouble_with_the_rule(root: Path) -> str | None:
    """What is wrong with an edited `pick_best`, found out by asking it twice."""
    chosen = []
    for hash_seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "course.selection_demo", "--runs-dir", folder]
            try:
                done = subprocess.run(
                    words,
                    cwd=root,
                    env={**os.environ, "PYTHONHASHSEED": hash_seed},
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    timeout=RULE_LIMIT,
                )
            except subprocess.TimeoutExpired:
                return f"pick_best had not chosen after {RULE_LIMIT} seconds"
            if done.returncode != 0:
                said = (done.stderr.strip() or done.stdout.strip() or "it stopped the program").splitlines()
                return f"pick_best cannot be run: {said[-1]}"
            chosen.append(read_bytes(Path(folder) / "run_001" / "selection_demo.jsonl"))
    if chosen[0] != chosen[1]:
        return "pick_best chooses otherwise when it is asked again: break ties by a fixed rule"
    return None


def judge_kata(kata: int, root: Path) -> Verdict:
    """Is every example answered, in the words that the kata asks for? How many labels agree is said, not demanded."""
    path = root / answers_path(kata)
    if not path.is_file():
        return missing(f"there is no {answers_path(kata).as_posix()}")
    answers = load_answers(path, kata)
    unlabelled = [key for key, answer in answers.items() if not answer.label]
    if len(unlabelled) == len(answers):
        return missing("still the template")
    for key, answer in answers.items():
        lacks = answer.lacks()
        if lacks:
            return wrong(f"{key}: {lacks}")
    grades = grade(answers, kata)
    return there(f"{sum(grades.values())} of {len(grades)} labels agree")


def judge_rubric_tests(root: Path) -> Verdict:
    """The student's tests: all pass on the true scorer, each asserts reward and details, and they catch enough."""
    path = root / "tests" / "test_rubric.py"
    if not path.is_file():
        return missing("there is no tests/test_rubric.py")
    if importlib.util.find_spec("pytest") is None:
        return missing("it takes pytest to judge them, which `make test` installs")
    report = judge_tests(path)
    return replace(verdict_on_tests(report), report=report)


def verdict_on_tests(report: TestReport) -> Verdict:
    if report.failures:
        return wrong(f"against the true scorer: {report.failures[0]}")
    if not report.tests:
        return wrong("the file holds no test")
    count = f"{len(report.caught)} of {len(report.caught) + len(report.survived)} faulty scorers caught"
    if report.tests.keys() == STARTER_TESTS and len(report.caught) < NEEDED:
        return missing(f"only the three tests to begin with: {count}, {NEEDED} are enough")
    half = report.half_asserted()
    if half:
        return wrong(half[0])
    if len(report.caught) < NEEDED:
        return wrong(f"{count}, {NEEDED} are enough; one that is not caught {report.survived[0].behaviour}")
    return there(count)


def judge_exploits(root: Path) -> Verdict:
    path = root / EXPLOITS
    if not path.is_file():
        return missing(f"there is no {EXPLOITS.as_posix()}")
    judgements = [judge(exploit) for exploit in load_exploits(path)]
    if not judgements:
        return missing("no exploit yet; python -m course.red_team --rubrics")
    for judgement in judgements:
        if judgement.refusal:
            return wrong(f"exploit {judgement.exploit.number}: {judgement.refusal}")
    different = {(judgement.exploit.rubric, judgement.exploit.completion) for judgement in judgements}
    if len(different) < FEWEST_EXPLOITS:
        return wrong(f"{len(different)} exploit; {FEWEST_EXPLOITS} to 5 different ones are asked for")
    rubrics = {rubric for rubric, _ in different}
    return there(f"{len(different)} accepted, against {len(rubrics)} rubrics")


def judge_suite(root: Path) -> Verdict:
    """The suite passes the strict scorer, and holds every accepted exploit."""
    path = root / "notes" / YOUR_SUITE.name
    if not path.is_file():
        return missing("type: python -m course.red_team")
    cases = load_cases(path, 0.0)
    report = GoldenReport()
    for case in cases:
        check_case(report, case, score)
    if not report.passed:
        case, _ = (report.false_positives + report.crashes + report.wrong_codes)[0]
        if report.false_positives:
            return wrong(f"the scorer pays for {case.id}: a right answer is no exploit")
        return wrong(f"{case.id} is no case that the scorer can refuse; python -m course.golden shows it")
    if (root / EXPLOITS).is_file():
        lost = not_in_suite([judge(exploit) for exploit in load_exploits(root / EXPLOITS)], path)
        if lost:
            return wrong(f"exploit {lost[0].number} is not in it; type: python -m course.red_team")
    return there(f"{len(cases)} cases")


def judge_the_patch(root: Path) -> Verdict:
    path = root / PATCH
    if not path.is_file():
        return missing(f"there is no {PATCH.as_posix()}")
    report = judge_patch(path)
    (fp, hacks), (fn, honest) = report.totals()
    counts = f"{report.rubric}: {fp}/{hacks} false positives, {fn}/{honest} false negatives"
    if (fp, fn) == report.before:
        return missing(f"still the rubric's own hole ({counts})")
    if not report.holds:
        why = "the class is not closed" if fp / hacks > fn / honest else "too strict: honest answers earn nothing"
        return wrong(f"{why} ({counts}); python -m course.red_team --patch names the kinds")
    return there(counts)
