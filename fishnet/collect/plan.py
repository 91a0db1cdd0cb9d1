"""What a user has asked for, checked before anything is written; the settings' one copy of defaults."""

import datetime
import re
from pathlib import Path
from typing import Literal

from fishnet.collect.licences import UNKNOWN, wanted_licences
from fishnet.collect.naming import RESERVED
from fishnet.collect.sources.source import Ask
from fishnet.errors import BadInput

HOSTS = (
    *("api.inaturalist.org", "www.inaturalist.org", "static.inaturalist.org"),
    "inaturalist-open-data.s3.amazonaws.com",
)
# What a source cannot heed is refused: a folder that was asked for otherwise would pass for what it is not.
UNHEEDED = {
    "list": (("place", "quality", "size", "pool"), "a list is taken as it is, but for licences, days and limit="),
    "browser": (("since", "until"), "a page of photos does not tell their days"),
}
LONGEST_NAME = 255  # bytes, of a file or a folder
_NAME = re.compile(r"[^\W_][\w .+-]{0,79}")
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)


class Plan:
    """The constructor is the schema of `fishnet collect`."""

    def __init__(
        self,
        *,
        name: str,
        taxa: str | int | None = None,
        source: Literal["inaturalist", "open_data", "browser", "list"] = "inaturalist",
        limit: int | None = 200,
        licences: str | list[str] = "open",
        per_observation: Literal["one", "all"] = "one",
        quality: Literal["research", "needs_id", "casual", "any"] = "research",
        place: int | None = None,
        since: str | int | None = None,
        until: str | int | None = None,
        size: Literal["small", "medium", "large", "original"] = "medium",
        seed: int = 0,
        pool: int = 10000,
        list: str | None = None,
        tables: str = "s3://inaturalist-open-data",
        refresh: bool = False,
        drop_many: bool = False,
        connections: int = 8,
        deadline: float = 60,
        pause: float = 1.0,
        contact: str | None = None,
        hosts: list[str] | None = None,
        robots: str = "obey",
        api: str = "https://api.inaturalist.org/v1",
        pages: str = "https://www.inaturalist.org",
        media: str = "https://inaturalist-open-data.s3.amazonaws.com",
    ) -> None:
        self.name, self.source, self.limit, self.seed = name, source, limit, seed
        self.taxa = [one.strip() for one in re.split(r"[,;\n]", str(taxa or "")) if one.strip()]
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
        self.ask = Ask(
            licences=wanted_licences(licences),
            quality=quality,
            place=place,
            since=first,
            until=last,
            per_observation=per_observation,
            size=size,
            seed=seed,
            pool=pool,
        )
        if source == "browser" and UNKNOWN not in self.ask.licences:
            raise BadInput("source=browser: a page does not tell the licence of a photo, so licences=any is needed.")
        if not refresh:
            self._check_heeded()

    @property
    def root(self) -> Path:
        return Path("data").absolute() / self.name

    @property
    def ledger(self) -> Path:
        """Beside the photos, not among them, where other programs would take its folder for a class."""
        return self.root.with_name(f".{self.name}.fishnet") / "ledger.sqlite"

    @property
    def fixed(self) -> dict:
        """What cannot change from one command to the next without making it another collection."""
        ask = self.ask
        return {
            **{"source": self.source, "seed": self.seed, "licences": sorted(ask.licences), "quality": ask.quality},
            **{"place": ask.place, "since": ask.since, "until": ask.until, "size": ask.size, "pool": ask.pool},
            **{"per_observation": ask.per_observation, "list": str(self.list.absolute()) if self.list else None},
        }

    def _check_heeded(self) -> None:
        keys, why = UNHEEDED.get(self.source, ((), ""))
        for key in keys:
            value = getattr(self.ask, key)
            if value not in (getattr(Ask(), key), "any"):
                raise BadInput(f"{key}={value} is nothing for source={self.source}: {why}.")

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.strip(". ") != self.name or self.name.lower() in RESERVED:
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
    """`2024-05-31`; a year alone could be its first day or its last, and is refused."""
    if value is None:
        return None
    try:
        return datetime.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise BadInput(f"{key}={value}: a date is written as 2024-05-31.") from None
