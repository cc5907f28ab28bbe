"""What several tests need: a command run in this process, and small files to run it on."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from course.core.command_line import run_command
from course.core.datasets import load_dataset
from course.core.manifest import Manifest, manifest_file, sealed_bytes

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one test on each core: PyTorch need not take them all

ROOT = Path(__file__).resolve().parents[1]
DEV = ROOT / "data" / "datasets" / "math_dev.jsonl"
ROLLOUTS = ROOT / "data" / "rollouts" / "frozen_rollouts_dev.jsonl"
HOLDOUT = ROOT / "data" / "datasets" / "math_holdout.jsonl"
PACK = ROOT / "data" / "rollouts" / "selection_pack_dev.jsonl"


N = 40  # examples in the room


MAKE_EVAL = (
    "python -m course.eval --dataset data/datasets/math_dev.jsonl --completions data/rollouts/frozen_rollouts_dev.jsonl"
)
BLOCK = re.compile(r"^```bash\n(.*?)^```\n(?:\n?^```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)


def blocks_of(document: str) -> list[tuple[list[str], list[str]]]:
    """Every bash block of a document: its lines, and those of the output that is shown right below it."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [(lines.splitlines(), shown.splitlines()) for lines, shown in BLOCK.findall(text)]


def commands_of(document: str) -> list[str]:
    """Every line of every bash block."""
    return [line for lines, _ in blocks_of(document) for line in lines]


def copy_repository(folder: Path) -> Path:
    """The repository as a reader has it, copied: its tracked files, and nothing of what was run."""
    for name in filter(None, git("ls-files").split("\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


YOURS = ("notes", "tests/test_rubric.py", "course/selection_demo.py")


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def shipped() -> None:
    """For tests of the templates: skipped where a student has begun to fill them in, and never in CI."""
    sealed = git("log", "--format=%H", "-1", "--", "course/seal.json").strip()
    begun = subprocess.run(["git", "diff", "--quiet", sealed, "--", *YOURS], cwd=ROOT, check=False).returncode
    if begun and not os.environ.get("CI"):
        pytest.skip("the student's places are not as they were shipped: the course has begun")


def type_in(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Type a line of a document into a shell of the project's environment."""
    line = MAKE_EVAL if line == "make eval" else line
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A command that ends gives signals back to the system; pytest goes on, and wants its own."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `python -m MODULE WORD…` in this process, through the same door as the real command."""

    def run(module: str, *words: object) -> Done:
        monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run_command(import_module(module).main)
        captured = capsys.readouterr()
        return Done(int(end.value.code or 0), captured.out, captured.err)

    return run


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def forged(manifest: dict[str, Any]) -> bytes:
    """A manifest, written and sealed as the course writes it; as it stands, where the course would not take it."""
    body = {name: value for name, value in manifest.items() if name != "seal"}
    try:
        return manifest_file(msgspec.convert(body, Manifest))
    except ValueError:
        return sealed_bytes(body)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four small examples."""
    rows = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(4)]
    return write_rows(tmp_path / "set_dev.jsonl", rows)


@pytest.fixture
def completions(tmp_path: Path) -> Path:
    """One completion for each of the four: right, wrong, without prefix, with a newline after."""
    texts = ["Final: 1", "Final: 7", "The answer is 3.", "Final: 4\nDone."]
    return write_rows(tmp_path / "said.jsonl", [{"id": f"x{n}", "completion": text} for n, text in enumerate(texts)])


@pytest.fixture
def evaluate(command: Command, dataset: Path, completions: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a run of the small files (or of others) and return its folder."""

    def run(*words: object, data: Path = dataset, said: Path = completions) -> Path:
        runs = tmp_path / "runs"
        done = command("course.eval", "--dataset", data, "--completions", said, "--runs-dir", runs, *words)
        assert done.code == 0, done.err
        return sorted(runs.glob("run_*"))[-1]

    return run


@pytest.fixture
def room(tmp_path: Path) -> Path:
    rows = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(N)]
    return write_rows(tmp_path / "room_dev.jsonl", rows)


@pytest.fixture
def measured(evaluate: Callable[..., Path], room: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a run in the room: which examples pass, how it was sampled, and what was declared."""

    def run(
        passing: set[int],
        *words: object,
        name: str,
        policy: str | None = "a",
        learned_from: str | None = None,
        view: str | None = None,
        samples: int = 1,
        **how: Any,
    ) -> Path:
        rows = [
            {"id": f"x{n}", "completion": f"Final: {n + 1 if n in passing else -1}", "sample": s}
            for n in range(N)
            for s in range(samples)
        ]
        data, tokenizer = how.pop("data", room), how.pop("tokenizer", "t")
        said = write_rows(tmp_path / f"{name}.jsonl", rows)
        if policy is not None:
            sampling = {
                "temperature": 1.0,
                "top_p": 1.0,
                "max_new_tokens": 16,
                "samples_per_prompt": samples,
                "seed": 0,
            }
            sidecar = {
                "policy": policy,
                "policy_sha256": hashlib.sha256(policy.encode()).hexdigest(),
                "learned_from": learned_from and hashlib.sha256(learned_from.encode()).hexdigest(),
                "tokenizer_sha256": tokenizer,
                "sampling": {**sampling, **how},
                "prompts_sha256": load_dataset(data).prompts_sha256,
                "completions_sha256": hashlib.sha256(said.read_bytes()).hexdigest(),
                "command": "a test",
                "created": "now",
                "view": view,
            }
            said.with_name(f"{name}.meta.json").write_text(json.dumps(sidecar))
        return evaluate(*words, data=data, said=said)

    return run


@pytest.fixture
def small_sets(tmp_path: Path) -> tuple[object, ...]:
    """Options that put a few dev and holdout problems for all of them, so that a run takes seconds."""
    words: list[object] = []
    for split in ("dev", "holdout"):
        rows = (ROOT / "data" / "datasets" / f"math_{split}.jsonl").read_text(encoding="utf-8").splitlines()[:60]
        words += [f"--{split}", write_rows(tmp_path / f"few_{split}.jsonl", [json.loads(row) for row in rows])]
    return tuple(words)


@pytest.fixture
def core_copy(tmp_path: Path) -> Path:
    """A copy of the core that a test may spoil."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "course", root / "course", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data", root / "data")
    return root
