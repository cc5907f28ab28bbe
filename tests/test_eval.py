"""Loop A: right numbers, the same bytes each time, and a whole run or none."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from course.core.manifest import load_manifest
from course.core.runs import RunWriter, list_runs
from course.datasets import load_dataset
from course.score import score
from tests.conftest import DEV, PACK, ROLLOUTS, ROOT, Command, write_rows

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals, limits, pipes or users")

Evaluate = Callable[..., Path]
EVAL = [sys.executable, "-m", "course.eval"]


def summary_of(run: Path) -> dict[str, object]:
    return dict(json.loads((run / "summary.json").read_text(encoding="utf-8")))


def results_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "results.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_frozen_rollouts_are_counted_as_the_scorer_scores_them(evaluate: Evaluate) -> None:
    run = evaluate(data=DEV, said=ROLLOUTS)
    examples = load_dataset(DEV).examples
    rows = [json.loads(line) for line in ROLLOUTS.read_text(encoding="utf-8").splitlines()]
    outcomes = [score(examples[row["id"]], row["completion"]) for row in rows]
    summary = summary_of(run)
    assert summary["passes"] == sum(outcome["reward"] for outcome in outcomes)
    assert summary["scored"] == summary["completions"] == len(rows) == 200
    codes = [outcome["details"]["code"] for outcome in outcomes if outcome["details"]["code"]]
    assert summary["failures"] == {code: codes.count(code) for code in sorted(set(codes))}
    for row, outcome, result in zip(rows, outcomes, results_of(run), strict=True):
        assert (result["id"], result["completion"]) == (row["id"], row["completion"])
        assert result["reward"] == outcome["reward"]
        assert result["details"] == outcome["details"]
        assert result["prompt"] == examples[row["id"]]["prompt"]


def test_pi0_earns_what_the_course_says_it_earns(evaluate: Evaluate) -> None:
    """Strict pass@1 at temperature 1 between 0.18 and 0.30, and at least eight ways to fail."""
    summary = summary_of(evaluate(data=DEV, said=PACK))
    assert summary["scored"] == 1600
    assert 0.18 <= float(str(summary["pass_at_1"])) <= 0.30
    assert len(json.loads(json.dumps(summary["failures"]))) >= 8


def test_two_evaluations_of_the_same_files_are_byte_identical(evaluate: Evaluate) -> None:
    one, other = evaluate(data=DEV, said=PACK), evaluate(data=DEV, said=PACK)
    assert one.name == "run_001"
    assert other.name == "run_002"
    for name in ("results.jsonl", "summary.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    manifests = [json.loads((run / "manifest.json").read_text(encoding="utf-8")) for run in (one, other)]
    for manifest in manifests:
        del manifest["circumstances"], manifest["seal"]
    assert manifests[0] == manifests[1]


def test_the_answer_is_printed_for_people(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> None:
    words = ("--dataset", dataset, "--completions", completions, "--runs-dir", tmp_path / "runs")
    out = command("course.eval", *words, "--note", "a test").out
    assert "Pass rate: 1/4 = 25.0 %" in out
    assert "Wilson" in out
    assert "sampling unknown" in out
    assert "several_lines" in out
    assert f"python -m course.inspect_run --run {tmp_path / 'runs' / 'run_001'} --only-fails --top-k 5" in out
    assert json.loads((tmp_path / "runs/run_001/manifest.json").read_text())["note"] == "a test"


def test_a_missing_completion_stays_in_the_denominator(evaluate: Evaluate, tmp_path: Path) -> None:
    run = evaluate(said=write_rows(tmp_path / "one.jsonl", [{"id": "x2", "completion": "Final: 3"}]))
    summary = summary_of(run)
    assert (summary["passes"], summary["scored"], summary["completions"]) == (1, 4, 1)
    assert summary["failures"] == {"missing_completion": 3}
    assert [row["completion"] for row in results_of(run)] == ["Final: 3", None, None, None]


def test_several_samples_are_averaged_by_example(evaluate: Evaluate, tmp_path: Path) -> None:
    rows = [{"id": "x0", "completion": "Final: 1", "sample": n} for n in range(4)]
    rows += [
        {"id": f"x{e}", "completion": f"Final: {e + 1 if n == 0 else 0}", "sample": n}
        for e in (1, 2, 3)
        for n in range(4)
    ]
    summary = summary_of(evaluate(said=write_rows(tmp_path / "many.jsonl", rows)))
    assert summary["pass_at_1"] == pytest.approx((1 + 3 * 0.25) / 4)
    assert summary["pass_at_k"] == {
        "1": pytest.approx(0.4375),
        "2": pytest.approx((1 + 3 * 0.5) / 4),
        "4": pytest.approx(1.0),
    }


def test_the_order_of_samples_does_not_matter(evaluate: Evaluate, tmp_path: Path) -> None:
    rows = [{"id": f"x{e}", "completion": "Final: 2", "sample": n} for n in (5, 0, 3) for e in (2, 0, 3, 1)]
    assert summary_of(evaluate(said=write_rows(tmp_path / "odd.jsonl", rows)))["passes"] == 3


def test_lone_surrogates_are_read_scored_and_written(evaluate: Evaluate, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text('{"id": "x0", "completion": "Final: 1\\ud800"}\n{"id": "x1", "completion": "\\ud83d\\ude00"}\n')
    rows = results_of(evaluate(said=path))
    assert rows[0]["completion"] == "Final: 1\ud800"
    assert rows[1]["completion"] == "\U0001f600"
    assert json.loads(json.dumps(rows[0]["details"]))["code"] == "invisible_character"


def test_byte_order_mark_and_crlf_are_read(evaluate: Evaluate, tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "x0", "completion": "Final: 1"}\r\n{"id": "x1", "completion": "Final: 2"}\r\n'
    )
    assert summary_of(evaluate(said=path))["passes"] == 2


def test_the_holdout_remembers_each_look(command: Command, completions: Path, tmp_path: Path) -> None:
    rows = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(4)]
    holdout = write_rows(tmp_path / "set_holdout.jsonl", rows)
    for earlier in range(3):
        words = ("--dataset", holdout, "--completions", completions, "--runs-dir", tmp_path / "runs")
        done = command("course.eval", *words)
        assert f"this runs folder knows: {earlier}." in done.out
        manifest = json.loads((tmp_path / f"runs/run_{earlier + 1:03d}/manifest.json").read_text())
        assert manifest["circumstances"]["earlier_looks_at_this_holdout"] == earlier


GOOD = '{"id": "x0", "completion": "Final: 1"}\n'
BAD_COMPLETIONS: dict[str, tuple[str | bytes, int | None, str]] = {
    "malformed JSON": (GOOD + '{"id": "x1", "completion": "Final: 1"\n', 2, "malformed JSON"),
    "wrong type": ('{"id": "x0", "completion": 1}', 1, "Expected `str | null`, got `int`"),
    "completion and error": ('{"id": "x0", "completion": "", "error": "503"}', 1, "which of them counts?"),
    "missing field": ('{"id": "x0"}', 1, "missing required field `completion`"),
    "unknown field": ('{"id": "x0", "completion": "", "reward": 1}', 1, "unknown field `reward`"),
    "duplicate id": (GOOD + GOOD, 2, "duplicate id 'x0', sample 0"),
    "duplicate sample": ('{"id": "x0", "completion": "", "sample": 3}\n' * 2, 2, "duplicate id 'x0', sample 3"),
    "duplicate key": ('{"id": "x0", "completion": "a", "completion": "b"}', 1, "duplicate key 'completion'"),
    "escaped duplicate key": ('{"id": "x0", "completion": "a", "\\u0063ompletion": "b"}', 1, "duplicate key"),
    "unknown id": ('{"id": "y", "completion": ""}', 1, "completion for unknown id 'y'"),
    "negative sample": ('{"id": "x0", "completion": "", "sample": -1}', 1, ">= 0"),
    "vast sample": ('{"id": "x0", "completion": "", "sample": 1000000000}', 1, "<= 999999"),
    "fractional sample": ('{"id": "x0", "completion": "", "sample": 0.5}', 1, "Expected `int`, got `float`"),
    "NaN sample": ('{"id": "x0", "completion": "", "sample": NaN}', 1, "NaN is not a JSON number"),
    "raw control character": ('{"id": "x0", "completion": "\x01"}', 1, "malformed JSON"),
    "wrong encoding": (b'{"id": "x0", "completion": "\xe9"}', 1, "not UTF-8 text"),
    "UTF-16": (GOOD.encode("utf-16"), 1, "not UTF-8 text"),
    "empty file": ("", None, "the file holds no rows"),
}


@pytest.mark.parametrize("name", BAD_COMPLETIONS)
def test_bad_completions_leave_one_line_and_no_run(name: str, command: Command, dataset: Path, tmp_path: Path) -> None:
    data, line, reason = BAD_COMPLETIONS[name]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    done = command("course.eval", "--dataset", dataset, "--completions", path, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert done.err.startswith(f"error: {path}: " if line is None else f"error: {path}, line {line}: ")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert list((tmp_path / "runs").iterdir()) == []


@posix
def test_files_that_cannot_be_read(command: Command) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)  # another user, whom root becomes below, must be able to look in
        dataset = write_rows(folder / "set.jsonl", [{"id": "x0", "prompt": "p", "expected_answer": 1}])
        completions = write_rows(folder / "said.jsonl", [{"id": "x0", "completion": ""}])
        forbidden = write_rows(folder / "forbidden.jsonl", [{"id": "x0", "completion": ""}])
        forbidden.chmod(0)
        runs = folder / "runs"
        runs.mkdir()
        runs.chmod(0o777)
        nothing = folder / "nothing.jsonl"
        for path, reason in (
            (nothing, "No such file or directory"),
            (forbidden, "Permission denied"),
        ):
            for words in (
                ("--dataset", path, "--completions", completions),
                ("--dataset", dataset, "--completions", path),
            ):
                root = os.geteuid() == 0
                if root and path == forbidden:
                    os.seteuid(65534)  # root may read anything
                try:
                    done = command("course.eval", *words, "--runs-dir", runs)
                finally:
                    if root:
                        os.seteuid(0)
                assert done.code == 2
                assert done.err == f"error: {path}: {reason}\n"
                assert list(runs.iterdir()) == []
        done = command("course.eval", "--dataset", folder, "--completions", completions, "--runs-dir", runs)
        assert done.err == f"error: {folder}: Is a directory\n"


def test_a_runs_folder_that_is_a_file(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    done = command("course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert "cannot make a run here" in done.err


def test_a_sidecar_must_describe_these_completions(
    command: Command, dataset: Path, completions: Path, tmp_path: Path
) -> None:
    sidecar = json.loads((ROOT / "data/rollouts/frozen_rollouts_dev.meta.json").read_text())
    path = completions.with_name("said.meta.json")
    words = ("--dataset", dataset, "--completions", completions, "--runs-dir", tmp_path / "runs")
    path.write_text(json.dumps(sidecar))
    assert "has changed since it was sampled" in command("course.eval", *words).err
    sidecar["completions_sha256"] = hashlib.sha256(completions.read_bytes()).hexdigest()
    path.write_text(json.dumps(sidecar))
    assert "sampled for other prompts" in command("course.eval", *words).err
    path.write_text(json.dumps({**sidecar, "sampling": {}}))
    assert "missing required field" in command("course.eval", *words).err
    sidecar["prompts_sha256"] = load_dataset(dataset).prompts_sha256
    path.write_text(json.dumps(sidecar))
    assert command("course.eval", *words).code == 0


@pytest.mark.parametrize(
    "sampling", ['"temperature": 1e999', '"temperature": -5', '"top_p": 7', '"samples_per_prompt": 0', '"seed": 0.5']
)
def test_a_sidecar_must_make_sense(sampling: str, command: Command, dataset: Path, completions: Path) -> None:
    text = (ROOT / "data/rollouts/frozen_rollouts_dev.meta.json").read_text()
    name = sampling.split(":")[0]
    lines = [f"    {sampling}," if name in line else line for line in text.splitlines()]
    completions.with_name("said.meta.json").write_text("\n".join(lines).replace("0.5,\n  }", "0.5\n  }"))
    done = command(
        "course.eval", "--dataset", dataset, "--completions", completions, "--runs-dir", dataset.parent / "r"
    )
    assert done.code == 2
    assert done.err.count("\n") == 1


def test_paths_that_are_no_files(command: Command, dataset: Path, tmp_path: Path) -> None:
    for path in (".", "", "/"):
        done = command("course.eval", "--dataset", dataset, "--completions", path, "--runs-dir", tmp_path / "runs")
        assert done.code == 2
        assert done.err.count("\n") == 1


def test_change_and_parent_go_together(command: Command, evaluate: Evaluate, dataset: Path, completions: Path) -> None:
    parent = evaluate()
    words = ("--dataset", dataset, "--completions", completions, "--runs-dir", parent.parent)
    for bad in (("--change", "x"), ("--parent", parent), ("--parent", parent, "--change", " ")):
        done = command("course.eval", *words, *bad)
        assert done.code == 2
        assert "they go together" in done.err
    assert "no such run" in command("course.eval", *words, "--parent", "nowhere", "--change", "x").err
    assert "not a run" in command("course.eval", *words, "--parent", dataset.parent, "--change", "x").err
    (parent / "summary.json").write_text("{}")
    assert "the parent run is damaged" in command("course.eval", *words, "--parent", parent, "--change", "x").err
    assert list_runs(parent.parent) == [parent]


def test_an_existing_run_is_never_overwritten(evaluate: Evaluate, tmp_path: Path) -> None:
    taken = tmp_path / "runs" / "run_041"
    taken.mkdir(parents=True)
    (taken / "mine.txt").write_text("mine")
    assert evaluate().name == "run_042"
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


def test_two_writers_never_take_the_same_name(evaluate: Evaluate, tmp_path: Path) -> None:
    manifest = load_manifest(evaluate())
    with RunWriter(tmp_path) as one, RunWriter(tmp_path) as other:
        assert one.finish(manifest).name == "run_001"
        assert other.finish(manifest).name == "run_002"


def big_files(tmp_path: Path) -> list[str]:
    """Arguments of an evaluation that takes a second or so."""
    dataset = write_rows(
        tmp_path / "big_dev.jsonl", [{"id": f"x{n}", "prompt": "p" * 50, "expected_answer": n} for n in range(500)]
    )
    rows = [{"id": f"x{n}", "completion": f"Final: {s}", "sample": s} for s in range(200) for n in range(500)]
    completions = write_rows(tmp_path / "big.jsonl", rows)
    return ["--dataset", str(dataset), "--completions", str(completions), "--runs-dir", str(tmp_path / "runs")]


@posix
def test_a_full_disk_leaves_one_line_and_no_run(tmp_path: Path) -> None:
    """The largest file this process may write is 64 KiB: the write fails as it does on a full disk."""
    words = big_files(tmp_path)

    resource = pytest.importorskip("resource")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

    done = subprocess.run([*EVAL, *words], cwd=ROOT, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / 'runs'}: cannot write the run: ")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "runs").iterdir()) == []
