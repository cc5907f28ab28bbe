"""The statistics against independent oracles: scipy, enumeration, simulation."""

import itertools
import math
import random
from collections.abc import Sequence

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


def mcnemar(wins: int, losses: int) -> float:
    """With differences of 1 and -1 the sign-flip test is McNemar's exact one."""
    return stats.sign_flip_test([1] * wins + [-1] * losses)


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
        assert mcnemar(wins, losses) == pytest.approx(oracle, rel=1e-7)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-8, 8), max_size=10))
def test_sign_flips_against_all_sign_patterns(differences: list[int]) -> None:
    observed = abs(sum(differences))
    patterns = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    assert stats.sign_flip_test(differences) == pytest.approx(sum(s >= observed for s in sums) / len(sums), abs=1e-12)


def test_sign_flip_test_keeps_its_level() -> None:
    """With no true change, p < 0.05 comes at most about one time in twenty."""
    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(2000):
        before, after = rng.binomial(4, 0.3, size=(2, 30))
        fired += stats.sign_flip_test([int(d) for d in after - before]) < 0.05
    assert fired / 2000 < 0.065


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
        low, high = stats.difference_interval([1.0] * wins + [-1.0] * losses + [0.0] * ties)
        held += low <= truth <= high
    assert held / 400 > 0.90


def test_the_difference_interval_of_averaged_rates_covers_and_is_not_too_wide() -> None:
    rng = np.random.default_rng(7)
    chances = rng.uniform(0.1, 0.7, size=100)
    held = 0
    for _ in range(1000):
        before, after = rng.binomial(20, chances, size=(2, 100)) / 20
        low, high = stats.difference_interval(list(after - before))
        held += low <= 0 <= high
    assert 0.93 < held / 1000 < 0.97


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


def test_odd_sample_counts_need_no_memory() -> None:
    """The common unit of six primes is vast; the p-value is drawn then, and close to the one of all 64 patterns."""
    differences = [int(d * 4_000_000_007) for d in (0.31, 0.12, -0.05, 0.44, 0.2, 0.03)]
    assert not stats.is_exact(differences)
    patterns = itertools.product((1, -1), repeat=6)
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    exact = sum(s >= abs(sum(differences)) for s in sums) / len(sums)
    assert stats.sign_flip_test(differences) == pytest.approx(exact, abs=0.01)


def differences_of(examples: int) -> list[int]:
    """Differences of many examples with many samples each; with 20,000 their sum is around the largest added up."""
    rng = np.random.default_rng(0)
    differences = [int(d) for d in rng.integers(-8, 9, size=examples)]
    return differences + [2520 * int(d) for d in rng.integers(-1, 2, size=300)]


def test_many_examples_with_many_samples_are_quick() -> None:
    """Around the largest sums that are added up exactly, the test ends."""
    differences = differences_of(20_000)
    assert stats.is_exact(differences)
    assert 0 < stats.sign_flip_test(differences) <= 1


@pytest.mark.parametrize("examples", [1_000, pytest.param(20_000, marks=pytest.mark.prove)])
def test_the_exact_test_of_many_examples_agrees_with_drawn_patterns(examples: int) -> None:
    differences = differences_of(examples)
    assert stats.is_exact(differences)
    assert stats.sign_flip_test(differences) == pytest.approx(stats.drawn_sign_flips(differences), abs=0.01)


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
