"""How many examples a comparison needs: by enumeration, scipy and simulation; and the command that says it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from course.core import power as plan
from course.core.sign_flips import sign_flip_test
from course.core.stats import noise_rule
from tests.conftest import ROOT, Command, write_rows

Evaluate = Callable[..., Path]
LEVELS = st.sampled_from([0.05, 0.01, 0.0625, 0.2])  # 0.0625 is itself the p-value of 5 wins and no loss


@st.composite
def chances(draw: st.DrawFn) -> tuple[float, float]:
    """up and down: alike or not, rare or not, with ties or without."""
    share = draw(st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.0]))
    wins = draw(st.sampled_from([0.0, 0.1, 0.5, 0.6, 0.95, 1.0]))
    return share * wins, share * (1 - wins)


def enumerated(n: int, up: float, down: float, real: Callable[[int, int], bool]) -> float:
    """The chance of all wins and losses of n examples that a rule calls real."""
    multinomial = scipy.stats.multinomial(n, [up, down, 1 - up - down])
    return sum(
        float(multinomial.pmf([wins, losses, n - wins - losses]))
        for wins in range(n + 1)
        for losses in range(n + 1 - wins)
        if real(wins, losses)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), chances(), LEVELS)
def test_power_is_the_chance_of_every_table_that_scipy_and_compare_call_significant(
    n: int, pair: tuple[float, float], level: float
) -> None:
    def by_scipy(wins: int, losses: int) -> bool:
        return wins + losses > 0 and scipy.stats.binomtest(wins, wins + losses).pvalue < level * (1 - 1e-9)

    def by_compare(wins: int, losses: int) -> bool:
        return sign_flip_test([1] * wins + [-1] * losses) < level

    found = plan.power(n, *pair, level)
    assert found == pytest.approx(enumerated(n, *pair, by_scipy), abs=1e-12)
    assert found == pytest.approx(enumerated(n, *pair, by_compare), abs=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.001])
def test_the_critical_values_are_scipys_for_every_number_of_changed_examples(level: float) -> None:
    c, m = plan.critical(level), np.arange(plan.LARGEST + 1)
    assert (2 * scipy.stats.binom.cdf(c, m, 0.5) < level).all()
    assert (2 * scipy.stats.binom.cdf(c + 1, m, 0.5) >= level).all()


@pytest.mark.parametrize("n", [200, 5_000, plan.LARGEST])
@pytest.mark.parametrize("pair", [(0.2, 0.15), (0.51, 0.49), (0.001, 0.0), (0.0, 1.0)])
def test_power_of_many_examples_against_scipy(n: int, pair: tuple[float, float]) -> None:
    m, share = np.arange(n + 1), pair[0] / sum(pair)
    c = scipy.stats.binom.ppf(0.025, m, 0.5).astype(int) - 1  # the last whose tail is below: p < 0.05 on both sides
    tails = scipy.stats.binom.cdf(c, m, share) + scipy.stats.binom.cdf(c, m, 1 - share)
    oracle = float(scipy.stats.binom.pmf(m, n, sum(pair)) @ tails)
    assert plan.power(n, *pair) == pytest.approx(oracle, abs=1e-9)


def test_power_and_rules_against_a_simulation() -> None:
    """Within a point: 20,000 comparisons of two policies, each sample drawn by itself."""
    rng, n, before, after = np.random.default_rng(3), 90, 0.4, 0.55
    old, new = rng.random((20_000, n)) < before, rng.random((20_000, n)) < after
    wins, losses = (new & ~old).sum(axis=1), (old & ~new).sum(axis=1)
    p = 2 * scipy.stats.binom.cdf(np.minimum(wins, losses), wins + losses, 0.5)
    said = plan.rules(n, *plan.independent(before, after), apart=0.1)
    gap = abs(wins - losses)
    assert said.exact == pytest.approx((p < 0.05).mean(), abs=0.01)
    assert said.noise_rule == pytest.approx((20 * gap > n).mean(), abs=0.01)
    assert said.apart == pytest.approx((10 * gap >= n).mean(), abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 14) | st.just(20), chances(), st.sampled_from([0.05, 0.1, 0.25, 1.0]))
def test_the_rules_are_enumerated(n: int, pair: tuple[float, float], apart: float) -> None:
    said = plan.rules(n, *pair, apart)
    assert said.exact == plan.power(n, *pair)
    by_rule = enumerated(n, *pair, lambda wins, losses: "real" in noise_rule(n, (wins - losses) / n))
    assert said.noise_rule == pytest.approx(by_rule, abs=1e-12)
    by_gap = enumerated(n, *pair, lambda wins, losses: abs(wins - losses) >= round(apart * n, 6))
    assert said.apart == pytest.approx(by_gap, abs=1e-12)


def test_false_alarms_of_the_noise_rule_are_those_of_two_binomials_and_the_exact_test_has_few() -> None:
    """One policy measured twice, as MEASUREMENT_RULES.md counts it: upwards, so half of what `rules` says."""
    seen = []
    for n in range(20, 100):
        passes = scipy.stats.binom.pmf(np.arange(n + 1), n, 0.3)
        gap = abs(np.arange(n + 1)[None, :] - np.arange(n + 1)[:, None])
        said = plan.rules(n, *plan.independent(0.3, 0.3), apart=0.05)
        assert said.noise_rule == pytest.approx(float((np.outer(passes, passes) * (20 * gap > n)).sum()), abs=1e-12)
        assert said.exact < 0.05
        assert said.noise_rule is not None
        seen.append(50 * said.noise_rule)
    assert (round(min(seen)), round(max(seen))) == (22, 36)
    assert plan.rules(100, 0.2, 0.2, 0.05).noise_rule is None, "it speaks of fewer than 100"


@settings(max_examples=40, deadline=None)
@given(chances(), st.sampled_from([0.3, 0.8, 0.9, 0.99]), LEVELS, st.sampled_from([60, 400]))
def test_the_smallest_number_is_the_first_from_which_power_stays(
    pair: tuple[float, float], wanted: float, level: float, most: int
) -> None:
    enough = np.array(plan.powers(range(1, most + 1), *pair, level)) >= wanted
    failing = np.flatnonzero(~enough)
    first = int(failing[-1]) + 2 if len(failing) else 1
    assert plan.smallest(*pair, wanted, level, most) == (first if first <= most else None)


def test_power_is_a_saw_and_the_smallest_number_knows() -> None:
    """Where every example changes the saw has all its teeth: a smaller number may have the power, a larger one not."""
    saw = np.array(plan.powers(range(1, 1001), 0.6, 0.4))
    teeth = 0
    for wanted in np.linspace(0.3, 0.95, 131):
        smallest = plan.smallest(0.6, 0.4, wanted, most=1000)
        assert smallest is not None
        assert (saw[smallest - 1 :] >= wanted).all()
        assert saw[smallest - 2] < wanted
        teeth += int(saw[: smallest - 1].max() >= wanted)
    assert teeth > 100
    assert plan.smallest(0.1, 0.1, 0.8) is None, "no difference is ever found"


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.sampled_from([0.0, 0.01, 0.2, 0.57, 1.0]))
def test_the_visible_difference_is_the_first_tenth_of_a_point(n: int, share: float) -> None:
    for split, widest in (
        (plan.share_changed(share), share),
        (lambda difference: plan.independent(share, min(1.0, share + difference)), 1 - share),
    ):
        seen = plan.visible_difference(n, split, widest, 0.8)
        tenths = [tenth / 1000 for tenth in range(1, round(1000 * widest) + 1)]
        enough = [difference for difference in tenths if plan.power(n, *split(min(difference, widest))) >= 0.8]
        assert seen == (enough[0] if enough else None)
        assert enough == tenths[len(tenths) - len(enough) :], "whoever finds it finds a larger one"


@pytest.mark.parametrize(
    ("n", "up", "down", "level"),
    [
        (0, 0.1, 0.1, 0.05),
        (plan.LARGEST + 1, 0.1, 0.1, 0.05),
        (9, -0.1, 0.1, 0.05),
        (9, 0.6, 0.5, 0.05),
        (9, float("nan"), 0.1, 0.05),
        (9, 0.1, 0.1, 0.0),
        (9, 0.1, 0.1, 1.0),
    ],
)
def test_what_is_no_chance_is_refused(n: int, up: float, down: float, level: float) -> None:
    with pytest.raises(ValueError, match=r"^(from 1 to|up and down|the level)"):
        plan.power(n, up, down, level)


# --- the commands ---------------------------------------------------------------------------------------------------


def test_a_guess_says_what_the_documents_say(command: Command, tmp_path: Path) -> None:
    done = command("course.plan", "--before", 0.2, "--after", 0.25, "--plot", tmp_path / "plan.png")
    assert done.code == 0
    assert "20.0 wins, 15.0 losses, 65.0 ties" in done.out
    assert re.search(r"^ *200 +19\.0 %  what you have", done.out, re.MULTILINE)
    assert "for a power of 80 %: 1,133 or more" in done.out
    rules = " ".join((ROOT / "MEASUREMENT_RULES.md").read_text(encoding="utf-8").split())
    assert "with 200 examples in 19 of 100 comparisons, and 80 of 100 take 1,133 examples" in rules
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def pilots(evaluate: Evaluate, tmp_path: Path) -> Callable[[str, str], tuple[Path, Path]]:
    """Two runs of 40 examples without sidecars; each digit is an example's passes of two samples, `-` is one pass."""
    data = write_rows(
        tmp_path / "pilot_dev.jsonl",
        [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(40)],
    )

    def runs(*passes: str) -> tuple[Path, Path]:
        made: list[Path] = []
        for number, digits in enumerate(passes):
            samples = 2 if "2" in digits else 1
            rows = [
                {"id": f"x{n}", "sample": s, "completion": f"Final: {n + 1 if s < int(digit) else -1}"}
                for n, digit in enumerate(digits)
                for s in range(samples)
            ]
            declared = ("--parent", made[0], "--change", "one thing") if made else ()
            made.append(evaluate(*declared, data=data, said=write_rows(tmp_path / f"said{number}.jsonl", rows)))
        return made[0], made[1]

    return runs


def test_a_pilot_is_counted_and_several_samples_each_meet_each(
    command: Command, pilots: Callable[[str, str], tuple[Path, Path]]
) -> None:
    single = command("course.plan", *pilots("1" * 10 + "0" * 30, "0" * 4 + "1" * 14 + "0" * 22))
    assert single.code == 0
    assert "Of 100 examples: 20.0 wins, 10.0 losses, 70.0 ties" in single.out
    several = command("course.plan", *pilots("2" * 10 + "1" * 10 + "0" * 20, "1" * 20 + "2" * 10 + "0" * 10))
    # 10 of 1 and 1/2, 10 of 1/2 and 1/2, 10 of 0 and 1, 10 of 0 and 0
    assert "Of 100 examples: 31.2 wins, 18.8 losses, 50.0 ties" in several.out
    assert "if as large a share of examples changes" in several.out


def test_a_comparison_says_what_it_could_have_found(
    command: Command, pilots: Callable[[str, str], tuple[Path, Path]]
) -> None:
    runs = pilots("1" * 10 + "0" * 30, "0" * 8 + "1" * 14 + "0" * 18)  # 12 wins, 8 losses
    done = command("course.compare", *runs)
    seen = plan.visible_difference(40, plan.share_changed(0.5), 0.5, 0.8)
    assert seen is not None
    said = f"It could have found: a difference of {100 * seen:.1f} points or more, in 80 of 100 such comparisons"
    assert said in done.out
    page = runs[1].parent / "page.html"
    assert command("course.report", *runs, "--out", page).code == 0
    assert said[21:] in page.read_text(encoding="utf-8")
    few = command("course.compare", *pilots("1" * 10 + "0" * 30, "1" * 12 + "0" * 28))
    assert "no difference in 80 of 100 such comparisons: only 2 of 40 examples changed" in few.out
    for others in (("1" * 10 + "0" * 30, "0" * 10 + "1" * 30), ("2" * 10 + "0" * 30, "2" * 11 + "0" * 29)):
        silent = command("course.compare", *pilots(*others))
        assert silent.code == 0
        assert "could have found" not in silent.out, "a difference that is found, or several samples"
    assert "could have found" not in command("course.compare", runs[0], runs[0]).out, "nothing was drawn twice"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "course.plan: give --before and --after, or two pilot runs"),
        (("--before", 0.2), "course.plan: give --before and --after, or two pilot runs"),
        (("a", "b", "--after", 0.2), "course.plan: give --before and --after, or two pilot runs"),
        (("a",), "course.plan: give --before and --after, or two pilot runs"),
        (("nowhere", "nowhere"), "nowhere: no such run"),
        (("--before", 0.2, "--after", 0.2), "--after: the same as --before"),
        (("--before", "nan", "--after", 0.2), "--before: a finite number"),
        (("--before", 0.2, "--after", 1.2), "--after: at least 0 and at most 1"),
        (("--before", 0.2, "--after", 0.3, "--n", 0), "--n: at least 1"),
        (("--before", 0.2, "--after", 0.3, "--plot", "/dev/null/x"), "--plot: no file can be written"),
    ],
)
def test_bad_words_take_one_line(words: tuple[object, ...], reason: str, command: Command) -> None:
    done = command("course.plan", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert reason in done.err


def test_a_pilot_that_could_not_be_compared_is_refused(
    command: Command, pilots: Callable[[str, str], tuple[Path, Path]]
) -> None:
    before, after = pilots("1" * 40, "0" * 40)
    rows = [json.loads(line) for line in (after / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    write_rows(after / "results.jsonl", [{**row, "reward": 1.0} for row in rows])
    done = command("course.plan", before, after)
    assert (done.code, done.out) == (2, "")
    assert "no pilot of a comparison" in done.err
