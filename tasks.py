"""Set up and run, on any system: `python tasks.py eval` measures π0, `python tasks.py test` runs the tests.

Makes .venv, installs the pinned packages where they have changed, and runs. Needs Python 3.11, and no package.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PINS = ("pyproject.toml", "constraints.txt")
# What is installed, by the name of its stamp in .venv.
EXTRAS = {"core": ".", "all": ".[policy,dev]", "explore": ".[policy,explore]", "rooms": ".[policy,explore,dev]"}

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
    "seal": ("core", "for teachers: seal the core as it stands", ["course.seal --renew"]),
}


def run(*words: object) -> None:
    """Run a command in the project's folder; where it fails, end with its exit code."""
    code = subprocess.call([str(word) for word in words], cwd=ROOT)
    if code:
        sys.exit(code)


def is_fresh(stamp: Path) -> bool:
    """Whether what a stamp stands for was installed after the last change of the pins."""
    return stamp.exists() and all(stamp.stat().st_mtime >= (ROOT / name).stat().st_mtime for name in PINS)


def install(needed: str) -> None:
    """Make the environment and install, unless it is there as it should be."""
    stamps = [VENV / f".{name}" for name in EXTRAS if needed in ("core", name)]  # "all" holds the core
    if any(is_fresh(stamp) for stamp in stamps):
        return
    if not PYTHON.exists() or subprocess.call([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL):
        run(sys.executable, "-m", "venv", VENV)
    print("Setting up .venv and installing; the first time that takes a minute or more.", flush=True)
    quiet = ("--quiet", "--disable-pip-version-check")
    run(PYTHON, "-m", "pip", "install", *quiet, "--constraint", "constraints.txt", "--editable", EXTRAS[needed])
    (VENV / f".{needed}").touch()


def main(words: list[str]) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (any Python may be asked to run this)
        sys.exit("Python 3.11 or newer is needed: python3.11 tasks.py eval, or make eval PYTHON=python3.11")
    if not words or words[0] not in TASKS:
        sys.exit("\n".join(["python tasks.py TASK", *(f"  {name:6} {TASKS[name][1]}" for name in TASKS)]))
    needed, _, commands = TASKS[words[0]]
    install(needed)
    for command in commands:  # further words go to a task's only command: python tasks.py test -k golden
        run(PYTHON, "-m", *command.split(), *(words[1:] if len(commands) == 1 else ()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
