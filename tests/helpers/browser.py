"""A real browser for the tests of reports: Debian's or the system's Chromium, headless and without a network."""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # no other host has an address
)


def missing(what):
    """Skip the test; in CI on Linux, where browsers are installed, fail."""
    if os.environ.get("CI") and sys.platform == "linux":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def require_browser():
    """Skip the test if there is no browser, or no package that drives it."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        missing("selenium")
    if CHROMIUM is None or DRIVER is None:
        missing("chromium" if CHROMIUM is None else "chromedriver")


@contextmanager
def browser(width=1280, height=900):
    """Start a browser with a new profile, and end it."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in (*OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
        try:
            driver.set_script_timeout(60)
            yield Page(driver)
        finally:
            driver.quit()


class Page:
    """A page in the browser."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path):
        """Open a file, and wait until the page has drawn itself."""
        self.driver.get_log("browser")
        self.driver.get(Path(path).resolve().as_uri())
        ready = "return document.documentElement.dataset.ready !== undefined"
        for _ in range(100):
            if self.driver.execute_script(ready):
                break
            self.wait_frames(3)
        assert self.driver.execute_script(ready), self.messages()
        self.wait_frames(3)
        return self

    def run(self, script, *arguments):
        """Run a script; return its value."""
        return self.driver.execute_script(script, *arguments)

    def wait_frames(self, n=2):
        """Wait until the browser has drawn n frames."""
        self.driver.execute_async_script(
            "const [n, done] = arguments; let left = n;"
            "const next = () => (left-- > 0 ? requestAnimationFrame(next) : setTimeout(done)); next();",
            n,
        )

    def messages(self):
        """Return what the console showed since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def devtools(self, command, **arguments):
        """Send a command of Chrome's DevTools."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def emulate(self, *, dark=False, width=None, height=900, media=""):
        """Emulate a color scheme, a width of the screen, and a medium."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.devtools("Emulation.setEmulatedMedia", media=media, features=scheme)
        if width:
            self.devtools(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=width < 600,
            )
        else:
            self.devtools("Emulation.clearDeviceMetricsOverride")
        self.wait_frames(4)

    def screenshot(self, path):
        """Write a picture of the whole page."""
        import base64

        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        Path(path).write_bytes(base64.b64decode(picture))

    def find(self, selector):
        """Return the element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        """Return the text of an element, also where it can't be seen."""
        return self.find(selector).get_attribute("textContent")

    def keys(self, selector, *keys):
        """Type keys into an element."""
        self.find(selector).send_keys(*keys)
