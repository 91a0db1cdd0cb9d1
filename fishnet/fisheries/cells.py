"""Cells → numbers: what publishers write for "nothing", the letters they put behind an estimate, and what cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.errors import BadInput

from .columns import MEANINGS

NOTHING = {"", "-", "–", "—", ".", "..", "...", "…", "na", "n/a", "nan", "null", "none", "#n/a", "not available"}
FLAGGED = (
    r"^\s*(-?[\d.,\u00a0' ]*\d[\d.,]*(?:[eE][-+]?\d+)?)\s*(?:[A-Za-z*†]{1,2})?\s*$"  # FAO: `1200 F` is an estimate
)
THOUSANDS = r"(?<=\d)[,\u00a0' ](?=\d{3}(?:\D|$))"
YEARLY, WRITTEN = "value of the year", "header of the year"  # where years were columns: its cell, its header
MOST = {"sustainable": 100.0, "overfished": 100.0}


def numbers(path: Path, raw: pd.DataFrame, header: str, what: str, counted_in: range | None = None) -> pd.Series:
    """The column as numbers with NaN for blanks; the first cell that cannot be one is named."""
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
    values = values.astype(float)
    if counted_in is not None:
        wrong = values.notna() & ~values.isin(list(counted_in))
        _refuse(path, raw, wrong, header, f"is no year from {counted_in.start} to {counted_in.stop - 1}")
        return values
    _refuse(path, raw, values < 0, header, f"is negative, and {MEANINGS[what]} cannot be")
    if what in MOST:
        if values.notna().any() and values.max() <= 1:
            values = values * 100  # told as a share
        _refuse(path, raw, values > MOST[what] + 1e-6, header, "is more than 100 %")
    return values


def _refuse(path: Path, raw: pd.DataFrame, wrong: pd.Series, header: str, why: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        cell, row = raw[header].iloc[at].strip(), raw.index[at]
        name = raw[WRITTEN].iloc[at] if header == YEARLY and WRITTEN in raw else header
        raise BadInput(f"{path}: row {row}: {name} = {cell[:40]!r} {why}.")
