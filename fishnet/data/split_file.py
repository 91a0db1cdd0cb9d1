"""A split on disk: saved with each run and read again by `data.split_file`, so that runs can be compared.

Photos are found by path, or by their bytes when they moved. A photo without a part is an error, because
leaving it out in silence would change what is compared; a part without its photo is only reported.
"""

import logging
from pathlib import Path

import pandas as pd

from fishnet.data.splits import PARTS, check_parts
from fishnet.errors import BadInput
from fishnet.files import replacing

_log = logging.getLogger(__name__)


def save_split(table: pd.DataFrame, assignment: pd.Series, path: Path | str) -> None:
    rows = table[["path", "sha256", "class", "group"]].assign(split=assignment).sort_values("path")
    with replacing(Path(path)) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n")


def load_split(path: Path | str, table: pd.DataFrame) -> pd.Series:
    """The saved part of each row of `table`."""
    saved = _read(Path(path))
    part = table["path"].map(saved.drop_duplicates("path").set_index("path")["split"])
    if "sha256" in saved:
        by_bytes = saved[saved["sha256"] != ""].drop_duplicates("sha256").set_index("sha256")["split"]
        part = part.fillna(table["sha256"].map(by_bytes))
    missing = table.loc[part.isna(), "path"]
    if len(missing):
        raise BadInput(
            f"{len(missing)} of {len(table)} photos are not in the split {path} (such as {missing.iloc[0]}): "
            "make a new split, or give the folder and classes for which it was made."
        )
    _report_absent(saved, table, path)
    _check_groups(table, part, path)
    check_parts(table, part)
    return part.rename("split")


def _read(path: Path) -> pd.DataFrame:
    try:
        saved = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"There is no split file {path}: check data.split_file.") from None
    except (ValueError, OSError) as error:  # pandas' parser and Unicode errors are ValueErrors
        raise BadInput(f"{path} cannot be read as a split, a UTF-8 table with commas.") from error
    if not {"path", "split"} <= set(saved.columns):
        raise BadInput(f"{path} is not a split: it needs the columns path and split.")
    strange = sorted(set(saved["split"]) - set(PARTS))
    if strange:
        raise BadInput(f"{path} has the part {strange[0]!r}; parts are train, val and test.")
    return saved


def _report_absent(saved: pd.DataFrame, table: pd.DataFrame, path: Path | str) -> None:
    here = saved["path"].isin(table["path"])
    if "sha256" in saved:
        here |= saved["sha256"].isin(table["sha256"])
    if not here.all():
        _log.warning("%d photos of the split %s are not in the folder.", int((~here).sum()), path)


def _check_groups(table: pd.DataFrame, part: pd.Series, path: Path | str) -> None:
    cut = part.groupby(table["group"]).nunique() > 1
    if cut.any():
        example = table.loc[table["group"] == cut.index[cut][0], "path"].iloc[0]
        raise BadInput(
            f"The split {path} cuts {int(cut.sum())} groups that must stay together (such as that of "
            f"{example}): "
            "make a new split, or state the grouping for which it was made (data.group, data.duplicates)."
        )
