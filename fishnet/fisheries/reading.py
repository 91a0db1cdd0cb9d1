"""Tables as they are published → one tidy form, or one sentence that says what is wrong.

Published tables name one variable in many ways, keep regions and taxa in one column, leave half of the cells blank,
write the years as rows or as columns, and are sometimes a web page. What each column was taken for is kept beside
the numbers, because a reader that guesses silently is not to be trusted.
"""

import functools
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import counted

from .columns import (
    ATTRIBUTES,
    LABELS,
    MEANINGS,
    VALUES,
    Meaning,
    Meanings,
    in_tonnes,
    meaning_of,
    parse_columns,
    tonnes,
    without_rivals,
    year_of,
)
from .files import read_cells, something_else

YEARS = range(1500, 2101)
ENTITY = ("kind", "entity", "year")
NOTHING = {"", "-", "–", "—", ".", "..", "...", "…", "na", "n/a", "nan", "null", "none", "#n/a", "not available"}
# FAO: `1200 F` is an estimate
FLAGGED = r"^\s*(-?[\d.,\u00a0' ]*\d[\d.,]*(?:[eE][-+]?\d+)?)\s*(?:[A-Za-z*†]{1,2})?\s*$"
THOUSANDS = r"(?<=\d)[,\u00a0' ](?=\d{3}(?:\D|$))"
YEARLY, WRITTEN = "value of the year", "header of the year"  # where years were columns: its cell, its header
PERCENTAGES = ("sustainable", "overfished")
ANY_INDEX = ("index", "survey")  # as a word of a file's name: of prices, of people


@dataclass
class Sheet:
    """One table that was read."""

    path: Path  # where it came from
    frame: pd.DataFrame  # a row an entity and year, or, of a list of species, a row a species and its category
    taken: list[tuple[str, str]]  # each header, and what it was taken for
    notes: list[str] = field(default_factory=list)  # what had to be guessed or left out

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def variables(self) -> list[str]:
        """Those that hold any value."""
        return [name for name in VALUES if name in self.frame and self.frame[name].notna().any()]


def read(path: Path, columns: str | None = None) -> Sheet:
    """A table file; `columns` corrects what its columns are taken for: 'HEADER=meaning, HEADER=meaning'."""
    corrections = parse_columns(columns)
    raw, notes = read_cells(path, corrections)
    sheet = _sheet(path, raw, corrections)
    sheet.notes[:0] = notes
    return sheet


def read_frame(path: Path, table: pd.DataFrame, columns: str | None = None) -> Sheet:
    """A table that is in memory, read as if it lay in a file of that name."""
    return _sheet(path, table.astype(str).set_axis(range(2, len(table) + 2)), parse_columns(columns))


def _sheet(path: Path, raw: pd.DataFrame, corrections: dict[str, str]) -> Sheet:
    meanings: Meanings = {header: _meaning(header, raw[header], corrections) for header in raw.columns}
    variables = {meaning.variable for meaning in meanings.values() if meaning}
    if {"species", "category"} <= variables and "year" not in variables:
        names = {_headers(meanings)[name]: name for name in ("species", "category")}
        frame = raw[list(names)].rename(columns=names)
        frame = frame[(frame.species.str.strip() != "") & (frame.category.str.strip() != "")].drop_duplicates("species")
        return Sheet(path, frame.reset_index(drop=True), _taken(meanings))
    raw, meanings, notes = _as_rows(path, raw, meanings, corrections)
    variables = {meaning.variable for meaning in meanings.values() if meaning}
    if "year" not in variables:
        raise BadInput(something_else(path, raw, "no column says a year"))
    if not variables & VALUES.keys():
        raise BadInput(something_else(path, raw, "no column holds catches, biomass or stock status"))
    meanings = without_rivals(_finest_entity(raw, meanings))
    unit = _headers(meanings).get("unit")
    if unit is not None:  # a column of units counts for every weight beside it
        meanings = {header: in_tonnes(path, raw[unit], meaning) for header, meaning in meanings.items()}
    frame, more = _tidy(path, raw, meanings)
    taken, reinterpreted = _relative(frame, _taken(meanings))
    return Sheet(path, frame, taken, [*notes, *more, *reinterpreted])


# ---- headers → meanings


def _meaning(header: str, cells: pd.Series, corrections: dict[str, str]) -> Meaning | None:
    if header in corrections:
        return None if corrections[header] == "nothing" else Meaning(corrections[header], reason="as you said")
    if header.casefold() == "index":  # 0, 1, 2, …: written by whoever saved the table, and no survey
        counted_up, values = np.arange(len(cells)), pd.to_numeric(cells, errors="coerce")
        if (values == counted_up).all() or (values == counted_up + 1).all():
            return None
    return meaning_of(header)


def _headers(meanings: Meanings) -> dict[str, str]:
    """Variable → its header; the first of several."""
    return {meaning.variable: header for header, meaning in reversed(list(meanings.items())) if meaning}


def _taken(meanings: Meanings) -> list[tuple[str, str]]:
    return [(header, str(meaning) if meaning else "left alone") for header, meaning in meanings.items()]


def _finest_entity(raw: pd.DataFrame, meanings: Meanings) -> Meanings:
    """A row is about the smallest of its entities: of region and country, the one with more names in it."""
    entities = {header: meaning for header, meaning in meanings.items() if meaning and meaning.variable == "entity"}
    of_stocks = any(meaning and meaning.variable == "stock" for meaning in meanings.values())
    if len(entities) < 2 or of_stocks or any(meaning.reason for meaning in entities.values()):
        return meanings
    finest = max(entities, key=lambda header: raw[header].nunique())
    return {**meanings, **dict.fromkeys(entities), finest: meanings[finest]}


# ---- years as columns, or variables stacked in one column → a row an entity and year

Rows = tuple[pd.DataFrame, Meanings, list[str]]  # the table, what its columns mean, notes


def _as_rows(path: Path, raw: pd.DataFrame, meanings: Meanings, corrections: dict[str, str]) -> Rows:
    years = {header: year for header in raw.columns if (year := year_of(header)) is not None}
    headers = {meaning.variable: header for header, meaning in meanings.items() if meaning}
    if len(years) >= 3 and "year" not in headers:
        return _from_wide(path, raw, meanings, years, corrections)
    if {"variable", "value", "year"} <= set(headers):
        return _from_stacked(path, raw, meanings)
    return raw, meanings, []


def _from_wide(
    path: Path, raw: pd.DataFrame, meanings: Meanings, years: dict[str, int], corrections: dict[str, str]
) -> Rows:
    kept = {header: meaning for header, meaning in meanings.items() if meaning and header not in years}
    headers = {meaning.variable: header for header, meaning in kept.items()}
    long = raw.melt(list(kept), list(years), var_name=WRITTEN, value_name=YEARLY, ignore_index=False)
    long["year"] = long[WRITTEN].map(years).astype(str)
    notes = [f"{counted(len(years), 'column')} of years were taken as rows"]
    if "variable" in headers:
        long, stacked, more = _from_stacked(path, long, {**kept, "year": Meaning("year"), YEARLY: Meaning("value")})
        return long, stacked, notes + more
    yearly = _measured(path, raw, headers.get("unit"), corrections)
    if yearly is None:
        example = "columns='years=catch' (or biomass, b_bmsy, u_umsy, index, sustainable)"
        raise BadInput(f"{path}: nothing says what its yearly columns measure: say it with {example}.")
    return long, {**kept, "year": Meaning("year"), YEARLY: yearly}, notes


def _measured(path: Path, raw: pd.DataFrame, unit: str | None, corrections: dict[str, str]) -> Meaning | None:
    """What the cells of yearly columns measure, by the user's word, their unit or the file's name."""
    if corrections.get("years") in VALUES:
        return Meaning(corrections["years"], reason="as you said")
    if unit is not None and raw[unit].map(functools.cache(tonnes)).notna().mean() > 0.5:
        return Meaning("catch", reason="the unit is tonnes")
    words = path.stem.replace("-", "_").split("_")
    pairs = [" ".join(pair) for pair in itertools.pairwise(words)]
    for piece in [path.stem, *pairs, *words]:
        meaning = meaning_of(piece.replace("_", " "))
        if meaning and meaning.variable in VALUES and piece.casefold() not in ANY_INDEX:
            return Meaning(meaning.variable, reason="by the file's name")
    return None


def _from_stacked(path: Path, raw: pd.DataFrame, meanings: Meanings) -> Rows:
    """A column that names the variable and one that holds its value, as in RAM Legacy's `timeseries`."""
    headers = {meaning.variable: header for header, meaning in meanings.items() if meaning}
    variable, value = headers["variable"], headers["value"]
    of_rows = ("stock", "entity", "year", *ATTRIBUTES, "area")
    ids = [header for header, meaning in meanings.items() if meaning and meaning.variable in of_rows]
    names = {name: meaning_of(name.rsplit("-", 1)[0]) or meaning_of(name) for name in raw[variable].unique()}
    known = {str(name): meaning for name, meaning in names.items() if meaning and meaning.variable in VALUES}
    if not known:
        raise BadInput(something_else(path, raw, f"no row of {variable} is about catch, biomass or status"))
    chosen = {name: meaning for name, meaning in without_rivals(known).items() if meaning}
    rows = raw[raw[variable].isin(list(chosen))]
    rows_of = {name: rows[rows[variable] == name] for name in chosen}
    columns: dict[str, Meaning | None] = dict(chosen)
    if "unit" in headers:
        columns = {name: in_tonnes(path, rows_of[name][headers["unit"]], chosen[name]) for name in chosen}
    repeated = rows.duplicated([*ids, variable])
    if repeated.any():
        row = rows[repeated].iloc[0]
        raise BadInput(f"{path}: {row[variable]} of {row[ids[0]]} is there twice for {row[headers['year']]}.")
    for name, meaning in chosen.items():  # refused here, where each cell still knows its row
        _numbers(path, rows_of[name], value, meaning.variable)
    wide = rows.pivot(index=ids, columns=variable, values=value).fillna("").reset_index()
    wide.index = pd.Index(rows.assign(row=rows.index).groupby(ids)["row"].min())
    notes = [f"{counted(len(chosen), 'variable')} of {len(names)} in {variable} were understood"]
    return wide, {**{header: meanings[header] for header in ids}, **columns}, notes


# ---- cells → numbers


def _tidy(path: Path, raw: pd.DataFrame, meanings: Meanings) -> tuple[pd.DataFrame, list[str]]:
    known = {header: meaning for header, meaning in meanings.items() if meaning}
    labels = {meaning.variable: header for header, meaning in known.items() if meaning.variable in LABELS}
    values = {header: meaning for header, meaning in known.items() if meaning.variable in VALUES}
    years = _numbers(path, raw, labels["year"], "year")
    out = pd.DataFrame({"kind": "", "entity": _entity(raw, labels), "year": years})
    for name in ATTRIBUTES:
        if name in labels:
            out[name] = raw[labels[name]].str.strip()
    if "stock" in labels and (region := labels.get("entity") or labels.get("area")):
        out["region"] = raw[region].str.strip()
    parts = [_part(path, raw, out, values, group) for group in sorted({meaning.group for meaning in values.values()})]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True) if any(map(len, parts)) else parts[0]
    if frame.empty:
        raise BadInput(f"{path}: all of its cells are blank.")
    frame["kind"] = frame["kind"].where(frame["kind"] != "", _kinds(frame, labels))
    _refuse_repeated(path, frame)
    blank = len(raw) - len(frame.drop_duplicates(["row"]))
    notes = [f"{counted(blank, 'row')} without any value left out"] if blank else []
    if "region" in frame and (nowhere := int((frame["region"] == "").sum())):
        notes.append(f"{counted(nowhere, 'row')} without a region, counted in none")
    frame["year"] = frame["year"].astype(int)
    columns = {meaning.column for meaning in values.values()} & set(frame)
    empty = [name for name in columns if frame[name].isna().all()]
    return frame.drop(columns=[*empty, "row", "line"]).sort_values(list(ENTITY), ignore_index=True), notes


def _entity(raw: pd.DataFrame, labels: dict[str, str]) -> pd.Series:
    """What a row is about: its stock, else its country or region with the species and area it is split by."""
    if "stock" in labels:
        return raw[labels["stock"]].str.strip()
    parts = [raw[labels[name]].str.strip() for name in ("entity", "species", "area") if name in labels]
    return functools.reduce(lambda left, right: left + " · " + right, parts) if parts else pd.Series("all", raw.index)


def _part(path: Path, raw: pd.DataFrame, out: pd.DataFrame, values: dict[str, Meaning], group: str) -> pd.DataFrame:
    """The rows of one group, with those of its columns that hold anything."""
    part = out.assign(row=np.arange(len(out)), line=out.index, kind=group)
    own = {header: meaning for header, meaning in values.items() if meaning.group == group}
    for header, meaning in own.items():
        part[meaning.column] = _numbers(path, raw, header, meaning.variable) * meaning.factor
    columns = [meaning.column for meaning in own.values()]
    return part[part[columns].notna().any(axis=1) & part["year"].notna() & (part["entity"] != "")]


def _kinds(frame: pd.DataFrame, labels: dict[str, str]) -> pd.Series:
    """A stock has its own number; a country its code; what has none is a region."""
    if "stock" in labels:
        return pd.Series("stock", index=frame.index)
    if "species" in labels and "entity" not in labels:
        return pd.Series("taxon", index=frame.index)
    coded = "code" in labels and (frame["code"] != "") & ~frame["code"].str.startswith("OWID")
    return pd.Series(np.where(coded, "country", "region"), index=frame.index)


def _refuse_repeated(path: Path, frame: pd.DataFrame) -> None:
    repeated = frame.duplicated(list(ENTITY))
    if repeated.any():
        row = frame[repeated].iloc[0]
        same = frame[(frame[list(ENTITY)] == row[list(ENTITY)]).all(axis=1)]
        rows = " and ".join(str(number) for number in same["line"].head(2))
        raise BadInput(f"{path}: {row.entity} has the year {int(row.year)} twice (rows {rows}): keep one of them.")


def _relative(frame: pd.DataFrame, taken: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Beside a fishing pressure, a 'biomass' of about 1 is B/Bmsy: regional RAM tables head it so."""
    if "biomass" not in frame or "b_bmsy" in frame or "u_umsy" not in frame:
        return taken, []
    middle = float(frame["biomass"].median())
    if not 0.05 < middle < 20:
        return taken, []
    frame.columns = [re.sub(r"^biomass", "b_bmsy", name) for name in frame.columns]
    reason = f" (values of about {middle:.1f} beside a fishing pressure)"
    old, new = MEANINGS["biomass"], MEANINGS["b_bmsy"]
    taken = [(head, words.replace(old, new, 1) + reason if words.startswith(old) else words) for head, words in taken]
    return taken, ["biomass is relative to Bmsy; columns= says otherwise if it is not"]


def _numbers(path: Path, raw: pd.DataFrame, header: str, variable: str) -> pd.Series:
    """Years, or the values of a variable; percentages may be written as shares."""
    values = _floats(path, raw, header)
    if variable == "year":
        wrong = values.notna() & ~values.isin(list(YEARS))
        _refuse(path, raw, wrong, header, f"is no year from {YEARS.start} to {YEARS.stop - 1}")
        return values
    _refuse(path, raw, values < 0, header, f"is negative, and {MEANINGS[variable]} cannot be")
    if variable in PERCENTAGES:
        if values.notna().any() and values.max() <= 1:
            values = values * 100
        _refuse(path, raw, values > 100 + 1e-6, header, "is more than 100 %")
    return values


def _floats(path: Path, raw: pd.DataFrame, header: str) -> pd.Series:
    """The column as numbers with NaN for blanks, without the letters that publishers put behind an estimate; the first
    cell that is no number is named."""
    text = raw[header].str.strip()
    blank = text.str.casefold().isin(NOTHING)
    values = pd.to_numeric(text.where(~blank), errors="coerce")
    left = values.isna() & ~blank
    if left.any():
        bare = text[left].str.extract(FLAGGED, expand=False).str.replace(THOUSANDS, "", regex=True)
        values[left] = pd.to_numeric(bare, errors="coerce").to_numpy()  # by place: years as columns repeat a row
        left &= values.isna()
    _refuse(path, raw, left, header, "is no number")
    _refuse(path, raw, np.isinf(values), header, "is no finite number")
    return values.astype(float)


def _refuse(path: Path, raw: pd.DataFrame, wrong: pd.Series, header: str, reason: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        cell, row = raw[header].iloc[at].strip(), raw.index[at]
        name = raw[WRITTEN].iloc[at] if header == YEARLY and WRITTEN in raw else header
        raise BadInput(f"{path}: row {row}: {name} = {cell[:40]!r} {reason}.")
