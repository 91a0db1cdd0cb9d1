"""From bytes to a file that is certainly a photo, certainly whole, and there for good or not at all."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from fishnet.files import flush
from fishnet.images import RefusedImage, load_image, read_bytes

ENDINGS = {b"\xff\xd8": "jpg", b"\x89P": "png", b"RI": "webp", b"GI": "gif"}  # of what the loader has accepted
PART, WHOLE = ".part", ".whole"


def lay_down(folder: Path, photo_id: str, data: bytes) -> Path:
    """All bytes under a hidden name, before anything else is asked for: a process that dies later has not fetched them
    in vain."""
    part = folder / f".{photo_id}{PART}"
    part.write_bytes(data)
    whole = folder / f".{photo_id}{WHOLE}"
    os.replace(part, whole)
    return whole


def keep(whole: Path, data: bytes) -> tuple[str, str]:
    """Decodes what was laid down, makes it last and gives it its name; returns that and the digest."""
    try:
        load_image(data)
    except RefusedImage:
        whole.unlink()
        raise
    flush(whole)
    name = f"{whole.name[1:].removesuffix(WHOLE)}.{ENDINGS[data[:2]]}"
    os.replace(whole, whole.with_name(name))
    return name, hashlib.sha256(data).hexdigest()


def settle_folder(folder: Path) -> None:
    """Makes the renames of a folder last through a loss of power; without a photo it would be a class without one."""
    with suppress(OSError):
        folder.rmdir()
    if folder.is_dir():
        flush(folder)


def sweep(folder: Path) -> None:
    """Removes what a process that was killed has left half written, and names what it had only laid down."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)
    for whole in folder.glob(f".*{WHOLE}"):
        with suppress(RefusedImage):
            keep(whole, read_bytes(whole))


def found(folder: Path, photo_id: str) -> Path | None:
    """A photo that was renamed but whose fate was not yet written when the process died."""
    return next((path for ending in ENDINGS.values() if (path := folder / f"{photo_id}.{ending}").exists()), None)


def adopted(path: Path) -> tuple[str, str]:
    """Name and digest of a file that lies there already, decoded once more to be sure."""
    data = read_bytes(path)
    load_image(data)
    return path.name, hashlib.sha256(data).hexdigest()


def remove(root: Path, place: str) -> None:
    """A photo that is not wanted any more; a class folder without photos would be a class without photos."""
    path = root / place
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
