"""The seal: what students read is as it was shipped, or every run says that it is not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from course.core import seal
from course.core.files import InputError
from tests.conftest import Command


def test_the_seal_of_this_repository_is_whole(command: Command) -> None:
    """If this fails the core was changed and not sealed again: make seal."""
    state = seal.check_seal()
    assert state.broken == []
    assert command("course.seal").code == 0


def test_a_change_an_addition_and_a_removal_are_named(core_copy: Path) -> None:
    assert seal.check_seal(core_copy).sealed
    with (core_copy / "course" / "score.py").open("a") as file:
        file.write("\n")
    (core_copy / "course" / "new.py").write_text("")
    (core_copy / "data" / "golden" / "golden_cases.jsonl").unlink()
    state = seal.check_seal(core_copy)
    assert state.broken == [
        "course/new.py: added",
        "course/score.py: changed",
        "data/golden/golden_cases.jsonl: removed",
    ]
    assert state.sha256 != seal.check_seal().sha256


def test_a_students_region_is_left_out(core_copy: Path) -> None:
    path = core_copy / "course" / "selection_demo.py"
    text = path.read_text(encoding="utf-8")
    start, end = text.index("# >>> yours to edit\n"), text.index("# <<< yours to edit\n")
    assert "def pick_best" in text[start:end]
    path.write_text(text[:start] + "# >>> yours to edit\ndef pick_best(samples):\n    return samples[0]\n" + text[end:])
    assert seal.check_seal(core_copy).sealed
    path.write_text(text[:end] + text[end + len("# <<< yours to edit\n") :])
    assert not seal.check_seal(core_copy).sealed, "a region that never ends hides nothing"
    path.write_text(text + "\n")
    assert seal.check_seal(core_copy).broken == ["course/selection_demo.py: changed"]


def test_every_byte_of_every_other_file_is_sealed(core_copy: Path) -> None:
    """The marks are marks in one file only: quoted elsewhere, in the seal's own source say, they hide nothing."""
    for path in sorted((core_copy / "course").rglob("*.py")):
        if path.name == "selection_demo.py":
            continue
        name, data = path.relative_to(core_copy).as_posix(), path.read_bytes()
        for line in range(data.count(b"\n")):
            place = [i for i, byte in enumerate(data) if byte == 10][line] if line < 40 else data.rindex(b"\n")
            assert seal.sealed_hash(name, data[:place] + b"#" + data[place:]) != seal.sealed_hash(name, data)
            if line >= 40:
                break


def test_files_of_ones_own_may_lie_in_data(core_copy: Path) -> None:
    (core_copy / "data" / "rollouts" / "mine.jsonl").write_text("{}")
    assert seal.check_seal(core_copy).sealed


def typed(core_copy: Path, module: str, *words: object) -> subprocess.CompletedProcess[str]:
    """A command typed in the copy."""
    line = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(line, cwd=core_copy, capture_output=True, text=True, encoding="utf-8")


def test_a_broken_seal_is_in_the_run_and_in_the_way_of_a_comparison(
    core_copy: Path, dataset: Path, completions: Path
) -> None:
    words = ("--dataset", dataset, "--completions", completions)
    assert typed(core_copy, "course.eval", *words).returncode == 0
    (core_copy / "course" / "new.py").write_text("")
    assert "The seal on the core is broken" in typed(core_copy, "course.eval", *words).stdout
    sealed, loose = sorted((core_copy / "runs").iterdir())
    core = [json.loads((run / "manifest.json").read_text())["core"] for run in (sealed, loose)]
    assert (core[0]["sealed"], core[0]["broken"]) == (True, [])
    assert (core[1]["sealed"], core[1]["broken"]) == (False, ["course/new.py: added"])
    assert core[0]["sha256"] != core[1]["sha256"]
    done = typed(core_copy, "course.compare", sealed, loose)
    assert done.returncode == 1
    assert "seal of the core: True before, False after" in done.stdout
    assert "an instrument that nobody vouches for" in done.stdout


def test_the_broken_seal_is_said_kindly_and_can_be_renewed(core_copy: Path) -> None:
    (core_copy / "course" / "new.py").write_text("")
    done = typed(core_copy, "course.seal")
    assert done.returncode == 1
    assert "course/new.py: added" in done.stdout
    assert "git checkout" in done.stdout
    assert typed(core_copy, "course.seal", "--renew").returncode == 0
    assert seal.check_seal(core_copy).sealed


def test_a_missing_or_broken_seal_file_is_bad_input(core_copy: Path) -> None:
    (core_copy / "course" / "seal.json").write_text("[]")
    with pytest.raises(InputError, match="Expected `object`"):
        seal.check_seal(core_copy)
    (core_copy / "course" / "seal.json").unlink()
    with pytest.raises(InputError, match="No such file"):
        seal.check_seal(core_copy)
