"""Tables as they are published → one tidy form, or one sentence that says what is wrong.

Published tables name one variable in many ways, keep regions and taxa in one column, leave half of the cells blank,
write the years as rows or as columns, and are sometimes a web page. What each column was taken for is kept beside
the numbers, because a reader that guesses silently is not to be trusted.
"""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.errors import BadInput
from fishnet.names import counted

from .cells import numbers
from .columns import MEANINGS, VALUES, Meaning, meaning_of, told_columns, year_of

MOST_BYTES = 500_000_000
HEADER_WITHIN = 12  # lines: some publishers write a title above the header
YEARS = range(1500, 2101)
ENTITY = ("kind", "entity", "year")
ATTRIBUTES = ("name", "species", "category", "resilience", "code")
KINDS = ("stock", "region", "taxon", "country")


@dataclass
class Sheet:
    """One table: a row an entity and year (`frame`), or a row a species (`categories`)."""

    path: Path
    frame: pd.DataFrame
    taken: list[tuple[str, str]]  # header, what it was taken for
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def tells(self) -> list[str]:
        return [what for what in VALUES if what in self.frame and self.frame[what].notna().any()]


def read(path: Path, columns: str | None = None) -> Sheet:
    """A table file, understood."""
    told = told_columns(columns)
    return _understood(path, _cells(path, told), told)


def read_frame(path: Path, table: pd.DataFrame, columns: str | None = None) -> Sheet:
    """A table that is in memory, read as if it lay in a file of that name."""
    return _understood(path, table.astype(str), told_columns(columns))


def _understood(path: Path, raw: pd.DataFrame, told: dict[str, str]) -> Sheet:
    meanings = {header: _meaning(header, told) for header in raw.columns}
    if _is_list_of_species(meanings):
        return _species_sheet(path, raw, meanings)
    raw, meanings, notes = _long(path, raw, meanings, told)
    if not any(meaning and meaning.what == "year" for meaning in meanings.values()):
        raise BadInput(_something_else(path, raw, "no column says a year"))
    if not any(meaning and meaning.what in VALUES for meaning in meanings.values()):
        raise BadInput(_something_else(path, raw, "no column holds catches, biomass or stock status"))
    meanings = _one_each(meanings)
    taken = [(header, str(meaning) if meaning else "left alone") for header, meaning in meanings.items()]
    frame, more = _tidy(path, raw, meanings)
    taken, reinterpreted = _relative(frame, taken)
    return Sheet(path, frame, taken, [*notes, *more, *reinterpreted])


# ---- bytes → cells


def _cells(path: Path, told: dict[str, str]) -> pd.DataFrame:
    text = _text(path)
    lines = [line for line in text.splitlines()[:HEADER_WITHIN] if line.strip()]
    if not lines:
        raise BadInput(f"{path} is empty: download it again.")
    sign = max(",;\t|", key=lambda sign: max(line.count(sign) for line in lines))
    header_at, header = _header(text, sign, told)
    try:
        raw = pd.read_csv(
            io.StringIO(text), sep=sign, dtype=str, keep_default_na=False, skiprows=header_at, skip_blank_lines=True
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error:", "").split())
        raise BadInput(f"{path} is no whole table ({reason}): download or export it again.") from error
    if raw.empty:
        raise BadInput(f"{path} holds a header ({', '.join(header)}) and no rows: download it again.")
    if isinstance(raw.index, pd.MultiIndex) or not isinstance(raw.index, pd.RangeIndex):
        raise BadInput(f"{path} is no whole table (its rows are longer than its header): export it again.")
    raw.columns = [str(name).strip() for name in raw.columns]
    if unknown := [name for name in told if name not in raw.columns and name != "years"]:
        raise BadInput(f"columns: {path.name} has no column {unknown[0]}; its columns are {_listed(raw)}.")
    if sign == ";":  # written where the decimal sign is a comma
        raw = raw.replace(r"^\s*(-?\d+),(\d+)\s*$", r"\1.\2", regex=True)
    return raw


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


def _header(text: str, sign: str, told: dict[str, str]) -> tuple[int, list[str]]:
    """The line that names most columns we know: titles and blank lines may stand above it."""
    best, at, names = -1, 0, [""]
    for number, line in enumerate(text.splitlines()[:HEADER_WITHIN]):
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=sign), [])]
        known = sum(bool(cell in told or meaning_of(cell) or year_of(cell)) for cell in cells if cell)
        if known > best and any(cells):
            best, at, names = known, number, cells
    return (at, names) if best > 0 else (0, names)


def _listed(raw: pd.DataFrame, most: int = 8) -> str:
    names = [str(name)[:40] for name in raw.columns]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _something_else(path: Path, raw: pd.DataFrame, what: str) -> str:
    return (
        f"{path} is a table of something else: {what} (its columns are {_listed(raw)}); if one does, say so with "
        "columns='HEADER=year, HEADER=catch'."
    )


# ---- headers → meanings


def _meaning(header: str, told: dict[str, str]) -> Meaning | None:
    if header in told:
        return None if told[header] == "nothing" else Meaning(told[header], why="as you said")
    return meaning_of(header)


def _is_list_of_species(meanings: dict[str, Meaning | None]) -> bool:
    whats = {meaning.what for meaning in meanings.values() if meaning}
    return {"species", "category"} <= whats and "year" not in whats


def _species_sheet(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None]) -> Sheet:
    at = {meaning.what: header for header, meaning in reversed(meanings.items()) if meaning}
    frame = raw[[at["species"], at["category"]]].set_axis(["species", "category"], axis=1)
    frame = frame[(frame.species.str.strip() != "") & (frame.category.str.strip() != "")].drop_duplicates("species")
    taken = [(header, str(meaning) if meaning else "left alone") for header, meaning in meanings.items()]
    return Sheet(path, frame.reset_index(drop=True), taken)


def _one_each(meanings: dict[str, Meaning | None]) -> dict[str, Meaning | None]:
    """Of several columns for one variable, the one that its publisher calls best; what the user said wins."""
    chosen: dict[tuple[str, str], str] = {}
    for header, meaning in meanings.items():
        if meaning is None:
            continue
        key = (meaning.column, meaning.group)
        rank = (bool(meaning.why), "best" in header.lower() or "pref" in header.lower())
        if key not in chosen:
            chosen[key] = header
            continue
        other = meanings[chosen[key]]
        assert other is not None
        if rank > (bool(other.why), "best" in chosen[key].lower() or "pref" in chosen[key].lower()):
            chosen[key] = header
    return {header: meaning if header in chosen.values() else None for header, meaning in meanings.items()}


# ---- wide and stacked → one row an entity and year


def _long(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None], told: dict[str, str]):
    years = {header: year for header in raw.columns if (year := year_of(header)) is not None}
    if len(years) >= 3 and not any(meaning and meaning.what == "year" for meaning in meanings.values()):
        return _from_wide(path, raw, meanings, years, told)
    at = {meaning.what: header for header, meaning in meanings.items() if meaning}
    if {"variable", "value", "year"} <= set(at):
        return _from_stacked(path, raw, meanings, at)
    return raw, meanings, []


def _from_wide(path: Path, raw: pd.DataFrame, meanings, years: dict[str, int], told: dict[str, str]):
    kept = [header for header, meaning in meanings.items() if meaning and header not in years]
    at = {meanings[header].what: header for header in kept}
    long = raw.melt(id_vars=kept, value_vars=list(years), var_name="year", value_name="value of the year")
    long["year"] = long["year"].map(years).astype(str)
    notes = [f"{counted(len(years), 'column')} of years were taken as rows"]
    if "variable" in at:
        now = {header: meanings[header] for header in kept} | {
            "year": Meaning("year"),
            "value of the year": Meaning("value"),
        }
        long, now, more = _from_stacked(path, long, now, {meaning.what: header for header, meaning in now.items()})
        return long, now, notes + more
    what, why = _measured(path, raw, at, told)
    if what is None:
        raise BadInput(
            f"{path}: nothing says what its yearly columns measure: say it with columns='years=catch' (or biomass, "
            "b_bmsy, u_umsy, index, sustainable)."
        )
    now = {header: meanings[header] for header in kept}
    return long, {**now, "year": Meaning("year"), "value of the year": Meaning(what, why=why)}, notes


def _measured(path: Path, raw: pd.DataFrame, at: dict[str, str], told: dict[str, str]) -> tuple[str | None, str]:
    if told.get("years") in VALUES:
        return told["years"], "as you said"
    if "unit" in at and raw[at["unit"]].str.contains(r"\bton|tonnes", case=False, regex=True).mean() > 0.5:
        return "catch", "the unit is tonnes"
    for piece in [path.stem, *path.stem.replace("-", "_").split("_")]:
        found = meaning_of(piece.replace("_", " "))
        if found and found.what in VALUES:
            return found.what, "by the file's name"
    return None, ""


def _from_stacked(path: Path, raw: pd.DataFrame, meanings, at: dict[str, str]):
    """A column that names the variable and one that holds its value, as in RAM Legacy's `timeseries`."""
    ids = [
        header
        for header, meaning in meanings.items()
        if meaning and meaning.what in ("stock", "entity", "year", *ATTRIBUTES, "area")
    ]
    names = {name: meaning_of(name.rsplit("-", 1)[0]) or meaning_of(name) for name in raw[at["variable"]].unique()}
    known: dict[str, Meaning | None] = {
        str(name): found for name, found in names.items() if found and found.what in VALUES
    }
    if not known:
        raise BadInput(_something_else(path, raw, f"no row of {at['variable']} is about catch, biomass or status"))
    chosen = [name for name, meaning in _one_each(known).items() if meaning]
    rows = raw[raw[at["variable"]].isin(chosen)]
    repeated = rows.duplicated([*ids, at["variable"]])
    if repeated.any():
        row = rows[repeated].iloc[0]
        raise BadInput(f"{path}: {row[at['variable']]} of {row[ids[0]]} is there twice for {row[at['year']]}.")
    wide = rows.pivot(index=ids, columns=at["variable"], values=at["value"]).fillna("").reset_index()
    now = {header: meanings[header] for header in ids} | {name: known[name] for name in chosen}
    return wide, now, [f"{counted(len(chosen), 'variable')} of {len(names)} in {at['variable']} were understood"]


# ---- cells → numbers


def _tidy(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None]) -> tuple[pd.DataFrame, list[str]]:
    known = {header: meaning for header, meaning in meanings.items() if meaning}
    labels = {meaning.what: header for header, meaning in known.items() if meaning.what in MEANINGS.keys() - VALUES}
    year = numbers(path, raw, labels["year"], "year", counted_in=YEARS)
    out = pd.DataFrame({"kind": "", "entity": _entity(raw, labels), "year": year})
    for what in ATTRIBUTES:
        if what in labels:
            out[what] = raw[labels[what]].str.strip()
    if "stock" in labels and (place := labels.get("entity") or labels.get("area")):
        out["region"] = raw[place].str.strip()
    parts = [
        _part(path, raw, out, known, group) for group in sorted({m.group for m in known.values() if m.what in VALUES})
    ]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True) if any(map(len, parts)) else parts[0]
    if frame.empty:
        raise BadInput(f"{path}: all of its cells are blank.")
    frame["kind"] = frame["kind"].where(frame["kind"] != "", _kinds(frame, labels))
    _refuse_repeated(path, frame)
    blank = len(raw) - len(frame.drop_duplicates(["row"]))
    notes = [f"{counted(blank, 'row')} without any value left out"] if blank else []
    frame["year"] = frame["year"].astype(int)
    return frame.drop(columns="row").sort_values(list(ENTITY), ignore_index=True), notes


def _entity(raw: pd.DataFrame, labels: dict[str, str]) -> pd.Series:
    """What a row is about: its stock, else its country or region with the species and area it is split by."""
    if "stock" in labels:
        return raw[labels["stock"]].str.strip()
    parts = [raw[labels[what]].str.strip() for what in ("entity", "species", "area") if what in labels]
    if not parts:
        return pd.Series("all", index=raw.index)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + " · " + part
    return whole


def _part(path: Path, raw: pd.DataFrame, out: pd.DataFrame, known: dict[str, Meaning], group: str) -> pd.DataFrame:
    """The rows of one kind, with those of its columns that hold anything."""
    part = out.copy()
    part["row"], part["kind"] = np.arange(len(part)), group
    columns = []
    for header, meaning in known.items():
        if meaning.what in VALUES and meaning.group == group:
            part[meaning.column] = numbers(path, raw, header, meaning.what) * meaning.factor
            columns.append(meaning.column)
    return part[part[columns].notna().any(axis=1) & part["year"].notna() & (part["entity"] != "")]


def _kinds(frame: pd.DataFrame, labels: dict[str, str]) -> pd.Series:
    """A stock has its own number; a country its code; what has none is a region."""
    if "stock" in labels:
        return pd.Series("stock", index=frame.index)
    if "species" in labels and "entity" not in labels:
        return pd.Series("taxon", index=frame.index)
    if "code" in labels:
        real = (frame["code"] != "") & ~frame["code"].str.startswith("OWID")
        return pd.Series(np.where(real, "country", "region"), index=frame.index)
    return pd.Series("region", index=frame.index)


def _refuse_repeated(path: Path, frame: pd.DataFrame) -> None:
    repeated = frame.duplicated(list(ENTITY))
    if repeated.any():
        row = frame[repeated].iloc[0]
        same = frame[(frame[list(ENTITY)] == row[list(ENTITY)]).all(axis=1)]
        rows = " and ".join(str(number + 2) for number in same["row"].head(2))
        raise BadInput(f"{path}: {row.entity} has the year {int(row.year)} twice (rows {rows}): keep one of them.")


def _relative(frame: pd.DataFrame, taken: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Beside a fishing pressure, a 'biomass' of about 1 is B/Bmsy: regional RAM tables head it so."""
    if "biomass" not in frame or "b_bmsy" in frame or "u_umsy" not in frame:
        return taken, []
    middle = float(frame["biomass"].median())
    if not 0.05 < middle < 20:
        return taken, []
    frame.columns = [re.sub(r"^biomass", "b_bmsy", name) for name in frame.columns]
    why = f" (values of about {middle:.1f} beside a fishing pressure)"
    taken = [
        (
            header,
            words.replace(MEANINGS["biomass"], MEANINGS["b_bmsy"], 1) + why if words.startswith("biomass") else words,
        )
        for header, words in taken
    ]
    return taken, ["biomass is relative to Bmsy; columns= says otherwise if it is not"]
