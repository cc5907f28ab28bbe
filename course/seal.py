"""The seal on the course's core: has anything changed that students read but do not edit?

    python -m course.seal            says whether the seal is whole, and what broke it
    python -m course.seal --renew    for teachers: seal the core as it stands

`course/seal.json` holds the hash of every sealed file: the code and templates of `course/` and the data that the
course ships. The marked region of `selection_demo.py`, which is the student's, is left out of its hash; files of your
own may lie in `data/`. Every run records whether the seal was whole; one made under a broken seal is not compared with
a sealed one.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.files import InputError, read_bytes, read_json, sha256, to_pretty_json, write_whole
from course.terminal import DONE, FOUND, console, run_command

ROOT = Path(__file__).resolve().parents[1]
SEAL = ROOT / "course" / "seal.json"
SEALED = ("course/**/*.py", "course/templates/*", "data/**/*.json", "data/**/*.jsonl", "data/**/*.safetensors")
YOURS = re.compile(rb"^# >>> yours to edit\r?\n.*?^# <<< yours to edit\r?$", re.DOTALL | re.MULTILINE)
HAS_A_REGION = "course/selection_demo.py"  # nowhere else is a mark a mark


@dataclass(frozen=True)
class SealState:
    """Whether the core is as it was sealed, and one line for each file that is not."""

    whole: bool
    core_sha256: str
    broken: list[str]


def core_hashes(root: Path = ROOT) -> dict[str, str]:
    """The hash of every file that could be sealed, as it stands now, by its path in the repository."""
    paths = {path for pattern in SEALED for path in root.glob(pattern) if path.is_file()}
    names = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: sealed_hash(name, read_bytes(names[name])) for name in sorted(names)}


def sealed_hash(name: str, data: bytes) -> str:
    """The hash of a file, without the region that is the student's."""
    return sha256(YOURS.sub(b"", data, count=1) if name == HAS_A_REGION else data)


def region_sha256(path: Path) -> str:
    """Identifies the student's rule: the hash of all that stands between the marks. Raises InputError without marks."""
    parts = re.split(rb"^# (?:>>>|<<<) yours to edit\r?\n", read_bytes(path), flags=re.MULTILINE)
    if len(parts) != 3:
        raise InputError(path, "the two marks around the part that is yours are gone")
    return sha256(parts[1].replace(b"\r\n", b"\n"))


def check_seal(root: Path = ROOT) -> SealState:
    """Compare the core with its seal. Raises InputError if there is no seal to read."""
    path = root / "course" / "seal.json"
    sealed, found = read_json(path), core_hashes(root)
    if not isinstance(sealed, dict):
        raise InputError(path, "not a seal")
    now = {name: value for name, value in found.items() if name in sealed or name.startswith("course/")}
    broken = [
        f"{name}: {'removed' if name not in now else 'added' if name not in sealed else 'changed'}"
        for name in sorted(sealed.keys() | now.keys())
        if sealed.get(name) != now.get(name)
    ]
    return SealState(not broken, sha256(to_pretty_json(now)), broken)


def core_state() -> dict[str, Any]:
    """The state of the seal, as a manifest holds it."""
    state = check_seal()
    return {"sealed": state.whole, "sha256": state.core_sha256, "broken": state.broken}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m course.seal", description="Check the seal on the course's core.")
    parser.add_argument("--renew", action="store_true", help="for teachers: seal the core as it stands now")
    args = parser.parse_args()
    out = console()
    if args.renew:
        hashes = core_hashes()
        write_whole(SEAL, to_pretty_json(hashes))
        out.print(f"sealed {len(hashes)} files in {SEAL.relative_to(ROOT)}")
        return DONE
    state = check_seal()
    if state.whole:
        out.print("the seal is whole: the core is as the course shipped it")
        return DONE
    out.print("the seal is broken:")
    for line in state.broken:
        out.print(f"  {line}")
    out.print(
        "Nothing bad has happened: trying things out is a good way to read. But runs made now say that the seal was\n"
        "broken, and are not compared with sealed ones. To go back: git checkout -- course data\n"
        "Yours, and never sealed: notes/, tests/test_rubric.py, and pick_best between its marks in selection_demo.py."
    )
    return FOUND


if __name__ == "__main__":
    run_command(main)
