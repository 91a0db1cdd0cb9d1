"""A table of addresses and classes, as img2dataset takes it and as GBIF exports it: CSV, Parquet, or a GBIF archive.

An archive holds addresses in multimedia.txt and species in occurrence.txt beside it; both are read then.
"""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from yarl import URL

from fishnet.collect.licences import UNKNOWN, licence_code
from fishnet.collect.photo import Photo, Taxon, photo_id_of, taxon_from_name, turn_of
from fishnet.collect.sources.source import Query, Source
from fishnet.collect.url_guard import Gate, public_name
from fishnet.errors import BadInput
from fishnet.text import counted, nearest

PORTION = 1000
GBIF_KEY = "gbifID"
OF_OCCURRENCES = (
    *("species", "scientificName", "speciesKey", "taxonKey", "recordedBy", "eventDate"),
    *("decimalLatitude", "decimalLongitude"),
)
_DAY = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}(?![0-9])")
# ours → the names it may have, of which the first that is there counts; the last are GBIF's and iNaturalist's
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
    """The source `list`, a `file`. Its hosts are added to the `gate`, as far as they are public."""

    at_once = True

    def __init__(self, query: Query, file: Path, gate: Gate) -> None:
        super().__init__(query)
        self._file, self._gate = file, gate
        self._columns = _columns(file)
        if "licence" not in self._columns and UNKNOWN not in query.licences:
            raise BadInput(f"list={file} has no column of licences: say licences=any if its photos may be used.")

    async def prepare(self) -> None:
        """Let the list's hosts be asked; any other address is refused when its turn comes, with the reason."""
        for row in rows(self._file):
            with suppress(ValueError):
                host = URL(self._text(row, "url"), encoded=True).host or ""
                if public_name(host):
                    self._gate.allow(host)

    async def resolve(self, names: list[str]) -> list[Taxon]:
        """The classes of the list with these names or numbers; all of them if there are no names."""
        taxa: dict[str, Taxon] = {}
        for taxon in map(self._taxon, rows(self._file)):
            if taxon.name:
                taxa.setdefault(taxon.identity, taxon)
        if not taxa:
            raise BadInput(f"list={self._file} holds no row with a class.")
        if not names:
            return list(taxa.values())
        by_name = {taxon.name: taxon for taxon in taxa.values()} | taxa
        for name in names:
            if taxon_from_name(name).name not in by_name:
                raise BadInput(f"taxa={name}: the list has no such class; {nearest(name, list(by_name))}")
        return [by_name[taxon_from_name(name).name] for name in names]

    async def find_all(self, taxa: list[Taxon], after: int = 0) -> AsyncIterator[tuple[Taxon, list[Photo]]]:
        """In one pass over the list, or two where one photo of each observation is wanted."""
        wanted = {taxon.identity: taxon for taxon in taxa}
        portions: dict[str, list[Photo]] = {identity: [] for identity in wanted}
        drawn = self._draw_photos(wanted) if self.query.per_observation == "one" else {}
        left_out: dict[str, Counter[str]] = {identity: Counter() for identity in wanted}
        for identity, photo in self._photos(wanted):
            if reason := self._unwanted(photo):
                left_out[identity][reason] += 1
            elif drawn.get((identity, photo.observation_id), photo.photo_id) == photo.photo_id:
                portions[identity].append(photo)
            if len(portions[identity]) == PORTION:
                yield wanted[identity], portions[identity]
                portions[identity] = []
        for identity, reasons in left_out.items():
            counts = [f"{counted(count, 'photo')} {reason} left out" for reason, count in sorted(reasons.items())]
            self.notes[identity] = "; ".join(counts)
        for identity, portion in portions.items():
            yield wanted[identity], portion

    def _photos(self, wanted: dict[str, Taxon]) -> Iterator[tuple[str, Photo]]:
        for row in rows(self._file):
            identity = self._taxon(row).identity
            if identity in wanted and (photo := self._photo(row)).url:
                yield identity, photo

    def _draw_photos(self, wanted: dict[str, Taxon]) -> dict[tuple[str, str], str]:
        """Of each observation a random photo: the first is most often the trophy."""
        chosen: dict[tuple[str, str], str] = {}
        for identity, photo in self._photos(wanted):
            if photo.observation_id and not self._unwanted(photo):
                observation = (identity, photo.observation_id)
                both = chosen.get(observation, photo.photo_id), photo.photo_id
                chosen[observation] = min(both, key=lambda photo_id: turn_of(self.query.seed, photo_id))
        return chosen

    def _unwanted(self, photo: Photo) -> str:
        """Why a photo is left out of the collection; empty if it is not."""
        if not self.accepts(photo):
            return "of other licences"
        since, until = self.query.since, self.query.until
        if not since and not until:
            return ""
        # a day, a month, a year, or a span of such: the first and the last day that may be meant
        ends = [_DAY.match(part.strip()) for part in photo.taken_on.split("/")]
        days = [end[0] for end in ends if end]
        if len(days) < len(ends):
            return "without a day such as 2020-05-31"
        first, last = days[0] + "-01-01"[len(days[0]) - 4 :], days[-1] + "-12-31"[len(days[-1]) - 4 :]
        return "of other days" if (since and since > first) or (until and last > until) else ""

    def _text(self, row: dict, name: str) -> str:
        column = self._columns.get(name)
        value = row.get(column) if column else None
        return "" if value is None else str(value).strip()

    def _taxon(self, row: dict) -> Taxon:
        taxon, number = taxon_from_name(self._text(row, "class")), self._text(row, "taxon_id")
        return Taxon(number, taxon.name) if number.isdecimal() else taxon

    def _photo(self, row: dict) -> Photo:
        url, licence = self._text(row, "url"), self._text(row, "licence")
        same = ("attribution", "observation_id", "observer", "taken_on", "lat", "lon")
        described = {name: self._text(row, name) for name in same}
        code = licence_code(licence) if licence else UNKNOWN
        return Photo(photo_id_of(url), url, code, **described)  # ids of the list's own may be used twice


def _columns(file: Path) -> dict[str, str]:
    """Our names of columns → those of the list."""
    names = header(file)
    folded = {name.casefold(): name for name in reversed(names)}
    several = ((ours, name.casefold()) for ours, theirs in COLUMNS.items() for name in reversed(theirs))
    columns = {ours: folded[name] for ours, name in several if name in folded}
    for needed in ("url", "class"):
        if needed not in columns:
            has = f"it has: {', '.join(names[:10])[:200]}" if names else "it is empty"
            raise BadInput(f"list={file} has no column {needed!r} ({has}): name one so.")
    return columns


def header(file: Path) -> list[str]:
    """The names of all columns, also of those that occurrences add."""
    if not file.is_file():
        raise BadInput(f"list={file} does not exist: give a CSV or Parquet file of addresses and classes.")
    with _opened(file) as (names, _):
        pass
    if (occurrences := _occurrence_file(file)) and GBIF_KEY in names:
        with _opened(occurrences) as (more, _):
            names += [name for name in more if name in OF_OCCURRENCES and name not in names]
    return names


def rows(file: Path) -> Iterator[dict]:
    """Column → value, a row at a time: lists may be longer than memory."""
    species: dict[str, dict] = {}  # by key, what an occurrence says of its photos
    if occurrences := _occurrence_file(file):
        with _opened(occurrences) as (_, records):
            for row in records:
                species[row.get(GBIF_KEY) or ""] = {name: row[name] for name in OF_OCCURRENCES if row.get(name)}
    with _opened(file) as (_, records):
        for row in records:
            yield {**species.get(row.get(GBIF_KEY) or "", {}), **row} if species else row


def digest(file: Path) -> str:
    """A digest that changes with the list, or with the occurrences beside it."""
    total = hashlib.sha256()
    for path in filter(None, [file, _occurrence_file(file)]):
        with open(path, "rb") as binary:
            total.update(hashlib.file_digest(binary, "sha256").digest())
    return total.hexdigest()


def _occurrence_file(file: Path) -> Path | None:
    occurrences = file.with_name("occurrence.txt")
    return occurrences if file.name == "multimedia.txt" and occurrences.is_file() else None


@contextmanager
def _opened(file: Path) -> Iterator[tuple[list[str], Iterable[dict]]]:
    """The names of a table's columns, and its rows; BadInput if it cannot be read."""
    if file.suffix.lower() in (".parquet", ".pq"):
        import pyarrow
        import pyarrow.parquet as parquet

        try:
            table = parquet.ParquetFile(file)
            batches = table.iter_batches(PORTION)
            yield table.schema_arrow.names, (row for batch in batches for row in batch.to_pylist())
        except (pyarrow.ArrowException, OSError) as error:
            why = str(error)[:80]
            raise BadInput(f"list={file} is no Parquet file, or cannot be read to its end ({why}).") from error
        return
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            records = csv.DictReader(text, **_dialect(text))
            yield [*(records.fieldnames or [])], records
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"list={file} cannot be read as a table ({error}): save it as CSV in UTF-8.") from error


def _dialect(text: TextIO) -> dict[str, Any]:
    """Commas, tabs as GBIF writes them, or semicolons as spreadsheets do where a comma is for decimals."""
    first = text.readline()
    text.seek(0)
    if GBIF_KEY in first.split("\t"):
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    return {"delimiter": max(",\t;", key=first.count)}
