"""The ledger: its rows and their numbers, the page, and that each verdict follows the code: made wrong, it changes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from course import kl_tradeoff_demo, select_or_learn, selection_demo, token_inspect, toy_mdp
from course.core import bandit, golden, measurement, scoring, selection, stats
from course.core.paths import PI0
from course.grading.mutants import mutant_named, reads
from course.ledger import measuring, on_policy
from course.ledger.ledger import NOT_HERE, Claim, Outcome, Record, load_claims, load_record
from course.ledger.measurements import MODULE_OF, needs_torch, seeds_of, take, together
from course.ledger.page import PAGE, PICTURES, WITH_PICTURE, page
from course.policy import goodhart, noise, one_update, reinforce, three_ways
from course.policy.core import learning, sampling
from course.rubrics import RUBRICS, integers
from course.score import score
from tests.conftest import ROOT, Command

CLAIMS = load_claims()
QUICK = [name for name in MODULE_OF if not needs_torch(name)]


@pytest.fixture(scope="module")
def record() -> Record:
    return load_record()


def flat(text: str) -> str:
    return " ".join(text.replace("\n> ", " ").split())


def test_forty_claims_or_more_thirty_measured_and_each_says_how_it_would_be_refuted(record: Record) -> None:
    measured = [claim for claim in CLAIMS if claim.parts]
    assert len(CLAIMS) >= 40
    assert len(measured) >= 30
    assert len({claim.sentence for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.said_in, claim.sentence
        assert bool(claim.parts) == bool(claim.command) == bool(claim.refuted_by) == (not claim.why), claim.sentence
    assert {name for claim in measured for name in claim.measurements} == MODULE_OF.keys() == record.outcomes.keys()
    for name, outcome in record.outcomes.items():
        assert outcome.seeds == seeds_of(name, 0)
        assert outcome.n > 0
        assert all(len(values) == len(outcome.seeds) for values in outcome.values.values())
    known = {f"{name}.{key}" for name, outcome in record.outcomes.items() for key in outcome.values}
    assert {part.key for claim in measured for part in claim.parts} <= known


def test_a_sentence_to_remember_stands_where_a_claim_does_not_simply_hold_and_the_pages_use_its_words(
    record: Record,
) -> None:
    paths = [*(ROOT / "docs").glob("*.md"), ROOT / "MEASUREMENT_RULES.md", ROOT / "README.md"]
    pages = {path.name: flat(path.read_text(encoding="utf-8")) for path in paths if path.name != Path(PAGE).name}
    for claim in CLAIMS:
        holds = claim.verdict(record.outcomes) in ("holds", NOT_HERE)
        assert bool(claim.remember) == (not holds), claim.sentence
        if not holds:
            saying = [name for name, text in pages.items() if claim.remember in text]
            assert saying, f"no page says: {claim.remember}"
            begun = [name for name, text in pages.items() if claim.remember[:30] in text]
            assert begun == saying, f"other words than: {claim.remember}"


def test_the_page_is_what_the_record_gives(record: Record) -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(CLAIMS, record)
    drawn = {path.stem for path in (ROOT / PICTURES).iterdir()}
    assert drawn == WITH_PICTURE.keys()


def test_the_readme_opens_with_three_rows_of_the_record(record: Record) -> None:
    """Its numbers are those of the claim's parts, in their order, as the ledger shows them."""
    rows = re.findall(r"^\| (.+\.) \| (.+) \| (.+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) == 3
    for sentence, said, verdict in rows:
        claim = next(claim for claim in CLAIMS if claim.sentence == sentence)
        assert verdict == claim.verdict(record.outcomes)
        shown = [part.show(record.outcomes[part.measurement].mean(part.name)).split()[0] for part in claim.parts]
        assert re.findall(r"[+-]?[0-9]+\.[0-9]", said) == shown


@pytest.mark.parametrize("name", QUICK)
def test_measured_anew_a_quick_measurement_says_what_the_record_says(name: str, record: Record, tmp_path: Path) -> None:
    fresh = measured(name, tmp_path, 100, len(record.outcomes[name].seeds))
    for claim in CLAIMS:
        if name in claim.measurements:
            assert claim.verdict({**record.outcomes, name: fresh}) == claim.verdict(record.outcomes), claim.sentence
    if not record.outcomes[name].seeds[1:]:  # no chance in it
        assert all(record.outcomes[name].agrees(fresh, key) for key in fresh.values)


def test_a_slow_one_at_small_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight steps in place of forty: the claims on learning hold already."""
    monkeypatch.chdir(tmp_path)
    small = together([0], [on_policy.learning(0, steps=8)])
    claim = next(claim for claim in CLAIMS if claim.parts and claim.parts[0].key == "learning.gain")
    assert claim.verdict({"learning": small}) == "holds"
    assert not any((tmp_path / "runs" / ".reinforce").iterdir())


def test_intervals() -> None:
    """Student's prediction interval for the mean of three more, Wilson's for a rate; a number alone is a point."""
    outcome = Outcome({"a": [1.0, 2.0, 3.0], "b": [(40, 200)]}, 1, "x", [0, 1, 2], 0.0)
    low, high = outcome.interval("a")
    assert (low + high) / 2 == pytest.approx(2)
    assert high - low == pytest.approx(2 * 4.3027 * (2 / 3) ** 0.5, rel=0.01)
    assert outcome.interval("b") == pytest.approx(stats.wilson(0.2, 200))
    point = Outcome({"a": [0.25]}, 1, "x", [0], 0.0)
    assert point.interval("a") == (0.25, 0.25)
    assert point.agrees(point, "a")
    assert not point.agrees(Outcome({"a": [0.26]}, 1, "x", [0], 0.0), "a")


def measured(name: str, folder: Path, first: int = 0, seeds: int = 1) -> Outcome:
    numbers = list(range(first, first + seeds)) if seeds > 1 else [first if first and seeds_of(name, 0)[1:] else 0]
    return together(numbers, [take(name, seed, folder) for seed in numbers])


# The command.


def test_the_ledger_is_printed_and_one_claim_is_measured_anew(command: Command, tmp_path: Path) -> None:
    done = command("course.claims")
    assert done.code == 0
    assert f"{len(CLAIMS)} claims" in done.out
    assert "Next: python -m course.claims" in done.out
    number = next(n for n, claim in enumerate(CLAIMS, 1) if claim.measurements == ["leash"])
    done = command("course.claims", str(number), "--runs-dir", str(tmp_path / "runs"))
    assert done.code == 0, done.out + done.err
    assert "verdict: holds; the record says: holds" in done.out
    assert not list((tmp_path / "runs" / ".claims").iterdir())
    assert command("course.verify_run", "--run", str(tmp_path / "runs" / "run_001")).code == 0


@pytest.mark.parametrize(
    "words", [("0",), ("999",), ("x",), ("--record",), ("1", "--record"), ("--all", "--record"), ("--seed", "-1")]
)
def test_what_cannot_be_measured_is_refused_in_a_line(command: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = command("course.claims", *words, "--runs-dir", str(tmp_path / "runs"))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_claim_that_cannot_be_measured_says_why(command: Command, tmp_path: Path) -> None:
    number = next(n for n, claim in enumerate(CLAIMS, 1) if claim.why)
    done = command("course.claims", str(number), "--runs-dir", str(tmp_path / "runs"))
    assert done.code == 2
    assert CLAIMS[number - 1].why in done.err


def test_another_verdict_than_the_recorded_one_is_said_and_is_exit_code_1(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = next(n for n, claim in enumerate(CLAIMS, 1) if claim.measurements == ["leash"])
    monkeypatch.setattr(kl_tradeoff_demo, "closed_form", lambda reference, rewards, beta: np.tile(reference, (12, 1)))
    done = command("course.claims", str(number), "--runs-dir", str(tmp_path / "runs"))
    assert done.code == 1
    assert "verdict: does not hold here; the record says: holds" in done.out


def test_it_resumes_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = take("leash", 0, tmp_path)
    monkeypatch.setattr(kl_tradeoff_demo, "run", None)
    assert take("leash", 0, tmp_path) == once


# Every measured claim can be refuted: the code is made wrong in one way, and the verdict is another one.

Patch = Callable[[pytest.MonkeyPatch], None]
SABOTAGE: dict[str, tuple[Patch, tuple[str, ...]]] = {}  # name -> how, and the first part of each claim that changes


def sabotage(*first_parts: str) -> Callable[[Patch], Patch]:
    def enter(patch: Patch) -> Patch:
        SABOTAGE[patch.__name__] = patch, first_parts
        return patch

    return enter


@sabotage("draws.several_answers", "draws.spread")
def every_sample_reads_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, first = measurement.Measurement.answers, dict[str, Any]()

    def same(self: measurement.Measurement) -> Iterator[Any]:
        for row, code in answers(self):
            first.setdefault(row.id, row.completion)
            yield type(row)(row.id, first[row.id], row.sample), code

    monkeypatch.setattr(measurement.Measurement, "answers", same)


@sabotage("frozen.kinds")
def every_failure_has_one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "score", mutant_named("one_code"))


@sabotage("luck.two_points")
def differences_are_a_tenth_of_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    true = stats.paired
    monkeypatch.setattr(stats, "paired", lambda *pair: replace(true(*pair), difference=true(*pair).difference / 10))


@sabotage("luck.called_real")
def the_noise_rule_asks_for_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "NOISE_RULE_MARGIN", 0.25)


@sabotage("instruments.spread", "instruments.paid_and_refused")
def every_rubric_is_the_strict_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "scorer_named", lambda _: score)


@sabotage("colder.moved")
def temperature_is_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    true = sampling.sample_completions

    def at_one(policy: Any, tokenizer: Any, items: Any, temperature: float, top_p: float, seed: int) -> list[str]:
        return true(policy, tokenizer, items, 1.0, top_p, seed)

    monkeypatch.setattr(on_policy, "sample_completions", at_one)


@sabotage("garbage.loose")
def anywhere_has_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUBRICS, "anywhere", SimpleNamespace(score=score))


@sabotage("golden.caught")
def the_gate_finds_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "error_of", lambda *_: ("", ""))


@sabotage("totality.raised")
def the_scorer_raises_for_long_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "score", mutant_named("huge_number_crash"))


@sabotage("proxy_gap.right_of_paid")
def the_number_is_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "score", mutant_named("number_never_compared"))


@sabotage("tokens.sequences")
def white_space_is_dropped_before_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    true = token_inspect.tokens_of
    monkeypatch.setattr(token_inspect, "tokens_of", lambda tokenizer, text: true(tokenizer, " ".join(text.split())))


@sabotage("logprobs.apart")
def all_tokens_are_equally_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "token_logprobs", lambda *_: [0.0])


@sabotage("tokens.digits_apart")
def both_tokenizers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_inspect, "SHIPPED", dict.fromkeys(("a", "b"), PI0 / "tokenizer.json"))


@sabotage("two_ways.selection_answers")
def selection_gives_its_first_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    true = select_or_learn.answer_rate
    monkeypatch.setattr(select_or_learn, "answer_rate", lambda probs, rewards, n, seed: true(probs, rewards, 1, seed))


@sabotage("two_ways.selection_cost")
def selection_draws_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = select_or_learn.Settings
    monkeypatch.setattr(select_or_learn, "Settings", lambda seed: settings(seed=seed, n=1))


@sabotage("selection.gain", "selection.chosen")
def pick_best_takes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection_demo, "pick_best", lambda samples: samples[0])


@sabotage("equal_draws.at_least_one")
def pass_at_k_takes_prompts_for_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    def pooled(counts: list[tuple[int, int]], k: int) -> float:
        return 1 - (1 - sum(c for _, c in counts) / sum(n for n, _ in counts)) ** k

    monkeypatch.setattr(stats, "mean_pass_at_k", pooled)


@sabotage("selection.smallest_step")
def pass_at_k_ignores_k(monkeypatch: pytest.MonkeyPatch) -> None:
    true = stats.mean_pass_at_k
    monkeypatch.setattr(stats, "mean_pass_at_k", lambda counts, _: true(counts, 1))


@sabotage("weak_selection.lost")
def the_selector_is_always_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "scorer_named", lambda _: score)


@sabotage("two_ways.learning_pass_at_1", "bandit.same_sign")
def the_gradient_points_down(monkeypatch: pytest.MonkeyPatch) -> None:
    true = bandit.log_prob_gradient
    monkeypatch.setattr(bandit, "log_prob_gradient", lambda *how: -true(*how))


@sabotage("variance.early", "steadiness.spread")
def the_baseline_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    true = bandit.take_step

    def added(theta: Any, rewards: Any, actions: Any, baseline: Any, learning_rate: float) -> bandit.Update:
        return true(theta, rewards, actions, -baseline, learning_rate)

    monkeypatch.setattr(bandit, "take_step", added)


@sabotage("unbiased.none")
def the_gradient_forgets_the_other_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandit, "log_prob_gradient", lambda probs, actions: np.eye(probs.shape[-1])[actions])


@sabotage("two_steps.by_return")
def the_gradient_of_two_steps_points_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_mdp, "log_prob_gradient", lambda *how: -bandit.log_prob_gradient(*how))


@sabotage("leash.reward_rises")
def beta_multiplies_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        kl_tradeoff_demo,
        "closed_form",
        lambda reference, rewards, beta: bandit.softmax(np.log(reference) + rewards * beta[:, None]),
    )


@sabotage("leash.truth_rises_first")
def the_rubric_is_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kl_tradeoff_demo, "score", RUBRICS[kl_tradeoff_demo.RUBRIC].score)


@sabotage("one_update.gains_differ")
def later_tokens_count_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def discounted(log_policy: Tensor, advantage: Tensor, samples: int) -> Tensor:
        weights = 0.9 ** torch.arange(log_policy.shape[1])
        return -(advantage * (log_policy * weights).sum(dim=1)).sum() / samples

    monkeypatch.setattr(one_update, "loss_of", discounted)


@sabotage("learning.gain", "learning.in_form_gain", "shift.frozen_off", "shift.reweighted_off", "shift.unseen_failures")
def nothing_is_an_advantage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "advantages", lambda rewards, *_: rewards * 0)


@sabotage("three_ways.variety_lost", "three_ways.selection_nearer")
def reinforce_learns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "advantages", lambda rewards, *_: rewards * 0)


@sabotage("three_ways.tuned_less_covered")
def fine_tuning_learns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(three_ways, "fine_tune", lambda *_: None)


@sabotage("learning.samples")
def any_text_with_a_number_is_in_form(monkeypatch: pytest.MonkeyPatch) -> None:
    last = reads(lambda text: (integers(text) or [None])[-1])()  # type: ignore[list-item]
    monkeypatch.setattr(learning, "score", last)


@sabotage("frontier.kl_rises", "goodhart_tolerant.strict_leashed", "goodhart_tolerant.kl_saved")
def the_leash_takes_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "leash_penalty", lambda policy, reference, rollouts, beta: torch.zeros(256))


@sabotage("goodhart_tolerant.proxy_gain")
def tolerant_has_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUBRICS, "tolerant", SimpleNamespace(score=score, hole="none"))


@sabotage("goodhart_format_only.proxy_gain")
def format_only_compares_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUBRICS, "format_only", SimpleNamespace(score=score, hole="none"))


@sabotage("goodhart_length_shaped.untaught")
def every_shape_counts_as_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goodhart, "harvest", lambda after, before: [{"count": len(after), "taught": True}])
    monkeypatch.setattr(goodhart, "candidates", lambda *_: [])


@sabotage("noise.some_of_clean")
def no_reward_is_flipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def clean(policy: Any, reference: Any, optimizer: Any, tokenizer: Any, train: Any, settings: Any, step: int) -> Any:
        calm = replace(settings, reward_flip_rate=0.0)
        return reinforce.train_step(policy, reference, optimizer, tokenizer, train, calm, step)

    monkeypatch.setattr(noise, "train_step", clean)


def claim_of(first_part: str) -> Claim:
    return next(claim for claim in CLAIMS if claim.parts and claim.parts[0].key == first_part)


def test_every_measured_claim_has_a_way_to_be_refuted() -> None:
    covered = [part for _, parts in SABOTAGE.values() for part in parts]
    assert sorted(covered) == sorted(claim.parts[0].key for claim in CLAIMS if claim.parts)


def is_quick(parts: tuple[str, ...]) -> bool:
    return not any(needs_torch(name) for part in parts for name in claim_of(part).measurements)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if is_quick(parts) else pytest.mark.prove) for n, (_, parts) in SABOTAGE.items()]
)
def test_with_wrong_code_the_verdict_is_another(
    name: str, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    patch, parts = SABOTAGE[name]
    patch(monkeypatch)
    wrong: dict[str, Outcome] = {}
    for part in parts:
        claim = claim_of(part)
        of_part = part.partition(".")[0]
        for measurement_name in claim.measurements:
            if measurement_name not in wrong and (measurement_name == of_part or is_quick((part,))):
                wrong[measurement_name] = measured(measurement_name, tmp_path)
        verdict = claim.verdict({**record.outcomes, **wrong})
        assert verdict != claim.verdict(record.outcomes), f"{claim.sentence} {verdict}"
