"""The map of the course: the three loops, every command in one line, and what to run first.

python -m course
"""

import argparse

from course.terminal import console, run_command, table

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
        ("course.policy.reinforce", "REINFORCE on π0's tokens, a quarter of a minute"),
        ("course.policy.goodhart", "paid by a weak rubric: where proxy and truth part, and what the leash holds"),
        ("course.policy.shift", "what frozen rollouts say of the policy that learns, beside the truth"),
        ("course.policy.three_ways", "best of N, fine-tuning on the best, REINFORCE: the same samples spent"),
        ("course.policy.noise", "a share of the rewards flipped"),
        ("course.policy.frontier", "reward against distance: the leash swept, beside the optimum"),
    )),
    ("The instrument", (
        ("course.golden", "the cases that the scorer must get right"),
        ("course.seal", "has anyone changed the core?"),
    )),
    ("The policy and the data", (
        ("course.policy.sample", "sample completions from π0 (needs PyTorch)"),
        ("course.policy.pretrain", "make π0 again (needs PyTorch, 20 minutes)"),
        ("course.datasets.generate", "make the data sets again"),
        ("course.diagrams", "draw the diagrams again"),
    )),
)  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(prog="python -m course", description="The map of the course.").parse_args()
    out = console()
    out.print("RL Foundations for LLMs: one scorer, three loops\n")
    out.print(MAP)
    rows = table("python -m …", "what it does")
    for loop, commands in COMMANDS:
        rows.add_row(f"\n{loop}", "")
        for name, meaning in commands:
            rows.add_row(f"  {name}", meaning)
    out.print(rows)
    out.print("\nEvery command explains its options with --help. First, in this order:")
    first = "--dataset data/datasets/math_dev.jsonl --completions data/rollouts/frozen_rollouts_dev.jsonl"
    out.print(f"  python -m course.eval {first}")
    out.print("  python -m course.inspect_run --run runs/run_001 --only-fails --top-k 5")
    out.print("  python -m course.selection_demo")


if __name__ == "__main__":
    run_command(main)
