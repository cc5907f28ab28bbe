"""A real Chromium without a window, for tests and benchmarks that look at a page as a reader does."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Runs before anything of a page does, and notes what the page's own policy had to stop.
WATCH = (
    "window.stopped = []; document.addEventListener('securitypolicyviolation',"
    " event => window.stopped.push(event.violatedDirective + ' ' + event.blockedURI));"
)


class NoBrowserError(Exception):
    """There is no Chromium with its driver on this machine, or it does not start."""


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser with an empty profile, on a desk 1280 pixels wide. Raises NoBrowserError."""
    binary = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        raise NoBrowserError("no chromium with its chromedriver on the PATH")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = binary
        for switch in (*SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(driver)
        try:
            browser = webdriver.Chrome(options, service)
        except WebDriverException as error:
            service.stop()
            raise NoBrowserError(f"chromium does not start: {error.msg}") from None
        try:
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
            desk(browser)
            yield browser
        finally:
            browser.quit()


def chromium_or_skip() -> Iterator[webdriver.Chrome]:
    """A browser for a fixture. A student without one skips the tests that need it; CI does not get away with that."""
    opened = chromium()
    try:
        browser = opened.__enter__()
    except NoBrowserError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a browser: {error}")
        pytest.skip(str(error))
    try:
        yield browser
    finally:
        opened.__exit__(None, None, None)


def desk(browser: webdriver.Chrome, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
    """Set the size of the view, in CSS pixels, and whether the reader prefers light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def open_page(browser: webdriver.Chrome, path: Path) -> None:
    """Open a file, with the console empty."""
    console(browser)
    browser.get(path.resolve().as_uri())


def console(browser: webdriver.Chrome) -> list[str]:
    """What the console has said since it was last asked."""
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [f"{entry['level']} {entry['message']}" for entry in entries]


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says, and what the page's security policy stopped."""
    stopped: list[str] = browser.execute_script("return window.stopped")
    return console(browser) + stopped
