"""The learner: its gradient, its estimates of the KL, and that what it saves changes nothing."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from course.core.files import InputError
from course.core.paths import PI0
from course.datasets import load_dataset
from course.policy import learner
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Config, Policy
from course.policy.core.sampling import generate, load_checkpoint, rng_for
from course.policy.reinforce import (
    DivergedError,
    Rollouts,
    Settings,
    advantages,
    distinct,
    gradient_step,
    k1,
    k3,
    kl_by_token,
    kl_from_reference,
    learn,
    logprobs,
    loss_of,
    next_token_logprobs,
    roll_out,
    train_step,
)
from tests.conftest import DEV, ROOT

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
    completion_mask = ((ends == 0) | ((ends == 1) & (said == 0))).double()
    prompt = torch.tensor([[3, 1]]).repeat(len(rows), 1)
    return Rollouts(
        torch.cat([prompt, said], dim=1), torch.zeros(len(rows), dtype=torch.long), completion_mask, [""] * len(rows)
    )


def test_the_probabilities_of_all_completions_sum_to_one() -> None:
    policy = tiny_policy(0)
    total = logprobs(policy, all_completions(policy, 4)).sum(dim=1).exp().sum()
    # Completions of four tokens that have not ended are cut off there, and counted as they stand.
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_the_loss_has_the_gradient_of_finite_differences() -> None:
    policy = tiny_policy(1)
    rollouts = all_completions(policy, 2)
    advantage = torch.randn(len(rollouts.texts), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    policy.zero_grad()
    loss_of(logprobs(policy, rollouts), advantage).backward()  # type: ignore[no-untyped-call]
    step = 1e-6
    for parameter in policy.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)  # type: ignore[union-attr]
        for place in range(0, len(flat), max(1, len(flat) // 5)):
            before = flat[place].item()
            values = []
            for moved in (before + step, before - step):
                flat[place] = moved
                with torch.no_grad():
                    values.append(loss_of(logprobs(policy, rollouts), advantage).item())
            flat[place] = before
            assert gradient[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_the_expected_loss_gradient_is_the_gradient_of_the_expected_reward() -> None:
    """Summed over all completions with their probabilities: REINFORCE is unbiased, with and without a baseline."""
    policy = tiny_policy(2)
    rollouts = all_completions(policy, 3)
    rewards = torch.rand(len(rollouts.texts), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (logprobs(policy, rollouts).sum(dim=1).exp() * rewards).sum()
    truth = torch.autograd.grad(expected, list(policy.parameters()))
    for baseline in (0.0, 0.7):
        logs = logprobs(policy, rollouts).sum(dim=1)
        surrogate = (logs.exp().detach() * (rewards - baseline) * logs).sum()
        for ours, theirs in zip(torch.autograd.grad(surrogate, list(policy.parameters())), truth, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-9)


def test_the_kl_estimators_by_enumeration() -> None:
    policy, reference = tiny_policy(3), tiny_policy(4)
    rollouts = all_completions(policy, 3)
    with torch.no_grad():
        ours, theirs = logprobs(policy, rollouts), logprobs(reference, rollouts)
        p = ours.sum(dim=1).exp()
        kl = (p * (ours - theirs).sum(dim=1)).sum().item()
        assert kl > 0.1
        assert (p * k1(ours, theirs).sum(dim=1)).sum().item() == pytest.approx(kl, abs=1e-9)
        by_token = (p * (k3(ours, theirs) * rollouts.completion_mask).sum(dim=1)).sum().item()
        assert by_token == pytest.approx(kl, abs=1e-9)
        assert (k3(ours, theirs) >= 0).all()
        ours, theirs = next_token_logprobs(policy, rollouts), next_token_logprobs(reference, rollouts)
        exact = (p * (kl_by_token(ours, theirs) * rollouts.completion_mask).sum(dim=1)).sum().item()
        assert exact == pytest.approx(kl, abs=1e-9), "the choice of each token averaged out"


def test_the_kl_summed_over_the_vocabulary_is_the_quietest() -> None:
    """Of the three estimates on the same samples, as the laboratory reports it."""
    policy, reference = tiny_policy(3), tiny_policy(4)
    rollouts = all_completions(policy, 3)
    with torch.no_grad():
        p = logprobs(policy, rollouts).sum(dim=1).exp()
        drawn = torch.multinomial(p, 400 * 16, replacement=True, generator=torch.Generator().manual_seed(0)).view(
            400, 16
        )
        found = [kl_from_reference(policy, reference, rollouts.rows(row.tolist())) for row in drawn]
    spread = {name: torch.tensor([one[name] for one in found]).std().item() for name in ("kl", "k1", "k3")}
    assert spread["kl"] < spread["k1"]
    assert spread["kl"] < spread["k3"]


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
    rollouts = roll_out(policy, tokenizer, examples, 1, rng_for(1))
    assert len(set(rollouts.padding.tolist())) > 1
    with torch.no_grad():
        together = logprobs(policy, rollouts)
        for row, example in enumerate(examples):
            prompt = rollouts.ids[row, rollouts.padding[row] : -16].tolist()
            length = int(rollouts.completion_mask[row].sum())
            alone = torch.tensor([[*prompt, *rollouts.ids[row, -16:].tolist()]])
            logits = policy(alone)[0].log_softmax(-1)
            for t in range(length):
                token = alone[0, len(prompt) + t]
                expected = logits[len(prompt) + t - 1, token].item()
                assert together[row, t].item() == pytest.approx(expected, abs=1e-4), example["id"]
            assert (together[row, length:] == 0).all()


def test_equal_samples_are_computed_once_and_idle_ones_left_out_without_changing_the_gradient() -> None:
    policy = tiny_policy(5)
    every = all_completions(policy, 2)
    rollouts = every.rows([0, 3, 3, 1, 3, 0, 2, 2])
    advantage = torch.tensor([0.5, -0.2, -0.2, 0.0, 0.3, -0.4, 0.25, -0.25], dtype=torch.float64)
    policy.zero_grad()
    loss_of(logprobs(policy, rollouts), advantage).backward()  # type: ignore[no-untyped-call]
    expected = [parameter.grad.clone() for parameter in policy.parameters() if parameter.grad is not None]

    firsts, of_sample = distinct(rollouts, samples=4)
    assert firsts == [0, 1, 3, 4, 5, 6], "the same answer to another prompt is another"
    assert of_sample.tolist() == [0, 1, 1, 2, 3, 4, 5, 5]
    weight = torch.zeros(len(firsts), dtype=torch.float64).index_add(0, of_sample, advantage)
    seen: list[int] = []
    real = learner.logprobs

    def counting(policy: Policy, some: Rollouts) -> torch.Tensor:
        seen.append(len(some.texts))
        return real(policy, some)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "log_probs", counting)
        gradient_step(policy, torch.optim.SGD(policy.parameters(), lr=0.0), rollouts.rows(firsts), weight, 8)
    assert seen == [4], "advantage zero, and two that cancel out"
    norm = torch.sqrt(sum((gradient.square().sum() for gradient in expected), torch.tensor(0.0))).item()
    for parameter, gradient in zip(policy.parameters(), expected, strict=True):
        assert parameter.grad is not None
        clipped = gradient * min(1.0, learner.MAX_GRAD_NORM / (norm + 1e-6))
        assert torch.allclose(parameter.grad, clipped, atol=1e-12)


def test_samples_that_share_the_reading_of_their_prompt_are_the_same_samples() -> None:
    policy, tokenizer = load_checkpoint(PI0)
    examples = list(load_dataset(DEV).examples.values())[:9]
    prompts = [bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples]
    uniform = torch.from_numpy(rng_for("shared").random((27, 16)))
    together = generate(policy, prompts, uniform, 1.0, 1.0, 0)
    apart = generate(policy, [prompt for prompt in prompts for _ in range(3)], uniform, 1.0, 1.0, 0)
    assert together.tolist() == apart.tolist()


def weights_of_a_step(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> tuple[list[float], dict[str, float]]:
    """What one step of π0 pushes, and what it reports."""
    kept: list[float] = []

    def keeping(policy: Policy, optimizer: Any, rollouts: Rollouts, weight: torch.Tensor, samples: int) -> float:
        kept.extend(weight.tolist())
        return 0.0

    monkeypatch.setattr(learner, "gradient_step", keeping)
    policy, tokenizer = load_checkpoint(PI0)
    reference = load_checkpoint(PI0)[0]
    with torch.no_grad():  # so that the leash has something to hold
        for parameter in policy.parameters():
            parameter.mul_(1.01)
    train = list(load_dataset(TRAIN).examples.values())
    optimizer = torch.optim.Adam(policy.parameters())
    return kept, train_step(policy, reference, optimizer, tokenizer, train, settings, 1)


def test_with_every_reward_flipped_every_push_is_turned_round(monkeypatch: pytest.MonkeyPatch) -> None:
    straight, seen = weights_of_a_step(monkeypatch, Settings(prompts=8))
    flipped, also_seen = weights_of_a_step(monkeypatch, Settings(prompts=8, noise=1.0))
    assert any(straight)
    assert flipped == pytest.approx([-weight for weight in straight])
    assert seen["reward"] == also_seen["reward"], "what was earned is reported, not what was told"
    some, _ = weights_of_a_step(monkeypatch, Settings(prompts=8, noise=0.3))
    assert some != straight
    assert some == weights_of_a_step(monkeypatch, Settings(prompts=8, noise=0.3))[0], "the same flips each time"


def test_the_leash_lowers_the_reward_of_what_has_become_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    free, _ = weights_of_a_step(monkeypatch, Settings(prompts=8))
    leashed, seen = weights_of_a_step(monkeypatch, Settings(prompts=8, beta=0.5))
    assert seen["kl_penalty"] != 0
    assert leashed != pytest.approx(free)
    assert sum(leashed) == pytest.approx(0, abs=1e-5), "the prompt's own mean is still the baseline"


def test_a_policy_that_earns_nothing_any_more_has_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No NaN, only rubbish: a learning rate that is far too high."""
    train, dev = load_dataset(TRAIN), load_dataset(DEV)
    settings = Settings(steps=60, prompts=4, samples=4, learning_rate=3.0, measure_every=2)
    with pytest.raises(DivergedError, match="no sample has earned anything for 8 steps"):
        learn(PI0, train, dev, settings, tmp_path / "state.pt", lambda state, measured: None)
    kept = torch.load(tmp_path / "state.pt", weights_only=True)
    assert kept["measured"][-1]["proxy"] > 0, "what is kept is good to go on from"


def test_random_streams_have_names() -> None:
    drawn = [rng_for(*name).random() for name in ((0, "step", 1), (0, "step", 2), (1, "step", 1), (0, "dev", 1))]
    assert len(set(drawn)) == 4
    assert rng_for(0, "step", 1).random() == drawn[0]


def test_an_unknown_rubric_is_named() -> None:
    with pytest.raises(InputError, match="unknown rubric 'nothing'; there are strict, anywhere"):
        learner.scorer_of("nothing")
