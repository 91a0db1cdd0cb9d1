"""The interface of all sources, and what they are queried for."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from fishnet.collect.licences import CODES, OPEN
from fishnet.collect.photo import Photo, Taxon


@dataclass(frozen=True)
class Query:
    """Which photos of a class are wanted; days are YYYY-MM-DD, a place is iNaturalist's number (see Plan)."""

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
    """Lists photos of classes.

    `notes[taxon.identity]` is a remark for the user about the list of a class, e.g. that only a sample was listed. A
    source of tables lists all classes in one pass: it sets `at_once`, and overrides `find_all` instead of `find`.
    """

    at_once: ClassVar[bool] = False

    def __init__(self, query: Query) -> None:
        self.query = query
        self.notes: dict[str, str] = {}

    async def prepare(self) -> None:  # noqa: B027 (most need nothing)
        """What is needed before a photo is fetched, even by a resumed command that lists nothing any more."""

    @abstractmethod
    async def resolve(self, names: list[str]) -> list[Taxon]:
        """The classes of these names; unknown and ambiguous names are refused, with what could be meant."""

    def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        """Photos of a class in portions; a source that pages by id goes on behind observation `after`."""
        raise NotImplementedError

    async def find_all(self, taxa: list[Taxon], after: int = 0) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        """Photos of several classes in portions, in any order."""
        for taxon in taxa:
            async for portion in self.find(taxon, after):
                yield taxon, portion

    async def today(self, taxon: Taxon, photos: list[Photo]) -> AsyncIterator[list[Photo]]:
        """Those of `photos` that the source still has, as it describes them now; in portions."""
        ids, query = {photo.photo_id for photo in photos}, self.query
        self.query = replace(
            query, per_observation="all", licences=frozenset(CODES), pool=10**9, since=None, until=None
        )
        try:
            async for _, portion in self.find_all([taxon]):
                yield [photo for photo in portion if photo.photo_id in ids]
        finally:
            self.query = query

    def accepts(self, photo: Photo) -> bool:
        """Whether the photo's licence is among those that are wanted."""
        return photo.licence in self.query.licences
