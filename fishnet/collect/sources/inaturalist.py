"""iNaturalist's public API: pages of 200 observations in the order of their ids.

pyinaturalist is not used here: its addresses are fixed to one server, its answers come from a cache that would hide a
withdrawn licence, and its limits do not hold for several processes. What is left of it is a handful of parameters.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.licences import RESERVED, UNKNOWN, licence_code
from fishnet.collect.photo import Photo, Taxon, is_placeholder, sized, turn_of
from fishnet.collect.sources.naming_taxa import chosen_taxon
from fishnet.collect.sources.source import Ask, Source
from fishnet.errors import WorkFailed
from fishnet.headers import RefusedImage

PAGE = 200
BY_ID = 100


class INaturalist(Source):
    def __init__(self, ask: Ask, fetcher: Fetcher, *, api: str = "https://api.inaturalist.org/v1") -> None:
        super().__init__(ask)
        self._fetcher, self._api = fetcher, api.rstrip("/")

    async def resolve(self, names: list[str]) -> list[Taxon]:
        taxa = [await chosen_taxon(name, self._answer) for name in names]
        return list({taxon.identity: taxon for taxon in taxa}.values())

    async def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        total = (await self._answer("observations", **self._filters(taxon), per_page=1))["total_results"]
        if total > self.ask.pool:
            said = f"a sample of {self.ask.pool} observations of {total}, from all over their years"
            self.told[taxon.identity] = said
            async for portion in self._spread(taxon):
                yield portion
            return
        while True:
            page = await self._page(taxon, after)
            yield self._photos(page)
            if len(page) < PAGE:
                return
            after = _last(page)

    async def today(self, taxon: Taxon, photos: list[Photo]) -> AsyncIterator[list[Photo]]:
        numbers = sorted({photo.observation_id for photo in photos if photo.observation_id})
        for start in range(0, len(numbers), BY_ID):
            few = numbers[start : start + BY_ID]
            answer = await self._answer("observations", id=",".join(few), per_page=PAGE)
            yield [photo for one in answer["results"] for photo in _photos_of(one, self.ask.size)]

    async def _spread(self, taxon: Taxon) -> AsyncIterator[list[Photo]]:
        """Too many to list: pages from all over the range of ids, at places that the seed chooses.

        The first ids would be the oldest observations of a few eager people.
        """
        first, last = [await self._end(taxon, order) for order in ("asc", "desc")]
        pages = max(1, self.ask.pool // PAGE)
        for number in range(pages):
            lots = hashlib.sha256(f"{self.ask.seed}:{taxon.identity}:{number}".encode()).digest()
            place = first + int((number + int.from_bytes(lots[:6]) / 2**48) * (last - first) / pages)
            yield self._photos(await self._page(taxon, place))

    async def _end(self, taxon: Taxon, order: str) -> int:
        """The first or the last observation's id."""
        answer = await self._answer("observations", **self._filters(taxon) | {"order": order}, per_page=1)
        return int(answer["results"][0]["id"]) if answer["results"] else 0

    async def _page(self, taxon: Taxon, after: int) -> list[dict]:
        return (await self._answer("observations", **self._filters(taxon), id_above=after, per_page=PAGE))["results"]

    def _filters(self, taxon: Taxon) -> dict:
        ask = self.ask
        wanted = {"taxon_id": taxon.identity, "photos": "true", "order_by": "id", "order": "asc"}
        optional = {
            "quality_grade": None if ask.quality == "any" else ask.quality,
            "place_id": ask.place,
            "d1": ask.since,
            "d2": ask.until,
            "photo_license": None if ask.licences & {RESERVED, UNKNOWN} else ",".join(sorted(ask.licences)),
        }
        return wanted | {key: value for key, value in optional.items() if value is not None}

    def _photos(self, page: list[dict]) -> list[Photo]:
        """Of each observation all photos, or the one that the lot falls on: the first is most often the trophy."""
        chosen = []
        for observation in page:
            photos = [photo for photo in _photos_of(observation, self.ask.size) if self.accepts(photo)]
            if self.ask.per_observation == "one" and photos:
                photos = [min(photos, key=lambda photo: turn_of(self.ask.seed, photo.photo_id))]
            chosen += photos
        return chosen

    async def _answer(self, path: str, **parameters) -> dict:
        url = f"{self._api}/{path}?{urlencode(parameters, safe=',')}"
        try:
            return await self._fetcher.call(url, _checked(path))
        except Unusable as unusable:
            raise WorkFailed(f"{self._api}/{path} gave no usable answer: {unusable}.") from unusable


def _checked(path: str) -> Callable[[bytes], dict]:
    """An answer that has the parts that are used; a web page with status 200 is none."""

    def read(body: bytes) -> dict:
        try:
            answer = json.loads(body)
            rows, total = answer["results"], answer["total_results"]
            if not isinstance(rows, list) or not isinstance(total, int):
                raise TypeError
            if path == "observations":
                for one in rows:
                    int(one["id"]), _photos_of(one, "medium")
            return answer
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RefusedImage("an answer that is not of the API's shape") from None

    return read


def _last(page: list[dict]) -> int:
    return max(int(one["id"]) for one in page)


def _photos_of(observation: dict, size: str) -> list[Photo]:
    """Photos that are shown: hidden and flagged ones are replaced by a notice."""
    where = observation.get("location")
    lat, _, lon = (where if isinstance(where, str) else "").partition(",")
    user = observation.get("user") or {}
    found = []
    for photo in observation["photos"]:
        url = photo.get("url") or ""
        flagged = any(not flag.get("resolved") for flag in photo.get("flags") or [])
        if not url or flagged or photo.get("hidden") or is_placeholder(url):
            continue
        found.append(
            Photo(
                photo_id=str(int(photo["id"])),
                url=sized(url, size),
                licence=licence_code(photo.get("license_code")),
                attribution=photo.get("attribution") or "",
                observation_id=str(observation["id"]),
                observer=user.get("login") or "",
                taken_on=observation.get("observed_on") or "",
                lat=lat.strip(),
                lon=lon.strip(),
            )
        )
    return found
