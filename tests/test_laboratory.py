"""The laboratory's commands, at a scale of seconds that still asserts learning, and how they fail."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from course.core.command_line import INTERRUPTED
from course.core.files import sha256_file
from course.core.verification import verify
from course.datasets import load_dataset
from course.policy import learner
from course.policy.core import tokenizer as bpe
from course.policy.core.experiment import sparkline, view
from course.policy.core.sampling import generate, load_checkpoint
from course.policy.reinforce import Settings, State
from tests.conftest import Command, write_rows

SMALL = (
    "--steps",
    6,
    "--prompts-per-step",
    16,
    "--samples-per-prompt",
    8,
    "--measure-every",
    3,
    "--learning-rate",
    1e-3,
)


def test_it_learns_writes_a_run_and_the_checkpoint_is_everybodys(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    done = command("course.policy.reinforce", *SMALL, *small_sets, "--runs-dir", tmp_path / "runs")
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "run_001"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["last"]["strict"] > summary["first"]["strict"] + 0.15
    assert summary["holdout"]["strict"] > summary["first"]["strict"] + 0.1
    assert verify(run) == ([], [])
    assert list((tmp_path / "runs" / ".reinforce").iterdir()) == [], (
        "what was kept to go on from is not needed any more"
    )
    learned, tokenizer = load_checkpoint(run / "policy")
    oracle: Any = transformers.LlamaForCausalLM.from_pretrained(run / "policy")
    prompt = bpe.encode_prompt(tokenizer, "Compute 17*19. Output exactly one line: Final: <int>.")
    theirs = oracle.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)[0, len(prompt) :].tolist()
    ours = generate(learned, [prompt], torch.zeros(1, 16), 0.0, 1.0, 0)[0].tolist()
    assert ours[: len(theirs)] == theirs
    holdout = Path(str(small_sets[3]))
    words = ("--dataset", holdout, "--completions", none_said(tmp_path, holdout), "--runs-dir", tmp_path / "runs")
    looks = command("course.eval", *words)
    assert "this runs folder knows: 1." in looks.out


def none_said(folder: Path, dataset: Path) -> Path:
    first = next(iter(load_dataset(dataset).examples))
    return write_rows(folder / "none.jsonl", [{"id": first, "completion": ""}])


def test_same_seed_same_numbers_and_a_stopped_run_goes_on_to_the_same_end(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--rubric", "anywhere", "--beta", 0.1, *SMALL, *small_sets, "--runs-dir", tmp_path / "runs")
    assert command("course.policy.reinforce", *words).code == 0
    real = learner.train_step

    def stopping(*args: Any) -> dict[str, float]:
        if args[-1] == 5:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(learner, "train_step", stopping)
    done = command("course.policy.reinforce", *words)
    assert done.code == INTERRUPTED
    assert "The same command goes on from the last measurement" in done.out
    assert not (tmp_path / "runs" / "run_002").exists()
    monkeypatch.setattr(learner, "train_step", real)
    done = command("course.policy.reinforce", *words)
    assert done.code == 0
    assert "step    3" not in done.out, "it does not measure again what it has measured"
    one, other = tmp_path / "runs" / "run_001", tmp_path / "runs" / "run_002"
    for name in (
        "measurements.jsonl",
        "reinforce_log.jsonl",
        "summary.json",
        "policy/model.safetensors",
        "reinforce.png",
    ):
        assert sha256_file(one / name) == sha256_file(other / name), name


def test_a_diverged_run_keeps_the_last_good_weights_and_writes_no_run(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = learner.loss_of
    calls = itertools.count(1)

    def broken(log_policy: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        return real(log_policy, advantage) * (float("nan") if next(calls) == 5 else 1.0)

    monkeypatch.setattr(learner, "loss_of", broken)
    done = command("course.policy.reinforce", *SMALL, *small_sets, "--runs-dir", tmp_path / "runs")
    assert done.code == 1
    assert "DIVERGED at step 5: the loss is nan" in done.out
    kept = next((tmp_path / "runs" / ".reinforce").iterdir())
    assert all(torch.isfinite(tensor).all() for tensor in torch.load(kept, weights_only=True)["policy"].values())
    assert torch.load(kept, weights_only=True)["step"] == 3
    assert not list((tmp_path / "runs").glob("run_*"))
    assert not list((tmp_path / "runs").glob(".unfinished-*"))
    kept.write_bytes(b"damaged")
    done = command("course.policy.reinforce", *SMALL, *small_sets, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert "not a state to go on from" in done.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--rubric", "nice"), "--rubric: unknown rubric 'nice'; there are strict, anywhere"),
        (("--beta", -0.1), "--beta: a number, zero or more"),
        (("--beta", "nan"), "--beta: a number, zero or more"),
        (("--steps", 0), "--steps: at least 1, not 0"),
        (("--measure-every", 0), "--measure-every: at least 1, not 0"),
        (("--samples-per-prompt", 1), "--samples: the mean of a prompt's own samples needs two or more"),
        (("--noise", 1.5), "--noise: a share, from 0 to 1"),
        (("--learning-rate", 0), "--learning-rate: a number above zero"),
        (("--prompts-per-step", 5000), "--prompts: math_train.jsonl has only 2000 examples"),
        (("--policy", "nowhere"), "nowhere: not a checkpoint"),
        (("--train", "nowhere"), "nowhere: No such file or directory"),
    ],
)
def test_bad_words(words: tuple[object, ...], reason: str, command: Command, tmp_path: Path) -> None:
    done = command("course.policy.reinforce", *words, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not list((tmp_path / "runs").glob("run_*"))


def test_the_view_fits_any_state() -> None:
    row = {"step": 0, "strict": 0.2, "proxy": 0.4, "kl": 0.0, "completions": ["Final: 1\n"], "codes": {}, "prompts": 5}
    state = State(0, 0.0, [], [row, {**row, "kl": 3.0, "strict": 1.0}])
    for rubric in ("strict", "anywhere"):
        text = view(state, Settings(rubric=rubric)).plain
        assert "Final: 1↵" in text
        assert ("anywhere, dev" in text) == (rubric == "anywhere")
    assert sparkline([0, 0.5, 1, 2, -1], 1.0) == " ▄██ "
