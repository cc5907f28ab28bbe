"""The locked room: it refuses and names, or answers exactly."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.stats

from course.core.comparison import Checked, NotComparable, compare_runs
from course.core.stats import paired
from course.core.verification import Verification
from tests.conftest import Command, write_rows

Evaluate = Callable[..., Path]


def declared(parent: Path) -> tuple[str, ...]:
    return "--parent", str(parent), "--change", "one thing"


def test_a_declared_change_of_policy_is_answered(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before")
    after = measured(set(range(5, 25)), *declared(before), name="after", policy="b", learned_from="a")
    done = command("course.compare", before, after)
    assert done.code == 0
    assert "declared change: one thing" in done.out
    assert "Loop C, learning" in done.out
    assert "15 wins, 5 losses, 20 ties" in done.out
    p = scipy.stats.binomtest(15, 20).pvalue
    assert f"exact paired p:  {p:.3f}" in done.out
    assert "Verdict: the second run is better by 25.0 points, more than luck explains" in done.out
    assert "calls it real" in done.out
    assert f"--run {after} --id=x0" in done.out


def test_luck_is_called_luck(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before")
    after = measured(set(range(14)), *declared(before), name="after", policy="b")
    done = command("course.compare", before, after)
    assert done.code == 0
    assert "Verdict: no difference that luck does not explain (10.0 points, p = 0.125)" in done.out
    assert "calls it real" in done.out, "the rule of thumb is wrong here, and both are shown"


def test_a_second_draw_and_the_same_completions(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before")
    again = measured(set(range(4, 13)), name="again", seed=1)
    assert "Loop A, measurement: the same policy sampled again" in command("course.compare", before, again).out
    lucky = command("course.compare", before, measured(set(range(30)), name="lucky", seed=2)).out
    assert "two draws of one policy" in lucky
    assert "better" not in lucky, "nothing was changed, so nothing improved"
    done = command("course.compare", before, before)
    assert "the same completions measured twice" in done.out
    assert "p = 1.000" in done.out


def test_several_samples_are_paired_by_example(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before", samples=4)
    after = measured(set(range(16)), *declared(before), name="after", samples=4, policy="b")
    done = command("course.compare", before, after)
    assert "6 rate up, 0 rate down, 34 equal" in done.out
    assert "p = 0.031" in done.out, "24 completions won, but only 6 examples: their samples are not independent"


@pytest.mark.parametrize(
    ("change", "named", "meaning"),
    [
        ({"temperature": 0.5}, "temperature changed", "an undeclared change"),
        ({"policy": "b"}, "policy changed", "an undeclared change"),
        ({"policy": "b", "temperature": 0.5}, "temperature: 1.0 before, 0.5 after", "two knobs at once"),
        ({"top_p": 0.9, "max_new_tokens": 32}, "max_new_tokens: 16 before, 32 after", "two knobs at once"),
        ({"policy": None}, "sampling: known of one run, unknown of the other", "a change that cannot be named"),
        ({"samples": 2}, "samples per prompt changed", "an undeclared change"),
    ],
)
def test_what_differs_is_named_and_refused(
    change: dict[str, Any], named: str, meaning: str, command: Command, measured: Callable[..., Path]
) -> None:
    before = measured(set(range(10)), name="before")
    after = measured(set(range(12)), name="after", **change)
    done = command("course.compare", before, after)
    assert done.code == 1
    assert done.out.startswith("REFUSED")
    assert named in done.out
    assert meaning in done.out


def test_another_environment_is_refused(
    command: Command, measured: Callable[..., Path], room: Path, tmp_path: Path
) -> None:
    before = measured(set(range(10)), name="before")
    rows = [json.loads(line) for line in room.read_text().splitlines()]
    for row in rows:
        row["prompt"] += " Think."
    other = write_rows(tmp_path / "room_holdout.jsonl", rows)
    done = command("course.compare", before, measured(set(range(12)), *declared(before), name="after", data=other))
    assert done.code == 1
    for thing in ("dataset: ", "split: dev before, holdout after", "prompts: ", "a new environment"):
        assert thing in done.out


def test_another_scorer_is_refused(
    command: Command, measured: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measured(set(range(10)), name="before")
    monkeypatch.setattr("course.score.SPEC_VERSION", "2")
    done = command("course.compare", before, measured(set(range(12)), *declared(before), name="after"))
    assert done.code == 1
    assert "scorer spec: 1 before, 2 after" in done.out
    assert "a new instrument" in done.out


def test_unknown_sampling_rests_on_the_declaration(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before", policy=None)
    assert "an undeclared change" in command("course.compare", before, measured({1}, name="x", policy=None)).out
    after = measured(set(range(20)), *declared(before), name="after", policy=None)
    done = command("course.compare", before, after)
    assert done.code == 0
    assert "the declaration is all there is" in done.out


def test_a_tokenizer_is_part_of_the_policy(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before")
    after = measured(set(range(12)), *declared(before), name="after", policy="b", tokenizer="u")
    done = command("course.compare", before, after)
    assert done.code == 0
    assert "another policy: what changed between the two is not known here" in done.out
    done = command("course.compare", before, measured(set(range(12)), name="undeclared", policy="b", tokenizer="u"))
    assert "policy changed" in done.out


def test_runs_over_other_examples_are_refused(measured: Callable[..., Path]) -> None:
    """Two manifests may agree where the results do not; verifying finds that too, but is not relied on."""
    before, after = measured(set(range(10)), name="before"), measured(set(range(9)), name="again", seed=1)
    results = (after / "results.jsonl").read_bytes().splitlines(keepends=True)
    (after / "results.jsonl").write_bytes(b"".join(results[:-2]))
    outcome = compare_runs(Checked(before, Verification()), Checked(after, Verification()))
    assert isinstance(outcome, NotComparable)
    assert "2 are in one run only, 'x38' first" in outcome.reasons[0][0]


def test_the_order_matters(command: Command, measured: Callable[..., Path]) -> None:
    before = measured(set(range(10)), name="before")
    after = measured(set(range(20)), *declared(before), name="after", policy="b")
    assert "swap the two runs" in command("course.compare", after, before).out


def test_a_tampered_run_is_refused(command: Command, measured: Callable[..., Path]) -> None:
    before, after = measured(set(range(10)), name="before"), measured(set(range(9)), name="again", seed=1)
    text = (after / "results.jsonl").read_text().replace("Final: -1", "Final: 40", 1)
    (after / "results.jsonl").write_text(text)
    done = command("course.compare", before, after)
    assert done.code == 1
    assert "a run that does not verify" in done.out
    assert command("course.compare", before, "nowhere").code == 2


def test_the_paired_statistics_against_scipy() -> None:
    rng = random.Random(5)
    for _ in range(50):
        before = {f"x{n}": (1, int(rng.random() < 0.3)) for n in range(60)}
        after = {f"x{n}": (1, int(rng.random() < 0.5)) for n in range(60)}
        verdict = paired(before, after)
        discordant = len(verdict.wins) + len(verdict.losses)
        assert verdict.p == pytest.approx(scipy.stats.binomtest(len(verdict.wins), discordant).pvalue, abs=1e-12)
        assert verdict.difference == pytest.approx((len(verdict.wins) - len(verdict.losses)) / 60)
        mirrored = paired(after, before)
        assert mirrored.p == verdict.p
        assert mirrored.interval == pytest.approx((-verdict.interval[1], -verdict.interval[0]))
