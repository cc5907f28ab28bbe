"""Numbers that were not measured, and changes that were not made, claimed by somebody who wants to be believed."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_comparisons import Measured, measured
from tests.attacks.test_runs import Attack, Evaluate, manifest, reseal, rows, selected, summary
from tests.conftest import DEV, PACK, ROLLOUTS, Command, forged, write_rows

__all__ = ["measured", "selected"]  # fixtures
HUGE = 10**30  # more than most readers of JSON keep whole


def golden(**fields: Any) -> Attack:
    """Change counts of the golden gate in the manifest."""

    def attack(run: Path) -> None:
        said = json.loads((run / "manifest.json").read_text())["golden"]
        reseal(run, golden={**said, **fields})

    return attack


def disguised(run: Path) -> None:
    """An evaluation becomes a demo that measured no completions, with whatever rate it likes."""
    (run / "results.jsonl").unlink()
    files = json.loads((run / "manifest.json").read_text())["files"]
    reseal(run, experiment="policy_gradient", loop="C", files={"summary.json": files["summary.json"]})
    summary(passes=99, scored=100, pass_rate=0.99)(run)


def listed_under_a_vast_name(run: Path) -> None:
    """A name that no file system takes, which `reseal` would leave out."""
    said = json.loads((run / "manifest.json").read_text())
    said["files"]["x" * 5000] = "0" * 64
    (run / "manifest.json").write_bytes(forged(said))


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        pytest.param(golden(cases=HUGE), "manifest.json, golden: it says", id="more golden cases than a number holds"),
        pytest.param(golden(crashes=-HUGE), "manifest.json, golden: it says", id="fewer crashes than a number holds"),
        pytest.param(summary(passes=HUGE), "summary.json, passes: it says", id="more passes than a number holds"),
        pytest.param(manifest(settings={"x": HUGE}), "manifest.json, settings: it says", id="a vast setting"),
        pytest.param(
            rows(lambda row: row["details"].update(extracted=HUGE)), "the details stored", id="a vast number extracted"
        ),
        pytest.param(
            rows(lambda row: row["details"].update(code=None, more=HUGE)), "the details stored", id="vast details"
        ),
        pytest.param(rows(lambda row: row.update(sample=HUGE)), "the sample is not", id="a vast sample number"),
        pytest.param(rows(lambda row: row.update(reward=1e308)), "the reward stored is", id="a vast reward"),
        pytest.param(listed_under_a_vast_name, "missing", id="a file whose name no system takes"),
    ],
)
def test_vast_values_are_found_and_hide_nothing(
    attack: Attack, said: str, evaluate: Evaluate, command: Command, tmp_path: Path
) -> None:
    run = evaluate()
    attack(run)
    rows(lambda row: row.update(error="503"), 1)(run) if attack is not listed_under_a_vast_name else None
    done = command("course.verify_run", "--run", run)
    assert done.code == 1, done.err
    assert said in done.out, done.out
    assert "TAMPERED" in done.out
    assert command("course.report", run, "--out", tmp_path / "page.html").code == 1
    assert command("course.inspect_run", "--runs-dir", run.parent).code == 0


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"settings": {"samples": "many"}}, id="samples that are no number"),
        pytest.param({"settings": {"samples": HUGE}}, id="so many samples that verifying would never end"),
        pytest.param({"settings": {"samples": 10**12}}, id="a trillion samples"),
        pytest.param({"settings": {"samples": [1]}}, id="samples that are a list"),
        pytest.param({"settings": {"samples": -1}}, id="fewer samples than none"),
    ],
)
def test_settings_that_stop_the_check_do_not_save_a_forged_reward(
    fields: dict[str, Any], evaluate: Evaluate, command: Command
) -> None:
    run = evaluate()
    rows(lambda row: row.update(reward=1.0), 1)(run)
    reseal(run, **fields)
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "TAMPERED OR DAMAGED" in done.out, done.out


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("x" * 5000, id="a name that no system takes"),
        pytest.param("\0", id="no name at all"),
        pytest.param("/dev/zero", id="a device that never ends"),
        pytest.param("", id="nowhere"),
        pytest.param("elsewhere\\data\\frozen_rollouts_dev.jsonl", id="another system's path"),
    ],
)
def test_a_forged_place_does_not_hide_the_shipped_originals(place: str, evaluate: Evaluate, command: Command) -> None:
    """Where the originals were found is only claimed; a place that cannot be asked must not end the check."""
    run = evaluate(data=DEV, said=ROLLOUTS)
    forge = rows(lambda row: row.update(reward=1.0, finish_reason="stop"), 1)
    forge(run)
    said = json.loads((run / "manifest.json").read_text())["circumstances"]
    reseal(run, circumstances={**said, "completions_path": place})
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "today's core raises" not in done.out
    assert "TAMPERED" in done.out
    if "frozen" in place:
        assert "the finish_reason is not that of the originals" in done.out


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"select_with": "mercy"}, id="an unknown rubric"),
        pytest.param({"n": HUGE}, id="the best of too many"),
        pytest.param({"n": -1}, id="the best of fewer than none"),
    ],
)
def test_a_selection_that_cannot_be_repeated_is_wrong(
    how: dict[str, Any], selected: Path, command: Command, tmp_path: Path
) -> None:
    run = shutil.copytree(selected, tmp_path / "run")
    reseal(run, selection={**json.loads((run / "manifest.json").read_text())["selection"], **how})
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "TAMPERED OR DAMAGED" in done.out, done.out


def exits(_: object) -> None:
    sys.exit(0)


def test_a_rule_that_exits_does_not_end_the_check_well(
    selected: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.selection_demo.pick_best", exits)
    done = command("course.verify_run", "--run", selected)
    assert done.code == 1
    assert "pick_best: it raised SystemExit(0)" in done.out


def test_a_rule_that_exits_writes_no_run(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("course.selection_demo.pick_best", exits)
    done = command("course.selection_demo", "--n", 2, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert "pick_best: it raised SystemExit(0)" in done.err
    assert not list((tmp_path / "runs").glob("run_*"))


def test_a_file_of_rules_that_exits_when_loaded_is_not_checked(
    selected: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.core.selection.import_module", exits)
    done = command("course.verify_run", "--run", selected)
    assert done.code == 1
    assert "NOT VERIFIED" in done.out


def test_a_rule_that_did_not_make_the_run_is_not_even_loaded(
    selected: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr("course.core.selection.import_module", loaded.append)
    monkeypatch.setattr("course.core.selection.region_sha256", lambda _: "0" * 64)
    done = command("course.verify_run", "--run", selected)
    assert "pick_best is not the one that made this run" in done.out
    assert loaded == []


def test_a_rate_without_results_is_not_listed(evaluate: Evaluate, command: Command) -> None:
    run = evaluate()
    disguised(run)
    assert command("course.verify_run", "--run", run).code == 0, "its hashes are all that there is"
    assert "99/100" not in command("course.inspect_run", "--runs-dir", run.parent).out


def test_a_copy_with_another_sidecar_is_told_from_the_shipped_one(
    evaluate: Evaluate, command: Command, tmp_path: Path
) -> None:
    said = Path(shutil.copy(ROLLOUTS, tmp_path))
    shipped = json.loads(ROLLOUTS.with_suffix(".meta.json").read_text())
    said.with_suffix(".meta.json").write_text(json.dumps({**shipped, "policy": "a famous model"}))
    run = evaluate(data=DEV, said=said)
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "NOT VERIFIED" in done.out
    assert "sidecar" in done.out
    shutil.copy(ROLLOUTS.with_suffix(".meta.json"), tmp_path)
    assert command("course.verify_run", "--run", evaluate(data=DEV, said=said)).code == 0


def unknown_runs(command: Command, tmp_path: Path, same: bool, *words: object) -> tuple[Path, Path]:
    """An evaluation and a selection, of two models' answers or of one's, with no sidecar."""
    examples = [{"id": f"x{n}", "prompt": f"{n}", "expected_answer": n} for n in range(30)]
    data = write_rows(tmp_path / "x_dev.jsonl", examples)
    packs = []
    for name, right in (("one", 3), ("other", 3 if same else 20)):
        answers = [
            {"id": f"x{n}", "completion": f"Final: {n if n < right + s else -1}", "sample": s}
            for n in range(30)
            for s in range(2)
        ]
        packs.append(write_rows(tmp_path / f"{name}.jsonl", answers))
    runs = tmp_path / "runs"
    command("course.eval", "--dataset", data, "--completions", packs[0], "--runs-dir", runs)
    if words:
        done = command("course.eval", "--dataset", data, "--completions", packs[1], "--runs-dir", runs, *words)
    else:
        done = command("course.selection_demo", "--dataset", data, "--pack", packs[1], "--runs-dir", runs)
    assert done.code == 0, done.err
    return runs / "run_001", runs / "run_002"


def test_another_models_answers_chosen_are_not_called_the_same_policy(command: Command, tmp_path: Path) -> None:
    runs = unknown_runs(command, tmp_path, False)
    done = command("course.compare", *runs, "--change", "best of 2")
    assert "same policy" not in done.out
    assert done.code == 1
    assert "two knobs at once" in done.out


def test_the_same_answers_chosen_from_are_a_selection(command: Command, tmp_path: Path) -> None:
    done = command("course.compare", *unknown_runs(command, tmp_path, True), "--change", "best of 2")
    assert done.code == 0
    assert "Loop B, selection" in done.out


def test_another_models_answers_are_not_called_asked_more_often(command: Command, tmp_path: Path) -> None:
    runs = unknown_runs(command, tmp_path, False, "--samples", 3)
    done = command("course.compare", *runs, "--change", "asked three times")
    assert "same policy" not in done.out
    assert done.code == 1


def test_one_file_counted_against_two_numbers_is_no_comparison(evaluate: Evaluate, command: Command) -> None:
    """The rate moves with the denominator alone, and nothing was measured anew."""
    done = command("course.compare", evaluate("--samples", 4), evaluate(), "--change", "asked once")
    assert done.code == 1
    assert "points" not in done.out


def test_a_selection_among_other_samples_is_two_changes(command: Command, tmp_path: Path) -> None:
    """The pack drawn again, where only the seed is another: the choice and the draw have both changed."""
    few = {f"dev-{number:04d}" for number in range(1, 31)}
    read = [[json.loads(line) for line in path.read_text().splitlines()] for path in (DEV, PACK)]
    data, pack = ([row for row in part if row["id"] in few] for part in read)
    data_path = write_rows(tmp_path / "few_dev.jsonl", data)
    how = ("--policy", "a", "--temperature", 1, "--top-p", 1, "--max-new-tokens", 16)
    for seed in (0, 1):
        said = write_rows(tmp_path / f"{seed}.jsonl", [{**row, "sample": (row["sample"] + seed) % 8} for row in pack])
        words = ("--dataset", data_path, "--completions", said, *how, "--seed", seed)
        assert command("course.datasets.describe", *words).code == 0
    runs = tmp_path / "runs"
    command("course.eval", "--dataset", data_path, "--completions", tmp_path / "0.jsonl", "--runs-dir", runs)
    for seed in (0, 1):
        command(
            "course.selection_demo", "--dataset", data_path, "--pack", tmp_path / f"{seed}.jsonl", "--runs-dir", runs
        )
    same = command("course.compare", runs / "run_001", runs / "run_002", "--change", "best of 8")
    assert same.code == 0, same.out
    other = command("course.compare", runs / "run_001", runs / "run_003", "--change", "best of 8")
    assert other.code == 1
    assert "two knobs at once" in other.out


def test_a_policy_without_a_hash_is_refused(command: Command, tmp_path: Path) -> None:
    """Two of them would pass for one."""
    said = Path(shutil.copy(ROLLOUTS, tmp_path))
    shipped = json.loads(ROLLOUTS.with_suffix(".meta.json").read_text())
    said.with_suffix(".meta.json").write_text(json.dumps({**shipped, "policy_sha256": ""}))
    done = command("course.eval", "--dataset", DEV, "--completions", said, "--runs-dir", tmp_path / "runs")
    assert done.code == 2
    assert "policy_sha256" in done.err


def test_a_policy_learned_from_itself_has_not_learned(measured: Measured, command: Command) -> None:
    a = hashlib.sha256(b"a").hexdigest()
    before, after = measured("one", 3), measured("two", 25, learned_from=a, tokenizer_sha256="u" * 64)
    assert "Loop C" not in command("course.compare", before, after, "--change", "learning").out


def test_anyway_keeps_no_declaration(measured: Measured, command: Command, tmp_path: Path) -> None:
    sampling = {"temperature": 0.2, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": 0}
    before, after = measured("one", 3), measured("two", 25, policy="b", sampling=sampling)
    done = command("course.compare", before, after, "--anyway", "--change", "the model")
    assert done.code == 1
    assert not (tmp_path / "runs" / "declared_afterwards.jsonl").exists()


def fifo(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes here")
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(fifo, id="a pipe that nobody reads"),
        pytest.param(Path.mkdir, id="a folder"),
        pytest.param(lambda path: path.write_text('{"time": '), id="cut off in the middle of a line"),
        pytest.param(lambda path: path.write_text('{"time":"","before":1}\n'), id="a line of another kind"),
    ],
)
def test_declarations_that_cannot_be_kept(
    damage: Callable[[Path], object], measured: Measured, command: Command, tmp_path: Path
) -> None:
    before, after = measured("one", 3), measured("two", 25, policy="b")
    path = tmp_path / "runs" / "declared_afterwards.jsonl"
    damage(path)
    kept = path.read_text() if path.is_file() else None
    done = command("course.compare", before, after, "--change", "the model")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "points" not in done.out
    assert kept == (path.read_text() if path.is_file() else None)


def test_a_declaration_is_not_glued_to_a_line_without_an_end(
    measured: Measured, command: Command, tmp_path: Path
) -> None:
    before, after = measured("one", 3), measured("two", 25, policy="b")
    path = tmp_path / "runs" / "declared_afterwards.jsonl"
    path.write_text('{"time":"t","before":"b","after":"a","change":"c"}')
    assert command("course.compare", before, after, "--change", "the model").code == 0
    done = command("course.compare", before, after)
    assert done.code == 0, done.err
    assert "the model (declared afterwards" in done.out


@pytest.mark.parametrize("inside", ["", "more", "more/runs"])
def test_no_run_is_written_into_a_run(inside: str, evaluate: Evaluate, command: Command, tmp_path: Path) -> None:
    run = evaluate()
    words = ("--dataset", tmp_path / "set_dev.jsonl", "--completions", tmp_path / "said.jsonl")
    done = command("course.eval", *words, "--runs-dir", run / inside)
    assert done.code == 2
    assert "is a run, which is sealed" in done.err
    assert command("course.verify_run", "--run", run).code == 0


def test_no_samples_are_written_into_a_run(evaluate: Evaluate, command: Command) -> None:
    pytest.importorskip("torch")
    run = evaluate()
    done = command("course.policy.sample", "--dataset", DEV, "--out", run / "mine.jsonl")
    assert done.code == 2
    assert "is a run, which is sealed" in done.err


def test_no_picture_is_written_into_a_run(evaluate: Evaluate, command: Command, tmp_path: Path) -> None:
    run = evaluate()
    done = command("course.selection_demo", "--runs-dir", tmp_path / "runs", "--plot", run / "curve.png")
    assert done.code == 2
    assert "is a run, which is sealed" in done.err
    assert command("course.verify_run", "--run", run).code == 0


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"metadata": {"x": HUGE}}, id="metadata with a number beyond 64 bits"),
        pytest.param({"metadata": {"x": "\ud800"}}, id="metadata with half a character"),
        pytest.param({"metadata": {"\x1b[2J": ["\r"] * 1000}}, id="metadata that would clear the screen"),
        pytest.param({"finish_reason": "length\x1b[2J\nverified."}, id="a finish reason that would steer a terminal"),
        pytest.param({"finish_reason": ""}, id="an empty finish reason"),
        pytest.param({"completion": None, "error": "x" * 10**6}, id="an error of a million characters"),
    ],
)
def test_what_came_with_an_answer_is_kept_and_shown_safely(
    row: dict[str, Any], evaluate: Evaluate, command: Command, dataset: Path, tmp_path: Path
) -> None:
    said = write_rows(
        tmp_path / "odd.jsonl", [{"id": f"x{n}", "completion": f"Final: {n + 1}", **row} for n in range(4)]
    )
    run = evaluate(said=said)
    kept = json.loads((run / "results.jsonl").read_text().splitlines()[0])
    assert {name: kept[name] for name in row if row[name] is not None} == {
        k: v for k, v in row.items() if v is not None
    }
    shown = [command("course.verify_run", "--run", run), command("course.inspect_run", "--run", run)]
    shown.append(command("course.report", run, "--out", tmp_path / "page.html"))
    assert [done.code for done in shown] == [0, 0, 0], shown[0].out + shown[2].err
    assert not any("\x1b" in done.out for done in shown)


def test_a_seed_beyond_64_bits_can_be_verified(measured: Measured, command: Command) -> None:
    sampling = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": HUGE}
    done = command("course.verify_run", "--run", measured("one", 3, sampling=sampling))
    assert done.code == 0, done.out
