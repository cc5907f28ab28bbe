"""Every deliverable of the course, milestone by milestone, and how each is graded.

The pages docs/first_meeting.md and docs/milestone_0.md to docs/milestone_6.md ask for what stands here; a test holds
the two together. Everything is asked of a folder, the student's, so a teacher can ask it of many.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from course.core.files import InputError
from course.grading import notes, student_runs
from course.grading import student_files as files
from course.grading.verdict import Verdict, message_of, missing, wrong


@dataclass(frozen=True)
class Deliverable:
    """One thing that a milestone asks for: where it is in the student's folder, how to get it, how it is graded."""

    path: str
    how: str
    grade: Callable[[Path], Verdict]  # takes the student's folder
    slow: bool = False  # it runs the student's code, and takes seconds


class Milestone:
    """A milestone: its name on the command line, its title, what it asks for, its page."""

    def __init__(self, name: str, title: str, *deliverables: Deliverable) -> None:
        self.name, self.title, self.deliverables = name, title, deliverables
        self.page = f"docs/{'first_meeting' if name == 'first' else 'milestone_' + name.replace('.', '_')}.md"


def graded(deliverable: Deliverable, root: Path) -> Verdict:
    """The verdict on a deliverable; whatever cannot be read is something wrong with it."""
    try:
        verdict = deliverable.grade(root)
        return verdict if verdict.text else missing(f"type: {deliverable.how}")
    except InputError as error:
        return wrong(message_of(error, root, deliverable.path))
    except Exception as error:  # a file that was forged or cannot be opened: one student's must not stop a class
        return wrong(f"it could not be graded ({error!r:.200})")


def run(path: str, how: str, experiment: str | None, *facts: student_runs.RunFact) -> Deliverable:
    """A run of an experiment, by the name in its manifest; None is a plain evaluation."""
    return Deliverable(f"runs/run_00X{path}", how, lambda root: student_runs.grade_run(root, experiment, *facts))


def file(path: str, how: str, grade: Callable[[Path], Verdict], slow: bool = False) -> Deliverable:
    """A file that the student hands in."""

    def grade_file(root: Path) -> Verdict:
        if (root / path).is_file():
            (root / path).open("rb").close()  # a worker refuses here what it would not read itself
            return grade(root / path)
        return wrong("it is no regular file") if os.path.lexists(root / path) else missing(f"there is no {path}")

    return Deliverable(path, how, grade_file, slow)


def note(name: str, headings: dict[str, int], *facts: notes.Fact, slow: bool = False, **more: Any) -> Deliverable:
    """A note, graded as `notes.grade_note` says, which takes `more`; `headings` give the words that each needs."""
    grade = partial(notes.grade_note, headings=headings, facts=facts, **more)
    return file(f"notes/{name}", f"write notes/{name}", grade, slow)


def same(*headings: str, words: int = notes.ENOUGH) -> dict[str, int]:
    return dict.fromkeys(headings, words)


def grade_summary(root: Path) -> Verdict:
    """The summary of a run of Loop B."""
    grade = partial(
        notes.grade_note,
        headings=same("What selection did", "Where it still fails", "What did not change"),
        facts=(notes.selection_figures,),
        known_fields=(*map(str.lower, notes.SELECTION_FIGURES), "label of the gain"),
    )
    return student_runs.grade_summary(root, grade)


SELECTED = "runs/run_00X/selection_demo.jsonl"
MILESTONES = (
    Milestone(
        "first",
        "The first meeting",
        note(
            "first_meeting.md",
            same("The contradiction", "Which loop") | {"Three questions": 12},
            notes.the_contradiction,
            notes.loops_named,
            notes.three_questions,
            known_fields=("reward", "code", "loop of 1", "loop of 2", "loop of 3"),
        ),
    ),
    Milestone(
        "0",
        "Orientation, vocabulary map, first measurement",
        run(" (Loop A)", "make eval", None, student_runs.on_the_frozen_rollouts),
        file("notes/kata_1.toml", "python -m course.kata --answer", partial(files.grade_answers, kata=1)),
        note(
            "mental_map_v1.md",
            same(
                "Agent and environment",
                "State, action, trajectory",
                "Reward and return",
                "Reward, loss, metric",
                "A policy is a distribution",
            ),
            drawn="The loop, drawn",
        ),
    ),
    Milestone(
        "0.5",
        "Selection is already optimisation (best of N)",
        Deliverable(SELECTED, "python -m course.selection_demo", student_runs.grade_selection, slow=True),
        Deliverable("runs/run_00X/README.md", "python -m course.selection_demo, and fill it in", grade_summary),
    ),
    Milestone(
        "1",
        "One RL update in slow motion (a bandit, no calculus)",
        Deliverable("runs/run_00X/predictions.jsonl", student_runs.SLOWLY, student_runs.grade_predictions),
        run("/bandit_train_log.txt", "python -m course.bandit_train", "bandit_train"),
        note(
            "bandit_log.md",
            {"Ten steps": 50, "The curve": 30, "With and without a baseline": 20},
            notes.annotated_steps,
            known_fields=("run",),
        ),
    ),
    Milestone(
        "2",
        "From bandits to sequences: credit assignment",
        run("/toy_mdp_log.txt", "python -m course.toy_mdp", "toy_mdp"),
        note(
            "credit_assignment.md",
            same("The first step", "Return and horizon") | {"From steps to tokens": 30},
            drawn="The problem, drawn",
        ),
    ),
    Milestone(
        "3",
        "The language model as a policy, and the leash",
        run("/kl_tradeoff.csv", "python -m course.kl_tradeoff_demo", "kl_tradeoff"),
        note(
            "llm_as_policy.md",
            same("State, action, trajectory, reward", "From one reward to every token", "Why a leash")
            | {"Two variants as tokens": 0, "The tradeoff": 40, "Pseudocode": 0},
            notes.token_lists,
            notes.pseudocode,
            drawn="The trajectory, drawn",
        ),
    ),
    Milestone(
        "4",
        "Reward is a specification",
        file("tests/test_rubric.py", "write tests; python -m course.check 4", files.grade_rubric_tests, slow=True),
        note("failure_report.md", same(*notes.FAILURE_KINDS, words=10), notes.failure_report, known_fields=("run",)),
        note(
            "eval_vs_reward.md",
            same("Metric, reward, spec", "How they part", "Two kinds of test set")
            | {"The spec, in my words": 40, "Where it happens": 0},
            notes.where_in_the_scorer,
            known_fields=("parsing", "comparing", "naming the failure"),
        ),
    ),
    Milestone(
        "5",
        "Red team the reward",
        file("notes/exploits.toml", "python -m course.red_team --rubrics", files.grade_exploits),
        file("notes/golden_exploits.jsonl", "python -m course.red_team", files.grade_suite),
        file("notes/patch.py", "python -m course.red_team --patch", files.grade_patch_file, slow=True),
        file("notes/kata_2.toml", "python -m course.kata --number 2 --answer", partial(files.grade_answers, kata=2)),
        note(
            "red_team_report.md",
            same("Root cause", "Patch", "Regression tests", "Tradeoffs") | {"Exploits": 10},
            notes.exact_strings,
            notes.patch_figures,
            known_fields=("false positives", "false negatives"),
            slow=True,
        ),
    ),
    Milestone(
        "6",
        "From evaluation to optimisation: best of N, RLHF and RLVR",
        note(
            "mental_map_v2.md",
            same(
                "Definitions",
                "Selection as policy improvement",
                "How it fails, and how to see it",
                "From verification to preferences",
                words=30,
            ),
            notes.best_of_each,
            known_fields=("best of 1", "best of 4", "best of 8"),
            drawn="The three loops, drawn",
        ),
    ),
)
