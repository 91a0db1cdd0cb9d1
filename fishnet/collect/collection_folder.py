"""The folder of a collection, with its ledger: one command at a time, and nothing that is somebody else's.

A photo goes from bytes to a file that is certainly a photo, certainly whole, and there for good or not at all: it is
laid down under a hidden name (.part, then .whole), decoded, flushed, and renamed. The ledger is written last, so
`recover` can finish whatever a killed process has begun.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from fishnet.collect.ledger import COPY, DELETED, KEPT, REFUSED, WITHDRAWN, Ledger
from fishnet.collect.manifest import MANIFEST
from fishnet.collect.plan import Plan
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import LockHeld, flush, locked
from fishnet.images import RefusedImage, load_image, read_bytes

ENDINGS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "AVIF": "avif",
    "HEIC": "heic",
}  # fmt: skip
PART, WHOLE = ".part", ".whole"
GONE_BY_HAND = "deleted by hand"


def check_folder(plan: Plan) -> None:
    """BadInput if the folder is, or is in, something else, so that nothing can be collected there."""
    if plan.root.exists() and not plan.root.is_dir():
        raise BadInput(f"name={plan.name}: {plan.root} is a file.")
    if not plan.ledger.exists() and plan.root.is_dir() and any(plan.root.iterdir()):
        what = "something else already"
        if (plan.root / MANIFEST).exists():
            what = f"a collection whose ledger ({plan.ledger}) is gone, so nothing can be added to it"
        raise BadInput(f"name={plan.name}: {plan.root} holds {what}; choose another name, or move it away.")
    parent = next(folder for folder in plan.root.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BadInput(f"name={plan.name}: nothing can be written in {parent}.")


@contextmanager
def opened(plan: Plan) -> Iterator[Ledger]:
    """The ledger, which is begun anew if the photos' folder was removed; no other command may open it meanwhile."""
    plan.ledger.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(plan.ledger.with_name("collect.lock"), timeout=0))
        except LockHeld:
            raise BadInput(f"name={plan.name}: another command is collecting into {plan.root} just now.") from None
        if not plan.root.exists():
            for ending in ("", "-wal", "-shm"):
                plan.ledger.with_name(plan.ledger.name + ending).unlink(missing_ok=True)
        yield stack.enter_context(closing(Ledger(plan.ledger, seed=plan.seed)))


def check_settings(plan: Plan, ledger: Ledger) -> None:
    """BadInput if the collection was begun with other settings: its folder would hold photos found in two ways."""
    before = ledger.settings()
    for key, value in plan.fixed.items():
        was = before.get(key)
        if before and was != value:
            was = ",".join(was) if isinstance(was, list) else was
            raise BadInput(f"name={plan.name} was collected with {key}={was}: say the same, or choose another name.")


@contextmanager
def disk_errors_in_words(plan: Plan) -> Iterator[None]:
    """WorkFailed for a full disk, a cache that cannot be written, or a file that is no ledger."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        where = error.filename if isinstance(error, OSError) else plan.ledger
        what = f"{getattr(error, 'strerror', None) or error}{f' ({where})' if where else ''}"
        raise WorkFailed(
            f"name={plan.name}: {what}; what was kept stays, and the same command goes on when that is mended."
        ) from error


def lay_down(folder: Path, photo_id: str, data: bytes) -> Path:
    """Write a photo's bytes under a hidden name, at once: a process that dies later has not fetched them in vain."""
    part = folder / f".{photo_id}{PART}"
    part.write_bytes(data)
    return part.replace(part.with_suffix(WHOLE))


def keep(whole: Path, data: bytes) -> tuple[str, str]:
    """Decode what was laid down, flush it and give it its final name; returns that name and the bytes' digest."""
    try:
        format = load_image(data).info["format"]
    except RefusedImage:
        whole.unlink()
        raise
    flush(whole)
    name = f"{whole.name[1:].removesuffix(WHOLE)}.{ENDINGS[format]}"
    whole.replace(whole.with_name(name))
    return name, hashlib.sha256(data).hexdigest()


def verified(path: Path) -> tuple[str, str]:
    """Name and digest of a photo that is there already, decoded once more to be sure."""
    data = read_bytes(path)
    load_image(data)
    return path.name, hashlib.sha256(data).hexdigest()


def remove(root: Path, path: str) -> None:
    """Delete a photo, and its class folder with the last one, which would else be a class without photos."""
    file = root / path
    file.unlink(missing_ok=True)
    with suppress(OSError):
        file.parent.rmdir()


def settle_folder(folder: Path) -> None:
    """Flush the names in a class folder, so that they survive a loss of power; an empty folder is deleted."""
    with suppress(OSError):
        folder.rmdir()
    if folder.is_dir():
        flush(folder)


def recover(root: Path, ledger: Ledger) -> None:
    """Bring files and ledger together after a death, or after a person has deleted photos or put them back."""
    for folder in ledger.classes():
        if (root / folder).is_dir():
            _finish_files(root / folder, ledger)
    present = {f"{folder}/{path.name}" for folder in ledger.classes() for path in (root / folder).glob("*")}
    rows = [(row, f"{row['folder']}/{row['file']}") for row in ledger.photos(KEPT, COPY, REFUSED, WITHDRAWN, DELETED)]
    missing = [row for row, path in rows if row["fate"] == KEPT and path not in present]
    ledger.end_many((row["folder"], row["photo_id"], DELETED, GONE_BY_HAND) for row in missing)
    present -= {path for row, path in rows if row["fate"] == KEPT}  # also what a copy's owner has inherited
    put_back = {path: row for row, path in rows if row["fate"] == DELETED and path in present}
    for path, row in put_back.items():
        with suppress(RefusedImage):
            name, sha256 = verified(root / path)
            if sha256 == row["sha256"]:
                ledger.kept(row["folder"], row["photo_id"], name, sha256, row["fetched_at"])
    for row, path in rows:  # a death between the verdict on a photo and the end of its file
        if row["fate"] != KEPT and row["file"] and path in present - put_back.keys():
            remove(root, path)


def _finish_files(folder: Path, ledger: Ledger) -> None:
    """Delete half files, keep those that were laid down, and enter those that have their name but no fate yet."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)
    for whole in folder.glob(f".*{WHOLE}"):
        with suppress(RefusedImage):
            keep(whole, read_bytes(whole))
    for photo in ledger.next(folder.name, -1):
        candidates = (folder / f"{photo.photo_id}.{ending}" for ending in ENDINGS.values())
        if path := next(filter(Path.exists, candidates), None):
            try:
                ledger.kept(folder.name, photo.photo_id, *verified(path))
            except RefusedImage:
                path.unlink()
