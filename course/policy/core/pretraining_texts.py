"""What π0 read: problems of the train side, each answered in one of a dozen styles, some of the answers wrong."""

import random
from collections.abc import Callable

from course.core.problems import Problem, draw, wording

WRONG_ANSWERS = 0.06  # share of the texts whose answer is a near miss

# (share, style): x is the answer the text settles on, y another number near it. The rewarded style is not the one
# that a greedy policy would choose: more texts begin with "The" than with "Final". Otherwise a colder temperature
# alone would look like learning.
STYLES: tuple[tuple[float, Callable[[int, int], str]], ...] = (
    (0.44, lambda x, y: f"The answer is {x}."),
    (0.27, lambda x, y: f"Final: {x}"),
    (0.06, lambda x, y: f"{x}"),
    (0.05, lambda x, y: f"Maybe {y} or {x}."),
    (0.04, lambda x, y: f"Let me calculate. Final: {x}"),
    (0.03, lambda x, y: f"final: {x}"),
    (0.02, lambda x, y: f"Final:{x}"),
    (0.02, lambda x, y: f"Final: {x}."),
    (0.02, lambda x, y: f"Final: {x}\nDone."),
    (0.02, lambda x, y: f"Final: {y}\nFinal: {x}"),
    (0.015, lambda x, y: f"Final: {'-' if x < 0 else ''}0{abs(x)}"),
    (0.015, lambda x, y: f"Final:  {x}"),
)
# (share, operation): products are rare in the data sets and hard to learn, so π0 sees more of them.
OPERATIONS = ((0.35, "+"), (0.35, "-"), (0.30, "*"))
STORIES = 0.35


def near_miss(answer: int, rng: random.Random) -> int:
    """A wrong answer of the kind people give."""
    return answer + rng.choice((-10, -2, -1, 1, 2, 10))


def pick(options: tuple[tuple[float, object], ...], rng: random.Random) -> object:
    return rng.choices([o for _, o in options], [share for share, _ in options])[0]


def training_text(rng: random.Random) -> tuple[Problem, str, str]:
    """One problem of the train side, its prompt, and an answer in a random style."""
    op = str(pick(OPERATIONS, rng))
    story = rng.random() < STORIES
    problem = draw("train", op, story, rng)
    x = problem.answer if rng.random() >= WRONG_ANSWERS else near_miss(problem.answer, rng)
    style = pick(STYLES, rng)
    assert callable(style)
    return problem, wording(problem, story, rng), style(x, near_miss(x, rng))


def texts_of_step(seed: int, step: int, size: int) -> list[tuple[Problem, str, str]]:
    """The texts of one step's batch. Steps are counted from 0; step -1 is the tokenizer's text."""
    rng = random.Random(f"{seed}:pretrain:{step}")
    return [training_text(rng) for _ in range(size)]
