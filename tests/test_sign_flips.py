"""The exact paired test against exact fractions, scipy, all sign patterns and simulation."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from course.core import sign_flips, stats


def exact_p(differences: Iterable[Fraction]) -> Fraction:
    """The p-value in whole numbers: how many sign patterns give each sum, added up one difference at a time."""
    moved = [d for d in differences if d]
    unit = math.lcm(*(d.denominator for d in moved))
    whole = [int(d * unit) for d in moved]
    ways = {0: 1}
    for d in whole:
        grown: Counter[int] = Counter()
        for total, many in ways.items():
            grown[total + d] += many
            grown[total - d] += many
        ways = grown
    observed = abs(sum(whole))
    return Fraction(sum(many for total, many in ways.items() if abs(total) >= observed), 2 ** len(whole))


def table_of(rng: random.Random) -> tuple[dict[str, stats.Counts], dict[str, stats.Counts]]:
    """The counts of two measurements: few examples or many, one sample or several, by chance or nearly one-sided."""
    examples = rng.choice((1, 3, 10, 40, 300))
    samples = [rng.choice((1, 1, 2, 4, 8)) for _ in "ab"] if examples < 300 else [1, rng.choice((1, 2))]
    chances = rng.choice(((0.5, 0.5), (0.4, 0.6), (0.02, 0.98), (0.0, 1.0), (0.0, 0.1)))
    sides = [
        {f"x{n}": (many, sum(rng.random() < chance for _ in range(many))) for n in range(examples)}
        for many, chance in zip(samples, chances, strict=True)
    ]
    return sides[0], sides[1]


@pytest.mark.parametrize("tables", [500, pytest.param(10_000, marks=pytest.mark.prove)])
def test_random_tables_against_whole_numbers(tables: int) -> None:
    """With one sample or several, for every p from 1 to 1e-90. (10,000 tables take about 45 s.)"""
    rng, smallest = random.Random(5), 1.0
    for _ in range(tables):
        before, after = table_of(rng)
        verdict = stats.paired(before, after)
        exact = exact_p(Fraction(after[key][1], after[key][0]) - Fraction(c, n) for key, (n, c) in before.items())
        assert verdict.exact
        assert abs(Fraction(verdict.p) / exact - 1) < 1e-12
        assert stats.paired(after, before).p == verdict.p
        smallest = min(smallest, verdict.p)
    assert smallest < 1e-80


def mcnemar(wins: int, losses: int) -> float:
    """With differences of 1 and -1 the sign-flip test is McNemar's exact one."""
    return sign_flips.sign_flip_test([1] * wins + [-1] * losses)


@settings(max_examples=200)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_against_scipy(wins: int, losses: int) -> None:
    oracle = scipy.stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(min(1.0, oracle), abs=1e-12)


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(5, 0, 0.0625), (6, 0, 0.031), (8, 0, 0.008), (10, 2, 0.039), (15, 7, 0.134)]
)
def test_mcnemar_reference_numbers(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p, abs=5e-4)
    assert mcnemar(losses, wins) == mcnemar(wins, losses)


def test_mcnemar_of_many_pairs_against_scipy() -> None:
    for wins, losses in ((1400, 1250), (5000, 5300), (30_000, 30_400)):
        oracle = scipy.stats.binomtest(wins, wins + losses).pvalue
        assert mcnemar(wins, losses) == pytest.approx(oracle, rel=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-8, 8), max_size=10))
def test_sign_flips_against_all_sign_patterns(differences: list[int]) -> None:
    observed = abs(sum(differences))
    patterns = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    assert sign_flips.sign_flip_test(differences) == pytest.approx(
        sum(s >= observed for s in sums) / len(sums), abs=1e-12
    )


def test_sign_flip_test_keeps_its_level() -> None:
    """With no true change, p < 0.05 comes at most about one time in twenty."""
    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(2000):
        before, after = rng.binomial(4, 0.3, size=(2, 30))
        fired += sign_flips.sign_flip_test([int(d) for d in after - before]) < 0.05
    assert fired / 2000 < 0.065


def test_odd_sample_counts_need_no_memory() -> None:
    """The common unit of six primes is vast; the p-value is drawn then, and close to the one of all 64 patterns."""
    differences = [int(d * 4_000_000_007) for d in (0.31, 0.12, -0.05, 0.44, 0.2, 0.03)]
    assert not sign_flips.is_exact(differences)
    patterns = itertools.product((1, -1), repeat=6)
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    exact = sum(s >= abs(sum(differences)) for s in sums) / len(sums)
    assert sign_flips.sign_flip_test(differences) == pytest.approx(exact, abs=0.01)


def differences_of(examples: int) -> list[int]:
    """Differences of many examples with many samples each; with 20,000 their sum is around the largest added up."""
    rng = np.random.default_rng(0)
    differences = [int(d) for d in rng.integers(-8, 9, size=examples)]
    return differences + [2520 * int(d) for d in rng.integers(-1, 2, size=300)]


def test_many_examples_with_many_samples_are_quick() -> None:
    """Around the largest sums that are added up exactly, the test ends."""
    differences = differences_of(20_000)
    assert sign_flips.is_exact(differences)
    assert 0 < sign_flips.sign_flip_test(differences) <= 1


@pytest.mark.parametrize("examples", [1_000, pytest.param(20_000, marks=pytest.mark.prove)])
def test_the_exact_test_of_many_examples_agrees_with_drawn_patterns(examples: int) -> None:
    differences = differences_of(examples)
    assert sign_flips.is_exact(differences)
    assert sign_flips.sign_flip_test(differences) == pytest.approx(
        sign_flips.drawn_sign_flips(Counter(differences)), abs=0.01
    )
