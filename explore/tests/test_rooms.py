"""Every room in a real browser: it opens, its knobs move something, its numbers are the command's, text stays text."""

import csv
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from selenium import webdriver

from course.core import power, stats
from course.core.bandit import BASELINES
from course.core.display import percent
from course.policy_gradient_demo import prediction
from explore.show import ROOMS
from explore.tests.conftest import LEFT, RIGHT, House, Page, typed, wait_for
from tests.browser import complaints, console, desk

# How each knob is moved: keys, a choice, a text, or a press.
KNOBS: dict[str, dict[str, Any]] = {
    "measure": {
        "The prompt": ("choose", "Compute 64+46. Output exactly one line: Final: <int>."),
        "The completion": ("write", "Final: 0323"),
        "zero-width space": ("press",),
        "no-break space": ("press",),
        "soft hyphen": ("press",),
        "right-to-left override": ("press",),
        "newline": ("press",),
        "tab": ("press",),
        "full-width 3": ("press",),
    },
    "how_sure": {"Examples, n": LEFT, "True rate": RIGHT, "True change, if there is one": RIGHT},
    "selection": {
        "Samples to choose from, N": LEFT,
        "Rule": ("choose", "the worst"),
        "Selecting rubric": ("choose", "format_only"),
        "Seed of the control": ("write", "3"),
        "Click a prompt to see its samples": None,  # a test of its own
    },
    "push": {
        "up": ("press",),
        "down": ("press",),
        "same": ("press",),
        "Pace": ("press", "fast"),
        "Learning rate": RIGHT,
        "Samples for each step": RIGHT,
        "Steps": LEFT,
        "Seed": ("write", "5"),
        "Baseline": ("choose", "none"),
    },
    "credit": {
        "Horizon: steps": RIGHT,
        "The log shows credit by": ("press", "immediate"),
        "Episodes": LEFT,
        "Learning rate": LEFT,
        "Seed": ("write", "5"),
    },
    "leash": {
        "Leash, beta": LEFT,
        "The loophole": ("write", "323 or 324"),
        "Rewards by": ("choose", "anywhere"),
    },
    "learn": {
        "It is paid by": ("choose", "tolerant"),
        "Leash, beta": RIGHT,
        "Rewards flipped, share": RIGHT,
        "Steps": LEFT,
        "Seed": ("write", "5"),
        "Go": None,  # these have a test of their own
        "Stop": None,
        "Save as a run": None,
    },
}


def turn(page: Page, label: str, how: Any) -> Page:
    """Move a knob."""
    if isinstance(how, str):
        return page.keys(label, how)
    what, *value = how
    if what == "press":
        return page.press(label) if not value else page.check(label, value[0])
    return page.choose(label, value[0]) if what == "choose" else page.write(label, value[0])


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_opens_every_knob_moves_something_and_nothing_is_wrong(page: Page, room: str) -> None:
    page.open(f"{room}/")
    assert page.browser.find_element("css selector", "h1").text == ROOMS[room].title
    assert sorted(page.labels) == sorted(KNOBS[room]), "every knob has its test"
    for label, how in KNOBS[room].items():
        if how is not None:
            before = page.seen
            turn(page, label, how)
            page.changed(before)
    assert page.wrong == []


def test_the_front_page_leads_to_every_room(page: Page) -> None:
    page.browser.get(f"{page.house.address}/")
    found = page.browser.find_elements("css selector", "ol a")
    assert [a.text for a in found] == [f"{room.title} {room.question}" for room in ROOMS.values()]
    assert [a.get_attribute("href") for a in found] == [f"{page.house.address}/{name}/" for name in ROOMS]
    assert page.wrong == []


# The page's numbers beside the command's.


def rows_of(printed: str, first: str) -> list[list[str]]:
    """The cells of the printed rows that begin with a pattern."""
    return [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines() if re.match(first, line.strip())]


def test_measure_says_what_the_commands_say(page: Page) -> None:
    text = "Final: 322 or 323"
    page.open("measure/").write("The completion", text)
    wait_for(lambda: page.fact("reward") == "0")
    page.quiet()
    assert page.command == f"python -m course.try_one --rubrics -- 323 '{text}'"
    printed = typed(page.house.folder, ["python", "-m", "course.try_one", "--rubrics", "--", "323", text])
    said = dict(re.findall(r"^(\w+): +(.*)$", printed, re.MULTILINE))
    assert (page.fact("reward"), page.fact("code")) == (said["reward"], said["code"].split()[0])
    pays = dict(row[:2] for row in rows_of(printed, r"\w+ +[0-9.]+$"))
    assert {name: paid for name, paid, _ in page.table("rubric")} == pays
    log = typed(page.house.folder, ["python", "-m", "course.token_inspect", text])
    each = re.search(r"log p of each: (.*)", log)
    assert each is not None
    assert "  ".join(" ".join(row) for row in page.table("token")) == each[1]
    assert f"log π0(text | prompt) = {re.search(r'prompt. = (-[0-9.]+)', log)[1]}," in page.text  # type: ignore[index]
    tokens = [row[2] for row in page.table("tokenizer")]
    assert all(boundaries in log for boundaries in tokens)


def test_how_sure_says_what_course_plan_says(page: Page) -> None:
    page.open("how_sure/").keys("Examples, n", *[LEFT] * 4).keys("True change, if there is one", *[RIGHT] * 5).quiet()
    assert page.command == "python -m course.plan --before 0.2 --after 0.3 --n 75"
    printed = typed(page.house.folder, page.command.split())
    assert f"75 {page.fact('power of 75 examples')}" in " ".join(printed.split())
    for wanted in ("80", "90"):
        assert f"power of {wanted} %: {page.fact(f'examples for a power of {wanted} %')} or more" in printed
    assert f"75 examples can show: {page.fact('75 examples can show')}" in printed
    low, high = stats.wilson(0.2, 75)
    assert page.fact("95 % interval of a rate of 20.0 %") == f"{percent(low)} to {percent(high)}"
    luck = power.rules(75, *power.independent(0.2, 0.2), apart=0.05)
    assert luck.noise_rule is not None
    assert [row[1] for row in page.table("rule")] == [percent(luck.exact), percent(luck.noise_rule)]
    assert page.fact("two rates differ by 5 points or more") == percent(luck.apart)


def test_select_says_what_selection_demo_says_and_shows_a_prompts_samples(page: Page) -> None:
    page.open("selection/").keys("Samples to choose from, N", *[LEFT] * 3)
    page.choose("Selecting rubric", "anywhere").write("Seed of the control", "7").quiet()
    line = "python -m course.selection_demo --n 5 --select-with anywhere --seed 7"
    assert page.command == line
    printed = typed(page.house.folder, line.split())
    rates = [row[-1] for row in rows_of(printed, "N = ")]
    assert [page.fact(name) for name in ("N is 1 the first sample", "chosen", "picked at random")] == rates
    assert page.table("k") == rows_of(printed, r"[1-8] +[0-9.]+ %")
    rows = [json.loads(line) for line in newest_run(page.house, "selection_demo.jsonl").read_text().splitlines()]
    page.press_row(2)
    title = f"{rows[2]['id']}: {rows[2]['prompt']}"
    shown = page.table(title)
    assert [row[2] for row in shown] == [f"{reward:g}" for reward in rows[2]["rewards"]]
    assert [row[3] for row in shown] == [code or "it passes" for code in rows[2]["codes"]]
    assert shown[rows[2]["chosen"]][1] == "chosen"


def test_push_says_what_bandit_train_says(page: Page) -> None:
    page.open("push/").check("Pace", "fast").keys("Samples for each step", RIGHT).choose("Baseline", "batch")
    page.write("Seed", "4").quiet()
    line = "python -m course.bandit_train --seed 4 --baseline batch --batch 2"
    assert sorted(page.command.split()) == sorted(line.split())
    printed = typed(page.house.folder, line.split())
    ends = rows_of(printed, r"[0-4] +0\.200")
    assert [[a, b, c] for a, _, b, c, _ in page.table("After 60 steps")] == [row[:3] for row in ends]
    log = [json.loads(line) for line in newest_run(page.house, "bandit_train_log.jsonl").read_text().splitlines()]
    second = page.table("The first steps")[1]
    assert [float(number) for number in second] == pytest.approx(
        [log[2][name] for name in ("step", "action", "reward", "baseline", "advantage", "prob", "prob_after")],
        abs=0.0005,
    )
    variances = rows_of(printed, r"0\.[259] +[01] and")
    assert page.table("chance of the right action") == variances
    assert len(variances[0]) == 2 + len(BASELINES)


def test_a_prediction_is_sealed_before_its_step_is_shown_and_the_score_is_kept(page: Page) -> None:
    page.open("push/").write("Seed", "11").quiet()
    assert "The step is shown here when you have predicted it." in page.text
    assert "= advantage" not in page.text
    seal, right = "", 0
    line = "python -m course.bandit_train --seed 11"
    typed(page.house.folder, line.split())
    log = [json.loads(row) for row in newest_run(page.house, "bandit_train_log.jsonl").read_text().splitlines()]
    for number, word in enumerate(("up", "down", "same", "down"), start=1):
        step = log[number - 1]
        assert f"Step {number}: action {step['action']} was drawn" in page.text
        page.press(word)
        page.says(f"Step {number}: you predicted")
        came = "up" if step["prob_after"] > step["prob"] else "down" if step["prob_after"] < step["prob"] else "same"
        right += word == came
        seen = SimpleNamespace(step=number, prob=step["prob"], prob_after=step["prob_after"])
        seal = prediction(word, seen, seal)["seal"]  # type: ignore[arg-type]
        assert f"Step {number}: you predicted {word}; it went {came}" in page.text
        assert f"Sealed before the step was shown: {seal[:12]}, prediction {number}." in page.text
        assert f"Predictions right: {right}/{number}" in page.text
    page.check("Pace", "fast").quiet().check("Pace", "step by step").quiet()
    assert "You have seen these steps; take another seed." in page.text
    page.write("Seed", "12").quiet()
    assert f"Predictions right: {right}/4" in page.text
    assert "Step 1: action" in page.text


def test_credit_says_what_toy_mdp_says(page: Page) -> None:
    page.open("credit/").keys("Horizon: steps", RIGHT).keys("Episodes", LEFT).write("Seed", "2").quiet()
    line = "python -m course.toy_mdp --horizon 3 --episodes 350 --seed 2"
    assert page.command == line
    printed = typed(page.house.folder, line.split())
    table = page.table("After 350 episodes, over 20 seeds: lowest to highest")
    assert table == rows_of(printed, r"(return|immediate) +0")
    log = [json.loads(row) for row in newest_run(page.house, "toy_mdp_log.jsonl").read_text().splitlines()]
    fields = ("reward", "return", "credit", "baseline", "advantage", "prob", "prob_after")
    assert [row[4:] for row in page.table("episode")] == [[f"{row[name]:.3f}" for name in fields] for row in log[:18]]


@pytest.mark.parametrize("rewards", ["anywhere", "your own"])
def test_leash_says_what_kl_tradeoff_demo_says(page: Page, rewards: str) -> None:
    page.open("leash/").keys("Leash, beta", *[LEFT] * 2).choose("Rewards by", rewards)
    page.write("The loophole", "<b>323</b> or 324").quiet()
    if rewards == "your own":
        page.keys("323", *[RIGHT] * 4).quiet()
    line = page.command
    words = [*line.split(" --loophole ")[0].split(), "--loophole", "<b>323</b> or 324"]
    printed = typed(page.house.folder, words)
    rows = list(csv.DictReader(newest_run(page.house, "kl_tradeoff.csv").read_text().splitlines()))
    (row,) = (row for row in rows if row["beta"] == "0.03")
    for name, column in (("mean reward", "mean_reward"), ("KL in nats", "kl")):
        assert page.fact(name) == f"{float(row[column]):.3f}"
    policy = sorted(page.table("The best policy with beta 0.03"), key=lambda cells: -float(cells[-1]))
    top = re.findall(r"\((0\.\d+|1\.0+)\)", row["top_actions"])
    assert [float(cells[-1]) for cells in policy[:3]] == pytest.approx([float(p) for p in top], abs=0.0006)
    shown = next(cells for cells in page.table("beta") if cells[0] == "0.03")
    assert shown[1:] == rows_of(printed, r"0\.03 ")[0][1:5]


def newest_run(house: House, file: str) -> Path:
    """A file of the newest run that has it."""
    return max(house.folder.glob(f"runs/run_*/{file}"), key=lambda path: path.stat().st_mtime_ns)


# Learn.


def test_learn_runs_stops_goes_on_and_saves_the_run_of_the_command_byte_for_byte(page: Page, tmp_path: Path) -> None:
    page.open("learn/").choose("It is paid by", "tolerant").quiet().keys("Leash, beta", *[RIGHT] * 3)
    page.keys("Rewards flipped, share", RIGHT).keys("Steps", *[LEFT] * 3).write("Seed", "3").quiet()
    page.press("Save as a run")
    page.says("only a learning that has come to its last step is a run")
    page.press("Go")
    wait_for(lambda: re.search(r"step ([89]|1[0-6]) of 16", page.text))
    pictures = page.seen
    page.press("Stop")
    page.says("Stopped. Go continues from the last measurement.")
    page.press("Go")
    page.says("Done: 16 steps")
    assert page.seen != pictures
    steps = [row[0] for row in page.table("step")]
    assert steps == ["0", "8", "16"]
    page.press("Save as a run")
    said = wait_for(lambda: re.search(r"Saved as (\S+); verify_run: whole: every hash fits\.", page.text))
    run = page.house.folder / said[1]
    assert "whole. Every hash fits" in typed(page.house.folder, ["python", "-m", "course.verify_run", "--run", run])
    line = page.command
    options = "--rubric tolerant --beta 0.1 --reward-flip-rate 0.05 --steps 16 --seed 3"
    assert line == f"python -m course.policy.train {options}"
    typed(page.house.folder, [*line.split(), "--runs-dir", tmp_path])
    other = tmp_path / "run_001"
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    assert files == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    for name in files - {Path("manifest.json")}:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    manifests = [json.loads((folder / "manifest.json").read_bytes()) for folder in (run, other)]
    for manifest in manifests:
        del manifest["circumstances"], manifest["seal"]
    assert manifests[0] == manifests[1]
    assert page.wrong == []


def test_learn_pays_by_the_students_own_rubric_and_says_in_one_line_what_is_wrong_with_it(page: Page) -> None:
    patch = page.house.folder / "notes" / "patch.py"
    before = patch.read_text(encoding="utf-8")
    try:
        patch.write_text("def patched(example, completion): return <b>", encoding="utf-8")
        page.open("learn/").choose("It is paid by", "patched")
        page.says("it must define the function patched; it raised SyntaxError")
        patch.write_text(before, encoding="utf-8")
        page.keys("Steps", *[LEFT] * 4).quiet()
        page.press("Go")
        page.says("Done: 8 steps")
        assert "--rubric patched --steps 8" in page.command
        page.open("learn/").choose("It is paid by", "patched").quiet().keys("Steps", *[LEFT] * 4).quiet()
        page.press("Go").says("Done: 8 steps")  # what was learned already is shown again
        assert [row[0] for row in page.table("step")] == ["0", "8"]
    finally:
        patch.write_text(before, encoding="utf-8")


def test_what_is_to_be_typed_can_be_typed_where_a_text_begins_like_an_option(page: Page) -> None:
    page.open("measure/").write("The completion", "-x").quiet()
    assert "reward:     0" in typed(page.house.folder, shlex.split(page.command))
    page.open("leash/").write("The loophole", "-x").quiet()
    assert "-x" in typed(page.house.folder, shlex.split(page.command))


@pytest.mark.parametrize("room", ["push", "credit", "selection"])
def test_an_empty_seed_is_no_error(page: Page, room: str) -> None:
    label = "Seed of the control" if room == "selection" else "Seed"
    page.open(f"{room}/").write(label, "5").quiet()
    page.write(label, "").quiet()
    assert page.wrong == []
    assert page.command.endswith(("--seed 5", page.command.split(" --")[0])), "the old one, or none"


# Text stays text; keyboard, phone, dark.

HOSTILE = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> $x$ **b** [l](javascript:window.hacked=1) '
    "http://evil.example/x.png {{7*7}} \u202e"
)


@pytest.mark.parametrize(("room", "field"), [("measure", "The completion"), ("leash", "The loophole")])
def test_a_hostile_completion_shows_as_text(page: Page, room: str, field: str) -> None:
    page.open(f"{room}/").write(field, HOSTILE).quiet()
    assert HOSTILE[:60] in page.text
    assert page.browser.execute_script("return window.hacked") is None
    script = "return [...document.querySelectorAll('img, a, script')].map(e => e.src || e.href || '')"
    for address in page.browser.execute_script(script):
        assert not re.search(r"evil|javascript:|/x$", address), address
    assert page.wrong == []


@pytest.mark.parametrize("text", ["", "x" * 10_001, "Final: 323\u0000", "😀 Final: 323", "9" * 5_000])
def test_odd_completions_have_a_verdict(page: Page, text: str) -> None:
    page.open("measure/").write("The completion", text)
    wait_for(lambda: page.fact("reward") == "0")
    page.quiet()
    assert page.wrong == []


def test_the_keyboard_reaches_every_knob(page: Page) -> None:
    page.open("push/")
    page.browser.execute_script("document.body.focus()")
    reached = page.tab_through(40)
    for kind in ("radio", "select", "slider", "numeric", "button", "a "):
        assert any(kind in name for name in reached), (kind, reached)
    page.browser.get(f"{page.house.address}/")
    assert sum(name.startswith("a ") for name in page.tab_through(9)) >= len(ROOMS)


@pytest.mark.parametrize("room", ["", *ROOMS])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_room_fits_a_phone_and_can_be_read_in_both_schemes(page: Page, room: str, scheme: str) -> None:
    desk(page.browser, 390, 800, scheme)
    if room:
        page.open(f"{room}/")
    else:
        page.browser.get(f"{page.house.address}/")
    wide, inner = page.browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner
    for selector in ("p", "a", "h1", "figcaption", ".facts dt"):
        if (found := page.contrast(selector)) is not None:
            assert found >= 4.5, (selector, found)
    for image in page.browser.find_elements("css selector", "figure img"):
        assert len(str(image.get_attribute("alt"))) > 40
        assert image.find_element("xpath", "../figcaption").text
        assert image.find_element("xpath", "../following-sibling::details//table")


def test_links_lead_to_pages_and_pages_back_to_rooms(page: Page) -> None:
    back = set()
    for name in dict.fromkeys(name for room in ROOMS.values() for name in room.pages):
        page.open(f"page/?name={name}")
        assert page.browser.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
        links = [str(a.get_attribute("href")) for a in page.browser.find_elements("css selector", "a")]
        back |= {href.split("/")[3] for href in links if href.startswith(page.house.address)}
        assert page.wrong == []
    assert set(ROOMS) <= back


def test_the_browser_has_said_nothing_else(browser: webdriver.Chrome) -> None:
    assert [said for said in console(browser) + complaints(browser) if said.startswith("SEVERE")] == []
