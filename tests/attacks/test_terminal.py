"""Text from files that would steer a terminal, hide, or pass for a line of ours: it is shown, and never obeyed."""

import ast
import io
import json
from pathlib import Path
from typing import Any

import pytest

from course.core.command_line import FoundError, run_command
from course.core.display import SafeConsole, console, on_screen, print_json, table
from course.core.files import InputError
from course.core.manifest import MANIFEST, sealed_bytes
from tests.conftest import ROOT, Command, write_rows

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDDEN = "\u00a0\u00ad\u180e\u200b\u200c\u200d\u2028\u2029\u2060\ufeff\ufff9\ufffe\U000e0001\U000e0041\U000f0000"
SEQUENCES = "\x1b[2J\x1b[1;31mred\x1b[8mhidden\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b(0\x9b2J\x90q\x9c\x1bc"
KINDS = {
    "C0 controls": "".join(map(chr, range(0x01, 0x20))),
    "printable ASCII, and what rich, %, {} and a shell read": "".join(map(chr, range(0x20, 0x7F))).replace("/", ""),
    "DEL and the C1 controls": "".join(map(chr, range(0x7F, 0xA0))),
    "Latin-1": "".join(map(chr, range(0xA0, 0x100))),
    "sequences that clear the screen, colour, hide, set the title, link": SEQUENCES.replace("/", ""),
    "text that runs from right to left": f"x{BIDI}x",
    "what shows nothing, and other separators of lines": f"x{HIDDEN}x",
    "lone surrogates, and bytes that are no UTF-8": "\udfff\ud800x\udc80\udcff",
}
hostile = pytest.mark.parametrize("text", KINDS.values(), ids=KINDS.keys())


def assert_clean(shown: str) -> None:
    """Nothing but printable characters and our own newlines; no line begins with what a file said."""
    bad = {f"U+{ord(c):04X}" for c in shown if c != "\n" and not c.isprintable()}
    assert not bad, bad
    assert not [line for line in shown.splitlines() if line.startswith("SPOOF")]
    assert "Traceback" not in shown


@hostile
def test_one_way_out_shows_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"a{text}\nSPOOF\r\nSPOOF z"
    rows = table("x", text, title=f"t{text}")
    rows.add_row(text, "y")
    for shown in (text, Path(text), rows, InputError(text, text)):
        console().print(shown)
        console(stderr=True).print(shown)
    out, err = capsys.readouterr()
    assert_clean(out.replace("SPOOF z", ""))
    assert_clean(err.replace("SPOOF z", ""))


@hostile
def test_how_a_command_ends_with_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"a{text}\nSPOOF"
    for error in (InputError(text, text, 3), FoundError(text, text), KeyboardInterrupt(text), OSError(1, text, text)):

        def main(error: BaseException = error) -> None:
            raise error

        with pytest.raises(SystemExit):
            run_command(main)
        out, err = capsys.readouterr()
        assert_clean(out + err)
        assert (out + err).count("\n") == len(error.args) if isinstance(error, FoundError) else 1


@hostile
def test_json_is_clean_and_gives_the_same_value_back(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    value = {text: [text, {"n": 1, "é": "π"}]}
    print_json(value)
    shown = capsys.readouterr().out
    assert_clean(shown)
    assert json.loads(shown) == value
    assert "é" in shown, "what can be read is not escaped"


def test_colours_of_our_own_reach_a_terminal() -> None:
    screen = io.StringIO()
    out = SafeConsole(file=screen, force_terminal=True, color_system="standard", markup=False, highlight=False)
    out.print("\x1b[31mnot ours", style="bold")
    assert screen.getvalue() == "\x1b[1m<U+001B>[31mnot ours\x1b[0m\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\na\n", "\na\n"), ("a\n\nb", "a↵↵b"), ("\n\n", "\n\n"), ("a\tb", "a→b"), ("é π 漢 🙂", "é π 漢 🙂")],
    ids=["ours at the ends stay", "a file's in the middle show", "nothing but newlines", "a tab", "letters stay"],
)
def test_a_string_is_one_line(text: str, shown: str) -> None:
    assert on_screen(text) == shown


def file_name(text: str) -> str:
    """As much of it as a file's name may hold."""
    return text.encode("utf-8", "surrogatepass")[:60].decode("utf-8", "surrogateescape")


def hostile_files(folder: Path, text: str) -> dict[str, Path]:
    """A data set, completions with a sidecar, and a pack: every field that may be any text is hostile."""
    name = file_name(text)
    ids = [f"{n}{text}\nSPOOF" for n in range(3)]
    data = write_rows(
        folder / f"{name}\nSPOOF_dev.jsonl", [{"id": id_, "prompt": id_, "expected_answer": 1} for id_ in ids]
    )
    rows = [{"id": id_, "completion": c, "sample": s} for id_ in ids for s, c in enumerate(("Final: 1", id_))]
    return {
        "--dataset": data,
        "--completions": write_rows(folder / f"{name}\nSPOOF.jsonl", [row for row in rows if row["sample"] == 1]),
        "--pack": write_rows(folder / f"{name}\nSPOOF pack.jsonl", rows),
    }


def sidecar(files: dict[str, Path], kind: str, manifest: dict[str, Any], text: str) -> None:
    """A sidecar whose every name and hash is hostile where it may be."""
    sampling = {"temperature": 1, "top_p": 1, "max_new_tokens": 9, "samples_per_prompt": 2, "seed": 0}
    made = {"policy": text, "policy_sha256": text, "tokenizer_sha256": text, "command": text, "created": text}
    known = {"prompts_sha256": manifest["prompts_sha256"], "completions_sha256": manifest["completions"]["sha256"]}
    path = files[kind].with_name(files[kind].stem + ".meta.json")
    path.write_text(json.dumps({**made, **known, "sampling": sampling, "versions": {text: text}}))


@hostile
def test_every_command_that_reads_runs(text: str, tmp_path: Path, command: Command) -> None:
    """Each command sees it in names, ids, prompts, completions, notes, changes, hashes and its own options."""
    files, runs = hostile_files(tmp_path, text), tmp_path / f"runs{file_name(text)}\nSPOOF"
    text = f"a{text}\nSPOOF"
    data = ("--dataset", files["--dataset"], "--runs-dir", runs, "--note", text)
    shown = []

    def say(code: int, *words: object) -> None:
        done = command(*words)
        assert done.code == code, done.err
        shown.append(done.out + done.err)

    said = ("course.eval", *data, "--completions", files["--completions"])
    say(0, *said)
    one, two = runs / "run_001", runs / "run_002"
    sidecar(files, "--completions", json.loads((one / MANIFEST).read_bytes()), text)
    say(0, *said, "--parent", one, "--change", text)
    say(0, "course.selection_demo", *data, "--pack", files["--pack"])
    say(0, "course.inspect_run", "--runs-dir", runs)
    say(0, "course.inspect_run", "--run", two)
    say(2, "course.inspect_run", "--run", two, "--code", text)
    say(1, "course.compare", one, two)
    say(0, "course.verify_run", "--run", two)
    say(0, "course.report", two, "--out", tmp_path / "page.html")
    manifest = json.loads((two / MANIFEST).read_bytes())
    manifest["files"]["results.jsonl"] = text
    manifest["scorer"] = {"spec_version": text, "sha256": text}
    manifest["core"] = {"sealed": False, "sha256": text, "broken": [text]}
    (two / MANIFEST).write_bytes(sealed_bytes(manifest))
    say(1, "course.verify_run", "--run", two)
    say(0, "course.inspect_run", "--runs-dir", runs)
    say(1, "course.compare", one, two)
    (two / MANIFEST).write_bytes(sealed_bytes({**manifest, "loop": text, text: text}))
    say(2, "course.verify_run", "--run", two)
    say(0, "course.inspect_run", "--runs-dir", runs)
    for words in (
        ("course.eval", text),
        ("course.eval", f"--{text}"),
        ("course.inspect_run", "--run", text),
    ):
        say(2, *words)
    assert_clean("".join(shown))


@hostile
@pytest.mark.parametrize(
    "row",
    [
        {"id": "x", "prompt": "p", "expected_answer": "TEXT"},
        {"id": "x", "prompt": "p", "expected_answer": 1, "TEXT": 1},
        {"id": "x", "prompt": "p", "expected_answer": 1, "metadata": {"a": 1}, "TEXT": {"TEXT": "TEXT"}},
    ],
    ids=["a value of another type", "an unknown field", "a nested unknown field"],
)
def test_reasons_that_quote_a_file(text: str, row: dict[str, Any], tmp_path: Path, command: Command) -> None:
    line = json.dumps(row).replace("TEXT", json.dumps(text + "\nSPOOF")[1:-1])
    for written in (line, line[:-1] + "," + line[1:], line.replace('"prompt"', '"id"')):
        data = tmp_path / "x.jsonl"
        data.write_text(written + "\n")
        done = command("course.eval", "--dataset", data, "--completions", data)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert_clean(done.out + done.err)


# The rule by source: a command that is written tomorrow cannot print in another way.

PROTOCOL = {
    "course/grading/patch.py": "JSON to the process that grades",
    "course/core/__init__.py": "names of packages",
}
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in (ROOT / "course").rglob("*.py")
}


def test_nothing_writes_to_the_terminal_in_another_way() -> None:
    found = []
    for name, tree in SOURCES.items():
        for node in ast.walk(tree):
            text = ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute) else ""
            plain = isinstance(node, ast.Call) and text.startswith(("print(", "Console(", "rich.print("))
            stream = text.endswith((".write", ".writelines", ".buffer")) and "sys.std" in text
            if (plain or stream) and name not in PROTOCOL:
                found.append(f"{name}, line {node.lineno}: {text[:60]}")  # type: ignore[attr-defined]
    assert not found, "\n".join(found)


def test_no_string_of_ours_that_is_printed_holds_a_newline_in_its_middle() -> None:
    """It would be shown as `↵`."""
    found = []
    for name, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "print":
                for argument in node.args:
                    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
                    if "\n" in text.strip("\n"):
                        found.append(f"{name}, line {node.lineno}")
    assert not found, "\n".join(found)
