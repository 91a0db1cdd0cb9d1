"""A table of addresses and classes: what img2dataset takes, and what GBIF exports."""

import csv
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from yarl import URL

from fishnet.collect.gate import Forbidden, Gate, public_name
from fishnet.collect.licences import UNKNOWN, licence_code
from fishnet.collect.naming import named
from fishnet.collect.photo import Photo, Taxon, plain_id
from fishnet.collect.sources.source import Ask, Source
from fishnet.errors import BadInput
from fishnet.names import nearest

PORTION = 1000
# The first of these columns that is there; the last ones are GBIF's (Darwin Core) and iNaturalist's exports'.
COLUMNS = {
    "url": ("url", "image_url", "identifier", "accessURI"),
    "class": ("class", "label", "species", "caption", "scientificName", "scientific_name", "taxon_name"),
    "taxon_id": ("taxon_id", "taxonKey", "speciesKey", "taxonID"),
    "photo_id": ("photo_id", "key"),
    "licence": ("licence", "license", "license_code"),
    "attribution": ("attribution", "rightsHolder", "credit"),
    "observation_id": ("observation_id", "gbifID", "gbifid", "occurrenceID"),
    "observer": ("observer", "creator", "recordedBy", "user_login"),
    "taken_on": ("taken_on", "created", "eventDate", "observed_on"),
    "lat": ("lat", "decimalLatitude", "latitude"),
    "lon": ("lon", "decimalLongitude", "longitude"),
}


class Listed(Source):
    """The list's own hosts may be asked, as far as they are public; redirects may lead to no others."""

    name = "list"
    at_once = True

    def __init__(self, ask: Ask, file: Path, gate: Gate) -> None:
        super().__init__(ask)
        self._file, self._gate = file, gate
        self._columns = _columns(file)

    async def resolve(self, names: list[str]) -> list[Taxon]:
        found: dict[str, Taxon] = {}
        for row in _rows(self._file):
            taxon = self._taxon(row)
            if taxon.name:
                found.setdefault(taxon.identity, taxon)
            self._allow(self._text(row, "url"))
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
        seen: set[tuple[str, str]] = set()
        for row in _rows(self._file):
            identity = self._taxon(row).identity
            if identity not in wanted:
                continue
            photo = self._photo(row)
            observation = (identity, photo.observation_id)
            alone = self.ask.per_observation == "all" or not photo.observation_id or observation not in seen
            if not photo.url or not alone or not self.accepts(photo):
                continue
            seen.add(observation)
            portions[identity].append(photo)
            if len(portions[identity]) == PORTION:
                yield wanted[identity], portions[identity]
                portions[identity] = []
        for identity, portion in portions.items():
            yield wanted[identity], portion

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
            photo_id=plain_id(self._text(row, "photo_id"), url),
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


def _columns(file: Path) -> dict[str, str]:
    names = _header(file)
    folded = {name.casefold(): name for name in reversed(names)}
    found = {
        ours: folded[theirs.casefold()]
        for ours, several in COLUMNS.items()
        for theirs in reversed(several)
        if theirs.casefold() in folded
    }
    for needed in ("url", "class"):
        if needed not in found:
            has = ", ".join(names[:10])
            raise BadInput(f"list={file} has no column {needed!r} (it has: {has}): name one so.")
    return found


def _header(file: Path) -> list[str]:
    if not file.is_file():
        raise BadInput(f"list={file} does not exist: give a CSV or Parquet file of addresses and classes.")
    if file.suffix.lower() in (".parquet", ".pq"):
        import pyarrow
        import pyarrow.parquet as parquet

        try:
            return parquet.ParquetFile(file).schema_arrow.names
        except (pyarrow.ArrowException, OSError) as error:
            raise BadInput(f"list={file} is not a Parquet file ({str(error)[:80]}).") from error
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            return next(csv.reader(text, dialect=_dialect(text)), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"list={file} cannot be read as a table in UTF-8 ({error}).") from error


def _dialect(text) -> type[csv.Dialect]:
    """Commas, or tabs as GBIF writes them."""
    first = text.readline()
    text.seek(0)
    return csv.excel_tab if first.count("\t") > first.count(",") else csv.excel


def _rows(file: Path) -> Iterator[dict]:
    if file.suffix.lower() in (".parquet", ".pq"):
        import pyarrow.parquet as parquet

        for batch in parquet.ParquetFile(file).iter_batches(PORTION):
            yield from batch.to_pylist()
        return
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            yield from csv.DictReader(text, dialect=_dialect(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"list={file} cannot be read as a table in UTF-8 ({error}).") from error
