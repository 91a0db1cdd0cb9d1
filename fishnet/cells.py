"""Cells of tables that people open: what a spreadsheet would run as a formula stands there as text, and is taken back.

A file, a class folder or an observer may be called `=HYPERLINK(…)`. A text that begins with = + - @, a tab or a
carriage return, and is no plain number, gets a `'` in front, which spreadsheets take for "this is text"; so does one
that begins with `'` before such a sign, so that `restored` gives back exactly what was written.
"""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

MARK = "'"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
Value = TypeVar("Value")


def defused(value: Value) -> Value | str:
    """A cell as it is written; what is no text stays as it is."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return MARK + value
    return value


def restored(value: Value) -> Value | str:
    """A cell that was read as it was before `defused`."""
    return value[1:] if isinstance(value, str) and _DEFUSED.match(value) else value


def defused_row(row: Iterable) -> list:
    """A row for `csv.writer`."""
    return [defused(value) for value in row]


def defused_table(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table for `to_csv`, its columns' and rows' names too."""
    return _changed(table, defused)


def restored_table(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table that was read, as it was before `defused_table`; tables of users and of former versions are as they are,
    unless a cell begins with `'` before one of the signs."""
    return _changed(table, restored)


def _changed(table: "pd.DataFrame", change: Callable) -> "pd.DataFrame":
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    new = table.copy()
    for position, kind in enumerate(table.dtypes):
        if is_numeric_dtype(kind) or is_datetime64_any_dtype(kind):
            continue
        before = table.iloc[:, position].tolist()
        after = [change(value) for value in before]
        if any(one is not other for one, other in zip(before, after, strict=True)):
            new.isetitem(position, after)
    new.columns = new.columns.map(change) if len(new.columns) else new.columns
    if not is_numeric_dtype(new.index.dtype):
        new.index = new.index.map(change)
    return new
