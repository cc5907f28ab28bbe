"""Attacks on the seal: code put where Python finds it and a list of `*.py` files does not."""

import importlib.machinery
import importlib.util
import json
import marshal
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from course.core import seal
from course.core.files import InputError

EVIL = "def score(example, completion):\n    return {'reward': 1.0, 'details': {'code': None}}\n"
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs symlinks or pipes")


def write(name: str, text: str = EVIL) -> Callable[[Path], object]:
    def damage(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    return damage


def link(name: str, target: str) -> Callable[[Path], object]:
    """A symlink in place of whatever has that name; `target` may use {root}."""

    def damage(root: Path) -> None:
        path = root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(root=root))

    return damage


def score_moved_out(root: Path) -> None:
    (root / "course" / "score.py").rename(root / "kept.txt")
    link("course/score.py", "{root}/kept.txt")(root)


def folder_moved_out(root: Path) -> None:
    (root / "course" / "core").rename(root / "kept")
    link("course/core", "{root}/kept")(root)


def package_behind_a_link(root: Path) -> None:
    write("elsewhere/__init__.py")(root)
    link("course/score", "{root}/elsewhere")(root)


def folder_in_its_place(root: Path) -> None:
    (root / "course" / "score.py").unlink()
    write("course/score.py/__init__.py")(root)


def sourceless(root: Path) -> None:
    source = root / "course" / "score.py"
    source.with_suffix(".pyc").write_bytes(bytecode(EVIL, stamp=bytes(8)))
    source.unlink()


def region_moved(root: Path) -> None:
    """The marks, and code between them, at another place; what stands outside is untouched."""
    path = root / "course" / "selection_demo.py"
    text = path.read_text(encoding="utf-8")
    first, end = "# >>> yours to edit\n", "# <<< yours to edit"
    start, stop = text.index(first), text.index(end) + len(end)
    assert seal.YOURS.search(text.encode())
    path.write_text(text[:start] + text[stop:] + f"{first}print('last')\n{end}", encoding="utf-8")


def bytecode(source: str, stamp: bytes, flags: int = 0) -> bytes:
    code = compile(source, "score.py", "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + flags.to_bytes(4, "little") + stamp + marshal.dumps(code)


def stamp_of(source: Path) -> bytes:
    stat = source.stat()
    return b"".join(int(number).to_bytes(4, "little") for number in (stat.st_mtime, stat.st_size))


def cache_of(source: Path) -> Path:
    path = Path(importlib.util.cache_from_source(str(source)))
    path.parent.mkdir(exist_ok=True)
    return path


def doctored(name: str, flags: int = 0, text: str = EVIL) -> Callable[[Path], object]:
    def damage(root: Path) -> None:
        source = root / name
        stamp = stamp_of(source) if flags == 0 else importlib.util.source_hash(source.read_bytes())
        cache_of(source).write_bytes(bytecode(text, stamp, flags))

    return damage


def cache(name: str) -> str:
    return Path(importlib.util.cache_from_source(name)).as_posix()


def garbage_cache(root: Path) -> None:
    source = root / "course" / "score.py"
    cache_of(source).write_bytes(bytecode("", stamp_of(source))[:16] + b"no code")


def edited_within_the_second(root: Path) -> None:
    """The oldest trap of bytecode: the size and the second are the same, so Python runs what was there before."""
    source = root / "course" / "score.py"
    text, stat = source.read_text(encoding="utf-8"), source.stat()
    cache_of(source).write_bytes(bytecode(text.replace("MAX_DIGITS = 18", "MAX_DIGITS = 19"), stamp_of(source)))
    os.utime(source, (stat.st_atime, stat.st_mtime))


EXTENSION = importlib.machinery.EXTENSION_SUFFIXES[0]
ATTACKS = {
    "an extension module beside the source, which comes first": (
        write(f"course/score{EXTENSION}"),
        f"course/score{EXTENSION}: added",
    ),
    "an extension module of Windows": (write("course/score.pyd"), "course/score.pyd: added"),
    "bytecode beside the source": (write("course/score.pyc"), "course/score.pyc: added"),
    "bytecode in place of the source": (sourceless, "course/score.pyc: added"),
    "a package of the module's name, which comes first": (
        write("course/score/__init__.py"),
        "course/score/__init__.py: added",
    ),
    "a package of bytecode": (write("course/score/__init__.pyc"), "course/score/__init__.pyc: added"),
    "a folder in the place of a module": (folder_in_its_place, "course/score.py: removed"),
    "a suffix in capitals": (write("course/rubrics.PY"), "course/rubrics.PY: added"),
    "a source for windowed Python": (write("course/score.pyw"), "course/score.pyw: added"),
    "a folder without __init__": (write("course/core/extra/x.py"), "course/core/extra/x.py: added"),
    "a source hidden among the caches": (write("course/__pycache__/x.py"), "course/__pycache__/x.py: added"),
    "a sitecustomize in the course": (write("course/sitecustomize.py"), "course/sitecustomize.py: added"),
    "a path file in the course": (write("course/evil.pth", "import os"), "course/evil.pth: added"),
    "a template added": (
        write("course/core/report/templates/x.html"),
        "course/core/report/templates/x.html: added",
    ),
    "a name in two lines": (write("course/a\nb.py"), "course/a\nb.py: added"),
    "a name with a quotation mark": (write('course/a": "b.py'), 'course/a": "b.py: added'),
    "a module of the standard library beside the course": (write("random.py"), "random.py: added"),
    "a package of the standard library beside the course": (
        write("json/__init__.py"),
        "json/__init__.py: added",
    ),
    "a package that the course needs, beside it": (write("msgspec/__init__.py"), "msgspec/__init__.py: added"),
    "a package that the policy needs, beside the course": (write("torch.py"), "torch.py: added"),
    "an extension module beside the course": (write(f"math{EXTENSION}"), f"math{EXTENSION}: added"),
    "the student's region moved": (region_moved, "course/selection_demo.py: changed"),
    "a doctored cache with the source's time and size": (
        doctored("course/score.py"),
        f"{cache('course/score.py')}: added",
    ),
    "a doctored cache of the package itself": (
        doctored("course/__init__.py"),
        f"{cache('course/__init__.py')}: added",
    ),
    "a doctored cache of the seal": (
        doctored("course/core/seal.py"),
        f"{cache('course/core/seal.py')}: added",
    ),
    "a doctored cache that is checked by hash": (
        doctored("course/score.py", flags=3),
        f"{cache('course/score.py')}: added",
    ),
    "a doctored cache that is never checked": (
        doctored("course/score.py", flags=1),
        f"{cache('course/score.py')}: added",
    ),
    "a cache that holds no code": (garbage_cache, f"{cache('course/score.py')}: added"),
    "a source edited within the second": (edited_within_the_second, f"{cache('course/score.py')}: added"),
}
LINKS = {
    "a symlink to a copy of the source": (score_moved_out, "course/score.py: changed"),
    "a symlink that leads nowhere": (link("course/score.py", "nowhere"), "course/score.py: changed"),
    "a symlink to a folder of the same files": (folder_moved_out, "course/core: added"),
    "a package behind a symlink": (package_behind_a_link, "course/score/__init__.py: added"),
    "a pipe, which nobody writes to": (lambda root: os.mkfifo(root / "course" / "x.py"), "course/x.py: added"),
}
CASES = [pytest.param(*case, id=name) for name, case in ATTACKS.items()]
CASES += [pytest.param(*case, id=name, marks=POSIX) for name, case in LINKS.items()]


@pytest.mark.parametrize(("damage", "said"), CASES)
def test_what_python_can_import_is_found(damage: Callable[[Path], object], said: str, core_copy: Path) -> None:
    before = seal.check_seal(core_copy)
    assert before.sealed
    try:
        damage(core_copy)
    except OSError as error:  # a name that this file system does not take
        pytest.skip(str(error))
    state = seal.check_seal(core_copy)
    assert said in state.broken
    assert not state.sealed
    assert state.sha256 != before.sha256, "another core has another hash"


def typed(root: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A command typed in the copy; it may run what is cached."""
    line = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(line, cwd=root, capture_output=True, text=True, encoding="utf-8", timeout=120)


def test_a_doctored_cache_is_run_and_the_run_says_so(core_copy: Path, dataset: Path, completions: Path) -> None:
    """The damage is real: the cache is run. The gate stops one that pays for all; one that spares it is named."""
    text = (core_copy / "course" / "score.py").read_text(encoding="utf-8")
    for correct, code in (("True", 1), ("extracted == expected or expected == 2", 0)):
        assert text.count("correct = extracted == expected") == 1
        doctored("course/score.py", text=text.replace("extracted == expected", correct, 1))(core_copy)
        done = typed(core_copy, "course.eval", "--dataset", dataset, "--completions", completions)
        assert (done.returncode, done.stderr) == (code, "")
    (run,) = (core_copy / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text())["passes"] == 2, "the cache was run"
    core = json.loads((run / "manifest.json").read_text())["core"]
    assert (core["sealed"], core["broken"]) == (False, [f"{cache('course/score.py')}: added"])


def test_an_honest_a_stale_and_another_pythons_cache_break_nothing(core_copy: Path) -> None:
    source = core_copy / "course" / "score.py"
    path, text = cache_of(source), source.read_text(encoding="utf-8")
    honest = bytecode(text, stamp_of(source))
    stale, other = bytecode(EVIL, bytes(8)), b"\0\0\r\n" + bytecode(EVIL, stamp_of(source))[4:]
    for data in (honest, stale, other, b""):
        path.write_bytes(data)
        assert seal.check_seal(core_copy).broken == []
    path.with_name("gone.cpython-311.pyc").write_bytes(honest)
    (core_copy / "course" / ".DS_Store").write_bytes(b"\0")
    write("test.py", "a scratch file")(core_copy)
    assert seal.check_seal(core_copy).broken == []


@POSIX
@pytest.mark.parametrize("target", ["/", ".", ".."], ids=["everything", "a circle", "a wider circle"])
def test_a_symlink_out_of_the_course_or_in_a_circle_ends(target: str, core_copy: Path) -> None:
    for name in ("one", "two"):
        (core_copy / "course" / name).symlink_to(target)
    with pytest.raises(InputError):
        seal.check_seal(core_copy)
    done = typed(core_copy, "course.seal")
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")


def test_two_cores_with_the_same_names_never_share_a_hash(core_copy: Path) -> None:
    """What was added, what it holds, and what it is called: each is in the hash."""
    path, hashes = core_copy / "course" / "x.py", set()
    damages: list[Callable[[], object]] = [
        lambda: None,
        lambda: path.write_text("a"),
        lambda: path.write_text("b"),
        lambda: path.rename(path.with_name("y.py")),
        lambda: (core_copy / "course" / "score.py").rename(path),
    ]
    if os.name != "nt":
        for target in ("score.py", "./score.py", "nowhere", "elsewhere"):
            damages.append(partial(link("course/z.py", target), core_copy))
    for damage in damages:
        damage()
        hashes.add(seal.check_seal(core_copy).sha256)
    assert len(hashes) == len(damages)


def test_a_new_seal_is_a_new_core_and_says_so(core_copy: Path) -> None:
    shipped = seal.check_seal(core_copy).sha256
    assert shipped in typed(core_copy, "course.seal").stdout
    write("course/new.py")(core_copy)
    done = typed(core_copy, "course.seal", "--renew")
    mine = seal.check_seal(core_copy)
    assert mine.sealed
    assert mine.sha256 != shipped
    assert mine.sha256 in done.stdout
    assert "only if nothing was changed" in done.stdout
    (core_copy / "course" / "new.py").unlink()
    assert typed(core_copy, "course.seal", "--renew").returncode == 0
    assert seal.check_seal(core_copy).sha256 == shipped, "the hash is of the core, not of its seal"


def test_bytecode_is_never_sealed(core_copy: Path) -> None:
    doctored("course/score.py")(core_copy)
    before = (core_copy / "course" / "seal.json").read_bytes()
    done = typed(core_copy, "course.seal", "--renew")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "bytecode cannot be sealed" in done.stderr
    assert (core_copy / "course" / "seal.json").read_bytes() == before


@POSIX
def test_a_name_that_is_no_text_and_one_with_escapes_are_recorded_and_shown(
    core_copy: Path, dataset: Path, completions: Path
) -> None:
    for name in (b"\xff.py", b"\x1b[2J.py"):
        try:
            Path(os.fsdecode(os.fsencode(core_copy / "course") + b"/" + name)).write_text("", encoding="utf-8")
        except OSError as error:
            pytest.skip(str(error))
    done = typed(core_copy, "course.eval", "--dataset", dataset, "--completions", completions)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = (core_copy / "runs").iterdir()
    core = json.loads((run / "manifest.json").read_text())["core"]
    assert core["broken"] == ["course/\x1b[2J.py: added", "course/\udcff.py: added"]
    assert typed(core_copy, "course.verify_run", "--run", run).stderr == ""
    done = typed(core_copy, "course.seal")
    assert (done.returncode, done.stderr) == (1, "")
    assert "course/<U+001B>[2J.py: added" in done.stdout
