"""The statistics of a measurement: intervals, pass@k, exact paired tests, and the summary of a run.

Counts go in as one pair (samples, successes) for each example, because samples of one example resemble
each other: a thousand samples of ten prompts say about as much as ten prompts do.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
SIGNIFICANT = 0.05  # a p-value from here on is taken for luck
NOISE_RULE_SMALL = 100  # the course's rule of thumb: below this many examples …
NOISE_RULE_MARGIN = 0.05  # … a difference of up to five percentage points is taken for luck

LARGEST_SUM = 1_000_000  # up to here the exact test adds up every sum
NEGLIGIBLE = 1e-100  # chances below it are left out of the sums
DRAWS = 100_000
MISSING, FAILED = "missing_completion", "failed_request"  # codes of answers that are not there, not of the scorer's

Counts = tuple[int, int]  # (samples, successes) of one example


def wilson(rate: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a proportion `rate` seen in `n` trials (Wilson 1927).

    `n` may be an effective sample size, not whole. It keeps its promise near 0 and 1, where the textbook's
    p ± z·SE collapses to a point.
    """
    if n <= 0:
        return 0.0, 1.0
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples passes, unbiased, from c passes among n (Chen et al. 2021).

    1 - C(n-c, k) / C(n, k). Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    return c / n if k == 1 else 1.0 - math.comb(n - c, k) / math.comb(n, k)


def mean_pass_hat_k(counts: Sequence[Counts], k: int) -> float:
    """Chance that all of k samples pass (pass^k), unbiased: C(c, k) / C(n, k), averaged over examples."""
    return math.fsum(1.0 - pass_at_k(n, n - c, k) for n, c in counts) / len(counts)


def mean_pass_at_k(counts: Sequence[Counts], k: int) -> float:
    """pass@k averaged over examples, each example counting once."""
    kinds = Counter(counts)
    return math.fsum(pass_at_k(n, c, k) * many for (n, c), many in kinds.items()) / len(counts)


def clustered_error(counts: Sequence[Counts]) -> float:
    """Standard error of pass@1, in the same unit, with the samples of an example taken as one cluster.

    With one sample an example it is the usual sqrt(p (1-p) / n).
    """
    rate = mean_pass_at_k(counts, 1)
    kinds = Counter(counts)
    return math.sqrt(math.fsum(many * (c / n - rate) ** 2 for (n, c), many in kinds.items())) / len(counts)


def effective_samples(counts: Sequence[Counts]) -> float:
    """How many independent samples would have given the same standard error (Kish 1965: n / design effect).

    Between the number of examples and the number of samples; where no two examples differ the data say
    nothing of how alike samples are, and the careful answer, the number of examples, is given.
    """
    if len({Fraction(c, n) for n, c in set(counts)}) == 1:
        return float(len(counts))
    rate, error = mean_pass_at_k(counts, 1), clustered_error(counts)
    return min(float(sum(n for n, _ in counts)), rate * (1 - rate) / error**2)


def rate_interval(counts: Sequence[Counts]) -> tuple[float, float]:
    """95 % interval of pass@1: Wilson's, on the effective sample size (with one sample each, the plain one)."""
    return wilson(mean_pass_at_k(counts, 1), effective_samples(counts))


def sign_flip_test(differences: Sequence[int]) -> float:
    """Exact two-sided p-value of the paired randomisation test (Fisher 1935).

    One whole-number difference for each example. If nothing had changed, every difference could as well
    have had the other sign; the p-value is the share of all 2^n sign patterns whose sum is at least as far from
    zero as the one seen. With differences of -1, 0 and 1 this is McNemar's exact test (1947).

    Where `is_exact` says that there are too many sums to add up, it is estimated from drawn sign patterns instead.
    """
    observed = abs(sum(differences))
    sizes = Counter(abs(d) for d in differences if d)
    if not sizes or observed == 0:
        return 1.0
    if not is_exact(differences):
        return drawn_sign_flips(differences)
    # The sum of `many` differences of one size is size * (2 * heads - many): heads are binomial.
    chances = np.ones(1)
    for size, many in sizes.items():
        grown = np.zeros(len(chances) + 2 * size * many)
        for heads, chance in enumerate(binomial_half(many)):
            if chance > NEGLIGIBLE:
                grown[2 * size * heads : 2 * size * heads + len(chances)] += chance * chances
        chances = grown
    reach = len(chances) // 2  # the sums run from -reach to reach
    tail = chances[reach + observed :]
    return min(1.0, 2 * math.fsum(tail))


def is_exact(differences: Sequence[int]) -> bool:
    """Can all sign patterns be added up? Not if the differences have a vast common unit, as odd sample counts give."""
    return sum(map(abs, differences)) <= LARGEST_SUM


def drawn_sign_flips(differences: Sequence[int]) -> float:
    """The share of drawn sign patterns as far from zero as the one seen, itself counted among them (never 0)."""
    values = np.array([float(d) for d in differences if d])
    rng, hits, left = np.random.default_rng(0), 0, DRAWS
    observed = abs(values.sum()) * (1 - 1e-12)
    while left:
        rows = min(left, 1 + 1_000_000 // len(values))
        signs = rng.integers(0, 2, size=(rows, len(values))) * 2 - 1
        hits += int((abs(signs @ values) >= observed).sum())
        left -= rows
    return (hits + 1) / (DRAWS + 1)


def binomial_half(n: int) -> np.ndarray:
    """The n + 1 probabilities of heads in n fair tosses, exact up to 1,000 tosses, else to 1e-10."""
    if n <= 1000:
        return np.array([math.comb(n, k) / 2**n for k in range(n + 1)])
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2) for k in range(n + 1)]
    return np.asarray(np.exp(np.array(logs)))


def difference_interval(differences: Sequence[float], z: float = Z95) -> tuple[float, float]:
    """95 % interval of the mean paired difference of rates, each difference in [-1, 1].

    With one sample an example (differences of -1, 0 and 1) the adjusted Wald interval for paired proportions, which
    adds one win and one loss so that it does not collapse where few pairs differ (Bonett and Price 2012). With
    rates over several samples the usual paired interval, mean ± z · s / sqrt(n); the padding would swamp those.
    """
    binary = all(d in (-1, 0, 1) for d in differences)
    values = np.array([*differences, 1.0, -1.0] if binary or len(differences) < 2 else differences, dtype=float)
    error = values.std(ddof=0 if len(values) > len(differences) else 1) / math.sqrt(len(values))
    mean = float(values.mean())
    return max(-1.0, mean - z * float(error)), min(1.0, mean + z * float(error))


@dataclass(frozen=True)
class Paired:
    """Two measurements of the same examples. Rates average over examples; differences are after minus before."""

    counts: tuple[list[Counts], list[Counts]]
    rates: tuple[float, float]
    wins: list[str]
    losses: list[str]
    difference: float
    interval: tuple[float, float]
    p: float
    exact: bool  # whether p adds up all sign patterns, or draws some


def paired(before: Mapping[str, Counts], after: Mapping[str, Counts]) -> Paired:
    """The paired statistics of two measurements, each with the (samples, passes) of every example."""
    change = {key: Fraction(after[key][1], after[key][0]) - Fraction(c, n) for key, (n, c) in before.items()}
    unit = math.lcm(*(d.denominator for d in change.values()))
    whole = [int(d * unit) for d in change.values()]
    floats = [float(d) for d in change.values()]
    counts = list(before.values()), [after[key] for key in before]
    return Paired(
        counts=counts,
        rates=(mean_pass_at_k(counts[0], 1), mean_pass_at_k(counts[1], 1)),
        wins=[key for key, d in change.items() if d > 0],
        losses=[key for key, d in change.items() if d < 0],
        difference=math.fsum(floats) / len(floats),
        interval=difference_interval(floats),
        p=sign_flip_test(whole),
        exact=is_exact(whole),
    )


def noise_rule(n: int, difference: float) -> str:
    """What the course's rule of thumb says of a difference of rates on n examples."""
    if n >= NOISE_RULE_SMALL:
        return f"does not apply: it is for fewer than {NOISE_RULE_SMALL} examples"
    if abs(difference) > NOISE_RULE_MARGIN:
        return "calls it real (over 5 points)"
    return "calls it luck (5 points or less)"


class Tally:
    """Counts a run's results as they come, and sums them up. Memory grows with the examples, not the rows."""

    def __init__(self) -> None:
        self.cells: Counter[tuple[str, str | None]] = Counter()  # by example and code; None is a pass
        self.reward = 0.0
        self.finish_reasons: Counter[str] = Counter()

    def add(self, example_id: str, reward: float, code: str | None, finish_reason: str | None = None) -> None:
        self.cells[example_id, code] += 1
        self.reward += reward
        if finish_reason is not None:
            self.finish_reasons[finish_reason] += 1

    def summary(self) -> dict[str, Any]:
        """The statistics of `summary.json`; MEASUREMENT_RULES.md explains each name.

        An example that nobody answered fails once; for pass@k it fails as often as the others were asked at least.
        """
        tried, failures = Counter[str](), Counter[str]()
        for (example_id, code), many in self.cells.items():
            tried[example_id] += many
            if code is not None:
                failures[code] += many
        by_example = {example_id: (n, self.cells[example_id, None]) for example_id, n in tried.items()}
        counts = list(by_example.values())
        samples, passes = sum(n for n, _ in counts), sum(c for _, c in counts)
        silent = {key for (key, code), many in self.cells.items() if code == MISSING and many == tried[key]}
        fewest = min((n for key, n in tried.items() if key not in silent), default=1)
        answered = [(fewest, 0) if key in silent else count for key, count in by_example.items()]
        ks = [2**i for i in range(fewest.bit_length())]  # 1, 2, 4, … up to `fewest`
        return {
            "examples": len(counts),
            "completions": samples - failures[MISSING] - failures[FAILED],
            "scored": samples,
            "passes": passes,
            "pass_rate": passes / samples,
            "mean_reward": self.reward / samples,
            "pass_at_1": mean_pass_at_k(counts, 1),
            "pass_at_1_interval": list(rate_interval(counts)),
            "pass_at_1_standard_error": clustered_error(counts),
            "pass_at_k": {str(k): mean_pass_at_k(answered, k) for k in ks},
            "failures": dict(sorted(failures.items())),
            "samples_per_example": [min(tried.values()), max(tried.values())],
            "finish_reasons": dict(sorted(self.finish_reasons.items())),
        }
