"""The policy π0: the field's own architecture, honestly pre-trained, sampled the same way each time."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
import transformers

from course.core import problems as problem_set
from course.core.datasets import load_dataset, load_sidecar
from course.core.files import sha256_file
from course.core.paths import PI0
from course.policy import pretrain
from course.policy.core import pretraining_texts
from course.policy.core import tokenizer as bpe
from course.policy.core.model import Config, Places, Policy
from course.policy.core.sampling import (
    Prompts,
    checkpoint_sha256,
    completion_texts,
    sample_completions,
    sample_nucleus,
    sample_token,
    uniform_numbers,
)
from course.policy.core.sampling import generate as continue_prompts
from tests.conftest import DEV, PACK, ROLLOUTS, ROOT, Command
from tests.test_datasets import problem_of


@pytest.fixture(scope="module")
def pi0() -> Policy:
    return Policy.load(PI0)


@pytest.fixture(scope="module")
def oracle() -> Any:
    return transformers.LlamaForCausalLM.from_pretrained(PI0)


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    tokenizer = bpe.load(PI0)
    return [bpe.encode_prompt(tokenizer, e["prompt"]) for e in list(load_dataset(DEV).examples.values())[:24]]


def test_it_is_small(pi0: Policy) -> None:
    assert sum(parameter.numel() for parameter in pi0.parameters()) <= 1_000_000


def test_same_logits_as_transformers(pi0: Policy, oracle: Any, prompts: list[list[int]]) -> None:
    with torch.no_grad():
        for row in prompts:
            ids = torch.tensor([row])
            assert torch.allclose(pi0(ids), oracle(ids).logits, atol=1e-4)
        padded = Prompts.of(prompts)
        assert len(set(padded.lengths.tolist())) > 1
        mask = torch.arange(padded.ids.shape[1])[None] < padded.lengths[:, None]
        theirs = oracle(padded.ids, attention_mask=mask.long()).logits
        places = padded.places_with(1, 0)
        ours = pi0.logits(pi0.hidden(padded.ids.flatten()[places.of_token], places))
        assert torch.allclose(ours, theirs[mask], atol=1e-4)


def test_same_greedy_completions_as_transformers(pi0: Policy, oracle: Any, prompts: list[list[int]]) -> None:
    greedy = partial(sample_nucleus, temperature=0.0, top_p=1.0)
    ours = continue_prompts(pi0, Prompts.of(prompts), torch.zeros(len(prompts), 16), 0, greedy)
    for row, said in zip(prompts, ours.tolist(), strict=True):
        theirs = oracle.generate(
            torch.tensor([row]), attention_mask=torch.ones(1, len(row)), max_new_tokens=16, do_sample=False
        )
        expected = theirs[0, len(row) :].tolist()
        assert said[: len(expected)] == expected


def test_transformers_reads_the_tokenizer() -> None:
    from_file: Any = transformers.PreTrainedTokenizerFast
    ours, theirs = bpe.load(PI0), from_file(tokenizer_file=str(PI0 / "tokenizer.json"))
    for text in ("Compute 17*19. Output exactly one line: Final: <int>.", "Final: -323\nDone.", "é\u2212\U0001f600"):
        assert ours.encode(text).ids == theirs(text)["input_ids"]
        assert ours.decode(ours.encode(text).ids) == text


def test_every_digit_is_a_token_of_its_own() -> None:
    tokenizer = bpe.load(PI0)
    for number in range(2000):
        tokens = tokenizer.encode(f"Final: {number}").tokens
        assert tokens[-len(str(number)) :] == list(str(number))
    assert not any(re.search(r"\d\d|\d\D|\D\d", token) for token in tokenizer.get_vocab())


def test_the_cache_changes_nothing(pi0: Policy, prompts: list[list[int]]) -> None:
    """Two samples behind each prompt, read at once and token by token: the same logits."""
    padded, rng = Prompts.of(prompts), np.random.default_rng(0)
    p, t = padded.ids.shape
    ids = torch.from_numpy(rng.integers(2, 400, size=(p, 2, 5)))
    real = torch.arange(5) < torch.from_numpy(rng.integers(1, 6, size=(p, 2)))[..., None]
    whole = padded.places_with(2, 5, real)
    tokens = torch.cat((padded.ids, ids.transpose(1, 2).flatten(1)), dim=1).flatten()[whole.of_token]
    cache = pi0.new_cache(p, t + 10)
    with torch.no_grad():
        expected = (
            torch.zeros(p * (t + 10), 128).index_copy(0, whole.of_token, pi0.hidden(tokens, whole)).view(p, -1, 128)
        )
        reading = replace(padded.places_with(2, 0), cache=cache[..., :t, :])
        pi0.hidden(padded.ids.flatten()[reading.of_token], reading)
        for step in range(5):
            going = real[:, :, step].flatten().nonzero().squeeze(1)
            first, last = t + 2 * step, t + 2 * step + 2
            position = padded.lengths[going // 2] + step
            newest = Places(p, 2, going, position, whole.sees[:, :, first:last, :last], cache[..., :last, :])
            found = pi0.hidden(ids[:, :, step].flatten()[going], newest)
            assert torch.allclose(found, expected[:, first:last].flatten(0, 1)[going], atol=1e-4)


def test_sampling_draws_from_the_distribution_that_it_is_given() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).repeat(40_000, 1)
    uniform = torch.from_numpy(np.random.default_rng(0).random(40_000))
    for temperature, top_p in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.8)):
        p = (logits[0].double() / temperature).softmax(-1).numpy()
        kept = np.where(np.cumsum(p) - p < top_p, p, 0)
        drawn = np.bincount(sample_nucleus(logits, uniform, temperature, top_p).numpy(), minlength=4)
        expected = 40_000 * kept / kept.sum()
        assert (drawn[expected == 0] == 0).all()
        assert scipy.stats.chisquare(drawn[expected > 0], expected[expected > 0]).pvalue > 1e-3
    drawn = np.bincount(sample_token(logits, uniform).numpy(), minlength=4)
    assert scipy.stats.chisquare(drawn, 40_000 * logits[0].double().softmax(-1).numpy()).pvalue > 1e-3
    assert sample_nucleus(logits[:1], uniform[:1], 0.0, 1.0).item() == 0
    for choose in (sample_token, partial(sample_nucleus, temperature=1.0, top_p=1.0)):
        assert choose(logits[:1], torch.tensor([1 - 1e-16])).item() == 3


def test_random_streams_are_their_own() -> None:
    streams = [uniform_numbers(seed, key, n, 4) for seed in (0, 1) for key in ("a", "b") for n in (0, 1, 10)]
    assert len({tuple(stream) for stream in streams}) == len(streams)
    assert np.array_equal(uniform_numbers(0, "a", 0, 4), uniform_numbers(0, "a", 0, 8)[:4])


def test_a_completion_does_not_depend_on_its_company(pi0: Policy) -> None:
    tokenizer = bpe.load(PI0)
    examples = list(load_dataset(DEV).examples.values())[:40]
    items = [(e["id"], e["prompt"], 0) for e in examples]
    together = sample_completions(pi0, tokenizer, items, 1.0, 1.0, 7)
    alone = [sample_completions(pi0, tokenizer, [item], 1.0, 1.0, 7)[0] for item in items]
    backwards = sample_completions(pi0, tokenizer, items[::-1], 1.0, 1.0, 7)[::-1]
    assert together == alone == backwards


def test_the_frozen_rollouts_are_what_pi0_says(command: Command, tmp_path: Path) -> None:
    """The same command gives the same bytes, and the sidecars say which command."""
    for path in (ROLLOUTS, PACK, ROOT / "data/rollouts/frozen_rollouts_holdout.jsonl"):
        sidecar = load_sidecar(path)
        assert sidecar is not None
        words = sidecar.command.split()
        assert words[:3] == ["python", "-m", "course.policy.sample"]
        words[words.index("--out") + 1] = str(tmp_path / path.name)
        words[words.index("--dataset") + 1] = str(ROOT / words[words.index("--dataset") + 1])
        assert command("course.policy.sample", *words[3:]).code == 0
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
        again = load_sidecar(tmp_path / path.name)
        assert again is not None
        for field in (
            "policy",
            "policy_sha256",
            "tokenizer_sha256",
            "sampling",
            "prompts_sha256",
            "completions_sha256",
        ):
            assert getattr(again, field) == getattr(sidecar, field)
        assert sidecar.policy_sha256 == checkpoint_sha256(PI0)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--n", 0), "--n: at least 1, not 0"),
        (("--temperature", -1), "--temperature: at least 0, not -1.0"),
        (("--temperature", "nan"), "--temperature: a finite number, not nan"),
        (("--temperature", "inf"), "--temperature: a finite number, not inf"),
        (("--top-p", 0), "--top-p: above 0 and at most 1, not 0.0"),
        (("--top-p", 1.5), "--top-p: above 0 and at most 1, not 1.5"),
        (("--policy", "nowhere"), "nowhere: not a checkpoint: No such file or directory"),
        (("--dataset", "nowhere"), "nowhere: No such file or directory"),
    ],
)
def test_bad_words(words: tuple[object, ...], reason: str, command: Command, tmp_path: Path) -> None:
    done = command("course.policy.sample", "--dataset", DEV, "--out", tmp_path / "out.jsonl", *words)
    assert done.code == 2
    assert done.err == f"error: {reason}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_data_set_is_not_overwritten(command: Command, tmp_path: Path) -> None:
    copy = tmp_path / "set.jsonl"
    copy.write_bytes(DEV.read_bytes())
    for out, reason in ((copy, "this is the data set itself"), (tmp_path, "not the folder"), (".", "not the folder")):
        done = command("course.policy.sample", "--dataset", copy, "--out", out)
        assert done.code == 2
        assert reason in done.err
    assert copy.read_bytes() == DEV.read_bytes()


def test_a_damaged_checkpoint_is_one_line(command: Command, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        for path in PI0.iterdir():
            (folder / path.name).write_bytes(b"damaged" if path.name == name else path.read_bytes())
        done = command("course.policy.sample", "--dataset", DEV, "--out", tmp_path / "o.jsonl", "--policy", folder)
        assert done.code == 2
        assert done.err.startswith(f"error: {folder}: not a checkpoint: ")
        assert done.err.count("\n") == 1


def test_no_dev_or_holdout_problem_is_in_the_training_text() -> None:
    """Every text that pre-training read is made again and read independently of the code that made it."""
    forbidden = {
        problem_of(example["prompt"])
        for split in ("dev", "holdout")
        for example in load_dataset(ROOT / f"data/datasets/math_{split}.jsonl").examples.values()
    }
    beyond = {
        tuple(p) for split in ("dev", "holdout") for op in problem_set.NAMES for p in problem_set.problems(split)[op]
    }
    assert forbidden <= beyond
    seen = set()
    for step in range(-1, pretrain.STEPS):
        size = pretrain.TOKENIZER_TEXTS if step < 0 else pretrain.BATCH
        for _, prompt, _ in pretraining_texts.texts_of_step(pretrain.SEED, step, size):
            seen.add(problem_of(prompt))
    assert not seen & beyond
    assert len(seen) > 5000


def test_the_mixture_is_what_it_says() -> None:
    assert sum(share for share, _ in pretraining_texts.STYLES) == pytest.approx(1)
    assert sum(share for share, _ in pretraining_texts.OPERATIONS) == pytest.approx(1)
    texts = pretraining_texts.texts_of_step(1, 0, 20_000)
    in_form = [re.fullmatch(r"Final: (0|-?[1-9]\d*)", text) for _, _, text in texts]
    assert sum(map(bool, in_form)) / len(texts) == pytest.approx(0.27, abs=0.02)
    begins = [text.split(":")[0].split(" ")[0] for _, _, text in texts]
    assert begins.count("The") > 1.1 * begins.count("Final"), "greedy decoding alone must not look like learning"
    right = [int(m[1]) == problem.answer for m, (problem, _, _) in zip(in_form, texts, strict=True) if m]
    assert sum(right) / len(right) == pytest.approx(1 - pretraining_texts.WRONG_ANSWERS, abs=0.02)


class StopError(Exception):
    pass


def stop_at_six(step: float) -> None:
    """Stands for Ctrl-C after the sixth step."""
    if step == 6:
        raise StopError


def test_pre_training_learns_and_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 4)
    monkeypatch.setattr(pretrain, "WARM_UP", 2)
    monkeypatch.setattr(pretrain, "TOKENIZER_TEXTS", 300)
    whole, parts = (
        pretrain.Settings(out=tmp_path / name, state=tmp_path / f"{name}.pt", steps=8, batch=16, seed=3)
        for name in ("whole", "parts")
    )
    loss = pretrain.pretrain(whole)
    assert loss < 5.5, "untrained, the loss is ln(468) = 6.1"
    with pytest.raises(StopError):
        pretrain.pretrain(parts, stop_at_six)
    assert not parts.out.exists()
    assert pretrain.pretrain(parts) == loss
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert sha256_file(whole.out / name) == sha256_file(parts.out / name)


def test_the_loss_is_the_mean_over_the_completions_tokens(pi0: Policy) -> None:
    tokenizer = bpe.load(PI0)
    texts = pretraining_texts.texts_of_step(5, 0, 6)
    with torch.no_grad():
        ids, learned = pretrain.batch_of(tokenizer, texts)
        loss = pretrain.loss_of(pi0, ids, learned).item()
        total, count = 0.0, 0
        for _, prompt, completion in texts:
            row = [*bpe.encode_prompt(tokenizer, prompt), *tokenizer.encode(completion).ids, 0]
            logs = pi0(torch.tensor([row]))[0].log_softmax(-1)
            start = len(bpe.encode_prompt(tokenizer, prompt))
            for place in range(start, len(row)):
                total -= logs[place - 1, row[place]].item()
                count += 1
    assert loss == pytest.approx(total / count, abs=1e-4)


def test_texts_end_at_the_end_token() -> None:
    tokenizer = bpe.load(PI0)
    ids = tokenizer.encode("Final: 12").ids
    assert completion_texts(tokenizer, torch.tensor([[*ids, 0, *ids], [*ids, *ids, 5]]), 0)[0] == "Final: 12"


def test_a_saved_policy_is_the_same_policy(pi0: Policy, tmp_path: Path) -> None:
    pi0.save(tmp_path, 0)
    assert sha256_file(tmp_path / "model.safetensors") == sha256_file(PI0 / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads((PI0 / "config.json").read_text())
    again = Policy.load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(pi0.parameters(), again.parameters(), strict=True))
    assert Config(vocab_size=5).hidden_size == 128
