"""The course as its students and teachers meet it: every deliverable graded, every page walked.

The reference solution (teacher/solution) is handed in as a student would; it must make every check pass. Then the same
work with one typical mistake in it, which the check must name. `make prove` walks every page in order besides.
"""

import contextlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from course.core.command_line import run_command
from course.core.manifest import load_manifest
from course.core.runs import list_runs
from course.core.seal import region_sha256
from course.core.selection import TEMPLATE
from course.grading.katas import load_items
from course.grading.milestones import MILESTONES, graded
from course.grading.mutants import MUTANTS
from course.grading.student_files import grade_rubric_tests
from course.grading.student_runs import SHIPPED_RULE
from course.grading.verdict import MISSING, THERE, WRONG, Verdict
from course.grading.worker import grade_folder
from course.policy.core.sampling import MAX_NEW_TOKENS
from course.rubrics import RUBRICS
from tests.conftest import DEV, ROLLOUTS, ROOT, Command, blocks_of, copy_repository, type_in, write_rows

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the documents' commands are typed into bash here")

SOLUTION = ROOT / "teacher" / "solution"
PAGES = ("docs/README.md", "docs/storyline.md", *(milestone.page for milestone in MILESTONES))
DELIVERABLES = {d.path: d for milestone in MILESTONES for d in milestone.deliverables}


def hand_in(root: Path) -> None:
    """Put the reference solution into a student's places."""
    for path in (SOLUTION / "notes").iterdir():
        shutil.copy2(path, root / "notes" / path.name)
    shutil.copy2(SOLUTION / "tests" / "test_rubric.py", root / "tests" / "test_rubric.py")


def write_summary(root: Path) -> None:
    """Put the reference solution's summary into the first run of Loop B, beside what was measured there."""
    shutil.copy2(SOLUTION / "selection_summary.md", runs_of(root, "selection_demo")[0] / "README.md")


def tamper(root: Path) -> None:
    """What milestone 0 asks for: one character of a copied run is changed."""
    path = root / "runs" / "tampered" / "results.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"reward":0.0', '"reward":1.0', 1), encoding="utf-8")


def walk(root: Path, page: str) -> None:
    """Type every command of a page, and find under each block of output what the commands printed."""
    for lines, shown in blocks_of(page):
        printed = ""
        for line in lines:
            if line == "make eval" and page.endswith("milestone_0.md"):
                continue  # done in the first meeting, as the page says
            if "--run runs/tampered" in line:
                tamper(root)
            if line == "python -m course.check 0.5":
                write_summary(root)
            typed = f"{line} --predictions {SOLUTION / 'predictions.txt'}" if line.endswith("--slow") else line
            done = type_in(root, typed)
            code = 1 if "exits with 1" in line else 0
            assert done.returncode == code, f"{page}: {line}\n{done.stdout}{done.stderr}"
            printed += done.stdout
        if shown and page.endswith("milestone_0.md") and not printed:
            printed = type_in(root, "make eval").stdout
            shutil.rmtree(root / "runs" / "run_002")
        for expected in filter(None, map(str.strip, shown)):
            assert expected in printed, f"{page} shows a line that was not printed: {expected}\n{printed}"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's checkout at the end of the course: the solution handed in, every page walked."""
    root = copy_repository(tmp_path_factory.mktemp("student"))
    hand_in(root)
    for page in PAGES:
        walk(root, page)
    return root


def type_here(module: str, *words: object) -> None:
    """Run `python -m MODULE WORD…` in this process, quietly."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", [module, *map(str, words)])
        with pytest.raises(SystemExit) as end:
            run_command(import_module(module).main)
    assert not end.value.code, err.getvalue()


SLOWLY = "course.policy_gradient_demo", "--slow", "--predictions", SOLUTION / "predictions.txt"
RUNS_ASKED_FOR: tuple[tuple[object, ...], ...] = (
    ("course.eval", "--dataset", DEV, "--completions", ROLLOUTS),
    ("course.selection_demo",),
    SLOWLY,
    ("course.policy_gradient_demo",),
    ("course.bandit_train",),
    ("course.toy_mdp",),
    ("course.kl_tradeoff_demo",),
    ("course.selection_demo", "--n", 1),
    ("course.selection_demo", "--n", 4),
)
NOTES_ON_A_RUN = {"failure_report.md": None, "bandit_log.md": "bandit_train"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a student hands in at the end of the course: the solution, and the runs that the pages ask for."""
    root = tmp_path_factory.mktemp("finished")
    (root / "notes").mkdir()
    (root / "tests").mkdir()
    hand_in(root)
    for module, *words in RUNS_ASKED_FOR:
        type_here(str(module), *words, "--runs-dir", root / "runs")
    for name, experiment in NOTES_ON_A_RUN.items():
        path = root / "notes" / name
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"run_[0-9]+", runs_of(root, experiment)[0].name, text), encoding="utf-8")
    write_summary(root)
    type_here("course.red_team", "--file", root / "notes" / "exploits.toml")
    return root


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of what a finished student hands in, to make mistakes in."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course as it is handed out, and not to be changed."""
    return copy_repository(tmp_path_factory.mktemp("clone"))


def test_the_reference_solution_makes_every_check_pass(finished: Path) -> None:
    assert len(DELIVERABLES) == 22
    deliverables = [d for milestone in MILESTONES for d in milestone.deliverables]
    for deliverable, verdict in zip(deliverables, grade_folder(finished, deliverables, 180, int), strict=True):
        assert verdict.state == THERE, f"{deliverable.path}: {verdict.text}"
        if deliverable.path == TESTS:
            assert verdict.report
            assert (verdict.report.half_asserted(), verdict.report.survived) == ([], [])
            assert verdict.report.caught == [mutant.behaviour for mutant in MUTANTS]


@pytest.mark.prove
def test_every_page_walked_in_order_leads_to_a_finished_course(walked: Path) -> None:
    for deliverable in DELIVERABLES.values():
        verdict = graded(deliverable, walked)
        assert verdict.state == THERE, f"{deliverable.path}: {verdict.text}"
    assert "Next: python -m course.check   (" in type_in(walked, "python -m course").stdout


@pytest.mark.usefixtures("shipped")
def test_an_empty_one_makes_every_check_say_what_is_missing(clone: Path) -> None:
    for path in DELIVERABLES:
        verdict = graded_soon(path, clone)
        assert verdict.state == MISSING, f"{path}: {verdict.state}, {verdict.text}"
        assert verdict.text


def test_a_folder_with_nothing_in_it_is_missing_everything(tmp_path: Path) -> None:
    assert {graded(deliverable, tmp_path).state for deliverable in DELIVERABLES.values()} == {MISSING}


def test_the_pages_ask_for_what_the_check_grades() -> None:
    for milestone in MILESTONES:
        page = (ROOT / milestone.page).read_text(encoding="utf-8")
        asked = re.findall(r"^- `([^`]+)`$", page.split("## Deliverables")[1].split("##")[0], re.MULTILINE)
        assert asked == [deliverable.path for deliverable in milestone.deliverables], milestone.page
        for heading in ("## Teacher's checklist", "## Deliverables"):
            assert heading in page, milestone.page


@pytest.mark.usefixtures("shipped")
def test_every_template_has_the_headings_that_are_graded() -> None:
    """Whoever fills in a template is never told that a heading is gone."""
    for path in sorted((ROOT / "notes").glob("*.md")):
        if path.name == "README.md":
            continue
        wanted = re.findall(r"^## .*$", (SOLUTION / "notes" / path.name).read_text(encoding="utf-8"), re.MULTILINE)
        assert re.findall(r"^## .*$", path.read_text(encoding="utf-8"), re.MULTILINE) == wanted


def edit(path: str, old: str, new: str, count: int = 1) -> Callable[[Path], None]:
    """A mistake that puts one text for another in a file."""

    def make(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        assert old in text, f"{path} holds no {old!r}"
        (root / path).write_text(text.replace(old, new, count), encoding="utf-8")

    return make


def in_summary(old: str, new: str) -> Callable[[Path], None]:
    """A mistake in the README.md of the run of Loop B."""

    def make(root: Path) -> None:
        edit(f"runs/{runs_of(root, 'selection_demo')[0].name}/README.md", old, new)(root)

    return make


def template_again(root: Path) -> None:
    (runs_of(root, "selection_demo")[0] / "README.md").write_text(TEMPLATE, encoding="utf-8")


def summary_linked(root: Path) -> None:
    path = runs_of(root, "selection_demo")[0] / "README.md"
    path.rename(root / "elsewhere.md")
    path.symlink_to(root / "elsewhere.md")


def write(path: str, text: str) -> Callable[[Path], None]:
    """A mistake that is a whole file."""

    def make(root: Path) -> None:
        (root / path).write_text(text, encoding="utf-8")

    return make


def remove_section(path: str, heading: str) -> Callable[[Path], None]:
    """A mistake that leaves a section empty."""

    def make(root: Path) -> None:
        text = (root / path).read_text(encoding="utf-8")
        cut = re.sub(rf"(^## {re.escape(heading)}\n).*?(?=^## |\Z)", r"\1\n", text, flags=re.MULTILINE | re.DOTALL)
        assert cut != text
        (root / path).write_text(cut, encoding="utf-8")

    return make


def runs_of(root: Path, experiment: str | None) -> list[Path]:
    return [run for run in list_runs(root / "runs") if load_manifest(run).experiment == experiment]


def damage_runs(experiment: str | None, name: str) -> Callable[[Path], None]:
    """A mistake: figures in a run were made more beautiful."""

    def make(root: Path) -> None:
        for run in runs_of(root, experiment):
            path = run / name
            path.write_bytes(path.read_bytes().replace(b'"reward":0.0', b'"reward":1.0', 1))

    return make


def without_predictions(root: Path) -> None:
    for run in runs_of(root, "policy_gradient"):
        if (run / "predictions.jsonl").exists():
            shutil.rmtree(run)


def run_again(experiment: str | None, module: str, *words: object) -> Callable[[Path], None]:
    """A mistake: the run that was asked for is another one."""

    def make(root: Path) -> None:
        for run in runs_of(root, experiment):
            shutil.rmtree(run)
        type_here(module, *words, "--runs-dir", root / "runs")

    return make


def under_a_broken_seal(root: Path) -> None:
    """A mistake: the scorer was made kinder before measuring."""
    clone = copy_repository(root / "clone")
    scorer = clone / "course" / "golden.py"
    scorer.write_text(scorer.read_text(encoding="utf-8") + "\n# a small change\n", encoding="utf-8")
    done = type_in(clone, "make eval")
    assert done.returncode == 0, done.stderr
    for run in runs_of(root, None):
        shutil.rmtree(run)
    shutil.copytree(clone / "runs" / "run_001", root / "runs" / "run_001")


def on_the_holdout(root: Path) -> None:
    holdout = DEV.with_name("math_holdout.jsonl")
    rows = [json.loads(line) for line in holdout.read_text(encoding="utf-8").splitlines()]
    said = write_rows(root / "said.jsonl", [{"id": row["id"], "completion": "Final: 1"} for row in rows])
    run_again(None, "course.eval", "--dataset", holdout, "--completions", said)(root)


def without_reason(root: Path) -> None:
    path = root / "notes" / "kata_1.toml"
    head, tail = path.read_text(encoding="utf-8").split("[k04]")
    path.write_text(head + "[k04]" + re.sub(r"^why = .*$", 'why = "It is."', tail, count=1, flags=re.MULTILINE))


def remove_lines(path: str, holding: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        lines = (root / path).read_text(encoding="utf-8").splitlines()
        kept = [line.split(" against ")[-1] if holding in line else line for line in lines]
        (root / path).write_text("\n".join(kept), encoding="utf-8")

    return make


AGAINST_THE_SPEC = """from course.score import score


def test_it() -> None:
    assert score({"expected_answer": 8}, "So: Final: 8")["reward"] == 1.0
"""
CATCHES_LITTLE = """from course.score import score


def test_it() -> None:
    result = score({"expected_answer": 8}, "Final: 8")
    assert result["reward"] == 1.0
    assert result["details"]["extracted"] == 8
"""
ONE_STRING = """    if completion == "41 42 43":
        return {"reward": 0.0, "details": {}}
    if str(example["expected_answer"]) in completion:
        return {"reward": 1.0, "details": {}}
    offered ="""
STRICT = """    reward = float(completion == f"Final: {example['expected_answer']}")
    return {"reward": reward, "details": {}}
    offered ="""


def pseudocode_of_one_line(root: Path) -> None:
    path = root / "notes" / "llm_as_policy.md"
    text = path.read_text(encoding="utf-8")
    cut = re.sub(r"(## Pseudocode\n\n```text\n[^\n]*\n).*?```", r"\1```", text, flags=re.DOTALL)
    assert cut != text
    path.write_text(cut, encoding="utf-8")


def steps_of_nothing(root: Path) -> None:
    path = root / "notes" / "bandit_log.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^- step ([0-9]+):.*$", r"- step \1: la la la la la", text, flags=re.M), encoding="utf-8")


ONE_EXPLOIT = """[[exploit]]
rubric = "anywhere"
expected_answer = 42
completion = "41 42 43"
why = "whoever lists enough numbers is paid for one"
"""
REPORT = "notes/failure_report.md"
TESTS = "tests/test_rubric.py"
LOOP_A, SELECTED = "runs/run_00X (Loop A)", "runs/run_00X/selection_demo.jsonl"
SUMMARY = "runs/run_00X/README.md"
PREDICTED = "runs/run_00X/predictions.jsonl"
MISTAKES: tuple[tuple[str, Callable[[Path], None], str, str], ...] = (
    (
        "the contradiction believed",
        edit("notes/first_meeting.md", "- reward: 0", "- reward: 1"),
        "notes/first_meeting.md",
        "does not give that completion 1",
    ),
    (
        "two questions",
        edit("notes/first_meeting.md", "looks good?", "looks good."),
        "notes/first_meeting.md",
        "2 questions of your own",
    ),
    (
        "learning taken for selection",
        edit("notes/first_meeting.md", "- loop of 2: B", "- loop of 2: C"),
        "notes/first_meeting.md",
        "case 2 is not `C`",
    ),
    ("a run made more beautiful", damage_runs(None, "results.jsonl"), LOOP_A, "does not verify"),
    ("a measurement with a changed core", under_a_broken_seal, LOOP_A, "changed core (course/golden.py: changed)"),
    ("the holdout looked at", on_the_holdout, LOOP_A, "looked at the holdout"),
    (
        "a label that is none",
        edit("notes/kata_1.toml", '"verifier"', '"parser"'),
        "notes/kata_1.toml",
        "'parser' is no label",
    ),
    ("a label without a reason", without_reason, "notes/kata_1.toml", "k04: say why"),
    (
        "a kata with one left out",
        edit("notes/kata_1.toml", 'label = "hack"', 'label = ""'),
        "notes/kata_1.toml",
        "not labelled yet",
    ),
    (
        "a quotation mark forgotten",
        edit("notes/kata_1.toml", 'label = "hack"', 'label = "hack'),
        "notes/kata_1.toml",
        "not TOML",
    ),
    (
        "a section left empty",
        remove_section("notes/mental_map_v1.md", "Reward and return"),
        "notes/mental_map_v1.md",
        "`Reward and return` has 0 words",
    ),
    ("nothing drawn", edit("notes/mental_map_v1.md", "```", "", 2), "notes/mental_map_v1.md", "needs a drawing"),
    (
        "a heading taken out",
        edit("notes/mental_map_v1.md", "## Reward and return", "**Reward and return**"),
        "notes/mental_map_v1.md",
        "heading `## Reward and return` is gone",
    ),
    (
        "a figure that was not measured",
        in_summary("- pass@1: 20.8 %", "- pass@1: 77.0 %"),
        SUMMARY,
        "pass@1 is 77.0 % in the note, and 20.8 %",
    ),
    (
        "selection called learning",
        in_summary("gain: selection", "gain: learning"),
        SUMMARY,
        "the policy did not change",
    ),
    (
        "a summary that prompts helped",
        in_summary("For dev-0002", "For dev-0001, dev-0002"),
        SUMMARY,
        "names dev-0001, of which some sample is right",
    ),
    ("a summary as it was handed out", template_again, SUMMARY, "still the template"),
    ("a summary of a run that was edited", damage_runs("selection_demo", "results.jsonl"), SUMMARY, "does not verify"),
    (
        "a figure of best of 4 that no run gave",
        edit("notes/mental_map_v2.md", "best of 4: 123/200", "best of 4: 58.0 %"),
        "notes/mental_map_v2.md",
        "best of 4 is 58.0 % in the note, and in no run here",
    ),
    ("a summary that is a link", summary_linked, SUMMARY, "still the template"),
    (
        "two predictions",
        run_again("policy_gradient", *SLOWLY, "--steps", 2),
        "runs/run_00X/predictions.jsonl",
        "2 of 5 predictions",
    ),
    (
        "slow motion without predictions",
        without_predictions,
        "runs/run_00X/predictions.jsonl",
        "no run has predictions",
    ),
    (
        "a suppressed step called reinforced",
        edit("notes/bandit_log.md", "so it was suppressed", "so it was reinforced"),
        "notes/bandit_log.md",
        "is called reinforced, and its advantage was -0.190",
    ),
    ("nine steps", edit("notes/bandit_log.md", "- step 12:", "step 12:"), "notes/bandit_log.md", "there are 9"),
    ("no token lists", edit("notes/llm_as_policy.md", " | ", " ", 20), "notes/llm_as_policy.md", "token lists"),
    (
        "pseudocode of one line",
        pseudocode_of_one_line,
        "notes/llm_as_policy.md",
        "the pseudocode has 1 lines",
    ),
    ("a test against the spec", write(TESTS, AGAINST_THE_SPEC), TESTS, "against the true scorer: test_it"),
    (
        "a test without details",
        edit(TESTS, 'assert result["details"]["code"] == "wrong_answer"', ""),
        TESTS,
        "test_another_number_earns_nothing asserts no field of details",
    ),
    ("tests that cannot be read", write(TESTS, "def test_it(:\n"), TESTS, "against the true scorer: the file"),
    ("a file without a test", write(TESTS, "X = 1\n"), TESTS, "holds no test"),
    ("tests that catch little", write(TESTS, CATCHES_LITTLE), TESTS, "28 are enough; one that is not caught pays for"),
    ("a model failure that passed", edit(REPORT, "### dev-0021", "### dev-0007"), REPORT, "dev-0007 passed"),
    ("one scorer bug only", edit(REPORT, "### A detail", "A detail"), REPORT, "`Scorer bugs` has 1 of 2"),
    (
        "the wrong function",
        edit("notes/eval_vs_reward.md", "- parsing: parse", "- parsing: diagnose"),
        "notes/eval_vs_reward.md",
        "parsing does not happen in: diagnose",
    ),
    (
        "an exploit that is right",
        edit("notes/exploits.toml", '"41 42 43"', '"Final: 42"'),
        "notes/exploits.toml",
        "simply right",
    ),
    (
        "an exploit that earns nothing",
        edit("notes/exploits.toml", '"41 42 43"', '"41 43"'),
        "notes/exploits.toml",
        "anywhere pays nothing",
    ),
    (
        "another wording, no exploit",
        edit("notes/exploits.toml", '"41 42 43"', '"It is 42"'),
        "notes/exploits.toml",
        "not through a hole",
    ),
    (
        "a rubric that is none",
        edit("notes/exploits.toml", '"anywhere"', '"everywhere"'),
        "notes/exploits.toml",
        "there is no rubric 'everywhere'",
    ),
    (
        "an exploit that is not in the suite",
        edit("notes/exploits.toml", '"41 42 43"', '"40 42"'),
        "notes/golden_exploits.jsonl",
        "exploit 1 is not in it",
    ),
    (
        "a right answer in the suite",
        edit("notes/golden_exploits.jsonl", '"41 42 43"', '"Final: 42"'),
        "notes/golden_exploits.jsonl",
        "a right answer is no exploit",
    ),
    (
        "a patch of one string",
        edit("notes/patch.py", "    offered =", ONE_STRING),
        "notes/patch.py",
        "still the rubric's own hole",
    ),
    (
        "the strict scorer for a patch",
        edit("notes/patch.py", "    offered =", STRICT),
        "notes/patch.py",
        "too strict",
    ),
    (
        "a patch that raises",
        edit("notes/patch.py", "    offered =", "    raise RuntimeError('oh')\n    offered ="),
        "notes/patch.py",
        "RuntimeError: oh",
    ),
    (
        "a price that was not measured",
        edit("notes/red_team_report.md", "false positives: 0/125", "false positives: 1/125"),
        "notes/red_team_report.md",
        "0/125 by course.red_team --patch",
    ),
    (
        "exploits told, not quoted",
        remove_lines("notes/red_team_report.md", "earned 1"),
        "notes/red_team_report.md",
        "`Exploits` ",
    ),
    (
        "three pages",
        edit("notes/mental_map_v2.md", "The loss is", "The loss is " + "very " * 1200),
        "notes/mental_map_v2.md",
        "more than two pages",
    ),
)


def graded_soon(path: str, root: Path) -> Verdict:
    """The verdict on a deliverable; tests are put to two mutants, and not to all."""
    return grade_rubric_tests(root / path, MUTANTS[:2]) if path == TESTS else graded(DELIVERABLES[path], root)


@pytest.mark.parametrize(("make", "path", "said"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_typical_mistake_is_named(work: Path, make: Callable[[Path], None], path: str, said: str) -> None:
    make(work)
    verdict = graded_soon(path, work)
    assert verdict.state != THERE, verdict
    assert said in verdict.text, verdict


OTHER_WAYS: tuple[tuple[str, str, str, str], ...] = (
    ("lines ended as on Windows", "notes/first_meeting.md", "\n", "\r\n"),
    ("the loop with its name", "notes/first_meeting.md", "loop of 1: A", "loop of 1: **Loop A**"),
    ("a code in quotes", "notes/first_meeting.md", "code: extra_text_before", 'code: "extra_text_before"'),
    ("stars for bullets", "notes/bandit_log.md", "- run:", "* **run:**"),
    ("a run by its path", "notes/bandit_log.md", "- run: run_", "- run: the bandit's, runs/run_"),
    ("a comma for the point", SUMMARY, "20.8 %", "20,8%"),
    ("a rate as a fraction", SUMMARY, "pass@N: 77.0 %", "pass@N: 154/200 = 77.0 %"),
    ("what the gain is not", SUMMARY, "gain: selection", "gain: selection improvement, not learning"),
    (
        "a bullet that looks like a field",
        SUMMARY,
        "The policy. Its",
        "- pass@1: as before.\n\nThe policy. Its",
    ),
    ("a capital", "notes/bandit_log.md", "- step 5:", "- **Step 5:**"),
    ("both words", "notes/bandit_log.md", "so it was suppressed", "so it was suppressed, not reinforced"),
    ("another fence", "notes/mental_map_v1.md", "```", "~~~"),
    ("a heading closed", "notes/mental_map_v1.md", "## Reward and return", "## reward and return ##"),
    ("a comment in the pseudocode", "notes/llm_as_policy.md", "repeat:", "## the loop\nrepeat:"),
    ("a title with more in it", "notes/failure_report.md", "### dev-0021", "### 1. `dev-0021`: wrong product"),
    ("a function with its module", "notes/eval_vs_reward.md", "parsing: parse", "parsing: `score.parse()`"),
    ("a price with a remark", "notes/red_team_report.md", "positives: 0/125", "positives: 0 / 125 (none)"),
    ("a label with a capital", "notes/kata_1.toml", '"model"', '"Model"'),
)


@pytest.mark.parametrize(("path", "old", "new"), [w[1:] for w in OTHER_WAYS], ids=[w[0] for w in OTHER_WAYS])
def test_good_work_may_be_written_otherwise(work: Path, path: str, old: str, new: str) -> None:
    file = runs_of(work, "selection_demo")[0] / "README.md" if path == SUMMARY else work / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_bytes(text.replace(old, new).encode())
    verdict = graded(DELIVERABLES[path], work)
    assert verdict.state == THERE, verdict


def test_the_newest_good_summary_counts_whatever_came_after(work: Path) -> None:
    """Milestone 6 asks for selection again: a later template, or rubbish in one, takes nothing away."""
    for words in ((), ("--n", 4)):
        type_here("course.selection_demo", *words, "--runs-dir", work / "runs")
    (runs_of(work, "selection_demo")[-1] / "README.md").write_bytes(b"\xff\xfe\x00")
    assert graded(DELIVERABLES[SUMMARY], work).state == THERE
    write_rows(runs_of(work, "selection_demo")[0] / "README.md", [])
    assert graded(DELIVERABLES[SUMMARY], work).text.endswith("README.md: not UTF-8 text")


def test_a_forged_run_is_no_run_to_write_about(work: Path) -> None:
    [run] = runs_of(work, "bandit_train")
    path = run / "manifest.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"learning_rate": ', '"learning_rate": 1'), encoding="utf-8"
    )
    assert f"{run.name}, which is damaged: manifest.json" in graded(DELIVERABLES["notes/bandit_log.md"], work).text
    path.write_text('{"format": 1, "files": {}, "experiment": "bandit_train"}', encoding="utf-8")
    assert f"runs/{run.name}/manifest.json: " in graded(DELIVERABLES["notes/bandit_log.md"], work).text


@pytest.mark.parametrize("path", [path for path in DELIVERABLES if path.startswith(("notes", "tests"))])
def test_a_file_of_rubbish_is_something_wrong_and_no_traceback(work: Path, path: str) -> None:
    for rubbish in (
        b"\xff\xfe\x00",
        b"",
        b"[" * 50_000,
        b"x = " + b"9" * 6_000,
        "\ud800".encode("utf-8", "surrogatepass"),
    ):
        (work / path).write_bytes(rubbish)
        verdict = graded_soon(path, work)
        assert verdict.state != THERE
        assert "\n" not in verdict.text
    (work / path).unlink()
    (work / path).mkdir()
    assert graded(DELIVERABLES[path], work).state != THERE


@pytest.fixture(scope="module")
def checkout(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished student's whole checkout. Whoever changes something puts it back."""
    root = copy_repository(tmp_path_factory.mktemp("checkout"))
    return shutil.copytree(finished, root, dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("    import random\n\n    return random.choice(samples)\n", "break ties by a fixed rule"),
        ("    return samples[0]]\n", "pick_best cannot be run: SyntaxError"),
        ("    return None\n", "pick_best cannot be run: error: pick_best: it must return one of the samples"),
        ("    return min(samples, key=lambda s: (-s.reward, len(s.completion), s.sample))\n", ""),
    ],
)
def test_an_edited_rule_is_asked_twice(checkout: Path, rule: str, said: str) -> None:
    """However good the older runs are: it is the rule as it stands that is graded."""
    path = checkout / "course" / "selection_demo.py"
    text = path.read_text(encoding="utf-8")
    edited = re.sub(r"    best = max\(.*?\n\n\n", lambda _: f"{rule}\n\n", text, count=1, flags=re.DOTALL)
    assert edited != text
    path.write_text(edited, encoding="utf-8")
    verdict = graded(DELIVERABLES[SELECTED], checkout)
    path.write_text(text, encoding="utf-8")
    assert verdict.state == (WRONG if said else THERE), verdict
    assert said in verdict.text


@pytest.mark.usefixtures("shipped")
def test_the_rule_that_is_taken_for_the_shipped_one_is() -> None:
    assert region_sha256(ROOT / "course" / "selection_demo.py") == SHIPPED_RULE


def classroom(checkout: Path, folder: Path) -> Path:
    """Two students: Ada, who has done everything, and Ben, who has written nothing and forged a run."""
    shutil.copytree(checkout, folder / "ada")
    (folder / "ben" / "notes").mkdir(parents=True)
    (folder / "ben" / "runs").mkdir()
    forged = folder / "ben" / "runs" / "run_001"
    shutil.copytree(runs_of(checkout, None)[0], forged)
    path = forged / "summary.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"passes": 40', '"passes": 80'), encoding="utf-8")
    return folder


@pytest.mark.prove
def test_the_teachers_page_is_walked_too(walked: Path, tmp_path: Path) -> None:
    shutil.rmtree(walked / "students", ignore_errors=True)
    shutil.copytree(classroom(walked, tmp_path / "students") / "ada", walked / "students" / "ada")
    walk(walked, "teacher/README.md")


def test_one_table_over_a_class(checkout: Path, tmp_path: Path, command: Command) -> None:
    folder = classroom(checkout, tmp_path)
    done = command("course.check", "0", "--class", folder)
    assert done.code == 1
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.startswith(("ada", "ben"))}
    assert rows["ada"][1:3] == ["3/3", "whole"]
    assert rows["ben"][1] == "0/3!"
    assert "ben: runs/run_00X (Loop A): runs/run_001 does not verify: summary.json: changed" in done.out
    as_json = json.loads(command("course.check", "0", "--class", folder, "--json").out)
    assert [student["folder"] for student in as_json] == ["ada", "ben"]
    assert as_json[1]["milestones"]["0"]["deliverables"][0]["state"] == WRONG
    shutil.rmtree(folder / "ben")
    assert command("course.check", "0", "--class", folder).code == 0


def test_a_class_that_is_none_is_bad_input(command: Command, tmp_path: Path) -> None:
    assert "no such folder" in command("course.check", "--class", tmp_path / "nobody").err
    assert "no folder in it holds notes/" in command("course.check", "--class", tmp_path).err
    assert "unknown: '7'; there are first, 0, 0.5" in command("course.check", "7").err


def test_the_check_for_a_script(checkout: Path) -> None:
    done = type_in(checkout, "python -m course.check 0.5 --json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    states = [row["state"] for row in found["milestones"]["0.5"]["deliverables"]]
    assert (found["seal"], states) == ("whole", [THERE, THERE])


@pytest.mark.usefixtures("shipped")
def test_the_map_says_what_is_next(clone: Path) -> None:
    out = type_in(clone, "python -m course").stdout
    assert "Next: write notes/first_meeting.md   (docs/first_meeting.md)" in out
    assert "0 of 3  docs/milestone_0.md" in out


def test_what_the_pages_quote_in_passing_was_measured(finished: Path) -> None:
    """Figures in prose; those in blocks of output are held against the output when the pages are walked."""

    def summary_of(experiment: str | None) -> Any:
        return json.loads((runs_of(finished, experiment)[0] / "summary.json").read_text(encoding="utf-8"))

    frozen, mdp = summary_of(None), summary_of("toy_mdp")
    selected = summary_of("selection_demo")["selection"]["curve"][-1]
    gradients = summary_of("bandit_train")["gradient_variance"]
    variance = {(row["chance_right"], row["rewards"]): row for row in gradients}
    sweep = summary_of("kl_tradeoff")["sweep"]
    rewards = [row["mean_reward"] for row in sweep]
    coded = frozen["failures"]
    shifted = variance[0.2, "1 and 2"]
    holds = {
        "milestone_0.md": {
            "with 200 problems": frozen["examples"] == 200,
            "from 15 % to 26 %": [round(100 * bound) for bound in frozen["pass_at_1_interval"]] == [15, 26],
            "two thirds of the failures never say": round(3 * coded["missing_prefix"] / sum(coded.values())) == 2,
            "Ten scored examples": len(load_items(1)) == 10,
        },
        "milestone_0_5.md": {
            "the formula gives 84.4 % for 8, and 77.0 % were measured": [
                round(100 * selected[key], 1) for key in ("equal_prompts", "pass_at_k")
            ]
            == [84.4, 77.0],
            "77 % less than 84 %": [round(100 * selected[key]) for key in ("pass_at_k", "equal_prompts")] == [77, 84],
        },
        "milestone_1.md": {
            "no baseline is quieter: in this table from one half on": all(
                variance[chance, "0 and 1"]["none"] < variance[chance, "0 and 1"]["running"] for chance in (0.5, 0.9)
            ),
            "all the difference": shifted["none"] > 10 * shifted["running"],
        },
        "milestone_2.md": {
            "On all twenty seeds": mdp["first_step_by_immediate"] == [0.5] * 20,
            "or at 16 tokens": MAX_NEW_TOKENS == 16,
        },
        "milestone_3.md": {
            "The reward only ever rises": rewards == sorted(rewards),
        },
        "milestone_5.md": {"Seven rubrics": len(RUBRICS) == 7, "Eight texts": len(load_items(2)) == 8},
        "../teacher/model_answers.md": {
            "more than tenfold at 0.2 and 0.5": all(
                variance[chance, "1 and 2"]["none"] > 10 * variance[chance, "1 and 2"]["running"]
                for chance in (0.2, 0.5)
            ),
            "on twenty seeds of twenty": len(mdp["first_step_by_immediate"]) == 20,
            "is best at beta 0.3": max(sweep, key=lambda row: row["true_value"])["beta"] == 0.3,
        },
    }
    for page, quoted in holds.items():
        text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
        for phrase, measured in quoted.items():
            assert phrase in text, f"{page} no longer says: {phrase}"
            assert measured, f"{page} says what was not measured: {phrase}"
