"""The page of a run: alone, safe whatever the run holds, and right about what it says."""

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from course.core.display import visible
from course.core.files import sha256, sha256_file, to_pretty_json
from course.core.manifest import MANIFEST, SUMMARY, sealed_bytes
from course.core.report.page import TEMPLATES, source_hash, spell, tables_of
from tests.browser import chromium_or_skip, complaints, desk, open_page
from tests.conftest import Command, write_rows

Evaluate = Callable[..., Path]
Page = Callable[..., Path]

HOSTILE = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "</script><script>window.pwned=1</script>",
    "</style><svg onload=window.pwned=1>",
    "<!--<script>",
    "{{7*7}}{% raw %}",
    "' autofocus onfocus='window.pwned=1",
    "javascript:window.pwned=1",
    "line\u2028end\u2029",
    "right\u202eto left",
    "nul\x00 and \x1b[31mred",
    "lone \ud800 surrogate",
    "two\nlines\tand  spaces ",
    "A" * 3000,
)
RESULT = '{"id":"a","sample":0,"prompt":"","expected_answer":1,"completion":"","reward":0,"details":%s}\n'
CONTRASTS = """
const number = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return {rgb: [r, g, b], a}; };
const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = element => { for (let e = element; e; e = e.parentElement) {
  const colour = number(getComputedStyle(e).backgroundColor); if (colour.a > 0) return colour.rgb; } };
const poor = [];
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
  const [a, b] = [light(number(getComputedStyle(e).color).rgb), light(ground(e))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) poor.push(`${e.tagName} ${e.className} ${contrast.toFixed(2)} ${e.textContent.slice(0, 30)}`);
}
return poor;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    yield from chromium_or_skip()


@pytest.fixture
def page(command: Command, tmp_path: Path) -> Page:
    """Write the page of some runs; the exit code must be as said, or either where None is said."""

    def write(*runs: Path, code: int | None = 0) -> Path:
        out = tmp_path / f"page_{len(list(tmp_path.glob('page_*')))}.html"
        done = command("course.report", *runs, "--out", out)
        assert done.code == code or (code is None and done.code in (0, 1)), done.err
        assert done.err == ""
        return out

    return write


@pytest.fixture
def hostile(evaluate: Evaluate, tmp_path: Path) -> Path:
    """A run in which everything that someone else may write is an attack."""
    rows = [{"id": f"{n} {text}", "prompt": text, "expected_answer": n} for n, text in enumerate(HOSTILE)]
    data = write_rows(tmp_path / "hostile_dev.jsonl", rows)
    said = write_rows(
        tmp_path / "hostile.jsonl", [{"id": f"{n} {text}", "completion": text} for n, text in enumerate(HOSTILE)]
    )
    everything = " ".join(HOSTILE[:-1])
    sampling = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 16, "samples_per_prompt": 1, "seed": 0}
    sidecar = {
        "policy": everything,
        "policy_sha256": "a" * 64,
        "tokenizer_sha256": everything,
        "sampling": sampling,
        "prompts_sha256": json.loads((evaluate(data=data, said=said) / MANIFEST).read_text())["prompts_sha256"],
        "completions_sha256": sha256(said.read_bytes()),
        "command": everything,
        "created": everything,
    }
    said.with_name("hostile.meta.json").write_text(json.dumps(sidecar))
    parent = tmp_path / "runs" / "run_001"
    return evaluate("--parent", parent, "--change", everything, "--note", everything, data=data, said=said)


@pytest.fixture
def two_runs(evaluate: Evaluate, completions: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run, and one with a declared change: x0 lost, x1 and x2 won, x3 tied."""
    texts = ["Final: 0", "Final: 2", "Final: 3", "Final: 4\nDone."]
    said = write_rows(tmp_path / "better.jsonl", [{"id": f"x{n}", "completion": text} for n, text in enumerate(texts)])
    before = evaluate(said=completions)
    return before, evaluate("--parent", before, "--change", "a <b>bold</b> prompt", said=said)


def data_of(path: Path) -> Any:
    """The rows that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def text_of(path: Path) -> str:
    """The page's text, without its style, its script and its data."""
    plain = re.sub(r"<(script|style).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", plain)).split())


# --- what the page is, without a browser


def test_the_page_says_what_was_measured(evaluate: Evaluate, page: Page) -> None:
    run = evaluate("--note", "as it is")
    text = text_of(page(run))
    for words in (
        "Loop A, measurement",
        "1/4 = 25.0 %",
        "95 % interval 4.6 % to 69.9 %",
        "1 of 4 completions pass. The commonest failure, 1 of 3,",
        "Verification verified: all but the claims was derived again from the originals",
        "Golden gate passed, ",
        "note as it is",
        json.loads((run / MANIFEST).read_text())["seal"],
        "it never says `Final:`",
    ):
        assert words in text, words


def test_a_gate_with_cases_of_ones_own_is_no_failure(evaluate: Evaluate, page: Page) -> None:
    run = evaluate()
    manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    del manifest["seal"]
    manifest["golden"]["yours"] += 3
    manifest["golden"]["cases"] += 3
    summary = json.loads((run / SUMMARY).read_text(encoding="utf-8"))
    summary["golden"] = {name: value for name, value in manifest["golden"].items() if name != "sha256"}
    (run / SUMMARY).write_bytes(to_pretty_json(summary))
    manifest["files"][SUMMARY] = sha256_file(run / SUMMARY)
    (run / MANIFEST).write_bytes(sealed_bytes(manifest))
    cases = manifest["golden"]["cases"]
    assert (
        f"Golden gate passed, {cases} cases ({manifest['golden']['yours']} of them yours): 0 false positives"
        in text_of(page(run))
    )


def test_the_page_stands_alone(evaluate: Evaluate, page: Page) -> None:
    text = page(evaluate()).read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert re.findall(r"\s(?:src|href|srcset|action|data)=", text) == []
    assert "@import" not in text
    assert "url(" not in text
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert policy is not None
    rules = html.unescape(policy[1]).split("; ")
    script, style = re.search(r"<script>(.*?)</script>", text, re.S), re.search(r"<style>(.*?)</style>", text, re.S)
    assert script is not None
    assert style is not None
    assert rules == [
        "default-src 'none'",
        f"script-src '{source_hash(script[1])}'",
        f"style-src '{source_hash(style[1])}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not re.search(r"<[^>]*\s(on\w+|style)=", text), "the policy would stop it"


def test_the_script_shows_data_as_text_only() -> None:
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "fetch", "import("):
        assert way not in script


def test_the_same_run_gives_the_same_bytes(evaluate: Evaluate, page: Page) -> None:
    run = evaluate()
    assert page(run).read_bytes() == page(run).read_bytes()


def test_nothing_of_a_run_is_markup(hostile: Path, page: Page) -> None:
    path = page(hostile)
    text = path.read_text(encoding="utf-8")
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "<img" not in text
    assert not set(text) & {"\u2028", "\u2029", "\u202e", "\x00", "\x1b"}
    assert "{{7*7}}" in text
    data = data_of(path)
    assert [row[4][1] for row in data["rows"]] == [visible(said) for said in HOSTILE]
    assert data["prompts"] == [visible(said) for said in HOSTILE]


def test_whole_numbers_stay_whole(evaluate: Evaluate, page: Page, tmp_path: Path) -> None:
    large = 10**18 - 1
    data = write_rows(tmp_path / "large_dev.jsonl", [{"id": "x", "prompt": "?", "expected_answer": large}])
    said = write_rows(tmp_path / "large.jsonl", [{"id": "x", "completion": f"Final: {large}"}])
    row = data_of(page(evaluate(data=data, said=said)))["rows"][0]
    assert row[2] == row[4][4] == str(large)


def test_a_missing_completion_and_several_samples(evaluate: Evaluate, page: Page, tmp_path: Path) -> None:
    rows = [{"id": f"x{n}", "completion": f"Final: {n + 1 - s}", "sample": s} for n in range(3) for s in range(2)]
    path = page(evaluate(said=write_rows(tmp_path / "some.jsonl", rows)))
    text, data = text_of(path), data_of(path)
    assert "3/7 = 42.9 %" in text
    assert "over 4 examples; pass@1 37.5 %" in text
    assert re.search(r"k 1 2 pass@k 37\.5 % 75\.0 %", text)
    assert data["rows"][-1][4][1] is None
    assert "missing_completion" in data["codes"]


def test_two_runs_are_compared(two_runs: tuple[Path, Path], page: Page, command: Command) -> None:
    path = page(*two_runs)
    text, data = text_of(path), data_of(path)
    said = command("course.compare", *two_runs).out
    verdict = said.split("Verdict: ")[1].split("\n")[0]
    assert verdict[1:] in text
    assert "by example 2 wins, 1 losses, 1 ties" in text
    assert "a <b>bold</b> prompt" in text
    assert "declared change differs" in text
    assert [row[3] for row in data["rows"]] == [1, 0, 0, 2]
    assert [row[5][1] for row in data["rows"]] == ["Final: 0", "Final: 2", "Final: 3", "Final: 4↵Done."]


def test_samples_are_set_side_by_side_as_far_as_there_are(
    evaluate: Evaluate, completions: Path, page: Page, tmp_path: Path
) -> None:
    before = evaluate(said=completions)
    rows = [{"id": f"x{n}", "completion": "Final: 1", "sample": s} for n in range(4) for s in range(2)]
    after = evaluate("--parent", before, "--change", "x", said=write_rows(tmp_path / "twice.jsonl", rows))
    found = data_of(page(before, after))["rows"]
    assert len(found) == 8
    assert sum(row[4] is None for row in found) == 4


def test_a_refusal_names_what_differs(two_runs: tuple[Path, Path], page: Page, command: Command) -> None:
    path = page(two_runs[1], two_runs[0], code=1)
    text = text_of(path)
    assert "Refused: these two runs cannot be compared" in text
    assert "the order: the first run declares a change since the second swap the two runs" in text
    assert 'id="data"' not in path.read_text()
    assert command("course.report", two_runs[1], two_runs[0]).out.startswith("REFUSED")


def test_a_tampered_run_says_so_first(evaluate: Evaluate, page: Page) -> None:
    run = evaluate()
    results = run / "results.jsonl"
    results.write_text(results.read_text().replace("Final: 7", "Final: 2").replace('{"id":"x3"', '{"id:"x3"'))
    text = text_of(page(run, code=1))
    assert text.index("is tampered or damaged") < text.index("Verdict")
    assert "results.jsonl, line 2: the line does not fit its checksum" in text
    assert "1 line of its results cannot be read" in text
    assert "Not to be trusted: " in text
    assert "1/3 = 33.3 %" in text
    assert "a run that does not verify" in text_of(page(run, run, code=1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", "{"),
        ("manifest.json", '{"format": 1, "files": {}}'),
        ("manifest.json", '{"format": 1, "files": {"results.jsonl": 5}, "sampling": 3, "golden": {"cases": []}}'),
        ("manifest.json", '{"format": 1, "files": {}, "core": 1, "circumstances": [], "dataset": 1, "change": "x"}'),
        ("summary.json", "[1]"),
        ("summary.json", "{"),
        ("results.jsonl", ""),
        ("results.jsonl", RESULT % '{"code":[]}'),
        ("results.jsonl", RESULT % "{}"),
    ],
)
def test_a_damaged_run_still_gets_a_page(name: str, content: str, evaluate: Evaluate, page: Page) -> None:
    run = evaluate()
    (run / name).write_text(content)
    text = text_of(page(run, code=1))
    assert "is tampered or damaged" in text
    assert ("1/4 = 25.0 %" in text) == (name != "results.jsonl"), "what can be read is shown"
    page(run, run, code=1)


def test_a_forged_manifest_does_no_harm(evaluate: Evaluate, page: Page) -> None:
    """A manifest can be sealed anew by anyone, so what it holds may have any shape."""
    run = evaluate()
    manifest = json.loads((run / MANIFEST).read_text())
    values: tuple[Any, ...] = (None, 1, [], {}, {"sealed": 1}, "<b>")
    keys = ("sampling", "policy", "golden", "circumstances", "completions", "dataset", "change", "core", "note", "loop")
    for key in (*keys, "selection", "settings", "experiment"):
        for value in values:
            forged = {**manifest, key: value}
            forged.pop("seal")
            (run / MANIFEST).write_bytes(sealed_bytes(forged))
            page(run, code=None)
            page(run, run, code=None)


def test_a_run_of_learning_shows_its_curves(command: Command, page: Page, tmp_path: Path) -> None:
    assert command("course.policy_gradient_demo", "--runs-dir", tmp_path / "runs").code == 0
    run = tmp_path / "runs" / "run_001"
    path = page(run)
    text = text_of(path)
    assert "Loop C, learning" in text
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    before, after = summary["mean_reward_before"], summary["mean_reward_after"]
    assert f"The policy's expected reward went from {before:.3f} to {after:.3f}." in text
    assert f"settings and seeds {spell(json.loads((run / MANIFEST).read_text())['settings'])}" in text
    assert "Golden gate passed, " in text
    images = re.findall(r'<img src="(data:image/png;base64,[^"]*)" alt="([^"]*)">', path.read_text())
    assert len(images) == 1
    assert images[0][1].startswith("The probability of every action")
    (run / "policy_gradient.png").write_text("<svg onload=window.pwned=1>")
    damaged = page(run, code=1)
    assert "<img" not in damaged.read_text()
    assert "policy_gradient.png: changed since the run was sealed" in text_of(damaged)
    assert command("course.policy_gradient_demo", "--runs-dir", tmp_path / "runs").code == 0
    other = tmp_path / "runs" / "run_002"
    assert "a run that measured no completions" in text_of(page(other, other, code=1))


def test_a_summary_becomes_tables() -> None:
    summary = {
        "loop": "C",
        "first": {"strict": 0.25, "codes": {"passed": 1}},
        "last": {"strict": 0.5, "codes": {"passed": 2}},
        "sweep": [{"beta": 1.0, "kl": 2}, {"beta": 3.0, "kl": None}],
    }
    single, pair, sweep = tables_of(summary)
    assert single.rows == [["loop", "C"]]
    assert pair.columns == ["name", "first", "last"]
    assert pair.rows == [["strict", "0.25", "0.5"], ["codes: passed", "1", "2"]]
    assert sweep.rows == [["1", "2"], ["3", "none"]]
    assert tables_of({}) == []
    assert spell({"a": True, "b": [1, [2, 3]]}) == "a yes; b 1, (2, 3)"


def test_where_the_page_goes(evaluate: Evaluate, command: Command, two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = two_runs
    done = command("course.report", first)
    assert done.out == f"Page written to {first.parent / 'report_run_001.html'}; open it in a browser\n"
    assert command("course.report", first, second).code == 0
    assert (first.parent / "report_run_001_run_002.html").is_file()
    for place in (first / "page.html", first / "deeper" / "page.html"):
        done = command("course.report", first, "--out", place)
        assert done.code == 2
        assert "run_001 is a run, which is sealed" in done.err
        assert not place.exists()
    assert command("course.verify_run", "--run", first).code == 0


def test_bad_input_is_one_line(evaluate: Evaluate, command: Command, tmp_path: Path) -> None:
    run = evaluate()
    (tmp_path / "empty").mkdir()
    for words, reason in (
        ((tmp_path / "nowhere",), "no such run"),
        ((tmp_path / "empty",), "not a run"),
        ((run, run, run), "each run once"),
        ((run, "--out", tmp_path), "cannot write: it is a folder"),
    ):
        done = command("course.report", *words)
        assert done.code == 2
        assert reason in done.err
        assert done.err.count("\n") == 1


# --- what a reader meets, in a browser


def test_ci_must_have_a_browser_and_a_student_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI needs a browser"):
        next(chromium_or_skip())
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no chromium"):
        next(chromium_or_skip())


def shown(browser: webdriver.Chrome) -> list[str]:
    """The ids of the rows on the screen."""
    rows: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#rows tr:not(.fold) th')].map(e => e.textContent)"
    )
    return rows


def status(browser: webdriver.Chrome) -> str:
    return browser.find_element("id", "count").text


def press(browser: webdriver.Chrome, *keys: str) -> None:
    """Type on whatever has the focus."""
    browser.switch_to.active_element.send_keys(*keys)


def test_a_hostile_run_runs_nothing(browser: webdriver.Chrome, hostile: Path, page: Page) -> None:
    renamed = hostile.parent / "'\"><img src=x onerror=window.pwned=1>{{7*7}}"
    shutil.copytree(hostile, renamed)
    parent = hostile.parent / "run_001"
    for path in (page(hostile), page(renamed), page(parent, hostile, code=1), page(parent, parent)):
        open_page(browser, path)
        browser.execute_script("document.querySelectorAll('#rows button, [data-code]').forEach(e => e.click())")
        browser.execute_script("document.querySelectorAll('#rows button').forEach(e => e.click())")
        assert browser.execute_script("return window.pwned") is None
        assert complaints(browser) == []
        assert browser.find_elements("tag name", "img") == []
        loaded = "return performance.getEntriesByType('resource').length"
        assert browser.execute_script(loaded) == 0, "nothing is fetched"
    open_page(browser, page(hostile))
    said = browser.execute_script("return [...document.querySelectorAll('#rows .said-text')].map(e => e.textContent)")
    assert said == [visible(text)[:300] for text in HOSTILE]
    assert visible(HOSTILE[0]) in browser.find_element("tag name", "body").text


def test_bars_filter_by_mouse_and_by_key(browser: webdriver.Chrome, evaluate: Evaluate, page: Page) -> None:
    open_page(browser, page(evaluate()))
    assert shown(browser) == ["x0", "x1", "x2", "x3"]
    bar = browser.find_element("xpath", "//button[@data-code][contains(., 'missing_prefix')]")
    bar.click()
    assert shown(browser) == ["x2"]
    assert bar.get_attribute("aria-pressed") == "true"
    bar.click()
    assert len(shown(browser)) == 4
    bar.send_keys(Keys.SPACE)
    assert shown(browser) == ["x2"]
    press(browser, Keys.TAB)
    press(browser, Keys.ENTER)
    assert len(shown(browser)) == 1
    assert shown(browser) != ["x2"], "the next bar was pressed instead"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid", "the focus is seen"
    press(browser, Keys.ESCAPE)
    assert len(shown(browser)) == 4
    browser.find_element("xpath", "//button[@data-outcome][.='failed']").click()
    assert shown(browser) == ["x1", "x2", "x3"]
    assert complaints(browser) == []


def test_search_by_keyboard(browser: webdriver.Chrome, evaluate: Evaluate, page: Page) -> None:
    open_page(browser, page(evaluate()))
    press(browser, "/")
    press(browser, "FINAL: 7")
    assert shown(browser) == ["x1"]
    assert status(browser) == "showing 1 to 1 of 1 found, of 4 in all"
    press(browser, Keys.ESCAPE)
    assert shown(browser) == ["x0", "x1", "x2", "x3"]
    press(browser, "compute 2+1")
    assert shown(browser) == ["x2"]
    press(browser, "/ nothing like it")
    assert status(browser) == "nothing found, of 4 in all"
    browser.find_element("id", "clear").click()
    assert status(browser) == "showing 1 to 4 of 4"
    press(browser, "x3")
    assert shown(browser) == ["x3"]
    assert complaints(browser) == []


def test_details_unfold(browser: webdriver.Chrome, evaluate: Evaluate, page: Page) -> None:
    open_page(browser, page(evaluate()))
    button = browser.find_elements("css selector", "#rows button")[1]
    fold = browser.find_elements("css selector", "#rows .fold")[1]
    assert not fold.is_displayed()
    button.send_keys(Keys.ENTER)
    assert fold.is_displayed()
    assert button.get_attribute("aria-expanded") == "true"
    for words in ("the line is in form, but the number is not the expected one", "extracted\n7", "is_in_form: yes"):
        assert words in fold.text


def test_wins_and_losses_filter(browser: webdriver.Chrome, two_runs: tuple[Path, Path], page: Page) -> None:
    open_page(browser, page(*two_runs))
    for word, ids in (("wins", ["x1", "x2"]), ("losses", ["x0"]), ("ties", ["x3"])):
        browser.find_element("xpath", f"//button[@data-outcome][.='{word}']").click()
        assert shown(browser) == ids
    browser.find_elements("css selector", "#rows button")[0].click()
    assert "Before: run_001" in browser.find_element("css selector", "#rows .fold").text
    assert complaints(browser) == []


def test_ten_thousand_rows_are_shown_a_page_at_a_time(
    browser: webdriver.Chrome, evaluate: Evaluate, page: Page, tmp_path: Path
) -> None:
    rows = [{"id": f"x{n}", "prompt": f"Compute {n}+1.", "expected_answer": n + 1} for n in range(10_000)]
    said = [{"id": f"x{n}", "completion": f"Final: {n + n % 2}"} for n in range(10_000)]
    run = evaluate(data=write_rows(tmp_path / "many_dev.jsonl", rows), said=write_rows(tmp_path / "many.jsonl", said))
    open_page(browser, page(run))
    drawn = "return document.querySelectorAll('#rows tr').length"
    assert browser.execute_script(drawn) == 200, "100 results, each with its details folded away"
    assert status(browser) == "showing 1 to 100 of 10,000"
    following = browser.find_element("css selector", "[data-turn='1']")
    following.click()
    assert status(browser) == "showing 101 to 200 of 10,000"
    assert shown(browser)[0] == "x100"
    browser.find_element("css selector", "[data-turn='-1']").click()
    assert status(browser) == "showing 1 to 100 of 10,000"
    browser.find_element("id", "search").send_keys("x999")
    assert status(browser) == "showing 1 to 11 of 11 found, of 10,000 in all"
    assert browser.execute_script(drawn) == 22
    assert complaints(browser) == []


def test_every_page_fits_a_phone_and_can_be_read_in_the_dark(
    browser: webdriver.Chrome, hostile: Path, two_runs: tuple[Path, Path], page: Page, command: Command
) -> None:
    runs = hostile.parent
    assert command("course.kl_tradeoff_demo", "--runs-dir", runs).code == 0
    learned = sorted(runs.glob("run_*"))[-1]
    damaged = runs / "damaged"
    shutil.copytree(two_runs[0], damaged)
    (damaged / "summary.json").write_text("{}")
    pages = [page(hostile), page(*two_runs), page(two_runs[1], hostile, code=1), page(learned), page(damaged, code=1)]
    try:
        for path in pages:
            for scheme in ("light", "dark"):
                for width in (390, 1280):
                    desk(browser, width, scheme=scheme)
                    open_page(browser, path)
                    browser.execute_script("document.querySelectorAll('#rows button').forEach(e => e.click())")
                    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
                    assert browser.execute_script(CONTRASTS) == []
                    assert complaints(browser) == []
            ground = browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
            assert ground == "rgb(20, 23, 27)"
    finally:
        desk(browser)


def test_without_script_the_page_still_says_what_failed(
    browser: webdriver.Chrome, evaluate: Evaluate, page: Page
) -> None:
    path = page(evaluate())
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.resolve().as_uri())
        text = browser.find_element("tag name", "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "need JavaScript, which is off. The first 3 of 3 failures" in text
    assert "The answer is 3." in text
    assert "40/200" not in text
    assert "1/4 = 25.0 %" in text
