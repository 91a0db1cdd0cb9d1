"""A folder of photos becomes a table: one row a usable photo, with its class and its group.

Every later room speaks of photos by their row here, so the order is fixed (by path) and the whole has a digest.

Each photo is read once: what is known of it is kept in a file and not read again while size and time are the same. The
file lies in `.<folder>.fishnet/` beside the folder, or in the user's cache where that cannot be written. It is replaced
in one step at the end; until then each photo is a line of a journal beside it, so a killed indexing loses none that was
read. A lock makes a second process wait for the first one's results instead of reading all again.
"""

import csv
import difflib
import hashlib
import json
import logging
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.cells import defused_table
from fishnet.data.curation import curated
from fishnet.data.duplicates import copies, linked, merged
from fishnet.data.listing import Listing, list_photos
from fishnet.data.manifest import with_manifest
from fishnet.data.same_photo import PAIRS, read_pairs
from fishnet.data.scan import scan
from fishnet.data.subjects import stated_groups
from fishnet.environment import most_megapixels
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import locked, replacing
from fishnet.images import CUT
from fishnet.progress import with_progress
from fishnet.text import counted, reasons_in_lines

DUPLICATES = ("group", "drop", "ignore")
_log = logging.getLogger(__name__)
_STATE = ("size", "mtime_ns", "ctime_ns")  # ctime: tools that edit may put mtime back
FACTS = {
    **{"sha256": "object", "phash": "uint64", "width": "int32", "height": "int32", "reason": "object"},
    **{"exif_time": "object", "exif_camera": "object", "file_format": "object", "plain_share": "float32"},
    "grey_rest": "float32",
}
_FILE = "index.parquet"
_JOURNAL = "index.journal"  # what was read since the file was saved: a JSON list a line, below the version
_VERSION = b"4"  # raise it when the facts, the loader's verdicts or the hash change


@dataclass(frozen=True)
class Index:
    """`table` has path, label, class, group, what `scan.read_photo` says of each photo, and the manifest's columns."""

    root: Path
    table: pd.DataFrame
    refused: pd.DataFrame
    classes: list[str]
    digest: str
    warnings: list[str]


def build_index(
    root: Path | str, *, manifest: Path | str | None = None, classes: Sequence[str] | None = None,
    positive: str | None = None, group: str | None = "auto", duplicates: str = "group", max_refused: float = 0.1,
    workers: int | None = None, progress: bool = True, listing: Listing | None = None, fewest: int = 2,
    forgiving: bool = False, curation: str | None = None,
) -> Index:  # fmt: skip
    """Read each photo once, ever; a second call on an unchanged folder only looks at names and times.

    The settings are those of PhotoFolder; `listing` is what `list_photos(root)` has returned, where that is known. A
    model that knows its classes can be used on a folder that holds a single one of them (`fewest=1`); who wants to know
    what is wrong with a folder takes it as it is (`forgiving`).
    """
    if duplicates not in DUPLICATES:
        raise BadInput(f"data.duplicates={duplicates!r} is not one of {', '.join(DUPLICATES)}.")
    if not 0 <= max_refused <= 1:
        raise BadInput(f"data.max_refused={max_refused} must be a share between 0 and 1.")
    fewest, max_refused = (1, 1.0) if forgiving else (fewest, max_refused)
    listing = listing or list_photos(root)
    chosen = chosen_folders(listing.classes, classes, fewest)
    selected = frozenset(chosen)
    wanted = np.array([name in selected for _, name, *_ in listing.photos], bool)
    photos = known_photos(listing, wanted=wanted, workers=workers, progress=progress)
    unnamed = [row for row in listing.refused if row[0].split("/", 1)[0] in selected]
    broken = photos.loc[photos["reason"] != "", ["path", "reason"]]
    refused = pd.concat([broken, pd.DataFrame(unnamed, columns=["path", "reason"], dtype=object)], ignore_index=True)
    table = photos[photos["reason"] == ""].drop(columns="reason").reset_index(drop=True)
    _check_refused(refused, len(table), max_refused, listing.root)
    unread = set(listing.classes) - set(chosen)
    table, of_manifest = with_manifest(table, set(refused["path"]), listing.root, manifest, unread)
    table, of_curation = with_curation(table, curation, listing.classes, chosen, refused)
    if not forgiving:
        check_classes(table, chosen, refused)
    names, table = _labelled(table, chosen, positive)
    table, of_groups = grouped(table, group, duplicates, listing.root)
    if not forgiving:
        check_labels(table, names)
    warnings = [*listing.warnings(), *cut_photos(table), *of_manifest, *of_curation, *of_groups]
    return Index(listing.root, table, refused, names, data_digest(table), warnings)


def with_curation(
    table: pd.DataFrame, curation: str | None, folders: list[str], chosen: list[str], refused: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """The table as the list says, and lines to log; a photo that now belongs to no chosen class is left out."""
    if curation is None:
        return table, []
    table, sentences = curated(table, curation, classes=folders, known=refused["path"].tolist())
    return table[table["class"].isin(chosen)].reset_index(drop=True), sentences


def data_digest(table: pd.DataFrame) -> str:
    """Equal digests: the same photos, byte for byte, under the same labels."""
    columns = (table[name].tolist() for name in ("path", "sha256", "label"))
    rows = sorted(f"{path}\0{sha256}\0{label}\n" for path, sha256, label in zip(*columns, strict=True))
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def class_counts(
    folders: dict[str, int], classes: Sequence[str] | None, positive: str | None, fewest: int = 2
) -> dict[str, int]:
    """Each class, in the order of the labels, with its photos: from the folders with theirs."""
    chosen = chosen_folders(list(folders), classes, fewest)
    if positive is None:
        return {name: folders[name] for name in chosen}
    positive = _folder(positive, chosen)
    others = sum(folders[name] for name in chosen if name != positive)
    return {f"not {positive}": others, positive: folders[positive]}


def chosen_folders(folders: list[str], classes: Sequence[str] | None, fewest: int = 2) -> list[str]:
    """The class folders that are meant, of those that are there."""
    chosen = folders if classes is None else sorted({_folder(name, folders) for name in classes})
    if len(chosen) < fewest:
        only = f"only the class {chosen[0]!r}" if chosen else "no class"
        raise BadInput(f"There is {only} to tell apart: a classifier needs at least two class folders.")
    return chosen


def _folder(name: str, folders: Sequence[str]) -> str:
    """The class as its folder spells it: accents typed in another encoding are the same name."""
    if name in folders:
        return name
    normal = unicodedata.normalize("NFC", name)
    same = [folder for folder in folders if unicodedata.normalize("NFC", folder) == normal]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(name, folders, n=3, cutoff=0.4) or folders[:5]
    raise BadInput(f"There is no class {name!r}; did you mean {' or '.join(map(repr, near))}?")


def examples_of(refused: pd.DataFrame) -> str:
    """Why the refused photos are, with the names of some."""
    return "; ".join(reasons_in_lines(refused[["path", "reason"]].itertuples(index=False), most=3))


def too_many(refused: int, usable: int, max_refused: float) -> bool:
    """Whether so many refused photos stop the work, whichever verb it is."""
    return refused > max_refused * (refused + usable)


def _check_refused(refused: pd.DataFrame, usable: int, max_refused: float, root: Path) -> None:
    if refused.empty:
        return
    file = state_folder(root) / "refused.csv"
    with replacing(file) as temporary:
        defused_table(refused).to_csv(temporary, index=False, quoting=csv.QUOTE_MINIMAL)
    if too_many(len(refused), usable, max_refused):
        raise WorkFailed(
            f"{len(refused)} of {len(refused) + usable} photos cannot be used, more than data.max_refused="
            f"{max_refused:g} allows ({examples_of(refused)}; all are listed in {file})."
        )


def check_classes(table: pd.DataFrame, chosen: list[str], refused: pd.DataFrame) -> None:
    """Refuse a class folder without a usable photo."""
    if empty := sorted(set(chosen) - set(table["class"])):
        broken = [": ".join(row) for row in refused[["path", "reason"]].to_numpy() if row[0].startswith(f"{empty[0]}/")]
        why = f" ({len(broken)} refused, such as {broken[0]})" if broken else ""
        raise BadInput(
            f"The class folder {empty[0]!r} holds no usable photo{why}: fill it, remove it, or name the "
            "others in data.classes."
        )


def _labelled(table: pd.DataFrame, chosen: list[str], positive: str | None) -> tuple[list[str], pd.DataFrame]:
    if positive is None:
        return chosen, table.assign(label=pd.Index(chosen).get_indexer(pd.Index(table["class"])).astype(np.int64))
    positive = _folder(positive, chosen)
    names, label = [f"not {positive}", positive], (table["class"] == positive).astype(np.int64)
    return names, table.assign(label=label, **{"class": [names[number] for number in label]})


def grouped(
    table: pd.DataFrame, group: str | None, duplicates: str, root: Path | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The table with its column `group`, without what is dropped, and what to warn of.

    Pairs that `fishnet check` has recognised as one photo, and written down beside the index of `root`, stay together.
    """
    stated, warnings = stated_groups(table, group)
    same_picture = copies(table)
    if duplicates == "ignore":
        parted = pd.Series(stated).groupby(same_picture).transform("nunique") > 1
        if parted.any():
            clusters = counted(len(np.unique(same_picture[parted])), "cluster")
            warnings.append(
                f"data.duplicates=ignore: {int(parted.sum())} photos form {clusters} of near copies that may straddle "
                "the split; a test score may be too good."
            )
        return table.assign(group=stated), warnings
    pairs, file = _known_pairs(root, table) if root else (np.empty((0, 2), np.int64), "")
    if len(pairs):
        found = counted(
            len(pairs), "pair of files that shows one photo stays", "pairs of files that show one photo stay"
        )
        warnings.append(f"data.duplicates={duplicates}: {found} together ({file}, written by fishnet check).")
    table = table.assign(group=merged(stated, same_picture, linked(len(table), *pairs.T)))
    if duplicates != "drop":
        return table, warnings
    # One photo of each picture and class stays; equal bytes under two labels all go, for one label is wrong.
    # Near copies under two labels stay, in one group: across classes they are more often look-alikes than errors.
    contradicted = (table.groupby("sha256")["label"].transform("nunique") > 1).to_numpy()
    repeated = table.assign(picture=same_picture)[~contradicted].duplicated(["picture", "label"])
    kept = table[~contradicted][~repeated].reset_index(drop=True)
    if repeated.any():
        warnings.append(f"data.duplicates=drop: {counted(int(repeated.sum()), 'copy was', 'copies were')} left out.")
    if contradicted.any():
        example = table.loc[contradicted, "path"].iloc[0]
        warnings.append(
            f"data.duplicates=drop: {int(contradicted.sum())} photos lie in two classes with equal bytes and "
            f"were all left out (such as {example})."
        )
    return kept, warnings


def _known_pairs(root: Path, table: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Rows of pairs that show one photo, and the file that says so."""
    for folder in _state_folders(root):
        if len(pairs := read_pairs(folder / PAIRS, table)):
            return pairs, str(folder / PAIRS)
    return np.empty((0, 2), np.int64), ""


def check_labels(table: pd.DataFrame, names: list[str]) -> None:
    """Refuse a class all of whose photos were dropped."""
    for label, name in enumerate(names):
        if not (table["label"] == label).any():
            raise BadInput(f"The class {name!r} holds no photo that is not also in another class.")


# ---- what is known of each photo


def known_photos(
    listing: Listing, *, wanted: np.ndarray, workers: int | None = None, progress: bool = True
) -> pd.DataFrame:
    """One row for each wanted photo: path, class, what was read of it, and the reason where it was refused."""
    photos = _matched(listing)
    if (wanted & ~photos["done"]).any():
        waiting = f"Another process is reading the photos of {listing.root}: waiting for it."
        with locked(state_folder(listing.root) / "index.lock", waiting=waiting):
            photos = _matched(listing)
            _read_missing(photos, wanted & ~photos["done"], listing.root, workers, progress)
    known = photos.loc[wanted, ["path", "class", *FACTS]].reset_index(drop=True)
    pixels, most = known["width"].astype(np.int64) * known["height"], most_megapixels()
    known.loc[(known["reason"] == "") & (pixels > most * 1_000_000), "reason"] = (
        f"more pixels than most_megapixels={most} allows"  # it was read when more were allowed
    )
    return known


def cut_photos(table: pd.DataFrame) -> list[str]:
    """A line to log about photos whose lower part is missing, though their files end as whole ones do."""
    cut = table.loc[table["grey_rest"] >= CUT, "path"]
    if cut.empty:
        return []
    count = counted(len(cut), "JPEG ends in a grey rest", "JPEGs end in a grey rest")
    return [
        f"{count}, such as {cut.iloc[0]}: data are missing, though the file was closed like a whole one; copy it anew, "
        "or leave it out with data.curation."
    ]


def state_folder(root: Path) -> Path:
    """Beside the folder (inside, it would pass for a class), or in the user's cache where that cannot be written."""
    beside, outside = _state_folders(root)
    try:
        beside.mkdir(exist_ok=True)
        probe = beside / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        return beside
    except OSError:
        outside.mkdir(parents=True, exist_ok=True)
        return outside


def _state_folders(root: Path) -> tuple[Path, Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fishnet" / "index"
    return root.with_name(f".{root.name}.fishnet"), cache / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _matched(listing: Listing) -> pd.DataFrame:
    """The listing with what is known of each unchanged photo; `done` says which those are."""
    if listing.known is not None:  # of a stream, all of it
        return listing.known.assign(done=True)
    listed = pd.DataFrame(listing.photos, columns=["path", "class", *_STATE])
    facts = {name: np.full(len(listed), "" if kind == "object" else 0, kind) for name, kind in FACTS.items()}
    done = np.zeros(len(listed), bool)
    for folder in _state_folders(listing.root):
        saved = [known for known in (_journalled(folder / _JOURNAL), _load(folder / _FILE)) if known is not None]
        if not any(map(len, saved)):
            continue
        known = pd.concat(saved, ignore_index=True).drop_duplicates("path")
        row = pd.Index(known["path"]).get_indexer(pd.Index(listed["path"]))
        same = (row >= 0) & ~done
        for name in _STATE:
            same &= known[name].to_numpy()[row] == listed[name].to_numpy()
        for name, values in facts.items():
            values[same] = known[name].to_numpy()[row[same]]
        done |= same
    return listed.assign(**facts, done=done)


def _read_missing(photos: pd.DataFrame, missing: np.ndarray, root: Path, workers: int | None, progress: bool) -> None:
    """Fills the rows of photos not read before, and saves what will stay true."""
    folder = state_folder(root)
    _save(photos, folder)  # with what the journal of a killed process has
    row_of = {str(root / path): row for row, path in photos.loc[missing, "path"].items()}
    columns = {name: photos[name].to_numpy(copy=True) for name in (*FACTS, "done")}
    states = list(photos[["path", *_STATE]].itertuples(index=False, name=None))
    results = scan(list(row_of), workers=workers)
    try:
        with (folder / _JOURNAL).open(
            "w", encoding="utf-8", buffering=1
        ) as journal:  # a line at once: kill -9 is no loss
            journal.write(_VERSION.decode() + "\n")
            for path, facts in with_progress(results, len(row_of), "reading photos", shown=progress):
                row = row_of[path]
                for name in FACTS:
                    columns[name][row] = facts.get(name, columns[name][row])
                columns["done"][row] = not facts.get("again", False)
                if columns["done"][row]:
                    journal.write(json.dumps([*states[row], facts]) + "\n")
    finally:
        for name, values in columns.items():
            photos[name] = values
        _save(photos, folder)


def _save(photos: pd.DataFrame, folder: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    done = photos.loc[photos["done"], ["path", *_STATE, *FACTS]]
    if done.empty:
        (folder / _JOURNAL).unlink(missing_ok=True)
        return
    table = pyarrow.Table.from_pandas(done, preserve_index=False).replace_schema_metadata({"fishnet": _VERSION})
    with replacing(folder / _FILE, alone=True) as temporary:
        parquet.write_table(table, temporary)
    (folder / _JOURNAL).unlink(missing_ok=True)


def _load(file: Path) -> pd.DataFrame | None:
    import pyarrow.parquet as parquet

    try:
        table = parquet.ParquetFile(file).read()
        if (table.schema.metadata or {}).get(b"fishnet") == _VERSION:
            return table.select(["path", *_STATE, *FACTS]).to_pandas()
    except FileNotFoundError:
        pass
    except Exception as error:  # whatever is wrong with it, it can be made again
        _log.warning("The index %s is damaged (%s) and is made again.", file, type(error).__name__)
    return None


def _journalled(file: Path) -> pd.DataFrame | None:
    """What a process has read that was killed, or still reads; a last line that is cut is none."""
    try:
        version, *lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        if version.encode() != _VERSION:
            return None
        rows = [json.loads(line) for line in lines]
        empty = {name: "" if kind == "object" else 0 for name, kind in FACTS.items()}
        state = pd.DataFrame([row[:4] for row in rows], columns=["path", *_STATE])
        facts = pd.DataFrame([empty | row[4] for row in rows], columns=list(FACTS)).astype(FACTS)
    except FileNotFoundError:
        return None
    except Exception as error:  # as with the index: what is wrong with it can be read again
        _log.warning("The journal %s is damaged (%s) and is left out.", file, type(error).__name__)
        return None
    return pd.concat([state, facts], axis=1)
