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

from course.core.sign_flips import is_exact, sign_flip_test

Z95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
SIGNIFICANT = 0.05  # a p-value from here on is taken for luck
NOISE_RULE_SMALL = 100  # the course's rule of thumb: below this many examples …
NOISE_RULE_MARGIN = 0.05  # … a difference of up to five percentage points is taken for luck
LARGEST_CHOICE = 10_000  # of more samples than that, choices are not counted with whole numbers
MISSING, FAILED = "missing_completion", "failed_request"  # codes of answers that are not there, not of the scorer's
WON_OR_LOST = {"win": "wins", "loss": "losses", "tie": "ties"}
MOVED = ("rate up", "rate down", "equal")

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
    return c / n if k == 1 and 0 <= c <= n else 1.0 - none_of(n, c, k)


def none_of(n: int, c: int, k: int) -> float:
    """Chance that k of n samples hold none of c among them: C(n-c, k) / C(n, k). Raises ValueError as above."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    if n <= LARGEST_CHOICE or c + k > n:
        return math.comb(n - c, k) / math.comb(n, k) if c + k <= n else 0.0
    few, many = sorted((c, k))  # it equals C(n-k, c) / C(n, c), so it is a product of the smaller number of factors
    return math.exp(float(np.log1p(-many / (n - np.arange(few))).sum()))


def mean_pass_hat_k(counts: Sequence[Counts], k: int) -> float:
    """Chance that all of k samples pass (pass^k), unbiased: C(c, k) / C(n, k), averaged over examples."""
    kinds = Counter(counts)
    return math.fsum(none_of(n, n - c, k) * many for (n, c), many in kinds.items()) / len(counts)


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


def student95(freedom: int) -> float:
    """The 97.5 % point of Student's t, by its expansion in 1/freedom (Abramowitz and Stegun 26.7.5).

    Within 1 % of it from two degrees of freedom on, within 0.2 % from three on.
    """
    z, v = Z95, 1 / freedom
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160
    return z + v * (first + v * (second + v * (third + v * fourth)))


def difference_interval(before: Sequence[Counts], after: Sequence[Counts]) -> tuple[float, float]:
    """95 % interval of the mean paired difference of rates, from the counts of the same examples, in the same order.

    With differences of -1, 0 and 1 (or fewer than three examples) the adjusted Wald interval for paired proportions,
    which adds one win and one loss so that it does not collapse where few pairs differ (Bonett and Price 2012).
    Otherwise the padding would swamp the differences, and it is Student's paired interval, mean ± t · s / sqrt(n), with
    a floor under s²: what drawing the samples adds to each difference, by rates with one success and one failure added
    (Agresti and Caffo 2000). So differences that are all alike do not make it a point.

    Its limits: it treats the mean as normal, so with few examples the p-value decides, not whether it holds 0; and
    it cannot allow for a rare kind of example that the data set does not have.
    """
    pairs = Counter(zip(before, after, strict=True))
    change = np.array([after[1] / after[0] - before[1] / before[0] for before, after in pairs])
    times = np.array(list(pairs.values()))
    n = int(times.sum())
    mean = float(change @ times) / n
    if n < 3 or set(change) <= {-1.0, 0.0, 1.0}:
        padded = n + 2
        centre, spread = mean * n / padded, (float(change**2 @ times) + 2) / padded - (mean * n / padded) ** 2
        half = Z95 * math.sqrt(spread / padded)
    else:
        drawn = np.array([drawing_variance(*before) + drawing_variance(*after) for before, after in pairs])
        seen = float((change - mean) ** 2 @ times) / (n - 1)
        centre, half = mean, student95(n - 1) * math.sqrt(max(seen, float(drawn @ times) / n) / n)
    return max(-1.0, centre - half), min(1.0, centre + half)


def drawing_variance(n: int, c: int) -> float:
    """How much a rate of c in n varies from one draw of its n samples to another: never 0."""
    rate = (c + 1) / (n + 2)
    return rate * (1 - rate) / (n + 2)


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

    @property
    def words(self) -> dict[str, str]:
        """What is said of an example, and of several, whose rate went up, went down, or stayed.

        Only single samples win or lose. Where an example has several, in one of the runs or in both, its rate moves.
        """
        single = all(n == 1 for counts in self.counts for n, _ in counts)
        return WON_OR_LOST if single else dict(zip(MOVED, MOVED, strict=True))

    @property
    def by_example(self) -> str:
        """How many examples went each way: `15 wins, 5 losses, 20 ties`."""
        up, down = len(self.wins), len(self.losses)
        numbers = up, down, len(self.counts[0]) - up - down
        return ", ".join(f"{number} {word}" for number, word in zip(numbers, self.words.values(), strict=True))


def paired(before: Mapping[str, Counts], after: Mapping[str, Counts]) -> Paired:
    """The paired statistics of two measurements, each with the (samples, passes) of every example."""
    counts = list(before.values()), [after[key] for key in before]
    pairs = Counter(zip(*counts, strict=True))
    change = {(old, new): Fraction(new[1], new[0]) - Fraction(old[1], old[0]) for old, new in pairs}
    differences: Counter[Fraction | int] = Counter()
    for pair, many in pairs.items():
        differences[change[pair]] += many
    moved = [(key, change[old, new]) for key, old, new in zip(before, *counts, strict=True) if change[old, new]]
    return Paired(
        counts=counts,
        rates=(mean_pass_at_k(counts[0], 1), mean_pass_at_k(counts[1], 1)),
        wins=[key for key, d in moved if d > 0],
        losses=[key for key, d in moved if d < 0],
        difference=math.fsum(float(d) * many for d, many in differences.items()) / len(before),
        interval=difference_interval(*counts),
        p=sign_flip_test(differences),
        exact=is_exact(differences),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of several tests, each corrected for all of them (Holm 1979), in the order given.

    To call a difference real where its corrected p is below 0.05 errs in at most 5 of 100 such families of tests, even
    once. Nothing is assumed of how the tests depend on one another.
    """
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = highest
    return corrected


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
        self.counts: dict[str, Counts] = {}
        self.alike: dict[Counts, Counts] = {}  # equal counts are kept once
        self.missing: Counter[str] = Counter()  # answers that are absent, by example
        self.failures: Counter[str] = Counter()
        self.reward = 0.0
        self.finish_reasons: Counter[str] = Counter()

    def add(self, example_id: str, reward: float, code: str | None, finish_reason: str | None = None) -> None:
        """One result; no code is a pass."""
        n, c = self.counts.get(example_id, (0, 0))
        count = n + 1, c + (code is None)
        self.counts[example_id] = self.alike.setdefault(count, count)
        self.reward += reward
        if code is not None:
            self.failures[code] += 1
        if code == MISSING:
            self.missing[example_id] += 1
        if finish_reason is not None:
            self.finish_reasons[finish_reason] += 1

    def merge(self, other: "Tally") -> None:
        """Add what another tally has counted of other results."""
        for key, (n, c) in other.counts.items():
            more, passes = self.counts.get(key, (0, 0))
            count = n + more, c + passes
            self.counts[key] = self.alike.setdefault(count, count)
        self.reward += other.reward
        self.missing += other.missing
        self.failures += other.failures
        self.finish_reasons += other.finish_reasons

    def answered(self) -> list[Counts]:
        """(samples, passes) of every example for pass@k and pass^k.

        An example that nobody answered fails once; here it fails as often as the others were asked at least.
        """
        silent = {key for key, many in self.missing.items() if many == self.counts[key][0]}
        fewest = min((n for key, (n, _) in self.counts.items() if key not in silent), default=1)
        return [(fewest, 0) if key in silent else count for key, count in self.counts.items()]

    def summary(self) -> dict[str, Any]:
        """The statistics of `summary.json`; MEASUREMENT_RULES.md explains each name."""
        counts, answered = list(self.counts.values()), self.answered()
        samples, passes = sum(n for n, _ in counts), sum(c for _, c in counts)
        ks = [2**i for i in range(min(n for n, _ in answered).bit_length())]  # 1, 2, 4, … up to the fewest samples
        return {
            "examples": len(counts),
            "completions": samples - self.failures[MISSING] - self.failures[FAILED],
            "scored": samples,
            "passes": passes,
            "pass_rate": passes / samples,
            "mean_reward": self.reward / samples,
            "pass_at_1": mean_pass_at_k(counts, 1),
            "pass_at_1_interval": list(rate_interval(counts)),
            "pass_at_1_standard_error": clustered_error(counts),
            "pass_at_k": {str(k): mean_pass_at_k(answered, k) for k in ks},
            "failures": dict(sorted(self.failures.items())),
            "samples_per_example": [min(n for n, _ in counts), max(n for n, _ in counts)],
            "finish_reasons": dict(sorted(self.finish_reasons.items())),
        }
