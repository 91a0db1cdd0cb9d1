"""What a source has to do, and what it is asked for."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from fishnet.collect.licences import CODES, OPEN
from fishnet.collect.photo import Photo, Taxon


@dataclass(frozen=True)
class Ask:
    """Which photos are wanted of a class; dates are YYYY-MM-DD, places iNaturalist's numbers."""

    licences: frozenset[str] = field(default=frozenset(OPEN))
    quality: Literal["research", "needs_id", "casual", "any"] = "research"
    place: int | None = None
    since: str | None = None
    until: str | None = None
    per_observation: Literal["one", "all"] = "one"
    size: str = "medium"
    seed: int = 0
    pool: int = 10_000


class Source(ABC):
    """`told` is what a user should know about a class's list, by its identity: that it is a part of a longer one.

    A source that reads tables finds the photos of all classes in one pass (`at_once`, then `find_all`).
    """

    at_once: ClassVar[bool] = False

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.told: dict[str, str] = {}

    async def prepare(self) -> None:  # noqa: B027 (most need nothing)
        """What is needed before a photo is fetched, also by a command that goes on and lists nothing any more."""

    @abstractmethod
    async def resolve(self, names: list[str]) -> list[Taxon]:
        """The classes that are meant; unknown and ambiguous names are refused with what could be meant."""

    def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        """Photos of a class in portions; a source that pages by id goes on behind observation `after`."""
        raise NotImplementedError

    def find_all(self, taxa: list[Taxon]) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        """Photos of several classes in portions, as they come."""
        raise NotImplementedError

    async def today(self, taxon: Taxon, photos: list[Photo]) -> AsyncIterator[list[Photo]]:
        """Those of `photos` that the source still has, as it tells of them now; in portions."""
        wanted, every = {photo.photo_id for photo in photos}, frozenset(CODES)
        asked = self.ask
        self.ask = replace(asked, per_observation="all", licences=every, pool=10**9, since=None, until=None)
        try:
            async for portion in self._every(taxon):
                yield [photo for photo in portion if photo.photo_id in wanted]
        finally:
            self.ask = asked

    async def _every(self, taxon: Taxon) -> AsyncIterator[list[Photo]]:
        if not self.at_once:
            async for portion in self.find(taxon):
                yield portion
            return
        async for _, portion in self.find_all([taxon]):
            yield portion

    def accepts(self, photo: Photo) -> bool:
        return photo.licence in self.ask.licences
