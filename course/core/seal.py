"""The seal on the core: hashes of what students read but do not edit. The command is `course.seal`.

The core is every file below `course/`, for Python imports more than `*.py`: extension modules, bytecode, a folder in
the place of a module. It is also what lies beside `course/` with the name of a module that the core imports, since
Python finds it first; and cached bytecode that this Python runs in place of a source which says something else. Hidden
files, which no import finds, are no part of it. The seal is asked by code that it covers: it cannot find what replaces
the interpreter, an installed package, or the check itself.
"""

import importlib.util
import inspect
import marshal
import os
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from course.core import PACKAGES
from course.core.files import InputError, read_bytes, read_json, sha256, to_pretty_json
from course.core.manifest import CoreRecord
from course.core.paths import ROOT

SEALED_DATA = ("data/**/*.json", "data/**/*.jsonl", "data/**/*.safetensors", "data/**/*.toml")
YOURS = re.compile(rb"^(# >>> yours to edit\r?\n).*?^(# <<< yours to edit\r?)$", re.DOTALL | re.MULTILINE)
HAS_A_REGION = "course/selection_demo.py"  # nowhere else is a mark a mark
SHADOWED = {*sys.stdlib_module_names, *PACKAGES, "safetensors", "torch"} - {"test"}
MOST_FILES = 1_000  # where there are more, a symlink leads out of course/, or in a circle


def core_files(root: Path) -> Iterator[Path]:
    """Every file of the core but its data, and every symlink to a folder, which is followed."""
    packages = [path for path in root.iterdir() if path.name in SHADOWED and any(path.glob("__init__.*"))]
    yield from (path for path in root.iterdir() if inspect.getmodulename(path.name) in SHADOWED and path.is_file())
    for folder in (root / "course", *packages):
        for here, folders, files in os.walk(folder, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (path for name in folders if (path := Path(here, name)).is_symlink())
            for path in (Path(here, name) for name in files if not name.startswith(".")):
                if path.suffix != ".pyc" or path.parent.name != "__pycache__":
                    yield path
                    yield from lying_cache(path)


def lying_cache(source: Path) -> Iterator[Path]:
    """The cached bytecode that this Python runs in place of a source, if it says something else. Raises InputError."""
    path = Path(importlib.util.cache_from_source(str(source)))
    if source.suffix != ".py" or not (source.is_file() and path.is_file()):
        return
    cached, data = read_bytes(path), read_bytes(source)
    stamp = b"".join((int(n) & 0xFFFFFFFF).to_bytes(4, "little") for n in (source.stat().st_mtime, len(data)))
    if cached[:4] != importlib.util.MAGIC_NUMBER or (cached[4:8] == bytes(4) and cached[8:16] != stamp):
        return  # another Python's, or stale: this one reads the source
    try:
        if marshal.loads(cached[16:]) == compile(data, source, "exec", dont_inherit=True):
            return
    except (EOFError, SyntaxError, TypeError, ValueError):
        pass  # one of the two is no code
    yield path


def sealed_hash(name: str, data: bytes) -> str:
    """The hash of a file, without the region that is the student's."""
    return sha256(YOURS.sub(rb"\1\2", data, count=1) if name == HAS_A_REGION else data)


def core_hashes(root: Path = ROOT) -> dict[str, str]:
    """The hash of every file that could be sealed, and where each symlink leads, by its path. Raises InputError."""

    def is_now(name: str, path: Path) -> str:
        data = sealed_hash(name, read_bytes(path)) if path.is_file() else "not a file"
        return f"symlink to {os.readlink(path)}, {data}" if path.is_symlink() else data

    files = list(islice(core_files(root), MOST_FILES))
    if len(files) == MOST_FILES:
        raise InputError(root / "course", f"{MOST_FILES:,} files or more: a symlink leads out of it, or in a circle")
    data = [path for pattern in SEALED_DATA for path in root.glob(pattern) if path.is_file()]
    names = {(path.relative_to(root) if path.is_relative_to(root) else path).as_posix(): path for path in data + files}
    return {name: is_now(name, names[name]) for name in sorted(names.keys() - {"course/seal.json"})}


def region_sha256(path: Path) -> str:
    """Identifies the student's rule: the hash of all that stands between the marks. Raises InputError without marks."""
    parts = re.split(rb"^# (?:>>>|<<<) yours to edit\r?\n", read_bytes(path), flags=re.MULTILINE)
    if len(parts) != 3:
        raise InputError(path, "the two marks around the part that is yours are gone")
    return sha256(parts[1].replace(b"\r\n", b"\n"))


def check_seal(root: Path = ROOT) -> CoreRecord:
    """The core held against its seal, as a manifest records it. Raises InputError if there is no seal to read."""
    sealed: dict[str, str] = read_json(root / "course" / "seal.json", dict[str, str])
    now = {name: value for name, value in core_hashes(root).items() if name in sealed or name[:5] != "data/"}
    broken = [
        f"{name}: {'removed' if name not in now else 'added' if name not in sealed else 'changed'}"
        for name in sorted(sealed.keys() | now.keys())
        if sealed.get(name) != now.get(name)
    ]
    return CoreRecord(sealed=not broken, sha256=sha256(to_pretty_json(now)), broken=broken)
