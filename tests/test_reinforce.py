"""Learning on tokens: the gradient, the leash, the resumption and the failures, at a scale of seconds."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from course.datasets import load_dataset
from course.files import InputError, sha256_file
from course.measurement import verify
from course.policy import reinforce
from course.policy import tokenizer as bpe
from course.policy.model import Config, Policy
from course.policy.reinforce import Rollouts, Settings, advantages, k1, k3, log_probs, loss_of
from course.policy.sample import PI0, generate, generator_of, load_checkpoint
from course.terminal import INTERRUPTED
from tests.conftest import DEV, ROOT, Command, write_rows

TRAIN = ROOT / "data" / "datasets" / "math_train.jsonl"


def tiny_policy(seed: int, vocab: int = 5) -> Policy:
    """A policy small enough to enumerate, in double precision."""
    torch.manual_seed(seed)
    policy = Policy(Config(vocab, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2))
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return policy.double()


def all_completions(policy: Policy, length: int) -> Rollouts:
    """Every completion of a fixed prompt over the vocabulary; token 0 ends it."""
    rows = [
        row
        for row in itertools.product(range(policy.config.vocab_size), repeat=length)
        if 0 not in row or not any(row[row.index(0) :])
    ]
    said = torch.tensor(rows)
    ends = (said == 0).int().cumsum(1)
    spoken = ((ends == 0) | ((ends == 1) & (said == 0))).double()
    prompt = torch.tensor([[3, 1]]).repeat(len(rows), 1)
    return Rollouts(
        torch.cat([prompt, said], dim=1), torch.zeros(len(rows), dtype=torch.long), spoken, [""] * len(rows)
    )


def test_the_probabilities_of_all_completions_sum_to_one() -> None:
    policy = tiny_policy(0)
    total = log_probs(policy, all_completions(policy, 4)).sum(dim=1).exp().sum()
    # Completions of four tokens that have not ended are cut off there, and counted as they stand.
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_the_loss_has_the_gradient_of_finite_differences() -> None:
    policy = tiny_policy(1)
    rollouts = all_completions(policy, 2)
    advantage = torch.randn(len(rollouts.texts), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    policy.zero_grad()
    loss_of(log_probs(policy, rollouts), advantage).backward()  # type: ignore[no-untyped-call]
    step = 1e-6
    for parameter in policy.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)  # type: ignore[union-attr]
        for place in range(0, len(flat), max(1, len(flat) // 5)):
            before = flat[place].item()
            values = []
            for moved in (before + step, before - step):
                flat[place] = moved
                with torch.no_grad():
                    values.append(loss_of(log_probs(policy, rollouts), advantage).item())
            flat[place] = before
            assert gradient[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_the_expected_loss_gradient_is_the_gradient_of_the_expected_reward() -> None:
    """Summed over all completions with their probabilities: REINFORCE is unbiased, with and without a baseline."""
    policy = tiny_policy(2)
    rollouts = all_completions(policy, 3)
    rewards = torch.rand(len(rollouts.texts), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (log_probs(policy, rollouts).sum(dim=1).exp() * rewards).sum()
    truth = torch.autograd.grad(expected, list(policy.parameters()))
    for baseline in (0.0, 0.7):
        logs = log_probs(policy, rollouts).sum(dim=1)
        surrogate = (logs.exp().detach() * (rewards - baseline) * logs).sum()
        for ours, theirs in zip(torch.autograd.grad(surrogate, list(policy.parameters())), truth, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-9)


def test_the_kl_estimators_by_enumeration() -> None:
    policy, reference = tiny_policy(3), tiny_policy(4)
    rollouts = all_completions(policy, 3)
    with torch.no_grad():
        ours, theirs = log_probs(policy, rollouts), log_probs(reference, rollouts)
        p = ours.sum(dim=1).exp()
        kl = (p * (ours - theirs).sum(dim=1)).sum().item()
        assert kl > 0.1
        assert (p * k1(ours, theirs).sum(dim=1)).sum().item() == pytest.approx(kl, abs=1e-9)
        by_token = (p * (k3(ours, theirs) * rollouts.spoken).sum(dim=1)).sum().item()
        assert by_token == pytest.approx(kl, abs=1e-9)
        assert (k3(ours, theirs) >= 0).all()


def test_baselines() -> None:
    rewards = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    assert advantages(rewards, "none", 2).tolist() == rewards.tolist()
    assert advantages(rewards, "batch", 2).tolist() == [0.5, -0.5, 0.5, 0.5, -0.5, -0.5]
    assert advantages(rewards, "prompt", 2).tolist() == [0.5, -0.5, 0, 0, 0, 0], (
        "prompts that are all alike push nothing"
    )


def test_log_probs_ignore_padding_and_what_follows_the_end() -> None:
    policy, tokenizer = load_checkpoint(PI0)
    examples = list(load_dataset(DEV).examples.values())[:12]
    rollouts = reinforce.roll_out(policy, tokenizer, examples, generator_of(1))
    assert len(set(rollouts.padding.tolist())) > 1
    with torch.no_grad():
        together = log_probs(policy, rollouts)
        for row, example in enumerate(examples):
            prompt = rollouts.ids[row, rollouts.padding[row] : -16].tolist()
            length = int(rollouts.spoken[row].sum())
            alone = torch.tensor([[*prompt, *rollouts.ids[row, -16:].tolist()]])
            logits = policy(alone)[0].log_softmax(-1)
            for t in range(length):
                token = alone[0, len(prompt) + t]
                expected = logits[len(prompt) + t - 1, token].item()
                assert together[row, t].item() == pytest.approx(expected, abs=1e-4), example["id"]
            assert (together[row, length:] == 0).all()


SMALL = ("--steps", 6, "--prompts", 16, "--samples", 8, "--measure-every", 3, "--learning-rate", 1e-3)


@pytest.fixture
def small_sets(tmp_path: Path) -> tuple[object, ...]:
    """A few dev and holdout problems, so that a run takes seconds."""
    words: list[object] = []
    for split in ("dev", "holdout"):
        rows = (ROOT / "data" / "datasets" / f"math_{split}.jsonl").read_text(encoding="utf-8").splitlines()[:60]
        words += [f"--{split}", write_rows(tmp_path / f"few_{split}.jsonl", [json.loads(row) for row in rows])]
    return tuple(words)


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
    real = reinforce.train_step

    def stopping(*args: Any) -> dict[str, float]:
        if args[-1] == 5:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(reinforce, "train_step", stopping)
    done = command("course.policy.reinforce", *words)
    assert done.code == INTERRUPTED
    assert "The same command goes on from" in done.out
    assert not (tmp_path / "runs" / "run_002").exists()
    monkeypatch.setattr(reinforce, "train_step", real)
    done = command("course.policy.reinforce", *words)
    assert "going on from" in done.out
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
    real = reinforce.loss_of
    calls = itertools.count(1)

    def broken(log_policy: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        return real(log_policy, advantage) * (float("nan") if next(calls) == 5 else 1.0)

    monkeypatch.setattr(reinforce, "loss_of", broken)
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
        (("--samples", 1), "--samples: the mean of a prompt's own samples needs two or more"),
        (("--learning-rate", 0), "--learning-rate: a number above zero"),
        (("--prompts", 5000), "--prompts: math_train.jsonl has only 2000 examples"),
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


def test_random_streams_have_names() -> None:
    drawn = [generator_of(*name).random() for name in ((0, "step", 1), (0, "step", 2), (1, "step", 1), (0, "dev", 1))]
    assert len(set(drawn)) == 4
    assert generator_of(0, "step", 1).random() == drawn[0]


def test_the_view_fits_any_state() -> None:
    row = {"step": 0, "strict": 0.2, "proxy": 0.4, "kl": 0.0, "completions": ["Final: 1\n"], "codes": {}, "prompts": 5}
    state = reinforce.State(0, 0.0, [], [row, {**row, "kl": 3.0, "strict": 1.0}])
    for rubric in ("strict", "anywhere"):
        text = reinforce.view(state, Settings(rubric=rubric)).plain
        assert "Final: 1↵" in text
        assert ("anywhere, dev" in text) == (rubric == "anywhere")
    assert reinforce.sparkline([0, 0.5, 1, 2, -1], 1.0) == " ▄██ "
    with pytest.raises(InputError):
        reinforce.scorer_of("nothing")
