"""A server of the rooms in a copy of the repository, a browser, and hands for what marimo makes of a page."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser import chromium_or_skip, complaints, console, desk
from tests.conftest import copy_repository

PORT = 27_180
PATIENCE = 60.0  # seconds for what must come
# Every element, those in shadow roots too: the knobs live there.
ALL = """
const all = function*(node) {
  yield node;
  if (node.shadowRoot) yield* all(node.shadowRoot);
  for (const child of node.children || []) yield* all(child);
};
const labelled = host => {  // a label is JSON that holds HTML
  const given = JSON.parse(host.getAttribute("data-label") || '""') || "";
  return new DOMParser().parseFromString(given, "text/html").body.textContent.trim();
};
"""
KNOB = "input, select, textarea, button, [role=slider], [role=radio], [role=checkbox], [role=switch]"
FIND = (
    ALL
    + """
const [label, kind] = arguments;
const named = element => (element.getAttribute("aria-label") || element.textContent || "").trim();
for (const host of document.querySelectorAll("marimo-ui-element > *, [data-label]")) {
  if (labelled(host) !== label) continue;
  for (const element of all(host)) if (element !== host && element.matches && element.matches(kind)) return element;
}
for (const element of all(document.body))
  if (element.matches && element.matches(kind) && named(element) === label) return element;
return null;
"""
)
LABELS = (
    ALL
    + """
return [...document.querySelectorAll("marimo-ui-element [data-label]")]
  .map(labelled).filter(Boolean);
"""
)
SEEN = """
return document.body.innerText + [...document.images].map(image => image.src.length + image.src.slice(-400)).join(" ");
"""


def typed(folder: Path, words: Sequence[object]) -> str:
    """What a command prints, typed in a folder; it must end well."""
    line = [sys.executable if word == "python" else str(word) for word in words]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class House:
    """A running server: the folder that it runs in, and its address."""

    folder: Path
    address: str
    process: subprocess.Popen[str]


def start(folder: Path, port: int = PORT) -> House:
    """Start the rooms in a folder, and wait until they answer."""
    words = [sys.executable, "-m", "explore", "--no-browser", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(words, cwd=folder, env=environment, start_new_session=True, **streams)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Seven rooms: "), line
    house = House(folder, line.split()[-1].rstrip("/"), process)
    wait_for(lambda: answers(house.address))
    return house


def answers(address: str) -> bool:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)


def stop(house: House) -> str:
    """End it as Ctrl-C does, and return what it said on its error stream."""
    house.process.send_signal(signal.SIGINT)
    _, errors = house.process.communicate(timeout=10)
    assert house.process.returncode == 0
    return errors


def wait_for(found: Callable[[], Any]) -> Any:
    """Wait for what comes, and return it."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            if result := found():
                return result
        except OSError:
            pass
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = start(copy_repository(tmp_path_factory.mktemp("copy")))
    yield opened
    assert stop(opened) == ""


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    yield from chromium_or_skip()


class Page:
    """A room in the browser: read it, turn its knobs by the keyboard, press its buttons."""

    def __init__(self, browser: webdriver.Chrome, house: House) -> None:
        self.browser, self.house = browser, house

    def open(self, path: str) -> "Page":
        """Open a room and wait until it is quiet."""
        console(self.browser)
        self.browser.get(f"{self.house.address}/{path}")
        wait_for(lambda: self.browser.find_elements("css selector", "h1"))
        return self.quiet()

    def changed(self, before: str) -> "Page":
        """Wait until the page is not as it was before, and then until it is quiet."""
        wait_for(lambda: self.seen != before)
        return self.quiet()

    def says(self, words: str) -> "Page":
        """Wait until it says so, and then until it is quiet."""
        wait_for(lambda: words in self.text)
        return self.quiet()

    def quiet(self) -> "Page":
        """Wait until nothing has changed for a while."""
        seen, since = self.seen, time.monotonic()
        while time.monotonic() - since < 0.7:
            time.sleep(0.1)
            if (now := self.seen) != seen:
                seen, since = now, time.monotonic()
        return self

    @property
    def seen(self) -> str:
        """The page's text, and its pictures."""
        return str(self.browser.execute_script(SEEN))

    @property
    def text(self) -> str:
        """All text, that of closed details too."""
        self.unfold()
        return str(self.browser.execute_script("return document.body.innerText"))

    def unfold(self) -> None:
        """Open what is closed."""
        self.browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")

    @property
    def labels(self) -> list[str]:
        """The labels of all knobs."""
        return list(self.browser.execute_script(LABELS))

    def find(self, label: str, kind: str = KNOB) -> WebElement:
        found: WebElement = wait_for(lambda: self.browser.execute_script(FIND, label, kind))
        return found

    def press(self, label: str) -> "Page":
        """Press a button."""
        self.browser.execute_script("arguments[0].click()", self.find(label, "button"))
        return self

    def keys(self, label: str, *keys: str) -> "Page":
        """Type into a knob: arrow keys move a slider, letters go into a field or choose in a list."""
        element = self.find(label, "input, select, textarea, [role=slider], [role=radio]")
        self.browser.execute_script("arguments[0].focus()", element)
        element.send_keys(*keys)
        return self

    def choose(self, label: str, value: str) -> "Page":
        """Choose in a list."""
        script = (
            "const [list, value] = arguments; const place = [...list.options].findIndex(o => o.text.trim() === value);"
            "list.selectedIndex = place; list.dispatchEvent(new Event('change', {bubbles: true})); return place"
        )
        assert self.browser.execute_script(script, self.find(label, "select"), value) >= 0, value
        return self

    def write(self, label: str, text: str) -> "Page":
        """Put a text into a field, in place of what stands there."""
        script = (
            "const [field, text] = arguments; const kind = Object.getPrototypeOf(field);"
            "Object.getOwnPropertyDescriptor(kind, 'value').set.call(field, text);"
            "field.dispatchEvent(new Event('input', {bubbles: true})); field.focus(); field.blur();"
        )
        field = self.find(label, "input, textarea")
        if field.get_attribute("inputmode") == "numeric":
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(Keys.DELETE, text, Keys.TAB)
        else:
            self.browser.execute_script(script, field, text)
        return self

    def check(self, label: str, value: str) -> "Page":
        """Choose one of several by its name."""
        script = (
            ALL + "const [label, value] = arguments; for (const host of document.querySelectorAll('[data-label]'))"
            " if (labelled(host) === label) for (const e of all(host))"
            " if (e.matches && e.matches('label') && e.textContent.trim() === value)"
            " { (e.control || e).click(); return true } return false"
        )
        assert self.browser.execute_script(script, label, value), value
        return self

    def press_row(self, number: int) -> "Page":
        """Choose a row of the table of prompts."""
        script = (
            ALL
            + "const rows = [...all(document.body)].filter(e => e.matches && e.matches('tbody tr [role=checkbox]'));"
            "rows[arguments[0]].click()"
        )
        self.browser.execute_script(script, number)
        return self.quiet()

    def tab_through(self, times: int) -> list[str]:
        """What the Tab key reaches: tag, role and type of each."""
        script = (
            "let e = document.activeElement; while (e.shadowRoot && e.shadowRoot.activeElement)"
            " e = e.shadowRoot.activeElement;"
            "return [e.tagName, e.getAttribute('role'), e.type, e.inputMode].join(' ').toLowerCase()"
        )
        reached = []
        for _ in range(times):
            ActionChains(self.browser).send_keys(Keys.TAB).perform()
            reached.append(str(self.browser.execute_script(script)))
        return reached

    def contrast(self, selector: str) -> float | None:
        """The contrast of a text with what it stands on (WCAG 2), or None if there is no such text."""
        script = r"""
        const light = colour => {
          const canvas = document.createElement("canvas").getContext("2d");
          canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
          const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const text = document.querySelector(arguments[0]);
        if (!text) return null;
        let ground = text;
        while (ground && /rgba\(0, 0, 0, 0\)|transparent/.test(getComputedStyle(ground).backgroundColor))
          ground = ground.parentElement;
        const below = ground ? getComputedStyle(ground).backgroundColor : "#fff";
        const pair = [light(getComputedStyle(text).color), light(below)];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        """
        found = self.browser.execute_script(script, selector)
        return None if found is None else float(found)

    def fact(self, name: str) -> str:
        """The number under a name."""
        facts = dict(
            self.browser.execute_script(
                "return [...document.querySelectorAll('.facts > div')]"
                ".map(fact => [fact.querySelector('dt').textContent, fact.querySelector('dd').textContent])"
            )
        )
        return str(facts[name])

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the table that has this caption or, without one, this column first."""
        self.unfold()
        script = (
            "const [name] = arguments; for (const table of document.querySelectorAll('.scroll table')) {"
            "const title = (table.caption || table.querySelector('th')).textContent; if (title !== name) continue;"
            "return [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent)) } return null"
        )
        return list(wait_for(lambda: self.browser.execute_script(script, caption)))

    @property
    def command(self) -> str:
        """What is to be typed for the same."""
        found = re.search(r"The same in a terminal: (python .*)", self.text)
        assert found is not None
        return found[1]

    @property
    def wrong(self) -> list[str]:
        """Errors of cells, of scripts and of the page's policy; what was asked of anyone else."""
        script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        asked = [
            url for url in self.browser.execute_script(script) if not url.startswith((self.house.address, "data:"))
        ]
        cells = [e.text for e in self.browser.find_elements("css selector", ".marimo-error, [data-testid*=error]")]
        loud = [said for said in complaints(self.browser) if said.startswith("SEVERE")]
        return asked + cells + loud


@pytest.fixture
def page(browser: webdriver.Chrome, house: House) -> Page:
    desk(browser)
    return Page(browser, house)


LEFT, RIGHT = Keys.ARROW_LEFT, Keys.ARROW_RIGHT
