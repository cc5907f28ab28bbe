"""The repository as its readers meet it: every command in every document, the house and its tree, the pins."""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tasks
from tests.conftest import MAKE_EVAL, ROOT, Command, commands_of, copy_repository, git, type_in

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the documents' commands are typed into bash here")

# The pages of the course are walked in tests/test_course.py, in their order and with their answers handed in.
PAGES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
IN_ORDER = ("README.md", "storyline.md")
REFERENCE = [
    f"docs/{path.name}" for path, text in PAGES.items() if path.name not in IN_ORDER and "## Deliverables" not in text
]
REFERENCE.remove("docs/transfer.md")  # which needs the packages of transfer/, and is typed in its tests
# Typed in a terminal, or tried by hand at a release: they install, or run what runs already.
NOT_RUN = re.compile(r"make (?!eval)|python tasks\.py|poetry |\. \.venv/bin/activate")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return copy_repository(tmp_path)


def walk(clone: Path, document: str) -> int:
    """Type every command of a document, from an empty runs folder on. Returns how many there were."""
    typed = 0
    for line in ["make eval", *commands_of(document)]:
        if NOT_RUN.match(line) or (line == "make eval" and typed):
            continue
        done = type_in(clone, line)
        assert done.returncode == 0, f"{document}: {line}\n{done.stdout}{done.stderr}"
        typed += 1
    return typed


def test_every_command_of_the_readme_runs_in_its_order(clone: Path) -> None:
    assert walk(clone, "README.md") >= 15


@pytest.mark.prove
@pytest.mark.parametrize("document", ["MEASUREMENT_RULES.md", "CONTRIBUTING.md", *REFERENCE])
def test_every_command_of_the_other_documents_runs_in_their_order(clone: Path, document: str) -> None:
    walk(clone, document)


def test_make_calls_the_tasks_and_the_first_is_the_measurement_of_the_readme(clone: Path) -> None:
    for task in tasks.TASKS:
        done = type_in(clone, f"make --no-print-directory --dry-run {task} PYTHON=python3.12")
        assert done.stdout == f"python3.12 tasks.py {task}\n", done.stderr
    assert [f"python -m {command}" for command in tasks.TASKS["eval"][2]] == [MAKE_EVAL]
    assert tasks.EXTRAS[tasks.TASKS["eval"][0]] == ".", "Loop A needs no torch"
    for task in ("eval", "test", "check", "prove"):
        assert "explore" not in tasks.EXTRAS[tasks.TASKS[task][0]], "only the rooms need marimo"
    assert f"poetry run {MAKE_EVAL}" in commands_of("README.md")


def test_a_task_installs_once_and_again_when_the_pins_change(clone: Path) -> None:
    """The environment's Python is a script here that writes down what it is asked to run."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$*" >> asked.txt\ntest "$2" != mypy\n', encoding="utf-8")
    python.chmod(0o755)

    def asked(line: str) -> list[str]:
        (clone / "asked.txt").unlink(missing_ok=True)
        assert type_in(clone, line).returncode == (line == "python tasks.py check")
        installs = re.compile(r"-m pip install .* --constraint constraints.txt --editable (.*)")
        words = (clone / "asked.txt").read_text(encoding="utf-8").splitlines()
        return [installs.sub(r"install \1", word) for word in words if word != "-c import pip"]

    measure = MAKE_EVAL.removeprefix("python ")
    assert asked("python tasks.py eval") == ["install .", measure]
    assert asked("make eval PYTHON=python") == [measure]
    tested = "-m pytest -n auto --dist worksteal -k golden"
    assert asked("python tasks.py test -k golden") == ["install .[policy,dev]", tested]
    assert asked("make prove") == ["-m pytest -m prove"]
    (clone / ".venv" / ".core").unlink()
    assert asked("python tasks.py eval") == [measure], "who has everything has the core"
    newest = (clone / ".venv" / ".all").stat().st_mtime + 1
    os.utime(clone / "constraints.txt", (newest, newest))
    assert asked("python tasks.py check") == [
        "install .[policy,dev]",
        "-m ruff check",
        "-m ruff format --check",
        "-m mypy",
    ]


def test_the_stacks_of_transfer_have_an_environment_of_their_own(clone: Path) -> None:
    python = clone / ".venv-transfer" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$*" >> asked.txt\n', encoding="utf-8")
    python.chmod(0o755)
    assert type_in(clone, "make transfer PYTHON=python").returncode == 0
    asked = (clone / "asked.txt").read_text(encoding="utf-8")
    lists = sorted((clone / "transfer").glob("requirements-*.txt"))
    assert len(lists) >= 6
    assert all(f"--requirement {path}" in asked for path in lists)
    assert "--constraint transfer/constraints.txt" in asked
    assert asked.endswith("-m pytest transfer\n")
    assert not (clone / ".venv").exists()


def test_a_python_that_is_too_old_and_a_task_that_there_is_not(clone: Path) -> None:
    old = "import runpy, sys; sys.version_info = (3, 10); sys.argv = ['tasks.py', 'eval']"
    done = type_in(clone, f"python -c \"{old}; runpy.run_path('tasks.py', run_name='__main__')\"")
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")
    assert done.stderr.count("\n") == 1
    assert not (clone / ".venv").exists()
    done = type_in(clone, "python tasks.py evaluate")
    assert done.returncode == 1
    assert "  eval     Loop A on the frozen rollouts\n" in done.stderr


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
    """-S leaves the installed packages out of reach: a command says so; the scorer works."""
    done = type_in(clone, "python -S -m course.eval --help")
    assert done.returncode == 2
    assert "Activate the environment first" in done.stderr
    assert done.stderr.count("\n") == 1
    asked = "from course.score import score; print(score({'expected_answer': 8}, 'Final: 8')['reward'])"
    done = type_in(clone, f'python -S -c "{asked}"')
    assert (done.stdout, done.stderr) == ("1.0\n", "")


def test_a_reader_who_leaves_early_is_no_failure(clone: Path) -> None:
    type_in(clone, "make eval")
    done = type_in(clone, "python -m course.inspect_run --run runs/run_001 --top-k 200 | true; echo ${PIPESTATUS[0]}")
    assert done.stdout == "0\n"
    assert done.stderr == ""


def test_no_color_and_pipes_are_plain(clone: Path) -> None:
    assert "\x1b" not in type_in(clone, "make eval").stdout
    assert "\x1b" not in type_in(clone, "NO_COLOR=1 python -m course.inspect_run").stdout


def captions() -> dict[str, str]:
    """README's tree: every path with its caption."""
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## What is where")[1]
    lines = re.findall(r"^( *)(\S+) +(\S.*)$", tree.split("```text\n")[1].split("```")[0], re.MULTILINE)
    assert {indent for indent, _, _ in lines} == {"", "  "}, "two levels, no more"
    return {("course/" if indent else "") + name.rstrip("/"): caption for indent, name, caption in lines}


def test_the_readme_has_a_line_for_each_entry_of_the_first_two_levels() -> None:
    tracked = [Path(name) for name in git("ls-files").splitlines()]
    top = {path.parts[0] for path in tracked if not path.parts[0].startswith(".")}
    course = {f"course/{path.parts[1]}" for path in tracked if path.parts[0] == "course"} - {"course/__init__.py"}
    assert set(captions()) == top | course | {"runs"}


def test_links_in_documents_lead_somewhere() -> None:
    for document in every_document():
        for target, _, heading in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", document.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            there = document.parent / target if target else document
            assert there.exists(), f"{document.name}: {target}"
            assert not heading or heading in anchors(there), f"{document.name}: {target}#{heading}"


def test_commands_that_are_only_mentioned_exist_with_their_options(command: Command) -> None:
    """Those in blocks are run; those in a sentence must at least be typed as they are meant."""
    helps: dict[str, str] = {}
    mentioned = 0
    for document in every_document():
        text = " ".join(re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S).split())
        for words in (line.split() for line in re.findall(r"`((?:python -m )?course\.[^`]+)`", text)):
            typed = words[:2] == ["python", "-m"]
            module, *options = words[2:] if typed else words
            is_command = module in FILES and is_typed(module)
            if not module.replace(".", "").isidentifier() or not (typed or is_command):
                continue  # `course.policy.…`; a function, `course.score.CODES` say
            assert is_command, f"{document.name}: {' '.join(words)}"
            if module not in helps:
                helps[module] = command(module, "--help").out
            for option in (word for word in options if word.startswith("--")):
                assert re.search(rf"{option}\b(?!-)", helps[module]), f"{document.name}: {' '.join(words)}"
            mentioned += 1
    assert mentioned > 100


def every_document() -> list[Path]:
    folders = (ROOT, ROOT / "docs", ROOT / "teacher", ROOT / "data")
    return [path for folder in folders for path in sorted(folder.glob("*.md"))] + [ROOT / "notes" / "README.md"]


def anchors(document: Path) -> set[str]:
    """What the headings of a page are called in a link."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The house. A rule by folder: no module has its name in here.

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "course").rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in FILES.items()}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_COURSE = 300, 50, 14_700  # lines; the last may only shrink
TYPED = ("course", "course/policy", "course/datasets")  # here lies what is typed
Function = ast.FunctionDef | ast.AsyncFunctionDef


def folder_of(module: str) -> str:
    return FILES[module].parent.relative_to(ROOT).as_posix()


def is_typed(module: str) -> bool:
    """Whether a file runs when it is typed: `if __name__ == "__main__"` stands in it."""
    tests = (node.test for node in TREES[module].body if isinstance(node, ast.If))
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)


def is_package(module: str) -> bool:
    return module.endswith(".__init__")


def read_files(folder: str) -> set[str]:
    """What lies among the commands and is no command: it is there to be read, and to be imported."""
    return {m for m in FILES if folder_of(m) == folder and not is_typed(m) and not is_package(m)}


def below(*folders: str) -> set[str]:
    """The modules in some folders, and in the folders in them."""
    return {m for m in FILES if any((folder_of(m) + "/").startswith(folder + "/") for folder in folders)}


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """What a file imports, packages that are not ours included; and whether only when a function is called."""
    lazily = {id(inside) for node in ast.walk(TREES[module]) if isinstance(node, Function) for inside in ast.walk(node)}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: write {ast.unparse(node)} with its package"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in FILES or f"{name}.__init__" in FILES else str(node.module) for name in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            yield f"{name}.__init__" if f"{name}.__init__" in FILES else name, id(node) in lazily


def ours(module: str) -> set[str]:
    """The files of the course that a file imports."""
    return {name for name, _ in imports(module)} & FILES.keys()


def test_what_lies_among_the_commands_is_typed_or_marked_read_and_machinery_is_neither() -> None:
    caption = captions()
    for module in FILES.keys() - {m for m in FILES if is_package(m)}:
        parts = folder_of(module).split("/")
        if is_typed(module):
            # What grading runs beside a student's code has a process of its own, and so a main; a core never has.
            assert folder_of(module) in TYPED or parts[1] == "grading", (
                f"{module} is typed, and lies with the machinery"
            )
        elif folder_of(module) in TYPED:
            path = FILES[module].relative_to(ROOT).as_posix()
            said = caption.get(path) or caption["/".join(path.split("/")[:2])]
            assert re.search(rf"\bREAD\b( {FILES[module].name})?:", said), (
                f"{path} is no command: README's tree marks it READ"
            )
            assert path in caption or FILES[module].name in said, f"README's tree does not name {path}"


def test_imports_run_one_way() -> None:
    read = read_files("course")
    core = below("course/core") | read
    policy_core = below("course/policy/core") | {"course.policy.__init__"}
    wrong = []
    for module in FILES:
        folder = folder_of(module)
        if module in core:
            allowed = core
        elif module in policy_core:
            allowed = core | policy_core
        elif folder.startswith("course/grading"):
            allowed = core | below("course/grading")
        elif folder == "course/ledger":  # it measures what the commands show, by their own functions
            allowed = FILES.keys() - {"course.claims"}
        else:  # a command, or the package of commands
            allowed = {m for m in FILES if folder_of(m) not in TYPED or is_package(m) or not is_typed(m)}
        wrong += [f"{module} imports {name}" for name in sorted(ours(module) - allowed)]
    assert not wrong, "\n".join(wrong)


def test_no_imports_in_a_circle_and_none_of_what_stands_outside() -> None:
    reached = {module: ours(module) for module in FILES}
    for _ in FILES:
        reached = {module: there.union(*(reached[m] for m in there)) for module, there in reached.items()}
    circles = {
        frozenset(m for m in there if module in reached[m]) for module, there in reached.items() if module in there
    }
    assert not circles, [sorted(circle) for circle in circles]
    for module in FILES:
        for name, _ in imports(module):
            assert name.split(".")[0] not in {"explore", "transfer", "tests", "bench", "tasks"}, f"{module}: {name}"


def test_only_the_policy_imports_torch() -> None:
    """Others may ask the policy something inside a function, where PyTorch is there."""
    for module in FILES.keys() - below("course/policy") - {"course.ledger.on_policy"}:
        for name, lazily in imports(module):
            assert name.split(".")[0] not in {"torch", "safetensors", "transformers"}, module
            assert not name.startswith("course.policy") or lazily, f"{module} imports {name} when it is loaded"


def test_every_module_class_and_longer_public_function_says_what_it_is() -> None:
    """Longer: of more than five statements. What options and `main` are, the module says."""
    silent = [module for module, tree in TREES.items() if not ast.get_docstring(tree)]
    for module, tree in TREES.items():
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in (*tree.body, *(method for kind in classes for method in kind.body)):
            if isinstance(node, Function):
                needs = sum(isinstance(inside, ast.stmt) for inside in ast.walk(node)) - 1 > 5
            else:
                needs = isinstance(node, ast.ClassDef)
            if needs and not ast.get_docstring(node):  # type: ignore[arg-type]
                silent.append(f"{module}: {node.name}")  # type: ignore[attr-defined]
    silent = [name for name in silent if not re.search(r": (_.*|\w*Settings|\w*Options|main)$", name)]
    assert not silent, "\n".join(silent)


def test_files_functions_and_the_whole_course_stay_small() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in FILES.items()}
    large = [f"{module}: {many} lines" for module, many in lines.items() if many > LONGEST_FILE]
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function) and (many := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION:
                large.append(f"{module}: {node.name} has {many} lines")
    if sum(lines.values()) > LONGEST_COURSE:
        large.append(f"course/ has {sum(lines.values())} lines")
    assert not large, "\n".join(large)


def test_the_recipe_for_an_experiment_works_as_it_stands(clone: Path) -> None:
    recipe = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## How to add an experiment")[1]
    code = re.search(r"^```python\n(.*?)^```", recipe, re.MULTILINE | re.DOTALL)
    assert code is not None
    named = re.search(r"python -m course\.(\w+)", code[1])
    assert named is not None
    (clone / "course" / f"{named[1]}.py").write_text(code[1], encoding="utf-8")
    lines = (
        f"ruff check course/{named[1]}.py",
        f"ruff format --check course/{named[1]}.py",
        "python -m course.seal --renew",
        f"python -m course.{named[1]} --plot picture.png",
        "python -m course.verify_run --run runs/run_001",
    )
    for line in lines:
        done = type_in(clone, line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert "whole. Every hash fits" in done.stdout
    assert (clone / "picture.png").read_bytes() == (clone / "runs" / "run_001" / f"{named[1]}.png").read_bytes()
    assert type_in(clone, f"python -m course.{named[1]} --measurements 9").returncode == 2


def test_every_requirement_is_pinned_to_a_version_it_admits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {name.lower(): version for name, _, version in (line.partition("==") for line in lines if "==" in line)}
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["policy"] + extras["explore"] + extras["dev"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text
    assert pins["torch"] == "2.13.0"


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in commands_of("README.md")
    assert script.endswith("\nmake test\nmake check\nmake prove\nmake rooms\nmake transfer\n")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"^ +- run: (.*)$", workflow, re.MULTILINE) == commands_of("README.md")[:2]
    assert '["3.11", "3.x"]' in workflow, "the oldest Python and the newest"
