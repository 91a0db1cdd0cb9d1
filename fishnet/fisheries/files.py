"""Files as they are published → cells of text: encodings, signs between cells, titles above the header, web pages."""

import csv
import io
from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput

from .columns import meaning_of, year_of
from .commas import with_points

MOST_BYTES = 500_000_000
SIGNS = ",;\t|"
HEADER_WITHIN = 12  # lines: some publishers write a title above the header


def read_cells(path: Path, told: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """The cells as text, and what had to be guessed to read them."""
    text = _text(path)
    if not any(line.strip() for line in text.splitlines()[:HEADER_WITHIN]):
        raise BadInput(f"{path} is empty: download it again.")
    sign, header_at, header = _header(path, text, told)
    try:
        raw = pd.read_csv(
            io.StringIO(text), sep=sign, dtype=str, keep_default_na=False, skiprows=header_at, skip_blank_lines=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error:", "").split())
        raise BadInput(f"{path} is no whole table ({reason}): download or export it again.") from error
    if isinstance(raw.index, pd.MultiIndex) or not isinstance(raw.index, pd.RangeIndex):
        raise BadInput(f"{path} is no whole table (its rows are longer than its header): export it again.")
    raw = _without_blank_lines(raw, header_at)
    if raw.empty:
        raise BadInput(f"{path} holds a header ({', '.join(header)}) and no rows: download it again.")
    raw.columns = _unique([str(name).strip() for name in raw.columns])
    if unknown := [name for name in told if name not in raw.columns and name != "years"]:
        raise BadInput(f"columns: {path.name} has no column {unknown[0]}; its columns are {listed(raw)}.")
    return with_points(path, raw, sign, told)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path} is larger than {MOST_BYTES // 1_000_000} MB: cut it to the rows you need.")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from error
    start = data[:2000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        raise BadInput(f"{path} is a web page saved under the name of a table: download the table itself.")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadInput(f"{path} is a spreadsheet or an archive: save the sheet as CSV.")
    if start.startswith((b"{", b"[{")):
        raise BadInput(f"{path} is JSON, not a table: export it as CSV.")
    if b"\x00" in data[:100_000] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{path} is no text: give a CSV.")
    for encoding in ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{path} is written in signs that cannot be read: save it as UTF-8.")


def _header(path: Path, text: str, told: dict[str, str]) -> tuple[str, int, list[str]]:
    """The sign between cells and the line that together give most columns we know.

    Signs are not counted: a title, a name or a decimal comma may hold more of them than the table has columns.
    """
    best, sign, at, names = (0, 0), ",", 0, [""]
    for number, line in enumerate(text.splitlines()[:HEADER_WITHIN]):
        for one in SIGNS:
            cells = _cells(path, line, one)
            known = sum(bool(cell in told or meaning_of(cell) or year_of(cell)) for cell in cells if cell)
            if any(cells) and (known, len(cells)) > best:
                best, sign, at, names = (known, len(cells)), one, number, cells
    return sign, (at if best[0] else 0), names


def _without_blank_lines(raw: pd.DataFrame, header_at: int) -> pd.DataFrame:
    """Each row keeps the number that it has in the file, which is what a sentence about it has to tell."""
    raw.index = raw.index + header_at + 2
    return raw[~raw.apply(lambda column: column.str.strip() == "").all(axis=1)]


def _unique(names: list[str]) -> list[str]:
    """`catch` and ` catch` are one name once the blanks are gone; the second gets a number, as equal ones do."""
    taken: list[str] = []
    for name in names:
        number = next(n for n in range(len(names)) if (f"{name}.{n}" if n else name) not in taken)
        taken.append(f"{name}.{number}" if number else name)
    return taken


def _cells(path: Path, line: str, sign: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=sign), [])]
    except csv.Error as error:
        raise BadInput(f"{path} is no table: its first lines cannot be told into columns ({error}).") from error


def listed(raw: pd.DataFrame, most: int = 8) -> str:
    names = [str(name)[:40] for name in raw.columns]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def something_else(path: Path, raw: pd.DataFrame, what: str) -> str:
    return (
        f"{path} is a table of something else: {what} (its columns are {listed(raw)}); if one does, say so with "
        "columns='HEADER=year, HEADER=catch'."
    )
