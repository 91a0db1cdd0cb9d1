"""Years as columns, or variables stacked in one column → a row an entity and year."""

import functools
import itertools
from pathlib import Path

import pandas as pd

from fishnet.errors import BadInput
from fishnet.text import counted

from .cells import WRITTEN, YEARLY, numbers
from .columns import ATTRIBUTES, VALUES, Meaning, meaning_of, one_each, weighed, year_of
from .files import something_else
from .units import tonnes

ANY_INDEX = ("index", "survey")  # as a word of a file's name: of prices, of people


def as_rows(path: Path, raw: pd.DataFrame, meanings: dict[str, Meaning | None], told: dict[str, str]):
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
    long = raw.melt(kept, list(years), var_name=WRITTEN, value_name=YEARLY, ignore_index=False)
    long["year"] = long[WRITTEN].map(years).astype(str)
    notes = [f"{counted(len(years), 'column')} of years were taken as rows"]
    if "variable" in at:
        now = {header: meanings[header] for header in kept} | {
            "year": Meaning("year"),
            YEARLY: Meaning("value"),
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
    return long, {**now, "year": Meaning("year"), YEARLY: Meaning(what, why=why)}, notes


def _measured(path: Path, raw: pd.DataFrame, at: dict[str, str], told: dict[str, str]) -> tuple[str | None, str]:
    if told.get("years") in VALUES:
        return told["years"], "as you said"
    if "unit" in at and raw[at["unit"]].map(functools.cache(tonnes)).notna().mean() > 0.5:
        return "catch", "the unit is tonnes"
    words = path.stem.replace("-", "_").split("_")
    pairs = [" ".join(pair) for pair in itertools.pairwise(words)]
    for piece in [path.stem, *pairs, *words]:
        found = meaning_of(piece.replace("_", " "))
        if found and found.what in VALUES and piece.casefold() not in ANY_INDEX:
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
        raise BadInput(something_else(path, raw, f"no row of {at['variable']} is about catch, biomass or status"))
    chosen = [name for name, meaning in one_each(known).items() if meaning]
    rows = raw[raw[at["variable"]].isin(chosen)]
    if "unit" in at:
        known |= {name: weighed(path, _of(rows, at, name)[at["unit"]], known[name]) for name in chosen}
    repeated = rows.duplicated([*ids, at["variable"]])
    if repeated.any():
        row = rows[repeated].iloc[0]
        raise BadInput(f"{path}: {row[at['variable']]} of {row[ids[0]]} is there twice for {row[at['year']]}.")
    for name, meaning in known.items():
        if meaning and name in chosen:  # refused here, where each cell still knows its row
            numbers(path, _of(rows, at, name), at["value"], meaning.what)
    wide = rows.pivot(index=ids, columns=at["variable"], values=at["value"]).fillna("").reset_index()
    wide.index = pd.Index(rows.assign(row=rows.index).groupby(ids)["row"].min())
    now = {header: meanings[header] for header in ids} | {name: known[name] for name in chosen}
    return wide, now, [f"{counted(len(chosen), 'variable')} of {len(names)} in {at['variable']} were understood"]


def _of(rows: pd.DataFrame, at: dict[str, str], name: str) -> pd.DataFrame:
    return rows[rows[at["variable"]] == name]
