"""The experiments on π0: what each computes against enumeration, and each command once, small."""

import itertools
import json
import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course.core.golden import load_cases
from course.core.paths import DEV, HOLDOUT, PI0
from course.core.verification import verify
from course.datasets import Example, load_dataset
from course.policy import frontier, noise, one_update, shift, three_ways
from course.policy.core.experiment import ExperimentOptions, counts_of, open_experiment
from course.policy.core.learning import ScoredCompletion, Settings, State, score_completions
from course.policy.core.rollouts import logprobs, roll_out
from course.policy.core.sampling import load_checkpoint, rng_for, token_logprobs
from course.policy.goodhart import GoodhartSettings, candidates, family, harvest, parted, taught_families
from course.policy.reinforce import prompts_of_step, train_step
from course.rubrics import RUBRICS
from course.score import score
from tests.conftest import ROOT, Command, write_rows

SMALL = ("--prompts-per-step", 16, "--samples-per-prompt", 8, "--learning-rate", 1e-3)


@pytest.fixture
def few_sets(tmp_path: Path) -> tuple[object, ...]:
    """Options that put thirty dev and thirty holdout problems for all of them, so that a run takes seconds."""
    words: list[object] = []
    for split, path in (("dev", DEV), ("holdout", HOLDOUT)):
        rows = path.read_text(encoding="utf-8").splitlines()[:30]
        words += [f"--{split}", write_rows(tmp_path / f"few_{split}.jsonl", [json.loads(row) for row in rows])]
    return tuple(words)


def made(command: Command, few_sets: tuple[object, ...], tmp_path: Path, *words: object) -> tuple[Path, str]:
    """Run an experiment, small, and return its run, verified, and what it printed."""
    module, *rest = words
    sets = few_sets if module == "three_ways" else few_sets[:2]
    done = command(f"course.policy.{module}", *rest, *sets, "--runs-dir", tmp_path / "runs")
    assert done.code == 0, done.err
    run = sorted((tmp_path / "runs").glob("run_*"))[-1]
    assert not verify(run).wrong
    kept = tmp_path / "runs" / ".reinforce"
    assert not kept.exists() or not list(kept.iterdir()), "the run is written, so nothing is kept to go on from"
    return run, done.out


def summary_of(run: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return summary


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scored(text: str, rubric: str = "tolerant", expected: int = 42) -> ScoredCompletion:
    example: Example = {"id": f"x{expected}", "prompt": "Compute 6*7.", "expected_answer": expected, "metadata": {}}
    return score_completions([example], [text], rubric)[0]


# goodhart


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Final: 42", "Final: A"),
        ("Final: 42\nFinal: 42", "Final: A\nFinal: A"),
        ("Final: -4\nFinal: 4 or -4", "Final: A\nFinal: B or A"),
        ("no number", "no number"),
        ("", ""),
    ],
)
def test_the_family_of_a_completion(text: str, shape: str) -> None:
    assert family(text) == shape


def test_what_was_taught_is_known_by_its_family() -> None:
    assert {"Final: A", "The answer is A.", "Final: A\nFinal: B", "Final: A\nDone."} <= taught_families()
    assert "Final: A\nFinal: A" not in taught_families()


def test_the_harvest_holds_what_the_rubric_pays_and_the_scorer_refuses_and_nothing_else(tmp_path: Path) -> None:
    texts = ["Final: 42\nFinal: 42"] * 3 + ["Final: 41\nFinal: 42", "Final: 42", "Final: 41", "final: 42", "nothing"]
    found = harvest([scored(text) for text in texts], [scored("final: 42"), scored("Final: 42")])
    assert [(row["family"], row["count"]) for row in found] == [
        ("Final: A\nFinal: A", 3),
        ("Final: A\nFinal: B", 1),
        ("final: A", 1),
    ]
    assert [row["taught"] for row in found] == [False, True, True]
    assert [row["count_pi0"] for row in found] == [0, 0, 1]
    cases = candidates(found, "tolerant")
    for case in load_cases(write_rows(tmp_path / "golden_exploits.jsonl", cases), 0.0):
        example = {"id": case.id, "prompt": "", "expected_answer": case.expected_answer}
        assert score(example, case.completion)["reward"] == 0
        assert RUBRICS["tolerant"].score(example, case.completion)["reward"] == 1
        assert case.hole == RUBRICS["tolerant"].hole


@pytest.mark.parametrize(
    ("best", "end", "proxy_end", "is_goodhart"),
    [(0.6, 0.0, 1.0, True), (0.6, 0.5, 1.0, False), (0.6, 0.0, 0.0, False), (0.2, 0.25, 1.0, False)],
)
def test_when_a_curve_is_goodharts(best: float, end: float, proxy_end: float, is_goodhart: bool) -> None:
    """Proxy up and strict below half of its best; either alone is not it."""
    before, now = {"strict": 0.1, "proxy": 0.5}, {"strict": end, "proxy": proxy_end}
    assert parted(now, before, best) is is_goodhart


def test_goodhart_small(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--rubric", "format_only", "--steps", 6, "--measure-every", 3, "--beta", 0.5, *SMALL)
    run, out = made(command, few_sets, tmp_path, "goodhart", *words)
    found = summary_of(run)["seeds"][0]
    free, leashed = found["curves"]
    assert free["proxy"] > found["pi0"]["proxy"] + 0.2
    assert leashed["kl"] < free["kl"], "the leash holds"
    assert leashed["strict"] > found["pi0"]["strict"]
    for case in load_cases(run / "golden_exploits.jsonl", 0.0):
        example = {"id": case.id, "prompt": "", "expected_answer": case.expected_answer}
        assert score(example, case.completion)["reward"] == 0
        assert RUBRICS["format_only"].score(example, case.completion)["reward"] == 1
    assert {path.name for path in run.iterdir()} >= {"goodhart.png", "no_leash", "leash", "exploits.jsonl"}
    assert "`Final: " in out
    assert "1 of 1 seeds" in out or "0 of 1 seeds" in out
    assert token_logprobs(*load_checkpoint(run / "no_leash"), "Compute 1+1.", "Final: 2")


def test_several_seeds_and_a_stop_in_the_second(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    """What was learned before Ctrl-C is not learned again, and the run is the same to the byte."""
    runs = tmp_path / "runs"
    batch = ("--prompts-per-step", 4, "--samples-per-prompt", 4)
    words = ("--rubric", "anywhere", "--steps", 2, "--measure-every", 1, "--seeds", 3, 4, *batch, *few_sets[:2])
    assert command("course.policy.goodhart", *words, "--runs-dir", runs).code == 0
    settings = GoodhartSettings("anywhere", steps=2, measure_every=1, prompts_per_step=4, samples_per_prompt=4)
    options = ExperimentOptions(dev=Path(str(few_sets[1])), runs_dir=runs)
    steps = itertools.count(1)

    def stop(state: State, measured: bool) -> None:
        if not measured and next(steps) == 6:
            raise KeyboardInterrupt

    grid = [replace(settings, seed=seed, beta=beta) for seed in (3, 4) for beta in (0.0, settings.beta)]
    with pytest.raises(KeyboardInterrupt), open_experiment("goodhart", options, settings) as experiment:
        _ = [experiment.learn(train_step, own, stop) for own in grid]
    assert not (runs / "run_002").exists()
    done = command("course.policy.goodhart", *words, "--runs-dir", runs)
    assert done.code == 0
    shown = [int(line.split()[1]) for line in done.out.splitlines() if line.startswith("step  ") and "`" in line]
    assert shown == [2, 0, 1, 2], "what the first three learned and the step before the stop is not learned again"
    for path in sorted((runs / "run_001").rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            assert path.read_bytes() == (runs / "run_002" / path.relative_to(runs / "run_001")).read_bytes(), path


# shift


def test_reweighting_by_enumeration() -> None:
    """With as many samples as it takes, the frozen rewards of one distribution tell the mean of another."""
    rng = np.random.default_rng(0)
    old, new, reward = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6]), np.array([0.0, 1.0, 1.0])
    drawn = rng.choice(3, size=(1, 200_000), p=old)
    ratios = torch.tensor(np.log(new / old)[drawn])
    estimate, effective = shift.reweighted(ratios, torch.tensor(reward[drawn]))
    assert estimate == pytest.approx((new * reward).sum(), abs=0.01)
    assert effective / 200_000 == pytest.approx(1 / (new**2 / old).sum(), abs=0.01)


def test_reweighting_at_its_ends() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    assert shift.reweighted(torch.zeros(2, 4), rewards) == (0.375, 4.0), "nothing has changed"
    one = torch.tensor([[900.0, 0, 0, 0], [0, 0, 0, 900.0]])
    assert shift.reweighted(one, rewards) == (0.5, 1.0), "one sample speaks for all"


def test_shift_small(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--rubric", "strict", "--steps", 6, "--measure-every", 3, *SMALL)
    run, out = made(command, few_sets, tmp_path, "shift", *words)
    rows = rows_of(run / "measurements.jsonl")
    assert [row["step"] for row in rows] == [0, 3, 6]
    assert rows[0]["reweighted"] == pytest.approx(rows[0]["frozen"], abs=1e-6)
    assert rows[0]["effective_samples"] == pytest.approx(16)
    assert len({row["frozen"] for row in rows}) == 1, "a snapshot does not learn"
    assert rows[-1]["live"] > rows[-1]["frozen"] + 0.15
    assert abs(rows[-1]["reweighted"] - rows[-1]["live"]) < abs(rows[-1]["frozen"] - rows[-1]["live"])
    assert rows[-1]["effective_samples"] < 12
    assert rows[-1]["new_codes"] == sorted(set(rows[-1]["live_codes"]) - set(summary_of(run)["frozen_codes"]))
    assert "for ever" in out


# three ways


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_the_kl_of_best_of_n_by_enumeration(n: int) -> None:
    """Of four completions two are right; n are drawn, the first right one is chosen, else the first."""
    p, reward = np.array([0.1, 0.15, 0.45, 0.3]), (1, 1, 0, 0)
    chosen: np.ndarray = np.zeros(4)
    if n <= 3:
        for draw in itertools.product(range(4), repeat=n):
            best = next((a for a in draw if reward[a]), draw[0])
            chosen[best] += np.prod(p[list(draw)])
    else:
        rng = np.random.default_rng(1)
        draws = rng.choice(4, size=(400_000, n), p=p)
        right = draws < 2
        first = np.where(right.any(axis=1), right.argmax(axis=1), 0)
        chosen = np.bincount(draws[np.arange(len(draws)), first], minlength=4) / len(draws)
    kl = float((chosen * np.log(chosen / p)).sum())
    assert three_ways.kl_of_best(0.25, n) == pytest.approx(kl, abs=1e-9 if n <= 3 else 0.005)
    assert three_ways.kl_of_best(0.25, n) <= math.log(n) - (n - 1) / n + 1e-12, "ties cost less than no ties"
    assert three_ways.kl_of_best(0.0, n) == three_ways.kl_of_best(1.0, n) == 0


def test_the_fine_tuning_reads_right_answers_alone_and_each_once() -> None:
    policy, tokenizer = load_checkpoint(PI0)
    train = load_dataset(ROOT / "data" / "datasets" / "math_train.jsonl")
    settings = Settings(steps=3, prompts_per_step=8, samples_per_prompt=8)
    kept = three_ways.collect(policy, tokenizer, list(train.examples.values()), settings)
    assert len(kept) == 3
    for step, rollouts in enumerate(kept, start=1):
        prompts, rng = prompts_of_step(list(train.examples.values()), settings, step)
        every = score_completions(prompts, roll_out(policy, tokenizer, prompts, 8, rng).texts, "strict")
        right = {(one.example["id"], one.text) for one in every if one.strict}
        assert Counter(rollouts.texts) == Counter(text for _, text in right)


def test_three_ways_small(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--steps", 6, "--measure-every", 6, *SMALL)
    run, out = made(command, few_sets, tmp_path, "three_ways", *words)
    found = summary_of(run)
    ways = {(row["split"], row["way"]): row for row in found["ways"]}
    assert len(ways) == 8
    for split in ("dev", "holdout"):
        pi0 = ways[split, "π0"]
        for way in (three_ways.BEST, three_ways.TUNED, three_ways.LEARNED):
            assert ways[split, way]["pass_at_1"] > pi0["pass_at_1"] + 0.1, (split, way)
            assert ways[split, way]["kl"] > 0
        best = ways[split, three_ways.BEST]
        assert best["pass_at_1"] == pytest.approx(pi0["pass_at_8"], abs=0.12), "best of 8 is pass@8 by construction"
        assert best["samples_at_inference"] == 8
    assert found["budget"] == 6 * 16 * 8
    counts = rows_of(run / "counts.jsonl")
    for (split, way), row in ways.items():
        own = [count for count in counts if (count["split"], count["way"]) == (split, way)]
        assert (sum(count["samples"] for count in own), sum(count["passes"] for count in own)) == (
            row["samples"],
            row["passes"],
        )
    assert json.loads((run / "manifest.json").read_text())["looked_at"]
    assert "needs the right answer at hand" in out


# noise and frontier


def test_the_first_crossing() -> None:
    rows = [{"step": 0, "strict": 0.2}, {"step": 4, "strict": 0.5}, {"step": 8, "strict": 0.4}]
    assert noise.first_crossing(rows, 0.5) == 4
    assert noise.first_crossing(rows, 0.2) == 0
    assert noise.first_crossing(rows, 0.6) is None


def test_noise_small(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--shares", 0, 0.5, "--seeds", 0, "--steps", 6, "--measure-every", 3, *SMALL)
    run, _ = made(command, few_sets, tmp_path, "noise", *words)
    clean, hopeless = summary_of(run)["shares"]
    assert clean["strict"] > hopeless["strict"] + 0.15
    assert hopeless["signal"] == 0


def test_the_optimum_against_its_closed_form_for_two_outcomes() -> None:
    """q = p e^(1/beta) / (p e^(1/beta) + 1 - p), for each prompt."""
    rewards = np.array([[1, 0, 0, 0], [1, 1, 1, 0]], dtype=float)
    for beta in (0.05, 0.3, 1.0, 30.0):
        p, tilt = rewards.mean(axis=1), math.exp(1 / beta)
        q = p * tilt / (p * tilt + 1 - p)
        kl = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
        assert frontier.optimum(rewards, beta) == pytest.approx((q.mean(), kl.mean()), abs=1e-9)
    assert frontier.optimum(rewards, 1e9) == pytest.approx((rewards.mean(), 0), abs=1e-6)
    assert frontier.optimum(rewards, 1e-3) == pytest.approx((1.0, (math.log(4) + math.log(4 / 3)) / 2))


def test_nothing_within_the_same_distance_earns_more_than_the_optimum() -> None:
    rng = np.random.default_rng(3)
    rewards = rng.random((1, 6))
    for beta in (0.1, 0.5):
        best, distance = frontier.optimum(rewards, beta)
        for _ in range(2000):
            other = rng.dirichlet(np.ones(6) * rng.choice([0.3, 1, 3]))
            kl = float((other * np.log(np.maximum(other, 1e-300) * 6)).sum())
            if kl <= distance:
                assert float((other * rewards[0]).sum()) <= best + 1e-9


def test_frontier_small(command: Command, few_sets: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--rubric", "format_only", "--betas", 0, 0.3, 5, "--steps", 6, *SMALL)
    run, out = made(command, few_sets, tmp_path, "frontier", *words)
    free, middle, tight = summary_of(run)["leashes"]
    assert free["kl"] > middle["kl"] > tight["kl"]
    assert free["proxy"] > tight["proxy"]
    assert free["optimum_kl"] is None
    assert middle["optimum_kl"] > tight["optimum_kl"]
    assert "longer leash" in out


# one update


def test_one_update_has_one_gain_and_its_numbers_are_the_policys(
    command: Command, few_sets: tuple[object, ...], tmp_path: Path
) -> None:
    run, out = made(command, few_sets, tmp_path, "one_update")
    tokens, samples = rows_of(run / "tokens.jsonl"), rows_of(run / "samples.jsonl")
    chosen = samples[summary_of(run)["chosen"]]
    assert chosen["reward"] == 1
    assert chosen["advantage"] == pytest.approx(1 - sum(row["reward"] for row in samples) / len(samples))
    assert [token["gain"] for token in tokens] == pytest.approx([chosen["advantage"]] * len(tokens))
    example = load_dataset(DEV).examples[summary_of(run)["example"]]
    expected = token_logprobs(*load_checkpoint(PI0), example["prompt"], chosen["completion"])
    assert [token["log_prob"] for token in tokens] == pytest.approx(expected, abs=1e-4)
    assert sum(token["log_prob_after"] for token in tokens) == pytest.approx(chosen["log_prob_after"], abs=1e-4)
    assert chosen["log_prob_after"] > chosen["log_prob"] + 0.1
    following = next(line for line in out.splitlines() if line.startswith("Next:")).split()
    assert following[3] == "course.policy.one_update"
    run, _ = made(command, few_sets, tmp_path, following[3].removeprefix("course.policy."), *following[4:])
    samples = rows_of(run / "samples.jsonl")
    wrong = samples[summary_of(run)["chosen"]]
    assert wrong["advantage"] < 0
    assert wrong["log_prob_after"] < wrong["log_prob"], "pushed down"


def test_the_first_order_of_an_update() -> None:
    """A small step moves Σ log π by rate · advantage · |∇ Σ log π|²."""
    policy, tokenizer = load_checkpoint(PI0)
    example = next(iter(load_dataset(DEV).examples.values()))
    rollouts = roll_out(policy, tokenizer, [example], 4, rng_for("first order"))
    sample = rollouts.rows([2])
    logprobs(policy, sample).sum().backward()  # type: ignore[no-untyped-call]
    square = sum(float(p.grad.square().sum()) for p in policy.parameters() if p.grad is not None)
    tokens = one_update.update(policy, tokenizer, sample, -0.5, 1e-5)
    before, after = (sum(token[name] for token in tokens) for name in ("log_prob", "log_prob_after"))
    assert after - before == pytest.approx(-0.5 * 1e-5 * square, rel=0.1)


# bad words, and what stops an experiment


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("goodhart", "--rubric", "strict"), "--rubric: unknown: 'strict'; there are anywhere"),
        (("goodhart", "--beta", 0), "--beta: above 0, not 0"),
        (("goodhart", "--seeds", -1), "--seeds: at least 0, not -1"),
        (("shift", "--steps", 0), "--steps: at least 1, not 0"),
        (("three_ways", "--samples-per-prompt", 1), "--samples-per-prompt: the mean of a prompt's own samples"),
        (("noise", "--shares", 0, 0), "--shares: each value once"),
        (("noise", "--shares", 1.2), "--shares: at least 0 and at most 1, not 1.2"),
        (("frontier", "--betas", 1, 1), "--betas: each value once"),
        (("frontier", "--betas", -1), "--betas: at least 0, not -1"),
        (("one_update", "--id", "dev-9999"), "--id: math_dev.jsonl has no example 'dev-9999'"),
        (("one_update", "--chosen", 8), "--chosen: there are the samples 0 to 7"),
        (("one_update", "--samples-per-prompt", 0), "--samples-per-prompt: at least 1, not 0"),
        (("one_update", "--policy", "nowhere"), "nowhere: not a checkpoint: "),
    ],
)
def test_bad_words(words: tuple[object, ...], reason: str, command: Command, tmp_path: Path) -> None:
    done = command(f"course.policy.{words[0]}", *words[1:], "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not list((tmp_path / "runs").glob("run_*"))


@pytest.mark.skipif(os.name == "nt", reason="file size limits are not known there")
def test_a_full_disk_is_one_line_and_no_run(few_sets: tuple[object, ...], tmp_path: Path) -> None:
    line = "ulimit -f 2000; exec " + " ".join(
        map(str, (sys.executable, "-m course.policy.train --steps 2", *SMALL, *few_sets))
    )
    done = subprocess.run(
        ["bash", "-c", f"{line} --runs-dir {tmp_path / 'runs'}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert not list((tmp_path / "runs").glob("run_*"))
    assert not list((tmp_path / "runs").glob(".reinforce/*"))


def test_the_counts_of_completions() -> None:
    completions = [scored("Final: 42"), scored("Final: 42"), scored("Final: 1"), scored("Final: 7", expected=7)]
    assert counts_of(completions) == {"x42": (3, 2), "x7": (1, 1)}
