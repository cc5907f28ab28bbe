"""The seal on the core: hashes of what students read but do not edit. The command is `course.seal`."""

import re
from pathlib import Path

from course.core.files import InputError, read_bytes, read_json, sha256, to_pretty_json
from course.core.manifest import CoreRecord
from course.core.paths import ROOT

SEALED = (
    "course/**/*.py",
    "course/core/report/templates/*",
    "data/**/*.json",
    "data/**/*.jsonl",
    "data/**/*.safetensors",
)
YOURS = re.compile(rb"^# >>> yours to edit\r?\n.*?^# <<< yours to edit\r?$", re.DOTALL | re.MULTILINE)
HAS_A_REGION = "course/selection_demo.py"  # nowhere else is a mark a mark


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


def check_seal(root: Path = ROOT) -> CoreRecord:
    """The core held against its seal, as a manifest records it. Raises InputError if there is no seal to read."""
    sealed: dict[str, str] = read_json(root / "course" / "seal.json", dict[str, str])
    hashes = core_hashes(root).items()
    now = {name: value for name, value in hashes if name in sealed or name.startswith("course/")}
    broken = [
        f"{name}: {'removed' if name not in now else 'added' if name not in sealed else 'changed'}"
        for name in sorted(sealed.keys() | now.keys())
        if sealed.get(name) != now.get(name)
    ]
    return CoreRecord(sealed=not broken, sha256=sha256(to_pretty_json(now)), broken=broken)
