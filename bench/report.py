"""What does a large run cost to make, to verify and to show, and how fast does its page open?

    python -m bench.report            (make bench)

A run of so many examples, one completion each, is made, verified, and its page written, each by a process of its own
whose time and peak memory are taken. The page is opened in Chromium with an empty profile, some times.
The times of opening are the page's own (`performance`): from the start of the navigation until all of it is read, its
script has run and its first rows stand in the table, and until the first paint. A search is timed in the page as well.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver

from bench.scoring import timed
from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, table
from course.core.files import InputError, to_json
from tests.browser import NoBrowserError, chromium, open_page

OPENED = """
const done = arguments[arguments.length - 1];
new PerformanceObserver(list => {
  const [paint] = list.getEntriesByName("first-contentful-paint");
  if (!paint) return;
  const [navigation] = performance.getEntriesByType("navigation");
  done([navigation.loadEventEnd, paint.startTime, document.querySelectorAll("#rows tr:not(.fold)").length]);
}).observe({type: "paint", buffered: true});
"""
SEARCHED = """
const box = document.getElementById("search");
const start = performance.now();
box.value = "999";
box.dispatchEvent(new Event("input"));
return performance.now() - start;
"""


def write_inputs(folder: Path, examples: int) -> tuple[Path, Path]:
    """So many examples and a completion of each, three in eight of which fail, in three ways."""
    said = ("Final: {}", "Final: {}", "Final: {}", "The answer is {}.", "Final: {}", "final: {}", "Final: {}", "{}")
    data, completions = folder / "many_dev.jsonl", folder / "many.jsonl"
    with data.open("wb") as asked, completions.open("wb") as answered:
        for n in range(examples):
            prompt = f"Compute {n}+1. Output exactly one line: Final: <int>."
            asked.write(to_json({"id": f"x{n}", "prompt": prompt, "expected_answer": n + 1}) + b"\n")
            answered.write(to_json({"id": f"x{n}", "completion": said[n % 8].format(n + 1)}) + b"\n")
    return data, completions


@dataclass(frozen=True, kw_only=True)
class Settings:
    sizes: tuple[int, ...] = option((200, 10_000, 100_000, 1_000_000), "examples of the run", at_least=1)
    repeats: int = option(5, "times that the page is opened", at_least=1)


def main() -> int:
    settings = parse("bench.report", "Time the page of a large run.", Settings)
    made = (">examples", ">eval", ">verify", ">page", ">page MB")
    opened = (">opened in ms", ">first paint ms", ">search ms", ">rows drawn")
    rows = table(*made, *opened, title="A run: made, verified, its page written, and opened in Chromium (median)")
    try:
        with chromium() as browser, tempfile.TemporaryDirectory() as name:
            for size in settings.sizes:
                rows.add_row(*measured(browser, Path(name) / str(size), size, settings.repeats))
    except NoBrowserError as error:
        raise InputError("bench.report", str(error)) from None
    console().print(rows)
    return DONE


def measured(browser: webdriver.Chrome, folder: Path, size: int, repeats: int) -> list[str]:
    """One row of the table."""
    folder.mkdir()
    data, completions = map(str, write_inputs(folder, size))
    run, html = folder / "run_001", folder / "page.html"
    costs = []
    for words in (
        ("course.eval", "--dataset", data, "--completions", completions, "--runs-dir", str(folder)),
        ("course.verify_run", "--run", str(run)),
        ("course.report", str(run), "--out", str(html)),
    ):
        seconds, megabytes = timed(*words)
        costs.append(f"{seconds:.1f} s, {megabytes:.0f} MB")
    taken = []
    for _ in range(repeats):
        open_page(browser, html)
        opened, paint, drawn = browser.execute_async_script(OPENED)
        taken.append((opened, paint, browser.execute_script(SEARCHED)))
    opened, paint, searched = (statistics.median(values) for values in zip(*taken, strict=True))
    times = f"{opened:.0f}", f"{paint:.0f}", f"{searched:.1f}"
    return [f"{size:,}", *costs, f"{html.stat().st_size / 1e6:.2f}", *times, str(drawn)]


if __name__ == "__main__":
    run_command(main)
