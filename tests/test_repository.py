"""The repository as its readers meet it: every command in every document, the tree, the imports, the pins."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from course.grading.milestones import MILESTONES
from tests.conftest import MAKE_EVAL, ROOT, commands_of, copy_repository, type_in

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the documents' commands are typed into bash here")

# The pages of the course are walked in tests/test_course.py, in their order and with their answers handed in.
WALKED = {"docs/README.md", "docs/storyline.md", *(milestone.page for milestone in MILESTONES)}
REFERENCE = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in WALKED)
DOCUMENTS = ("README.md", "MEASUREMENT_RULES.md", "CONTRIBUTING.md", *REFERENCE)
# Typed in a terminal, or tried by hand at a release: they install, or run what runs already.
NOT_RUN = {"make test", "make check", "make bench", "make seal", ". .venv/bin/activate"}

PLUMBING = {"files", "terminal"}
LEAVES = {"score", "stats", "runs", "datasets", "rubrics", "pictures"}
SHARED = {"measurement", "golden", "seal", "bandit", "exercises", "locked_room", "page", "seen"}


def course_files() -> list[Path]:
    return sorted((ROOT / "course").rglob("*.py"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy_repository(tmp_path)


def test_every_command_of_the_documents_runs_in_their_order(clone: Path) -> None:
    typed = []
    for document in DOCUMENTS:
        shutil.rmtree(clone / "runs", ignore_errors=True)  # each page is read from the first run on
        for line in ["make eval", *commands_of(document)]:
            if line in NOT_RUN or (line == "make eval" and (clone / "runs").exists()):
                continue
            done = type_in(clone, line)
            assert done.returncode == 0, f"{document}: {line}\n{done.stdout}{done.stderr}"
            typed.append(line)
    assert len(typed) >= 15


def test_the_commands_of_the_brief_are_those_of_make(clone: Path) -> None:
    done = type_in(clone, "make --dry-run eval test check bench seal")
    assert done.returncode == 0, done.stderr
    recipes = done.stdout.replace(".venv/bin/", "")
    for recipe in (
        MAKE_EVAL,
        "python -m pytest",
        "ruff check",
        "mypy",
        "python -m bench.scoring",
        "python -m course.seal --renew",
    ):
        assert recipe in recipes
    assert "course.policy" not in recipes.split("pip install")[1], "make eval needs no torch"


def test_the_readme_prints_what_the_command_prints(clone: Path) -> None:
    shown = re.search(r"^```text\n(Loop A.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert shown is not None

    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in text.strip().splitlines()]

    assert lines(shown[1]) == lines(type_in(clone, "make eval").stdout)


def test_what_the_commands_say_to_type_next_can_be_typed(clone: Path) -> None:
    """Follow the trail of `Next:` lines from the first evaluation."""
    line, trail = "make eval", []
    while line and line not in trail:
        trail.append(line)
        done = type_in(clone, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        following = re.search(r"^Next: (python .*?)(?:   .*)?$", done.stdout, re.MULTILINE)
        line = following[1] if following else ""
    assert len(trail) >= 3


def test_loop_a_needs_no_torch(clone: Path) -> None:
    """With torch, safetensors and transformers out of reach, everything but the policy still runs."""
    (clone / "block").mkdir()
    (clone / "block" / "sitecustomize.py").write_text(
        "import sys, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'safetensors', 'transformers', 'scipy'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name in ('torch', 'safetensors') else real(name)\n"
    )
    for line in (
        MAKE_EVAL,
        "python -m course.verify_run --run runs/run_001",
        "python -m course.compare runs/run_001 runs/run_001",
    ):
        done = type_in(clone, f"PYTHONPATH=block {line}")
        assert done.returncode == 0, done.stderr
    done = type_in(clone, "PYTHONPATH=block python -m course.policy.sample")
    assert done.returncode == 2
    assert done.stderr.startswith("error: torch, safetensors not found, which the real policy needs. Install: ")
    assert done.stderr.count("\n") == 1


def test_outside_the_environment_one_line_says_what_to_do(clone: Path) -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); import course"],
                          cwd=clone, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    assert "Activate the environment first" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_who_leaves_early_is_no_failure(clone: Path) -> None:
    type_in(clone, "make eval")
    done = type_in(clone, "python -m course.inspect_run --run runs/run_001 --top-k 200 | true; echo ${PIPESTATUS[0]}")
    assert done.stdout == "0\n"
    assert done.stderr == ""


def test_no_color_and_pipes_are_plain(clone: Path) -> None:
    assert "\x1b" not in type_in(clone, "make eval").stdout
    assert "\x1b" not in type_in(clone, "NO_COLOR=1 python -m course.inspect_run").stdout


def test_the_readme_names_every_module() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## What is where")[1]
    for path in (ROOT / "course").iterdir():
        if path.name.startswith("_") or path.suffix == ".json":
            continue
        assert path.name in tree, f"{path.name} is not in the README's tree"


def test_links_in_documents_lead_somewhere() -> None:
    for document in every_document():
        for target, _, heading in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", document.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            there = document.parent / target if target else document
            assert there.exists(), f"{document.name}: {target}"
            assert not heading or heading in anchors(there), f"{document.name}: {target}#{heading}"


def test_commands_that_are_only_mentioned_exist_with_their_options() -> None:
    """Those in blocks are run; those in a sentence must at least be typed as they are meant."""
    shared = ("runs.py", "bandit.py", "policy/lab.py")
    known = "".join((ROOT / "course" / name).read_text(encoding="utf-8") for name in shared)
    mentioned = 0
    for document in every_document():
        text = " ".join(re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S).split())
        for command in re.findall(r"`((?:python -m )?course\.[^`]+)`", text):
            words = command.removeprefix("python -m ").split()
            if not words[0].replace(".", "").isidentifier():
                continue  # `course.policy.…`
            path = ROOT / f"{words[0].replace('.', '/')}.py"
            if not path.is_file() and not command.startswith("python"):
                continue  # a function, `course.score.CODES` say
            assert path.is_file() or words[0] == "course", f"{document.name}: {command}"
            source = known + (path.read_text(encoding="utf-8") if path.is_file() else "")
            for option in (word for word in words if word.startswith("--")):
                assert f'"{option}"' in source or option == "--help", f"{document.name}: {command}"
            mentioned += 1
    assert mentioned > 100


def every_document() -> list[Path]:
    folders = (ROOT, ROOT / "docs", ROOT / "teacher", ROOT / "data")
    return [path for folder in folders for path in sorted(folder.glob("*.md"))] + [ROOT / "notes" / "README.md"]


def anchors(document: Path) -> set[str]:
    """What the headings of a page are called in a link."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def ours(path: Path) -> set[str]:
    """The modules of the course that a file imports, by their first name below `course`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "course":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("course.")}
    return found


def test_imports_run_one_way() -> None:
    for path in course_files():
        place = path.relative_to(ROOT / "course")
        room = place.parts[0].removesuffix(".py")
        imported = ours(path) - {room}
        if room == "files" or room == "score" or room == "stats":
            assert imported == set(), place
        elif place.name in ("generate.py", "describe.py"):
            assert imported <= PLUMBING, f"{place}: a command that lies with the data sets"
        elif room == "terminal" or room in LEAVES:
            assert imported <= {"files"}, place
        elif room in SHARED:
            assert imported <= PLUMBING | LEAVES | SHARED, place
        else:
            lazily = {"policy"} if room == "token_inspect" else set()  # inside a function, where PyTorch is there
            assert imported <= PLUMBING | LEAVES | SHARED | lazily, f"{place}: commands do not import each other"


def test_only_the_policy_imports_torch() -> None:
    for path in course_files():
        if "policy" in path.relative_to(ROOT / "course").parts:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (torch|safetensors|transformers)", text, re.MULTILINE), path


def test_every_module_says_what_it_is_and_every_public_function_too() -> None:
    for path in course_files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_requirement_is_pinned_to_a_version_it_admits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {name.lower(): version for name, _, version in (line.partition("==") for line in lines if "==" in line)}
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["policy"] + extras["dev"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text
    assert pins["torch"] == "2.13.0"


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in commands_of("README.md")
    assert "\nmake test\nmake check\n" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
