"""What runs beside a student's code, in a process of its own: it sets the limits, then talks with the one that grades.

    python -m course.grading.inside tests FILE      a file of tests; the scorer is asked of the other process
    python -m course.grading.inside patch FILE      a patch; the texts are asked of the other process
    python -m course.grading.inside scorer FILE     a scorer; the cases are asked of the other process
    python course/grading/inside.py run MODULE …    a module of the folder that it is started in

It holds no verdict and nothing that gives one away. A student's code can reach all that is in its process, and may say
whatever it likes through the pipe; but whether it is put to the true scorer, to a faulty one or to a probe, and whether
a text is honest or a hack, the other process knows alone. So the answers must come from the questions, which is what a
test or a patch is for.
"""

import builtins
import contextlib
import functools
import glob
import inspect
import json
import math
import os
import reprlib
import runpy
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

GIGABYTE = 1 << 30
LARGEST_FILE = 64 << 20  # bytes: to write, and to be read by who grades
CPU_SECONDS = 600  # for who escapes: even so it ends
MORE_PROCESSES = 500  # than there are, threads counted


class Channel:
    """The two ends of the pipes, taken before any other code runs: what is printed later goes to the error stream."""

    def __init__(self) -> None:
        self._heard, self._said = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        self._lock = threading.Lock()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)

    def ask(self, *message: Any) -> Any:
        """Say something, and wait for the answer. Where nobody answers any more, the process ends."""
        with self._lock:
            self._said.write(json.dumps(message).encode() + b"\n")
            self._said.flush()
            line = self._heard.readline()
        if not line:
            os._exit(1)
        return json.loads(line)


def set_limits(memory: int, processes: bool = True) -> None:
    """Limit memory (bytes), files, core dumps, time of the processor and, on Linux, processes. Not on Windows.

    macOS does not keep the limit on memory; root is free of the limit on processes.
    """
    if sys.platform == "win32":
        return
    import resource

    limits = {"AS": memory, "FSIZE": LARGEST_FILE, "CPU": CPU_SECONDS, "CORE": 0}
    if processes and sys.platform == "linux":
        limits["NPROC"] = MORE_PROCESSES + len(glob.glob("/proc/[0-9]*/task/[0-9]*"))
    for name, most in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


# Tests.


class Odd:
    """A value that equals nothing and that nothing may be asked of."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def asked(self, *_: object) -> NoReturn:
        raise AssertionError("these details say nothing")

    __bool__ = __iter__ = __getitem__ = __contains__ = __call__ = asked


def served(channel: Channel) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """The scorer as the other process serves it, labelled like the true one. It is the same in every run."""
    from course.score import MAX_CHARACTERS, expected_answer
    from course.score import score as true_score

    @functools.wraps(true_score)
    def score(example: Mapping[str, Any], completion: object) -> dict[str, Any]:
        expected = expected_answer(example)
        if issubclass(type(completion), str):
            said: Any = str.__str__(completion)[: MAX_CHARACTERS + 1]
        else:
            said = 0 if isinstance(completion, bytes) else None  # of what is no text, nothing else is looked at
        kind, value = channel.ask("score", expected, said)
        if kind == "raised":
            raise getattr(builtins, value[0])(value[1])
        if kind == "odd":
            value["details"] = {key: Odd() for key in value["details"]}
        result: dict[str, Any] = value
        return result

    del score.__wrapped__
    return score


class Recorder:
    """A plugin of pytest that says how every test ended, when it ends."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            lines = str(report.longrepr).strip().splitlines() if report.failed else []
            why = lines[-1] if lines else "no reason given"
            self.channel.ask("outcome", report.nodeid.split("::", 1)[-1][:1_000], report.outcome, why[:300])

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            lines = (str(report.longrepr).strip() or "it cannot be collected").splitlines()
            why = ([line for line in lines if line.startswith("E ")] or lines)[-1].removeprefix("E ").strip()
            self.channel.ask("outcome", "the file", "broken", why[:300])


def run_tests(channel: Channel, path: str) -> None:
    """Run the tests of a file with the served scorer in the place of `course.score.score`."""
    import pytest

    import course.score
    from course.core.paths import ROOT

    setattr(course.score, "score", served(channel))  # noqa: B010  (mypy knows it as one function)
    words = ("-p", "no:cacheprovider", "--noconftest", "--import-mode=importlib", "--rootdir", str(ROOT))
    code = pytest.main([*words, "-c", str(ROOT / "pyproject.toml"), path], plugins=[Recorder(channel)])
    channel.ask("end", int(code))


def try_patch(channel: Channel, path: str) -> None:
    """Give a patch the texts, one by one, and say each reward."""
    if not Path(path).is_file():
        sys.exit("no such file")
    names = runpy.run_path(path, run_name="patch")
    rubric, patched = names.get("RUBRIC"), names.get("patched")
    if not isinstance(rubric, str) or not callable(patched):
        sys.exit("it must define RUBRIC, a name in quotes, and the function patched(example, completion)")
    with contextlib.suppress(TypeError, ValueError):
        if list(inspect.signature(patched).parameters) == ["text", "expected"]:
            sys.exit(
                "patched takes (example, completion) now, and returns {reward, details}, as every scorer here does"
            )
    case = channel.ask("rubric", rubric)
    while case:
        text, expected = case
        prompt = f"Compute {expected - 7} + 7. Output exactly one line: Final: <int>."
        result = patched({"id": "held-back", "prompt": prompt, "expected_answer": expected}, text)
        case = channel.ask("reward", reward_of(result))


def reward_of(result: Any) -> float | str:
    """The reward in what a patch returned; in words what it returned, if that is no reward and details."""
    reward = result.get("reward") if type(result) is dict and type(result.get("details")) is dict else None
    is_number = issubclass(type(reward), (int, float)) and math.isfinite(reward)  # type: ignore[arg-type]
    return float(reward) if is_number else repr(result)[:60]  # type: ignore[arg-type]


def try_scorer(channel: Channel, path: str) -> None:
    """Give a scorer the cases, one by one, and say what it makes of each. The course's own cannot be imported."""
    if not Path(path).is_file():
        sys.exit("no such file")
    sys.modules["course.score"] = None  # type: ignore[assignment]
    try:
        names = runpy.run_path(path, run_name="scorer")
    except ModuleNotFoundError as error:
        sys.exit("write the scorer yourself: course.score is not there" if error.name == "course.score" else str(error))
    if not callable(names.get("score")):
        sys.exit("it must define the function score(example, completion)")
    given: dict[str, Any] = {"bytes": bytes, "bytearray": bytearray, "exception": lambda text, _: Exception(text)}
    case = channel.ask("ready")
    while case:
        example, completion, given_as = case
        completion = given[given_as](completion, "utf-8") if given_as else completion
        case = channel.ask(*scored(names["score"], example, completion))


def scored(score: Callable[[Any, Any], Any], example: dict[str, Any], completion: object) -> list[Any]:
    """What a scorer makes of one case: that it gave a reward and a code, raised, or gave no score."""
    try:
        result = score(example, completion)
    except Exception as error:
        return ["raised", f"{type(error).__name__}: {error}"[:200]]
    values: Mapping[str, Any] = result if type(result) is dict else {}
    reward, details = values.get("reward", -1), values.get("details")
    if type(reward) not in (int, float) or not 0 <= reward <= 1 or type(details) is not dict:
        return ["no score", reprlib.repr(result)]
    code = details.get("code")
    return ["gave", reward, code if code is None else str(code)[:60]]


def main() -> None:
    channel = Channel()
    what, path, *words = sys.argv[1:]
    set_limits(GIGABYTE if what != "run" else 4 * GIGABYTE)  # numpy and matplotlib ask for more than they use
    if what == "run":
        sys.path[0] = os.getcwd()
        sys.argv = [path, *words]
        runpy.run_module(path, run_name="__main__", alter_sys=True)
        return
    sys.argv = [path]
    {"tests": run_tests, "patch": try_patch, "scorer": try_scorer}[what](channel, path)


if __name__ == "__main__":
    main()
