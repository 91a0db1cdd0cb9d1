"""A real headless browser that remembers whom it asked, and how to wait for what a page will show."""

import functools
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1500,950",
]
ASSISTANT = "[data-component-id='mlflow.assistant.chat_panel.close']"


def programs() -> tuple[str, str]:
    """Chromium and its driver; without them the test fails under CI and elsewhere says what to install."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    sentence = "Chromium is not installed: `apt-get install chromium chromium-driver` (Debian), then run this again."
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


class Page:
    """The few things a test does with a browser; every wait ends with what it saw instead."""

    def __init__(self, driver, pictures: Path) -> None:
        self.driver, self.pictures = driver, pictures
        self.asked: set[str] = set()

    def open(self, address: str) -> None:
        self.driver.get("about:blank")  # another fragment alone would not load the page anew
        self.driver.get(address)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    @property
    def text(self) -> str:
        return self.run("return document.body ? document.body.innerText : ''")

    def await_true(self, question: Callable[[], object], what: str, patience: float = 60.0):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if answer := question():
                return answer
            time.sleep(0.1)
        self.picture("failed")
        raise AssertionError(f"{what} did not appear within {patience:.0f} s; the page said:\n{self.text[:3000]}")

    def await_words(self, *words: str) -> str:
        self.await_true(lambda: all(word in self.text for word in words), f"{words}")
        return self.text

    def click(self, selector: str) -> None:
        self.await_true(lambda: self.run("return document.querySelector(arguments[0])", selector), selector)
        self.run("document.querySelector(arguments[0]).click()", selector)

    def close_assistant(self) -> None:
        """MLflow's chat panel takes a quarter of a new browser's width; a person closes it once."""
        self.click(ASSISTANT)
        self.await_true(lambda: not self.run("return document.querySelector(arguments[0])", ASSISTANT), "more room")

    def loaded_images(self) -> list[int]:
        """The width of each image that really came."""
        return self.run("return [...document.images].map(image => image.naturalWidth).filter(width => width > 0)")

    def check_whole(self, name: str, *, pictures: int) -> None:
        """At least so many pictures, all of them here; no scrolling sideways; nobody outside asked."""
        count = self.run("return document.images.length")
        assert count >= pictures
        self.await_true(lambda: len(self.loaded_images()) == count, f"{count} pictures")
        assert self.run("return document.documentElement.scrollWidth <= window.innerWidth")
        self.picture(name)
        assert self.hosts() == {"127.0.0.1"}

    def picture(self, name: str) -> None:
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def hosts(self) -> set[str]:
        """Every host that was asked for anything since the browser started."""
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                address = message["params"].get("request", message["params"])["url"]
                if urlsplit(address).scheme in ("http", "https", "ws", "wss"):
                    self.asked.add(str(urlsplit(address).hostname))
        return self.asked


@pytest.fixture
def served(tmp_path) -> Iterator[Callable[[str], str]]:
    """`served(text)` → the address under which a page is found on loopback."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(text: str) -> str:
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return f"http://127.0.0.1:{server.server_port}/page.html"

    yield serve
    server.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Where the screenshots go: $FISHNET_PICTURES, or a folder that pytest throws away."""
    chosen = os.environ.get("FISHNET_PICTURES")
    folder = Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory, pictures) -> Iterator[Page]:
    browser, driver_path = programs()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    driver.set_page_load_timeout(120)
    try:
        page = Page(driver, pictures)
        yield page
        assert page.hosts() == {"127.0.0.1"}, "the pages asked hosts outside this machine"
    finally:
        driver.quit()
