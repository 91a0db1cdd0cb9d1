"""Which photos show one subject, and so must not be split: what the user states, or the manifest, names and clocks.

Frames of one fish on both sides of a split lifted an accuracy from 0.66 to 0.91 on real data. So frames, bursts and
numbered shots are recognised unless the user says otherwise, and a grouping of the user's that does nothing, or that
was mistyped, is an error.
"""

import re
import shlex

import numpy as np
import pandas as pd

from fishnet.data.clocks import BURST, bursts
from fishnet.data.duplicates import first_seen, merged
from fishnet.data.manifest import OWN_COLUMNS, class_folder
from fishnet.data.naming import Naming, keys_of, naming_of
from fishnet.errors import BadInput
from fishnet.text import counted


def stated_groups(table: pd.DataFrame, group: str | None) -> tuple[np.ndarray, list[str]]:
    """Groups by a column, by a pattern on file names, or as recognised (`auto`), and what to say of them.

    A photo that states nothing stands alone. With `none` only the manifest's observations are groups.
    """
    if group == "auto":
        return _recognised(table)
    if group in (None, "none"):
        naming = naming_of(table)
        warnings = []
        if naming and naming.sure:
            warnings = [
                f"data.group={group or 'none'} may part subjects: {look_of(naming)}; say {typed(naming.pattern)}."
            ]
        return _numbered(_column(table, "observation_id")), warnings
    keys, source = stated_keys(table, group, "data.group")
    alone = int((keys == "").sum())
    warnings = [f"data.group: {source} {alone} of {len(keys)} photos; each is its own group."] if alone else []
    numbers = _numbered(keys)
    mixed = int((table["label"].groupby(numbers).nunique() > 1).sum())
    if mixed:
        warnings.append(f"data.group: {counted(mixed, 'group holds', 'groups hold')} photos of several classes.")
    return numbers, warnings


def stated_keys(table: pd.DataFrame, group: str, setting: str) -> tuple[pd.Series, str]:
    """For each photo what a column of the manifest holds, or what a pattern finds in its name; empty where nothing is.

    Args:
        table: `path` and the manifest's columns as text.
        group: the column or the pattern.
        setting: the key by which it was given, for the words of an error.

    Returns:
        The keys, and half a sentence that the number of photos without one follows.
    """
    if group in table.columns:
        keys, source = table[group].astype(str), f"the column {group!r} is empty for"
    else:
        keys, source = _by_name(table, group, setting), f"the pattern {group!r} does not match"
    if (keys == "").all():
        columns = ", ".join(name for name in table.columns if name not in OWN_COLUMNS) or "none"
        example = table["path"].iloc[0].rpartition("/")[2]
        words = ", nor auto or none" if setting == "data.group" else ""
        raise BadInput(
            f"{setting}={group!r} is neither a filled column of the manifest (columns: {columns}) nor a pattern "
            f"found in any file name (such as {example!r}){words}."
        )
    return keys, source


def typed(pattern: str) -> str:
    """The setting as it is typed in a shell."""
    return f"data.group={shlex.quote(pattern)}"


def _recognised(table: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Observations of the manifest, its observers' days, numbered shots and bursts, merged where they share a photo.

    What joins photos that the manifest's observations do not is said in one sentence, with the photos that it joins.
    """
    groups, reasons = _numbered(_column(table, "observation_id")), []
    for labels, why in (_by_visits(table), _by_names(table), _by_clocks(table)):
        joined = merged(groups, labels)
        if count := int((pd.Series(groups).groupby(joined).transform("nunique") > 1).sum()):
            groups = joined
            reasons.append(f"{count} photos {why}")
    sentence = f"data.group=auto keeps subjects together: {'; '.join(reasons)}. data.group=none parts them."
    return groups, [sentence] if reasons else []


def _by_visits(table: pd.DataFrame) -> tuple[np.ndarray, str]:
    """What one observer photographed of a class on one day, where the manifest tells both."""
    observer, day = _column(table, "observer"), _column(table, "taken_on").str[:10]
    visit = class_folder(table["path"]) + "\0" + day + "\0" + observer
    labels = _numbered(visit.where((observer != "") & (day != ""), ""))
    return labels, "of one observer, day and class"


def _by_names(table: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Numbered shots, where the names leave no doubt."""
    naming = naming_of(table)
    if naming is None or not naming.sure:
        return np.arange(len(table)), ""
    why = f"by names that look like {shots_of(naming)} ({typed(naming.pattern)})"
    return _numbered(keys_of(table["path"], naming.pattern)), why


def _by_clocks(table: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Photos that one camera took seconds apart, by the time in their names or in their EXIF block."""
    labels = merged(*(_numbered(keys) for keys in bursts(table)))
    return labels, f"that one camera took of one class within {BURST:g} s of another"


def look_of(naming: Naming) -> str:
    """`the names look like 1053 shots of 149 subjects`."""
    return f"the names look like {shots_of(naming)}"


def shots_of(naming: Naming) -> str:
    """`1053 shots of 149 subjects`."""
    return f"{naming.photos} shots of {naming.subjects} subjects"


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    """A column of the manifest as text; empty where there is none."""
    return table[name].astype(str) if name in table.columns else pd.Series("", table.index, dtype=object)


def _by_name(table: pd.DataFrame, pattern: str, setting: str) -> pd.Series:
    try:
        return keys_of(table["path"], pattern)
    except re.error as error:
        raise BadInput(f"{setting}={pattern!r} is not a regular expression ({error}).") from None


def _numbered(keys: pd.Series) -> np.ndarray:
    """Equal keys, equal numbers; every empty key is a group of its own."""
    numbers = pd.factorize(keys.to_numpy(dtype=object))[0].astype(np.int64)
    empty = (keys == "").to_numpy()
    numbers[empty] = len(keys) + np.arange(empty.sum())
    return first_seen(numbers)
