"""The photos of a class-folder tree, by name, size and time only: no file is opened, and nothing heavy is imported.

Names are taken as they are (quotes, ×, CJK, `${…}`), links never lead out of the folder, and whatever is left
out is counted, so that nobody wonders where the bitmaps went.
"""

import csv
import glob
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fishnet.data.camtrap import is_package, read_about
from fishnet.data.camtrap_classes import BLANK, classes_folder, link_classes
from fishnet.data.class_names import ClassNames, read_class_names
from fishnet.errors import BadInput
from fishnet.headers import has_decoder, without_decoder
from fishnet.reef import Settings, reef_folder
from fishnet.reef.folder import reef_path
from fishnet.text import few_of, reasons_in_lines

_log = logging.getLogger("fishnet")
_OF_PHONES = {".heic": "HEIC", ".heif": "HEIC", ".avif": "AVIF"}
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {extension for extension, name in _OF_PHONES.items() if has_decoder(name)}
)
_TABLES = ("manifest.csv", "classes.csv")  # what a collection says of its photos
_MISNAMED = "the file's name is not valid UTF-8"
_LIST = ".txt"  # a text file of paths
_WILD = re.compile(r"[*?\[]")
_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test"})


@dataclass
class Listing:
    """What a folder of class folders holds: classes and photos sorted by name, and what is left out by kind."""

    root: Path
    classes: list[str] = field(default_factory=list)
    photos: list[tuple[str, str, int, int, int]] = field(default_factory=list)  # path, class, size, mtime_ns, ctime_ns
    refused: list[tuple[str, str]] = field(default_factory=list)  # path, reason
    left_out: Counter[str] = field(default_factory=Counter)
    known: Any = None  # of a stream: the table that has what is read of a folder's photos

    def counts(self) -> dict[str, int]:
        """Each class folder with the number of its photos."""
        counts = Counter(name for _, name, *_ in self.photos)
        return {name: counts[name] for name in self.classes}

    def warnings(self) -> list[str]:
        """A sentence each on what was left out and on class folders that look alike."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.left_out.most_common(6))
        warnings = [f"Left out of {self.root}: {kinds}."] if kinds else []
        for name in sorted({name for extension, name in _OF_PHONES.items() if self.left_out[extension]}):
            warnings.append(f"{name} photos are not read by this installation: {without_decoder(name)} them as JPEG.")
        folded: dict[str, str] = {}
        for name in self.classes:
            twin = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if twin != name:
                warnings.append(f"The class folders {twin!r} and {name!r} differ only in case or accents' encoding.")
        return warnings


def list_photos(root: Path | str) -> Listing:
    """Every photo below `root/<class>/`, sorted by path; folders that start with a dot are not looked at."""
    folder = Path(root).expanduser()
    if not folder.exists():
        raise BadInput(f"There is no folder {folder}: check data.root.")
    if not folder.is_dir():
        raise BadInput(f"{folder} is a file; data.root must be a folder that holds one folder a class.")
    listing = Listing(folder.resolve())
    if _escaped(str(listing.root)) != str(listing.root):
        raise BadInput(f"The name of the folder {_escaped(str(listing.root))} is not valid UTF-8: rename it.")
    for entry in _entries(str(listing.root)):
        if entry.is_symlink():
            listing.left_out["links"] += 1
        elif entry.is_dir():
            _list_class(listing, entry)
        elif _extension(entry.name) in EXTENSIONS:
            listing.left_out["photos outside any class folder"] += 1
    listing.classes.sort()
    listing.photos.sort()
    if not listing.classes:
        from fishnet.data.packed import is_stream  # which is built on this room

        if is_stream(listing.root):
            raise BadInput(f"{listing.root} is a stream: say data=stream, or give the folder that it was packed from.")
        raise BadInput(f"{listing.root} holds no class folders: photos belong in {listing.root}/<class>/.")
    if not listing.photos and not listing.refused:
        kinds = f" ({listing.warnings()[0]})" if listing.left_out else ""
        formats = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
        raise BadInput(f"{listing.root} holds no {formats} photo in any class folder{kinds}.")
    if {name.lower() for name in listing.classes} <= _SPLIT_NAMES and len(listing.classes) > 1:
        raise BadInput(
            f"{listing.root} is already split into {', '.join(listing.classes)}: give the folder that holds "
            "one folder a class (fishnet makes the splits), or name such classes differently."
        )
    return listing


def _entries(folder: str) -> list[os.DirEntry]:
    """What is in a folder, without what starts with a dot."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be read ({error.strerror}).") from error


def _extension(name: str) -> str:
    start = name.rfind(".")
    return name[start:].lower() if start > 0 else ""


def _list_class(listing: Listing, folder: os.DirEntry) -> None:
    if _escaped(folder.name) != folder.name:
        raise BadInput(f"The name of the class folder {_escaped(folder.name)} is not valid UTF-8: rename it.")
    if "\r" in folder.name:
        raise BadInput(f"The name of the class folder {folder.name!r} has a carriage return in it: rename it.")
    listing.classes.append(folder.name)
    _list_below(listing, folder.name, folder.path, f"{folder.name}/")


def _list_below(listing: Listing, name: str, folder: str, relative: str) -> None:
    """Add what lies below a folder to the photos of a class; `relative` stands before the names in their paths."""
    stack = [(folder, relative)]
    while stack:
        absolute, relative = stack.pop()
        for entry in _entries(absolute):
            path = f"{relative}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                stack.append((entry.path, f"{path}/"))
            else:
                _list_file(listing, name, entry, path)


def _list_file(listing: Listing, name: str, entry: os.DirEntry, path: str) -> None:
    extension = _extension(entry.name)
    target = os.path.realpath(entry.path) if entry.is_symlink() else ""
    if target and not (target.startswith(os.path.join(str(listing.root), "")) and os.path.isfile(target)):
        listing.left_out["links that lead out of the folder, to a folder or nowhere"] += 1
    elif extension not in EXTENSIONS:
        listing.left_out[(extension or "without extension") if _escaped(extension) == extension else "other"] += 1
    elif not entry.is_file():
        listing.left_out["special files"] += 1
    elif _escaped(path) != path:
        listing.refused.append((_escaped(path), _MISNAMED))
    elif "\r" in path:
        listing.refused.append((path.replace("\r", "\\r"), "the file's name has a carriage return in it"))
    else:
        with suppress(FileNotFoundError):  # removed since the folder was read
            state = entry.stat()
            listing.photos.append((path, name, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


def _escaped(name: str) -> str:
    """The name with escapes for what is not Unicode in it: the same, if it is valid."""
    return name.encode("utf-8", "backslashreplace").decode()


def find_photos(images: str | Path) -> list[Path]:
    """Loose photos, each once: those of a folder or a pattern sorted by path, those of a list in its order.

    Args:
        images: a photo; a folder, with all that lies below it; a pattern (`photos/*.jpg`, `**` for any folders
            between); a list `[a.jpg,b.jpg]`; or a text file (.txt) with a path a line. What a list names may be any
            of the others. What exists under the whole name is meant, whatever signs are in it.
    """
    path = Path(images).expanduser()
    text = str(path)
    if os.path.isdir(path):  # and no method of Path: a list may be longer than a name can be
        return _photos_below(path)
    if os.path.isfile(path):
        return _photos_of_lines(path) if path.suffix.lower() == _LIST else [path]
    if os.path.exists(path):
        raise BadInput(f"images={text} is no file, but a pipe, socket or device: give a photo or a folder of photos.")
    if text.startswith("[") and text.endswith("]"):
        names = next(csv.reader([text[1:-1]], skipinitialspace=True), [])
        return _photos_of_all([name.strip() for name in names], f"images={text}")
    if _WILD.search(text):
        return _photos_of_pattern(path)
    raise BadInput(f"images={text} does not exist: give a photo, a folder of photos, a pattern or a list.")


def _photos_below(folder: Path) -> list[Path]:
    """Every photo below a folder; what a listing leaves out is logged."""
    listing = Listing(folder.resolve())
    _list_below(listing, "", str(folder), "")
    listing.left_out -= Counter({".csv": sum((folder / name).is_file() for name in _TABLES)})
    for warning in [*listing.warnings(), *reasons_in_lines(listing.refused)]:
        _log.warning(warning)
    if not listing.photos:
        raise BadInput(f"images={folder} holds no photos ({', '.join(sorted(EXTENSIONS))}).")
    return sorted(folder / photo for photo, *_ in listing.photos)


def _photos_of_lines(file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"images={file} is no text in UTF-8 that could be read: a path a line is expected.") from error
    return _photos_of_all([line.strip() for line in lines], f"images={file}")


def _photos_of_all(names: Sequence[str], given: str) -> list[Path]:
    found: list[Path] = []
    for name in filter(None, names):
        if Path(name).suffix.lower() == _LIST or name.startswith("["):
            raise BadInput(f"{given}: it names the list {name}; a list holds photos, folders and patterns.")
        if _special(name):
            _log.warning("%s: %s is left out: it is no file, but a pipe, socket or device.", given, name)
            continue
        try:
            found += find_photos(name)
        except BadInput as error:
            raise BadInput(f"{given}: {error}") from error
    if not found:
        raise BadInput(f"{given} names no photo.")
    return list(dict.fromkeys(found))


def _special(name: str) -> bool:
    path = Path(name).expanduser()
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def _photos_of_pattern(pattern: Path) -> list[Path]:
    """Photos whose paths fit; folders on the way that exist by name are taken by it, brackets and all."""
    real, parts = Path(pattern.anchor), list(pattern.parts[1 if pattern.anchor else 0 :])
    while len(parts) > 1 and (real / parts[0]).is_dir():
        real /= parts.pop(0)
    matched = sorted(map(Path, glob.glob(str(Path(glob.escape(str(real)), *parts)), recursive=True)))
    named = [path for path in matched if _extension(path.name) in EXTENSIONS]
    photos = [path for path in named if path.is_file() and _escaped(str(path)) == str(path)]
    left_out = sum(not path.is_file() and not path.is_dir() for path in named)
    if left_out:
        _log.warning("Left out of %s: %d special files.", pattern, left_out)
    misnamed = [(_escaped(str(path)), _MISNAMED) for path in named if _escaped(str(path)) != str(path)]
    for line in reasons_in_lines(misnamed):
        _log.warning(line)
    if not photos:
        others = f"; what does is no photo ({few_of([_escaped(path.name) for path in matched], 3)})" if matched else ""
        raise BadInput(f"images={pattern}: no photo fits this pattern{others}.")
    return photos


# ---- where class folders come from


class FolderSource:
    """Class folders of the user's; all that it answers is known before a photo is read."""

    is_folder = True  # each photo is a file below `root`

    users_own = True  # what a verb makes must not lie among these photos

    def __init__(self, root: str) -> None:
        self.given = root
        self.root = Path(root).expanduser().absolute()

    @cached_property
    def listing(self) -> Listing:
        return list_photos(self.root)

    @cached_property
    def names(self) -> ClassNames:
        """What people call the classes."""
        return read_class_names(self.root)

    def typed(self, name: str) -> str:
        """The class folder of a name that a person has typed; the name itself where no class is called so."""
        return self.names.among(name, list(self.counts())) or name if self.names else name

    def counts(self) -> dict[str, int]:
        return self.listing.counts()

    def photo(self, path: str) -> Path | bytes:
        """A photo's file, or its bytes where it is none."""
        return self.root / path

    def check(self) -> None:
        """Raise BadInput for what can be refused before the folder is listed."""
        if not self.root.is_dir():
            what = "is a file, not a folder" if self.root.exists() else "does not exist"
            raise BadInput(f"data.root={self.given} {what}: give a folder that holds one folder a class.")


class PackageSource(FolderSource):
    """The class folders of a Camtrap DP package, made beside it when its listing is first read.

    Args:
        file: the package's datapackage.json.
        blanks: whether photos on which people have seen nothing are a class.
    """

    users_own = False

    def __init__(self, file: str, *, blanks: bool) -> None:
        self.file, self.blanks = Path(file).expanduser(), blanks
        super().__init__(str(classes_folder(self.file, blanks)))

    @cached_property
    def listing(self) -> Listing:
        left_out = link_classes(self.file, self.blanks)
        listing = list_photos(self.root)
        listing.left_out.update(left_out)
        return listing

    def check(self) -> None:
        read_about(self.file)


class ReefSource(FolderSource):
    """The drawn reef, drawn below `parent` when its listing is first read; `drawing` are its Settings, checked here."""

    users_own = False

    def __init__(self, parent: str, **drawing: Any) -> None:
        self.settings = Settings(**drawing)
        self.parent, self.drawing = parent, drawing
        super().__init__(str(reef_path(parent, self.settings)))

    @cached_property
    def listing(self) -> Listing:
        return list_photos(reef_folder(self.parent, **self.drawing))

    def counts(self) -> dict[str, int]:
        return dict(sorted(self.settings.counts.items()))

    def check(self) -> None:
        """Raise BadInput where the reef would be drawn among class folders of the user's: those are meant, then."""
        parent = Path(self.parent).expanduser()
        folders = [each for each in sorted(parent.glob("[!.]*")) if each.is_dir() and each.name != self.root.name]
        own = [each.name for each in folders if any(file.suffix.lower() in EXTENSIONS for file in each.iterdir())]
        if own:
            raise BadInput(
                f"data.root={self.parent} holds class folders ({few_of(own)}): data=folder takes them. With data=reef, "
                "which is the default, drawn photos are made inside data.root."
            )


def folder_source(root: str, classes: Sequence[str] | None) -> FolderSource:
    """Class folders, or those of a package whose datapackage.json is named; blank photos are a class if it is named."""
    if is_package(Path(root).expanduser()):
        return PackageSource(root, blanks=BLANK in (classes or ()))
    return FolderSource(root)
