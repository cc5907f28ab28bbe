"""The environment's data: remade byte for byte, split by problem, right, and loaded strictly."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from course.core import problems as problem_set
from course.core.datasets import load_sidecar
from course.core.files import InputError
from course.core.manifest import load_manifest
from course.datasets import generate, load_dataset
from course.score import score
from tests.conftest import ROOT, Command, write_rows

FOLDER = ROOT / "data" / "datasets"
FORMAT_LINE = "Output exactly one line: Final: <int>."


def rows_of(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"math_{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def problem_of(prompt: str) -> tuple[int, str, int]:
    """Operands and operation, read from the wording alone: an independent reading of every prompt."""
    question = prompt.removesuffix(FORMAT_LINE)
    plain = re.fullmatch(r"Compute (\d+)([-+*])(\d+)\. ", question)
    if plain:
        a, op, b = int(plain[1]), plain[2], int(plain[3])
    else:
        numbers = [int(number) for number in re.findall(r"\d+", question)]
        assert len(numbers) == 2, prompt
        a, b = numbers
        if any(phrase in question for phrase in (" more.", "in another", "on Tuesday")):
            op = "+"
        elif any(phrase in question for phrase in (" sells ", " fall off", " away")):
            op = "-"
        else:
            assert any(phrase in question for phrase in (" each.", "Each bag", " rows of ")), prompt
            op = "*"
    return (a, op, b) if op == "-" else (min(a, b), op, max(a, b))


def test_the_script_remakes_the_files_byte_for_byte(command: Command, tmp_path: Path) -> None:
    done = command("course.datasets.generate", "--out-dir", tmp_path)
    assert done.code == 0
    for split in generate.SIZES:
        name = f"math_{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_sizes_and_mixture() -> None:
    assert {split: len(rows_of(split)) for split in generate.SIZES} == {"train": 2000, "dev": 200, "holdout": 200}
    for split in generate.SIZES:
        kinds = {(row["metadata"]["operation"], row["metadata"]["wording"]) for row in rows_of(split)}
        assert kinds == {(op, wording) for op in ("sum", "difference", "product") for wording in ("plain", "story")}
        assert load_dataset(FOLDER / f"math_{split}.jsonl").split == split


def test_every_answer_is_right_and_every_prompt_has_the_format_line() -> None:
    for split in generate.SIZES:
        for row in rows_of(split):
            a, op, b = problem_of(row["prompt"])
            assert row["expected_answer"] == {"+": a + b, "-": a - b, "*": a * b}[op], row
            assert row["prompt"].endswith(FORMAT_LINE)
            assert score(row, f"Final: {row['expected_answer']}")["reward"] == 1.0


def test_no_constant_answer_scores_well() -> None:
    for split in generate.SIZES:
        answers = [row["expected_answer"] for row in rows_of(split)]
        assert max(map(answers.count, set(answers))) <= 0.05 * len(answers)


def test_splits_share_no_problem_and_held_out_problems_come_once() -> None:
    problems = {split: [problem_of(row["prompt"]) for row in rows_of(split)] for split in generate.SIZES}
    assert not set(problems["train"]) & set(problems["dev"])
    assert not set(problems["train"]) & set(problems["holdout"])
    assert not set(problems["dev"]) & set(problems["holdout"])
    assert len(set(problems["dev"])) == len(set(problems["holdout"])) == 200
    prompts = [row["prompt"] for split in generate.SIZES for row in rows_of(split)]
    assert len(prompts) == len(set(prompts))


def test_the_wall_runs_through_problems_and_leaves_none_out() -> None:
    for op in problem_set.NAMES:
        sides = [set(problem_set.problems(split)[op]) for split in generate.SIZES]
        assert sum(map(len, sides)) == len(set().union(*sides)) == len(problem_set.universe(op))
    assert problem_set.canonical(19, "*", 17) == problem_set.canonical(17, "*", 19)
    assert problem_set.canonical(19, "-", 17) != problem_set.canonical(17, "-", 19)


GOOD = '{"id": "a", "prompt": "p", "expected_answer": 1}'
BAD_DATASETS = {
    "malformed JSON": (GOOD + "\n{", 2, "malformed JSON"),
    "not an object": ("[1]", 1, "Expected `object`, got `array`"),
    "two objects on a line": (GOOD + GOOD, 1, "malformed JSON"),
    "missing field": ('{"id": "a", "prompt": "p"}', 1, "missing required field `expected_answer`"),
    "unknown field": ('{"id": "a", "prompt": "p", "expected_answer": 1, "x": 1}', 1, "unknown field `x`"),
    "wrong type": ('{"id": 1, "prompt": "p", "expected_answer": 1}', 1, "Expected `str`, got `int`"),
    "duplicate id": (GOOD + "\n" + GOOD, 2, "duplicate id 'a'"),
    "duplicate key": ('{"id": "a", "prompt": "p", "expected_answer": 1, "expected_answer": 2}', 1, "duplicate key"),
    "escaped duplicate": ('{"id": "a", "\\u0069d": "b", "prompt": "p", "expected_answer": 1}', 1, "duplicate key 'id'"),
    "answer is text": ('{"id": "a", "prompt": "p", "expected_answer": "1"}', 1, "Expected `int`, got `str`"),
    "answer is a float": ('{"id": "a", "prompt": "p", "expected_answer": 1.0}', 1, "Expected `int`, got `float`"),
    "answer is a bool": ('{"id": "a", "prompt": "p", "expected_answer": true}', 1, "Expected `int`, got `bool`"),
    "answer out of range": ('{"id": "a", "prompt": "p", "expected_answer": 1000000000000000000}', 1, "<= 999"),
    "answer past 64 bits": ('{"id": "a", "prompt": "p", "expected_answer": -99999999999999999999999}', 1, ">= -999"),
    "answer is NaN": ('{"id": "a", "prompt": "p", "expected_answer": NaN}', 1, "NaN is not a JSON number"),
    "answer is infinite": ('{"id": "a", "prompt": "p", "expected_answer": -Infinity}', 1, "-Infinity is not a JSON"),
    "answer is huge": ('{"id": "a", "prompt": "p", "expected_answer": ' + "9" * 5000 + "}", 1, "digits"),
    "empty id": ('{"id": "", "prompt": "p", "expected_answer": 1}', 1, "length >= 1"),
    "nested too deeply": ('{"id": "a", "metadata": ' + "[" * 100_000, 1, ""),
    "empty file": ("", None, "the file holds no rows"),
    "blank lines only": ("\n \r\n\n", None, "the file holds no rows"),
}


@pytest.mark.parametrize("name", BAD_DATASETS)
def test_a_bad_dataset_is_refused_by_line_and_reason(name: str, tmp_path: Path) -> None:
    text, line, reason = BAD_DATASETS[name]
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_dataset(path)
    message = str(error.value)
    assert message.startswith(f"{path}: " if line is None else f"{path}, line {line}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("data", [GOOD.encode("utf-16"), b'{"id": "\xff", "prompt": "p", "expected_answer": 1}'])
def test_another_encoding_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"line 1: not UTF-8 text"):
        load_dataset(path)


def test_byte_order_mark_crlf_and_blank_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n" + GOOD.replace('"a"', '"b"').encode() + b"\r\n")
    assert list(load_dataset(path).examples) == ["a", "b"]


def test_split_is_read_from_the_rows_and_then_from_the_name(tmp_path: Path) -> None:
    rows = [{"id": "a", "prompt": "p", "expected_answer": 1, "metadata": {"split": "holdout"}}]
    assert load_dataset(write_rows(tmp_path / "renamed_dev.jsonl", rows)).split == "holdout"
    assert load_dataset(write_rows(tmp_path / "mine_holdout.jsonl", [json.loads(GOOD)])).split == "holdout"
    assert load_dataset(write_rows(tmp_path / "mine.jsonl", [json.loads(GOOD)])).split == "unknown"


HOW = ("--policy", "mine, revision 1", "--temperature", 0.7, "--top-p", 0.9, "--max-new-tokens", 64, "--seed", 3)


def test_ones_own_completions_are_described(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> None:
    done = command("course.datasets.describe", "--dataset", dataset, "--completions", completions, *HOW)
    assert done.code == 0, done.err
    runs = tmp_path / "runs"
    out = command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", runs).out
    assert "mine, revision 1" in out
    assert "1 per prompt, temperature 0.7, top_p 0.9, seed 3" in out


def test_another_system_prompt_is_another_environment(
    command: Command, dataset: Path, completions: Path, tmp_path: Path
) -> None:
    """It stands in sidecar and manifest, is listed, is derived again, and two runs that differ in it are refused."""
    runs, told = tmp_path / "runs", tmp_path / "system.txt"
    for text in ("Answer.", "Think, then answer."):
        told.write_text(text, encoding="utf-8")
        words = ("--dataset", dataset, "--completions", completions)
        assert command("course.datasets.describe", *words, *HOW, "--system-prompt", told).code == 0
        assert command("course.eval", *words, "--runs-dir", runs).code == 0
        assert load_manifest(sorted(runs.glob("run_*"))[-1]).system_prompt == text
    listed = command("course.inspect_run", "--runs-dir", runs).out
    for text in ("Answer.", "Think, then answer."):
        assert f", system {hashlib.sha256(text.encode()).hexdigest()[:8]}" in listed
    first, second = runs / "run_001", runs / "run_002"
    assert command("course.verify_run", "--run", second).code == 0
    assert "manifest.json, system_prompt: it says Answer." in command("course.verify_run", "--run", first).out
    told.write_bytes(b"\xff")
    done = command("course.datasets.describe", *words, *HOW, "--system-prompt", told)
    assert done.err == f"error: {told}: not UTF-8 text\n"
    moved = Path(shutil.copy(completions, tmp_path / "again.jsonl"))
    told.write_text("Answer.", encoding="utf-8")
    words = ("--dataset", dataset, "--completions", moved)
    command("course.datasets.describe", *words, *HOW, "--system-prompt", told)
    command("course.eval", *words, "--runs-dir", runs)
    done = command("course.compare", second, runs / "run_003", "--change", "the system prompt")
    assert done.code == 1
    assert "system prompt: " in done.out
    assert "a new environment" in done.out


def test_a_checkpoint_is_known_by_its_bytes(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"1")
    words = (
        "course.datasets.describe",
        "--dataset",
        dataset,
        "--completions",
        completions,
        *HOW,
        "--checkpoint",
        weights,
    )
    found = []
    for data in (b"1", b"2"):
        weights.write_bytes(data)
        assert command(*words).code == 0
        sidecar = load_sidecar(completions)
        assert sidecar is not None
        found.append(sidecar.policy_sha256)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--temperature", "-1"), "--temperature: at least 0, not -1"),
        (("--temperature", "inf"), "--temperature: a finite number, not inf"),
        (("--top-p", "0"), "--top-p: above 0 and at most 1, not 0"),
        (("--max-new-tokens", "0"), "--max-new-tokens: at least 1"),
        (("--checkpoint", "nowhere.bin"), "nowhere.bin: No such file"),
        (("--dataset", "nowhere.jsonl"), "nowhere.jsonl: No such file"),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    words: tuple[str, ...], reason: str, command: Command, dataset: Path, completions: Path
) -> None:
    done = command("course.datasets.describe", "--dataset", dataset, "--completions", completions, *HOW, *words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert reason in done.err
    assert load_sidecar(completions) is None


def test_prompts_that_were_not_sampled_alike_are_no_one_setting(
    command: Command, dataset: Path, tmp_path: Path
) -> None:
    said = write_rows(
        tmp_path / "said.jsonl",
        [
            {"id": "x0", "completion": "a"},
            {"id": "x1", "completion": "a"},
            {"id": "x1", "completion": "b", "sample": 1},
        ],
    )
    done = command("course.datasets.describe", "--dataset", dataset, "--completions", said, *HOW)
    assert done.code == 2
    assert "some prompts have 1 samples and some 2" in done.err
