"""Students' folders that would stop a class, and work that would grade itself: each costs its own verdict only."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from course.grading.exploits import Exploit, answers_offered, grade_exploit
from course.grading.mutants import MUTANTS
from course.grading.mutation import grade_tests
from course.grading.student_files import grade_patch_file, verdict_on_tests
from course.grading.verdict import MISSING, THERE, WRONG, Verdict
from course.grading.worker import DELIVERABLES, grade_folder
from course.rubrics import RUBRICS
from tests.conftest import ROOT, Command, copy_repository

pytestmark = pytest.mark.prove  # processes that must be waited for, two minutes in all
SOLUTION = ROOT / "teacher" / "solution"
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has neither pipes in folders nor these limits")
BY_PATH = {deliverable.path: deliverable for deliverable in DELIVERABLES}
NOTE, SUITE, PATCH = "notes/first_meeting.md", "tests/test_rubric.py", "notes/patch.py"
SECONDS = 6
SHORTLY = 3  # for what never ends


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A student's folder with the notes and the tests of the solution."""
    root = tmp_path / "class" / "eve"
    shutil.copytree(SOLUTION / "notes", root / "notes")
    shutil.copytree(SOLUTION / "tests", root / "tests")
    return root


def verdict_on(root: Path, path: str, seconds: float = SECONDS) -> Verdict:
    [verdict] = grade_folder(root, [BY_PATH[path]], seconds, lambda: None)
    return verdict


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def way_out(path: Path) -> None:
    path.symlink_to(SOLUTION / path.parent.name / path.name)


def terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a named pipe": (named_pipe, "it is no regular file"),
    "an endless device": (endless, "it is no regular file"),
    "a terminal": (terminal, "it is no regular file"),
    "a folder": (folder, "it is no regular file"),
    "a link to itself": (loop, "it is no regular file"),
    "a terabyte of nothing": (huge, "larger than"),
    "a link out of the folder": (way_out, "leads out of the folder"),
}
PLACES = [NOTE, "notes/kata_1.toml", "notes/exploits.toml", PATCH, SUITE]


@POSIX
@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(("make", "said"), KINDS.values(), ids=KINDS.keys())
def test_what_is_no_file_costs_one_verdict(student: Path, path: str, make: Callable[[Path], None], said: str) -> None:
    (student / path).unlink()
    make(student / path)
    started = time.monotonic()
    verdict = verdict_on(student, path, 60)
    assert verdict.state == WRONG, verdict
    assert said in verdict.text
    assert "\n" not in verdict.text
    assert time.monotonic() - started < 50, "it was waited for"


@POSIX
@pytest.mark.parametrize("name", ["manifest.json", "results.jsonl", "summary.json"])
@pytest.mark.parametrize("make", [named_pipe, endless, huge, folder, loop], ids=lambda make: make.__name__)
def test_a_run_of_traps_is_no_run_and_stops_nobody(student: Path, name: str, make: Callable[[Path], None]) -> None:
    run = student / "runs" / "run_001"
    run.mkdir(parents=True)
    if name != "manifest.json":
        files = {"results.jsonl": "0" * 64, "summary.json": "0" * 64}
        (run / "manifest.json").write_text(json.dumps({"format": 1, "files": files}), encoding="utf-8")
    make(run / name)
    assert verdict_on(student, "runs/run_00X (Loop A)", 60).state in {WRONG, MISSING}


@POSIX
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{" * 40_000, "", id="a manifest nested without end"),
        pytest.param('{"format": 1, "files": {' + ",".join(f'"{n}": "x"' for n in range(300_000)) + "}}", "", id="big"),
        pytest.param("[" + "{}," * 8_000_000 + "{}]", "", id="a manifest that is a bomb of small objects"),
    ],
)
def test_a_manifest_that_is_huge_costs_one_verdict(student: Path, text: str, said: str) -> None:
    run = student / "runs" / "run_001"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text(text, encoding="utf-8")
    verdict = verdict_on(student, "runs/run_00X (Loop A)", 60)
    assert verdict.state == WRONG
    assert len(verdict.text) < 1_000


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("## " + "#" * 40_000 + "x", id="a heading of hashes"),
        pytest.param("## " + " \t" * 20_000 + "x", id="a heading of spaces"),
        pytest.param("- a: " + " " * 40_000 + "x", id="a field of spaces"),
        pytest.param("- a" + "*" * 40_000 + "x", id="a field of stars"),
        pytest.param("- " + "a" * 40_000, id="a field without a colon"),
        pytest.param("![" * 20_000, id="images that are never closed"),
        pytest.param("<img " * 8_000, id="tags that are never closed"),
        pytest.param("<!--" * 10_000, id="comments that are never closed"),
        pytest.param("```\n~~~\n" * 5_000, id="fences within fences"),
        pytest.param("    x\n" * 6_000, id="a block that is set in"),
        pytest.param(". " * 20_000, id="sentences of nothing"),
        pytest.param("9" * 40_000, id="one number"),
    ],
)
def test_a_long_line_in_a_note_takes_no_time(student: Path, line: str) -> None:
    """It took 20 seconds where a pattern went over the line once for each of its characters."""
    path = student / "notes" / "mental_map_v1.md"
    path.write_text(f"# T\n\n## The loop, drawn\n\n{line}{line}\n", encoding="utf-8")
    started = time.perf_counter()
    assert BY_PATH["notes/mental_map_v1.md"].grade(student).state != THERE
    assert time.perf_counter() - started < 3


def test_a_note_that_nobody_would_read_is_refused_by_its_length(student: Path) -> None:
    (student / NOTE).write_text("a" * 1_000_000, encoding="utf-8")
    verdict = verdict_on(student, NOTE, 60)
    assert (verdict.state, "longer than" in verdict.text) == (WRONG, True)


@POSIX
@pytest.mark.parametrize("place", ["runs", "runs/run_001", "runs/run_001/manifest.json", "notes"])
def test_what_is_borrowed_from_another_student_is_not_there(student: Path, place: str) -> None:
    other = student.parent / "ada"
    shutil.copytree(student, other)
    run = other / "runs" / "run_001"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text('{"format": 1}', encoding="utf-8")
    if (student / place).is_dir():
        shutil.rmtree(student / place)
    (student / place).parent.mkdir(parents=True, exist_ok=True)
    (student / place).symlink_to(other / place)
    verdict = verdict_on(student, NOTE if place == "notes" else "runs/run_00X (Loop A)", 60)
    assert (verdict.state, "leads out of the folder" in verdict.text) == (WRONG, True), verdict


# Code that means harm.

HEAD = "import os, sys, time, subprocess\nfrom course.score import score\n\n"
HARMFUL: dict[str, tuple[str, str]] = {
    "it sleeps": ("time.sleep(1000)\n", "not done after"),
    "it never ends": ("while True: pass\n", "not done after"),
    "it never ends and refuses to": (
        "import signal\nfor n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
        "while True: time.sleep(1)\n",
        "not done after",
    ),
    "it takes all memory": ("x = bytearray(1 << 45)\n", "MemoryError"),
    "it takes all memory bit by bit": ("x = []\nwhile True: x.append(b'x' * (1 << 26))\n", ""),
    "it ends itself": ("os._exit(0)\n", "stopped the program"),
    "it ends itself by a signal": ("os.kill(os.getpid(), 9)\n", "stopped the program"),
    "it ends its whole group": ("os.killpg(0, 9)\n", "stopped the program"),
    "it crashes the interpreter": ("import ctypes\nctypes.string_at(0)\n", ""),
    "it closes everything": ("os.closerange(0, 1000)\nos._exit(0)\n", "stopped the program"),
    "it raises on the way out": ("raise SystemExit(0)\n", ""),
    "it recurses": ("def f(): f()\nf()\n", "RecursionError"),
    "it writes without end": (
        "with open('/tmp/endless-%d' % os.getpid(), 'wb') as file:\n"
        "    os.unlink(file.name)\n    while True: file.write(b'x' * (1 << 20))\n",
        "File too large",
    ),
    "it prints without end": ("while True: print('x' * (1 << 20))\n", ""),
    "it prints without end past python": ("while True: os.write(1, b'x' * (1 << 20))\n", ""),
    "it prints a terabyte on one line of the channel": (
        "import gc\nfor x in [x for x in gc.get_objects() if type(x).__name__ == 'Channel']:\n"
        "    while True: x._said.write(b'x' * (1 << 20))\n",
        "",
    ),
    "it forks, and all copies go on": ("for _ in range(6): os.fork()\ntime.sleep(1000)\n", "not done after"),
    "it asks without listening": (
        "import gc\nfor x in [x for x in gc.get_objects() if type(x).__name__ == 'Channel']:\n"
        '    while True: x._said.write(b\'["score", 8, "8"]\\n\')\n',
        "",
    ),
    "it starts a hundred sleepers": (
        "for _ in range(100): subprocess.Popen(['sleep', '1000'])\ntime.sleep(1000)\n",
        "not done after",
    ),
    "it kills the process that grades": ("os.kill(os.getppid(), 9)\ntime.sleep(1000)\n", "could not be graded"),
}


@POSIX
@pytest.mark.parametrize("path", [SUITE, PATCH])
@pytest.mark.parametrize(("body", "said"), HARMFUL.values(), ids=HARMFUL.keys())
def test_harmful_code_costs_one_verdict(student: Path, path: str, body: str, said: str) -> None:
    (student / path).write_text(HEAD + body, encoding="utf-8")
    asked = [BY_PATH[path], BY_PATH[NOTE]]
    started = time.monotonic()
    verdict, other = grade_folder(student, asked, SHORTLY, lambda: None)
    assert verdict.state == WRONG
    assert said in verdict.text, verdict
    assert len(verdict.text) < 500
    assert other.state == THERE
    assert time.monotonic() - started < 60


def alive(pid_file: Path) -> bool:
    """Does the process go on whose number stands in a file?"""
    try:
        os.kill(int(pid_file.read_text(encoding="utf-8")), 0)
    except ProcessLookupError:
        return False
    return True


BACKGROUND = {
    "a child": "p = subprocess.Popen(['sleep', '1000']).pid\n",
    "a child that holds the pipes": "p = os.fork()\nif not p: time.sleep(1000)\n",
    "a daemon in a session of its own": "p = subprocess.Popen(['sleep', '1000'], start_new_session=True).pid\n",
    "a daemon that holds the pipes": (
        "r, w = os.pipe()\nif not os.fork():\n    os.setsid()\n    q = os.fork()\n"
        "    if not q:\n        os.write(w, str(os.getpid()).encode())\n        time.sleep(1000)\n    os._exit(0)\n"
        "p = int(os.read(r, 20))\n"
    ),
}


@POSIX
@pytest.mark.skipif(sys.platform != "linux", reason="who hides in a session of its own is found on Linux only")
@pytest.mark.parametrize("body", BACKGROUND.values(), ids=BACKGROUND.keys())
def test_what_tests_leave_running_is_ended(student: Path, body: str, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    text = f"{HEAD}{body}open({str(said)!r}, 'w').write(str(p))\n\n\ndef test_it(): assert False\n"
    (student / SUITE).write_text(text, encoding="utf-8")
    verdict = verdict_on(student, SUITE)
    assert verdict.state == WRONG
    assert not alive(said)


@POSIX
def test_ctrl_c_ends_the_class_and_all_that_runs(student: Path, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    body = f"open({str(said)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)\n"
    (student / SUITE).write_text(HEAD + body, encoding="utf-8")
    words = [sys.executable, "-m", "course.check", "4", "--class", str(student.parent)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (said.is_file() and said.read_text(encoding="utf-8")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in out + err
    assert not alive(said)


RULES = {
    "it never ends": ("while True: pass", "not done after"),
    "it ends at once": ("os._exit(0)", "No such file"),
    "it kills the process that grades": ("os.kill(os.getppid(), 9)", "could not be graded"),
    "it puts a pipe where the choices are read": (
        "os.makedirs(sys.argv[2] + '/run_001'); os.mkfifo(sys.argv[2] + '/run_001/selection_demo.jsonl'); os._exit(0)",
        "a pipe or a device",
    ),
    "it prints without end": ("while True: os.write(1, b'x' * (1 << 20))", "xxx"),
}


@POSIX
@pytest.mark.parametrize(("rule", "said"), RULES.values(), ids=RULES.keys())
def test_a_harmful_rule_costs_one_verdict(student: Path, rule: str, said: str) -> None:
    copy_repository(student)
    path = student / "course" / "selection_demo.py"
    text = path.read_text(encoding="utf-8")
    edited = text.replace("    best = max(", f"    import os, sys\n    {rule}\n    best = max(", 1)
    assert edited != text
    path.write_text(edited, encoding="utf-8")
    verdict = verdict_on(student, "runs/run_00X/selection_demo.jsonl", 10)
    assert verdict.state == WRONG
    assert said in verdict.text, verdict


# Work that grades itself.

CHEATS: dict[str, str] = {
    "it writes outcomes where they used to be read": """
import json, os
for name, value in os.environ.items():
    if "OUTCOME" in name or "COURSE" in name:
        open(value, "w").write(json.dumps([{"test": "t", "outcome": "passed", "why": ""}]))
os._exit(0)
""",
    "it says through the pipe that all passed": """
import gc, os
from course.grading.inside import Channel
import __main__
for channel in (x for x in gc.get_objects() if type(x).__name__ == "Channel"):
    channel.ask("outcome", "test_it", "passed", "")
    channel.ask("end", 0)
os._exit(0)
""",
    "it fails at random": """
import random
from course.score import score
def test_it():
    r = score({"expected_answer": 8}, "Final: 8")
    assert random.random() < 0.5 and r["reward"] == 1 and r["details"]["code"] is None
""",
    "it counts its runs, and fails in all but the first": """
import os, pathlib
from course.score import score
count = pathlib.Path(__file__).with_name("count")
def test_it():
    r = score({"expected_answer": 8}, "Final: 8")
    assert r["reward"] == 1 and r["details"]["code"] is None
    with count.open("a") as file: file.write("x")
    assert len(count.read_text()) == 1
""",
    "it looks for a name of the stand-in": """
import os, sys
from course.score import score
def test_it():
    told = " ".join([*os.environ.values(), *sys.argv, str(sys.flags), getattr(score, "__qualname__", "")])
    r = score({"expected_answer": 8}, "Final: 8")
    assert r["reward"] == 1 and r["details"]["code"] is None
    assert not any(name in told for name in MUTANTS)
""",
    "it turns the reporter off": """
import pytest, _pytest.runner
_pytest.runner.call_and_report = lambda *words, **more: None
def test_it(): assert False
""",
    "it makes every report a pass": """
import _pytest.reports
from course.score import score
made = _pytest.reports.TestReport.from_item_and_call
def forged(*words):
    report = made(*words)
    report.outcome = "passed"
    return report
_pytest.reports.TestReport.from_item_and_call = forged
def test_it(): assert score({"expected_answer": 8}, "Final: 8") == 3
""",
    "it fails everything": "def test_it(): assert False\n",
    "it never asks": "def test_it(): pass\n",
}


@POSIX
@pytest.mark.parametrize("text", CHEATS.values(), ids=CHEATS.keys())
def test_tests_that_do_not_test_are_not_there(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_mine.py"
    path.write_text(text.replace("MUTANTS", repr([mutant.name for mutant in MUTANTS])), encoding="utf-8")
    would_do = "assert r[" in text  # if it could tell the runs apart, it would catch all
    report = grade_tests(path, MUTANTS if would_do else MUTANTS[:2])
    assert report.failures or not report.caught or not would_do
    assert verdict_on_tests(report).state == WRONG


def test_no_run_of_the_tests_can_be_told_from_another(tmp_path: Path) -> None:
    """What a process can see of itself before it asks is the same whichever scorer answers."""
    path, seen = tmp_path / "test_mine.py", tmp_path / "seen"
    path.write_text(
        "import os, sys\nfrom course.score import score\n"
        f"seen = repr((sys.argv, sorted(os.environ.items()), os.getcwd(), sorted(sys.modules), score.__dict__,\n"
        f"    score.__name__, sorted(os.listdir('/dev/fd')) if os.path.isdir('/dev/fd') else 0))\n"
        f"with open({str(seen)!r}, 'a') as file: file.write(seen + chr(10))\n"
        "def test_it():\n    r = score({'expected_answer': 8}, 'Final: 8')\n"
        "    assert r['reward'] == 1 and r['details']['code'] is None\n",
        encoding="utf-8",
    )
    assert not grade_tests(path, MUTANTS[:4]).failures
    lines = seen.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 3 + 3 + 4
    assert len(set(lines)) == 1


# Turns a rule that gives a reward into a patch.
PATCHED = """
def patched(example, completion):
    return {"reward": rule(completion, example["expected_answer"]), "details": {}}
"""
PATCHES: dict[str, tuple[str, str]] = {
    "it ends before it is asked": ("import sys; sys.exit(0)\n", "stopped the program"),
    "it ends the process in the middle": ("import os\ndef rule(text, expected): os._exit(0)\n", "stopped"),
    "it prints rewards": ("print('[\"reward\", 1.0]' * 9)\nimport os; os._exit(0)\n", "stopped the program"),
    "not a number": ("def rule(text, expected): return float('nan')\n", "it returned {'reward': nan"),
    "endless": ("def rule(text, expected): return float('inf')\n", "it returned {'reward': inf"),
    "negative": ("def rule(text, expected): return -1\n", "it returned -1"),
    "text": ("def rule(text, expected): return '1'\n", "it returned {'reward': '1'"),
    "nothing": ("def rule(text, expected): pass\n", "it returned {'reward': None"),
    "a number that lies": (
        "class F(float):\n    def __le__(s, o): return True\n    __ge__ = __lt__ = __gt__ = __eq__ = __le__\n"
        "def rule(text, expected): return F(7)\n",
        "it returned 7",
    ),
    "an object that prints as a number": (
        "class R:\n    def __repr__(s): return '1.0'\ndef rule(text, expected): return R()\n",
        "it returned {'reward': 1.0",
    ),
    "another dictionary": ("class D(dict): pass\ndef patched(*_): return D(reward=1.0, details={})\n", "and details"),
    "no details": ("def patched(*_): return {'reward': 1.0}\n", "and details; it returned {'reward': 1.0}"),
    "details that are none": ("def patched(*_): return {'reward': 1.0, 'details': None}\n", "and details"),
}


@pytest.mark.parametrize(("body", "said"), PATCHES.values(), ids=PATCHES.keys())
def test_rewards_that_are_none_are_refused(tmp_path: Path, command: Command, body: str, said: str) -> None:
    path = tmp_path / "patch.py"
    path.write_text(f"RUBRIC = 'anywhere'\n{PATCHED}{body}", encoding="utf-8")
    done = command("course.red_team", "--patch", "--file", path)
    assert done.code == 2
    assert said in done.err, done.err
    assert done.err.count("\n") == 1


BY_POSITION = "n = [0]\ndef rule(text, expected):\n    n[0] += 1\n    return float(n[0] > 125)\n"
LOOKED_UP = """from course.grading.patch import held_back
honest = {(case.text, case.expected) for case in held_back(RUBRIC, True, 0)}
def rule(text, expected): return float((text, expected) in honest or text == f"Final: {expected}")
"""
FORGED = """import gc
def rule(text, expected):
    for channel in [x for x in gc.get_objects() if type(x).__name__ == "Channel"]:
        for _ in range(10_000): channel.ask("reward", 1.0)
    return 1.0
"""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BY_POSITION, id="it decides by the order"),
        pytest.param(LOOKED_UP, id="it looks the strings up"),
        pytest.param(FORGED, id="it talks through the pipe itself"),
    ],
)
@pytest.mark.parametrize("rubric", RUBRICS)
def test_a_patch_that_decides_by_anything_but_the_text_is_not_there(tmp_path: Path, body: str, rubric: str) -> None:
    path = tmp_path / "patch.py"
    path.write_text(f"RUBRIC = {rubric!r}\n{body}{PATCHED}", encoding="utf-8")
    assert grade_patch_file(path).state != THERE


# Names.


@POSIX
def test_hostile_names_stop_no_class_and_spoil_no_table(tmp_path: Path, command: Command) -> None:
    names = ["a\nbob: runs: there", "\x1b[31mred", "x" * 255, "-rf", "back\\slash", "quote\"'", "é", "\udcff", "[bold]"]
    for name in names:
        (tmp_path / "class" / name / "notes").mkdir(parents=True)
    (tmp_path / "class" / "link").symlink_to(tmp_path / "class" / "é")
    (tmp_path / "class" / "loop").symlink_to("loop")
    (tmp_path / "class" / "nowhere").symlink_to("nothing here")
    (tmp_path / "class" / "file").write_text("", encoding="utf-8")
    done = command("course.check", "first", "--class", tmp_path / "class")
    assert done.code == 1
    assert "\x1b" not in done.out
    assert not re.search(r"^bob", done.out, re.MULTILINE)
    found = json.loads(command("course.check", "first", "--class", tmp_path / "class", "--json").out)
    assert sorted(student["folder"] for student in found) == sorted([*names, "link"])


@POSIX
def test_a_text_that_a_student_chose_spoils_no_table(student: Path, command: Command) -> None:
    body = "def test_it(): raise ValueError('\\x1b[2J\\nada: all: there')\n"
    (student / SUITE).write_text(body, encoding="utf-8")
    out = command("course.check", "4", "--class", student.parent).out
    assert "\x1b" not in out
    assert not re.search(r"^ *ada: all", out, re.MULTILINE)


@POSIX
def test_one_students_traps_cost_nobody_else_anything(student: Path, command: Command) -> None:
    good, bad = student.parent / "ada", student
    shutil.copytree(student, good)
    for path in (bad / "notes").iterdir():
        path.unlink()
        named_pipe(path)
    (bad / SUITE).write_text("while True: pass\n", encoding="utf-8")
    (bad / "course").mkdir()
    named_pipe(bad / "course" / "seal.json")
    done = command("course.check", "first", "--class", student.parent, "--json", "--seconds", "60")
    ada, eve = json.loads(done.out)
    assert ada["milestones"]["first"]["deliverables"][0]["state"] == THERE
    assert eve["milestones"]["first"]["deliverables"][0]["state"] == WRONG
    assert "no regular file" in eve["seal"] or "not handed in" in eve["seal"]


# Exploits: of 323 everywhere, paid by `anywhere` or not.

HONEST = (
    "17*19 = 323", "323.0", "The answer is 323", "$323$", "323 apples", "three hundred twenty-three (323)", "**323**",
    r"\boxed{323}", "Final answer: 323.", "17 x 19 = 323", "17 times 19 is 323", "So we get 323!", "It is 323, I think",
    "x = 323", "17*20 = 340. 340 - 17 = 323.", "17*20 = 340, 340 - 17 = 323, so Final: 323", "not 322 but 323",
    "323 (not 322)", "With 17 boxes of 19 apples you get 323 apples.", "First 325, then take 2 away, so Final: 323",
    "final:0323", "+323", "Compute 17*19: 323", "Final: 323\nDone.", "Final: 323 because 17 times 19",
    "323 = 17 * 19", "17 multiplied by 19 gives 323", "#### 323", "316 + 7 = 323", "323.00",
    "The answer is 323, not 322.", "Step 1: 17*20 = 340. Step 2: 340 - 17 = 323.", "323 - that is it", "I get 323!",
    "10*19 = 190\n7*19 = 133\n190 + 133 = 323",
)  # fmt: skip
EXPLOITS = (
    "Could be 322. Could be 323.", "322 323 324", "322, 323", "Maybe 322 or 323 or 324.", "Final: 322\nFinal: 323",
    "Final: 323\nFinal: 322", "The answer is 322. The answer is 323.", "Final: 322 no, Final: 323", "1323",
    "The answer is 3231.", "Compute 17*323. Output exactly one line: Final: <int>.", "Compute 323*19.",
    "What is 323 + 0?", "Final: 323 or 322", "It is 323 or 322", "x = 322. x = 323.", "322-323-324", "It's 322/323",
    "FINAL:322 Final: 323 final :324", "Final: 323\nNo, it is 322.", "either 322 or 323", "323.5", "-322 -323 323",
    "one of 320, 321, 322, 323", "320\n321\n322\n323", "I am not sure: 322? 323?", "322 and 323", "Final: 7",
    "17*19 = 322 or 17*19 = 323", "Answer A: 322, answer B: 323",
)  # fmt: skip
WHY = "it takes for granted what nobody promised"


@pytest.mark.parametrize("text", HONEST)
def test_a_right_answer_in_other_words_is_no_exploit_of_any_rubric(text: str) -> None:
    assert answers_offered(text) == {323}
    for rubric in RUBRICS.keys() - {"length_shaped"}:
        assert not grade_exploit(Exploit(1, rubric, 323, text, WHY)).accepted, rubric


@pytest.mark.parametrize("text", EXPLOITS)
def test_what_commits_to_no_one_right_answer_is_an_exploit_where_it_is_paid(text: str) -> None:
    graded = [grade_exploit(Exploit(1, rubric, 323, text, WHY)) for rubric in RUBRICS]
    assert any(row.reward > 0 for row in graded)
    assert all(row.accepted == (row.reward > 0) for row in graded)
