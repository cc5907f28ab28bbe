"""What the tests of `transfer.ask` share: the command as a user types it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / "data" / "datasets" / "math_dev.jsonl"
KEY = "sk-test-0123456789abcdef"


def words_of(out: Path, url: str, *more: object, dataset: Path = DEV) -> list[str]:
    """The command that asks an endpoint, each word a string."""
    fixed = ["--dataset", dataset, "--out", out, "--base-url", url, "--model", "m", "--max-new-tokens", 16]
    return [sys.executable, "-m", "transfer.ask", *map(str, (*fixed, *more))]


def environment() -> dict[str, str]:
    """The project's root on the path, a key, no hub."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def start(words: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Exit code, output, error output."""
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


def typed(words: list[str]) -> tuple[int, str, str]:
    return finish(start(words))


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def few(folder: Path, many: int) -> Path:
    """The first examples of the dev split."""
    path = folder / "few_dev.jsonl"
    path.write_bytes(b"".join(DEV.read_bytes().splitlines(keepends=True)[:many]))
    return path
