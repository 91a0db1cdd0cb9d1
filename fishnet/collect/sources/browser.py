"""A browser scrolls a taxon's photo page, and the addresses are read from its styles, as fishnet did it at first.

Only for sites that allow it; iNaturalist's robots.txt does not any more. A page does not say licences or observers, so
they are unknown, and it shows the most popular photos first.
"""

import asyncio
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.photo import Photo, Taxon, is_placeholder, photo_id_of, sized
from fishnet.collect.sources.inaturalist import INaturalist
from fishnet.collect.sources.source import Query, Source
from fishnet.errors import BadInput, WorkFailed

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

AGENT = "fishnet-vision"  # in robots.txt
FLAGS = [
    *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1500,950"),
    "--blink-settings=imagesEnabled=false",  # addresses are wanted here, not a second copy of every photo
]
NO_SANDBOX = ["--no-sandbox"] if os.geteuid() == 0 else []  # for root there is none
IDLE_ROUNDS = 3  # without growth, though the page still says that it loads
POLL = 0.1  # seconds
PAGE_LOAD = 60  # seconds
# Both generations of the page: since 2026 the other class names are hashes, but these words stayed.
PHOTOS = ".PhotoBrowser .photos .TaxonPhoto .CoverImage"
_READ = f"""
return [[...document.querySelectorAll({PHOTOS!r})].map(photo => photo.style.backgroundImage || ''),
        !!document.querySelector('.PhotoBrowser .photos > .loading'), !!document.querySelector('.PhotoBrowser')];"""
_SCROLL = "window.scrollTo(0, document.body.scrollHeight);"
_IMAGES = "return document.querySelectorAll('.PhotoBrowser img, .PhotoBrowser [style*=url]').length"
_ADDRESS = re.compile(r"""url\(["']?(.*?)["']?\)""")


class Browser(Source):
    """The source `browser`; the API finds taxa by name, `patience` is how many seconds a page may take to grow."""

    def __init__(
        self, query: Query, fetcher: Fetcher, api: INaturalist, *, pages: str, robots: str, patience: float = 20.0
    ) -> None:
        super().__init__(query)
        self._fetcher, self._api, self._pages, self._robots = fetcher, api, pages.rstrip("/"), robots
        self._patience = patience

    async def resolve(self, names: list[str]) -> list[Taxon]:
        await check_robots(self._address(Taxon("1", "")), self._robots, self._fetcher)
        return await self._api.resolve(names)

    async def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        """A portion for each round of scrolling."""
        await check_robots(self._address(taxon), self._robots, self._fetcher)
        # in a thread of its own, so that progress is shown and Ctrl-C works while the page loads
        with ThreadPoolExecutor(1, "browser") as thread:
            run, ended = asyncio.get_running_loop().run_in_executor, threading.Event()
            rounds = _scrolled(self._address(taxon), self.query.pool, self._patience, ended)
            try:
                while (addresses := await run(thread, next, rounds, None)) is not None:
                    urls = [sized(address, self.query.size) for address in addresses if not is_placeholder(address)]
                    yield [Photo(photo_id=photo_id_of(url), url=url) for url in urls]
            finally:
                ended.set()
                await run(thread, rounds.close)

    def _address(self, taxon: Taxon) -> str:
        grade = "" if self.query.quality == "any" else f"&quality_grade={self.query.quality}"
        place = f"&place_id={self.query.place}" if self.query.place else ""
        return f"{self._pages}/taxa/{taxon.identity}/browse_photos?layout=grid{grade}{place}"


async def check_robots(url: str, robots: str, fetcher: Fetcher) -> None:
    """Refuse a page that robots.txt closes, unless the user has named this very host as one to be opened anyway."""
    host = urlsplit(url).netloc
    if robots == f"ignore {host}":
        return
    if robots != "obey":
        raise BadInput(f"robots={robots}: say robots=obey, or robots='ignore {host}' to act against its robots.txt.")
    from protego import Protego

    address = f"{urlsplit(url).scheme}://{host}/robots.txt"
    try:
        text = await fetcher.call(address, lambda body: body.decode("utf-8", "replace"))
    except Unusable as unusable:
        if unusable.final and "not there" in str(unusable):
            return
        raise WorkFailed(f"{address} cannot be read ({unusable}), and without it no page is opened.") from unusable
    if not Protego.parse(text).can_fetch(url, AGENT):
        raise BadInput(
            f"robots.txt of {host} does not allow {urlsplit(url).path}: use source=inaturalist or source=open_data, "
            f"or say robots='ignore {host}' if you may do otherwise."
        )


def _scrolled(page: str, most: int, patience: float, ended: threading.Event) -> Generator[list[str], None, None]:
    """The addresses of a page that grows while one scrolls, each photo once, in the page's order; a portion a round."""
    with _driver() as driver:
        driver.get(page)
        deadline = time.monotonic() + patience
        while not driver.execute_script(_READ)[2]:
            if time.monotonic() > deadline:
                raise _no_photos_here(driver, page)
            time.sleep(POLL)
        known: set[str] = set()
        idle = 0
        while idle < IDLE_ROUNDS and len(known) < most:
            addresses, loading = _grown(driver, len(known), patience, ended)
            new = {photo_id_of(address): address for address in addresses if address}
            new = {number: address for number, address in new.items() if number not in known}
            yield list(new.values())[: most - len(known)]
            known |= new.keys()
            if not loading and not new:
                break
            idle = 0 if new else idle + 1
            driver.execute_script(_SCROLL)
        else:
            if len(known) < most:
                raise WorkFailed(f"{page} says that it loads, but shows no more than {len(known)} photos: try again.")
        if not known:
            raise _no_photos_here(driver, page)


def _grown(driver: "Chrome", before: int, patience: float, ended: threading.Event) -> tuple[list[str], bool]:
    """The photos of the page once there are more of them or nothing loads any more; every address filled in."""
    deadline = time.monotonic() + patience
    while True:
        styles, loading, _ = driver.execute_script(_READ)
        addresses = [match[1] if (match := _ADDRESS.search(style)) else "" for style in styles]
        settled = all(addresses) and (len(set(addresses)) > before or not loading)
        if settled or time.monotonic() > deadline or ended.is_set():
            return addresses, loading
        driver.execute_script(_SCROLL)
        time.sleep(POLL)


def _no_photos_here(driver: "Chrome", page: str) -> WorkFailed:
    """An error that says what the page is instead: a consent form, an error, a taxon without photos, a new layout."""
    title = (driver.title or "").strip()[:80]
    words = re.sub(r"\s+", " ", driver.execute_script("return document.body ? document.body.innerText : ''")).strip()
    if driver.execute_script("return !!document.querySelector('.PhotoBrowser')"):
        what = "has a photo browser without a photo: the taxon is empty, or the filters leave nothing"
        if driver.execute_script(_IMAGES):
            what = "shows photos in a way that is not known here: its layout has changed"
    elif re.search(r"consent|cookie|agree|privacy|einwillig", f"{title} {words[:500]}", re.IGNORECASE):
        what = "asks for consent before it shows anything"
    else:
        what = "has no photo browser: its layout has changed, or it is an error page"
    return WorkFailed(f"{page} {what} (title {title!r}, it begins: {words[:100]!r}). Nothing was collected from it.")


@contextmanager
def _driver() -> Iterator["Chrome"]:
    """Chromium with a temporary profile; its errors become WorkFailed."""
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
        packages = "chromium chromium-driver"
        raise BadInput(f"source=browser needs Chromium and its driver (Debian: apt-get install {packages}).")
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
