"""Set up and run, on any system: `python tasks.py eval` measures π0, `python tasks.py test` runs the tests.

Makes .venv, installs the pinned packages where they have changed, and runs. Needs Python 3.11, and no package.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# What is installed, by the name of its stamp in the environment.
EXTRAS = {
    "core": ".",
    "all": ".[policy,dev]",
    "explore": ".[policy,explore]",
    "rooms": ".[policy,explore,dev]",
    "transfer": ".[policy,dev]",
}

# By name: what it needs of these, what it is for, what it runs as `python -m …`
TASKS = {
    "eval": (
        "core",
        "Loop A on the frozen rollouts",
        [
            "course.eval --dataset data/datasets/math_dev.jsonl --completions data/rollouts/frozen_rollouts_dev.jsonl",
        ],
    ),
    "test": ("all", "the tests, on all cores", ["pytest -n auto --dist worksteal"]),
    "check": ("all", "style and types", ["ruff check", "ruff format --check", "mypy"]),
    "prove": ("all", "the long tests, which `test` leaves out", ["pytest -m prove"]),
    "bench": ("all", "speed and memory, as ratios within one run", ["bench.scoring", "bench.learning", "bench.report"]),
    "explore": ("explore", "look and play: seven rooms in the browser", ["explore"]),
    "rooms": ("rooms", "the tests of the rooms, in a real browser", ["pytest explore"]),
    "transfer": ("transfer", "the tests of transfer/, in an environment of its own", ["pytest transfer"]),
    "seal": ("core", "for teachers: seal the core as it stands", ["course.seal --renew"]),
}


def run(*words: object) -> None:
    """Run a command in the project's folder; where it fails, end with its exit code."""
    code = subprocess.call([str(word) for word in words], cwd=ROOT)
    if code:
        sys.exit(code)


def install(needed: str) -> Path:
    """Make the environment and install, unless it is there as it should be. Returns its Python."""
    wing = needed == "transfer"  # its stacks pin other versions than the course does
    venv, pins = (ROOT / ".venv-transfer", "transfer/constraints.txt") if wing else (ROOT / ".venv", "constraints.txt")
    lists = sorted(ROOT.glob("transfer/requirements-*.txt")) if wing else []
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamps = [venv / f".{name}" for name in EXTRAS if needed in ("core", name)]  # "all" holds the core
    changed = max(path.stat().st_mtime for path in (ROOT / "pyproject.toml", ROOT / pins, *lists))
    if any(stamp.exists() and stamp.stat().st_mtime >= changed for stamp in stamps):
        return python
    if not python.exists() or subprocess.call([str(python), "-c", "import pip"], stderr=subprocess.DEVNULL):
        run(sys.executable, "-m", "venv", venv)
    print(f"Setting up {venv.name} and installing; the first time that takes a minute or more.", flush=True)
    what = ["--editable", EXTRAS[needed], *(word for path in lists for word in ("--requirement", path))]
    quiet = ("--quiet", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", *quiet, "--constraint", pins, *what)
    (venv / f".{needed}").touch()
    return python


def main(words: list[str]) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (any Python may be asked to run this)
        sys.exit("Python 3.11 or newer is needed: python3.11 tasks.py eval, or make eval PYTHON=python3.11")
    if not words or words[0] not in TASKS:
        sys.exit("\n".join(["python tasks.py TASK", *(f"  {name:8} {TASKS[name][1]}" for name in TASKS)]))
    needed, _, commands = TASKS[words[0]]
    python = install(needed)
    for command in commands:  # further words go to a task's only command: python tasks.py test -k golden
        run(python, "-m", *command.split(), *(words[1:] if len(commands) == 1 else ()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
