"""The exact paired test of a measurement: how often chance alone, flipping signs, goes as far as what was seen."""

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

LARGEST_SUM = 1_000_000  # up to here the exact test adds up every sum
LARGEST_UNIT = LARGEST_SUM**3  # differences of rates with a finer common unit have larger sums, whatever they are
NEGLIGIBLE = 1e-25  # tilted chances below it are left out of a sum that is a few parts in ten thousand or more
FEWEST_DRAWS, DRAWS, SIGNS = 1_000, 100_000, 50_000_000  # sign patterns drawn: so many, fewer if signs get too many


def sign_flip_test(differences: Iterable[Fraction | int]) -> float:
    """Exact two-sided p-value of the paired randomisation test (Fisher 1935).

    One difference for each example, a whole number or a fraction. If nothing had changed, every difference could as
    well have had the other sign; the p-value is the share of all 2^n sign patterns whose sum is at least as far from
    zero as the one seen. With differences of -1, 0 and 1 this is McNemar's exact test (1947). Right to twelve digits,
    however small; below the smallest float it is that float, never 0.

    Where `is_exact` says that there are too many sums to add up, it is estimated from drawn sign patterns instead.
    """
    kinds = Counter(differences)
    del kinds[0]
    if not sum(d * many for d, many in kinds.items()):
        return 1.0
    if one_way(kinds):  # the pattern seen and its mirror image alone are as far from zero
        return max(sys.float_info.min, math.ldexp(2.0, -kinds.total()))
    whole = in_whole_units(kinds)
    return drawn_sign_flips(kinds) if whole is None else all_sign_flips(whole)


def is_exact(differences: Iterable[Fraction | int]) -> bool:
    """Can all sign patterns be added up? Not if the differences have a vast common unit, as odd sample counts give."""
    kinds = Counter(differences)
    return one_way(kinds) or in_whole_units(kinds) is not None


def one_way(kinds: Iterable[Fraction | int]) -> bool:
    return len({d > 0 for d in kinds if d}) <= 1


def in_whole_units(kinds: Mapping[Fraction | int, int]) -> Counter[int] | None:
    """How often each difference comes, in their largest common unit; None if all sums are too many to add up."""
    unit = 1
    for d in kinds:
        unit = math.lcm(unit, d.denominator)
        if unit > LARGEST_UNIT:
            return None
    common = math.gcd(*(int(d * unit) for d in kinds))
    whole = Counter({int(d * unit) // common: many for d, many in kinds.items() if d})
    return whole if sum(abs(d) * many for d, many in whole.items()) <= LARGEST_SUM else None


def sizes_of(kinds: Mapping[Any, int]) -> Counter[Any]:
    """How often each difference comes, whatever its sign."""
    sizes: Counter[Any] = Counter()
    for d, many in kinds.items():
        sizes[abs(d)] += many
    return sizes


def all_sign_flips(kinds: Mapping[int, int]) -> float:
    """The share of all sign patterns as far from zero as the one seen, of differences that do not go all one way.

    Flipping some of the differences takes twice their sizes off the largest sum, so what is asked is the chance that
    the flipped ones add up to at most `most`. The chances are tilted by exp(-tilt * size) until that is what is
    expected, added up where they are large, and tilted back (Esscher 1932): no tail is too far out for a float.
    """
    sizes = sizes_of(kinds)
    size, many = np.array(list(sizes), dtype=float), np.array(list(sizes.values()), dtype=float)
    observed = abs(sum(d * times for d, times in kinds.items()))
    most = (sum(d * times for d, times in sizes.items()) - observed) // 2
    low, high = 0.0, 800.0  # where exp(-tilt) is next to nothing
    for _ in range(100):
        tilt = (low + high) / 2
        flipped = float((many * size / (1 + np.exp(np.minimum(tilt * size, 700)))).sum())
        low, high = (tilt, high) if flipped > most else (low, tilt)
    chances, start = np.ones(1), 0  # chances[i]: that the flipped ones add up to start + i
    for d, times in sorted(sizes.items(), key=lambda item: item[0] * item[1]):
        fewest, heads = tilted_binomial(times, math.exp(-tilt * d))
        grown = np.zeros(max(0, min(len(chances) + d * (len(heads) - 1), most + 1 - start - d * fewest)))
        for number, chance in enumerate(heads):
            room = grown[d * number : d * number + len(chances)]
            if chance > NEGLIGIBLE:
                room += chance * chances[: len(room)]
        chances, start = grown, start + d * fewest
    tail = float((np.exp(-tilt * (most - start - np.arange(len(chances)))) * chances).sum())
    half = tilt * size / 2
    log_cosh = np.where(
        half < 1, np.log1p(2 * np.sinh(np.minimum(half, 1) / 2) ** 2), half + np.log1p(np.exp(-2 * half)) - math.log(2)
    )
    p = 2 * tail * math.exp(math.fsum(many * log_cosh) - tilt * observed / 2)
    return max(sys.float_info.min, min(1.0, p))


def tilted_binomial(n: int, odds: float) -> tuple[int, np.ndarray]:
    """Chances of heads in n tosses, each with these odds (0 to 1): the fewest heads of a window around the commonest
    number, and the chance of each number from there on. What is left out is below 1e-25."""
    mode = int((n + 1) * odds / (1 + odds))
    reach = 40 + int(12 * math.sqrt(n * odds) / (1 + odds))
    up, down = np.arange(mode, min(n, mode + reach)), np.arange(mode, max(0, mode - reach), -1)
    rising, falling = np.cumprod((n - up) / (up + 1) * odds), np.cumprod(down / (n - down + 1) / odds if mode else down)
    chances = np.concatenate([falling[::-1], [1.0], rising])
    return mode - len(down), chances / chances.sum()


def drawn_sign_flips(kinds: Mapping[Fraction | int, int]) -> float:
    """The share of drawn sign patterns as far from zero as the one seen, itself counted among them (never 0)."""
    sizes = sizes_of({float(d): many for d, many in kinds.items()})
    draws = max(FEWEST_DRAWS, min(DRAWS, SIGNS // len(sizes)))
    rng, sums = np.random.default_rng(0), np.zeros(draws)
    for size, many in sizes.items():
        sums += size * (2 * rng.binomial(many, 0.5, draws) - many)
    rounding = 1e-12 * sum(size * many for size, many in sizes.items())  # sums that differ by less count as equal
    observed = abs(float(sum(d * many for d, many in kinds.items()))) - rounding
    return (int((abs(sums) >= observed).sum()) + 1) / (draws + 1)
