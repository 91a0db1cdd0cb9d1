"""What people call the classes: the names that a collection keeps in `classes.csv`, beside its class folders.

A class is its folder: keys, metrics and checkpoints know it by that name alone. Names are for people, who read them in
pictures, pages and tables, and may type them in place of the folder's.
"""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from fishnet.cells import restored

REST = "not "  # begins the class of all others, where one class is told from the rest


@dataclass(frozen=True)
class ClassNames:
    """Names for people; a class without any is called as its folder is.

    Args:
        of: by class, its own name and its common name, which may be empty.
    """

    of: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.of)

    def __or__(self, other: ClassNames) -> ClassNames:
        return ClassNames({**self.of, **other.of})

    def short(self, name: str) -> str:
        """The class's own name: Perca fluviatilis; with the folder's, where two classes have the same."""
        return self._with_rest(name, self._short)

    def full(self, name: str) -> str:
        """With its common name: Perca fluviatilis, European perch."""
        return self._with_rest(name, self._full)

    def among(self, typed: str, classes: Sequence[str]) -> str | None:
        """Of the classes, the one that is called so, by its folder or by any of its names; None where none is, or
        several are."""
        if typed in classes:
            return typed
        called = [name for name in classes if comparable(typed) in map(comparable, self._names(name))]
        return called[0] if len(called) == 1 else None

    def of_folder(self, folder: str, own: ClassNames, classes: Sequence[str]) -> str | None:
        """Of the classes of a model whose names these are, the one that a class folder is, by its own name or by one of
        those that its collection gives it; None where the model knows none of that name."""
        called = (self.among(each, classes) for each in (folder, own.full(folder), own.short(folder)))
        return next(filter(None, called), None)

    def beside(self, table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
        """The table with further columns of full names, where any class has a name.

        Args:
            table: with columns of classes.
            columns: by such a column, how the one of names is called.
        """
        return table.assign(**{new: table[known].map(self.full) for known, new in columns.items()}) if self else table

    def state(self) -> dict[str, list[str]]:
        """As plain values, for a checkpoint."""
        return {name: list(pair) for name, pair in self.of.items()}

    @classmethod
    def from_state(cls, state: Any) -> ClassNames:
        """From `state`; whatever else is given makes no names."""
        pairs = state.items() if isinstance(state, Mapping) else ()
        sound = [(name, pair) for name, pair in pairs if isinstance(pair, Sequence) and len(pair) == 2]
        return cls({str(name): (str(own), str(common)) for name, (own, common) in sound})

    @cached_property
    def _short(self) -> dict[str, str]:
        own = Counter(name for name, _ in self.of.values())
        return {folder: name if own[name] == 1 else f"{name} ({folder})" for folder, (name, _) in self.of.items()}

    @cached_property
    def _full(self) -> dict[str, str]:
        return {
            folder: f"{self._short[folder]}, {common}" if common and common != name else self._short[folder]
            for folder, (name, common) in self.of.items()
        }

    def _with_rest(self, name: str, known: Mapping[str, str]) -> str:
        inner = name.removeprefix(REST)
        return known.get(name) or (f"{REST}{known[inner]}" if name != inner and inner in known else name)

    def _names(self, name: str) -> set[str]:
        return {self.short(name), self.full(name), *(text for text in self.of.get(name, ()) if text)}


def comparable(name: str) -> str:
    """Names that are the same to people have one comparable form."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def read_class_names(root: Path) -> ClassNames:
    """The names of a folder's classes; none where there is no `classes.csv` or it is a table of something else."""
    if not (root / "classes.csv").is_file():  # a pipe would be waited for
        return ClassNames()
    try:
        with open(root / "classes.csv", newline="", encoding="utf-8-sig") as file:
            read = ({key: restored(value) for key, value in row.items()} for row in csv.DictReader(file))
            rows = [row for row in read if row.get("class") and row.get("name")]
    except (OSError, UnicodeDecodeError, csv.Error):
        return ClassNames()
    return ClassNames({row["class"]: (row["name"].strip(), (row.get("common_name") or "").strip()) for row in rows})
