"""Loop B: selection. The same policy, more samples, and a rule that picks one of them.

    python -m course.selection_demo
    python -m course.selection_demo --n 4
    python -m course.selection_demo --select-with anywhere       selects by a weak rubric, graded by the strict scorer

For every prompt the first N samples of a pack are scored, and `pick_best` picks one. What improves is the output that
is chosen, not the policy: a fresh sample is as good or bad as before. (`pick_best` is the one function here that is
yours to edit; the seal leaves it out.)
"""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.core import stats
from course.core.command_line import option, parse, run_command
from course.core.datasets import CompletionsFile, Dataset, check_sidecar, load_dataset, load_sidecar
from course.core.display import console, notice, percent, table, visible
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, new_figure, png
from course.core.files import InputError, to_json_lines
from course.core.golden import golden_gate
from course.core.manifest import RESULTS, SelectionRecord
from course.core.paths import DEV, PACK
from course.core.runs import Result, result_line
from course.core.scoring import SCORERS, STRICT, Scorer, measure, provenance, scorer_named, summarise
from course.core.seal import region_sha256
from course.rubrics import RUBRICS

SHOWN_FAILURES = 3


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    n: int | None = option(None, "samples to choose from (default: all of the pack)")
    select_with: str = option(STRICT, ", ".join(SCORERS), choices=SCORERS, metavar="RUBRIC")
    dataset: Path = option(DEV, "the examples (JSONL)")
    pack: Path = option(PACK, "a completions file with several samples for each prompt")
    seed: int = option(0, "of the control that picks at random")


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
class Findings:
    """What was chosen, and the numbers: `summary` is of the chosen samples, `selection` of the choosing."""

    settings: Settings
    choices: list[dict[str, Any]]  # the rows of selection_demo.jsonl
    results: list[Result]
    summary: dict[str, Any]
    selection: dict[str, Any]
    provenance: dict[str, Any]
    dataset: Dataset


def run(settings: Settings) -> Findings:
    """Score the pack, and let `pick_best` choose among the first n samples of every prompt. Raises InputError."""
    dataset = load_dataset(settings.dataset)
    completions = CompletionsFile(settings.pack, dataset.examples)
    pack = load_pack(dataset, completions)
    sidecar = load_sidecar(settings.pack)
    check_sidecar(sidecar, completions, dataset)
    largest = min(map(len, pack.values()))
    n = largest if settings.n is None else settings.n
    if not 1 <= n <= largest:
        raise InputError("--n", f"between 1 and {largest}, the samples that the pack has for every prompt; not {n}")
    chosen = [choose(dataset, results[:n], scorer_named(settings.select_with)) for results in pack.values()]
    choices, results = [choice for choice, _ in chosen], [result for _, result in chosen]
    summary = {key: value for key, value in summarise(results).items() if not key.startswith("pass_at")}
    rewards = np.array([choice["rewards"] for choice in choices])
    selection = summarise_selection(rewards, curve_over_n(pack), settings.seed)
    return Findings(settings, choices, results, summary, selection, provenance(dataset, completions, sidecar), dataset)


def load_pack(dataset: Dataset, completions: CompletionsFile) -> dict[str, list[Result]]:
    """The scored samples of every prompt, in order of their numbers. Raises InputError if this is no pack."""
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


def choose(dataset: Dataset, results: list[Result], selector: Scorer) -> tuple[dict[str, Any], Result]:
    """`pick_best` among the samples of a prompt; and the chosen sample's own result. Raises InputError."""
    key = results[0].id
    example = dataset.examples[key]
    samples = [Sample(r.sample, str(r.completion), selector(example, r.completion)["reward"]) for r in results]
    try:
        best = pick_best(list(samples))
    except Exception as error:  # whatever a rule that is being written may raise
        raise InputError("pick_best", f"it raised {error!r} for {key!r}") from None
    picked = [result for sample, result in zip(samples, results, strict=True) if sample is best]
    if not picked:
        raise InputError("pick_best", f"it must return one of the samples it is given; for {key!r} it did not")
    result = picked[0]
    choice = {
        "id": key,
        "prompt": result.prompt,
        "expected_answer": result.expected_answer,
        "chosen": best.sample,
        "completion": best.completion,
        "selector_reward": best.reward,
        "reward": result.reward,  # this one and all below are the strict scorer's
        "code": result.details["code"],
        "rewards": [r.reward for r in results],
        "codes": [r.details["code"] for r in results],
    }
    return choice, result


def curve_over_n(pack: dict[str, list[Result]]) -> list[dict[str, float]]:
    """For each k: the unbiased pass@k and pass^k, and what equal prompts would give, 1 - (1 - p)^k."""
    counts = [(len(results), sum(r.reward == 1.0 for r in results)) for results in pack.values()]
    p = stats.mean_pass_at_k(counts, 1)
    return [
        {
            "k": k,
            "pass_at_k": stats.mean_pass_at_k(counts, k),
            "pass_hat_k": stats.mean_pass_hat_k(counts, k),
            "equal_prompts": 1 - (1 - p) ** k,
        }
        for k in range(1, min(map(len, pack.values())) + 1)
    ]


def summarise_selection(rewards: np.ndarray, curve: list[dict[str, float]], seed: int) -> dict[str, Any]:
    """What selection did, in numbers: pass@k is unbiased over the whole pack, the rest is of the n chosen from."""
    n = rewards.shape[1]
    rng = random.Random(f"{seed}:control")
    right = rewards.sum(axis=1)
    return {
        "n": n,
        "mean_reward_first": float(rewards[:, 0].mean()),
        "mean_reward_random": float(np.mean([rng.choice(row) for row in rewards])),
        "pass_at_1": curve[0]["pass_at_k"],
        "pass_at_n": curve[n - 1]["pass_at_k"],
        "pass_hat_n": curve[n - 1]["pass_hat_k"],
        "never_right": float((right == 0).mean()),
        "selection_can_matter": float(((right > 0) & (right < n)).mean()),
        "curve": curve,
    }


def draw(findings: Findings) -> bytes:
    """pass@k and pass^k over k, beside the prediction of equal prompts."""
    figure, (axes,) = new_figure("Selection: more samples, the same policy")
    curve = findings.selection["curve"]
    k, equal, some, all_ = ([row[name] for row in curve] for name in ("k", "equal_prompts", "pass_at_k", "pass_hat_k"))
    axes.plot(k, equal, "--", color="grey", label="1 - (1 - p)^k: if all prompts were equally hard")
    axes.plot(k, some, "o-", color=COLOURS[0], label="pass@k: at least one right")
    axes.plot(k, all_, "s-", color=COLOURS[1], label="pass^k: all right")
    axes.axhline(some[0], color=COLOURS[2], linewidth=1, label="pass@1: the policy, which selection leaves alone")
    axes.set(xlabel="samples k", ylabel="chance", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return png(figure)


def readme(findings: Findings) -> str:
    """The run's README.md."""
    selection, chosen = findings.selection, findings.summary["mean_reward"]
    n = selection["n"]
    return f"""# Selection, not learning

Best of {n} samples, {len(findings.choices)} prompts. The policy is the same before and after. `pick_best` saw the
rewards of `{findings.settings.select_with}`; the table's are the strict scorer's.

| | mean reward |
|---|---|
| N = 1, the first sample | {selection["mean_reward_first"]:.3f} |
| N = {n}, chosen | {chosen:.3f} |
| N = {n}, picked at random (control) | {selection["mean_reward_random"]:.3f} |

pass@1 {selection["pass_at_1"]:.3f}, pass@{n} {selection["pass_at_n"]:.3f}, pass^{n} {selection["pass_hat_n"]:.3f}.
Selection can matter for {percent(selection["selection_can_matter"])} of the prompts: some sample is right, some not.

**Label of the gain: selection improvement.** {lesson(findings)}
"""


def lesson(findings: Findings) -> str:
    """What the gain is made of, and what it costs to pick otherwise than by the strict scorer's best."""
    loss = 1 - findings.selection["never_right"] - findings.summary["mean_reward"]
    select_with = findings.settings.select_with
    if select_with != STRICT:
        hole = f"The weak rubric's hole: {RUBRICS[select_with].hole}."
        return f"{hole} Selecting by it loses {100 * loss:.1f} points against selecting by the strict scorer."
    if loss > 1e-12:
        return f"pick_best left {100 * loss:.1f} points on the table: a right sample was there, and another was picked."
    return (
        "Selector and grader are the same instrument, so best-of-N is pass@N by construction, and a hole in the scorer "
        "would be in both. Try --select-with anywhere."
    )


def print_report(findings: Findings) -> None:
    """What selection did, and what it could not do."""
    out, choices, selection = console(), findings.choices, findings.selection
    n = selection["n"]
    out.print(f"Loop B (selection): best of {n}, selected by {findings.settings.select_with}, graded by {STRICT}\n")
    rows = table("", ">right", ">mean reward")
    for name, rate in (
        ("N = 1: the first sample", selection["mean_reward_first"]),
        (f"N = {n}: chosen by pick_best", findings.summary["mean_reward"]),
        (f"N = {n}: picked at random (control)", selection["mean_reward_random"]),
    ):
        rows.add_row(name, f"{round(rate * len(choices))}/{len(choices)}", f"{rate:.3f}")
    out.print(rows)
    names = (("pass@1", "pass_at_1"), (f"pass@{n}", "pass_at_n"), (f"pass^{n} (all right)", "pass_hat_n"))
    out.print("\n" + "   ".join(f"{name} {percent(selection[key])}" for name, key in names))
    last = selection["curve"][-1]
    if n < last["k"]:
        out.print(f"(pass@{n} is estimated from all {last['k']} samples of the pack; chosen was from the first {n}.)")
    out.print(f"Selection can matter for {percent(selection['selection_can_matter'])} of the prompts.")
    out.print(f"For {percent(selection['never_right'])} none of the {n} samples is right.\n")
    rows = table(">k", ">pass@k", ">1-(1-p)^k", ">pass^k")
    for row in selection["curve"]:
        rows.add_row(str(row["k"]), *(percent(row[key]) for key in ("pass_at_k", "equal_prompts", "pass_hat_k")))
    out.print(rows)
    failed = [choice for choice in choices if choice["reward"] == 0.0]
    out.print("\nWhere selection still fails:" if failed else "\nSelection fails nowhere here.")
    for choice in failed[:SHOWN_FAILURES]:
        out.print(f"  {choice['id']}: {choice['prompt']}")
        out.print(f"    chosen `{visible(choice['completion'])}`; {why_it_fails(choice)}")
    uneven = last["equal_prompts"] - last["pass_at_k"] > 0.02
    why = ": some prompts are nearly never right, and more samples buy them little" if uneven else ""
    notice(
        "This is a selection improvement, not a learning improvement: the policy's own pass@1 is what it was.",
        f"If all prompts were equally hard, pass@{last['k']} would be {percent(last['equal_prompts'])}. It is "
        f"{percent(last['pass_at_k'])}{why}.",
        lesson(findings),
    )


def why_it_fails(choice: dict[str, Any]) -> str:
    """Why no choice could help this prompt, or why this one did not."""
    if max(choice["rewards"]) == 1.0:
        return "a right sample was there, and another was picked"
    counted = Counter(code for code in choice["codes"] if code).most_common()
    return "no sample is right: " + ", ".join(f"{many} times {code}" for code, many in counted)


def main() -> None:
    settings = parse("course.selection_demo", "Loop B: best of N samples.", Settings)
    golden, findings = golden_gate(), run(settings)
    rule, n = region_sha256(Path(__file__)), findings.selection["n"]
    saved = save_experiment(
        settings,
        experiment="selection_demo",
        loop="B",
        knob="selection",
        settings={"seed": settings.seed},
        selection=SelectionRecord(rule=rule, n=n, select_with=settings.select_with),
        summary={**findings.summary, "selection": findings.selection},
        files={
            "selection_demo.jsonl": to_json_lines(findings.choices),
            RESULTS: b"".join(map(result_line, findings.results)),
            "README.md": readme(findings).encode(),
        },
        picture=draw(findings),
        golden=golden,
        looks_at=findings.dataset,
        paths={"dataset": settings.dataset, "completions": settings.pack},
        **findings.provenance,
    )
    print_report(findings)
    saved.close("python -m course.inspect_run --run {run} --only-fails --top-k 5")


if __name__ == "__main__":
    run_command(main)
