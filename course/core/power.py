"""How many examples a comparison needs: exact chances of what its rules say, before anything is measured.

Two measurements of the same n examples, one sample each. Every example is won with chance `up` (only the second one
passes), lost with chance `down`, and otherwise a tie, whatever the others do. `power` is the chance that the exact test
finds a difference: p < level, by `sign_flip_test`, which is McNemar's exact test here.

Only the m examples that changed count, and m is binomial. For each m the test finds a difference where at most c of
them went one way and the others the other; `critical` holds every c, and `found` how often that happens.
"""

import bisect
import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from course.core.stats import NOISE_RULE_MARGIN, NOISE_RULE_SMALL, SIGNIFICANT

LARGEST = 100_000  # examples: no plan is made for more
OFTEN = 0.8  # the power that is asked for by custom
NEVER = 1e-300  # stands for a chance of 0, of which there is no logarithm


@dataclass(frozen=True)
class Rules:
    """How often each rule calls a difference real, whichever way it goes; a false alarm where up equals down."""

    exact: float  # the exact test
    noise_rule: float | None  # the course's rule of thumb; None where it does not apply
    apart: float  # whoever believes every difference of at least so much


def independent(before: float, after: float) -> tuple[float, float]:
    """(up, down) of two rates, each sample drawn by itself, on examples that are all alike.

    Where examples differ in difficulty, fewer change for the same difference, and the power is higher than this says.
    """
    return after * (1 - before), before * (1 - after)


def power(n: int, up: float, down: float, level: float = SIGNIFICANT) -> float:
    """The exact chance that the exact two-sided test of n examples finds a difference. Raises ValueError."""
    return powers([n], up, down, level)[0]


def powers(sizes: Iterable[int], up: float, down: float, level: float = SIGNIFICANT) -> list[float]:
    """The power with each number of examples. Raises ValueError."""
    sizes = list(sizes)
    check(min(sizes), max(sizes), up, down)
    table = found(max(sizes), up, down, level)
    return [mean_over_changed(n, up + down, table) for n in sizes]


def rules(n: int, up: float, down: float, apart: float, level: float = SIGNIFICANT) -> Rules:
    """What each rule says of n examples; `apart` is a difference of rates, 0.05 for five points. Raises ValueError."""
    exact = power(n, up, down, level)
    step = np.zeros(2 * n + 1)  # of wins - losses by one example, negative ones counted from the end
    step[[0, 1, -1]] = max(0.0, 1 - up - down), up, down
    chances = np.maximum(np.fft.irfft(np.fft.rfft(step) ** n, 2 * n + 1), 0)  # of wins - losses by all n
    gap = np.minimum(np.arange(2 * n + 1), np.arange(2 * n + 1, 0, -1)) / n
    noise_rule = float(chances[gap > NOISE_RULE_MARGIN].sum()) if n < NOISE_RULE_SMALL else None
    return Rules(exact, noise_rule, float(chances[gap >= apart - 1e-12].sum()))


def smallest(up: float, down: float, wanted: float, level: float = SIGNIFICANT, most: int = LARGEST) -> int | None:
    """The smallest n such that it and every larger number of examples, up to `most`, has at least the power `wanted`.

    Power is a saw: it may fall from one n to the next. So n is first found on a curve below the saw that never falls,
    which promises that power stays, and then taken down while the saw itself allows. None if there is no such n.
    Raises ValueError.
    """
    check(1, most, up, down)
    table = found(most, up, down, level)
    promised = np.minimum.accumulate(table[::-1])[::-1]
    n = 1 + bisect.bisect_left(range(1, most + 1), wanted, key=lambda n: mean_over_changed(n, up + down, promised))
    if n > most:
        return None
    while n > 1 and mean_over_changed(n - 1, up + down, table) >= wanted:
        n -= 1
    return n


def visible_difference(
    n: int, split: Callable[[float], tuple[float, float]], widest: float, wanted: float
) -> float | None:
    """The smallest difference, in tenths of a point up to `widest`, that n examples find with the power `wanted`.

    `split` turns a difference into (up, down): the larger it is, the more wins and the fewer losses. None if there is
    no such difference.
    """
    tenths = range(1, int(1000 * widest + 1e-9) + 1)
    first = bisect.bisect_left(tenths, wanted, key=lambda tenth: power(n, *split(min(tenth / 1000, widest))))
    return tenths[first] / 1000 if first < len(tenths) else None


def share_changed(share: float) -> Callable[[float], tuple[float, float]]:
    """(up, down) for each difference, where this share of the examples changes one way or the other."""
    return lambda difference: ((share + difference) / 2, (share - difference) / 2)


def check(fewest: int, most: int, up: float, down: float) -> None:
    if not 1 <= fewest <= most <= LARGEST:
        raise ValueError(f"from 1 to {LARGEST:,} examples")
    if not (up >= 0 and down >= 0 and up + down <= 1 + 1e-9):
        raise ValueError(f"up and down are chances, together at most 1, not {up} and {down}")


def mean_over_changed(n: int, share: float, table: np.ndarray) -> float:
    """The mean of table[m] where m of n examples change, each with chance `share`: what is left out is below 1e-25."""
    centre, reach = n * share, 40 + 12 * math.sqrt(n * share * max(0.0, 1 - share))
    m = np.arange(max(0, int(centre - reach)), min(n, int(centre + reach)) + 1)
    return float(binomial(n, m, share) @ table[m])


def found(most: int, up: float, down: float, level: float) -> np.ndarray:
    """(most + 1,): the chance that the test finds a difference where exactly 0, 1, … `most` examples changed."""
    share = up / (up + down) if up + down else 0.5
    c = critical(level)[: most + 1]
    return np.asarray(np.maximum(at_most_critical(c, share) + at_most_critical(c, 1 - share), 0.0))


def at_most_critical(c: np.ndarray, rate: float) -> np.ndarray:
    """For each m the chance of at most c[m] successes in m tries: each from the last, so that none is a sum.

    With one more try c stays or grows by one. By the try, chances of c + 1 successes leave the tail, and where c grows
    they are in it.
    """
    m, some = np.arange(len(c)), c >= 0
    at_c = np.where(some, binomial(m, np.maximum(c, 0), rate), 0.0)
    grown = np.where(np.diff(c) > 0, at_c[1:], 0.0)
    return np.concatenate([[0.0], np.cumsum(grown - rate * at_c[:-1])])


@functools.cache
def critical(level: float) -> np.ndarray:
    """(LARGEST + 1,): of m changed examples, the most that may go one way where the exact test gives p < level.

    -1 where even m on one side are luck. In `tail` stands the chance of at most c heads in m tosses, in `following`
    that of c + 1. Raises ValueError.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level is above 0 and below 1, not {level}")
    limits, c, tail, following = np.empty(LARGEST + 1, dtype=int), -1, 0.0, 1.0
    for m in range(LARGEST + 1):
        if 2 * (tail + following) < level:
            c, tail = c + 1, tail + following
            following *= (m - c) / (c + 1)
        limits[m] = c
        tail -= following * (c + 1) / (m - c) / 2
        following *= (m + 1) / (m - c) / 2
    return limits


@functools.cache
def log_factorials() -> np.ndarray:
    return np.array([math.lgamma(k + 1) for k in range(LARGEST + 1)])


def binomial(n: int | np.ndarray, k: np.ndarray, rate: float) -> np.ndarray:
    """The chance of k successes in n tries, n up to LARGEST."""
    logs, hit, miss = log_factorials(), math.log(max(rate, NEVER)), math.log(max(1 - rate, NEVER))
    return np.asarray(np.exp(logs[n] - logs[k] - logs[n - k] + k * hit + (n - k) * miss))
