"""The two introductions: their mathematics survives Markdown, their symbols are in the code, their numbers hold."""

import ast
import html
import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from matplotlib.mathtext import MathTextParser

from course.core import stats
from course.core.bandit import load_bandit, log_prob_gradient, softmax
from course.core.measurement import Measurement
from tests.conftest import DEV, PACK, ROOT, Command, copy_repository, type_in
from tests.test_course import walk

INTRODUCTION, PRACTICE = "docs/introduction.md", "docs/in_practice.md"
FENCE, CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL), re.compile(r"`[^`]*`")
DISPLAY, INLINE = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL), re.compile(r"\$([^$\n]+)\$")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def flaws_of_formula(formula: str) -> list[str]:
    """What GitHub's Markdown would read in a formula before its mathematics is set."""
    depth, balanced = 0, True
    for character in formula:
        depth += (character == "{") - (character == "}")
        balanced &= depth >= 0
    found = {
        "braces do not balance": depth or not balanced,
        "\\left without \\right": len(re.findall(r"\\left\b", formula)) != len(re.findall(r"\\right\b", formula)),
        "a backslash that Markdown takes away": re.search(r"\\[^A-Za-z]", formula),
        "a character that Markdown reads": re.search(r"[|*`<>~#]", formula),
        "an underscore that may begin emphasis": re.search(r"(?<![A-Za-z0-9])_", formula),
        "a link": "](" in formula,
        "a line that begins a list, a heading or a rule": re.search(r"^(=|[-+] |-+$)", formula, re.MULTILINE),
        "an empty line": re.search(r"\n\s*\n", formula),
    }
    return [flaw for flaw, there in found.items() if there]


def flaws_of_page(text: str) -> list[str]:
    """Why GitHub would not show the mathematics of a page as it is meant."""
    prose = CODE.sub("code", FENCE.sub("", text))
    found = []
    for display in DISPLAY.finditer(prose):
        if prose[: display.start()][-2:] != "\n\n" or prose[display.end() :][:2] not in ("\n\n", "\n"):
            found.append(f"a display stands not alone: {display[1]}")
        found += [f"{flaw}: {display[1]}" for flaw in flaws_of_formula(display[1])]
    prose = DISPLAY.sub("", prose)
    for inline in INLINE.finditer(prose):
        found += [f"{flaw}: {inline[0]}" for flaw in flaws_of_formula(inline[1])]
        before, after = prose[: inline.start()][-1:], prose[inline.end() :][:1]
        if inline[1] != inline[1].strip() or before not in ("", " ", "\n", "(") or after not in [*" \n,.;:?!)", ""]:
            found.append(f"a dollar that GitHub takes for money: {inline[0]}")
    if "$" in INLINE.sub("", prose):
        found.append("a dollar without a second one on its line")
    return found


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_mathematics_survives_markdown(page: Path) -> None:
    assert flaws_of_page(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "spoiled",
    [
        "it costs $5",
        "a $x $ b",
        "a$x$",
        "$x$b",
        "$x^{2$",
        "$}x{$",
        r"$\{0, 1\}$",
        r"$a\,b$",
        "$P(y|x)$",
        "$y^*$",
        r"$\mathbb{E}_y$",
        "$a<b$",
        "$[R](x)$",
        r"$\left( x$",
        "one\n$$\nx\n$$\n",
        "one\n\n$$\nx\n- y\n$$\n",
        "one\n\n$$\nx\n\ny\n$$\n",
        "one\n\n$$\nx \\\\\ny\n$$\n",
    ],
)
def test_mathematics_that_markdown_spoils_is_found(spoiled: str) -> None:
    assert flaws_of_page(spoiled)


def test_every_formula_comes_through_commonmark_as_it_is_and_can_be_typeset() -> None:
    """By a reader of CommonMark, and by matplotlib, which knows less of LaTeX than GitHub does."""
    page = text_of(INTRODUCTION)
    shown = html.unescape(MarkdownIt("commonmark").enable("table").render(page))
    prose = CODE.sub("code", FENCE.sub("", page))
    formulas = DISPLAY.findall(prose) + INLINE.findall(DISPLAY.sub("", prose))
    assert len(formulas) > 100
    typesetter = MathTextParser("agg")
    for formula in formulas:
        assert formula in shown
        braced = re.sub(r"\\(mathbb|mathbf) (.)", r"\\\1{\2}", " ".join(formula.split()))
        typesetter.parse(f"${braced}$")


def names_in(path: Path) -> set[str]:
    """What a file defines: functions, classes, constants; and, as `Class.name`, what stands in a class."""

    def defined(body: list[ast.stmt], prefix: str = "") -> set[str]:
        names = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + node.name)
            for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
                if isinstance(target, ast.Name):
                    names.add(prefix + target.id)
            if isinstance(node, ast.ClassDef):
                names |= defined(node.body, f"{node.name}.")
        return names

    return defined(ast.parse(path.read_text(encoding="utf-8")).body)


def symbol_table() -> list[tuple[str, str, str]]:
    """(symbol, name in the code, file) of each row of the introduction's table."""
    section = text_of(INTRODUCTION).split("## Every symbol")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith(("| $", "| softmax"))]
    found = [re.fullmatch(r"\| (.*?) \| [^|]+ \| \[`([\w.]+)`\]\(([^)]+)\)[^|]*\|", row) for row in rows]
    assert all(found), "every row: symbol | meaning | [`name`](file)"
    assert len(rows) == section.count("\n|") - 2
    return [(row[1], row[2], row[3]) for row in found if row]


@pytest.mark.parametrize(("symbol", "name", "file"), symbol_table(), ids=[row[1] for row in symbol_table()])
def test_a_symbol_stands_in_the_code_where_the_table_says(symbol: str, name: str, file: str) -> None:
    assert name in names_in((ROOT / "docs" / file).resolve()), f"{symbol}: no {name} in {file}"


def test_every_symbol_of_the_formulas_is_in_the_table() -> None:
    """Of what each formula is made: letters and Greek letters, but for the counters, the sums and the functions."""
    text = FENCE.sub("", text_of(INTRODUCTION))
    table = " ".join(symbol for symbol, _, _ in symbol_table())

    def symbols(formulas: str) -> set[str]:
        plain = re.sub(r"\\(mathrm|widehat|tilde|bar|hat)(?![a-z])", "", formulas)
        greek = set(re.findall(r"\\(?:pi|theta|beta|alpha|rho|nabla)(?![a-z])", plain))
        return greek | set(re.findall(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])", plain))

    counters = set("ikmnNTtuvcEP1") | {"X", "Y"}  # X and Y: the sets of all x and all y
    used = symbols(" ".join(DISPLAY.findall(text)))
    assert used >= {"x", "y", "R", "J", "b", "A", "V", "f", "D", "\\pi", "\\theta", "\\beta", "\\alpha", "\\nabla"}
    assert used - symbols(table) - counters == set()


def test_a_sentence_to_remember_has_the_same_words_on_every_page() -> None:
    wordings: dict[str, set[str]] = {}
    for page in (ROOT / "docs").glob("*.md"):
        text = " ".join(page.read_text(encoding="utf-8").split())
        for sentence in re.findall(r'Remember: "([^"]+)"', text):
            wordings.setdefault(" ".join(sentence.split()[:3]), set()).add(sentence)
    assert len(wordings) >= 4
    assert [different for different in wordings.values() if len(different) > 1] == []


@pytest.mark.skipif(os.name == "nt", reason="the documents' commands are typed into bash here")
@pytest.mark.parametrize("page", [INTRODUCTION, PRACTICE])
def test_each_command_prints_what_is_shown_below_it(page: str, tmp_path: Path) -> None:
    clone = copy_repository(tmp_path)
    assert type_in(clone, "make eval").returncode == 0
    walk(clone, page)


def test_the_figures_that_no_command_prints_hold() -> None:
    text = " ".join(text_of(INTRODUCTION).split())
    right, drawn = Counter[str](), Counter[str]()
    for result in Measurement(DEV, PACK):
        right[result.id] += result.reward == 1.0
        drawn[result.id] += 1
    n, c = drawn["dev-0003"], right["dev-0003"]
    chance = f"$1 - {math.comb(n - c, 4)}/{math.comb(n, 4)} = {stats.pass_at_k(n, c, 4):.3f}$"
    assert f"`dev-0003` has {c} right samples among {n}, so pass@4 is {chance}" in text
    assert f"with $p = {right.total() / drawn.total():.4f}$" in text
    bandit = load_bandit(DEV, PACK, None)
    probs = softmax(np.zeros(5))
    scores = log_prob_gradient(probs, np.arange(5))
    assert abs(probs @ scores).max() < 1e-12, "E[b ∇ log π] = 0"
    for b in (0.0, 0.2):
        gradient = (probs * (bandit.rewards - b)) @ scores
        assert f"is {gradient.max():.2f}, with $b = 0$ as with $b = 0.2$" in text
    drawn_step = scores[int(bandit.rewards.argmax())]
    assert f"is {drawn_step.max():.1f} for the drawn one and ${drawn_step.min():.1f}$" in text
    measured = map(json.loads, text_of("data/measured/goodhart_tolerant.jsonl").splitlines())
    curve = [row for row in measured if row["seed"] == 0 and row["step"] <= 40]
    first, last, best = curve[0], curve[-1], max(row["strict"] for row in curve)
    assert last["step"] == 40
    assert f"rose from {100 * first['proxy']:.1f} to {100 * last['proxy']:.1f} %" in text
    assert (
        f"rose from {100 * first['strict']:.1f} to {100 * best:.1f} %, then fell to {100 * last['strict']:.1f} %"
        in text
    )


def test_the_first_meeting_shows_two_steps_that_the_bandit_takes(command: Command, tmp_path: Path) -> None:
    steps = command("course.bandit_train", "--explain", "--runs-dir", tmp_path).out
    shown = re.findall(r'^it draws "(.*)" +reward (.) +--> .*: +(.*)$', text_of("docs/first_meeting.md"), re.MULTILINE)
    assert len(shown) == 2
    for completion, reward, moved in shown:
        step = rf"`{re.escape(completion)}`, reward {reward},.*\n.*\n.*\n.*\({re.escape(moved)}\)"
        assert re.search(step, steps), completion
