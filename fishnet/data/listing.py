"""The photos of a class-folder tree, by name, size and time only: no file is opened.

Names are taken as they are (quotes, ×, CJK, `${…}`), links never lead out of the folder, and whatever is left
out is counted, so that nobody wonders where the bitmaps went.
"""

import os
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fishnet.errors import BadInput

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif"})
_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test"})


@dataclass
class Listing:
    root: Path
    classes: list[str] = field(default_factory=list)
    photos: list[tuple[str, str, int, int, int]] = field(default_factory=list)  # path, class, size, mtime_ns, ctime_ns
    refused: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """Each class folder with the number of its photos."""
        found = Counter(name for _, name, *_ in self.photos)
        return {name: found[name] for name in self.classes}

    def warnings(self) -> list[str]:
        said = []
        if self.left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.left_out.most_common(6))
            said.append(f"Left out of {self.root}: {kinds}.")
        folded: dict[str, str] = {}
        for name in self.classes:
            twin = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if twin != name:
                said.append(f"The class folders {twin!r} and {name!r} differ only in case or accents' encoding.")
        return said


def list_photos(root: Path | str) -> Listing:
    """Every photo below `root/<class>/`, sorted by path; folders that start with a dot are not looked at."""
    folder = Path(root).expanduser()
    if not folder.exists():
        raise BadInput(f"There is no folder {folder}: check data.root.")
    if not folder.is_dir():
        raise BadInput(f"{folder} is a file; data.root must be a folder that holds one folder a class.")
    listing = Listing(folder.resolve())
    for entry in _entries(str(listing.root)):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            listing.left_out["links"] += 1
        elif entry.is_dir():
            _list_class(listing, entry)
        elif _extension(entry.name) in EXTENSIONS:
            listing.left_out["photos outside any class folder"] += 1
    listing.classes.sort()
    listing.photos.sort()
    _check_layout(listing)
    return listing


def _entries(folder: str) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be read ({error.strerror}).") from error


def _extension(name: str) -> str:
    start = name.rfind(".")
    return name[start:].lower() if start > 0 else ""


def _list_class(listing: Listing, folder: os.DirEntry) -> None:
    if not _is_unicode(folder.name):
        shown = _shown(folder.name)
        raise BadInput(f"The name of the class folder {shown} is not valid UTF-8: rename it.")
    listing.classes.append(folder.name)
    stack = [(folder.path, folder.name)]
    while stack:
        place, prefix = stack.pop()
        for entry in _entries(place):
            path = f"{prefix}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append((entry.path, path))
            else:
                _list_file(listing, folder.name, entry, path)


def _list_file(listing: Listing, name: str, entry: os.DirEntry, path: str) -> None:
    extension = _extension(entry.name)
    if entry.is_symlink() and not _stays_inside(listing.root, entry.path):
        listing.left_out["links that lead out of the folder, to a folder or nowhere"] += 1
    elif extension not in EXTENSIONS:
        listing.left_out[f"{extension or 'without extension'}" if _is_unicode(extension) else "other"] += 1
    elif not entry.is_file():
        listing.left_out["special files"] += 1
    elif not _is_unicode(path):
        listing.refused.append((_shown(path), "the file's name is not valid UTF-8"))
    else:
        with suppress(FileNotFoundError):  # removed since the folder was read
            state = entry.stat()
            listing.photos.append((path, name, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


def _stays_inside(root: Path, link: str) -> bool:
    target = os.path.realpath(link)
    return target.startswith(os.path.join(str(root), "")) and os.path.isfile(target)


def _is_unicode(name: str) -> bool:
    try:
        return name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        return False


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _check_layout(listing: Listing) -> None:
    if not listing.classes:
        raise BadInput(f"{listing.root} holds no class folders: photos belong in {listing.root}/<class>/.")
    if not listing.photos and not listing.refused:
        kinds = f" ({listing.warnings()[0]})" if listing.left_out else ""
        raise BadInput(f"{listing.root} holds no JPEG, PNG, WebP or GIF photo in any class folder{kinds}.")
    if {name.lower() for name in listing.classes} <= _SPLIT_NAMES and len(listing.classes) > 1:
        raise BadInput(
            f"{listing.root} is already split into {', '.join(listing.classes)}: give the folder that holds "
            "one folder a class (fishnet makes the splits), or name such classes differently."
        )
