"""The proof finds nothing where nothing is wrong, and whatever is wrong where something is."""

import ast
import gc
import json
from pathlib import Path
from typing import Any

import pytest

from course.core.files import InputError
from course.score import score
from transfer import prove
from transfer.proving.machinery import STACKS, Examples, Scored, Stack, Texts
from transfer.proving.places import PLACES
from transfer.proving.proof import Proof, change
from transfer.proving.texts import golden, hostile, rollouts

pytestmark = pytest.mark.filterwarnings("ignore")  # of the stacks' own libraries


def test_hostile_texts_depend_on_the_seed_and_their_number_alone() -> None:
    assert hostile(50, 3) == hostile(80, 3)[:50]
    assert hostile(50, 3) != hostile(50, 4)


def test_hostile_texts_are_what_breaks_plumbing() -> None:
    cases = hostile(5_000, 0)
    texts = [case.text for case in cases]
    assert len(set(texts)) > 3_000
    for part in (
        "\x00",
        "\x1b",
        "\u202e",
        "\ud800",
        "9**9**",
        "\\boxed",
        "<think><think>",
        "<|im_start|>",
        '{"answer"',
    ):
        assert any(part in text for text in texts), part
    assert max(map(len, texts)) > 100_000
    right = sum(score(case.example, case.text)["reward"] for case in cases)
    assert 200 < right < 2_500  # both rewards are at stake


def test_golden_cases_and_rollouts_are_all_there() -> None:
    assert len(golden()) > 400
    assert len(rollouts()) == 2_000


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_gives_the_rewards_of_the_scorer_everywhere(stack: str, place: str) -> None:
    cases = golden()[::4] + hostile(120, 5)
    if place == "another process" and STACKS[stack].package not in (None, "verifiers"):
        pytest.skip("its imports take long: left to python -m transfer.prove")
    proof = Proof()
    proof.add(stack, place, cases)
    gc.collect()  # the streams that Inspect leaves open are complained of here, where that is filtered
    [row] = proof.rows
    assert (row.error, row.differ, row.texts) == (None, 0, len(cases))
    assert proof.holds
    if not STACKS[stack].slow:  # Inspect escapes lone surrogates; the others change nothing
        assert proof.changes == []
    for one in proof.changes:
        text, handed = ast.literal_eval(one["text"]), ast.literal_eval(one["handed"])
        assert handed == "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text) != text


def generous(texts: Texts, examples: Examples) -> Scored:
    return [1.0] * len(texts), list(texts)


def trims(texts: Texts, examples: Examples) -> Scored:
    handed = [text.strip() for text in texts]
    return [score(e, text)["reward"] for e, text in zip(examples, handed, strict=True)], handed


def loses_one(texts: Texts, examples: Examples) -> Scored:
    return [0.0] * (len(texts) - 1), list(texts)[1:]


def raises(texts: Texts, examples: Examples) -> Scored:
    raise RuntimeError("out of \x1b[2Jluck")


async def generous_later(texts: Texts, examples: Examples) -> Scored:
    return generous(texts, examples)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (generous, "The first reward that differs: it, main thread: 1.0 and not 0.0 for"),
        (generous_later, "The first reward that differs: it, main thread: 1.0 and not 0.0 for"),
        (trims, "The first reward that differs: it, main thread: 1.0 and not 0.0 for"),
        (loses_one, "it, main thread: it stopped: ValueError"),
        (raises, "it, worker thread: it stopped: RuntimeError: out of <U+001B>[2Jluck"),
    ],
)
def test_a_faulty_stack_is_found(
    stack: Any, message: str, monkeypatch: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(STACKS, "it", Stack(stack))
    here = {name: run for name, run in PLACES.items() if name != "another process"}  # which knows no patched stack
    monkeypatch.setattr(prove, "PLACES", here)
    settings = prove.Settings(stacks=("batch_score", "it"), texts=300, out=tmp_path / "p.json")
    monkeypatch.setattr(prove, "parse", lambda *words: settings)
    assert prove.main() == 1
    printed = capsys.readouterr().out
    assert message in printed
    assert printed.isprintable() or all(c.isprintable() or c == "\n" for c in printed)
    found = json.loads((tmp_path / "p.json").read_text())
    assert found["holds"] is False
    assert {row["differ"] for row in found["rows"] if row["stack"] == "batch_score"} == {0}
    changed = [json.loads(line) for line in (tmp_path / "p_changed.jsonl").read_bytes().splitlines()]
    assert sum(row["changed"] for row in found["rows"]) == len(changed)
    assert all(row["text"] != row["handed"] and row["stack"] == "it" for row in changed)
    assert bool(changed) == (stack is trims)


def test_a_stack_that_is_not_installed_is_named_and_not_counted(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(STACKS, "trl", Stack(raises, "no_such_package", "trl"))
    found = prove.run(prove.Settings(stacks=("batch_score", "trl"), texts=10))
    assert {row.stack for row in found.proof.rows} == {"batch_score"}
    prove.print_report(found)
    printed = capsys.readouterr().out
    assert "trl: not installed, so nothing is proven of it: pip install -r transfer/requirements-trl.txt" in printed
    with pytest.raises(InputError, match="not installed: pip install"):
        prove.run(prove.Settings(stacks=("trl",), texts=10))


def test_a_slow_stack_gets_each_text_once(monkeypatch: Any) -> None:
    given: list[str] = []

    def slow(texts: Texts, examples: Examples) -> Scored:
        given.extend(texts)
        return trims(texts, examples)[0], list(texts)

    places = dict.fromkeys(PLACES, PLACES["main thread"])
    monkeypatch.setattr("transfer.proving.proof.PLACES", places)
    monkeypatch.setitem(STACKS, "it", Stack(slow, slow=True))
    found = prove.run(prove.Settings(stacks=("it",), texts=10))
    assert sorted(given) == sorted(case.text for pack in found.packs.values() for case in pack)


@pytest.mark.parametrize(
    "words", ["--texts 0", "--stacks none", "--stacks trl trl", "--seed -1", "--out .", "--out a.txt"]
)
def test_bad_input_is_refused_before_anything_runs(words: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.argv", ["prove", *words.split()])
    monkeypatch.setattr(prove, "run", raises)
    with pytest.raises(InputError):
        prove.main()


def test_a_change_is_said_in_words() -> None:
    assert change("a\ud800", "a\\ud800") == "from character 2 on, <U+D800> became \\ud800; 2 characters became 7"
    assert change("ab ", "ab") == "from character 3 on, · became nothing; 3 characters became 2"
