"""Files that a student hands in, graded: answers to a kata, tests, exploits, the golden suite, a patch.

Each function takes the file, which is there. Raises InputError if it cannot be read.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from course.core.golden import GoldenReport, check_case, load_cases
from course.grading.exploits import EXPLOITS, grade_file, not_in_suite
from course.grading.katas import grade_kata, load_answers
from course.grading.mutants import MUTANTS, Mutant
from course.grading.mutation import NEEDED, TestReport, grade_tests
from course.grading.patch import grade_patch
from course.grading.verdict import Verdict, missing, there, wrong
from course.score import score

STARTER_TESTS = {
    "test_a_right_line_earns_the_reward",
    "test_a_wrong_number_earns_nothing",
    "test_the_bare_number_earns_nothing",
}
FEWEST_EXPLOITS = 2


def grade_answers(path: Path, kata: int) -> Verdict:
    """Is every example answered, in the words that the kata asks for? How many labels agree is said, not demanded."""
    answers = load_answers(path, kata)
    if not any(answer.label for answer in answers.values()):
        return missing("still the template")
    for key, answer in answers.items():
        if lacks := answer.lacks():
            return wrong(f"{key}: {lacks}")
    grades = grade_kata(answers, kata)
    return there(f"{sum(grades.values())} of {len(grades)} labels agree")


def grade_rubric_tests(path: Path, mutants: Sequence[Mutant] = MUTANTS) -> Verdict:
    """The student's tests: all pass on the true scorer, each asserts reward and details, and they catch enough."""
    if importlib.util.find_spec("pytest") is None:
        return missing("it takes pytest to grade them, which `make test` installs")
    report = grade_tests(path, mutants)
    return replace(verdict_on_tests(report), report=report)


def verdict_on_tests(report: TestReport) -> Verdict:
    """The first thing that is wrong with a file of tests, in the order in which to mend them."""
    if report.failures:
        return wrong(f"against the true scorer: {report.failures[0]}")
    if not report.tests:
        return wrong("the file holds no test")
    count = f"{len(report.caught)} of {len(report.caught) + len(report.survived)} faulty scorers caught"
    if report.tests.keys() == STARTER_TESTS and len(report.caught) < NEEDED:
        return missing(f"only the three tests to begin with: {count}, {NEEDED} are enough")
    if half := report.half_asserted():
        return wrong(half[0])
    if len(report.caught) < NEEDED:
        return wrong(f"{count}, {NEEDED} are enough; one that is not caught {report.survived[0]}")
    return there(count)


def grade_exploits(path: Path) -> Verdict:
    """Is every exploit accepted, and are there enough different ones?"""
    graded = grade_file(path)
    if not graded:
        return missing("no exploit yet; python -m course.red_team --rubrics")
    for row in graded:
        if row.refusal:
            return wrong(f"exploit {row.exploit.number}: {row.refusal}")
    different = {(row.exploit.rubric, row.exploit.completion) for row in graded}
    if len(different) < FEWEST_EXPLOITS:
        return wrong(f"{len(different)} exploit; {FEWEST_EXPLOITS} to 5 different ones are asked for")
    return there(f"{len(different)} accepted, against {len({rubric for rubric, _ in different})} rubrics")


def grade_suite(path: Path) -> Verdict:
    """The suite passes the strict scorer, and holds every accepted exploit."""
    cases, report = load_cases(path, 0.0), GoldenReport()
    for case in cases:
        check_case(report, case, score)
    if report.false_positives:
        return wrong(f"the scorer pays for {report.false_positives[0][0].id}: a right answer is no exploit")
    if not report.passed:
        case, _ = (report.crashes + report.wrong_codes)[0]
        return wrong(f"{case.id} is no case that the scorer can refuse; python -m course.golden shows it")
    exploits = path.with_name(EXPLOITS.name)
    if lost := not_in_suite(grade_file(exploits), path) if exploits.is_file() else []:
        return wrong(f"exploit {lost[0].number} is not in it; type: python -m course.red_team")
    return there(f"{len(cases)} cases")


def grade_patch_file(path: Path) -> Verdict:
    """Does the patch close the class of exploits, at a price that honest answers can bear?"""
    report = grade_patch(path)
    (fp, hacks), (fn, honest) = report.totals()
    counts = f"{report.rubric}: {fp}/{hacks} false positives, {fn}/{honest} false negatives"
    if (fp, fn) == report.before:
        return missing(f"still the rubric's own hole ({counts})")
    if report.fitted:
        return wrong(f"it knows the held-back strings, and fails on others of the same kinds ({counts})")
    if not report.holds:
        why = "the class is not closed" if fp / hacks > fn / honest else "too strict: honest answers earn nothing"
        return wrong(f"{why} ({counts}); python -m course.red_team --patch names the kinds")
    return there(counts)
