"""A table of addresses and classes: what img2dataset takes, and what GBIF exports."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from yarl import URL

from fishnet.collect.licences import UNKNOWN, licence_code
from fishnet.collect.naming import named
from fishnet.collect.photo import Photo, Taxon, photo_id_of, turn_of
from fishnet.collect.sources.reading import header, rows
from fishnet.collect.sources.source import Ask, Source
from fishnet.collect.url_guard import Forbidden, Gate, public_name
from fishnet.errors import BadInput
from fishnet.text import counted, nearest

PORTION = 1000
_DAY = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}(?![0-9])")
# The first of these columns that is there; the last ones are GBIF's (Darwin Core) and iNaturalist's exports'.
COLUMNS = {
    "url": ("url", "image_url", "identifier", "accessURI"),
    "class": ("class", "label", "species", "caption", "scientificName", "scientific_name", "taxon_name"),
    "taxon_id": ("taxon_id", "speciesKey", "taxonKey", "taxonID"),
    "licence": ("licence", "license", "license_code"),
    "attribution": ("attribution", "rightsHolder", "credit"),
    "observation_id": ("observation_id", "gbifID", "key", "occurrenceID"),
    "observer": ("observer", "creator", "recordedBy", "user_login"),
    "taken_on": ("taken_on", "created", "eventDate", "observed_on"),
    "lat": ("lat", "decimalLatitude", "latitude"),
    "lon": ("lon", "decimalLongitude", "longitude"),
}


class Listed(Source):
    """The list's own hosts may be asked, as far as they are public; redirects may lead to no others."""

    at_once = True

    def __init__(self, ask: Ask, file: Path, gate: Gate) -> None:
        super().__init__(ask)
        self._file, self._gate = file, gate
        self._columns = _columns(file)
        if "licence" not in self._columns and UNKNOWN not in ask.licences:
            raise BadInput(f"list={file} has no column of licences: say licences=any if its photos may be used.")

    async def prepare(self) -> None:
        for row in rows(self._file):
            self._allow(self._text(row, "url"))

    async def resolve(self, names: list[str]) -> list[Taxon]:
        found: dict[str, Taxon] = {}
        for row in rows(self._file):
            taxon = self._taxon(row)
            if taxon.name:
                found.setdefault(taxon.identity, taxon)
        if not found:
            raise BadInput(f"list={self._file} holds no row with a class.")
        if not names:
            return list(found.values())
        by_name = {taxon.name: taxon for taxon in found.values()} | found
        for name in names:
            if named(name).name not in by_name:
                raise BadInput(f"taxa={name}: the list has no such class; {nearest(name, list(by_name))}")
        return [by_name[named(name).name] for name in names]

    async def find_all(self, taxa: list[Taxon]) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        wanted = {taxon.identity: taxon for taxon in taxa}
        portions: dict[str, list[Photo]] = {identity: [] for identity in wanted}
        alone = self._alone(wanted) if self.ask.per_observation == "one" else {}
        left_out: dict[str, Counter[str]] = {identity: Counter() for identity in wanted}
        for identity, photo in self._photos(wanted):
            if reason := self._unwanted(photo):
                left_out[identity][reason] += 1
                continue
            if alone.get((identity, photo.observation_id), photo.photo_id) != photo.photo_id:
                continue
            portions[identity].append(photo)
            if len(portions[identity]) == PORTION:
                yield wanted[identity], portions[identity]
                portions[identity] = []
        self.told = {identity: _told(reasons) for identity, reasons in left_out.items()}
        for identity, portion in portions.items():
            yield wanted[identity], portion

    def _photos(self, wanted: dict[str, Taxon]) -> Iterator[tuple[str, Photo]]:
        for row in rows(self._file):
            identity = self._taxon(row).identity
            if identity in wanted and (photo := self._photo(row)).url:
                yield identity, photo

    def _alone(self, wanted: dict[str, Taxon]) -> dict[tuple[str, str], str]:
        """Of each observation the photo on which the lot falls: the first is most often the trophy."""
        chosen: dict[tuple[str, str], str] = {}
        for identity, photo in self._photos(wanted):
            if photo.observation_id and not self._unwanted(photo):
                observation = (identity, photo.observation_id)
                before = chosen.get(observation, photo.photo_id)
                chosen[observation] = min(before, photo.photo_id, key=lambda one: turn_of(self.ask.seed, one))
        return chosen

    def _unwanted(self, photo: Photo) -> str:
        """What keeps a photo out of the collection."""
        if not self.accepts(photo):
            return "of other licences"
        if not (self.ask.since or self.ask.until):
            return ""
        days = _days(photo.taken_on)
        if days is None:
            return "without a day such as 2020-05-31"
        inside = (self.ask.since or days[0]) <= days[0] and days[1] <= (self.ask.until or days[1])
        return "" if inside else "of other days"

    def _text(self, row: dict, name: str) -> str:
        column = self._columns.get(name)
        value = row.get(column) if column else None
        return "" if value is None else str(value).strip()

    def _taxon(self, row: dict) -> Taxon:
        taxon, number = named(self._text(row, "class")), self._text(row, "taxon_id")
        return Taxon(number, taxon.name) if number.isdecimal() else taxon

    def _photo(self, row: dict) -> Photo:
        url = self._text(row, "url")
        told = {name: self._text(row, name) for name in ("attribution", "observation_id", "observer", "taken_on")}
        place = {name: self._text(row, name) for name in ("lat", "lon")}
        said = self._text(row, "licence")
        return Photo(
            photo_id=photo_id_of(url),  # ids of the list's own may be used twice
            url=url,
            licence=licence_code(said) if said else UNKNOWN,
            **told,
            **place,
        )

    def _allow(self, url: str) -> None:
        """Names of public machines only; everything else is refused when its turn comes, with the reason."""
        try:
            host = URL(url, encoded=True).host or ""
            if public_name(host):
                self._gate.allow(host)
        except (ValueError, Forbidden):
            return


def _told(reasons: Counter[str]) -> str:
    return "; ".join(f"{counted(count, 'photo')} {reason} left out" for reason, count in sorted(reasons.items()))


def _days(said: str) -> tuple[str, str] | None:
    """The first and the last that may be meant by a day, a month, a year, or a span of such."""
    ends = [_DAY.match(part.strip()) for part in said.split("/")]
    if not all(ends):
        return None
    known = [end[0] for end in ends if end]
    return known[0] + "-01-01"[len(known[0]) - 4 :], known[-1] + "-12-31"[len(known[-1]) - 4 :]


def _columns(file: Path) -> dict[str, str]:
    names = header(file)
    folded = {name.casefold(): name for name in reversed(names)}
    found = {
        ours: folded[theirs.casefold()]
        for ours, several in COLUMNS.items()
        for theirs in reversed(several)
        if theirs.casefold() in folded
    }
    for needed in ("url", "class"):
        if needed not in found:
            has = f"it has: {', '.join(names[:10])[:200]}" if names else "it is empty"
            raise BadInput(f"list={file} has no column {needed!r} ({has}): name one so.")
    return found
