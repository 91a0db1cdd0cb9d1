"""The optional table beside the photos: who took them, of which individual, under which licence.

A manifest that cannot be read is the user's to mend. One that disagrees with the folder is only reported:
photos come and go, and the folder is what will be trained on.
"""

import posixpath
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fishnet.cells import restored_table
from fishnet.errors import BadInput
from fishnet.text import counted

OWN_COLUMNS = frozenset(  # of the index
    {
        *("path", "class", "label", "sha256", "phash", "width", "height", "group"),
        *("exif_time", "exif_camera", "file_format", "plain_share", "grey_rest", "loss_weight"),
    }
)


def with_manifest(
    table: pd.DataFrame, refused: set[str], root: Path, manifest: Path | str | None, unread: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with the manifest's other columns as text, and what does not fit (`refused`, `unread` do not count)."""
    file = Path(manifest).expanduser() if manifest is not None else root / "manifest.csv"
    if manifest is None and not file.exists():
        return table, []
    rows = read_manifest(file)
    rows.index = pd.Index([comparable(path) for path in rows["path"]])
    repeated = rows.index.duplicated()
    extra = ~rows.index.isin([comparable(path) for path in [*table["path"], *refused]])
    extra &= ~rows.index.str.split("/").str[0].isin([comparable(name) for name in unread])
    first = rows[~repeated].reindex([comparable(path) for path in table["path"]])
    elsewhere = "photo lies in another class's", "photos lie in another class's"
    counts = [
        (int(repeated.sum()), "row repeats", "rows repeat", "a path; the first one counts"),
        (int((extra & ~repeated).sum()), "row names", "rows name", "a photo that is not there"),
        (int(first["path"].isna().sum()), "photo has", "photos have", "no row"),
        (_different(first, "class", table["class"], True), *elsewhere, "folder, which counts"),
        (_different(first, "sha256", table["sha256"]), "photo has", "photos have", "other bytes than were collected"),
    ]
    columns = [name for name in rows.columns if name not in OWN_COLUMNS]
    joined = table.assign(**{name: first[name].fillna("").to_numpy() for name in columns})
    return joined, [f"{file.name}: {counted(count, *words)} {what}." for count, *words, what in counts if count]


def in_their_spelling(rows: pd.DataFrame, paths: Iterable[str]) -> pd.DataFrame:
    """The rows, with each path as the folder spells it."""
    spelt = {comparable(path): path for path in paths}
    return rows.assign(path=[spelt.get(comparable(path), path) for path in rows["path"]])


def read_manifest(file: Path) -> pd.DataFrame:
    """Its rows as text; a file that is no table of photos is refused."""
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"There is no manifest {file}: check data.manifest.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text: save it again as UTF-8, or move it away.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        why = str(error).strip().splitlines()[-1]
        raise BadInput(f"{file} cannot be read as a table with commas ({why}): mend it, or move it away.") from error
    if "path" not in rows.columns:
        columns = ", ".join(map(str, rows.columns[:8]))
        raise BadInput(f"{file} has no column 'path' (it has: {columns}): name it, or move the file away.")
    return restored_table(rows)


def comparable(path: str) -> str:
    """Paths that lead to one file have one comparable form."""
    return unicodedata.normalize("NFC", posixpath.normpath(path)) if path else ""


def class_folder(paths: pd.Series) -> pd.Series:
    """The class folder of each photo, whichever class `data.positive` makes of it."""
    return pd.Series([path.partition("/")[0] for path in paths.tolist()], paths.index, dtype=object)


def _different(first: pd.DataFrame, name: str, ours: pd.Series, folded: bool = False) -> int:
    """How many rows of the manifest state something else than the folder."""
    if name not in first.columns:
        return 0
    stated = first[name].fillna("").to_numpy(dtype=object)
    pairs = zip(stated, ours, strict=True)
    return sum(bool(a) and (comparable(a) != comparable(b) if folded else a != b) for a, b in pairs)
