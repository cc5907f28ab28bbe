"""The map of the course: the three loops, every command in one line, how far you are, and the next step.

python -m course
"""

from rich.console import Console

from course.core.command_line import OneLineParser, run_command
from course.core.display import console, table
from course.core.paths import ROOT
from course.grading.milestones import MILESTONES, graded
from course.grading.verdict import THERE

MAP = """\
  dataset ──> policy ──> completions ──> score ──> results
                                                      │
                    ┌─────────────────────────────────┼──────────────────────────────┐
             Loop A: measure                   Loop B: select                  Loop C: learn
             nothing changes              another choice of output          the policy changes
"""
COMMANDS = (
    ("Loop A, measurement", (
        ("course.eval", "score completions, write a run"),
        ("course.inspect_run", "look at one run, or list them all"),
        ("course.verify_run", "is a run still what was measured?"),
        ("course.compare", "the locked room: compare two runs, or refuse to"),
        ("course.plan", "how many examples does a comparison need?"),
        ("course.report", "one run, or two compared, as a page to read, search and print"),
    )),
    ("Loop B, selection", (
        ("course.selection_demo", "best of N: more samples, the same policy"),
        ("course.select_or_learn", "selection beside learning, on one policy"),
    )),
    ("Loop C, learning", (
        ("course.policy_gradient_demo", "one update in slow motion; predict it first with --slow"),
        ("course.bandit_train", "a bandit learner whose log reads like a story; baselines compared"),
        ("course.toy_mdp", "reward only at the end: how the first step gets its credit"),
        ("course.token_inspect", "the same answer as text and as tokens"),
        ("course.kl_tradeoff_demo", "reward against drift: the leash, and what it protects"),
    )),
    ("The laboratory: Loop C on π0 itself (needs PyTorch; minutes)", (
        ("course.policy.one_update", "one completion, one update, token by token"),
        ("course.policy.train", "REINFORCE on π0's tokens, ten seconds"),
        ("course.policy.goodhart", "paid by a weak rubric: where proxy and truth part, and what the leash holds"),
        ("course.policy.shift", "what frozen rollouts say of the policy that learns, beside the truth"),
        ("course.policy.three_ways", "best of N, fine-tuning on the best, REINFORCE: the same samples spent"),
        ("course.policy.noise", "a share of the rewards flipped"),
        ("course.policy.frontier", "reward against distance: the leash swept, beside the optimum"),
    )),
    ("The instrument", (
        ("course.try_one", "ask the scorer about one completion"),
        ("course.golden", "the cases that the scorer must get right"),
        ("course.seal", "has anyone changed the core?"),
        ("course.claims", "what is claimed of RL for language models, and what was measured"),
    )),
    ("Your course", (
        ("course.check", "every deliverable: there, missing, or what is wrong with it"),
        ("course.kata", "scored examples: say what went wrong in each"),
        ("course.red_team", "break a weak rubric, keep the exploit as a test, patch the hole"),
    )),
    ("The policy and the data", (
        ("course.policy.sample", "sample completions from π0 (needs PyTorch)"),
        ("course.policy.pretrain", "make π0 again (needs PyTorch, 20 minutes)"),
        ("course.datasets.describe", "say how your own model's completions were sampled"),
        ("course.datasets.generate", "make the data sets again"),
    )),
)  # fmt: skip


def main() -> None:
    OneLineParser(prog="python -m course", description="The map of the course.").parse_args()
    out = console()
    out.print("RL Foundations for LLMs: one scorer, three loops\n")
    out.print(*MAP.splitlines(), sep="\n")
    rows = table("python -m …", "what it does")
    for loop, commands in COMMANDS:
        rows.add_row(f"\n{loop}", "")
        for name, meaning in commands:
            rows.add_row(f"  {name}", meaning)
    out.print(rows)
    out.print("\nEvery command explains its options with --help. docs/README.md leads through the course.")
    out.print("Rooms to turn the knobs in, in the browser: python tasks.py explore\n")
    print_progress(out)


def print_progress(out: Console) -> None:
    """A line for each milestone, and the next step. What runs code of the student is left to course.check."""
    rows = table("milestone", "", ">there", "page")
    steps = []
    for milestone in MILESTONES:
        quick = [deliverable for deliverable in milestone.deliverables if not deliverable.slow]
        todo = [deliverable for deliverable in quick if graded(deliverable, ROOT).state != THERE]
        steps += [f"{deliverable.how}   ({milestone.page})" for deliverable in todo]
        there = f"{len(quick) - len(todo)} of {len(quick)}"
        rows.add_row(milestone.name, milestone.title, there, milestone.page)
        if slow := len(milestone.deliverables) - len(quick):
            rows.add_row("", f"  and {slow} that runs code of yours: course.check {milestone.name}", "", "")
    out.print(rows)
    out.print(f"\nNext: {[*steps, 'python -m course.check   (it grades what runs your own code, too)'][0]}")


if __name__ == "__main__":
    run_command(main)
