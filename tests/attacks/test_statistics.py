"""Measurements made to break the statistics: lopsided, huge, odd, all alike. No number collapses, and no command ends
in a traceback."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from course.core import stats
from tests.conftest import Command, Done, write_rows

Counts = list[stats.Counts]
Compared = Callable[[Counts, Counts], Done]


@pytest.fixture
def compared(command: Command, evaluate: Callable[..., Path], tmp_path: Path) -> Callable[..., Done]:
    """Two runs with so many samples and passes of each example, compared by a command."""

    def compare(before: Counts, after: Counts, module: str = "course.compare", *words: object) -> Done:
        rows = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(len(before))]
        data, runs = write_rows(tmp_path / "set_dev.jsonl", rows), list[Path]()
        for name, counts in (("before", before), ("after", after)):
            said = [
                {"id": f"x{n}", "completion": f"Final: {n + 1 if sample < passes else -1}", "sample": sample}
                for n, (samples, passes) in enumerate(counts)
                for sample in range(samples)
            ]
            parent = ("--parent", runs[0], "--change", "one thing") if runs else ()
            runs.append(evaluate(*parent, data=data, said=write_rows(tmp_path / f"{name}.jsonl", said)))
        return command(module, *runs, *words)

    return compare


ODD = [n for n in range(2, 888) if all(n % q for q in range(2, math.isqrt(n) + 1))]  # 154 primes


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param([(1, 0)] * 400, [(1, 1)] * 400, ("exact paired p:  7.7e-121", "p = 7.7e-121"), id="400 wins to 0"),
        pytest.param([(1, 1)] * 400, [(1, 0)] * 400, ("7.7e-121", "worse by 100.0 points"), id="400 losses to 0"),
        pytest.param(
            [(1, 0)] * 598 + [(1, 1)] * 2, [(1, 1)] * 598 + [(1, 0)] * 2, ("8.7e-176",), id="598 wins to 2 losses"
        ),
        pytest.param(
            [(1, 0)] * 1100, [(1, 1)] * 1100, ("p:  < 1e-300", "(p < 1e-300)"), id="1,100 wins to 0: no digits left"
        ),
        pytest.param([(8, 0)] * 300, [(8, 1)] * 300, ("9.8e-91", "300 rate up, 0 rate down"), id="300 small steps up"),
        pytest.param([(n, 0) for n in ODD], [(n, 1) for n in ODD], ("exact", "8.8e-47"), id="154 odd counts, one way"),
        pytest.param(
            [(n, 1) for n in ODD],
            [(n, 2 - (n > 400)) for n in ODD],
            ("78 rate up, 0 rate down, 76 equal", "6.6e-24"),
            id="half of them equal",
        ),
        pytest.param(
            [(n, 1 + (n % 4 == 1)) for n in ODD],
            [(n, 1 + (n % 4 == 3)) for n in ODD],
            ("paired p (drawn):",),
            id="154 odd counts, both ways",
        ),
        pytest.param([(8, 0)] * 4, [(8, 2)] * 4, ("p = 0.125", "interval -2.5 to +52.5"), id="all change by the same"),
        pytest.param([(8, 8)] * 4, [(8, 6)] * 4, ("p = 0.125", "interval -52.5 to +2.5"), id="all fall by the same"),
        pytest.param([(8, 3)] * 5, [(8, 3)] * 5, ("p = 1.000", "-39.6 to +39.6"), id="nothing moves"),
        pytest.param([(1, 0)] * 4, [(8, 2)] * 4, ("4 rate up, 0 rate down, 0 equal",), id="one sample against eight"),
        pytest.param([(8, 1)], [(8, 7)], ("p = 1.000", "1 rate up"), id="a single example"),
        pytest.param([(1, 0)], [(1, 1)], ("p = 1.000", "1 wins"), id="a single pair"),
        pytest.param([(1, 0)] * 3, [(1, 0)] * 3, ("0 wins, 0 losses, 3 ties", "p = 1.000"), id="nothing ever passes"),
        pytest.param([(20_000, 1)], [(20_000, 19_999)], ("1 rate up",), id="one example, 20,000 samples"),
    ],
)
def test_a_comparison_has_every_digit_and_no_point_for_an_interval(
    before: Counts, after: Counts, said: tuple[str, ...], compared: Compared
) -> None:
    done = compared(before, after)
    assert done.code == 0, done.err
    assert done.err == ""
    for words in said:
        assert words in done.out, done.out
    low, high = (float(bound) for bound in re.findall(r"interval ([+-][\d.]+) to ([+-][\d.]+)", done.out)[0])
    assert high - low > 0.4, "points"
    assert not re.search(r"p(?: = |: +)0\.000|\b(?:nan|inf)\b", done.out)


@pytest.mark.parametrize(
    ("before", "after", "said", "not_said"),
    [
        pytest.param(
            [(1, 1)] * 2 + [(1, 0)] * 2,
            [(8, 8)] + [(8, 0)] * 3,
            ("50.0 % → 25.0 %", "50.0 % → 75.0 %", "Each is a share of its own run", "0 rate up, 1 rate down, 3 equal"),
            ("2 → 8", "wins"),
            id="one sample before and eight after: shares",
        ),
        pytest.param(
            [(1, 1)] * 2 + [(1, 0)] * 2,
            [(1, 1)] + [(1, 0)] * 3,
            ("2 → 1", "2 → 3", "0 wins, 1 losses, 3 ties", "Press `losses`"),
            ("50.0 % → 25.0 %", "share of its own run", "rate up"),
            id="one sample each: counts",
        ),
        pytest.param(
            [(8, 8)] * 2 + [(8, 0)] * 2,
            [(8, 8)] + [(8, 0)] * 3,
            ("16 → 8", "0 rate up, 1 rate down, 3 equal", "Press `rate down`"),
            ("wins", "losses"),
            id="eight samples each: counts, and no wins",
        ),
    ],
)
def test_a_page_compares_like_with_like(
    before: Counts,
    after: Counts,
    said: tuple[str, ...],
    not_said: tuple[str, ...],
    compared: Callable[..., Done],
    tmp_path: Path,
) -> None:
    out = tmp_path / "page.html"
    done = compared(before, after, "course.report", "--out", out)
    assert done.code == 0, done.err
    text = re.sub(r"<(script|style).*?</\1>", "", out.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    for words in said:
        assert words in text, words
    for words in not_said:
        assert words not in text, words


@pytest.mark.parametrize(
    ("counts", "k"),
    [
        pytest.param([(999_999, 1)], 500_000, id="a million samples, one right"),
        pytest.param([(999_999, 999_998)], 2, id="a million samples, one wrong"),
        pytest.param([(999_999, 0), (999_999, 999_999)], 999_999, id="a million samples, all or none"),
        pytest.param([(10_001, 5_000)], 5_001, id="just past counting with whole numbers"),
        pytest.param([(1, 0)] * 100_000 + [(1, 1)], 1, id="a hundred thousand examples, one right"),
        pytest.param([(3, 1), (7, 7)] * 50_000, 2, id="a hundred thousand examples of two kinds"),
    ],
)
def test_huge_counts_give_numbers(counts: Counts, k: int) -> None:
    for rate in (stats.mean_pass_at_k(counts, k), stats.mean_pass_hat_k(counts, k)):
        assert 0 <= rate <= 1
    low, high = stats.rate_interval(counts)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= stats.mean_pass_at_k(counts, 1) <= high + 1e-12
    assert math.isfinite(stats.clustered_error(counts))
    assert 1 <= stats.effective_samples(counts) <= sum(n for n, _ in counts)


@pytest.mark.parametrize(
    ("samples", "passes"),
    [
        pytest.param(1, 0, id="nothing passes"),
        pytest.param(1, 4, id="everything passes"),
        pytest.param(3, 0, id="nothing passes, three times"),
        pytest.param(3, 4, id="everything passes, three times"),
    ],
)
def test_a_run_at_an_end_of_the_scale_has_an_interval(
    samples: int, passes: int, evaluate: Callable[..., Path], command: Command, tmp_path: Path
) -> None:
    rows = [
        {"id": f"x{n}", "completion": f"Final: {n + (n < passes)}", "sample": s}
        for n in range(4)
        for s in range(samples)
    ]
    run = evaluate(said=write_rows(tmp_path / "end.jsonl", rows))
    low, high = json.loads((run / "summary.json").read_text(encoding="utf-8"))["pass_at_1_interval"]
    assert 0 <= low < high <= 1
    assert high - low > 0.4, "four examples say little, however often they are asked"
    assert command("course.verify_run", "--run", run).code == 0
