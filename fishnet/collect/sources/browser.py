"""The founding method: a browser scrolls a taxon's photo page, and the addresses are read from its styles.

Only for sites that allow it; iNaturalist's robots.txt does not any more. A page does not tell licences or observers, so
they are unknown, and it shows the most popular photos first.
"""

import asyncio
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from fishnet.collect.fetching import Fetcher
from fishnet.collect.photo import Photo, Taxon, is_placeholder, photo_id_of, sized
from fishnet.collect.robots import check_robots
from fishnet.collect.sources.inaturalist import INaturalist
from fishnet.collect.sources.source import Ask, Source
from fishnet.errors import BadInput, WorkFailed

FLAGS = [
    *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1500,950"),
    "--blink-settings=imagesEnabled=false",  # addresses are wanted here, not a second copy of every photo
]
NO_SANDBOX = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # for root there is none
IDLE = 3  # rounds without growth, though the page still says that it loads
LOOK = 0.1  # seconds
PAGE_LOAD = 60  # seconds
# Both generations of the page: since 2026 the other class names are hashes, but these words stayed.
PHOTOS = ".PhotoBrowser .photos .TaxonPhoto .CoverImage"
_READ = f"""
return [[...document.querySelectorAll({PHOTOS!r})].map(one => one.style.backgroundImage || ''),
        !!document.querySelector('.PhotoBrowser .photos > .loading'), !!document.querySelector('.PhotoBrowser')];"""
_SCROLL = "window.scrollTo(0, document.body.scrollHeight);"
_ADDRESS = re.compile(r"""url\(["']?(.*?)["']?\)""")


class Browser(Source):
    def __init__(
        self,
        ask: Ask,
        fetcher: Fetcher,
        names: INaturalist,
        *,
        pages: str = "https://www.inaturalist.org",
        robots: str = "obey",
        patience: float = 20.0,
    ) -> None:
        super().__init__(ask)
        self._fetcher, self._names, self._pages, self._robots = fetcher, names, pages.rstrip("/"), robots
        self._patience = patience

    async def resolve(self, names: list[str]) -> list[Taxon]:
        await check_robots(self._address(Taxon("1", "")), self._robots, self._fetcher)
        return await self._names.resolve(names)

    async def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        await check_robots(self._address(taxon), self._robots, self._fetcher)
        # in one thread of its own, so that progress is shown and Ctrl-C is heard while the page loads
        with ThreadPoolExecutor(1, "browser") as thread:
            ask, ended = asyncio.get_running_loop().run_in_executor, threading.Event()
            rounds = _scrolled(self._address(taxon), self.ask.pool, self._patience, ended)
            try:
                while (addresses := await ask(thread, next, rounds, None)) is not None:
                    yield [self._photo(address) for address in addresses if not is_placeholder(address)]
            finally:
                ended.set()
                await ask(thread, rounds.close)

    def _address(self, taxon: Taxon) -> str:
        grade = "" if self.ask.quality == "any" else f"&quality_grade={self.ask.quality}"
        place = f"&place_id={self.ask.place}" if self.ask.place else ""
        return f"{self._pages}/taxa/{taxon.identity}/browse_photos?layout=grid{grade}{place}"

    def _photo(self, address: str) -> Photo:
        url = sized(address, self.ask.size)
        return Photo(photo_id=photo_id_of(url), url=url)


def _scrolled(page: str, most: int, patience: float, ended: threading.Event) -> Generator[list[str], None, None]:
    """The addresses of a page that grows while one scrolls, each photo once, in the page's order; a portion a round."""
    with _driver() as driver:
        driver.get(page)
        _await(lambda: driver.execute_script(_READ)[2], patience, lambda: _no_photos_here(driver, page))
        found: set[str] = set()
        idle = 0
        while idle < IDLE and len(found) < most:
            addresses, loading = _grown(driver, len(found), patience, ended)
            new = {photo_id_of(address): address for address in addresses if address}
            new = {number: address for number, address in new.items() if number not in found}
            yield list(new.values())[: most - len(found)]
            found |= new.keys()
            if not loading and not new:
                break
            idle = 0 if new else idle + 1
            driver.execute_script(_SCROLL)
        else:
            if len(found) < most:
                raise WorkFailed(f"{page} says that it loads, but shows no more than {len(found)} photos: try again.")
        if not found:
            raise _no_photos_here(driver, page)


def _grown(driver, before: int, patience: float, ended: threading.Event) -> tuple[list[str], bool]:
    """The photos of the page once there are more of them or nothing loads any more; every address filled in."""
    deadline = time.monotonic() + patience
    while True:
        styles, loading, _ = driver.execute_script(_READ)
        addresses = [found[1] if (found := _ADDRESS.search(style)) else "" for style in styles]
        settled = all(addresses) and (len(set(addresses)) > before or not loading)
        if settled or time.monotonic() > deadline or ended.is_set():
            return addresses, loading
        driver.execute_script(_SCROLL)
        time.sleep(LOOK)


def _await(question: Callable[[], object], patience: float, otherwise: Callable[[], Exception]) -> None:
    deadline = time.monotonic() + patience
    while not question():
        if time.monotonic() > deadline:
            raise otherwise()
        time.sleep(LOOK)


def _no_photos_here(driver, page: str) -> WorkFailed:
    """Says what the page is instead: a consent form, an error, a taxon without photos, a layout of tomorrow."""
    title = (driver.title or "").strip()[:80]
    words = re.sub(r"\s+", " ", driver.execute_script("return document.body ? document.body.innerText : ''")).strip()
    if driver.execute_script("return !!document.querySelector('.PhotoBrowser')"):
        what = "has a photo browser without a photo: the taxon is empty, or the filters leave nothing"
        if driver.execute_script(
            "return document.querySelectorAll('.PhotoBrowser img, .PhotoBrowser [style*=url]').length"
        ):
            what = "shows photos in a way that is not known here: its layout has changed"
    elif re.search(r"consent|cookie|agree|privacy|einwillig", f"{title} {words[:500]}", re.IGNORECASE):
        what = "asks for consent before it shows anything"
    else:
        what = "has no photo browser: its layout has changed, or it is an error page"
    return WorkFailed(f"{page} {what} (title {title!r}, it begins: {words[:100]!r}). Nothing was collected from it.")


@contextmanager
def _driver() -> Iterator:
    """Chromium with a profile of its own, which is gone with it; what goes wrong in it is told in a sentence."""
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise BadInput("source=browser needs Selenium: pip install 'fishnet-vision[browser]'.") from error
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    program = shutil.which("chromedriver")
    if browser is None or program is None:
        raise BadInput(
            "source=browser needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)."
        )
    with tempfile.TemporaryDirectory(prefix="fishnet-browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in [*FLAGS, f"--user-data-dir={profile}", *NO_SANDBOX]:
            options.add_argument(flag)
        # a session of its own: Ctrl-C ends us in order, and we end the browser
        service = Service(program, popen_kw={"start_new_session": True})
        driver = None
        try:
            driver = webdriver.Chrome(options=options, service=service)
            driver.set_page_load_timeout(PAGE_LOAD)
            yield driver
        except (WebDriverException, HTTPError) as error:
            why = (getattr(error, "msg", None) or str(error) or type(error).__name__).splitlines()[0][:160]
            raise WorkFailed(f"Chromium failed ({why}): the same command tries again.") from error
        finally:
            if driver is not None:
                with suppress(WebDriverException, HTTPError, OSError):
                    driver.quit()
