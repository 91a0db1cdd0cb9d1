"""A list of what to change about single photos without touching the folder: leave one out, call it by another class,
let it count for less.

It is written by `fishnet audit` or by hand, edited in any spreadsheet, and named by `data.curation=FILE`: a table with
the columns `path` (relative to the folder) or `sha256` or both, `action`, `value` and `note`. Other columns are left
unread.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.cells import restored_table
from fishnet.errors import BadInput
from fishnet.text import nearest

from .manifest import comparable

ACTIONS = ("drop", "relabel", "weigh")
COLUMNS = ("path", "sha256", "action", "value", "note")
MOST_NAMED = 3  # photos in a sentence


def curation_digest(file: str) -> str:
    """Of the file's bytes, 16 digits."""
    try:
        return hashlib.sha256(Path(file).expanduser().read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(f"data.curation={file} cannot be read ({error.strerror}).") from error


def read_curation(file: str) -> pd.DataFrame:
    """Its lines as text, with `number`, the line of the file, and `weight`; what no photo could mean is refused."""
    try:
        table = pd.read_csv(Path(file).expanduser(), dtype=str, keep_default_na=False, encoding="utf-8-sig")
        table = restored_table(table)
    except (OSError, ValueError) as error:  # pandas' parser and Unicode errors are ValueErrors
        raise BadInput(f"data.curation={file} cannot be read as a UTF-8 table with commas ({error}).") from error
    if "action" not in table or not {"path", "sha256"} & set(table):
        raise BadInput(f"data.curation={file}: it needs the columns action, and path or sha256 (has {[*table]}).")
    table = table.reindex(columns=[*COLUMNS], fill_value="").apply(lambda column: column.str.strip())
    table = table.assign(number=np.arange(len(table)) + 2, weight=pd.to_numeric(table["value"], errors="coerce"))
    for row in table.itertuples():
        if reason := _refusal(row):
            raise BadInput(f"data.curation={file}, line {row.number}: {reason}")
    return table


def _refusal(row) -> str:
    """Why a line cannot be followed; empty for one that can."""
    if not row.path and not row.sha256:
        return "it names no photo by path or sha256."
    if row.action == "crop":
        return "crop is not supported: cut the file itself, which makes it another photo."
    if row.action not in ACTIONS:
        return f"the action {row.action!r} is unknown; {nearest(row.action, list(ACTIONS))}"
    if row.action == "relabel" and not row.value:
        return "relabel needs the new class as its value."
    if row.action == "weigh" and not 0 <= row.weight < np.inf:
        return f"weigh needs a number of 0 or more as its value, and has {row.value!r}."
    return ""


def curated(
    table: pd.DataFrame, file: str, *, classes: Sequence[str], known: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with other classes, without what is dropped, with `loss_weight` if any is weighed; and lines to log.

    Args:
        table: path, sha256 and class (the folder's name) of each photo.
        file: the list.
        classes: all class folders; a photo that is relabelled must get one of these.
        known: further paths that the list may name: photos that cannot be read.
    """
    lines = read_curation(file)
    for row in lines[lines["action"] == "relabel"].itertuples():
        if row.value not in classes:
            raise BadInput(
                f"data.curation={file}, line {row.number}: there is no class {row.value!r}; "
                f"{nearest(str(row.value), list(classes))}"
            )
    pairs = _matches(table, lines)
    twice = pairs.duplicated(["row", "action"])
    if twice.any():
        first = pairs[twice].iloc[0]
        raise BadInput(
            f"data.curation={file}, line {first['number']}: {table['path'].iloc[first['row']]} is to be "
            f"{_PAST[first['action']]} twice; leave one line."
        )
    label, weight = table["class"].to_numpy(object).copy(), np.ones(len(table))
    relabelled, weighed = (pairs[pairs["action"] == action] for action in ("relabel", "weigh"))
    label[relabelled["row"]], weight[weighed["row"]] = relabelled["value"], weighed["weight"]
    table = table.assign(**{"class": label})
    if len(weighed):
        table = table.assign(loss_weight=weight)
    kept = ~np.isin(np.arange(len(table)), pairs.loc[pairs["action"] == "drop", "row"])
    return table[kept].reset_index(drop=True), _sentences(file, lines, pairs, known)


_PAST = {"drop": "dropped", "relabel": "relabelled", "weigh": "weighed"}


def _matches(table: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Each line with each row of the table that it means: by path, by bytes, or by both where it names both."""
    rows = table[["path", "sha256"]].assign(row=np.arange(len(table)), path=table["path"].map(comparable))
    lines = lines.assign(path=lines["path"].map(comparable))
    by_path = lines[lines["path"] != ""].merge(rows, on="path", suffixes=("", "_found"))
    by_path = by_path[(by_path["sha256"] == "") | (by_path["sha256"] == by_path["sha256_found"])]
    by_bytes = lines[lines["path"] == ""].merge(rows.drop(columns="path"), on="sha256")
    return pd.concat([by_path, by_bytes], ignore_index=True).astype({"row": int}).sort_values(["number", "row"])


def _sentences(file: str, lines: pd.DataFrame, pairs: pd.DataFrame, known: Sequence[str]) -> list[str]:
    counts = pairs["action"].value_counts()
    done = [f"{counts[action]} {_PAST[action]}" for action in ACTIONS if action in counts]
    sentences = [f"data.curation={file}: {', '.join(done)}."] if done else []
    missing = lines[~lines["number"].isin(pairs["number"]) & ~lines["path"].isin(known)]
    if len(missing):
        named = [str(row.path or row.sha256) for row in missing.head(MOST_NAMED).itertuples()]
        more = " …" if len(missing) > MOST_NAMED else ""
        sentences.append(
            f"data.curation={file}: {len(missing)} of {len(lines)} lines fit no photo of the folder "
            f"({', '.join(named)}{more})."
        )
    return sentences
