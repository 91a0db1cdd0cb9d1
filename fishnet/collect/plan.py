"""The settings of `fishnet collect`, checked before anything is written, with the only copy of their defaults."""

import datetime
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fishnet.collect.licences import UNKNOWN, wanted_licences
from fishnet.collect.photo import RESERVED_NAMES
from fishnet.collect.sources.source import Query
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText, Within, check_ranges

HOSTS = (
    *("api.inaturalist.org", "www.inaturalist.org", "static.inaturalist.org"),
    "inaturalist-open-data.s3.amazonaws.com",
)
# A filter that a source cannot apply is refused: the folder would pass for what it is not.
INAPPLICABLE = {
    "list": (("place", "quality", "size", "pool"), "a list is taken as it is, but for licences, days and limit="),
    "browser": (("since", "until"), "a page of photos does not tell their days"),
}
LONGEST_NAME = 255  # bytes, of a file or a folder
_NAME = re.compile(r"[^\W_][\w .+-]{0,79}")
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)


class Plan:
    """What to collect, from where, and how. The constructor is the schema of `fishnet collect`.

    Args:
        name: photos come to `data/<name>/<class>/`.
        taxa: names or numbers, with commas between them.
        source: where photos are listed.
        limit: photos of each class; None for all that are listed.
        licences: `open` (Creative Commons without -nd, cc0, pd, gfdl), `any`, or codes.
        per_observation: `one`, as photos of one observation show one animal, or `all`.
        quality: iNaturalist's grade of an observation.
        place: iNaturalist's number of a place.
        since: observed on or after this day.
        until: observed on or before this day.
        size: the longer side is at most 240, 500, 1024 or 2048 pixels.
        seed: decides which photos are drawn.
        pool: how many observations of a class are looked at; of more, a sample from all years.
        list: for source=list, a CSV or Parquet file with the columns url and class.
        tables: for source=open_data, a folder with the four tables, or the address to fetch them from.
        refresh: ask again about what was kept, and drop what was withdrawn or deleted.
        drop_many: whether refresh may drop more than half.
        connections: how many photos may be on their way at once.
        deadline: seconds for a photo.
        pause: seconds between two calls of an API, of all processes together.
        contact: an e-mail or web address for the servers' owners.
        hosts: further hosts as host:port that may be asked, also on a private network.
        robots: for source=browser, `obey` or `ignore <host>`.
        api: address of iNaturalist's API.
        pages: address of iNaturalist's web pages.
        media: address of the open-data photos.
    """

    def __init__(
        self,
        *,
        name: FreeText,
        taxa: FreeText | int | None = None,
        source: Literal["inaturalist", "open_data", "browser", "list"] = "inaturalist",
        limit: Annotated[int, Within(1, 1_000_000_000)] | None = 200,
        licences: str | list[str] = "open",
        per_observation: Literal["one", "all"] = "one",
        quality: Literal["research", "needs_id", "casual", "any"] = "research",
        place: Annotated[int, AtLeast(1)] | None = None,
        since: str | int | None = None,
        until: str | int | None = None,
        size: Literal["small", "medium", "large", "original"] = "medium",
        seed: int = 0,
        pool: Annotated[int, Within(1, 1_000_000_000)] = 10000,
        list: FreeText | None = None,
        tables: FreeText = "s3://inaturalist-open-data",
        refresh: bool = False,
        drop_many: bool = False,
        connections: Annotated[int, Within(1, 64)] = 8,
        deadline: Annotated[float, AtLeast(0.1)] = 60,
        pause: Annotated[float, AtLeast(0)] = 1.0,
        contact: FreeText | None = None,
        hosts: list[str] | None = None,
        robots: FreeText = "obey",
        api: FreeText = "https://api.inaturalist.org/v1",
        pages: FreeText = "https://www.inaturalist.org",
        media: FreeText = "https://inaturalist-open-data.s3.amazonaws.com",
    ) -> None:
        check_ranges(Plan.__init__, locals())
        self.name, self.source, self.limit, self.seed = name, source, limit, seed
        self.root = Path("data").absolute() / name
        self.taxa = [name.strip() for name in re.split(r"[,;\n]", str(taxa or "")) if name.strip()]
        self.list = Path(list).expanduser() if list else None
        self.tables, self.refresh, self.drop_many = tables, refresh, drop_many
        self.connections, self.deadline, self.pause, self.robots = connections, float(deadline), float(pause), robots
        self.contact = contact or ""
        self.api, self.pages, self.media = api, pages, media
        self.trusted = tuple(str(host).lower() for host in hosts or ())
        self._check()
        first, last = day("since", since), day("until", until)
        if first and last and first > last:
            raise BadInput(f"since={since} is later than until={until}.")
        self.query = Query(
            licences=wanted_licences(licences), quality=quality, place=place, since=first, until=last,
            per_observation=per_observation, size=size, seed=seed, pool=pool,
        )  # fmt: skip
        if source == "browser" and UNKNOWN not in self.query.licences:
            raise BadInput("source=browser: a page does not tell the licence of a photo, so licences=any is needed.")
        keys, why = INAPPLICABLE.get("" if refresh else source, ((), ""))
        for key in keys:
            value = getattr(self.query, key)
            if value not in (getattr(Query(), key), "any"):
                raise BadInput(f"{key}={value} is nothing for source={source}: {why}.")

    def as_collected(self, settings: dict[str, Any]) -> "Plan":
        """The plan of a refresh, with the `settings` with which the collection was begun."""
        keys = ("name", "drop_many", "tables", "connections", "deadline", "pause", "robots", "api", "pages", "media")
        same = {key: getattr(self, key) for key in keys}
        return Plan(**settings, **same, hosts=[*self.trusted], contact=self.contact or None, refresh=True)

    @property
    def ledger(self) -> Path:
        """The ledger is beside the photos, not among them, where other programs would take its folder for a class."""
        return self.root.with_name(f".{self.name}.fishnet") / "ledger.sqlite"

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that cannot change from one command to the next without making it another collection."""
        file = str(self.list.absolute()) if self.list else None
        return asdict(self.query) | {"licences": sorted(self.query.licences), "source": self.source, "list": file}

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.strip(". ") != self.name or self.name.lower() in RESERVED_NAMES:
            raise BadInput(f"name={self.name}: give a plain word, which becomes the folder data/<name>.")
        if len(self.ledger.parent.name.encode()) > LONGEST_NAME:
            raise BadInput(f"name={self.name}: this is too long for the name of a folder.")
        if self.contact and not re.fullmatch(r"[\x21-\x7e ]{1,100}", self.contact):
            raise BadInput("contact: an e-mail or web address in plain letters, for the servers' owners.")
        if self.robots != "obey" and not re.fullmatch(r"ignore \S+", self.robots):
            raise BadInput(f"robots={self.robots}: say obey, or 'ignore <host>' for a host where you may.")
        if self.refresh:
            return
        if self.source == "list" and self.list is None:
            raise BadInput("source=list needs list=, a CSV or Parquet file with the columns url and class.")
        if self.source != "list" and self.list is not None:
            raise BadInput(f"list={self.list} belongs to source=list.")
        if self.source != "list" and not self.taxa:
            raise BadInput("taxa is needed: say taxa='Perca fluviatilis, Esox lucius'.")
        for host in self.trusted:
            if not re.fullmatch(rf"(?:{_HOST.pattern}):\d{{1,5}}", host, re.IGNORECASE):
                raise BadInput(f"hosts={host}: say each as host:port, such as 127.0.0.1:8000.")


def day(key: str, value: str | int | None) -> str | None:
    """A day such as `2024-05-31`; a year alone could mean its first day or its last, and is refused."""
    if value is None:
        return None
    try:
        return datetime.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise BadInput(f"{key}={value}: a date is written as 2024-05-31.") from None
