"""Logs of real tools, read back: their rates come out, or each difference is named; rows in = rows out + refused."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from course.core.datasets import load_sidecar
from course.core.files import InputError
from course.core.paths import DEV, FROZEN, ROOT
from course.score import score
from transfer.formats.core import packed
from transfer.formats.core.gold import expected
from transfer.formats.core.report import Findings, print_report
from transfer.read import Settings, main, run

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
PACKING: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
FOLDERS: Iterator[int] = iter(range(1_000_000))


def by_tool(tool: str, folder: Path) -> None:
    """Let a tool write its log into a folder, in a process of its own."""
    command = [sys.executable, "-m", f"transfer.tests.logs_by_{tool}", str(folder)]
    here = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env=os.environ | here, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def read(*logs: Path, **more: Any) -> Findings:
    return run(Settings(logs=logs, out=logs[0].parent / f"out{next(FOLDERS)}", **more))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def add_up(found: Findings) -> None:
    assert found.made.rows == found.made.used + len(found.made.refused)


def agreement(found: Findings, verdict: str) -> tuple[float, float, int, int]:
    (one,) = [row for row in found.agreements if row.verdict == verdict]
    return one.theirs, one.strict, one.agree, one.answers


def explained(found: Findings) -> None:
    """Every answer on which the verdicts differ is listed, with what the scorer itself says of it."""
    for one in found.differ:
        assert (one["strict"] == 1) == (one["code"] is None)
    for row in found.agreements:
        listed = [one for one in found.differ if (one["model"], one["verdict"]) == (row.model, row.verdict)]
        assert len(listed) == row.answers - row.agree


def table_row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"q{number}", "prompt": f"P{number}", "expected_answer": number, "completion": "Final: 1", **more}


# Logs that the tools write themselves.


@pytest.fixture(scope="module")
def lm_eval_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm_eval")
    by_tool("lm_eval", folder)
    return folder


@pytest.mark.parametrize("repeats", [1, 3])
def test_lm_eval(lm_eval_logs: Path, repeats: int) -> None:
    folder = lm_eval_logs / str(repeats)
    (log,) = folder.glob("*/samples_*.jsonl")
    rates = json.loads((folder / "rates.json").read_text())
    found = read(log, id_field="id", policy=("pi0",))
    add_up(found)
    explained(found)
    assert found.made.rows == 400  # 200 documents under two filters
    (path, _, summary), *others = found.completions
    assert not others
    assert summary["scored"] == 200 * repeats
    sidecar = json.loads(path.with_suffix(".meta.json").read_text())
    assert sidecar["sampling"]["samples_per_prompt"] == repeats
    assert (sidecar["sampling"]["temperature"], sidecar["sampling"]["max_new_tokens"]) == (1.0, 16)
    assert sidecar["sampling"]["seed"] == 1234
    if repeats == 1:
        theirs, strict, agree, answers = agreement(found, "exact_match,strict")
        assert theirs / 200 == pytest.approx(rates["exact_match,strict"])
        assert theirs == strict == summary["passes"]
        assert agree == answers == 200
        assert agreement(found, "exact_match,lenient")[0] / 200 == pytest.approx(rates["exact_match,lenient"])
        frozen = {row["id"]: row["completion"] for row in lines(FROZEN)}
        assert {row["id"]: row["completion"] for row in lines(path)} == frozen
    else:  # a metric is about all answers of a document, and is compared with none of them
        assert not found.agreements
        first = [score(row, text) for row, text in zip(lines(found.dataset), firsts(path), strict=True)]
        assert sum(one["reward"] for one in first) / 200 == pytest.approx(rates["exact_match,strict"])


def firsts(path: Path) -> list[str]:
    return [row["completion"] for row in lines(path) if row["sample"] == 0]


def test_inspect(tmp_path: Path) -> None:
    by_tool("inspect", tmp_path)
    logs = {kind: next(tmp_path.glob(f"*.{kind}")) for kind in ("eval", "json")}
    texts = []
    for kind, log in logs.items():
        rates = json.loads((tmp_path / f"rates_{kind}").read_text())
        found = read(log)
        add_up(found)
        explained(found)
        ((path, policy, summary),) = found.completions
        assert (policy, summary["scored"], summary["examples"]) == ("mockllm/model", 80, 40)
        theirs, strict, agree, answers = agreement(found, "strict")
        assert theirs / 80 == pytest.approx(rates["strict"])
        assert theirs == strict == summary["passes"]
        assert agree == answers == 80
        assert agreement(found, "match")[0] / 80 == pytest.approx(rates["match"])
        sidecar = json.loads(path.with_suffix(".meta.json").read_text())
        assert sidecar["system_prompt"] == "Be brief."
        assert sidecar["sampling"]["samples_per_prompt"] == 2
        assert [sidecar["sampling"][name] for name in ("temperature", "max_new_tokens", "seed")] == [0.5, 16, 3]
        texts.append([(row["id"], row["sample"], row["completion"]) for row in lines(path)])
    assert texts[0] == texts[1]
    packed_log = tmp_path / "log.json.gz"
    packed_log.write_bytes(gzip.compress(logs["json"].read_bytes()))
    assert read(packed_log).completions[0][2]["passes"] == summary["passes"]
    torn = tmp_path / "torn.eval"
    torn.write_bytes(logs["eval"].read_bytes()[:3000])
    with pytest.raises(InputError, match="Inspect's reader refuses it"):
        read(torn)


def test_trl(tmp_path: Path) -> None:
    by_tool("trl", tmp_path)
    logs = sorted((tmp_path / "completions").glob("*.parquet"))
    asked = tmp_path / "asked_train.jsonl"
    one, both, named = read(logs[0], dataset=asked), read(*logs, dataset=asked), read(logs[0], answer_field="gold")
    for found, rows in ((one, 16), (both, 32), (named, 16)):
        add_up(found)
        theirs, strict, agree, answers = agreement(found, "reward")
        assert (theirs, agree, answers) == (strict, rows, rows)
        assert found.completions[0][2]["scored"] == rows  # nothing is counted as absent
    assert {row["id"].split("@")[0] for row in lines(both.dataset)} <= {row["id"] for row in lines(asked)}
    assert {row["metadata"]["step"] for row in lines(both.completions[0][0])} == {1, 2}
    as_csv = tmp_path / "log.csv"
    as_csv.write_bytes(to_csv(parquet.read_table(logs[0]).to_pylist()))
    again = read(as_csv, dataset=asked)
    assert again.completions[0][2]["passes"] == one.completions[0][2]["passes"]
    with pytest.raises(InputError, match="--dataset"):
        read(logs[0])


def test_verl(tmp_path: Path) -> None:
    rows = [
        {"input": f"user\nCompute {n}+1.\nassistant\n", "output": text, "gts": str(n + 1), "score": reward, "step": 5}
        for n in range(6)
        for text, reward in ((f"Final: {n + 1}", 1.0), (f"#### {n + 1}", 1.0), ("no", 0.0))
    ]
    found = read(write(tmp_path / "5.jsonl", rows))
    add_up(found)
    explained(found)
    assert agreement(found, "score") == (12, 6, 12, 18)
    assert {one["code"] for one in found.differ} == {"missing_prefix"}
    older = write(tmp_path / "6.jsonl", [{k: v for k, v in row.items() if k != "gts"} for row in rows])
    with pytest.raises(InputError, match="no expected answer"):
        read(older)
    uneven = write(tmp_path / "7.jsonl", rows[:-1])
    with pytest.raises(InputError, match="answered 2 to 3 times: say with --samples"):
        read(uneven)
    assert read(uneven, samples=3).completions[0][2]["scored"] == 18  # the absent one is counted


def batch_row(key: str, *texts: str, status: int = 200, error: Any = None) -> dict[str, Any]:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for n, text in enumerate(texts)
    ]
    response = {"status_code": status, "body": {"model": "m-1", "choices": choices} if status == 200 else error}
    return {"id": "batch_1", "custom_id": key, "response": response, "error": None}


def test_openai_batch(tmp_path: Path) -> None:
    examples = lines(DEV)
    rows = [batch_row(row["id"], f"Final: {row['expected_answer']}", "Final: 0") for row in examples[:-2]]
    rows.append(batch_row(examples[-2]["id"], status=429, error={"error": {"code": "rate", "message": "slow down"}}))
    expired = {"code": "batch_expired", "message": "too late"}
    rows.append({"id": "b", "custom_id": examples[-1]["id"], "response": None, "error": expired})
    rows.append(batch_row("nobody", "Final: 1"))
    found = read(write(tmp_path / "batch.jsonl", rows), dataset=DEV, temperature=0.7)
    add_up(found)
    assert [row.reason for row in found.made.refused] == ["the id 'nobody' is not in math_dev.jsonl"]
    by_name = {policy: (path, summary) for path, policy, summary in found.completions}
    path, summary = by_name["m-1"]
    assert summary["passes"] >= 198
    failed = [row for row in lines(path) if row["error"]]
    assert [row["error"] for row in failed] == ["429: rate: slow down", "batch_expired: too late"]
    sidecar = json.loads(path.with_suffix(".meta.json").read_text())
    assert sidecar["sampling"]["temperature"] == 0.7
    with pytest.raises(InputError, match="holds no expected answer"):
        read(tmp_path / "batch.jsonl")
    with pytest.raises(InputError, match="requests of a batch"):
        read(write(tmp_path / "in.jsonl", [{"custom_id": "a", "method": "POST", "url": "/v1", "body": {}}]))


# GSM8K's published solutions of four models, in their shape.


def solutions() -> list[dict[str, Any]]:
    golds = ["18", "-4", "70,000", "72.5", "0", "3/4", "$5", "12 apples", *(str(n) for n in range(22))]
    rows = []
    for i, gold in enumerate(golds):
        row: dict[str, Any] = {"question": f"Question {i}?", "ground_truth": f"It is <<{i}*1={i}>>{i}.\nA: {gold}"}
        for j, model in enumerate(MODELS):
            right = (i + j) % 3 == 0
            row[model] = {"solution": f"We think.\nA: {gold if right else 999}", "is_correct": right}
        rows.append(row)
    rows[10]["175b_verification"] = {"solution": "We think and", "is_correct": False}  # cut off
    rows[12]["6b_finetuning"] = {"solution": "So.\nA: 4.0", "is_correct": True}
    return rows


def test_four_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "example_model_solutions.jsonl", solutions())
    found = read(log, view="gsm8k_answer")
    add_up(found)
    explained(found)
    assert [policy for _, policy, _ in found.completions] == list(MODELS)
    assert [row.line for row in found.made.refused] == [3, 4, 6, 7, 8]
    assert len(lines(found.dataset)) == 25
    assert [(one["line"], one["code"]) for one in found.differ] == [(13, "decimal")]
    rows = {row["id"]: row for row in solutions_by_line()}
    for path, model, summary in found.completions:
        kept = lines(path)
        theirs = sum(rows[row["id"]][model]["is_correct"] for row in kept)
        assert summary["passes"] == theirs - sum(one["model"] == model for one in found.differ)
        assert all(
            row["metadata"].get("whole", row["completion"]) == rows[row["id"]][model]["solution"] for row in kept
        )
    commas = read(log, view="gsm8k_answer", commas=True, dollars=True)
    assert [row.line for row in commas.made.refused] == [4, 6, 8]
    assert {one["code"] for one in commas.differ} == {"thousands_separator", "decimal", "not_an_integer"}
    monkeypatch.setattr(sys, "argv", ["read", str(log), "--out", str(tmp_path / "typed"), "--view", "gsm8k_answer"])
    assert main() == 0
    said = capsys.readouterr().out
    assert "rows in 30 = rows out 25 + rows refused 5" in said
    assert said.rstrip().splitlines()[-1].startswith("Next: python -m course.eval --dataset ")
    assert said.rstrip().endswith(f"--completions {tmp_path / 'typed' / 'completions'}")


def solutions_by_line() -> Iterator[dict[str, Any]]:
    return ({"id": str(number), **row} for number, row in enumerate(solutions(), start=1))


def test_logs_that_are_read_apart_share_a_room(tmp_path: Path) -> None:
    """Where a row stood is no part of the data set, and whose answers they are no part of how they were asked."""
    first = read(write(tmp_path / "a.jsonl", [{**table_row(n), "model": "a"} for n in range(5)]), model_field="model")
    second = read(write(tmp_path / "b.jsonl", [{**table_row(n), "model": "b"} for n in range(5)]), model_field="model")
    assert first.dataset.read_bytes() == second.dataset.read_bytes()
    sidecars = [load_sidecar(found.completions[0][0]) for found in (first, second)]
    assert sidecars[0] is not None
    assert sidecars[1] is not None
    assert sidecars[0].sampling == sidecars[1].sampling
    assert sidecars[0].policy_sha256 != sidecars[1].policy_sha256


def test_gsm8k_data_alone(tmp_path: Path) -> None:
    rows = [{"question": "Q?", "answer": "So <<1+1=2>>2.\n#### 2"}, {"question": "R?", "answer": "#### 1,000"}]
    found = read(write(tmp_path / "train.jsonl", rows))
    add_up(found)
    assert [(row["id"], row["expected_answer"]) for row in lines(found.dataset)] == [("1", 2)]
    assert "with --commas" in found.made.refused[0].reason


def test_examples_alone(tmp_path: Path) -> None:
    rows = [{"id": n, "prompt": f"P{n}", "expected_answer": str(n), "metadata": {"split": "dev"}} for n in range(3)]
    found = read(write(tmp_path / "log.jsonl", [*rows, rows[0]]))
    add_up(found)
    assert [(row["id"], row["expected_answer"]) for row in lines(found.dataset)] == [("0", 0), ("1", 1), ("2", 2)]
    assert "comes twice" in found.made.refused[0].reason
    assert not found.completions


# Properties.

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NAMES = [
    *("id", "prompt", "expected_answer", "completion", "sample", "doc_id", "doc", "resps", "arguments", "target"),
    *("custom_id", "response", "error", "question", "ground_truth", "answer", "step", "advantage", "input", "output"),
    *("score", "gts"),
]
ROWS = st.lists(
    st.builds(
        lambda n, more: {**table_row(n), **more}, st.integers(0, 4), st.dictionaries(st.sampled_from(NAMES), VALUES)
    )
    | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
    | VALUES,
    min_size=1,
    max_size=8,
)


@given(rows=ROWS, broken=st.lists(st.sampled_from(['{"id": NaN}', '{"id": 1, "id": 2}', "{", '"\\ud800"']), max_size=2))
@settings(max_examples=150, deadline=None)
def test_rows_in_are_rows_out_and_refused(tmp_path_factory: pytest.TempPathFactory, rows: Any, broken: Any) -> None:
    folder = tmp_path_factory.mktemp("rows")
    log = folder / "log.jsonl"
    log.write_text(
        "\n".join([json.dumps({**table_row(0), "id": "first"}), *map(json.dumps, rows), *broken]) + "\n",
        encoding="utf-8",
    )
    found = read(log, format="table")
    add_up(found)
    assert found.made.rows == 1 + len(rows) + len(broken)
    answers = sum(len(lines(path)) for path, _, _ in found.completions)
    assert answers == found.made.used
    assert found.completions[0][2]["scored"] >= answers


@given(rows=ROWS, name=st.sampled_from(["lm_eval", "openai_batch", "trl", "verl", "gsm8k", "table", None]))
@settings(max_examples=150, deadline=None)
def test_any_rows_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, name: str | None
) -> None:
    log = write(tmp_path_factory.mktemp("any") / "log.jsonl", rows)
    try:
        add_up(read(log, format=name))
    except InputError:
        assert [path.name for path in log.parent.iterdir()] == ["log.jsonl"]  # nothing half-written


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_gold_reads_back(number: int) -> None:
    grouped = f"{number:,}"
    for written in (number, str(number), f"So\n#### {number}", f"So\nA: {number}"):
        assert expected(written, False, False) == number
    assert expected(grouped, True, False) == number
    if "," in grouped:
        with pytest.raises(ValueError, match="with --commas"):
            expected(grouped, False, False)


@pytest.mark.parametrize(
    "gold",
    [
        "72.5",
        "3/4",
        "12 apples",
        "323.0",
        323.0,
        True,
        None,
        "",
        "١٢",
        "1,00",
        "1_000",
        "1e3",
        "07",
        "+7",
        10**18,
        [1],
        {},
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_gold_that_is_no_integer_is_refused(gold: object, lenient: bool) -> None:
    with pytest.raises(ValueError, match="expected answer"):
        expected(gold, lenient, lenient)


def to_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_packed_or_not_gives_the_same(tmp_path: Path, kind: str) -> None:
    rows = [table_row(n, completion=f"We\nthink, é\nFinal: {n % 3}") for n in range(2000)]
    data = {
        "jsonl": "\r\n".join(map(json.dumps, rows)).encode("utf-8-sig"),
        "json": json.dumps(rows, indent=1).encode(),
        "csv": b"\xef\xbb\xbf" + to_csv(rows),
        "parquet": b"",
    }[kind]
    if kind == "parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "p")
        data = (tmp_path / "p").read_bytes()
    outputs = []
    for ending, pack in PACKING.items():
        log = tmp_path / f"{kind}{ending.replace('.', '')}" / "log"  # the name says nothing
        log.parent.mkdir()
        log.write_bytes(pack(data))
        found = read(log, view="last_line")
        add_up(found)
        assert not found.made.refused
        outputs.append((found.dataset.read_bytes(), found.completions[0][0].read_bytes()))
    assert outputs[0] == outputs[1] == outputs[2]
    assert [row["completion"] for row in lines(found.completions[0][0])] == [f"Final: {n % 3}" for n in range(2000)]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_torn_or_bomb(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / f"log{ending}"
    whole = PACKING[ending](os.urandom(5000).hex().encode())
    for end in (len(whole) // 2, len(whole) - 1):
        log.write_bytes(whole[:end])
        with pytest.raises(InputError, match="cannot be unpacked"):
            read(log)
    log.write_bytes(PACKING[ending](b'{"id": "' + b"a" * (200 << 20)))
    with pytest.raises(InputError, match="line is longer than 16 MB"):
        read(log)
    monkeypatch.setattr(packed, "LARGEST_LOG", 1 << 20)
    log.write_bytes(PACKING[ending](b"{}\n" * (1 << 20)))
    with pytest.raises(InputError, match="when it is unpacked"):
        read(log)


def test_several_frames_are_read(tmp_path: Path) -> None:
    halves = [json.dumps(table_row(n)).encode() + b"\n" for n in range(2)]
    for ending, pack in PACKING.items():
        log = tmp_path / f"log{ending}"
        log.write_bytes(b"".join(map(pack, halves)))
        assert read(log).made.used == 2


BAD = {
    "empty": (b"", "holds no rows"),
    "blank": (b"\n \n", "holds no rows"),
    "prediction": (b'{"id": "a", "prediction": "x"}', "no column 'completion'.*--completion-field"),
    "sidecar": (b'{"policy": "p", "policy_sha256": "x", "sampling": {}}', "a sidecar"),
    "results": (b'{"results": {}, "configs": {}, "n-shot": {}}', "give samples_.*jsonl"),
    "csv twice": (b"id,id\n1,2\n", "a name of its own"),
    "csv latin": (b"id,prompt,expected_answer,completion\n1,\xe9,1,x\n", "not UTF-8"),
    "parquet": (b"PAR1 but no", "malformed parquet"),
    "zip": (b"PK\x03\x04 but no", "Inspect's reader refuses it"),
    "all refused": (
        b'{"id": "a", "prompt": "p", "expected_answer": 323.0, "completion": "x"}',
        "none of 1 rows.*int64",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_takes_one_line(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    log = tmp_path / "log"
    log.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read(log)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_refused_rows_are_named(tmp_path: Path) -> None:
    rows = [
        table_row(1),
        table_row(1),  # comes twice
        table_row(2, completion=None),  # a failed answer, and no refused row
        table_row(3, expected_answer="70,000"),
        table_row(4, completion=[{"role": "assistant", "content": "Final: 4"}]),
        {**table_row(5), "id": True},
        {**table_row(6), "id": 6},
        {**table_row(1), "prompt": "another", "sample": 1},
    ]
    found = read(write(tmp_path / "log.jsonl", rows))
    add_up(found)
    reasons = {row.line: row.reason for row in found.made.refused}
    assert list(reasons) == [2, 4, 5, 6, 8]
    assert "answered already in line 1" in reasons[2]
    assert "chat_message" in reasons[5]
    assert "another prompt" in reasons[8]
    assert found.made.integers == {6}
    assert lines(found.dataset.parent / "refused.jsonl") == [
        {"file": row.file, "line": row.line, "reason": row.reason, **({"id": row.id} if row.id else {})}
        for row in found.made.refused
    ]
    (failed,) = [row for row in lines(found.completions[0][0]) if row["completion"] is None]
    assert failed["error"] == "the log has no text of an answer"


def test_a_refused_gold_leaves_for_every_model(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [table_row(1), table_row(2)])
    second = write(tmp_path / "b.jsonl", [table_row(1, expected_answer="1.5"), table_row(2)])
    found = read(first, second)
    add_up(found)
    assert [row["id"] for row in lines(found.dataset)] == ["q2"]
    assert [policy for _, policy, _ in found.completions] == ["a", "b"]
    assert [summary["scored"] for _, _, summary in found.completions] == [1, 1]


def test_what_was_there_stays(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", [table_row(1)])
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("mine")
    with pytest.raises(InputError, match="name a new folder"):
        run(Settings(logs=(log,), out=tmp_path / "kept"))
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine"]


def test_what_is_stated_must_fit_the_log(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", [table_row(1)])
    with pytest.raises(InputError, match="2 names for 1 models: log"):
        read(log, policy=("a", "b"))
    doc = {"doc_id": 0, "doc": {}, "target": "1", "resps": [["Final: 1"]], "filter": "none", "metrics": []}
    asked = {"gen_args_0": {"arg_0": "P", "arg_1": {"temperature": 0.5}}}
    harness = write(tmp_path / "samples.jsonl", [{**doc, "arguments": asked}])
    assert read(harness, temperature=0.5).made.used == 1
    with pytest.raises(InputError, match=r"says 0\.5, not 0\.7"):
        read(harness, temperature=0.7)
    asked["gen_args_0"]["arg_1"] = {"temperature": "hot"}
    with pytest.raises(InputError, match="its settings are not as expected"):
        read(write(tmp_path / "hot.jsonl", [{**doc, "arguments": asked}]))


def test_names_of_files_differ(tmp_path: Path) -> None:
    models = ("m", "M", "m/", "m_2", "\x1b[2J", "名", "x" * 300)
    rows = [table_row(1, model=model) for model in models]
    found = read(write(tmp_path / "log.jsonl", rows), model_field="model")
    names = {path.name.lower() for path, _, _ in found.completions}
    assert len(names) == len(models)
    assert [json.loads(p.with_suffix(".meta.json").read_text())["policy"] for p, _, _ in found.completions] == [*models]


def test_conversations(tmp_path: Path) -> None:
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "P1"}]
    rows = [
        {"step": 1, "prompt": told, "completion": [{"role": "assistant", "content": text}], "r": r, "advantage": 0.0}
        for text, r in (("Final: 1", 1.0), ("no", 0.0))
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "log.parquet")
    data = write(tmp_path / "data.jsonl", [{"id": "q1", "prompt": "P1", "expected_answer": 1}])
    with pytest.raises(InputError, match="chat_message"):
        read(tmp_path / "log.parquet", dataset=data)
    found = read(tmp_path / "log.parquet", dataset=data, view="chat_message")
    assert agreement(found, "r") == (1, 1, 2, 2)
    sidecar = json.loads(found.completions[0][0].with_suffix(".meta.json").read_text())
    assert (sidecar["system_prompt"], sidecar["view"]) == ("Be brief.", "chat_message 1")


def test_odd_values_are_refused_or_kept(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(90):
        deep = [deep]
    rows = [
        table_row(1, other=10**40),
        table_row(2, other=deep),
        table_row(3, sample=10**7),
        table_row(4, finish_reason=7),
        table_row(5, other={"a": 1.5}),
    ]
    found = read(write(tmp_path / "log.jsonl", rows))
    add_up(found)
    assert [row.line for row in found.made.refused] == [2, 3]
    kept = [row["metadata"].get("columns") for row in lines(found.completions[0][0])]
    assert kept == [{"other": str(10**40)}, None, {"other": {"a": 1.5}}]
    batch = [batch_row("q1", "Final: 1"), batch_row("q2", "x"), batch_row("q3", "x")]
    batch[1]["response"]["body"]["model"] = {"a": 1}
    batch[2]["response"]["body"]["choices"][0]["index"] = "first"
    data = write(tmp_path / "data.jsonl", [{"id": f"q{n}", "prompt": "P", "expected_answer": 1} for n in (1, 2, 3)])
    found = read(write(tmp_path / "batch.jsonl", batch), dataset=data)
    add_up(found)
    assert [row.line for row in found.made.refused] == [2, 3]


def test_lone_surrogates_and_controls_are_kept_and_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        table_row(1, completion="\ud800\x1b[2J", verdict="1", who="\x1b[3J"),
        table_row(2, expected_answer="\x1b[4J", who="\x1b[3J"),
    ]
    log = write(tmp_path / "log\x1b[5J.jsonl", rows)
    found = read(log, verdict_field="verdict", model_field="who")
    print_report(found)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\ud800" not in said
    assert lines(found.completions[0][0])[0]["completion"] == "\ud800\x1b[2J"
