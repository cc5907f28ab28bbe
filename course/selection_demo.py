"""Loop B: selection. The same policy, more samples, and a rule that picks one of them.

    python -m course.selection_demo
    python -m course.selection_demo --n 4
    python -m course.selection_demo --select-with anywhere       selects by a weak rubric, graded by the strict scorer

For every prompt the first N samples of a pack are scored, and `pick_best` picks one. What improves is the output that
is chosen, not the policy: a fresh sample is as good or bad as before. (`pick_best` is the one function here that is
yours to edit; the seal leaves it out.)
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.core.command_line import option, parse, run_command
from course.core.display import console, notice, percent, table, visible
from course.core.experiment import PictureOptions, save_experiment
from course.core.figures import COLOURS, new_figure, png
from course.core.golden import golden_gate
from course.core.manifest import SelectionRecord
from course.core.measurement import Measurement
from course.core.paths import DEV, PACK
from course.core.runs import HANDWRITTEN
from course.core.scoring import SCORERS, STRICT
from course.core.seal import region_sha256
from course.core.selection import EXPERIMENT, TEMPLATE, Sample, Selection, lesson, select

SHOWN_FAILURES = 3


@dataclass(frozen=True, kw_only=True)
class Settings(PictureOptions):
    n: int | None = option(None, "samples to choose from (default: all of the pack)", at_least=1)
    select_with: str = option(STRICT, ", ".join(SCORERS), choices=SCORERS, metavar="RUBRIC")
    dataset: Path = option(DEV, "the examples (JSONL)")
    pack: Path = option(PACK, "a completions file with several samples for each prompt")
    seed: int = option(0, "of the control that picks at random")


# >>> yours to edit
def pick_best(samples: list[Sample]) -> Sample:
    """Pick one of the samples of a prompt. Ties break by a fixed rule, so that the same pack gives the same choice."""
    best = max(sample.reward for sample in samples)
    return min((sample for sample in samples if sample.reward == best), key=lambda sample: sample.sample)


# <<< yours to edit


def run(settings: Settings) -> Selection:
    """Score the pack, and let `pick_best` choose among the first n samples of every prompt. Raises InputError."""
    how = SelectionRecord(rule=region_sha256(Path(__file__)), n=settings.n or 0, select_with=settings.select_with)
    pack = Measurement(settings.dataset, settings.pack)
    return select(pack, lambda _, samples: pick_best(samples), how, settings.seed)


def draw(selection: Selection) -> bytes:
    """pass@k and pass^k over k, beside the prediction of equal prompts."""
    figure, (axes,) = new_figure("Selection: more samples, the same policy")
    curve = selection.numbers["curve"]
    k, equal, some, all_ = ([row[name] for row in curve] for name in ("k", "equal_prompts", "pass_at_k", "pass_hat_k"))
    axes.plot(k, equal, "--", color="grey", label="1 - (1 - p)^k: if all prompts were equally hard")
    axes.plot(k, some, "o-", color=COLOURS[0], label="pass@k: at least one right")
    axes.plot(k, all_, "s-", color=COLOURS[1], label="pass^k: all right")
    axes.axhline(some[0], color=COLOURS[2], linewidth=1, label="pass@1: the policy, which selection leaves alone")
    axes.set(xlabel="samples k", ylabel="chance", ylim=(0, 1.02))
    axes.legend(fontsize=8)
    return png(figure)


def print_report(selection: Selection) -> None:
    """What selection did, and what it could not do."""
    out, choices, numbers = console(), selection.choices, selection.numbers
    n = numbers["n"]
    out.print(f"Loop B (selection): best of {n}, selected by {selection.how.select_with}, graded by {STRICT}\n")
    rows = table("", ">right", ">mean reward")
    for name, rate in (
        ("N = 1: the first sample", numbers["mean_reward_first"]),
        (f"N = {n}: chosen by pick_best", selection.chosen["mean_reward"]),
        (f"N = {n}: picked at random (control)", numbers["mean_reward_random"]),
    ):
        rows.add_row(name, f"{round(rate * len(choices))}/{len(choices)}", f"{rate:.3f}")
    out.print(rows)
    names = (("pass@1", "pass_at_1"), (f"pass@{n}", "pass_at_n"), (f"pass^{n} (all right)", "pass_hat_n"))
    out.print("\n" + "   ".join(f"{name} {percent(numbers[key])}" for name, key in names))
    last = numbers["curve"][-1]
    if n < last["k"]:
        out.print(f"(pass@{n} is estimated from all {last['k']} samples of the pack; chosen was from the first {n}.)")
    out.print(f"Selection can matter for {percent(numbers['selection_can_matter'])} of the prompts.")
    out.print(f"For {percent(numbers['never_right'])} none of the {n} samples is right.\n")
    rows = table(">k", ">pass@k", ">1-(1-p)^k", ">pass^k")
    for row in numbers["curve"]:
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
        lesson(selection),
    )


def why_it_fails(choice: dict[str, Any]) -> str:
    """Why no choice could help this prompt, or why this one did not."""
    if max(choice["rewards"]) == 1.0:
        return "a right sample was there, and another was picked"
    counted = Counter(code for code in choice["codes"] if code).most_common()
    return "no sample is right: " + ", ".join(f"{many} times {code}" for code, many in counted)


def main() -> None:
    settings = parse("course.selection_demo", "Loop B: best of N samples.", Settings)
    golden, selection = golden_gate(), run(settings)
    saved = save_experiment(
        settings,
        experiment=EXPERIMENT,
        loop="B",
        knob="selection",
        summary=selection.summary(),
        files={**selection.files(), HANDWRITTEN: TEMPLATE.encode()},
        picture=draw(selection),
        golden=golden,
        looks_at=selection.measurement.dataset,
        paths=selection.measurement.paths,
        **selection.record(),
    )
    print_report(selection)
    saved.close(
        "python -m course.inspect_run --run {run} --only-fails --top-k 5",
        f"Write your summary into {saved.folder / HANDWRITTEN}; python -m course.check 0.5 compares it with the run.",
    )


if __name__ == "__main__":
    run_command(main)
