"""Every deliverable of the course, milestone by milestone, and how each is judged.

The pages docs/first_meeting.md and docs/milestone_0.md to docs/milestone_6.md ask for what stands here; a test holds
the two together. Everything is asked of a folder, the student's, so a teacher can ask it of many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from course.core.files import InputError
from course.grading import notes
from course.grading.coursework import (
    Fact,
    Manifest,
    is_evaluation,
    judge_exploits,
    judge_kata,
    judge_predictions,
    judge_rubric_tests,
    judge_run,
    judge_selection,
    judge_suite,
    judge_the_patch,
    on_the_frozen_rollouts,
)
from course.grading.verdict import Verdict, said_of, wrong


@dataclass(frozen=True)
class Deliverable:
    """One thing that a milestone asks for: where it is, how to get it, and how it is judged.

    `slow` ones run the student's code and take seconds.
    """

    path: str
    how: str
    judge: Callable[[Path], Verdict]
    slow: bool = False


@dataclass(frozen=True)
class Milestone:
    """A milestone: its name on the command line, its title, its page, what it asks for."""

    name: str
    title: str
    page: str
    deliverables: tuple[Deliverable, ...]


def judged(deliverable: Deliverable, root: Path) -> Verdict:
    """The verdict on a deliverable; whatever cannot be read is something wrong with it."""
    try:
        return deliverable.judge(root)
    except InputError as error:
        return wrong(said_of(error, root, deliverable.path))
    except Exception as error:  # a file that was forged or cannot be opened: one student's must not stop a class
        return wrong(f"it cannot be read: {error!r:.200}")


def run(path: str, how: str, experiment: str | None, *facts: Fact) -> Deliverable:
    """A run of an experiment, by the name in its manifest; None is a plain evaluation."""

    def asked(manifest: Manifest) -> bool:
        return is_evaluation(manifest) if experiment is None else manifest.get("experiment") == experiment

    return Deliverable(path, how, lambda root: judge_run(root, asked, how, *facts))


def note(
    name: str,
    headings: dict[str, int],
    *facts: notes.Facts,
    drawn: tuple[str, ...] = (),
    known_fields: tuple[str, ...] = (),
    slow: bool = False,
) -> Deliverable:
    """A note in notes/, judged as `notes.judge_note` says."""

    def judge_it(root: Path) -> Verdict:
        return notes.judge_note(root, name, headings, drawn, known_fields, facts)

    return Deliverable(f"notes/{name}", f"write notes/{name}", judge_it, slow)


def same(*headings: str, words: int = notes.ENOUGH) -> dict[str, int]:
    return dict.fromkeys(headings, words)


SLOWLY = "python -m course.policy_gradient_demo --slow"
SELECTION = "python -m course.selection_demo"
MILESTONES: tuple[Milestone, ...] = (
    Milestone(
        "first",
        "The first meeting",
        "docs/first_meeting.md",
        (
            note(
                "first_meeting.md",
                same("The contradiction", "Which loop", words=15) | {"Three questions": 12},
                notes.the_contradiction,
                notes.loops_named,
                notes.three_questions,
                known_fields=("reward", "code", "loop of 1", "loop of 2", "loop of 3"),
            ),
        ),
    ),
    Milestone(
        "0",
        "Orientation, and the first measurement",
        "docs/milestone_0.md",
        (
            run("runs/run_00X (Loop A)", "make eval", None, on_the_frozen_rollouts),
            Deliverable("notes/kata_1.toml", "python -m course.kata --answer", partial(judge_kata, 1)),
            note(
                "mental_map_v1.md",
                same(
                    "Agent and environment",
                    "State, action, trajectory",
                    "Reward and return",
                    "Reward, loss, metric",
                    "A policy is a distribution",
                )
                | {"The loop, drawn": 0},
                drawn=("The loop, drawn",),
            ),
        ),
    ),
    Milestone(
        "0.5",
        "Selection is already optimisation",
        "docs/milestone_0_5.md",
        (
            Deliverable(
                "runs/run_00X/selection_demo.jsonl", SELECTION, lambda root: judge_selection(root, SELECTION), slow=True
            ),
            note(
                "selection.md",
                same("What selection did", "Where it still fails", "What did not change"),
                notes.selection_figures,
                known_fields=("run", "pass@1", "pass@n", "label of the gain"),
            ),
        ),
    ),
    Milestone(
        "1",
        "One update in slow motion",
        "docs/milestone_1.md",
        (
            Deliverable("runs/run_00X/predictions.jsonl", SLOWLY, lambda root: judge_predictions(root, SLOWLY)),
            run("runs/run_00X/bandit_train_log.txt", "python -m course.bandit_train", "bandit_train"),
            note(
                "bandit_log.md",
                {"Ten steps": 50, "The curve": 30, "With and without a baseline": 20},
                notes.annotated_steps,
                known_fields=("run",),
            ),
        ),
    ),
    Milestone(
        "2",
        "From bandits to sequences",
        "docs/milestone_2.md",
        (
            run("runs/run_00X/toy_mdp_log.txt", "python -m course.toy_mdp", "toy_mdp"),
            note(
                "credit_assignment.md",
                same("The first step", "Return and horizon") | {"From steps to tokens": 30, "The problem, drawn": 0},
                drawn=("The problem, drawn",),
            ),
        ),
    ),
    Milestone(
        "3",
        "The language model as a policy",
        "docs/milestone_3.md",
        (
            run("runs/run_00X/kl_tradeoff.csv", "python -m course.kl_tradeoff_demo", "kl_tradeoff"),
            note(
                "llm_as_policy.md",
                same("State, action, trajectory, reward", "From one reward to every token", "Why a leash")
                | {"Two variants as tokens": 0, "The tradeoff": 40, "Pseudocode": 0, "The trajectory, drawn": 0},
                notes.token_lists,
                notes.pseudocode,
                drawn=("The trajectory, drawn",),
            ),
        ),
    ),
    Milestone(
        "4",
        "Reward is a specification",
        "docs/milestone_4.md",
        (
            Deliverable("tests/test_rubric.py", "write tests; python -m course.check 4", judge_rubric_tests, slow=True),
            note(
                "failure_report.md", dict.fromkeys(notes.FAILURE_KINDS, 10), notes.failure_report, known_fields=("run",)
            ),
            note(
                "eval_vs_reward.md",
                same("Metric, reward, spec", "How they part", "Two kinds of test set")
                | {"The spec, in my words": 40}
                | {"Where it happens": 0},
                notes.where_in_the_scorer,
                known_fields=("parsing", "comparing", "naming the failure"),
            ),
        ),
    ),
    Milestone(
        "5",
        "Red team the reward",
        "docs/milestone_5.md",
        (
            Deliverable("notes/exploits.toml", "python -m course.red_team --rubrics", judge_exploits),
            Deliverable("notes/golden_exploits.jsonl", "python -m course.red_team", judge_suite),
            Deliverable("notes/patch.py", "python -m course.red_team --patch", judge_the_patch, slow=True),
            Deliverable("notes/kata_2.toml", "python -m course.kata --number 2 --answer", partial(judge_kata, 2)),
            note(
                "red_team_report.md",
                same("Root cause", "Patch", "Regression tests", "Tradeoffs") | {"Exploits": 10},
                notes.exact_strings,
                notes.patch_figures,
                known_fields=("false positives", "false negatives"),
                slow=True,
            ),
        ),
    ),
    Milestone(
        "6",
        "From evaluation to optimisation",
        "docs/milestone_6.md",
        (
            run("runs/run_00X/select_or_learn.jsonl", "python -m course.select_or_learn", "select_or_learn"),
            note(
                "mental_map_v2.md",
                same("Definitions", "How it fails, and how to see it", "From verification to preferences", words=30)
                | {"The three loops, drawn": 0},
                drawn=("The three loops, drawn",),
            ),
        ),
    ),
)
