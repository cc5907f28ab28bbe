"""A run is edited and every hash made to fit: what must be said while the originals lie there, and when they do not."""

import json
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course.core.experiment import describe_commit
from course.core.files import sha256_file
from tests.conftest import DEV, PACK, ROLLOUTS, Command, forged, type_in, write_rows

Evaluate = Callable[..., Path]
Attack = Callable[[Path], None]


def reseal(run: Path, **fields: Any) -> None:
    """Make every hash and the seal fit; with fields of the manifest changed, or taken away where they are None."""
    manifest = {**json.loads((run / "manifest.json").read_text(encoding="utf-8")), **fields}
    manifest = {name: value for name, value in manifest.items() if value is not None and name != "seal"}
    manifest["files"] = {name: sha256_file(run / name) for name in manifest["files"] if (run / name).is_file()}
    (run / "manifest.json").write_bytes(forged(manifest))


def summary(**fields: Any) -> Attack:
    """Say something else in the summary; what is None is taken away."""

    def attack(run: Path) -> None:
        said = {**json.loads((run / "summary.json").read_text(encoding="utf-8")), **fields}
        said = {name: value for name, value in said.items() if value is not None}
        (run / "summary.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        reseal(run)

    return attack


def manifest(**fields: Any) -> Attack:
    return lambda run: reseal(run, **fields)


def rows(change: Callable[[dict[str, Any]], None], number: int = 0) -> Attack:
    """Change one row of the results, with a checksum that fits."""

    def attack(run: Path) -> None:
        lines = (run / "results.jsonl").read_text(encoding="utf-8").splitlines()
        row = json.loads(lines[number])
        del row["crc32"]
        change(row)
        body = json.dumps(row, separators=(",", ":"))[:-1]
        lines[number] = f'{body},"crc32":"{zlib.crc32(body.encode()):08x}"}}'
        (run / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        reseal(run)

    return attack


def answers_that_pass(run: Path) -> None:
    """Every expected answer becomes the one that was given, with rewards, details and sums to match."""
    lines = []
    for line in (run / "results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        del row["crc32"]
        if row["details"]["extracted"] is not None:
            given = row["details"]["extracted"]
            row["expected_answer"], row["reward"] = given, 1.0
            row["details"] |= {"expected": given, "code": None}
            row["details"]["checks"]["is_expected_answer"] = True
        body = json.dumps(row, separators=(",", ":"), ensure_ascii=False)[:-1]
        lines.append(f'{body},"crc32":"{zlib.crc32(body.encode()):08x}"}}\n')
    (run / "results.jsonl").write_text("".join(lines), encoding="utf-8")
    reseal(run)


def removed(name: str) -> Attack:
    def attack(run: Path) -> None:
        (run / name).unlink()
        reseal(run)

    return attack


def added(name: str, listed: bool) -> Attack:
    def attack(run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(b"\x89PNG\r\n\x1a\n")
        files = {name: ""} if listed else {}
        reseal(run, files={**json.loads((run / "manifest.json").read_text())["files"], **files})

    return attack


def linked(run: Path) -> None:
    shutil.move(run / "summary.json", run.parent / "summary_elsewhere.json")
    (run / "summary.json").symlink_to(run.parent / "summary_elsewhere.json")


ATTACKS_ON_LOOP_A = {
    "expected answers edited": (answers_that_pass, "the expected_answer is not that of the originals"),
    "a reward of 2": (rows(lambda row: row.update(reward=2.0)), "the reward stored is 2, the scorer gives 0"),
    "a reward that is true": (rows(lambda row: row.update(reward=True)), "Expected `float`, got `bool`"),
    "an unknown key in a row": (rows(lambda row: row.update(sure=1)), "written in another way"),
    "an error invented": (rows(lambda row: row.update(error="503")), "the error is not that of the originals"),
    "a finish reason invented": (rows(lambda row: row.update(finish_reason="length")), "the finish_reason is not"),
    "metadata invented": (rows(lambda row: row.update(metadata={"x": 1})), "the metadata is not"),
    "a code that flatters": (rows(lambda row: row["details"].update(code="wrong_space")), "the details stored are not"),
    "loop B with any pass@1": (summary(loop="B", pass_at_1=0.99), "summary.json, loop: it says B"),
    "pass@1": (summary(pass_at_1=0.99), "summary.json, pass_at_1: it says 0.99"),
    "an interval": (summary(pass_at_1_interval=[0.9, 0.99]), "summary.json, pass_at_1_interval"),
    "another data set's name": (summary(dataset="gsm8k"), "summary.json, dataset: it says gsm8k"),
    "another split": (summary(split="holdout"), "summary.json, split: it says holdout"),
    "another spec": (summary(spec_version="2"), "summary.json, spec_version: it says 2"),
    "golden counts": (summary(golden={"cases": 9999}), "summary.json, golden: it says"),
    "a number the course does not know": (summary(accuracy=1.0), "summary.json, accuracy: it says 1.0"),
    "a number taken away": (summary(failures=None), "summary.json, failures: it says nothing"),
    "the summary removed": (removed("summary.json"), "summary.json: missing"),
    "the results removed": (removed("results.jsonl"), "results.jsonl: missing"),
    "selection added to Loop A": (
        manifest(selection={"rule": "0" * 64, "n": 8, "select_with": "strict"}),
        "manifest.json, selection: it says",
    ),
    "called Loop C": (manifest(loop="C", knob="policy"), "manifest.json, loop: it says C, the originals give A"),
    "called a demo": (manifest(experiment="goodhart"), "manifest.json, experiment: it says goodhart"),
    "called a selection": (manifest(experiment="selection_demo"), "it does not say by what it was selected"),
    "another policy": (manifest(policy={"name": "gpt", "sha256": "0" * 64}), "manifest.json, policy: it says"),
    "another temperature": (
        manifest(sampling={"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": 0}),
        "manifest.json, sampling: it says",
    ),
    "8 samples over one": (manifest(settings={"samples": 8}), "--samples: the sidecar says that 1 were asked for"),
    "sampling taken away": (manifest(policy=None, sampling=None), "a sidecar lies beside the completions"),
    "other prompts": (manifest(prompts_sha256="0" * 64), "manifest.json, prompts_sha256: it says"),
    "the golden gate taken away": (manifest(golden=None), "no run is written without its golden gate"),
    "a broken seal called whole": (
        lambda run: reseal(
            run, core={**json.loads((run / "manifest.json").read_text())["core"], "sealed": False, "broken": ["x"]}
        ),
        "manifest.json, core: it says",
    ),
    "looks at a holdout invented": (
        lambda run: reseal(
            run,
            circumstances={
                **json.loads((run / "manifest.json").read_text())["circumstances"],
                "earlier_looks_at_this_holdout": 0,
            },
        ),
        "earlier looks at a holdout: 0, where the split is dev",
    ),
    "data sets invented": (manifest(data={"x": {"sha256": "0" * 64}}), "manifest.json, data: it says"),
    "a picture added": (added("curve.png", listed=False), "curve.png: added since the run was sealed"),
    "a picture added and listed": (added("curve.png", listed=True), "curve.png: no file of such a run"),
    "a folder added": (added("more/notes.md", listed=False), "more/notes.md: added since the run was sealed"),
    "a link in a file's place": (linked, "summary.json: missing"),
    "the data set's hash": (
        manifest(dataset={"name": "math_dev.jsonl", "sha256": "0" * 64, "split": "dev"}),
        "NOT VERIFIED",
    ),
    "the completions' hash": (
        manifest(completions={"name": "frozen_rollouts_dev.jsonl", "sha256": "0" * 64}),
        "NOT VERIFIED",
    ),
    "the scorer's hash": (manifest(scorer={"spec_version": "1", "sha256": "0" * 64}), "so nothing was scored again"),
}


@pytest.mark.parametrize("name", ATTACKS_ON_LOOP_A)
def test_loop_a_edited_and_resealed(name: str, evaluate: Evaluate, command: Command) -> None:
    attack, said = ATTACKS_ON_LOOP_A[name]
    run = evaluate(data=DEV, said=ROLLOUTS)
    attack(run)
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert said in done.out, done.out
    assert "verified." not in done.out


def choice(**fields: Any) -> Attack:
    """Change the first row of selection_demo.jsonl."""

    def attack(run: Path) -> None:
        path = run / "selection_demo.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[0] = json.dumps({**json.loads(lines[0]), **fields}, separators=(",", ":"))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        reseal(run)

    return attack


def readme_linked(run: Path) -> None:
    shutil.move(run / "README.md", run.parent / "elsewhere.md")
    (run / "README.md").symlink_to(run.parent / "elsewhere.md")


ATTACKS_ON_LOOP_B = {
    "expected answers edited": (answers_that_pass, "the expected_answer is not that of the originals"),
    "a chosen sample swapped for another": (
        rows(lambda row: row.update(sample=(row["sample"] + 1) % 8)),
        "the sample is not that of the originals",
    ),
    "a choice edited": (choice(chosen=7, selector_reward=1.0), "selection_demo.jsonl: it is not what the originals"),
    "a link in the README's place": (readme_linked, "README.md: added since the run was sealed"),
    "a README that is sealed": (added("README.md", listed=True), "README.md: no file of such a run"),
    "a README in a folder": (added("more/README.md", listed=False), "more/README.md: added since the run was sealed"),
    "a readme in small letters": (added("readme.md", listed=False), "readme.md: added since the run was sealed"),
    "pass@1 of the policy": (
        lambda run: summary(
            selection={**json.loads((run / "summary.json").read_text())["selection"], "pass_at_1": 0.9}
        )(run),
        "summary.json, selection: it says",
    ),
    "chosen from more": (
        manifest(selection={"rule": "0" * 64, "n": 4, "select_with": "strict"}),
        "pick_best is not the one that made this run",
    ),
    "called Loop C": (manifest(loop="C"), "manifest.json, loop: it says C, the originals give B"),
    "called Loop A": (manifest(loop="A", experiment=None, knob="measurement"), "the id is not that of the originals"),
    "the picture removed from the list": (removed("selection_demo.png"), ""),
}


@pytest.fixture(scope="module")
def selected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of Loop B on a few examples."""
    folder = tmp_path_factory.mktemp("selected")
    ids = {f"dev-{number:04d}" for number in range(1, 13)}
    words = []
    for option, path in (("--dataset", DEV), ("--pack", PACK)):
        few = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        words += [option, str(write_rows(folder / path.name, [row for row in few if row["id"] in ids]))]
    done = type_in(Path.cwd(), f"python -m course.selection_demo {' '.join(words)} --runs-dir {folder}/runs")
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "run_001"


@pytest.mark.parametrize("name", ATTACKS_ON_LOOP_B)
def test_loop_b_edited_and_resealed(name: str, selected: Path, command: Command, tmp_path: Path) -> None:
    attack, said = ATTACKS_ON_LOOP_B[name]
    run = shutil.copytree(selected, tmp_path / "run")
    assert command("course.verify_run", "--run", run).code == 0
    attack(run)
    done = command("course.verify_run", "--run", run)
    assert said in done.out, done.out
    assert done.code == 1


def test_originals_that_moved_can_be_shown(
    evaluate: Evaluate, command: Command, dataset: Path, completions: Path, tmp_path: Path
) -> None:
    run = evaluate()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = [shutil.move(path, elsewhere) for path in (dataset, completions)]
    lost = command("course.verify_run", "--run", run)
    assert lost.code == 1
    assert "NOT VERIFIED" in lost.out
    found = command("course.verify_run", "--run", run, "--dataset", moved[0], "--completions", moved[1])
    assert found.code == 0
    assert "Forged originals or a forged interpreter would not be found" in found.out


def test_lost_originals_do_not_hide_an_edited_row(
    evaluate: Evaluate, command: Command, dataset: Path, completions: Path
) -> None:
    run = evaluate()
    completions.unlink()
    rows(lambda row: row.update(reward=1.0), 1)(run)
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "the reward stored is 1, the scorer gives 0" in done.out


def test_a_sidecar_edited_later_is_found(evaluate: Evaluate, command: Command, tmp_path: Path) -> None:
    said = shutil.copy(ROLLOUTS, tmp_path)
    sidecar = tmp_path / "frozen_rollouts_dev.meta.json"
    shutil.copy(ROLLOUTS.with_name(sidecar.name), sidecar)
    run = evaluate(data=DEV, said=Path(said))
    sidecar.write_text(sidecar.read_text().replace('"temperature": 1.0', '"temperature": 0.5'))
    done = command("course.verify_run", "--run", run)
    assert done.code == 1
    assert "manifest.json, sampling: it says" in done.out


def test_the_listing_does_not_believe_an_edited_summary(evaluate: Evaluate, command: Command) -> None:
    run = evaluate()
    text = (run / "summary.json").read_text().replace('"passes": 1', '"passes": 4')
    (run / "summary.json").write_text(text)
    out = command("course.inspect_run", "--runs-dir", run.parent).out
    assert "(DAMAGED)" in out
    assert "what the runs say" in out


def test_an_added_picture_is_not_shown_as_the_runs(evaluate: Evaluate, command: Command, tmp_path: Path) -> None:
    run = evaluate()
    (run / "curve.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = command("course.report", run, "--out", tmp_path / "page.html")
    assert done.code == 1
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "data:image/png" not in page
    assert "curve.png: added since the run was sealed" in page


def test_a_foreign_repository_around_the_course_is_not_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    (tmp_path / "course").mkdir()
    monkeypatch.setattr("course.core.experiment.ROOT", tmp_path / "course")
    assert describe_commit() == {"commit": None, "tree_clean": None}
    monkeypatch.setattr("course.core.experiment.ROOT", tmp_path)
    assert describe_commit()["commit"] is not None
