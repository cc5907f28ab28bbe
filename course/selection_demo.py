"""Loop B: selection. The same policy, more samples, and a rule that picks one of them.

    python -m course.selection_demo
    python -m course.selection_demo --n 4
    python -m course.selection_demo --select-with anywhere       selects by a weak rubric, judges by the strict scorer

For every prompt the first N samples of a pack are scored, and `pick_best` picks one. What improves is the output that
is chosen, not the policy: a fresh sample is as good or bad as before. (`pick_best` is the one function here that is
yours to edit; the seal leaves it out.)
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.core import stats
from course.core.command_line import DONE, FOUND, run_command
from course.core.datasets import CompletionsFile, Dataset, check_sidecar, load_dataset, load_sidecar
from course.core.display import console, percent, table, typed, visible
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines, to_pretty_json, write_whole
from course.core.golden import check_golden, print_report
from course.core.paths import DEV as DATASET
from course.core.paths import PACK
from course.core.runs import (
    RESULTS,
    SUMMARY,
    Result,
    RunWriter,
    add_run_options,
    earlier_looks,
    looks_line,
    result_line,
)
from course.core.scoring import experiment, measure, provenance
from course.core.seal import region_sha256
from course.rubrics import RUBRICS

STRICT = "strict"
SHOWN_FAILURES = 3


@dataclass(frozen=True)
class Sample:
    """One sample of a prompt, as the selector sees it: `reward` is what the *selecting* scorer gave it."""

    sample: int
    completion: str
    reward: float


# >>> yours to edit
def pick_best(samples: list[Sample]) -> Sample:
    """Pick one of the samples of a prompt. Ties break by a fixed rule, so that the same pack gives the same choice."""
    best = max(sample.reward for sample in samples)
    return min((sample for sample in samples if sample.reward == best), key=lambda sample: sample.sample)


# <<< yours to edit


@dataclass(frozen=True)
class Choice:
    """What selection did for one prompt. `reward` and `code` are the judge's, the strict scorer's."""

    id: str
    prompt: str
    expected_answer: int
    chosen: int
    completion: str
    selector_reward: float
    reward: float
    code: str | None
    rewards: list[float]
    codes: list[str | None]


def load_pack(dataset: Dataset, completions: CompletionsFile) -> dict[str, list[Result]]:
    """The scored samples of every prompt, in order of their numbers. Raises InputError for a pack that is none."""
    pack: dict[str, list[Result]] = {key: [] for key in dataset.examples}
    for result in measure(dataset, completions):
        pack[result.id].append(result)
    path = completions.lines.path
    for key, results in pack.items():
        if results[0].completion is None:
            raise InputError(path, f"the pack has no sample for example {key!r}")
        results.sort(key=lambda result: result.sample)
    if min(map(len, pack.values())) < 2:
        raise InputError(path, "a pack needs several samples for each example; this file has one for some")
    return pack


def select(pack: dict[str, list[Result]], n: int, reward_of: Callable[[Result], float]) -> list[tuple[Choice, Result]]:
    """For every prompt, `pick_best` among its first n samples; and the chosen sample's own result."""
    chosen = []
    for key, results in pack.items():
        samples = [Sample(r.sample, str(r.completion), reward_of(r)) for r in results[:n]]
        try:
            best = pick_best(list(samples))
        except Exception as error:  # whatever a rule that is being written may raise
            raise InputError("pick_best", f"it raised {error!r} for {key!r}") from None
        if not any(best is sample for sample in samples):
            raise InputError("pick_best", f"it must return one of the samples it is given; for {key!r} it did not")
        result = results[[best is sample for sample in samples].index(True)]
        choice = Choice(
            id=key,
            prompt=result.prompt,
            expected_answer=result.expected_answer,
            chosen=best.sample,
            completion=best.completion,
            selector_reward=best.reward,
            reward=result.reward,
            code=result.details["code"],
            rewards=[r.reward for r in results[:n]],
            codes=[r.details["code"] for r in results[:n]],
        )
        chosen.append((choice, result))
    return chosen


def curve_over_n(pack: dict[str, list[Result]]) -> list[dict[str, float]]:
    """For each k: the unbiased pass@k and pass^k, and what equal prompts would give, 1 - (1 - p)^k."""
    counts = [(len(results), sum(r.reward == 1.0 for r in results)) for results in pack.values()]
    p = stats.mean_pass_at_k(counts, 1)
    fewest = min(n for n, _ in counts)
    return [
        {
            "k": k,
            "pass_at_k": stats.mean_pass_at_k(counts, k),
            "pass_hat_k": stats.mean_pass_hat_k(counts, k),
            "equal_prompts": 1 - (1 - p) ** k,
        }
        for k in range(1, fewest + 1)
    ]


def summarise(choices: list[Choice], curve: list[dict[str, float]], n: int, seed: int) -> dict[str, Any]:
    """What selection did, in numbers. pass@k is unbiased over the whole pack; the rest is of the n chosen from."""
    rewards = np.array([choice.rewards for choice in choices])
    rng = random.Random(f"{seed}:control")
    right = rewards.sum(axis=1)
    return {
        "n": n,
        "mean_reward_first": float(rewards[:, 0].mean()),
        "mean_reward_random": float(np.mean([rng.choice(choice.rewards) for choice in choices])),
        "pass_at_1": curve[0]["pass_at_k"],
        "pass_at_n": curve[n - 1]["pass_at_k"],
        "pass_hat_n": curve[n - 1]["pass_hat_k"],
        "never_right": float((right == 0).mean()),
        "selection_can_matter": float(((right > 0) & (right < n)).mean()),
        "curve": curve,
    }


def draw(curve: list[dict[str, float]]) -> bytes:
    """pass@k and pass^k over k, beside the prediction of equal prompts."""
    figure, (axes,) = new_figure("Selection: more samples, the same policy")
    k = [row["k"] for row in curve]
    equal = "1 - (1 - p)^k: if all prompts were equally hard"
    axes.plot(k, [row["equal_prompts"] for row in curve], "--", color="grey", label=equal)
    axes.plot(k, [row["pass_at_k"] for row in curve], "o-", color=COLOURS[0], label="pass@k: at least one right")
    axes.plot(k, [row["pass_hat_k"] for row in curve], "s-", color=COLOURS[1], label="pass^k: all right")
    axes.axhline(
        curve[0]["pass_at_k"], color=COLOURS[2], linewidth=1, label="pass@1: the policy, which selection leaves alone"
    )
    axes.set(xlabel="samples k", ylabel="chance", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return png(figure)


def why_it_fails(choice: Choice) -> str:
    """Why no choice could help this prompt, or why this one did not."""
    if max(choice.rewards) == 1.0:
        return "a right sample was there, and another was picked"
    counted = Counter(code for code in choice.codes if code).most_common()
    return "no sample is right: " + ", ".join(f"{many} times {code}" for code, many in counted)


def short_readme(selection: dict[str, Any], chosen: float, examples: int, select_with: str) -> str:
    """The run's README.md."""
    best_possible = chosen >= 1 - selection["never_right"] - 1e-12
    n = selection["n"]
    warning = f"Selected by `pick_best` with rewards of `{select_with}`, judged by the strict scorer."
    if select_with == STRICT and best_possible:
        warning = (
            "Selector and judge are the same instrument here, so the chosen output is right whenever any sample is:\n"
            "the gain is pass@N by construction, and every hole of the scorer is in both."
        )
    return f"""# Selection, not learning

Best of {n} samples, {examples} prompts. The policy is the same before and after.

| | mean reward |
|---|---|
| N = 1, the first sample | {selection["mean_reward_first"]:.3f} |
| N = {n}, chosen | {chosen:.3f} |
| N = {n}, picked at random (control) | {selection["mean_reward_random"]:.3f} |

pass@1 {selection["pass_at_1"]:.3f}, pass@{n} {selection["pass_at_n"]:.3f}, pass^{n} {selection["pass_hat_n"]:.3f}.
Selection can matter for {percent(selection["selection_can_matter"])} of the prompts: some sample is right, some not.

**Label of the gain: selection improvement.** {warning}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.selection_demo", description="Loop B: best of N samples.")
    parser.add_argument("--n", type=int, help="samples to choose from (default: all of the pack)")
    parser.add_argument("--select-with", default=STRICT, metavar="RUBRIC", help=f"{STRICT}, {', '.join(RUBRICS)}")
    parser.add_argument("--dataset", type=Path, default=DATASET)
    parser.add_argument("--pack", type=Path, default=PACK, help="a completions file with several samples a prompt")
    parser.add_argument("--seed", type=int, default=0, help="of the control that picks at random")
    parser.add_argument("--plot", type=Path, help="write the picture here as well")
    add_run_options(parser)
    args = parser.parse_args()
    if args.select_with != STRICT and args.select_with not in RUBRICS:
        known = ", ".join((STRICT, *RUBRICS))
        raise InputError("--select-with", f"unknown rubric {args.select_with!r}; there are {known}")
    golden = check_golden()
    if not golden.passed:
        print_report(golden)
        console().print("No run was written: an instrument that fails its known cases judges nothing.")
        return FOUND
    dataset = load_dataset(args.dataset)
    completions = CompletionsFile(args.pack, dataset.examples)
    pack = load_pack(dataset, completions)
    sidecar = load_sidecar(args.pack)
    check_sidecar(sidecar, completions, dataset)
    largest = min(map(len, pack.values()))
    n = largest if args.n is None else args.n
    if not 1 <= n <= largest:
        raise InputError("--n", f"between 1 and {largest}, the samples that the pack has for every prompt; not {n}")

    def reward_of(result: Result) -> float:
        if args.select_with == STRICT:
            return result.reward
        return float(RUBRICS[args.select_with].score(dataset.examples[result.id], result.completion)["reward"])

    chosen = select(pack, n, reward_of)
    choices = [choice for choice, _ in chosen]
    curve = curve_over_n(pack)
    found = summarise(choices, curve, n, args.seed)
    tally = stats.Tally()
    for _, result in chosen:
        tally.add(result.id, result.reward, result.details["code"])
    of_chosen = {key: value for key, value in tally.summary().items() if not key.startswith("pass_at")}
    picture = draw(curve)
    looks = earlier_looks(dataset.prompts_sha256, args.runs_dir) if dataset.split == "holdout" else None
    selection = {"rule": region_sha256(Path(__file__)), "n": n, "select_with": args.select_with}
    if args.plot:
        write_whole(args.plot, picture)
    with RunWriter(args.runs_dir) as run:
        run.write("selection_demo.jsonl", to_json_lines(map(asdict, choices)))
        run.write(RESULTS, b"".join(result_line(result) for _, result in chosen))
        run.write("README.md", short_readme(found, of_chosen["mean_reward"], len(choices), args.select_with).encode())
        run.write("selection_demo.png", picture)
        run.write(SUMMARY, to_pretty_json({"loop": "B", **of_chosen, "selection": found}))
        manifest = {
            "experiment": "selection_demo",
            **experiment(args, "B", "selection", {"seed": args.seed}),
            **provenance(dataset, completions, sidecar),
            "selection": selection,
            "golden": {"sha256": golden.sha256, **golden.counts()},
        }
        circumstances = {
            "dataset_path": str(args.dataset),
            "completions_path": str(args.pack),
            "earlier_looks_at_this_holdout": looks,
        }
        folder = run.finish(manifest, circumstances)
    report(found, choices, args.select_with)
    if looks is not None:
        console().print(f"\n{looks_line(looks)}")
    console().print(f"\nRun written to {folder}; look at {folder / 'selection_demo.png'}")
    if not manifest["core"]["sealed"]:
        console().print("The seal on the core is broken (python -m course.seal says where). The run records it.")
    console().print(f"Next: python -m course.inspect_run --run {typed(folder)} --only-fails --top-k 5")
    return DONE


def report(found: dict[str, Any], choices: list[Choice], select_with: str) -> None:
    """What selection did, and what it could not do."""
    out = console()
    n = found["n"]
    out.print(f"Loop B (selection): best of {n}, selected by {select_with}, judged by {STRICT}\n")
    rows = table("", ">right", ">mean reward")
    chosen = sum(choice.reward for choice in choices) / len(choices)
    for name, rate in (
        ("N = 1: the first sample", found["mean_reward_first"]),
        (f"N = {n}: chosen by pick_best", chosen),
        (f"N = {n}: picked at random (control)", found["mean_reward_random"]),
    ):
        rows.add_row(name, f"{round(rate * len(choices))}/{len(choices)}", f"{rate:.3f}")
    out.print(rows)
    names = (("pass@1", "pass_at_1"), (f"pass@{n}", "pass_at_n"), (f"pass^{n} (all right)", "pass_hat_n"))
    out.print("\n" + "   ".join(f"{name} {percent(found[key])}" for name, key in names))
    never, matters = found["never_right"], found["selection_can_matter"]
    most = found["curve"][-1]["k"]
    if n < most:
        out.print(f"(pass@{n} is estimated from all {most} samples of the pack; chosen was from the first {n}.)")
    out.print(f"Selection can matter for {percent(matters)} of the prompts.")
    out.print(f"For {percent(never)} none of the {n} samples is right.\n")
    rows = table(">k", ">pass@k", ">1-(1-p)^k", ">pass^k")
    for row in found["curve"]:
        rows.add_row(str(row["k"]), *(percent(row[key]) for key in ("pass_at_k", "equal_prompts", "pass_hat_k")))
    out.print(rows)
    failed = [choice for choice in choices if choice.reward == 0.0]
    out.print("\nWhere selection still fails:" if failed else "\nSelection fails nowhere here.")
    for choice in failed[:SHOWN_FAILURES]:
        out.print(f"  {choice.id}: {choice.prompt}\n    chosen `{visible(choice.completion)}`; {why_it_fails(choice)}")
    last = found["curve"][-1]
    out.print("\nWhat to notice:")
    out.print("- This is a selection improvement, not a learning improvement: the policy's own pass@1 is what it was.")
    out.print(f"- If all prompts were equally hard, pass@{last['k']} would be {percent(last['equal_prompts'])}.")
    uneven = last["equal_prompts"] - last["pass_at_k"] > 0.02
    why = ": some prompts are nearly never right, and more samples buy them little" if uneven else ""
    out.print(f"  It is {percent(last['pass_at_k'])}{why}.")
    loss = 1 - found["never_right"] - chosen
    if select_with == STRICT and loss > 1e-12:
        out.print(
            f"- pick_best left {100 * loss:.1f} points on the table: a right sample was there, and another was picked."
        )
    elif select_with == STRICT:
        out.print(
            "- Selector and judge are the same instrument, so best-of-N is pass@N by construction, and a hole in the"
        )
        out.print("  scorer would be in both. Try --select-with anywhere.")
    else:
        out.print(f"- The weak rubric's hole: {RUBRICS[select_with].hole}.")
        out.print(f"  Selecting by it loses {100 * loss:.1f} points against selecting by the strict scorer.")


if __name__ == "__main__":
    run_command(main)
