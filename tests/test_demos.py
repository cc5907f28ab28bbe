"""Loops B and C under the microscope: true to the mathematics, the same bytes each time, kind to bad input."""

import csv
import hashlib
import itertools
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course import bandit_train, kl_tradeoff_demo, select_or_learn, selection_demo, toy_mdp
from course.core.bandit import (
    BASELINES,
    RUNNING_RATE,
    Bandit,
    learn,
    load_bandit,
    log_prob_gradient,
    reinforce,
    sampled_gradients,
    softmax,
    take_step,
)
from course.core.datasets import CompletionsFile, load_dataset
from course.core.files import InputError, sha256_file, to_pretty_json
from course.core.golden import GoldenCase, GoldenReport
from course.core.manifest import load_manifest, manifest_file
from course.core.measurement import Measurement
from course.core.paths import DEV, PACK
from course.core.runs import load_results
from course.core.scoring import summarise
from course.core.selection import Sample, load_pack
from course.core.verification import verify
from course.grading.notes import SELECTION_FIGURES
from course.rubrics import RUBRICS
from course.score import score
from tests.conftest import ROOT, Command, write_rows

DEMOS = {
    "selection_demo": ("B", {"selection_demo.jsonl", "results.jsonl", "selection_demo.png"}),
    "policy_gradient_demo": ("C", {"policy_gradient_log.jsonl", "policy_gradient_log.txt", "policy_gradient.png"}),
    "bandit_train": ("C", {"bandit_train_log.txt", "bandit_train_log.jsonl", "bandit_train.png"}),
    "toy_mdp": ("C", {"toy_mdp_log.txt", "toy_mdp_log.jsonl", "toy_mdp.png"}),
    "kl_tradeoff_demo": ("C", {"kl_tradeoff.csv", "kl_tradeoff.png"}),
    "select_or_learn": ("B and C", {"select_or_learn.jsonl", "select_or_learn.png"}),
    "token_inspect": ("A", {"token_inspect.jsonl"}),
}


@pytest.fixture(scope="module")
def bandit() -> Bandit:
    return load_bandit(DEV, PACK, None)


# --- every demo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_writes_a_whole_run_with_the_same_bytes_each_time(name: str, command: Command, tmp_path: Path) -> None:
    """And its picture where it is asked for as well."""
    loop, files = DEMOS[name]
    plot = tmp_path / "here.png"
    words = ("--seeds", 4) if name == "toy_mdp" else ()
    pictured = any(file.endswith(".png") for file in files)
    for more in ((), ("--plot", plot) if pictured else ()):
        done = command(f"course.{name}", *words, *more, "--runs-dir", tmp_path)
        assert done.code == 0, done.err
        assert "What to notice" in done.out
        assert "Next: python -m course" in done.out
        assert "\x1b" not in done.out
    first, second = tmp_path / "run_001", tmp_path / "run_002"
    manifest = load_manifest(first)
    assert manifest.loop == loop
    assert manifest.knob
    assert set(manifest.files) == files | {"summary.json"}
    for file in manifest.files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file
    if pictured:
        assert plot.read_bytes() == next(second.glob("*.png")).read_bytes()
        assert plot.read_bytes().startswith(b"\x89PNG")
    assert not verify(first).wrong
    assert command("course.verify_run", "--run", first).code == 0
    listed = "math_dev.jsonl" if loop == "B" else str(manifest.experiment)
    assert listed in command("course.inspect_run", "--runs-dir", tmp_path).out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("selection_demo", "--n", 9), "--n: between 1 and 8"),
        (("selection_demo", "--n", 0), "--n: at least 1"),
        (("selection_demo", "--select-with", "nice"), "--select-with: unknown: 'nice'; there are strict, anywhere"),
        (("selection_demo", "--pack", "data/rollouts/frozen_rollouts_dev.jsonl"), "a pack needs several samples"),
        (("selection_demo", "--pack", "nowhere"), "nowhere: No such file or directory"),
        (("policy_gradient_demo", "--steps", 0), "--steps: at least 1"),
        (("policy_gradient_demo", "--learning-rate", 0), "--learning-rate: above 0"),
        (("policy_gradient_demo", "--learning-rate", "nan"), "--learning-rate: a finite number"),
        (("policy_gradient_demo", "--slow"), "--slow: there is no terminal to ask on: give a file with --predictions"),
        (("policy_gradient_demo", "--predictions", "x"), "--predictions: predictions are made in slow motion"),
        (("policy_gradient_demo", "--slow", "--predictions", "nowhere"), "nowhere: No such file or directory"),
        (("policy_gradient_demo", "--id", "nobody"), "no example 'nobody'"),
        (("bandit_train", "--steps", -1), "--steps: at least 1"),
        (("bandit_train", "--baseline", "batch"), "--batch: the mean of a batch needs two samples or more"),
        (("bandit_train", "--baseline", "mean"), "--baseline: unknown: 'mean'; there are none, running, batch"),
        (("bandit_train", "--learning-rate", "inf"), "--learning-rate: a finite number"),
        (("bandit_train", "--pack", "data/rollouts/frozen_rollouts_dev.jsonl"), "which a bandit needs"),
        (("toy_mdp", "--episodes", 0), "--episodes: at least 1"),
        (("toy_mdp", "--seeds", 0), "--seeds: at least 1"),
        (("toy_mdp", "--horizon", 1), "--horizon: at least 2 and at most 4, not 1"),
        (("toy_mdp", "--horizon", 5), "--horizon: at least 2 and at most 4, not 5"),
        (("kl_tradeoff_demo", "--betas", -1), "--betas: at least 0.002"),
        (("kl_tradeoff_demo", "--betas", 0.1, 0), "--betas: at least 0.002"),
        (("kl_tradeoff_demo", "--betas", 1e-310), "--betas: at least 0.002"),
        (("kl_tradeoff_demo", "--rewards", 1, 0), "--rewards: one for each of the 8 actions, not 2"),
        (("kl_tradeoff_demo", "--rewards", *[1] * 7, 1.5), "--rewards: at least 0 and at most 1, not 1.5"),
        (("kl_tradeoff_demo", "--rewards", *[1] * 7, "nan"), "--rewards: a finite number, not nan"),
        (
            ("kl_tradeoff_demo", "--rewards", *[1] * 8, "--rubric", "anywhere"),
            "--rewards and --rubric: one or the other",
        ),
        (("kl_tradeoff_demo", "--rubric", "strict"), "--rubric: unknown: 'strict'; there are anywhere"),
        (("kl_tradeoff_demo", "--loophole", "323"), "--loophole: '323' is one of the other actions"),
        (("kl_tradeoff_demo", "--loophole", "\udcff"), "--loophole: the text holds bytes that are not UTF-8"),
        (("kl_tradeoff_demo", "--loophole", "3" * 10_001), "--loophole: at most 10,000 characters, not 10,001"),
        (("bandit_train", "--seed", -1), "--seed: at least 0"),
        (("toy_mdp", "--seed", -1), "--seed: at least 0"),
        (("kl_tradeoff_demo", "--steps", 0), "--steps: at least 1"),
        (("select_or_learn", "--n", 0), "--n: at least 1"),
        (("select_or_learn", "--steps", 0), "--steps: at least 1"),
        (("token_inspect", "--tokenizer", "nowhere"), "nowhere: No such file or directory"),
        (("token_inspect", "--tokenizer", "README.md"), "README.md: not a tokenizer: "),
        (("token_inspect", "\udcff"), "texts: a text holds bytes that are not UTF-8"),
        (("toy_mdp", "--change", "x"), "--change and --parent: they go together"),
    ],
    ids=lambda value: " ".join(map(ascii, value)) if isinstance(value, tuple) else "",
)
def test_bad_words_leave_one_line_and_no_run(
    words: tuple[object, ...], reason: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    done = command(f"course.{words[0]}", *words[1:], "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "runs").exists() or list((tmp_path / "runs").iterdir()) == []


def test_the_map_names_every_command(command: Command) -> None:
    out = command("course.__main__").out
    for name in (*DEMOS, "eval", "inspect_run", "verify_run", "compare", "golden", "seal", "policy.sample"):
        assert f"course.{name} " in out


# --- selection ------------------------------------------------------------------------------------------------------


def pack_rewards() -> dict[str, list[float]]:
    """The rewards of the shipped pack, scored here and now."""
    examples = load_dataset(DEV).examples
    rewards: dict[str, list[float]] = {key: [] for key in examples}
    for row in CompletionsFile(PACK, examples):
        rewards[row.id].append(score(examples[row.id], row.completion)["reward"])
    return rewards


@pytest.mark.usefixtures("shipped")
def test_selection_by_brute_force(command: Command, tmp_path: Path) -> None:
    rewards = pack_rewards()
    for n in (1, 3, 8):
        command("course.selection_demo", "--n", n, "--runs-dir", tmp_path)
        run = sorted(tmp_path.glob("run_*"))[-1]
        selection = json.loads((run / "summary.json").read_text())["selection"]
        assert selection["mean_reward_first"] == pytest.approx(np.mean([r[0] for r in rewards.values()]))
        chosen = json.loads((run / "summary.json").read_text())["mean_reward"]
        assert chosen == pytest.approx(np.mean([max(r[:n]) for r in rewards.values()])), "the selector is the grader"
        assert selection["never_right"] == pytest.approx(1 - chosen)
        assert selection["pass_at_1"] == pytest.approx(np.mean(list(rewards.values())))
        assert selection["pass_at_n"] == selection["curve"][n - 1]["pass_at_k"]
        mixed = [0 < sum(r[:n]) < n for r in rewards.values()]
        assert selection["selection_can_matter"] == pytest.approx(np.mean(mixed))
        rows = [json.loads(line) for line in (run / "selection_demo.jsonl").read_text().splitlines()]
        for row in rows:
            best = max(row["rewards"])
            assert row["chosen"] == row["rewards"].index(best), "ties break to the first sample"
        for point in selection["curve"]:
            k = point["k"]
            subsets = [[max(s) for s in itertools.combinations(r, k)] for r in rewards.values()]
            assert point["pass_at_k"] == pytest.approx(np.mean([np.mean(s) for s in subsets]))
            subsets = [[min(s) for s in itertools.combinations(r, k)] for r in rewards.values()]
            assert point["pass_hat_k"] == pytest.approx(np.mean([np.mean(s) for s in subsets]))
            assert point["pass_at_k"] <= point["equal_prompts"] + 1e-12, "unequal prompts gain less (Jensen)"


def test_a_weak_selector_is_graded_by_the_strict_scorer(command: Command, tmp_path: Path) -> None:
    done = command("course.selection_demo", "--select-with", "anywhere", "--runs-dir", tmp_path)
    assert "pays for what the strict scorer refuses" in done.out
    summary = json.loads((tmp_path / "run_001" / "summary.json").read_text())
    selection = summary["selection"]
    assert selection["mean_reward_first"] - 0.2 < summary["mean_reward"] < selection["pass_at_n"]
    examples = load_dataset(DEV).examples
    for line in (tmp_path / "run_001" / "selection_demo.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["reward"] == score(examples[row["id"]], row["completion"])["reward"]


@pytest.mark.usefixtures("shipped")
def test_the_same_pack_two_rules_one_comparison(command: Command, tmp_path: Path) -> None:
    command("course.selection_demo", "--n", 1, "--runs-dir", tmp_path)
    first = tmp_path / "run_001"
    command("course.selection_demo", "--runs-dir", tmp_path, "--parent", first, "--change", "8 samples for 1")
    done = command("course.compare", first, tmp_path / "run_002")
    assert done.code == 0
    assert "Loop B, selection" in done.out
    assert "0 losses" in done.out


def test_a_rule_that_cheats_is_refused(monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path) -> None:
    fake = Sample(0, "Final: 110", 1.0)
    monkeypatch.setattr(selection_demo, "pick_best", lambda samples: fake)
    done = command("course.selection_demo", "--runs-dir", tmp_path)
    assert done.code == 2
    assert "it must return one of the samples it is given" in done.err


def test_a_rule_that_raises_is_one_line(monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path) -> None:
    monkeypatch.setattr(selection_demo, "pick_best", lambda samples: samples[99])
    done = command("course.selection_demo", "--runs-dir", tmp_path)
    assert done.code == 2
    assert done.err.startswith("error: pick_best: it raised IndexError")
    assert done.err.count("\n") == 1


def test_a_worse_rule_is_not_called_pass_at_n(
    monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path
) -> None:
    monkeypatch.setattr(selection_demo, "pick_best", lambda samples: samples[-1])
    done = command("course.selection_demo", "--runs-dir", tmp_path)
    assert "points on the table" in done.out
    assert "by construction" not in done.out


@pytest.mark.parametrize("name", ["selection_demo", "policy_gradient_demo", "select_or_learn"])
def test_a_scorer_that_fails_the_gate_measures_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path
) -> None:
    broken = GoldenReport(cases=1, crashes=[(GoldenCase("x", 1, "", "a test", reward=1.0), "nothing")])
    monkeypatch.setattr("course.core.golden.check_golden", lambda folder: broken)
    done = command(f"course.{name}", "--runs-dir", tmp_path / "runs")
    assert done.code == 1
    assert not (tmp_path / "runs").exists()


def test_the_summary_is_a_template_and_the_students_to_write(command: Command, tmp_path: Path) -> None:
    """The run's README.md holds no figure, is not sealed, and may be written: the run still verifies, and says so."""
    command("course.selection_demo", "--runs-dir", tmp_path)
    run = tmp_path / "run_001"
    note = run / "README.md"
    assert "README.md" not in load_manifest(run).files
    assert re.findall(r"^- ([^:]+):(.*)$", note.read_text(encoding="utf-8"), re.MULTILINE) == [
        (name, "") for name in (*SELECTION_FIGURES, "label of the gain")
    ]
    note.write_text("whatever", encoding="utf-8")
    done = command("course.verify_run", "--run", run)
    assert done.code == 0
    assert "claimed: README.md: a note, written by hand, no part of what is verified" in done.out
    assert "README.md in this run is a note" in command("course.inspect_run", "--run", run).out
    note.unlink()
    assert "README.md" not in command("course.verify_run", "--run", run).out


def test_a_pack_with_a_missing_example_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "pack.jsonl", [{"id": "dev-0001", "completion": "", "sample": n} for n in range(2)])
    with pytest.raises(InputError, match="no sample for example 'dev-0002'"):
        load_pack(Measurement(DEV, path))


def test_a_pack_in_any_order_makes_a_run_that_verifies(command: Command, tmp_path: Path) -> None:
    lines = PACK.read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(0).shuffle(lines)
    (tmp_path / "shuffled.jsonl").write_text("".join(lines), encoding="utf-8")
    command("course.selection_demo", "--pack", tmp_path / "shuffled.jsonl", "--runs-dir", tmp_path / "runs")
    command("course.selection_demo", "--runs-dir", tmp_path / "runs")
    shuffled, in_order = tmp_path / "runs" / "run_001", tmp_path / "runs" / "run_002"
    assert not verify(shuffled).wrong
    assert (shuffled / "results.jsonl").read_bytes() == (in_order / "results.jsonl").read_bytes()


def test_a_run_that_lost_its_failures_is_found_out(command: Command, tmp_path: Path) -> None:
    """Rows dropped, summary rewritten, every hash made to fit: the pack still tells."""
    command("course.selection_demo", "--runs-dir", tmp_path)
    run = tmp_path / "run_001"
    lines = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
    (run / "results.jsonl").write_bytes(b"".join(line for line in lines if b'"reward":1.0' in line))
    summary = json.loads((run / "summary.json").read_text())
    kept = {k: v for k, v in summarise(load_results(run)).items() if not k.startswith("pass_at")}
    (run / "summary.json").write_bytes(to_pretty_json({**summary, **kept}))
    manifest = load_manifest(run)
    forged = msgspec.structs.replace(manifest, files={name: sha256_file(run / name) for name in manifest.files})
    (run / "manifest.json").write_bytes(manifest_file(forged))
    wrong = verify(run).wrong
    assert "results.jsonl: it holds fewer rows than the originals give" in wrong
    command("course.selection_demo", "--runs-dir", tmp_path)
    assert command("course.compare", run, tmp_path / "run_002").code == 1


def test_two_knobs_of_selection_are_two_knobs(command: Command, tmp_path: Path) -> None:
    command("course.selection_demo", "--n", 4, "--runs-dir", tmp_path)
    declared = ("--parent", tmp_path / "run_001", "--change", "x")
    command("course.selection_demo", "--select-with", "anywhere", *declared, "--runs-dir", tmp_path)
    done = command("course.compare", tmp_path / "run_001", tmp_path / "run_002")
    assert done.code == 1
    assert "two knobs at once" in done.out
    assert "samples to choose from: 4 before, 8 after" in done.out


def test_selection_on_a_holdout_says_that_it_looked(command: Command, tmp_path: Path) -> None:
    rows = [{"id": "a", "prompt": "p", "expected_answer": 1}]
    holdout = write_rows(tmp_path / "mine_holdout.jsonl", rows)
    pack = write_rows(tmp_path / "pack.jsonl", [{"id": "a", "completion": "", "sample": n} for n in range(2)])
    for looks in range(2):
        words = ("--dataset", holdout, "--pack", pack, "--runs-dir", tmp_path / "runs")
        assert f"this runs folder knows: {looks}." in command("course.selection_demo", *words).out


# --- gradients ------------------------------------------------------------------------------------------------------


def exact_gradient(theta: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """∇θ of the expected reward, summed over all actions: π(a) (r(a) - E[r])."""
    probs = softmax(theta)
    return np.asarray(probs * (rewards - probs @ rewards))


THETAS = st.lists(st.floats(-2, 2), min_size=5, max_size=5).map(np.array)


def finite_differences(value: Callable[[np.ndarray], float], theta: np.ndarray) -> np.ndarray:
    step = 1e-5
    units = np.eye(len(theta)) * step
    return np.array([(value(theta + unit) - value(theta - unit)) / (2 * step) for unit in units])


@given(THETAS)
def test_the_exact_gradient_by_finite_differences(theta: np.ndarray) -> None:
    rewards = np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    numeric = finite_differences(lambda t: float(softmax(t) @ rewards), theta)
    assert exact_gradient(theta, rewards) == pytest.approx(numeric, abs=1e-8)


@given(THETAS, st.integers(0, 4))
def test_the_log_prob_gradient_by_finite_differences(theta: np.ndarray, action: int) -> None:
    numeric = finite_differences(lambda t: float(np.log(softmax(t)[action])), theta)
    assert log_prob_gradient(softmax(theta), action) == pytest.approx(numeric, abs=1e-8)


@given(THETAS, st.floats(-3, 3))
def test_any_constant_baseline_is_unbiased_by_enumeration(theta: np.ndarray, baseline: float) -> None:
    rewards = np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    probs = softmax(theta)
    mean = sum(probs[a] * (rewards[a] - baseline) * log_prob_gradient(probs.copy(), a) for a in range(5))
    assert mean == pytest.approx(exact_gradient(theta, rewards), abs=1e-12)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("batch", [2, 8])
def test_sampled_gradients_agree_with_enumeration(baseline: str, batch: int, bandit: Bandit) -> None:
    """Within three standard errors, with and without a baseline; the batch mean shrinks by (n - 1) / n exactly."""
    theta = np.array([0.3, -0.2, 0.5, 0.0, -0.6])
    rng = np.random.default_rng(4)
    drawn = sampled_gradients(theta, bandit.rewards, baseline, batch, 40_000, rng)
    expected = exact_gradient(theta, bandit.rewards)
    if baseline == "batch":
        expected = expected * (batch - 1) / batch
    errors = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (abs(drawn.mean(axis=0) - expected) < 3 * errors + 1e-12).all()


def test_measured_variance_is_lower_with_a_baseline(bandit: Bandit) -> None:
    rows = bandit_train.variance_table(bandit.rewards, 0)
    early, raised = rows[0], rows[3:]
    assert early["running"] < early["none"]
    assert early["batch"] < early["none"]
    assert all(row["running"] < row["none"] for row in raised), "a constant added to all rewards"
    assert raised[0]["running"] < raised[0]["none"] / 5
    assert rows[2]["running"] > rows[2]["none"], (
        "the exception that the demo tells of: 0/1 rewards, nearly always right"
    )


def test_a_step_goes_along_the_gradient(bandit: Bandit) -> None:
    """One learner and one sample; then a batch, whose gradient is the mean of its samples'."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        theta, baseline = rng.normal(size=5), rng.random()
        actions = rng.integers(5, size=3)
        expected = []
        for action in actions:
            numeric = finite_differences(lambda t, a=action: float(np.log(softmax(t)[a])), theta)  # type: ignore[misc]
            expected.append((bandit.rewards[action] - baseline) * numeric)
            update = take_step(theta[None], bandit.rewards, np.array([[action]]), np.array([baseline]), 1e-3)
            assert (update.theta_after[0] - theta) / 1e-3 == pytest.approx(expected[-1], abs=1e-6)
            moved = update.probs_after[0, action] - update.probs[0, action]
            assert np.sign(moved) == np.sign(update.advantages[0, 0])
        update = take_step(theta[None], bandit.rewards, actions[None], np.array([baseline]), 1e-3)
        assert update.gradient[0] == pytest.approx(np.mean(expected, axis=0), abs=1e-6)


def test_the_bandit_is_made_of_real_completions(bandit: Bandit) -> None:
    texts = {json.loads(line)["completion"] for line in PACK.read_text(encoding="utf-8").splitlines()}
    assert set(bandit.actions) <= texts
    assert len(set(bandit.actions)) == len(bandit.actions) == 5
    assert list(bandit.rewards) == [score(bandit.example, text)["reward"] for text in bandit.actions]
    assert bandit.rewards.sum() == 1


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_bandit_learns(baseline: str, bandit: Bandit) -> None:
    log = learn(bandit, 200, 0.5, 1, batch=4, baseline=baseline)
    assert np.array(log[-1].probs_after) @ bandit.rewards > 0.9
    assert len(log) == 800
    for row in log:
        assert row.advantage == row.reward - row.baseline
        assert sum(row.probs_after) == pytest.approx(1)
        assert f"advantage {row.advantage:+.3f}" in bandit_train.step_lines(row)[0]


@pytest.mark.parametrize("baseline", BASELINES)
def test_side_by_side_learning_is_the_same_learning(baseline: str, bandit: Bandit) -> None:
    """Three seeds side by side against a plain loop written here, the same random numbers in both."""
    steps, batch = 30, 4
    updates = list(reinforce(bandit.rewards, steps, 0.5, [7, 8, 9], batch, baseline))
    for place, seed in enumerate([7, 8, 9]):
        rng = np.random.default_rng(seed)
        theta, running = np.zeros(5), 0.0
        for update in updates:
            probs = softmax(theta)
            actions = [int(np.searchsorted(probs.cumsum(), rng.random(), side="right")) for _ in range(batch)]
            rewards = [float(bandit.rewards[action]) for action in actions]
            b = {"none": 0.0, "running": running, "batch": sum(rewards) / batch}[baseline]
            gradient = sum((r - b) * log_prob_gradient(probs, a) / batch for r, a in zip(rewards, actions, strict=True))
            theta = theta + 0.5 * gradient
            for reward in rewards:
                running += RUNNING_RATE * (reward - running)
            assert update.actions[place].tolist() == actions
            assert update.baseline[place] == pytest.approx(b, abs=1e-12)
            assert update.probs_after[place] == pytest.approx(softmax(theta), abs=1e-12)


# --- predictions ----------------------------------------------------------------------------------------------------


def test_predictions_are_sealed_before_the_step_and_scored_after_it(command: Command, tmp_path: Path) -> None:
    predictions = ["up: it may be right", "down, I think", "same", "UP!", "Down\tbecause the baseline is higher"]
    (tmp_path / "predictions.txt").write_text("\ufeff" + "\n\n".join(predictions), encoding="utf-8")
    words = ("--slow", "--predictions", tmp_path / "predictions.txt", "--runs-dir", tmp_path / "runs")
    done = command("course.policy_gradient_demo", *words)
    assert done.code == 0
    run = tmp_path / "runs" / "run_001"
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in (run / "policy_gradient_log.jsonl").read_text().splitlines()]
    seal = ""
    for row, step, text in zip(rows, steps, predictions, strict=True):
        seal = hashlib.sha256(f"{seal}|{row['step']}|{text}".encode()).hexdigest()
        assert row["seal"] == seal
        assert row["direction"] == {"u": "up", "d": "down", "s": "same"}[text[0].lower()]
        change = step["probs_after"][step["action"]] - step["probs"][step["action"]]
        assert row["came"] == ("up" if change > 0 else "down" if change < 0 else "same")
        assert row["right"] == (row["direction"] == row["came"])
        place = done.out.index(f"sealed: {seal[:12]}")
        assert done.out.index(f"Step {row['step']}. ") < place < done.out.index("= advantage", place)
        assert "= advantage" not in done.out[done.out.index(f"Step {row['step']}. ") : place], (
            "sealed before it is revealed"
        )
    sealed = [json.loads(line) for line in (run / "sealed.jsonl").read_text().splitlines()]
    assert [row["seal"] for row in sealed] == [row["seal"] for row in rows]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["predictions_right"] == sum(row["right"] for row in rows)
    assert f"{summary['predictions_right']} of 5 right" in done.out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("up\ndown\n", "predictions.txt: the file is too short: 2 predictions for 5 steps"),
        (
            "up\nsideways because\n",
            "predictions.txt, line 2: a prediction begins with up, down or same, not 'sideways'",
        ),
        ("", "predictions.txt: the file is too short: 0 predictions for 5 steps"),
    ],
)
def test_bad_predictions(text: str, reason: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "predictions.txt").write_text(text)
    words = ("--slow", "--predictions", tmp_path / "predictions.txt", "--runs-dir", tmp_path / "runs")
    done = command("course.policy_gradient_demo", *words)
    assert done.code == 2
    assert reason in done.err
    assert not (tmp_path / "runs").exists()


def test_the_terminal_asks_until_it_is_answered(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["", "maybe", "down", "up, a mere guess", "down, it earned nothing", "EOF"])

    def answer(_: str) -> str:
        text = next(answers)
        if text == "EOF":
            raise EOFError
        return text

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    done = command("course.policy_gradient_demo", "--slow", "--steps", 2, "--runs-dir", tmp_path)
    assert done.code == 0
    assert done.out.count("up, down or same; then say why") == 3
    done = command("course.policy_gradient_demo", "--slow", "--steps", 1, "--runs-dir", tmp_path)
    assert done.err == "error: --slow: the terminal closed before the last prediction\n"


# --- credit ---------------------------------------------------------------------------------------------------------


HORIZONS = sorted(toy_mdp.PIECES)


def episodes_of(horizon: int) -> list[tuple[list[str], list[str], float]]:
    """Every episode there is: the texts that it passes through, the pieces chosen, and the finished text's reward."""
    found = []
    for pieces in itertools.product(*toy_mdp.PIECES[horizon]):
        texts = list(itertools.accumulate(pieces, initial=""))
        found.append((texts[:-1], list(pieces), float(score(toy_mdp.EXAMPLE, texts[-1])["reward"])))
    return found


def plain_learner(
    credit: str, horizon: int, seed: int, episodes: int = 60
) -> tuple[list[dict[str, object]], list[float]]:
    """One learner that goes step by step and looks up its parameters by the text so far. Its log, and its curve."""
    rng, every = np.random.default_rng(seed), episodes_of(horizon)
    theta = {text: np.zeros(2) for texts, _, _ in every for text in texts}
    baselines, log, curve = [0.0] * horizon, list[dict[str, object]](), []
    for episode in range(1, episodes + 1):
        text, steps = "", []
        for pieces in toy_mdp.PIECES[horizon]:
            policy = softmax(theta[text])
            action = int(rng.random() >= policy[0])
            steps.append((text, action, pieces[action], policy))
            text += pieces[action]
        end = float(score(toy_mdp.EXAMPLE, text)["reward"])
        for step, (state, action, piece, policy) in enumerate(steps):
            reward = end if step == horizon - 1 else 0.0
            given = end if credit == "return" else reward
            advantage = given - baselines[step]
            theta[state] = theta[state] + 0.5 * advantage * log_prob_gradient(policy, action)
            row = {"episode": episode, "step": step + 1, "state": state, "action": piece, "reward": reward}
            row |= {"return": end, "credit": given, "baseline": baselines[step], "advantage": advantage}
            log.append(row | {"prob": policy[action], "prob_after": softmax(theta[state])[action]})
            baselines[step] += RUNNING_RATE * (given - baselines[step])
        curve.append(chance_right({state: softmax(values) for state, values in theta.items()}, horizon))
    return log, curve


def chance_right(policy: dict[str, np.ndarray], horizon: int) -> float:
    """The chance of the reward: of each episode that earns it, the product of the chances of its steps."""
    total = 0.0
    for texts, pieces, reward in episodes_of(horizon):
        places = [choices.index(piece) for choices, piece in zip(toy_mdp.PIECES[horizon], pieces, strict=True)]
        total += reward * float(np.prod([policy[text][place] for text, place in zip(texts, places, strict=True)]))
    return total


@pytest.mark.parametrize("horizon", HORIZONS)
def test_delayed_reward_is_learned_on_every_seed_and_immediate_credit_learns_the_last_step_alone(horizon: int) -> None:
    found = toy_mdp.run(toy_mdp.Settings(horizon=horizon))
    by_return, immediate = found.learned["return"], found.learned["immediate"]
    assert by_return.chance_right.shape == (20, 400)
    assert (by_return.chance_right[:, -1] > 0.97).all()
    assert (immediate.policy[:, : 2 ** (horizon - 1) - 1] == 0.5).all()
    assert (immediate.chance_right < 0.5 ** (horizon - 1)).all()


@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("credit", toy_mdp.CREDITS)
def test_learners_side_by_side_are_those_of_a_plain_loop(credit: str, horizon: int) -> None:
    """The log to the last bit: each seed draws the same random numbers, whoever learns beside it."""
    tree = toy_mdp.grow(horizon)
    seeds = [3, 0, 7]
    together = toy_mdp.learn(credit, tree, 60, 0.5, seeds)
    for seed, curve in zip(seeds, together.chance_right, strict=True):
        log, alone = plain_learner(credit, horizon, seed)
        assert curve == pytest.approx(alone, abs=1e-15)
        if seed == seeds[0]:
            assert together.log == log


@pytest.mark.parametrize("horizon", HORIZONS)
def test_every_text_of_the_tree_and_its_reward_by_enumeration(horizon: int) -> None:
    """One finished text earns 1, no unfinished one earns anything, and the exact chance is a product."""
    tree, every = toy_mdp.grow(horizon), episodes_of(horizon)
    finished = {"".join(pieces): reward for _, pieces, reward in every}
    states = {text for texts, _, _ in every for text in texts}
    assert len(every) == 2**horizon
    assert sorted(tree.texts) == sorted(states | set(finished)), "a tree: no text is reached in two ways"
    assert dict(zip(tree.texts, tree.rewards, strict=True)) == dict.fromkeys(states, 0.0) | finished
    assert [text for text, reward in finished.items() if reward] == ["Final: 323"]
    for state, pieces in enumerate(tree.actions):
        for action, piece in enumerate(pieces):
            assert tree.texts[2 * state + 1 + action] == tree.texts[state] + piece
    policies = softmax(np.random.default_rng(horizon).normal(size=(10, len(states), 2)))
    for policy, exact in zip(policies, toy_mdp.expected_reward(policies, tree.rewards), strict=True):
        by_text = dict(zip(tree.texts, policy, strict=False))
        assert exact == pytest.approx(chance_right(by_text, horizon), abs=1e-15)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_gradient_of_every_step_by_enumeration(horizon: int) -> None:
    """Summed over all episodes, credit by return gives the gradient of the expected reward, all steps of it."""
    tree = toy_mdp.grow(horizon)
    theta = np.random.default_rng(2).normal(size=2 * len(tree.actions))

    def value(t: np.ndarray) -> float:
        return float(toy_mdp.expected_reward(softmax(t.reshape(1, -1, 2)), tree.rewards)[0])

    policy = softmax(theta.reshape(-1, 2))
    total = np.zeros_like(policy)
    for texts, pieces, reward in episodes_of(horizon):
        states = [tree.texts.index(text) for text in texts]
        actions = [tree.actions[state].index(piece) for state, piece in zip(states, pieces, strict=True)]
        total[states] += policy[states, actions].prod() * reward * log_prob_gradient(policy[states], np.array(actions))
    assert total.ravel() == pytest.approx(finite_differences(value, theta), abs=1e-8)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_what_the_two_steps_print_is_true_at_every_horizon(horizon: int, command: Command, tmp_path: Path) -> None:
    done = command("course.toy_mdp", "--horizon", horizon, "--episodes", 60, "--seeds", 3, "--runs-dir", tmp_path)
    assert done.code == 0, done.err
    found = toy_mdp.run(toy_mdp.Settings(horizon=horizon, episodes=60, seeds=3))
    assert f"The {2**horizon} episodes there are" in done.out
    for credit, ends in found.learned.items():
        policies = [dict(zip(found.tree.texts, policy, strict=False)) for policy in ends.policy]
        columns = [[policy["Final: 323"[:size]][0] for policy in policies] for size in sizes_on_the_way(horizon)]
        columns.append([chance_right(policy, horizon) for policy in policies])
        line = next(line for line in done.out.splitlines() if re.match(rf"{credit} +\d", line))
        assert line.split()[1:] == " ".join(f"{min(column):.3f} to {max(column):.3f}" for column in columns).split()
    median = np.median(found.learned["return"].chance_right, axis=0)
    passed = next((f"after {episode} episodes" for episode, p in enumerate(median, 1) if p > 0.5), "none of these")
    assert (passed in done.out.replace("\n  ", " ")) == (horizon > 2)
    assert load_manifest(tmp_path / "run_001").settings["horizon"] == horizon
    rows = [json.loads(line) for line in (tmp_path / "run_001" / "toy_mdp_log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * 60 * horizon


def sizes_on_the_way(horizon: int) -> list[int]:
    """How long the text is before each step on the way to the right one."""
    return [sum(len(pieces[0]) for pieces in toy_mdp.PIECES[horizon][:step]) for step in range(horizon)]


def test_what_milestone_2_says_of_the_horizon_was_measured() -> None:
    passed = {}
    for horizon in HORIZONS:
        curves = toy_mdp.run(toy_mdp.Settings(horizon=horizon)).learned["return"].chance_right
        passed[horizon] = next(episode for episode, p in enumerate(np.median(curves, axis=0), 1) if p > 0.5)
    says = " ".join((ROOT / "docs" / "milestone_2.md").read_text(encoding="utf-8").split())
    assert f"after {passed[4]} episodes; after {passed[2]} at horizon 2, after {passed[3]} at horizon 3." in says


# --- the leash ------------------------------------------------------------------------------------------------------


def kl_setting() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rewards = [
        RUBRICS[kl_tradeoff_demo.RUBRIC].score(kl_tradeoff_demo.EXAMPLE, text)["reward"]
        for text in kl_tradeoff_demo.TEXTS
    ]
    return kl_tradeoff_demo.REFERENCE, np.array(rewards), np.array(kl_tradeoff_demo.BETAS)


def objective(probs: np.ndarray, reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """E_pi[r] - beta KL(pi || pi_ref), for each beta."""
    return np.asarray(probs @ rewards - beta * kl_tradeoff_demo.kl(probs, reference))


def leashed_gradient(theta: np.ndarray, reference: np.ndarray, rewards: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """∇θ of the objective, made of what the learner steps along: pi(a) (f(a) - E_pi[f])."""
    probs, f = softmax(theta), kl_tradeoff_demo.leashed_rewards(theta, reference, rewards, beta)
    return np.asarray(probs * (f - (probs * f).sum(axis=-1, keepdims=True)))


def test_the_learner_reaches_the_closed_form_for_every_beta() -> None:
    reference, rewards, beta = kl_setting()
    assert reference.sum() == pytest.approx(1)
    best = kl_tradeoff_demo.closed_form(reference, rewards, beta)
    learned = kl_tradeoff_demo.learn(reference, rewards, beta, kl_tradeoff_demo.Settings().steps)
    assert (abs(best - learned).sum(axis=1) / 2 < 1e-3).all()


def test_the_closed_form_is_the_best_policy_there_is() -> None:
    reference, rewards, beta = kl_setting()
    best = kl_tradeoff_demo.closed_form(reference, rewards, beta)
    top = objective(best, reference, rewards, beta)
    rng = np.random.default_rng(0)
    for policy in rng.dirichlet(np.ones(len(reference)), size=500):
        policies = np.tile(policy, (len(beta), 1))
        assert (objective(policies, reference, rewards, beta) <= top + 1e-12).all()
    assert leashed_gradient(np.log(best), reference, rewards, beta) == pytest.approx(0, abs=1e-12)


def test_the_gradient_of_the_leashed_objective_by_finite_differences() -> None:
    reference, rewards, _ = kl_setting()
    rng = np.random.default_rng(1)
    for beta in (0.05, 1.0):
        theta = rng.normal(size=len(reference))

        def value(t: np.ndarray, b: float = beta) -> float:
            return float(objective(softmax(t)[None], reference, rewards, np.array([b]))[0])

        exact = leashed_gradient(theta[None], reference, rewards, np.array([beta]))[0]
        assert exact == pytest.approx(finite_differences(value, theta), abs=1e-7)


def test_the_frontier_is_monotone_and_the_loophole_wins_without_a_leash(command: Command, tmp_path: Path) -> None:
    command("course.kl_tradeoff_demo", "--runs-dir", tmp_path)
    with (tmp_path / "run_001" / "kl_tradeoff.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == ["beta", "mean_reward", "kl", "top_actions"]
        rows = list(reader)
    rewards, kls = ([float(row[name]) for row in rows] for name in ("mean_reward", "kl"))
    assert rewards == sorted(rewards)
    assert kls == sorted(kls)
    assert all(row["top_actions"].count(";") == 2 for row in rows)
    sweep = json.loads((tmp_path / "run_001" / "summary.json").read_text())["sweep"]
    truth = [row["true_value"] for row in sweep]
    assert max(truth) > truth[0] > truth[-1], "the true value rises first, and then falls"
    assert sweep[-1]["loophole"] > 0.9
    text = kl_tradeoff_demo.TEXTS[kl_tradeoff_demo.LOOPHOLE]
    assert score(kl_tradeoff_demo.EXAMPLE, text)["reward"] == 0


@given(
    rewards=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=8, max_size=8),
    betas=st.lists(st.sampled_from(kl_tradeoff_demo.BETAS), min_size=1, max_size=4),
)
def test_what_to_notice_of_the_leash_is_true_of_any_rewards(rewards: list[float], betas: list[float]) -> None:
    found = kl_tradeoff_demo.run(kl_tradeoff_demo.Settings(rewards=tuple(rewards), betas=tuple(betas)))
    said = " ".join(kl_tradeoff_demo.lessons(found))
    assert (found.rubric, found.rewards.tolist()) == (None, rewards)
    if len(set(rewards)) == 1:
        assert "there is nothing to learn" in said
        assert all(row["kl"] == pytest.approx(0, abs=1e-12) for row in found.sweep)
        return
    earned = [kl_tradeoff_demo.REFERENCE @ found.rewards, *(row["mean_reward"] for row in found.sweep)]
    assert earned == sorted(earned), "a step down in beta buys reward"
    truth = [kl_tradeoff_demo.REFERENCE @ found.truth, *(row["true_value"] for row in found.sweep)]
    assert ("less of what was wanted" in said) == (max(truth) - truth[-1] > 0.005)
    assert ("does not lead away" in said) == (max(truth) - truth[-1] <= 0.005)
    assert ("With a wrong reward" in said) == (rewards[-1] > rewards[0]), "only `Final: 323` is right"


def test_the_leash_with_another_rubric_and_another_loophole(command: Command, tmp_path: Path) -> None:
    loophole = "Final: 323\nFinal: 324"
    for name, rubric in RUBRICS.items():
        found = kl_tradeoff_demo.run(kl_tradeoff_demo.Settings(rubric=name, loophole=loophole))
        paid = [rubric.score(kl_tradeoff_demo.EXAMPLE, text)["reward"] for text in found.texts]
        assert (found.rubric, found.texts[-1], found.rewards.tolist()) == (name, loophole, paid)
    words = ("--rubric", "first_line", "--loophole", loophole)
    done = command("course.kl_tradeoff_demo", *words, "--runs-dir", tmp_path)
    assert done.code == 0, done.err
    assert RUBRICS["first_line"].hole in done.out
    assert "Final: 323↵Final: 324" in done.out
    settings = load_manifest(tmp_path / "run_001").settings
    assert (settings["rubric"], settings["rewards"], settings["loophole"]) == ("first_line", [], loophole)
    same = [0.5] * 8  # nothing to learn, a single beta, the longest text: drawn and printed all the same
    done = command(
        *("course.kl_tradeoff_demo", "--rewards", *same, "--betas", 1, "--loophole", "3" * 10_000),
        *("--runs-dir", tmp_path),
    )
    assert done.code == 0, done.err
    assert "the rewards are your own" in done.out
    assert len(done.out) < 5_000
    settings = load_manifest(tmp_path / "run_002").settings
    assert (settings["rubric"], settings["rewards"]) == (None, same)


def test_selection_leaves_the_policy_and_learning_moves_it(command: Command, tmp_path: Path) -> None:
    command("course.select_or_learn", "--runs-dir", tmp_path)
    summary = json.loads((tmp_path / "run_001" / "summary.json").read_text())
    before, selection, learning = (summary[way] for way in ("before", "selection", "learning"))
    assert before["pass_at_n"] == pytest.approx(1 - 0.8**8)
    assert before["answers_right"] == pytest.approx(0.2, abs=0.01)
    assert selection["answers_right"] == pytest.approx(before["pass_at_n"], abs=0.01), "what selection gives is pass@N"
    assert selection["pass_at_1"] == before["pass_at_1"]
    assert learning["pass_at_1"] > 0.8
    assert learning["answers_right"] == pytest.approx(learning["pass_at_1"], abs=0.01)
    rng = random.Random(0)
    drawn = [any(rng.random() < 0.1 for _ in range(4)) for _ in range(20_000)]
    exact = select_or_learn.pass_at_n(np.array([0.1, 0.9]), np.array([1.0, 0.0]), 4)
    assert exact == pytest.approx(np.mean(drawn), abs=0.01)


def test_tokens_of_every_text_join_to_the_text(command: Command, tmp_path: Path) -> None:
    texts = ["Final: 323", "Final:\u00a0323", "\u2212\U0001f600\u200b", " ", "x" * 300]
    done = command("course.token_inspect", *texts, "--runs-dir", tmp_path)
    assert done.code == 0
    assert "<U+00A0>" in done.out
    assert "log π0(text | prompt)" in done.out
    rows = [json.loads(line) for line in (tmp_path / "run_001" / "token_inspect.jsonl").read_text().splitlines()]
    for row in rows:
        for name, tokens in row["tokens"].items():
            if row["text"].isascii():
                assert "".join(token["text"] for token in tokens) == row["text"]
            if name == "digits merged" and row["text"] == "Final: 323":
                assert any("323" in token["text"] for token in tokens)


def image_of(path: Path) -> bytes:
    """The pixels: how they are packed may differ from one zlib to another."""
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def test_the_diagrams_are_those_of_the_script(command: Command, tmp_path: Path) -> None:
    assert command("docs.diagrams.draw", "--out-dir", tmp_path).code == 0
    shipped = sorted((ROOT / "docs" / "diagrams").glob("*.png"))
    assert len(shipped) == len(list(tmp_path.iterdir())) == 4
    for path in shipped:
        assert image_of(path) == image_of(tmp_path / path.name), path.name
