"""iNaturalist's public API: pages of 200 observations in the order of their ids.

pyinaturalist is not used here: its addresses are fixed to one server, its answers come from a cache that would hide a
withdrawn licence, and its limits do not hold for several processes. What is left of it is a handful of parameters.
"""

import difflib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.collect.licences import RESERVED, UNKNOWN, licence_code
from fishnet.collect.photo import Photo, Taxon, is_placeholder, sized, turn_of
from fishnet.collect.sources.source import Query, Source
from fishnet.errors import BadInput, WorkFailed
from fishnet.headers import RefusedImage

PAGE = 200
BY_ID = 100
MOST_SUGGESTIONS = 6


class INaturalist(Source):
    """The source `inaturalist`; `api` is the address of the API."""

    def __init__(self, query: Query, fetcher: Fetcher, *, api: str = "https://api.inaturalist.org/v1") -> None:
        super().__init__(query)
        self._fetcher, self._api = fetcher, api.rstrip("/")

    async def resolve(self, names: list[str]) -> list[Taxon]:
        """Each name is a number, a scientific name, or an English name that belongs to one taxon alone."""
        taxa = [await self._resolve(name) for name in names]
        return list({taxon.identity: taxon for taxon in taxa}.values())

    async def _resolve(self, name: str) -> Taxon:
        if name.isdecimal():
            rows = (await self._call(f"taxa/{int(name)}"))["results"]
            if not rows:
                raise BadInput(f"taxa={name}: there is no taxon of this number.")
            return _taxon(rows[0])
        rows = (await self._call("taxa", q=name, is_active="true", per_page=30))["results"]
        folded = name.casefold()
        exact = [row for row in rows if row["name"].casefold() == folded]
        exact = exact or [row for row in rows if (row.get("preferred_common_name") or "").casefold() == folded]
        if len(exact) == 1:
            return _taxon(exact[0])
        if exact:
            meant = _suggested(exact)
            raise BadInput(f"taxa={name}: the name belongs to {meant}: give the number of the one you mean.")
        for word in dict.fromkeys([name.split()[0], name.split()[0][:4], name.split()[-1][:4]]):
            if len(rows) < MOST_SUGGESTIONS and len(word) > 2:
                rows += (await self._call("taxa/autocomplete", q=word, is_active="true", per_page=30))["results"]
        near = nearest_rows(name, rows)
        if not near:
            raise BadInput(f"taxa={name}: no taxon of this name is known, and none that is near it.")
        raise BadInput(f"taxa={name}: no taxon of this name is known; did you mean {_suggested(near)}?")

    async def find(self, taxon: Taxon, after: int = 0) -> AsyncIterator[list[Photo]]:
        """All observations, or a sample of them where there are more than the pool holds."""
        total = (await self._call("observations", **self._filters(taxon), per_page=1))["total_results"]
        if total > self.query.pool:
            sample = f"a sample of {self.query.pool} observations of {total}"
            self.notes[taxon.identity] = f"{sample}, from all over their years"
            async for portion in self._sample(taxon):
                yield portion
            return
        while True:
            answer = await self._call("observations", **self._filters(taxon), id_above=after, per_page=PAGE)
            page = answer["results"]
            yield self._photos(page)
            if len(page) < PAGE:
                return
            after = max(int(observation["id"]) for observation in page)

    async def today(self, taxon: Taxon, photos: list[Photo]) -> AsyncIterator[list[Photo]]:
        """Asks for the observations of these photos by their ids."""
        ids = sorted({photo.observation_id for photo in photos if photo.observation_id})
        for start in range(0, len(ids), BY_ID):
            answer = await self._call("observations", id=",".join(ids[start : start + BY_ID]), per_page=PAGE)
            yield [photo for observation in answer["results"] for photo in _photos_of(observation, self.query.size)]

    async def _sample(self, taxon: Taxon) -> AsyncIterator[list[Photo]]:
        """Too many to list: pages from all over the ids, by the seed; the first are of a few eager people."""
        ends = []
        for order in ("asc", "desc"):
            answer = await self._call("observations", **self._filters(taxon) | {"order": order}, per_page=1)
            ends.append(int(answer["results"][0]["id"]) if answer["results"] else 0)
        first, last = ends
        pages = max(1, self.query.pool // PAGE)
        for number in range(pages):
            digest = hashlib.sha256(f"{self.query.seed}:{taxon.identity}:{number}".encode()).digest()
            noise = int.from_bytes(digest[:6]) / 2**48
            after = first + int((number + noise) * (last - first) / pages)
            answer = await self._call("observations", **self._filters(taxon), id_above=after, per_page=PAGE)
            yield self._photos(answer["results"])

    def _filters(self, taxon: Taxon) -> dict[str, Any]:
        query = self.query
        always = {"taxon_id": taxon.identity, "photos": "true", "order_by": "id", "order": "asc"}
        quality = None if query.quality == "any" else query.quality
        licences = None if query.licences & {RESERVED, UNKNOWN} else ",".join(sorted(query.licences))
        optional = {"quality_grade": quality, "place_id": query.place, "d1": query.since, "d2": query.until}
        optional |= {"photo_license": licences}
        return always | {key: value for key, value in optional.items() if value is not None}

    def _photos(self, page: list[dict]) -> list[Photo]:
        """Of each observation all photos, or a random one: the first is most often the trophy."""
        chosen = []
        for observation in page:
            photos = [photo for photo in _photos_of(observation, self.query.size) if self.accepts(photo)]
            if self.query.per_observation == "one" and photos:
                photos = [min(photos, key=lambda photo: turn_of(self.query.seed, photo.photo_id))]
            chosen += photos
        return chosen

    async def _call(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The API's answer, which has all parts that are used; a web page with status 200 is none."""

        def read(body: bytes) -> dict[str, Any]:
            try:
                answer = json.loads(body)
                rows, total = answer["results"], answer["total_results"]
                if not isinstance(rows, list) or not isinstance(total, int):
                    raise TypeError
                if path == "observations":
                    for row in rows:
                        int(row["id"]), _photos_of(row, "medium")
                return answer
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RefusedImage("an answer that is not of the API's shape") from None

        try:
            return await self._fetcher.call(f"{self._api}/{path}?{urlencode(parameters, safe=',')}", read)
        except Unusable as unusable:
            raise WorkFailed(f"{self._api}/{path} gave no usable answer: {unusable}.") from unusable


def _photos_of(observation: dict, size: str) -> list[Photo]:
    """The photos that are shown: hidden and flagged ones are replaced by a notice."""
    location = observation.get("location")
    lat, _, lon = (location if isinstance(location, str) else "").partition(",")
    user = observation.get("user") or {}
    photos = []
    for photo in observation["photos"]:
        url = photo.get("url") or ""
        flagged = any(not flag.get("resolved") for flag in photo.get("flags") or [])
        if not url or flagged or photo.get("hidden") or is_placeholder(url):
            continue
        photos.append(
            Photo(
                photo_id=str(int(photo["id"])), url=sized(url, size), licence=licence_code(photo.get("license_code")),
                attribution=photo.get("attribution") or "", observation_id=str(observation["id"]),
                observer=user.get("login") or "", taken_on=observation.get("observed_on") or "",
                lat=lat.strip(), lon=lon.strip(),
            )
        )  # fmt: skip
    return photos


def _taxon(row: dict) -> Taxon:
    return Taxon(str(row["id"]), row["name"], row.get("preferred_common_name") or "", row.get("rank") or "")


def nearest_rows(name: str, rows: list[dict]) -> list[dict]:
    """The taxa whose names are most like this one, each once, the most similar first."""
    ranked = []
    for row in {row["id"]: row for row in rows}.values():
        names = (row["name"], row.get("preferred_common_name") or "")
        alike = (difflib.SequenceMatcher(None, name.casefold(), other.casefold()).ratio() for other in names)
        ranked.append((max(alike), row))
    ranked.sort(key=lambda pair: (-pair[0], pair[1]["name"]))
    return [row for similarity, row in ranked[:MOST_SUGGESTIONS] if similarity > 0.4]


def _suggested(rows: list[dict]) -> str:
    """`Prunella vulgaris (species, Plantae, 55957)`, joined by `or`."""
    suggestions = []
    for row in rows[:MOST_SUGGESTIONS]:
        about = ", ".join(filter(None, [row.get("rank"), row.get("iconic_taxon_name"), str(row["id"])]))
        suggestions.append(f"{row['name']} ({about})")
    return " or ".join(suggestions)
