"""How fast are the rooms of explore/, as their visitor sees them?

    python -m bench.rooms            after `make rooms`, which installs what it takes

The server is started anew and its pages are opened in Chromium. A knob is moved by the keyboard; what is timed is from
that key to the first picture or table that changes, in the page itself. For Learn it is from a measurement, whose state
is written to a file then, to the page that shows it. No time is judged: the machine may be busy.
"""

import math
import statistics
import tempfile
import time
from pathlib import Path

from course.core.command_line import DONE, run_command
from course.core.display import console, table
from explore.tests.conftest import LEFT, PATIENCE, RIGHT, House, Page, start, stop, wait_for
from tests.browser import chromium
from tests.conftest import copy_repository

KNOBS = {  # what is moved to and fro in each room that needs no PyTorch
    "how_sure": "True rate",
    "selection": "Samples to choose from, N",
    "push": "Steps",
    "credit": "Learning rate",
    "leash": "Leash, beta",
}
MOVES, TARGET, NEWS, READY = 15, 0.3, 1.5, 5.0  # times; seconds
WAIT = """
window.took = null;
const parts = "figure img, .scroll table, .facts";
const shown = () => [...document.querySelectorAll(parts)].map(element => element.src || element.textContent);
const before = shown();
let began = null;
document.addEventListener("keydown", () => { began ??= performance.now() }, {once: true, capture: true});
const look = () => {
  const now = shown();
  if (began !== null && now.length && now.some((one, place) => one !== before[place]))
    window.took = (performance.now() - began) / 1000;
  else requestAnimationFrame(look);
};
look();
"""


def moves(page: Page, room: str, label: str) -> list[float]:
    """Seconds from the key to the first change, for each move."""
    page.open(f"{room}/")
    if room == "push":
        page.check("Pace", "fast").quiet()
    took = []
    for number in range(MOVES):
        page.browser.execute_script(WAIT)
        page.keys(label, (LEFT, RIGHT)[number % 2])
        took.append(float(wait_for(lambda: page.browser.execute_script("return window.took"))))
        page.quiet()
    return took


def news(page: Page, house: House) -> list[float]:
    """Seconds from each measurement of Learn to the page that shows it."""
    page.open("learn/").keys("Steps", *[LEFT] * 2).quiet()  # 24 steps
    page.press("Go")
    took: list[float] = []
    rows = "return document.querySelectorAll('details table tbody tr').length"
    shown = 0
    ends = time.monotonic() + PATIENCE
    while "Done:" not in page.text and time.monotonic() < ends:
        if (now := page.browser.execute_script(rows)) > shown:
            at = time.time()
            took += [at - path.stat().st_mtime for path in house.folder.glob("runs/.reinforce/*.pt")]
            shown = now
        time.sleep(0.02)
    return took[1:]  # the first comes before any step


def main() -> int:
    out = console()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        copy_repository(Path(folder))
        began = time.perf_counter()
        house = start(Path(folder))
        try:
            page = Page(browser, house)
            browser.get(house.address)
            ready = time.perf_counter() - began
            rows = table("room", ">median", ">slowest", title=f"Seconds from a key to the first change, {MOVES} moves")
            for room, label in KNOBS.items():
                took = moves(page, room, label)
                rows.add_row(room, f"{statistics.median(took):.2f}", f"{max(took):.2f}")
            shown = news(page, house)
        finally:
            stop(house)
    out.print(rows)
    out.print(f"(meant to be below {TARGET:g})\n")
    out.print(f"front page ready:                  {ready:.2f} s after the start (meant to be below {READY:g})")
    out.print(
        f"Learn, a point after its measuring: {max(shown, default=math.nan):.2f} s at most (meant to be below {NEWS:g})"
    )
    return DONE


if __name__ == "__main__":
    run_command(main)
