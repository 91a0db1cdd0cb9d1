"""From bytes to a file that is certainly a photo, certainly whole, and there for good or not at all."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from fishnet.images import load_image, read_bytes

ENDINGS = {b"\xff\xd8": "jpg", b"\x89P": "png", b"RI": "webp", b"GI": "gif"}  # of what the loader has accepted
PART = ".part"


def keep(folder: Path, photo_id: str, data: bytes) -> tuple[str, str]:
    """Decodes all of it, writes it under a hidden name and renames it; returns the file's name and the digest."""
    load_image(data)
    name = f"{photo_id}.{ENDINGS[data[:2]]}"
    hidden = folder / f".{name}{PART}"
    with open(hidden, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(hidden, folder / name)
    return name, hashlib.sha256(data).hexdigest()


def settle_folder(folder: Path) -> None:
    """Makes the renames of a folder last through a loss of power; without a photo it would be a class without one."""
    with suppress(OSError):
        folder.rmdir()
    if os.name == "nt" or not folder.is_dir():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Removes what a process that was killed has left half written."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)


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
