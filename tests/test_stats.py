"""The statistics against independent oracles: scipy, enumeration, simulation."""

import itertools
import math
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from course.core import stats

PAIRS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(PAIRS)
def test_wilson_against_scipy(pair: tuple[int, int]) -> None:
    n, c = pair
    low, high = stats.wilson(c / n, n)
    oracle = scipy.stats.binomtest(c, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_wilson_reference_numbers() -> None:
    assert stats.wilson(0.23, 100) == pytest.approx((0.158, 0.322), abs=5e-4)
    assert stats.wilson(0, 10) == pytest.approx((0, 0.278), abs=5e-4)
    assert stats.wilson(0.5, 0) == (0, 1)


@given(PAIRS, st.data())
def test_pass_at_k_against_every_subset(pair: tuple[int, int], data: st.DataObject) -> None:
    n, c = data.draw(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
    k = data.draw(st.integers(1, n))
    samples = [1] * c + [0] * (n - c)
    subsets = list(itertools.combinations(samples, k))
    assert stats.pass_at_k(n, c, k) == pytest.approx(sum(map(max, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_k_reference_numbers_and_bounds() -> None:
    assert stats.pass_at_k(8, 2, 4) == pytest.approx(0.786, abs=5e-4)
    assert stats.pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    for n, c, k in ((8, 9, 1), (8, -1, 1), (8, 2, 9), (8, 2, 0)):
        with pytest.raises(ValueError, match="pass@k needs"):
            stats.pass_at_k(n, c, k)


def cluster_oracle(counts: Sequence[stats.Counts]) -> float:
    """Cluster-robust standard error of the mean of equal clusters, sample by sample."""
    samples = [[1.0] * c + [0.0] * (n - c) for n, c in counts]
    total = sum(map(len, samples))
    mean = sum(map(sum, samples)) / total
    return math.sqrt(sum(sum(s - mean for s in cluster) ** 2 for cluster in samples)) / total


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.tuples(st.just(n), st.integers(0, n)), min_size=1, max_size=20)))
def test_clustered_error_against_the_sum_over_clusters(counts: list[stats.Counts]) -> None:
    assert stats.clustered_error(counts) == pytest.approx(cluster_oracle(counts), abs=1e-12)


@given(PAIRS)
def test_one_sample_each_gives_the_plain_error_and_wilson(pair: tuple[int, int]) -> None:
    n, c = pair
    counts = [(1, 1)] * c + [(1, 0)] * (n - c)
    assert stats.clustered_error(counts) == pytest.approx(math.sqrt(c / n * (1 - c / n) / n), abs=1e-12)
    assert stats.rate_interval(counts) == pytest.approx(stats.wilson(c / n, n), abs=1e-9)


def test_samples_that_agree_count_as_one() -> None:
    alike = [(8, 8)] * 5 + [(8, 0)] * 15
    assert stats.effective_samples(alike) == pytest.approx(20)
    assert stats.rate_interval(alike) == pytest.approx(stats.wilson(0.25, 20))
    assert stats.effective_samples([(8, 0)] * 20) == 20


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.integers(0, 10**6))
def test_the_difference_interval_covers(p: float, q: float, seed: int) -> None:
    """Around 95 of 100 intervals hold the true difference, here with wins and losses of chance p and (1-p)q."""
    rng = np.random.default_rng(seed)
    truth, n, held = p - (1 - p) * q, 60, 0
    for draw in rng.multinomial(n, [p, (1 - p) * q, 1 - p - (1 - p) * q], size=400):
        wins, losses, ties = (int(x) for x in draw)
        before, after = [(1, 0)] * wins + [(1, 1)] * losses, [(1, 1)] * wins + [(1, 0)] * losses
        low, high = stats.difference_interval(before + [(1, 0)] * ties, after + [(1, 0)] * ties)
        held += low <= truth <= high
    assert held / 400 > 0.90


def counts_of(passes: np.ndarray, samples: int) -> list[stats.Counts]:
    return [(samples, int(c)) for c in passes]


@pytest.mark.parametrize(
    ("examples", "samples", "least", "most"),
    [(100, (20, 20), 0.93, 0.97), (100, (1, 8), 0.93, 0.97), (20, (4, 4), 0.93, 0.99), (4, (8, 8), 0.95, 1)],
)
def test_the_difference_interval_of_averaged_rates_covers_and_is_not_too_wide(
    examples: int, samples: tuple[int, int], least: float, most: float
) -> None:
    rng = np.random.default_rng(7)
    chances = rng.uniform(0.1, 0.7, size=examples)
    held = 0
    for _ in range(1000):
        before, after = (counts_of(rng.binomial(n, chances), n) for n in samples)
        low, high = stats.difference_interval(before, after)
        held += low <= 0 <= high
    assert least < held / 1000 <= most


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_the_difference_interval_is_never_a_point(counts: tuple[int, int, int]) -> None:
    """However alike the changes of all examples are; and it holds the difference seen."""
    n, before, after = counts
    for examples in (1, 2, 3, 4, 50):
        low, high = stats.difference_interval([(n, before)] * examples, [(n, after)] * examples)
        assert high - low > 1e-3
        if examples > 2:
            assert low <= (after - before) / n <= high


@pytest.mark.parametrize("freedom", [2, 3, 4, 10, 100, 10_000])
def test_students_t_against_scipy(freedom: int) -> None:
    close = 0.01 if freedom == 2 else 0.002
    assert stats.student95(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=close)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((1, 1), (1, 1), "2 wins, 1 losses, 0 ties"),
        ((1, 8), (1, 1), "2 rate up, 1 rate down, 0 equal"),
        ((8, 1), (8, 1), "2 rate up, 1 rate down, 0 equal"),
        ((1, 1), (8, 8), "2 rate up, 1 rate down, 0 equal"),
    ],
)
def test_only_single_samples_win_or_lose(before: tuple[int, int], after: tuple[int, int], said: str) -> None:
    old = {"a": (before[0], 0), "b": (before[1], 0), "c": (before[1], before[1])}
    new = {"a": (after[0], after[0]), "b": (after[1], after[1]), "c": (after[1], 0)}
    assert stats.paired(old, new).by_example == said


@settings(max_examples=200, deadline=None)
@given(st.integers(10_001, 30_000), st.data())
def test_pass_at_k_of_many_samples_against_whole_numbers(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    none = Fraction(math.comb(n - c, k), math.comb(n, k))
    assert stats.none_of(n, c, k) == pytest.approx(float(none), rel=1e-9, abs=1e-300)
    assert stats.pass_at_k(n, c, k) == pytest.approx(float(1 - none), abs=1e-12)


def test_the_noise_rule_sees_improvements_where_nothing_changed() -> None:
    """Why `compare` decides by exact statistics; by enumeration, for every N that the rule speaks of from 20 on."""
    seen = []
    for n in range(20, 100):
        chances = scipy.stats.binom.pmf(np.arange(n + 1), n, 0.3)
        gain = (np.arange(n + 1)[None, :] - np.arange(n + 1)[:, None]) / n
        seen.append(float((np.outer(chances, chances) * (gain > stats.NOISE_RULE_MARGIN + 1e-12)).sum()))
    assert (round(100 * min(seen)), round(100 * max(seen))) == (22, 36), "as MEASUREMENT_RULES.md and CHANGELOG.md say"
    assert "luck" in stats.noise_rule(50, 0.05)
    assert "real" in stats.noise_rule(50, -0.051)
    assert "does not apply" in stats.noise_rule(100, 0.5)


def test_examples_that_do_not_differ_count_once_each_whatever_their_rate() -> None:
    for n, c in ((3, 1), (5, 1), (7, 3), (8, 0), (10, 1)):
        assert stats.effective_samples([(n, c)] * 7) == 7


def test_an_unanswered_example_keeps_pass_at_k() -> None:
    tally = stats.Tally()
    for n in range(4):
        tally.add("a", 1.0 if n == 0 else 0.0, None if n == 0 else "empty")
    tally.add("b", 0.0, stats.MISSING)
    assert tally.summary()["pass_at_k"] == {"1": 0.125, "2": 0.25, "4": 0.5}


def test_the_tally_adds_up() -> None:
    rng = random.Random(3)
    tally, rewards = stats.Tally(), []
    for example in range(30):
        for _ in range(4):
            reward = float(rng.random() < 0.4)
            rewards.append(reward)
            tally.add(f"x{example}", reward, None if reward else rng.choice(["empty", "wrong_answer"]))
    tally.add("missing", 0.0, "missing_completion")
    summary = tally.summary()
    assert summary["examples"] == 31
    assert summary["scored"] == 121
    assert summary["completions"] == 120
    assert summary["passes"] == sum(rewards)
    assert summary["passes"] + sum(summary["failures"].values()) == summary["scored"]
    assert summary["pass_rate"] == summary["mean_reward"] == sum(rewards) / 121
    assert list(summary["pass_at_k"]) == ["1", "2", "4"]
    assert summary["pass_at_k"]["1"] == pytest.approx(summary["pass_at_1"])
    low, high = summary["pass_at_1_interval"]
    assert 0 <= low < summary["pass_at_1"] < high <= 1
