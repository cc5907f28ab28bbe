"""Real models: π0 from its folder says what the course's own sampler says; behind a real server it answers as often."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import binomtest

from course.core.datasets import Completion, CompletionsFile, load_dataset, load_sidecar
from course.core.files import InputError, sha256_file
from course.core.measurement import Measurement
from course.core.paths import DEV, FROZEN, PACK, PI0
from course.policy.core.sampling import checkpoint_sha256, load_checkpoint, sample_completions
from transfer.ask import Settings, journal_path, run
from transfer.serve_pi0 import PLAIN, TEMPLATE
from transfer.tests.asking import few, rows_of
from transfer.tests.faults import FaultProxy, forward_to
from transfer.tests.server import transformers_serve

LOCAL: dict[str, Any] = {"model": str(PI0), "chat_template": TEMPLATE, "max_new_tokens": 16}
ROUNDING = 2  # completions of 200 in which another padding may turn a draw that falls on an edge


@pytest.fixture(autouse=True)
def one_core() -> None:
    """Threads that wait for each other cost more than they save on a model this small."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The real server with π0: what a request to it needs."""
    with transformers_serve(tmp_path_factory.mktemp("served") / "pi0") as (url, model):
        yield {"base_url": url, "model": model, "max_new_tokens": 16}


def texts(path: Path) -> list[str | None]:
    return [row["completion"] for row in rows_of(path)]


def by_the_course(dataset: Path, temperature: float, top_p: float, seed: int = 0, n: int = 1) -> list[str]:
    """What the course's own sampler makes of the same prompts."""
    examples = load_dataset(dataset).examples.values()
    items = [(example["id"], example["prompt"], sample) for example in examples for sample in range(n)]
    return sample_completions(*load_checkpoint(PI0), items, temperature, top_p, seed)


def passes(dataset: Path, completions: Path) -> list[bool]:
    return [result.reward == 1 for result in Measurement(dataset, completions)]


def differ(left: list[Any], right: list[Any]) -> int:
    return sum(one != other for one, other in zip(left, right, strict=True))


def test_a_folder_draws_the_same_tokens_as_the_course(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    run(Settings(dataset=DEV, out=out, parallel=64, **LOCAL))
    frozen: list[Completion] = list(CompletionsFile(FROZEN, load_dataset(DEV).examples))
    changed = differ(texts(out), [row.completion for row in frozen])
    print(f"{changed} of 200 differ from the frozen rollouts; {sum(passes(DEV, out))} pass")
    assert changed <= ROUNDING
    sidecar, by_course = load_sidecar(out), load_sidecar(FROZEN)
    assert sidecar is not None
    assert by_course is not None
    assert sidecar.policy_sha256 == by_course.policy_sha256 == checkpoint_sha256(PI0)
    assert (sidecar.policy, sidecar.tokenizer_sha256) == ("pi0", by_course.tokenizer_sha256)


@pytest.mark.parametrize(("temperature", "top_p", "seed"), [(0.0, 1.0, 0), (0.7, 0.8, 3), (2.0, 1.0, 5)])
def test_knobs_of_a_folder(tmp_path: Path, temperature: float, top_p: float, seed: int) -> None:
    dataset = few(tmp_path, 20)
    knobs: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "seed": seed, "n": 2}
    for batch in (3, 64):
        out = tmp_path / f"{batch}.jsonl"
        run(Settings(dataset=dataset, out=out, parallel=batch, **LOCAL, **knobs))
        assert differ(texts(out), by_the_course(dataset, temperature, top_p, seed, 2)) <= ROUNDING


def test_where_an_answer_ends(tmp_path: Path) -> None:
    dataset = few(tmp_path, 40)
    run(Settings(dataset=dataset, out=tmp_path / "whole.jsonl", **LOCAL))
    run(Settings(dataset=dataset, out=tmp_path / "stop.jsonl", stop=(" is", "3"), **LOCAL))
    run(Settings(dataset=dataset, out=tmp_path / "short.jsonl", **{**LOCAL, "max_new_tokens": 3}))
    whole, stopped, short = (rows_of(tmp_path / f"{name}.jsonl") for name in ("whole", "stop", "short"))
    tokens = {row["id"]: row["usage"]["completion_tokens"] for row in rows_of(tmp_path / "whole.jsonl.asked")[1:]}
    for row, stop, cut in zip(whole, stopped, short, strict=True):
        assert stop["completion"] == row["completion"].split(" is")[0].split("3")[0]
        assert row["completion"].startswith(cut["completion"])
        assert cut["finish_reason"] == ("stop" if tokens[row["id"]] <= 3 else "length")  # the end token is one
    assert {row["finish_reason"] for row in short} == {"stop", "length"}
    assert all(stop["finish_reason"] == "stop" for row, stop in zip(whole, stopped, strict=True) if stop != row)


def test_without_a_template_the_prompt_is_plain_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, system = few(tmp_path, 40), tmp_path / "system.txt"
    system.write_text("Be brief.")
    plain: dict[str, Any] = {**LOCAL, "chat_template": None}
    run(Settings(dataset=dataset, out=tmp_path / "a.jsonl", **plain))
    assert f"{PI0} has no chat template: its prompts are continued plain" in capsys.readouterr().out.replace("\n", " ")
    assert load_sidecar(tmp_path / "a.jsonl").sampling.request["prompts"] == "plain"  # type: ignore[union-attr]
    assert differ(texts(tmp_path / "a.jsonl"), by_the_course(dataset, 1.0, 1.0)) > 20  # another framing, other answers
    with pytest.raises(InputError, match=r"--system-prompt: .*no chat template"):
        run(Settings(dataset=dataset, out=tmp_path / "b.jsonl", system_prompt=system, **plain))
    run(Settings(dataset=dataset, out=tmp_path / "c.jsonl", system_prompt=system, **LOCAL))
    assert load_sidecar(tmp_path / "c.jsonl").system_prompt == "Be brief."  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", ["no folder", "config.json", "tokenizer.json", "model.safetensors", "template"])
def test_what_is_no_model(tmp_path: Path, damage: str) -> None:
    folder, template = tmp_path / "model", tmp_path / "template"
    template.write_text("{{ messages" if damage == "template" else TEMPLATE.read_text())
    if damage != "no folder":
        folder.mkdir()
        for file in PI0.iterdir():
            (folder / file.name).write_bytes(b"{" if file.name == damage else file.read_bytes())
    local = {**LOCAL, "model": str(folder), "chat_template": template}
    with pytest.raises(InputError) as refused:
        run(Settings(dataset=few(tmp_path, 2), out=tmp_path / "out" / "a.jsonl", **local))
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("out/*"))


def test_a_server_frames_prompts_as_the_course_does(tmp_path: Path, served: dict[str, Any]) -> None:
    dataset = few(tmp_path, 30)
    greedy: dict[str, Any] = {"temperature": 0.0, "parallel": 4}
    for name in PLAIN:
        assert sha256_file(Path(served["model"]) / name) == sha256_file(PI0 / name)
    for api in ("chat", "completions"):
        run(Settings(dataset=dataset, out=tmp_path / f"{api}.jsonl", api=api, **greedy, **served))
        assert texts(tmp_path / f"{api}.jsonl") == by_the_course(dataset, 0.0, 1.0)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_answers_at_the_rate_of_pi0(tmp_path: Path, served: dict[str, Any], api: str) -> None:
    """Against eight samples a prompt by the course. Both seeds are fixed; at one request at a time nothing is luck."""
    out, began = tmp_path / "a.jsonl", time.monotonic()
    run(Settings(dataset=DEV, out=out, api=api, parallel=1, **served))
    seconds = time.monotonic() - began
    passed, known = sum(passes(DEV, out)), passes(DEV, PACK)
    print(f"{api}: {passed}/200 pass; 200 requests in {seconds:.1f} s, {200 / seconds:.0f} a second")
    assert binomtest(passed, 200, sum(known) / len(known)).pvalue > 0.01


def test_faults_before_a_real_server_change_nothing(tmp_path: Path, served: dict[str, Any]) -> None:
    dataset, proxy = few(tmp_path, 40), FaultProxy(forward_to(served["base_url"]), seed=1, hang=6)
    run(Settings(dataset=dataset, out=tmp_path / "whole.jsonl", parallel=1, **served))
    with proxy.open() as url:
        hurry: dict[str, Any] = {"back_off": 0.02, "timeout": 4.0, "attempts": 12, "parallel": 1}
        run(Settings(dataset=dataset, out=tmp_path / "a.jsonl", **{**served, "base_url": url}, **hurry))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert set(proxy.handed_over.values()) == {1}
    assert len(rows_of(journal_path(tmp_path / "a.jsonl"))) == 41
