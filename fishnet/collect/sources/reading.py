"""The rows of a list: CSV as spreadsheets write it, Parquet, or a GBIF archive.

An archive tells addresses in multimedia.txt and species in occurrence.txt beside it; both are read then.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

from fishnet.errors import BadInput

PORTION = 1000
GBIF_KEY = "gbifID"
OF_OCCURRENCES = (
    *("species", "scientificName", "speciesKey", "taxonKey", "recordedBy", "eventDate"),
    *("decimalLatitude", "decimalLongitude"),
)


def header(file: Path) -> list[str]:
    """The names of the columns."""
    names = _header(file)
    beside = _occurrences_beside(file)
    if beside is None or GBIF_KEY not in names:
        return names
    return [*names, *(name for name in _header(beside) if name in OF_OCCURRENCES and name not in names)]


def digest(file: Path) -> str:
    """Tells a list from the same list when it has changed."""
    several = hashlib.sha256()
    for one in filter(None, [file, _occurrences_beside(file)]):
        with open(one, "rb") as text:
            several.update(hashlib.file_digest(text, "sha256").digest())
    return several.hexdigest()


def _occurrences_beside(file: Path) -> Path | None:
    beside = file.with_name("occurrence.txt")
    return beside if file.name == "multimedia.txt" and beside.is_file() else None


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
        raise BadInput(f"list={file} cannot be read as a table ({error}): save it as CSV in UTF-8.") from error


class _Semicolons(csv.excel):
    delimiter = ";"


class _Gbif(csv.excel_tab):
    quoting = csv.QUOTE_NONE


def _dialect(text) -> type[csv.Dialect]:
    """Commas, tabs as GBIF writes them, or semicolons as spreadsheets do where a comma is for decimals."""
    first = text.readline()
    text.seek(0)
    if GBIF_KEY in first.split("\t"):
        return _Gbif
    return max((csv.excel, csv.excel_tab, _Semicolons), key=lambda one: first.count(one.delimiter))


def rows(file: Path) -> Iterator[dict]:
    """Column → value, a row at a time: lists may be longer than memory."""
    if file.suffix.lower() in (".parquet", ".pq"):
        yield from _parquet_rows(file)
        return
    beside = _occurrences_beside(file)
    species = _occurrences(beside) if beside is not None else {}
    for row in _records(file):
        yield {**species.get(row.get(GBIF_KEY) or "", {}), **row}


def _parquet_rows(file: Path) -> Iterator[dict]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        for batch in parquet.ParquetFile(file).iter_batches(PORTION):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"list={file} cannot be read to its end ({str(error)[:80]}).") from error


def _records(file: Path) -> Iterator[dict]:
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            yield from csv.DictReader(text, dialect=_dialect(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"list={file} cannot be read as a table ({error}): save it as CSV in UTF-8.") from error


def _occurrences(file: Path) -> dict[str, dict]:
    """What an occurrence tells of its photos, by its key."""
    return {
        row.get(GBIF_KEY) or "": {name: row[name] for name in OF_OCCURRENCES if row.get(name)} for row in _records(file)
    }
