"""Tables as they are published → one tidy form, or one sentence that says what is wrong.

Published tables name one variable in many ways, keep regions and taxa in one column, leave half of the cells blank,
write the years as rows or as columns, and are sometimes a web page. What each column was taken for is kept beside
the numbers, because a reader that guesses silently is not to be trusted.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import counted

from .cells import numbers
from .columns import ATTRIBUTES, MEANINGS, VALUES, Meaning, meaning_of, one_each, told_columns, weighed
from .files import read_cells, something_else
from .shapes import as_rows

YEARS = range(1500, 2101)
ENTITY = ("kind", "entity", "year")
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
    raw, notes = read_cells(path, told)
    sheet = _understood(path, raw, told)
    sheet.notes[:0] = notes
    return sheet


def read_frame(path: Path, table: pd.DataFrame, columns: str | None = None) -> Sheet:
    """A table that is in memory, read as if it lay in a file of that name."""
    return _understood(path, table.astype(str).set_axis(range(2, len(table) + 2)), told_columns(columns))


def _understood(path: Path, raw: pd.DataFrame, told: dict[str, str]) -> Sheet:
    meanings = {
        header: None if header not in told and _numbers_the_rows(header, raw[header]) else _meaning(header, told)
        for header in raw.columns
    }
    if _is_list_of_species(meanings):
        return _species_sheet(path, raw, meanings)
    raw, meanings, notes = as_rows(path, raw, meanings, told)
    if not any(meaning and meaning.what == "year" for meaning in meanings.values()):
        raise BadInput(something_else(path, raw, "no column says a year"))
    if not any(meaning and meaning.what in VALUES for meaning in meanings.values()):
        raise BadInput(something_else(path, raw, "no column holds catches, biomass or stock status"))
    meanings = one_each(_one_place(raw, meanings))
    meanings = _in_tonnes(path, raw, meanings)
    taken = [(header, str(meaning) if meaning else "left alone") for header, meaning in meanings.items()]
    frame, more = _tidy(path, raw, meanings)
    taken, reinterpreted = _relative(frame, taken)
    return Sheet(path, frame, taken, [*notes, *more, *reinterpreted])


# ---- headers → meanings


def _meaning(header: str, told: dict[str, str]) -> Meaning | None:
    if header in told:
        return None if told[header] == "nothing" else Meaning(told[header], why="as you said")
    return meaning_of(header)


def _numbers_the_rows(header: str, cells: pd.Series) -> bool:
    """`index`, 0, 1, 2, …: written by whoever saved the table, and no survey."""
    if header.casefold() != "index":
        return False
    counted_up = np.arange(len(cells))
    values = pd.to_numeric(cells, errors="coerce")
    return bool((values == counted_up).all() or (values == counted_up + 1).all())


def _one_place(raw: pd.DataFrame, meanings: dict[str, Meaning | None]) -> dict[str, Meaning | None]:
    """A row is about the smallest of its places: of region and country, the one with more names in it."""
    places = {header: meaning for header, meaning in meanings.items() if meaning and meaning.what == "entity"}
    of_stocks = any(meaning and meaning.what == "stock" for meaning in meanings.values())
    if len(places) < 2 or of_stocks or any(meaning.why for meaning in places.values()):
        return meanings
    finest = max(places, key=lambda header: raw[header].nunique())
    return {header: None if header in places and header != finest else found for header, found in meanings.items()}


def _is_list_of_species(meanings: dict[str, Meaning | None]) -> bool:
    whats = {meaning.what for meaning in meanings.values() if meaning}
    return {"species", "category"} <= whats and "year" not in whats


def _species_sheet(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None]) -> Sheet:
    at = {meaning.what: header for header, meaning in reversed(meanings.items()) if meaning}
    frame = raw[[at["species"], at["category"]]].set_axis(["species", "category"], axis=1)
    frame = frame[(frame.species.str.strip() != "") & (frame.category.str.strip() != "")].drop_duplicates("species")
    taken = [(header, str(meaning) if meaning else "left alone") for header, meaning in meanings.items()]
    return Sheet(path, frame.reset_index(drop=True), taken)


def _in_tonnes(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None]) -> dict[str, Meaning | None]:
    """A column of units counts for every weight beside it."""
    unit = next((header for header, meaning in meanings.items() if meaning and meaning.what == "unit"), None)
    if unit is None:
        return meanings
    return {header: weighed(path, raw[unit], meaning) for header, meaning in meanings.items()}


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
    if "region" in frame and (nowhere := int((frame["region"] == "").sum())):
        notes.append(f"{counted(nowhere, 'row')} without a region, counted in none")
    frame["year"] = frame["year"].astype(int)
    frame = _without_empty(frame, known).drop(columns=["row", "line"])
    return frame.sort_values(list(ENTITY), ignore_index=True), notes


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
    part["row"], part["line"], part["kind"] = np.arange(len(part)), part.index, group
    columns = []
    for header, meaning in known.items():
        if meaning.what in VALUES and meaning.group == group:
            part[meaning.column] = numbers(path, raw, header, meaning.what) * meaning.factor
            columns.append(meaning.column)
    return part[part[columns].notna().any(axis=1) & part["year"].notna() & (part["entity"] != "")]


def _without_empty(frame: pd.DataFrame, known: dict[str, Meaning]) -> pd.DataFrame:
    """A column of blanks tells nothing, and whoever finds it would ask it for a largest value."""
    columns = {meaning.column for meaning in known.values() if meaning.what in VALUES} & set(frame)
    return frame.drop(columns=[name for name in columns if frame[name].isna().all()])


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
    why = f" (values of about {middle:.1f} beside a fishing pressure)"
    taken = [
        (
            header,
            words.replace(MEANINGS["biomass"], MEANINGS["b_bmsy"], 1) + why if words.startswith("biomass") else words,
        )
        for header, words in taken
    ]
    return taken, ["biomass is relative to Bmsy; columns= says otherwise if it is not"]
