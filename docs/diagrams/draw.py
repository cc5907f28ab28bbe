"""Draw the four diagrams of the course, beside this file.

    python docs/diagrams/draw.py

Tokens, scores and rates are real: from the shipped tokenizer, the scorer and the shipped rollouts. Goodhart's curve is
measured (data/measured/, made by course.policy.goodhart). Only the drift of a policy is schematic, and says so.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from matplotlib.axes import Axes
from tokenizers import Tokenizer

from course.core.command_line import option, parse, run_command
from course.core.display import console
from course.core.figures import COLOURS, new_figure, png
from course.core.files import JsonLines, write_whole
from course.core.measurement import Measurement
from course.core.paths import DEV, GOODHART_CURVE, PACK, PI0
from course.score import score

FOLDER = Path(__file__).parent
TOKENIZER = PI0 / "tokenizer.json"
EXAMPLE = {"id": "17*19", "prompt": "Compute 17*19.", "expected_answer": 323}
COMPLETION = "Final: 323"


@dataclass(frozen=True, kw_only=True)
class Settings:
    out_dir: Path = option(FOLDER, "where the diagrams are written")


def box(axes: Axes, x: float, y: float, text: str, colour: str = "white", size: float = 9) -> None:
    """A box of text, centred."""
    shape = {"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "#444444"}
    axes.text(x, y, text, ha="center", va="center", fontsize=size, bbox=shape)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "#444444") -> None:
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.3})


def blank(axes: Axes, width: float, height: float) -> None:
    """A sheet without axes."""
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")


def distribution_shift() -> bytes:
    """Two clouds drifting apart, and frozen samples of the first alone."""
    rng = np.random.default_rng(0)
    figure, (axes,) = new_figure("Frozen data sees where the policy was, not where it goes (schematic)", height=4.2)
    before = rng.normal([0, 0], [1.0, 0.8], size=(900, 2))
    after = rng.normal([3.4, 1.2], [0.9, 0.7], size=(900, 2))
    axes.scatter(before[:, 0], before[:, 1], s=5, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.scatter(after[:, 0], after[:, 1], s=5, color=COLOURS[1], alpha=0.18, linewidth=0)
    axes.scatter(before[:40, 0], before[:40, 1], s=26, facecolor="white", edgecolor=COLOURS[0], linewidth=1.4)
    axes.annotate("", xy=(2.6, 1.5), xytext=(0.7, 0.8), arrowprops={"arrowstyle": "-|>", "color": "#444444", "lw": 2})
    axes.text(1.35, 1.75, "learning", fontsize=10)
    axes.text(-0.2, -2.75, "π0: completions before learning", color=COLOURS[0], ha="center", fontsize=10)
    axes.text(-0.2, -3.2, "circles: the frozen rollouts", color=COLOURS[0], ha="center", fontsize=9)
    axes.text(3.5, -1.35, "πt: after t updates", color=COLOURS[1], ha="center", fontsize=10)
    axes.text(4.1, 3.3, "blind spot: πt's habits here,\nnot one frozen sample", ha="center", fontsize=9)
    arrow(axes, (4.1, 3.2), (3.9, 2.0))
    axes.set(xlim=(-4, 7), ylim=(-3.6, 4.2), xticks=[], yticks=[], xlabel="the space of completions")
    axes.grid(visible=False)
    return png(figure)


def gain_knob(pass_rate: float) -> bytes:
    """One advantage multiplies the gradient of every token's log-probability."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokens = [COMPLETION[a:b].replace(" ", "␣") for a, b in tokenizer.encode(COMPLETION).offsets]
    reward = score(EXAMPLE, COMPLETION)["reward"]
    advantage = reward - pass_rate
    figure, (axes,) = new_figure("One reward, every token: the advantage as a gain knob", width=9, height=4.2)
    blank(axes, 12, 6)
    box(axes, 1.0, 4.8, f"prompt\n{EXAMPLE['prompt']}", "#eef3f8", 8)
    places = np.linspace(3.0, 8.2, len(tokens))
    for number, (x, token) in enumerate(zip(places, tokens, strict=True), start=1):
        box(axes, x, 4.8, token, "#dceaf5", 11)
        axes.text(x, 5.45, f"y{number}", ha="center", fontsize=8, color="#666666")
        box(axes, x, 1.4, f"∇ log π(y{number})", "#fbe9dd", 7)
        arrow(axes, (x, 1.95), (x, 4.35), COLOURS[1])
    arrow(axes, (2.0, 4.8), (2.6, 4.8))
    box(axes, 10.6, 4.8, f"score()\nreward {reward:g}", "#e3f1e9")
    arrow(axes, (8.6, 4.8), (9.7, 4.8))
    box(axes, 10.6, 3.0, f"advantage A\n{reward:g} − {pass_rate:.2f} = {advantage:+.2f}", "#f7e3ef")  # noqa: RUF001
    arrow(axes, (10.6, 4.2), (10.6, 3.6))
    axes.plot([10.6, 10.6, 3.0], [2.4, 0.6, 0.6], color=COLOURS[3], lw=1.6)
    for x in places:
        arrow(axes, (x, 0.6), (x, 1.05), COLOURS[3])
    axes.text(6.8, 0.15, "the same A multiplies every token's gradient", ha="center", fontsize=9, color=COLOURS[3])
    axes.text(5.6, 3.1, "update: θ + learning rate · A · Σ ∇ log π(yt)", ha="center", fontsize=9, color=COLOURS[1],
              bbox={"facecolor": "white", "edgecolor": "none"})  # fmt: skip
    return png(figure)


def token_text_boundary() -> bytes:
    """From logits to reward, and the line that no gradient crosses."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    ids = " ".join(str(number) for number in tokenizer.encode(COMPLETION).ids)
    outcome = score(EXAMPLE, COMPLETION)
    figure, (axes,) = new_figure("The boundary between tokens and text", width=7, height=5.6)
    blank(axes, 10, 12)
    stack = (
        (11.2, "policy: logits over the vocabulary", "#dceaf5", ""),
        (9.5, "token ids", "#dceaf5", ids),
        (7.8, "detokenize", "#eeeeee", ""),
        (6.1, "completion, as text", "#e3f1e9", f"`{COMPLETION}`"),
        (4.4, "parse: is it in form?", "#e3f1e9", f"extracted {outcome['details']['extracted']}"),
        (2.7, "check: is it the expected answer?", "#e3f1e9", f"expected {outcome['details']['expected']}"),
        (1.0, "reward", "#f7e3ef", f"{outcome['reward']:g}"),
    )
    for (y, text, colour, value), following in zip(stack, [*stack[1:], None], strict=True):
        box(axes, 3.6, y, text, colour, 10)
        axes.text(6.6, y, value, va="center", fontsize=10, family="monospace")
        if following:
            arrow(axes, (3.6, y - 0.5), (3.6, following[0] + 0.5))
    axes.plot([0.2, 9.8], [8.65, 8.65], "--", color="#888888")
    axes.text(9.8, 8.85, "above: gradients live here", ha="right", fontsize=9, color="#444444")
    axes.text(
        9.8, 8.15, "below: the verifier lives here, and no gradient passes", ha="right", fontsize=9, color="#444444"
    )
    return png(figure)


class Point(msgspec.Struct):
    """One measurement of a policy that learned from a weak rubric."""

    seed: int
    step: int
    proxy: float
    strict: float
    kl: float


def goodhart() -> bytes:
    """The proxy keeps rising; the true goal does not. A thin line for each seed, a thick one for their mean."""
    points = [point for _, point in JsonLines(GOODHART_CURVE, Point)]
    steps = sorted({point.step for point in points})
    figure, (axes,) = new_figure("Goodhart's curve, measured: π0 paid by the rubric `tolerant`, three seeds")
    means = {}
    for name, colour, label in (
        ("proxy", COLOURS[0], "proxy: the rubric that is optimised"),
        ("strict", COLOURS[2], "strict scorer: what was wanted"),
    ):
        for seed in sorted({point.seed for point in points}):
            own = [getattr(point, name) for point in points if point.seed == seed]
            axes.plot(steps, own, color=colour, lw=0.8, alpha=0.4)
        means[name] = [
            float(np.mean([getattr(point, name) for point in points if point.step == step])) for step in steps
        ]
        axes.plot(steps, means[name], color=colour, lw=2.4, label=label)
    parting = steps[int(np.argmax(means["strict"]))]
    axes.axvspan(parting, steps[-1], color=COLOURS[3], alpha=0.08)
    axes.axvline(parting, color="#888888", ls="--", lw=1)
    axes.text(parting + 2, 0.97, f"reward hacking regime, from step {parting} on", color=COLOURS[3], fontsize=10)
    axes.set(xlabel="optimisation pressure (updates)", ylabel="mean reward on dev", ylim=(0, 1.05))
    axes.legend(loc="center right", fontsize=9)
    return png(figure)


def main() -> None:
    settings = parse("docs.diagrams.draw", "Draw the diagrams of the course.", Settings)
    rewards = [result.reward for result in Measurement(DEV, PACK)]
    pictures = {
        "distribution_shift.png": distribution_shift(),
        "gain_knob.png": gain_knob(sum(rewards) / len(rewards)),
        "token_text_boundary.png": token_text_boundary(),
        "goodhart.png": goodhart(),
    }
    for name, picture in pictures.items():
        write_whole(settings.out_dir / name, picture)
        console().print(f"{settings.out_dir / name}")


if __name__ == "__main__":
    run_command(main)
