"""Options stand in one place, and whatever is wrong with one takes one line and exit code 2."""

import ast
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from course.core.command_line import FROM_CHECKOUT, FoundError, flag, option, parse, run_command
from course.core.files import InputError
from course.core.paths import DEV
from tests.conftest import ROOT, Command


def defines_main(path: Path) -> bool:
    """Is it a command: does the module define `main`?"""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("course", "course/datasets", "course/policy")
    for path in sorted((ROOT / folder).glob("*.py"))
    if defines_main(path)
]


def test_the_commands_were_found() -> None:
    assert {"course.eval", "course.datasets.generate", "course.policy.train"} <= set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS)
def test_an_unknown_option_takes_one_line(module: str, command: Command) -> None:
    if module.startswith("course.policy."):
        pytest.importorskip("torch")
    done = command(module, "--no-such-option")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "usage:" not in done.err
    assert done.out == ""


@dataclass(frozen=True, kw_only=True)
class Base:
    where: Path = option(DEV, "a path")


@dataclass(frozen=True, kw_only=True)
class Settings(Base):
    steps: int = option(40, "how many, 5 % say", at_least=1, at_most=100)
    rate: float = option(0.5, "how fast", above=0)
    kind: str = option("mean", "which", choices=("mean", "none"))
    sizes: tuple[int, ...] = option((1, 2), "some sizes", at_least=1)
    note: str | None = option(None, "a remark")
    slow: bool = option(False, "slowly")
    derived: int = 7

    def check(self) -> None:
        if self.slow and self.steps > 50:
            raise InputError("--slow", "at most 50 steps")


@dataclass(frozen=True, kw_only=True)
class Needed:
    size: int = option(help="a size", at_least=1)
    first: str = option(help="a word", positional=True, metavar="WORD")
    others: tuple[int, ...] = option((), "more", at_least=1, positional=True)


def typed(monkeypatch: pytest.MonkeyPatch, *words: str, target: Any = Settings, **how: Any) -> Any:
    """The settings that a line of words gives."""
    monkeypatch.setattr(sys, "argv", ["course.demo", *words])
    return parse("course.demo", "A demo.", target, **how)


def test_what_is_typed_is_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch) == Settings()
    words = ("--steps", "3", "--rate", "1e-3", "--kind", "none", "--sizes", "4", "5", "--note", "x", "--slow")
    expected = Settings(steps=3, rate=0.001, kind="none", sizes=(4, 5), note="x", slow=True, where=Path("y"))
    assert typed(monkeypatch, *words, "--where", "y") == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--steps", "0"), "--steps: at least 1 and at most 100, not 0"),
        (("--steps", "101"), "--steps: at least 1 and at most 100, not 101"),
        (("--steps", "2.5"), "argument --steps: invalid int value: '2.5'"),
        (("--rate", "0"), "--rate: above 0, not 0.0"),
        (("--rate", "nan"), "--rate: a finite number, not nan"),
        (("--rate", "inf"), "--rate: a finite number, not inf"),
        (("--rate=-inf",), "--rate: a finite number, not -inf"),
        (("--kind", "max"), "--kind: unknown: 'max'; there are mean, none"),
        (("--sizes", "3", "0"), "--sizes: at least 1, not 0"),
        (("--sizes",), "expected at least one argument"),
        (("--slow", "--steps", "60"), "--slow: at most 50 steps"),
        (("--derived", "1"), "unrecognized arguments: --derived"),
        (("word",), "unrecognized arguments: word"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as error:
        typed(monkeypatch, *words)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_bounds_hold_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [typed(monkeypatch, "--steps", n).steps for n in ("1", "100")] == [1, 100]


def test_required_options_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    made = typed(monkeypatch, "a", "4", "5", "--size", "2", target=Needed)
    assert made == Needed(size=2, first="a", others=(4, 5))
    assert typed(monkeypatch, "a", "--size", "2", target=Needed).others == ()
    for words, reason in (
        (("a",), "--size"),
        (("--size", "2"), "WORD"),
        (("a", "--size", "0"), "--size: at least 1"),
        (("a", "4", "0", "--size", "2"), "others: at least 1, not 0"),
    ):
        with pytest.raises(InputError, match=reason):
            typed(monkeypatch, *words, target=Needed)


def test_an_instance_gives_its_values_as_defaults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Settings(steps=9, sizes=(8,), derived=3)
    assert typed(monkeypatch, target=mine) == mine
    assert typed(monkeypatch, "--steps", "10", target=mine) == Settings(steps=10, sizes=(8,), derived=3)
    with pytest.raises(SystemExit):
        typed(monkeypatch, "--help", target=mine)
    assert "default: 9; at least 1 and at most 100" in " ".join(capsys.readouterr().out.split())


def test_a_hidden_field_is_no_option_and_keeps_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, target=Settings(rate=0.25), hide=("rate",)).rate == 0.25
    with pytest.raises(InputError, match="unrecognized arguments: --rate"):
        typed(monkeypatch, "--rate", "1", hide=("rate",))


def test_two_targets_are_read_from_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["course.demo", "word", "--size", "2", "--steps", "3"])
    assert parse("course.demo", "A demo.", Settings, Needed) == (Settings(steps=3), Needed(size=2, first="word"))


def test_help_says_defaults_from_the_checkout_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        typed(monkeypatch, "--help")
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "a path (default: data/datasets/math_dev.jsonl)" in text
    assert "how many, 5 % say (default: 40; at least 1 and at most 100)" in text
    assert "some sizes (default: 1 2; at least 1)" in text
    assert text.index("--steps") < text.index("--where"), "a command's own options stand first"
    assert flag("top_k") == "--top-k"


@pytest.mark.parametrize(
    ("error", "code", "out", "err"),
    [
        (None, 0, "", ""),
        (InputError("x.jsonl", "not\na row", 3), 2, "", "error: x.jsonl, line 3: not a row\n"),
        (FoundError("one", "two"), 1, "one\ntwo\n", ""),
        (KeyboardInterrupt(), 130, "", "stopped by SIGINT: nothing is left half-written\n"),
        (KeyboardInterrupt("kept", "all"), 130, "", "kept\nall\n"),
    ],
)
def test_how_a_command_ends(
    error: BaseException | None, code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        if error:
            raise error

    with pytest.raises(SystemExit) as end:
        run_command(main)
    captured = capsys.readouterr()
    assert (end.value.code, captured.out, captured.err) == (code, out, err)


def test_a_copy_without_the_data_says_so_in_one_line(tmp_path: Path) -> None:
    """As it lies in site-packages when a wheel was installed."""
    shutil.copytree(ROOT / "course", tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__"))
    line = [sys.executable, "-m", "course.eval", "--dataset", str(DEV), "--completions", str(DEV)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}: {FROM_CHECKOUT}\n"
