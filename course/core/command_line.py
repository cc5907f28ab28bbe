"""The command line: each option stands once, in the dataclass that carries its value; errors take one line.

@dataclass(frozen=True, kw_only=True)
class Settings:
    steps: int = option(40, "updates of the policy", at_least=1)

settings = parse("course.demo", "What the command does.", Settings)
"""

import argparse
import contextlib
import dataclasses
import math
import os
import signal
import sys
import threading
from argparse import SUPPRESS
from collections.abc import Callable, Container, Iterator
from dataclasses import MISSING, dataclass
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, TypeVar, cast, get_args, get_type_hints, overload

from course.core import durable
from course.core.display import console
from course.core.files import InputError, reason_of
from course.core.paths import DATA, ROOT

DONE, FOUND, BAD_INPUT = 0, 1, 2
STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
FROM_CHECKOUT = (
    "the course runs from its checkout, where data/ lies beside course/: clone it and install it there with"
    " `pip install -e .`. (`from course.score import score` works anywhere.)"
)
A = TypeVar("A")
B = TypeVar("B")


class FoundError(Exception):
    """A command found the fault that it looks for: its lines are printed, and the exit code is 1."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What the command line says of a field: its help, and the values that it takes."""

    help: str
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    distinct: bool = False
    metavar: str | None = None
    positional: bool = False
    bare: Any = None  # the value where the option is typed without one

    def bounds(self) -> str:
        """The bounds in words; empty where there are none."""
        words = (("at least", self.at_least), ("above", self.above), ("at most", self.at_most))
        return " and ".join(f"{word} {bound:g}" for word, bound in words if bound is not None)

    def refusal(self, value: Any) -> str | None:
        """Why a value, or a list of them, is refused; or None."""
        if isinstance(value, list | tuple):
            twice = self.distinct and len(set(value)) < len(value)
            return "each value once" if twice else next(filter(None, map(self.refusal, value)), None)
        if value is None:
            return None
        if self.choices and value not in self.choices:
            return f"unknown: {value!r}; there are {', '.join(self.choices)}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"a finite number, not {value}"
        below = self.at_least is not None and value < self.at_least
        not_above = self.above is not None and value <= self.above
        if below or not_above or (self.at_most is not None and value > self.at_most):
            return f"{self.bounds()}, not {value}"
        return None


def option(default: Any = MISSING, help: str = "", **values: Any) -> Any:  # noqa: A002  (argparse's word for it)
    """A dataclass field that is an option of the command line; without a default it is required.

    `values` are the further fields of `Option`: bounds, choices, `distinct`, `metavar`, `positional`, `bare`.
    """
    return dataclasses.field(default=default, metadata={"option": Option(help=help, **values)})


@overload
def parse(command: str, about: str, first: type[A], /, *, hide: Container[str] = ()) -> A: ...
@overload
def parse(command: str, about: str, first: A, /, *, hide: Container[str] = ()) -> A: ...
@overload
def parse(
    command: str, about: str, first: type[A], second: type[B], /, *, hide: Container[str] = ()
) -> tuple[A, B]: ...
@overload
def parse(command: str, about: str, first: A, second: type[B], /, *, hide: Container[str] = ()) -> tuple[A, B]: ...
def parse(command: str, about: str, /, *targets: Any, hide: Container[str] = ()) -> Any:
    """The settings that were typed: one dataclass for each target, which is a class or an instance with its defaults.

    Fields made by `option` become options, those named in `hide` do not. A method `check` of a target is called when
    all is read, and may return other settings in their place. Raises InputError.
    """
    parser = OneLineParser(prog=f"python -m {command}", description=about)
    for target in targets:
        for name, made, kind, default in options_of(target, hide):
            add_option(parser, name, made, kind, default)
    typed = vars(parser.parse_args())
    results = []
    for target in targets:
        values = {}
        for name, made, _, default in options_of(target, hide):
            value = typed[name.rstrip("_")]
            value = default if value in (None, []) else value
            values[name] = tuple(value) if isinstance(value, list) else value
            if reason := made.refusal(value):
                raise InputError(made.metavar or name if made.positional else flag(name), reason)
        result = target(**values) if isinstance(target, type) else dataclasses.replace(target, **values)
        if hasattr(result, "check"):
            result = result.check() or result
        results.append(result)
    return results[0] if len(results) == 1 else tuple(results)


def options_of(target: Any, hide: Container[str]) -> Iterator[tuple[str, Option, Any, Any]]:
    """The options of a dataclass, or of an instance of one: name, option, type, default. Inherited ones come last."""
    made = target if isinstance(target, type) else type(target)
    kinds, own = get_type_hints(made), vars(made).get("__annotations__", {})
    for field in sorted(dataclasses.fields(target), key=lambda field: field.name not in own):
        if "option" in field.metadata and field.name not in hide:
            default = field.default if isinstance(target, type) else getattr(target, field.name)
            yield field.name, field.metadata["option"], kinds[field.name], default


def add_option(parser: argparse.ArgumentParser, name: str, made: Option, kind: Any, default: Any) -> None:
    """One option or positional argument, its type taken from the field's."""
    notes = [made.bounds()] if made.bounds() else []
    if default not in (MISSING, None, ()) and default is not False:
        notes.insert(0, f"default: {spelt(default)}")
    about = f" ({'; '.join(notes)})" if notes and made.help != SUPPRESS else ""
    words: dict[str, Any] = {"help": f"{made.help}{about}".replace("%", "%%")}
    many = get_args(kind) if getattr(kind, "__origin__", None) is tuple else None
    if kind is bool:
        words["action"] = "store_true"
    else:
        words["type"] = many[0] if many else next((part for part in get_args(kind) if part is not NoneType), kind)
        words["metavar"] = made.metavar
        if made.bare is not None:
            words |= {"nargs": "?", "const": made.bare}
        if many:
            words["nargs"] = "+" if default is MISSING or not made.positional else "*"
            words["action"] = "extend"  # an option may be typed again
    if not made.positional:
        words["required"] = default is MISSING
    elif default is not MISSING:
        words.setdefault("nargs", "?")
    parser.add_argument(name if made.positional else flag(name), **words)


def flag(name: str) -> str:
    """The option of a field: `learning_rate` is --learning-rate, and `class_`, a word of Python, --class."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def spelt(default: Any) -> str:
    """A default as it would be typed, paths from the checkout's root on."""
    if isinstance(default, tuple):
        return " ".join(map(spelt, default))
    if isinstance(default, Path):
        return default.relative_to(ROOT).as_posix() if default.is_relative_to(ROOT) else str(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors take one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(self.prog, f"{message}; --help explains every option")

    def print_help(self, file: Any = None) -> None:
        console().print(*self.format_help().splitlines(), sep="\n")


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and exit with its code.

    Bad input becomes one line and exit code 2. A signal that asks it to stop (Ctrl-C, and where there are such things
    SIGTERM, SIGHUP or Ctrl-Break) ends it in one line and exit code 128 + signal; what it had begun is removed.
    """
    open_streams()
    stopping = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    stopping = [number for number in stopping if signal.getsignal(number) != signal.SIG_IGN]  # as `nohup` sets it
    caught = [signal.SIGINT]

    def stop(number: int, _: object) -> None:
        error = sys.exc_info()[1]
        while error is not None:
            if isinstance(error, KeyboardInterrupt):
                return  # it is stopping already, and cleans up
            error = error.__context__
        caught.append(signal.Signals(number))
        raise KeyboardInterrupt

    def again(swallowed: Any) -> None:
        """A destructor or a weak reference's callback swallows what is raised in it: the signal is sent once more."""
        if isinstance(swallowed.exc_value, KeyboardInterrupt):
            threading.Timer(0.01, to_main_thread, [caught[-1]]).start()
        else:
            sys.__unraisablehook__(swallowed)

    sys.unraisablehook, before = again, sys.unraisablehook
    try:
        for number in stopping:
            signal.signal(number, stop)
        code = code_of(main)
        for number in stopping:
            signal.signal(number, signal.SIG_DFL)
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, Exception) and len(caught) == 1:
            raise
        # A library's compiled code may swallow the KeyboardInterrupt and raise an error of its own in its place.
        said = error.args if isinstance(error, KeyboardInterrupt) else ()
        durable.abandon()
        complain(*(said or (f"stopped by {caught[-1].name}: nothing is left half-written",)))
        code = 128 + caught[-1]
        for number in stopping:
            signal.signal(number, signal.SIG_DFL)
    sys.unraisablehook = before
    sys.exit(code)


def to_main_thread(number: int) -> None:
    """Send a signal to the main thread, which may be waiting and runs the handlers; Windows has only `raise_signal`."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)


def code_of(main: Callable[[], int | None]) -> int:
    """Run a command's `main`. Returns the exit code, once the reason of an error is said."""
    try:
        if not DATA.is_dir():
            raise InputError(ROOT, FROM_CHECKOUT)
        code = main() or DONE
        sys.stdout.flush()
    except FoundError as error:
        console().print(*error.args, sep="\n")
        code = FOUND
    except InputError as error:
        complain(f"error: {error}")
        code = BAD_INPUT
    except OSError as error:
        complain(f"error: {InputError(error.filename or 'the system', reason_of(error))}")
        code = BAD_INPUT
    while durable.swept:
        complain(f"removed {durable.swept.pop()}, left by a command that was killed")
    return code


def complain(*lines: str) -> None:
    """Lines on the error stream; where it takes none, the exit code says it alone."""
    with contextlib.suppress(InputError):
        console(stderr=True).print(*lines, sep="\n")


def open_streams() -> None:
    """Give each standard stream that was closed one that goes nowhere, and write UTF-8."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # or the next file to be opened would be a standard stream
        pass
    os.close(spare)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # a pipe on Windows would otherwise not take a π
            reconfigure(encoding="utf-8", errors="backslashreplace")
