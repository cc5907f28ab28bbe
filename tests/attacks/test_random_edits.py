"""Random edits of runs, followed by a reseal: each that changes a meaning is found, or concerns what is claimed."""

import copy
import functools
import json
import random
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from course.core import verification
from course.core.files import InputError, sha256_file
from course.core.manifest import MANIFEST
from course.core.runs import HANDWRITTEN
from course.core.verification import Verification, verify
from tests.conftest import DEV, HOLDOUT, PACK, Command, forged, write_rows

Place = tuple[str, ...]  # the file's name, then the keys down to what was edited

# What a line of `claimed` covers, by how it begins: the places that no original can tell.
COVERED: dict[str, Place] = {
    "circumstances": ("manifest.json", "circumstances"),
    "how many golden cases": ("manifest.json", "golden", "yours"),
    "core (another": ("manifest.json", "core"),
    "golden (other": ("manifest.json", "golden"),
    "the seed of the random control": ("manifest.json", "settings", "seed"),
    "selection_demo.png": ("selection_demo.png",),
    "everything but the hashes": (),
}


def is_claimed(place: Place, found: Verification) -> bool:
    """Does a line of `claimed` cover a place?"""
    starts: list[Place] = [("manifest.json", "note"), ("manifest.json", "change")]
    starts += [covered for words, covered in COVERED.items() if any(line.startswith(words) for line in found.claimed)]
    return any(place[: len(start)] == start for start in starts)


def other(rng: random.Random, value: Any) -> Any:
    """Another value in the place of one: near it, or of another type."""
    choices: list[Any] = [None, True, "", "x", 0, 1, -1, 0.5, [], {}, 10**12, "A", "B", "0" * 64, ["x"], {"x": 1}]
    if isinstance(value, bool):
        choices += [not value] * 20
    elif isinstance(value, int | float):
        choices += [value + 1, value - 1, value * 1.5 + 0.1, -value, value + 0.01] * 4
    elif isinstance(value, str):
        choices += [value + "x", value[1:], value.swapcase(), value[::-1], value.replace("0", "1")] * 4
    return rng.choice([choice for choice in choices if json.dumps(choice) != json.dumps(value)])


def edit(rng: random.Random, tree: Any) -> tuple[Any, Place]:
    """A copy of a JSON value with one thing changed, added or taken away; and the keys down to it."""
    tree = copy.deepcopy(tree)
    node: Any = tree
    keys: list[str | int] = []
    while True:
        entries = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not entries or rng.random() < 0.1:
            if isinstance(node, dict):
                keys.append("added")
                node["added"] = other(rng, None)
            else:
                node.append(other(rng, None))
            return tree, tuple(map(str, keys))
        key = rng.choice(entries)
        keys.append(key)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.9:
            node = node[key]
            continue
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = other(rng, node[key])
        return tree, tuple(map(str, keys))


def with_checksum(row: Any) -> bytes:
    """A line of results with a checksum that fits it."""
    row = {key: value for key, value in row.items() if key != "crc32"} if isinstance(row, dict) else row
    body = json.dumps(row, separators=(",", ":")).encode()[:-1]
    return b'%b,"crc32":"%08x"}\n' % (body, zlib.crc32(body))


def edit_lines(rng: random.Random, path: Path) -> tuple[bytes, Place]:
    """A JSONL file with a row edited, removed, repeated or moved."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    number = rng.randrange(len(rows))
    keys: Place = ()
    how = rng.random()
    if how < 0.7:
        rows[number], keys = edit(rng, rows[number])
        if keys == ("crc32",):
            return edit_lines(rng, path)
    elif how < 0.8 and len(rows) > 1:
        del rows[number]
    elif how < 0.9 or rows[number] == rows[0]:
        rows.insert(rng.randrange(len(rows)), rows[number])
    else:
        rows.insert(0, rows.pop(number))
    dump = with_checksum if path.name == "results.jsonl" else lambda row: json.dumps(row).encode() + b"\n"
    return b"".join(map(dump, rows)), (path.name, *keys)


def forge(rng: random.Random, run: Path) -> Place:
    """Edit one thing of a run, and make every hash and seal fit. Returns what was edited."""
    manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    kept = {MANIFEST, HANDWRITTEN}  # the note is the student's, and nothing in it is verified
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in kept]
    how = rng.random()
    if how < 0.45:
        body = {key: value for key, value in manifest.items() if key not in ("seal", "files")}
        edited, keys = edit(rng, body)
        place: Place = (MANIFEST, *keys)
        manifest = {**edited, "files": manifest["files"]} if isinstance(edited, dict) else manifest
    elif how < 0.55:
        place = ("added.png",)
        (run / "added.png").write_bytes(b"x")
        if rng.random() < 0.5:
            manifest["files"]["added.png"] = ""
    else:
        path = rng.choice([path for path in files if path.suffix == ".json"] * 2 + files)
        if path.suffix == ".json":
            edited, keys = edit(rng, json.loads(path.read_text(encoding="utf-8")))
            path.write_text(json.dumps(edited), encoding="utf-8")
            place = (path.name, *keys)
        elif path.suffix == ".jsonl":
            data, place = edit_lines(rng, path)
            path.write_bytes(data)
        elif rng.random() < 0.2:
            path.unlink()
            place = (path.name,)
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"!")
            place = (path.name,)
    manifest["files"] = {name: sha256_file(run / name) for name in manifest["files"] if (run / name).is_file()}
    (run / MANIFEST).write_bytes(forged(manifest))
    return place


def runs_of_all_kinds(command: Command, folder: Path, many: int) -> Iterator[Path]:
    """Evaluations of one and of several samples, with lost and failed answers, and runs of Loop B and of a demo."""
    rng = random.Random(0)
    shipped = {path: [json.loads(line) for line in path.read_text().splitlines()] for path in (DEV, HOLDOUT, PACK)}
    for number in range(many):
        runs = folder / f"runs_{number}"
        split, size = (HOLDOUT, rng.randint(1, 8)) if number % 7 == 0 else (DEV, rng.randint(2, 8))
        examples = rng.sample(shipped[split], size)
        data = write_rows(folder / f"set_{number}.jsonl", examples)
        if number % 12 == 1:
            command("course.toy_mdp", "--runs-dir", runs, "--episodes", 20, "--seeds", 2)
        elif number % 3 == 0 and split == DEV:
            ids = {example["id"] for example in examples}
            pack = write_rows(folder / f"pack_{number}.jsonl", [row for row in shipped[PACK] if row["id"] in ids])
            words = ("--n", rng.randint(2, 8), "--seed", number, "--select-with", rng.choice(["strict", "anywhere"]))
            command("course.selection_demo", "--dataset", data, "--pack", pack, "--runs-dir", runs, *words)
        else:
            said = [
                {"id": e["id"], "completion": f"Final: {e['expected_answer'] + rng.choice((0, 0, 1))}", "sample": s}
                for e in examples
                for s in range(1 + number % 4)
            ]
            if len(said) > 2:
                said[0] = {"id": said[0]["id"], "completion": None, "error": "503", "sample": 0}
                said[1]["finish_reason"] = "length"
                said[1]["metadata"] = {"model": "m"}
                del said[2]
            file = write_rows(folder / f"said_{number}.jsonl", said)
            told: tuple[object, ...] = ("--samples", 1 + number % 4) if number % 2 else ("--note", "a note")
            if number % 5 == 0:
                how = ("--temperature", 1, "--top-p", 1, "--max-new-tokens", 16, "--seed", 0, "--samples", 4)
                command("course.datasets.describe", "--dataset", data, "--completions", file, "--policy", "p", *how)
                told = ()
            command("course.eval", "--dataset", data, "--completions", file, "--runs-dir", runs, *told)
        assert (runs / "run_001").is_dir(), number
        yield runs / "run_001"


@pytest.fixture
def instrument_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core and the golden cases do not change between two verifications here, so each is asked once."""
    for name in ("check_seal", "check_golden"):
        monkeypatch.setattr(verification, name, functools.cache(getattr(verification, name)))


@pytest.mark.usefixtures("instrument_asked_once")
@pytest.mark.parametrize(
    ("many", "edits"),
    [pytest.param(24, 15, id="360 edits"), pytest.param(200, 100, id="20,000 edits", marks=pytest.mark.prove)],
)
def test_each_edit_is_found_or_claimed(many: int, edits: int, command: Command, tmp_path: Path) -> None:
    rng = random.Random(1)
    missed: list[tuple[str, Place]] = []
    for run in runs_of_all_kinds(command, tmp_path, many):
        assert verify(run).verified, verify(run)
        for _ in range(edits):
            copy_of = tmp_path / "forged"
            shutil.copytree(run, copy_of)
            place = forge(rng, copy_of)
            try:
                found = verify(copy_of)
                same = (copy_of / MANIFEST).read_bytes() == (run / MANIFEST).read_bytes()
                changed = place[0] != MANIFEST or not same  # 1 in the place of 1.0 is written as 1.0 again
                if changed and found.verified and not is_claimed(place, found):
                    missed.append((run.parent.name, place))
            except InputError:
                pass  # refused: no longer a run
            shutil.rmtree(copy_of)
    assert missed == []
