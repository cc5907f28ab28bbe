"""`course.policy.train`, at a scale of seconds that still asserts learning: its run, and how it stops and fails."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from course.core import scoring
from course.core.files import sha256_file
from course.core.manifest import load_manifest
from course.core.paths import HOLDOUT
from course.core.verification import verify
from course.datasets import load_dataset
from course.policy.core import tokenizer as bpe
from course.policy.core.experiment import ExperimentOptions, open_experiment
from course.policy.core.learning import Settings, State
from course.policy.core.live_view import sparkline, view
from course.policy.core.sampling import load_checkpoint, sample_completions
from course.policy.reinforce import train_step
from tests.conftest import ROOT, Command, write_rows

SMALL = Settings(beta=0.02, steps=6, prompts_per_step=16, samples_per_prompt=8, measure_every=3, learning_rate=1e-3)
WORDS = tuple(
    word
    for name in ("beta", "steps", "prompts_per_step", "samples_per_prompt", "measure_every", "learning_rate")
    for word in (f"--{name.replace('_', '-')}", getattr(SMALL, name))
)


def options_of(small_sets: tuple[object, ...], runs: Path) -> ExperimentOptions:
    """The options that `command` is given as words."""
    dev, holdout = (Path(str(small_sets[place])) for place in (1, 3))
    return ExperimentOptions(dev=dev, holdout=holdout, runs_dir=runs)


def stop_at(step: int) -> Callable[[State, bool], None]:
    """What Ctrl-C does, at the end of a step."""

    def show(state: State, measured: bool) -> None:
        if state.step == step:
            raise KeyboardInterrupt

    return show


def test_it_learns_is_resumed_to_the_same_bytes_and_its_checkpoint_is_everybodys(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    done = command("course.policy.train", *WORDS, *small_sets, "--runs-dir", runs)
    assert done.code == 0, done.err
    whole = runs / "run_001"
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["last"]["strict"] > summary["first"]["strict"] + 0.15
    assert summary["holdout"]["strict"] > summary["first"]["strict"] + 0.1
    assert not verify(whole).wrong
    assert list((runs / ".reinforce").iterdir()) == [], "the run is written, so nothing is kept to resume from"
    assert done.out.index("this runs folder knows: 0.") < done.out.index("holdout, after, once")

    with (
        pytest.raises(KeyboardInterrupt, match="resumes from the last measurement"),
        open_experiment("reinforce", options_of(small_sets, runs), SMALL) as experiment,
    ):
        experiment.learn(train_step, SMALL, stop_at(4))
    assert not (runs / "run_002").exists()
    done = command("course.policy.train", *WORDS, *small_sets, "--runs-dir", runs)
    assert done.code == 0
    assert "step    3" not in done.out, "it does not measure again what it has measured"
    assert "this runs folder knows: 1." in done.out
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.name != "manifest.json"}
    assert {"measurements.jsonl", "reinforce_log.jsonl", "summary.json", "reinforce.png"} <= {f.name for f in files}
    for name in files:
        assert sha256_file(whole / name) == sha256_file(runs / "run_002" / name), name

    learned, tokenizer = load_checkpoint(whole / "policy")
    text = "Compute 17*19. Output exactly one line: Final: <int>."
    prompt, end = bpe.encode_prompt(tokenizer, text), bpe.special_id(tokenizer, bpe.END)
    oracle: Any = transformers.LlamaForCausalLM.from_pretrained(whole / "policy")
    theirs = oracle.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)[0, len(prompt) :].tolist()
    ours = sample_completions(learned, tokenizer, [("x", text, 0)], 0.0, 1.0, 0)
    assert ours == [tokenizer.decode([token for token in theirs if token != end], skip_special_tokens=False)]
    holdout = Path(str(small_sets[3]))
    words = ("--dataset", holdout, "--completions", none_said(tmp_path, holdout), "--runs-dir", runs)
    assert "this runs folder knows: 2." in command("course.eval", *words).out


def test_the_holdout_is_looked_at_only_when_asked(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    """Without --holdout nothing is measured on it, and nothing is recorded of it; alone, it means the shipped one."""
    words = ("--steps", 1, "--prompts-per-step", 2, "--measure-every", 1, *small_sets[:2], "--runs-dir", tmp_path)
    for module, shown in (("train", "dev, after"), ("three_ways", "Prompt by prompt")):
        done = command(f"course.policy.{module}", *words)
        assert done.code == 0, done.err
        assert shown in done.out
        assert "holdout" not in done.out.replace(str(tmp_path), "")
        run = sorted(tmp_path.glob("run_*"))[-1]
        assert "holdout" not in (run / "summary.json").read_text(encoding="utf-8")
        manifest = load_manifest(run)
        assert (manifest.looked_at, [record.split for record in manifest.data.values()]) == ([], ["train", "dev"])
    done = command("course.policy.train", *words, "--holdout")
    assert "/200 = " in done.out.split("holdout, after, once")[1].splitlines()[0]
    assert load_manifest(tmp_path / "run_003").looked_at == [load_dataset(HOLDOUT).prompts_sha256]


def none_said(folder: Path, dataset: Path) -> Path:
    first = next(iter(load_dataset(dataset).examples))
    return write_rows(folder / "none.jsonl", [{"id": first, "completion": ""}])


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent in another way there")
def test_ctrl_c_keeps_what_was_measured(small_sets: tuple[object, ...], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    words = ("--steps", 500, "--measure-every", 1, "--prompts-per-step", 2, *small_sets, "--runs-dir", runs)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "course.policy.train", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        next(line for line in process.stdout if line.startswith("step    1"))
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130
    assert "The same command resumes from the last measurement" in errors
    assert errors.count("\n") == 1
    assert not list(runs.glob("run_*"))
    assert torch.load(next((runs / ".reinforce").iterdir()), weights_only=True)["step"] >= 1


def test_a_diverged_run_keeps_the_last_good_weights_and_writes_no_run(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    """Weights as large as this learning rate makes them give NaN."""
    runs = tmp_path / "runs"
    words = (*WORDS, "--learning-rate", 1e30, *small_sets, "--runs-dir", runs)
    done = command("course.policy.train", *words)
    assert done.code == 1
    assert re.search("DIVERGED at step 2: the loss is .*nan", done.out)
    kept = next((runs / ".reinforce").iterdir())
    assert str(kept) in done.out
    assert all(torch.isfinite(tensor).all() for tensor in torch.load(kept, weights_only=True)["policy"].values())
    assert torch.load(kept, weights_only=True)["step"] == 0
    assert not list(runs.glob("run_*"))
    assert not list(runs.glob(".unfinished-*"))
    kept.write_bytes(b"damaged")
    done = command("course.policy.train", *words)
    assert done.code == 2
    assert "not a state to go on from" in done.err


def test_a_collapsed_run_keeps_the_last_good_weights_and_writes_no_run(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    batch = ("--steps", 40, "--prompts-per-step", 4, "--samples-per-prompt", 4)
    words = (*batch, "--learning-rate", 3.0, *small_sets[:2], "--runs-dir", runs)
    done = command("course.policy.noise", "--seeds", 0, "--shares", 0, *words)
    assert done.code == 1
    assert "COLLAPSED at step" in done.out
    assert "no sample has earned anything for 8 steps" in done.out
    kept = next((runs / ".reinforce").iterdir())
    assert str(kept) in done.out
    assert torch.load(kept, weights_only=True)["measured"][-1]["proxy"] > 0
    assert not list(runs.glob("run_*"))


def test_a_weak_rubric_has_two_curves_and_a_hole(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path
) -> None:
    words = ("--rubric", "anywhere", "--steps", 1, "--prompts-per-step", 4, "--plot", tmp_path / "picture.png")
    done = command("course.policy.train", *words, *small_sets, "--runs-dir", tmp_path / "runs")
    assert done.code == 0
    assert "whose hole is" in done.out
    assert sha256_file(tmp_path / "picture.png") == sha256_file(tmp_path / "runs" / "run_001" / "reinforce.png")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--rubric", "nice"), "--rubric: unknown: 'nice'; there are strict, anywhere"),
        (("--beta", -0.1), "--beta: at least 0"),
        (("--beta", "nan"), "--beta: a finite number"),
        (("--steps", 0), "--steps: at least 1, not 0"),
        (("--measure-every", 0), "--measure-every: at least 1, not 0"),
        (("--samples-per-prompt", 1), "--samples-per-prompt: the mean of a prompt's own samples needs two or more"),
        (("--reward-flip-rate", 1.5), "--reward-flip-rate: at least 0 and at most 1"),
        (("--learning-rate", 0), "--learning-rate: above 0"),
        (("--prompts-per-step", 5000), "--prompts-per-step: math_train.jsonl has only 2000 examples"),
        (("--policy", "nowhere"), "nowhere: not a checkpoint"),
        (("--train", "nowhere"), "nowhere: No such file or directory"),
        (("--plot", "."), "--plot: no file can be written at ."),
        (("--plot", "README.md/x.png"), "--plot: no file can be written at README.md/x.png"),
        (("--change", "beta", "--parent", "nowhere"), "nowhere: no such run"),
    ],
)
def test_what_is_refused_is_refused_before_learning(
    words: tuple[object, ...], reason: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = command("course.policy.train", *words, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "runs").exists(), "nothing was learned"


def test_the_view_fits_any_state() -> None:
    row = {"step": 0, "strict": 0.2, "proxy": 0.4, "kl": 0.0, "completions": ["Final: 1\n"], "codes": {}, "prompts": 5}
    state = State(0, 0.0, [], [row, {**row, "kl": 3.0, "strict": 1.0}])
    for rubric in ("strict", "anywhere"):
        text = view(state, Settings(rubric=rubric)).plain
        assert "Final: 1↵" in text
        assert ("anywhere, dev" in text) == (rubric == "anywhere")
    assert sparkline([0, 0.5, 1, 2, -1], 1.0) == " ▄██ "


def test_a_students_rubric_pays_as_it_stood_when_it_was_read(
    command: Command, small_sets: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rubric of notes/patch.py says the same as the weak one that it copies: the same policy comes of it."""
    patch, words = tmp_path / "patch.py", (*WORDS, *small_sets, "--runs-dir", tmp_path / "runs")
    monkeypatch.setattr(scoring.read_patch, "__defaults__", (patch,))
    patch.write_text((ROOT / "notes" / "patch.py").read_text(encoding="utf-8"), encoding="utf-8")
    for rubric in ("anywhere", "patched"):
        done = command("course.policy.train", *words, "--rubric", rubric)
        assert done.code == 0, done.err
    weak, own = (load_manifest(tmp_path / "runs" / f"run_00{number}") for number in (1, 2))
    assert own.settings["rubric"] == f"patched {sha256_file(patch)[:12]}"
    assert "your own rubric" in done.out
    assert not verify(tmp_path / "runs" / "run_002").wrong
    assert weak.policy is not None
    assert own.policy is not None
    assert own.policy.checkpoints == weak.policy.checkpoints
    name = own.settings["rubric"]
    patch.write_text(patch.read_text(encoding="utf-8").replace("1.0", "0.5"), encoding="utf-8")
    example = {"expected_answer": 42}
    assert scoring.scorer_named(name)(example, "42")["reward"] == 1, "as it was read"
    assert scoring.scorer_named(scoring.read_patch())(example, "42")["reward"] == 0.5


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "No such file"),
        ("def patched(", "it must define the function patched; it raised SyntaxError"),
        ("RUBRIC = 'anywhere'", "it must define the function patched; it raised KeyError"),
        ("raise SystemExit", "it must define the function patched; it raised SystemExit"),
        ("def patched(example, completion): return 1 / 0", "it raised ZeroDivisionError('division by zero') for "),
        ("def patched(example, completion): return 1.0", "it raised TypeError"),
        ("def patched(example, completion): return {'reward': 7}", "a reward is a number from 0 to 1, not 7.0"),
        ("def patched(example, completion): return {'reward': float('nan')}", "from 0 to 1, not nan"),
    ],
)
def test_a_students_rubric_that_is_none_ends_in_one_line(
    source: str | None,
    reason: str,
    command: Command,
    small_sets: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patch = tmp_path / "patch.py"
    monkeypatch.setattr(scoring.read_patch, "__defaults__", (patch,))
    if source is not None:
        patch.write_text(source, encoding="utf-8")
    words = (*WORDS, *small_sets, "--runs-dir", tmp_path / "runs", "--rubric", "patched")
    done = command("course.policy.train", *words)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not list(tmp_path.glob("runs/run_*"))
