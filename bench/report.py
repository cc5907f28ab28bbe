"""How fast does the page of a large run open, and how fast is it written?

    python -m bench.report            (make bench)

A run of so many results is made, its page written, and the page opened in Chromium with an empty profile, some times.
The times of opening are the page's own (`performance`): from the start of the navigation until all of it is read, its
script has run and its first rows stand in the table, and until the first paint. A search is timed in the page as well.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, table
from course.core.files import InputError, to_json_lines
from course.core.golden import golden_gate
from course.core.report.run_view import view_run
from course.eval import Settings as EvalSettings
from course.eval import evaluate
from course.report import page
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


def make_run(folder: Path, results: int) -> Path:
    """A run of so many results, three in eight of which fail, in three ways."""
    said = ("Final: {}", "Final: {}", "Final: {}", "The answer is {}.", "Final: {}", "final: {}", "Final: {}", "{}")
    prompt = "Compute {}+1. Output exactly one line: Final: <int>."
    examples = [{"id": f"x{n}", "prompt": prompt.format(n), "expected_answer": n + 1} for n in range(results)]
    completions = [{"id": f"x{n}", "completion": said[n % 8].format(n + 1)} for n in range(results)]
    for name, rows in (("many_dev.jsonl", examples), ("many.jsonl", completions)):
        (folder / name).write_bytes(to_json_lines(rows))
    data, answers, runs_dir = folder / "many_dev.jsonl", folder / "many.jsonl", folder / "runs"
    saved, _ = evaluate(EvalSettings(dataset=data, completions=answers, runs_dir=runs_dir), golden_gate())
    return saved.folder


@dataclass(frozen=True, kw_only=True)
class Settings:
    sizes: tuple[int, ...] = option((200, 10_000, 100_000), "results of the run", at_least=1)
    repeats: int = option(5, "times that the page is opened", at_least=1)


def main() -> int:
    settings = parse("bench.report", "Time the page of a large run.", Settings)
    columns = (">results", ">page MB", ">written in s", ">opened in ms", ">first paint ms", ">search ms", ">rows drawn")
    rows = table(*columns, title="The page of a run: written, and opened in Chromium (median)")
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
    run = make_run(folder, size)
    start = time.perf_counter()
    html, _ = page([view_run(run)])
    (folder / "page.html").write_text(html, encoding="utf-8")
    written = time.perf_counter() - start
    taken = []
    for _ in range(repeats):
        open_page(browser, folder / "page.html")
        opened, paint, drawn = browser.execute_async_script(OPENED)
        taken.append((opened, paint, browser.execute_script(SEARCHED)))
    opened, paint, searched = (statistics.median(values) for values in zip(*taken, strict=True))
    megabytes = len(html.encode()) / 1e6
    times = f"{written:.2f}", f"{opened:.0f}", f"{paint:.0f}", f"{searched:.1f}"
    return [f"{size:,}", f"{megabytes:.2f}", *times, str(drawn)]


if __name__ == "__main__":
    run_command(main)
