"""Files as they are published → cells of text: encodings, separators, titles above the header, web pages, commas.

Whether a comma stands before decimals or between thousands is decided by all numbers of a table together. Taken for the
other it is wrong by a thousand and looks right, so what cannot be decided is said or refused.
"""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import few_of

from .columns import VALUES, meaning_of, year_of

MOST_BYTES = 500_000_000
SEPARATORS = ",;\t|"
WRITE_POINTS = "write a point before decimals and nothing between thousands."
HEADER_WITHIN = 12  # lines: some publishers write a title above the header

FLAG = r"(?:[eE][-+]?\d+)?\s*(?:[A-Za-z*†]{1,2})?\s*"
COMMA_BEFORE_DECIMALS = rf"\s*-?(?:\d+|\d{{1,3}}(?:[.\u00a0' ]\d{{3}})+),\d+{FLAG}"
COMMA_BETWEEN_THOUSANDS = rf"\s*-?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?{FLAG}"
POINT_BEFORE_DECIMALS = rf"\s*-?\d+\.\d+{FLAG}"
POINT_BETWEEN_THOUSANDS = rf"\s*-?[1-9]\d{{0,2}}(?:\.\d{{3}})+{FLAG}"


def read_cells(path: Path, corrections: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """The cells as text, and what had to be guessed to read them; the headers that a user corrects must be there."""
    text = _decoded(path)
    if not any(line.strip() for line in text.splitlines()[:HEADER_WITHIN]):
        raise BadInput(f"{path} is empty: download it again.")
    separator, header_at, header = _header(path, text, corrections)
    try:
        form: dict[str, Any] = {"sep": separator, "skiprows": header_at, "skip_blank_lines": False}
        raw = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, **form)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error:", "").split())
        raise BadInput(f"{path} is no whole table ({reason}): download or export it again.") from error
    if not isinstance(raw.index, pd.RangeIndex):
        raise BadInput(f"{path} is no whole table (its rows are longer than its header): export it again.")
    raw.index = raw.index + header_at + 2  # each row keeps the number that it has in the file, for messages about it
    raw = raw[~raw.apply(lambda column: column.str.strip() == "").all(axis=1)]
    if raw.empty:
        raise BadInput(f"{path} holds a header ({', '.join(header)}) and no rows: download it again.")
    raw.columns = _unique([str(name).strip() for name in raw.columns])
    if unknown := [name for name in corrections if name not in raw.columns and name != "years"]:
        raise BadInput(f"columns: {path.name} has no column {unknown[0]}; its columns are {listed(raw)}.")
    return _with_decimal_points(path, raw, separator, corrections)


def _decoded(path: Path) -> str:
    """The file as text; what is no table of text is refused with what to do instead."""
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
    raise BadInput(f"{path} is written in an encoding that cannot be read: save it as UTF-8.")


def _header(path: Path, text: str, corrections: dict[str, str]) -> tuple[str, int, list[str]]:
    """The separator and the line that together give most columns we know, and that line's cells.

    Separators are not counted: a title, a name or a decimal comma may hold more of them than the table has columns.
    """
    best, separator, at, names = (0, 0), ",", 0, [""]
    for number, line in enumerate(text.splitlines()[:HEADER_WITHIN]):
        for sign in SEPARATORS:
            try:
                cells = [cell.strip() for cell in next(csv.reader([line], delimiter=sign), [])]
            except csv.Error as error:
                raise BadInput(
                    f"{path} is no table: its first lines cannot be split into columns ({error})."
                ) from error
            known = sum(bool(cell in corrections or meaning_of(cell) or year_of(cell)) for cell in cells if cell)
            if any(cells) and (known, len(cells)) > best:
                best, separator, at, names = (known, len(cells)), sign, number, cells
    return separator, (at if best[0] else 0), names


def _unique(names: list[str]) -> list[str]:
    """`catch` and ` catch` are one name once the blanks are gone; the second gets a number, as equal ones do."""
    taken: list[str] = []
    for name in names:
        numbered = [name, *(f"{name}.{number}" for number in range(1, len(names)))]
        taken.append(next(each for each in numbered if each not in taken))
    return taken


def listed(raw: pd.DataFrame, most: int = 8) -> str:
    """The first column names, for a message."""
    return few_of([str(name)[:40] for name in raw.columns], most)


def something_else(path: Path, raw: pd.DataFrame, reason: str) -> str:
    """The message about a table whose columns are not those of fisheries."""
    example = "columns='HEADER=year, HEADER=catch'"
    columns = f"its columns are {listed(raw)}"
    return f"{path} is a table of something else: {reason} ({columns}); if one does, say so with {example}."


def _with_decimal_points(
    path: Path, raw: pd.DataFrame, separator: str, corrections: dict[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with points before decimals, and what had to be guessed for it."""
    headers = []
    for header in raw.columns:
        variable = corrections.get(header) or getattr(meaning_of(header), "variable", None)
        if variable in VALUES or variable in ("value", "year") or year_of(header) is not None:
            headers.append(header)
    cells = pd.Series([cell for header in headers for cell in raw[header].unique()], dtype=object).astype(str)
    decimal_comma, comma_group, comma = _examples(cells, COMMA_BEFORE_DECIMALS, COMMA_BETWEEN_THOUSANDS)
    decimal_point, _, point = _examples(cells, POINT_BEFORE_DECIMALS, POINT_BETWEEN_THOUSANDS)
    if decimal_comma and (comma_group or decimal_point):
        both = f"{decimal_comma} and {comma_group or decimal_point}"
        raise BadInput(f"{path} writes numbers in two ways ({both}): {WRITE_POINTS}")
    if decimal_comma:
        notes = [] if separator == ";" else [f"a comma stands before decimals ({decimal_comma})"]
        return _pointed(raw, headers), notes
    if separator == ";" and not comma and point and not decimal_point:
        return raw, [f"a point was taken to stand before decimals: {point}"]
    if not comma or comma_group or decimal_point:
        return raw, []
    as_thousands, as_decimals = comma.replace(",", ""), comma.replace(",", ".")
    if separator == ",":
        return raw, [f"a comma was taken to stand between thousands: {comma} is {as_thousands}"]
    if separator == ";":
        return _pointed(raw, headers), [f"a comma was taken to stand before decimals: {comma} is {as_decimals}"]
    raise BadInput(f"{path}: {comma} may be {as_thousands} or {as_decimals}: {WRITE_POINTS}")


def _examples(cells: pd.Series, before_decimals: str, between_thousands: str) -> tuple[str, str, str]:
    """A cell that can be read the first way only, one the second way only, and one that can be read both ways."""
    first, second = cells.str.fullmatch(before_decimals), cells.str.fullmatch(between_thousands)
    kinds = (first & ~second, second & ~first, first & second)
    decimals, thousands, either = (str(cells[kind].iloc[0]).strip() if kind.any() else "" for kind in kinds)
    return decimals, thousands, either


def _pointed(raw: pd.DataFrame, headers: list[str]) -> pd.DataFrame:
    """The columns with their decimal commas written as points, and nothing between thousands."""
    raw = raw.copy()
    for header in headers:
        text = raw[header]
        comma, point = text.str.fullmatch(COMMA_BEFORE_DECIMALS), text.str.fullmatch(POINT_BETWEEN_THOUSANDS)
        bare = text.str.replace(r"(?<=\d)[.\u00a0' ](?=\d{3})", "", regex=True)
        raw[header] = text.where(~(comma | point), bare.str.replace(",", ".", n=1))
    return raw
