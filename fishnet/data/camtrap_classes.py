"""The class folders of a Camtrap DP package, beside it, so that every verb reads it as it reads any other folder.

The class of a photo is the scientific name of the animals in it. What people have classified is taken, and what a
machine has is not; observations of a single photo come before those of its events. A photo of two species, or without
an animal, is left out; photos of which people say that they are blank are a class where `data.classes` names it.
"""

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fishnet.cells import defused_row
from fishnet.data.camtrap import Row, Seen, kinds_of, known_of, local_media, observed, read_package
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import locked, replacing

BLANK = "blank"
TABLE = "manifest.csv"
COLUMNS = ("path", "class", "observation_id", "observer", "taken_on", "lat", "lon", "deployment_id", "media_id")


def class_of(seen: Seen, blanks: bool) -> tuple[str, str]:
    """The class of a photo, or why it has none."""
    own, events = ([row for row in rows if not _by_machine(row)] for rows in (seen.own, seen.events))
    rows = own or events
    if not rows:
        machine = seen.own or seen.events
        return "", "photos that only a machine has classified" if machine else "photos without an observation"
    names = {row["scientificName"] for row in rows if row["observationType"] == "animal"}
    if len(names) > 1:
        return "", "photos of two species or more"
    if names == {""}:
        return "", "photos of an animal without a name"
    if not names:
        if {row["observationType"] for row in rows} != {BLANK}:
            return "", "photos without an animal"
        return (BLANK, "") if blanks else ("", "blank photos")
    name = names.pop()
    return (name, "") if _can_be_folder(name) else ("", "photos whose name cannot be that of a folder")


def _by_machine(row: Row) -> bool:
    return row.get("classificationMethod", "") == "machine"


def _can_be_folder(name: str) -> bool:
    """A name with a slash (`Martes martes/foina`) is of two species anyway."""
    return not (re.search(r"[/\\\0\r\n]", name) or name.startswith(".") or len(name.encode()) > 200 or name == TABLE)


def classes_folder(file: Path, blanks: bool) -> Path:
    """Where the class folders of a package are or would be: beside it, and hidden."""
    folder = file.expanduser().absolute().parent
    name = f"{folder.name}-classes{'-and-blank' if blanks else ''}"
    return folder.with_name(f".{folder.name}.fishnet") / name


def link_classes(file: Path, blanks: bool) -> Counter[str]:
    """Bring the class folders of a package up to date; returns what is left out, by kind.

    Photos are linked, or copied where the file system has no links; what has gone from the package goes from there. The
    manifest beside them keeps what the package says of each photo.
    """
    file = file.expanduser().absolute()
    package = read_package(file)
    media, left_out = local_media(package)
    seen = observed(package, media)
    rows: dict[str, Row] = {}
    for row in media:
        name, reason = class_of(seen[row["mediaID"]], blanks)
        if reason:
            left_out[reason] += 1
            continue
        known = known_of(package, row, seen[row["mediaID"]]) | {"class": name}
        rows[f"{name}/{os.path.normpath(row['filePath'])}"] = known
    if not rows:
        raise BadInput(f"{file}: no photo of the package has a class ({kinds_of(left_out)}).")
    folder = classes_folder(file, blanks)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(
            folder.with_name(f"{folder.name}.lock"), waiting=f"Another process is reading {file}: waiting for it."
        ):
            _bring_up_to_date(folder, {path: package.folder / row["path"] for path, row in rows.items()})
            _write_manifest(folder / TABLE, rows)
    except PermissionError as error:
        raise BadInput(f"{file}: its class folders cannot be made in {folder.parent} ({error.strerror}).") from error
    except OSError as error:
        raise WorkFailed(f"{file}: its class folders could not be made in {folder} ({error.strerror}).") from error
    return left_out


def _bring_up_to_date(folder: Path, photos: Mapping[str, Path]) -> None:
    """Exactly these photos below the folder; what is right is left untouched, so that nothing is read again."""
    for path in [Path(above, name) for above, _, names in os.walk(folder) for name in names]:
        if path.relative_to(folder).as_posix() not in photos and path != folder / TABLE:
            path.unlink()
    for parent in {path.rpartition("/")[0] for path in photos}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for name, source in photos.items():
        link_photo(source, folder / name)
    for empty, _, names in os.walk(folder, topdown=False):
        if not names and Path(empty) != folder:
            with suppress(OSError):  # folders are in it
                os.rmdir(empty)


def link_photo(source: Path, target: Path) -> None:
    """The target as a name of the source's file, or as a copy of it with its time."""
    source = Path(os.path.realpath(source))
    with suppress(FileNotFoundError):
        there, wanted = target.stat(), source.stat()
        if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
            return
        if (there.st_size, there.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns):
            return
        target.unlink()
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        with replacing(target, alone=True) as temporary:
            shutil.copy2(source, temporary)


def _write_manifest(file: Path, rows: Mapping[str, Row]) -> None:
    text = [[path if name == "path" else row[name] for name in COLUMNS] for path, row in sorted(rows.items())]
    with replacing(file, alone=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([COLUMNS, *map(defused_row, text)])
