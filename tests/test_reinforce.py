"""REINFORCE: its gradient, its estimates of the KL, and that what saves time changes no number."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from course.core.paths import PI0, TRAIN
from course.datasets import load_dataset
from course.policy.core import tokenizer as bpe
from course.policy.core.kl import k1, k3, kl_by_token, kl_from_reference
from course.policy.core.learning import CollapsedError, DivergedError, Settings, learn
from course.policy.core.model import Config, Policy
from course.policy.core.rollouts import Rollouts, distinct, logprobs, merge_duplicates, next_token_logprobs, roll_out
from course.policy.core.sampling import Prompts, generate, load_checkpoint, rng_for
from course.policy.reinforce import MAX_GRAD_NORM, advantages, gradient_step, leash_penalty, loss_of, train_step
from tests.conftest import DEV


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
    completions = torch.tensor(rows)
    ends = (completions == 0).int().cumsum(1)
    mask = (ends == 0) | ((ends == 1) & (completions == 0))
    return Rollouts(Prompts.of([[3, 1]]), torch.zeros(len(rows), dtype=torch.long), completions, mask, [""] * len(rows))


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
    count = len(rollouts.texts)
    loss_of(logprobs(policy, rollouts), advantage, count).backward()  # type: ignore[no-untyped-call]
    step = 1e-6
    for parameter in policy.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)  # type: ignore[union-attr]
        for place in range(0, len(flat), max(1, len(flat) // 5)):
            before = flat[place].item()
            values = []
            for moved in (before + step, before - step):
                flat[place] = moved
                with torch.no_grad():
                    values.append(loss_of(logprobs(policy, rollouts), advantage, count).item())
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
        row_of = rollouts.completion_mask.nonzero()[:, 0]
        exact = (p[row_of] * kl_by_token(ours, theirs)).sum().item()
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


def naive_logprobs(policy: Policy, rollouts: Rollouts) -> torch.Tensor:
    """log π of each sampled token, each sample read alone behind its prompt; 0 after the end token."""
    rows = []
    for prompt, completion, mask in zip(
        rollouts.prompt_of.tolist(), rollouts.completions, rollouts.completion_mask, strict=True
    ):
        before = rollouts.prompts.ids[prompt, : rollouts.prompts.lengths[prompt]]
        of_next = policy(torch.cat((before, completion))[None])[0].log_softmax(-1)[len(before) - 1 : -1]
        rows.append(of_next.gather(1, completion[:, None]).squeeze(1) * mask)
    return torch.stack(rows)


def mixed_rollouts(policy: Policy) -> Rollouts:
    """Samples of three prompts of different lengths, equal ones among them, and one prompt without any."""
    rows = all_completions(policy, 3).rows([0, 30, 30, 41, 30, 0, 2, 2, 77])
    prompts = Prompts.of([[3, 1], [2], [4, 4, 4, 1], [1, 2, 3]])
    return replace(rows, prompts=prompts, prompt_of=torch.tensor([0, 0, 0, 0, 1, 1, 3, 3, 3]))


def test_logprobs_are_those_of_each_sample_read_alone() -> None:
    tiny = tiny_policy(6)
    for policy, rollouts in ((tiny, mixed_rollouts(tiny)), (tiny, all_completions(tiny, 3))):
        with torch.no_grad():
            assert torch.allclose(logprobs(policy, rollouts), naive_logprobs(policy, rollouts), atol=1e-6)
    pi0, tokenizer = load_checkpoint(PI0)
    rollouts = roll_out(pi0, tokenizer, list(load_dataset(DEV).examples.values())[:12], 3, rng_for(1))
    assert len(set(rollouts.prompts.lengths.tolist())) > 1
    with torch.no_grad():
        assert torch.allclose(logprobs(pi0, rollouts), naive_logprobs(pi0, rollouts), atol=1e-4)


def test_merging_duplicates_changes_no_gradient() -> None:
    policy = tiny_policy(5)
    rollouts = mixed_rollouts(policy)
    advantage = torch.tensor([0.5, -0.2, -0.2, 0.0, 0.3, -0.4, 0.25, -0.25, 0.1], dtype=torch.float64)
    naive = -(advantage * naive_logprobs(policy, rollouts).sum(dim=1)).mean()
    expected = torch.autograd.grad(naive, list(policy.parameters()))

    firsts, of_sample = distinct(rollouts)
    assert firsts == [0, 1, 3, 4, 5, 6, 8], "the same answer to another prompt is another"
    assert of_sample.tolist() == [0, 1, 1, 2, 3, 4, 5, 5, 6]
    merged, weight = merge_duplicates(rollouts, advantage)
    assert weight.tolist() == [0.5, -0.4, 0.3, -0.4, 0.1], "advantage zero, and two that cancel out, are left out"
    loss = loss_of(logprobs(policy, merged), weight, len(advantage))
    for ours, theirs in zip(torch.autograd.grad(loss, list(policy.parameters())), expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)


def test_a_gradient_step_clips_and_refuses_what_is_not_finite() -> None:
    policy = tiny_policy(5)
    rollouts = all_completions(policy, 2)
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)
    before = torch.nn.utils.parameters_to_vector(policy.parameters()).clone()
    norm = gradient_step(policy, optimizer, logprobs(policy, rollouts).sum())
    moved = torch.nn.utils.parameters_to_vector(policy.parameters()) - before
    assert norm > MAX_GRAD_NORM
    assert moved.norm().item() == pytest.approx(MAX_GRAD_NORM, abs=1e-4)
    with pytest.raises(DivergedError):
        gradient_step(policy, optimizer, logprobs(policy, rollouts).sum() * torch.nan)


def test_samples_that_share_the_reading_of_their_prompt_are_the_same_samples() -> None:
    policy, tokenizer = load_checkpoint(PI0)
    examples = list(load_dataset(DEV).examples.values())[:9]
    prompts = [bpe.encode_prompt(tokenizer, example["prompt"]) for example in examples]
    uniform = torch.from_numpy(rng_for("shared").random((27, 16)))
    together = generate(policy, Prompts.of(prompts), uniform, 0)
    apart = generate(policy, Prompts.of([prompt for prompt in prompts for _ in range(3)]), uniform, 0)
    assert together.tolist() == apart.tolist()


def step_of_pi0(settings: Settings) -> tuple[torch.Tensor, dict[str, float]]:
    """How one step moves the weights of a policy near π0, by plain gradient ascent, and what the step reports."""
    policy, tokenizer = load_checkpoint(PI0)
    reference = load_checkpoint(PI0)[0]
    with torch.no_grad():  # so that the leash has something to hold
        for parameter in policy.parameters():
            parameter.mul_(1.01)
    train = list(load_dataset(TRAIN).examples.values())
    before = torch.nn.utils.parameters_to_vector(policy.parameters()).detach().clone()
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)
    row = train_step(policy, reference, optimizer, tokenizer, train, settings, 1)
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach() - before, row


def test_with_every_reward_flipped_every_push_is_turned_round() -> None:
    straight, seen = step_of_pi0(Settings(prompts_per_step=8))
    flipped, also_seen = step_of_pi0(Settings(prompts_per_step=8, reward_flip_rate=1.0))
    assert straight.norm() > 0
    assert torch.allclose(flipped, -straight, atol=1e-6)
    assert seen["reward"] == also_seen["reward"], "what was earned is reported, not what was told"
    some, _ = step_of_pi0(Settings(prompts_per_step=8, reward_flip_rate=0.3))
    assert not torch.allclose(some, straight, atol=1e-6)
    again, _ = step_of_pi0(Settings(prompts_per_step=8, reward_flip_rate=0.3))
    assert torch.equal(some, again), "the same flips each time"


def test_the_leash_lowers_the_reward_of_what_has_become_likelier() -> None:
    policy, reference = tiny_policy(3), tiny_policy(4)
    rollouts = mixed_rollouts(policy)
    with torch.no_grad():
        likelier = (naive_logprobs(policy, rollouts) - naive_logprobs(reference, rollouts)).sum(dim=1)
    assert torch.allclose(leash_penalty(policy, reference, rollouts, 0.5), 0.5 * likelier, atol=1e-6)
    free, _ = step_of_pi0(Settings(prompts_per_step=8))
    leashed, seen = step_of_pi0(Settings(prompts_per_step=8, beta=0.5))
    assert seen["kl_penalty"] != 0
    assert not torch.allclose(leashed, free, atol=1e-6)


def test_a_policy_that_earns_nothing_any_more_has_collapsed(tmp_path: Path) -> None:
    """No NaN, only rubbish: a learning rate that is far too high."""
    train, dev = load_dataset(TRAIN), load_dataset(DEV)
    settings = Settings(steps=60, prompts_per_step=4, samples_per_prompt=4, learning_rate=3.0, measure_every=2)
    with pytest.raises(CollapsedError, match="for 8 steps"):
        learn(train_step, PI0, train, dev, settings, tmp_path / "state.pt", lambda state, measured: None)
    kept = torch.load(tmp_path / "state.pt", weights_only=True)
    assert kept["measured"][-1]["proxy"] > 0, "what is kept is good to go on from"


def test_random_streams_have_names() -> None:
    drawn = [rng_for(*name).random() for name in ((0, "step", 1), (0, "step", 2), (1, "step", 1), (0, "dev", 1))]
    assert len(set(drawn)) == 4
    assert rng_for(0, "step", 1).random() == drawn[0]
