"""Two runs that must not be compared, or not as what they seem; and declarations that come afterwards."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course.core.paths import GOLDEN
from course.datasets import load_dataset
from tests.attacks.test_runs import reseal, rows
from tests.conftest import DEV, ROLLOUTS, Command, copy_repository, forged, type_in, write_rows

Measured = Callable[..., Path]
N = 30


@pytest.fixture
def measured(command: Command, tmp_path: Path) -> Measured:
    """A run of N examples of which some pass; with a sidecar that names a policy, if one is given."""

    def run(name: str, passing: int, *words: object, policy: str | None = "a", samples: int = 1, **says: Any) -> Path:
        data = tmp_path / "room_dev.jsonl"
        write_rows(data, [{"id": f"x{n}", "prompt": f"{n}+1", "expected_answer": n + 1} for n in range(N)])
        answers = [
            {"id": f"x{n}", "completion": f"Final: {n + 1 if n < passing else -1}", "sample": s}
            for n in range(N)
            for s in range(samples)
        ]
        said = write_rows(tmp_path / f"{name}.jsonl", answers)
        if policy is not None:
            sidecar = {
                "policy": policy,
                "policy_sha256": hashlib.sha256(policy.encode()).hexdigest(),
                "tokenizer_sha256": "t" * 64,
                "sampling": {
                    "temperature": 1.0,
                    "top_p": 1.0,
                    "max_new_tokens": 16,
                    "samples_per_prompt": samples,
                    "seed": 0,
                },
                "prompts_sha256": load_dataset(data).prompts_sha256,
                "completions_sha256": hashlib.sha256(said.read_bytes()).hexdigest(),
                "command": "a test",
                "created": "now",
                **says,
            }
            said.with_name(f"{name}.meta.json").write_text(json.dumps(sidecar))
        done = command("course.eval", "--dataset", data, "--completions", said, "--runs-dir", tmp_path / "runs", *words)
        assert done.code == 0, done.err
        return sorted((tmp_path / "runs").glob("run_*"))[-1]

    return run


def forget_the_scorer(run: Path, reward: float) -> None:
    """An unknown scorer, which gave every answer this reward."""
    for number in range(N):
        rows(lambda row: row.update(reward=reward), number)(run)
    summary = json.loads((run / "summary.json").read_text())
    passes = N if reward else 0
    interval = [0.0, 0.1135] if not reward else [0.8865, 1.0]
    summary |= {"passes": passes, "pass_rate": reward, "mean_reward": reward, "pass_at_1": reward}
    summary |= {"pass_at_1_interval": interval, "pass_at_k": {"1": reward}}
    (run / "summary.json").write_text(json.dumps(summary))
    reseal(run, scorer={"spec_version": "1", "sha256": "0" * 64})


def test_other_rewards_by_the_same_unknown_scorer_are_no_comparison(measured: Measured, command: Command) -> None:
    before = measured("one", 0)
    after = measured("one", 0)
    forget_the_scorer(before, 0.0)
    forget_the_scorer(after, 1.0)
    done = command("course.compare", before, after)
    assert done.code == 1
    assert done.out.startswith("REFUSED")
    assert "points" not in done.out


def test_the_same_completions_with_other_rewards_are_impossible(measured: Measured, command: Command) -> None:
    """Consistent in itself, by a scorer that nobody has any more: only the other run tells."""
    runs = [measured("one", 10), measured("one", 10)]
    for run in runs:
        reseal(run, scorer={"spec_version": "1", "sha256": "0" * 64})
    done = command("course.compare", *runs)
    assert done.code == 0, done.out
    assert "NOT VERIFIED, run_001: the scorer is not the one that made this run" in done.out
    rows(lambda row: row.update(reward=1.0), 20)(runs[1])
    rows(lambda row: row.update(reward=0.0), 0)(runs[1])
    done = command("course.compare", *runs)
    assert done.code == 1
    assert done.out.startswith("REFUSED")


def test_lost_originals_reach_the_answer(measured: Measured, command: Command, tmp_path: Path) -> None:
    runs = measured("one", 10), measured("two", 12, policy="b")
    (tmp_path / "two.jsonl").unlink()
    done = command("course.compare", *runs, "--change", "the model")
    assert "NOT VERIFIED, run_002: the completions file" in done.out


def test_another_core_is_another_instrument(measured: Measured, command: Command) -> None:
    before, after = measured("one", 10), measured("one", 10)
    core = json.loads((after / "manifest.json").read_text())["core"]
    reseal(after, core={**core, "sha256": "1" * 64})
    done = command("course.compare", before, after)
    assert done.code == 1
    assert "core: " in done.out
    assert "a new instrument" in done.out


def test_other_golden_cases_are_another_instrument(measured: Measured, command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    folder.mkdir()
    for path in GOLDEN.glob("*.jsonl"):
        (folder / path.name).write_bytes(path.read_bytes().split(b"\n", 1)[1])
    before, after = measured("one", 10), measured("one", 10, "--golden-dir", folder)
    done = command("course.compare", before, after)
    assert done.code == 1
    assert "golden cases: " in done.out


def test_another_file_name_is_no_change(measured: Measured, command: Command) -> None:
    done = command("course.compare", measured("one", 10, policy=None), measured("renamed", 10, policy=None))
    assert done.code == 0
    assert "the same completions measured twice" in done.out


LEARNED_FROM_A = hashlib.sha256(b"a").hexdigest()


@pytest.mark.parametrize(
    ("says", "knob"),
    [
        pytest.param({}, "another policy: what changed between the two is not known here", id="nothing is said"),
        pytest.param({"learned_from": LEARNED_FROM_A}, "Loop C, learning", id="learned from the first"),
        pytest.param({"learned_from": "0" * 64}, "another policy: what", id="learned from a third"),
        pytest.param({"tokenizer_sha256": "u" * 64}, "another policy: what", id="with a tokenizer of its own"),
    ],
)
def test_loop_c_is_claimed_only_for_that_very_policy(
    says: dict[str, str], knob: str, measured: Measured, command: Command
) -> None:
    before, after = measured("one", 3), measured("two", 25, policy="b", **says)
    done = command("course.compare", before, after, "--change", "the model")
    assert done.code == 0, done.out
    assert f"loop and knob:   {knob}" in done.out
    assert ("Loop C" in done.out) == (knob == "Loop C, learning")


def test_two_finished_runs_are_declared_afterwards_and_stay_so(measured: Measured, command: Command) -> None:
    before, after = measured("one", 3), measured("two", 25, policy="b")
    refused = command("course.compare", before, after)
    assert refused.code == 1
    assert '--change "…"' in refused.out
    assert (
        "a vendor's model (declared afterwards"
        in command("course.compare", before, after, "--change", "a vendor's model").out
    )
    again = command("course.compare", before, after)
    assert again.code == 0
    assert "a vendor's model (declared afterwards, 20" in again.out
    assert command("course.verify_run", "--run", after).code == 0, "no run was touched"
    assert command("course.compare", after, before).code == 1, "in this order only"


def test_an_empty_declaration_says_nothing(measured: Measured, command: Command) -> None:
    done = command("course.compare", measured("one", 3), measured("two", 25, policy="b"), "--change", "  ")
    assert done.code == 2
    assert done.err.count("\n") == 1


def test_a_declaration_opens_no_other_door(measured: Measured, command: Command, tmp_path: Path) -> None:
    """Two knobs stay two knobs, whatever is declared; and nothing is written down of a refused comparison."""
    sampling = {"temperature": 0.2, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": 0}
    before, after = measured("one", 3), measured("two", 25, policy="b", sampling=sampling)
    done = command("course.compare", before, after, "--change", "the model")
    assert done.code == 1
    assert "two knobs at once" in done.out
    assert not (tmp_path / "runs" / "declared_afterwards.jsonl").exists()


def test_a_damaged_file_of_declarations_is_one_line(measured: Measured, command: Command, tmp_path: Path) -> None:
    before, after = measured("one", 3), measured("two", 25, policy="b")
    (tmp_path / "runs" / "declared_afterwards.jsonl").write_text("{")
    done = command("course.compare", before, after)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "declared_afterwards.jsonl, line 1" in done.err


def test_anyway_answers_and_attributes_nothing(measured: Measured, command: Command) -> None:
    sampling = {"temperature": 0.2, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": 0}
    before, after = measured("one", 3), measured("two", 25, policy="b", sampling=sampling)
    done = command("course.compare", before, after, "--anyway")
    assert done.code == 1
    assert done.out.startswith("NOT A COMPARISON")
    assert "temperature: 1.0 before, 0.2 after" in done.out
    assert "policy: " in done.out
    assert "+73.3 points" in done.out
    assert "can be attributed to none" in done.out
    assert "better" not in done.out


def test_anyway_needs_the_same_examples_and_whole_runs(measured: Measured, command: Command) -> None:
    before, after = measured("one", 3), measured("two", 25)
    rows(lambda row: row.update(id="y"), 0)(after)
    assert command("course.compare", before, after, "--anyway").out.startswith("REFUSED")


def test_one_sample_against_eight_is_no_measurement_twice(measured: Measured, command: Command) -> None:
    before, after = measured("one", 3), measured("two", 25, samples=8)
    done = command("course.compare", before, after)
    assert done.code == 1
    assert "samples per prompt changed" in done.out


def test_a_forged_parent_does_not_declare(measured: Measured, command: Command) -> None:
    """A declaration names its parent by the parent's seal, so a parent that was made again does not count."""
    before = measured("one", 3)
    after = measured("two", 25, "--parent", before, "--change", "the model", policy="b")
    text = json.loads((before / "manifest.json").read_text())
    text["note"] = "written later"
    (before / "manifest.json").write_bytes(forged(text))
    done = command("course.compare", before, after)
    assert done.code == 1
    assert "nobody declared it" in done.out


def test_a_policy_that_was_trained_here_is_known_to_be(tmp_path: Path) -> None:
    """From a training run to a sidecar that says from which policy this one was learned."""
    pytest.importorskip("torch")
    clone = copy_repository(tmp_path)
    few = [json.loads(line) for line in DEV.read_text(encoding="utf-8").splitlines()[:6]]
    write_rows(clone / "few_dev.jsonl", few)
    for line in (
        "python -m course.policy.train --steps 1 --prompts-per-step 2 --dev few_dev.jsonl",
        "python -m course.policy.sample --dataset few_dev.jsonl --out before.jsonl",
        "python -m course.policy.sample --dataset few_dev.jsonl --policy runs/run_001/policy --out after.jsonl",
        "python -m course.eval --dataset few_dev.jsonl --completions before.jsonl",
        "python -m course.eval --dataset few_dev.jsonl --completions after.jsonl",
    ):
        done = type_in(clone, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    done = type_in(clone, 'python -m course.compare runs/run_002 runs/run_003 --change "one step of REINFORCE"')
    assert "Loop C, learning" in done.stdout, done.stdout


def test_other_policies_of_the_frozen_rollouts_are_not_learning(command: Command, tmp_path: Path) -> None:
    """The shipped rollouts under another policy's hash, written by hand: no sidecar says how it came about."""
    said = tmp_path / "mine.jsonl"
    said.write_bytes(ROLLOUTS.read_bytes())
    sidecar = json.loads(ROLLOUTS.with_name("frozen_rollouts_dev.meta.json").read_text())
    said.with_name("mine.meta.json").write_text(json.dumps({**sidecar, "policy_sha256": "0" * 64}))
    for path in (ROLLOUTS, said):
        command("course.eval", "--dataset", DEV, "--completions", path, "--runs-dir", tmp_path / "runs")
    runs = tmp_path / "runs" / "run_001", tmp_path / "runs" / "run_002"
    assert "Loop C" not in command("course.compare", *runs, "--change", "learning").out
