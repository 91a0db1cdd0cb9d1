"""Photos and classes as a source describes them, and the folder of a class: an id that is unique, a slug to read."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from fishnet.errors import WorkFailed
from fishnet.text import slug

SIZES = ("square", "thumb", "small", "medium", "large", "original")
UNKNOWN = "unknown"
# names of devices, which Windows refuses as names of files
RESERVED_NAMES = frozenset({"con", "prn", "aux", "nul", *(f"{word}{k}" for word in ("com", "lpt") for k in range(10))})

_SIZED = re.compile(rf"(/photos/([0-9]{{1,20}})/)({'|'.join(SIZES)})(\.\w*)?(?=$|\?)")
_PLACEHOLDER = re.compile(rf"/(copyright-infringement|artificially-generated-content)-({'|'.join(SIZES)})\.png$")
_PLAIN = re.compile(r"[A-Za-z0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Taxon:
    """A class of photos."""

    identity: str  # what distinguishes it for ever, such as iNaturalist's number
    name: str  # what people call it, such as a scientific name
    common_name: str = ""  # English, or empty
    rank: str = ""  # such as species, or empty


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as its source describes it: all text, and empty where unknown; only the licence is never empty.

    `photo_id` is unique within a collection and fit for a file name; `taken_on` is a day as the source writes it.
    """

    photo_id: str
    url: str
    licence: str = UNKNOWN
    attribution: str = ""
    observation_id: str = ""
    observer: str = ""
    taken_on: str = ""
    lat: str = ""
    lon: str = ""


def sized(url: str, size: str) -> str:
    """The same photo in another of iNaturalist's sizes: only the size word changes, never the extension."""
    return _SIZED.sub(lambda match: f"{match[1]}{size}{match[4] or ''}", url)


def photo_id_of(url: str) -> str:
    """The number in an address of iNaturalist's scheme; of any other address, or too long a number, a digest."""
    match = _SIZED.search(url)
    return match[2] if match else "u" + hashlib.sha256(url.encode()).hexdigest()[:20]


def is_numbered(url: str) -> bool:
    """Whether the address is of iNaturalist's scheme, and so names one photo for ever."""
    return _SIZED.search(url) is not None


def turn_of(seed: int, photo_id: str) -> str:
    """Photos are tried in the order of this digest: random, and the same whatever else was listed."""
    return hashlib.sha256(f"{seed}:{photo_id}".encode()).hexdigest()


def is_placeholder(url: str) -> bool:
    """Whether this is the picture of a notice that iNaturalist serves instead of a flagged photo."""
    return _PLACEHOLDER.search(url.split("?")[0].split("#")[0]) is not None


def taxon_from_name(name: str) -> Taxon:
    """A class that has nothing but its name; two Unicode spellings of the same letters are the same class."""
    plain = unicodedata.normalize("NFC", name).strip()
    return Taxon(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12], plain)


def class_folder(taxon: Taxon) -> str:
    """`47162-perca-fluviatilis`: ASCII, no separators, never a name that a file system reserves."""
    identity = taxon.identity if _PLAIN.fullmatch(taxon.identity) else taxon_from_name(taxon.identity).identity
    return f"{identity}-{slug(taxon.name)}"


def class_folders(taxa: list[Taxon], existing: dict[str, Taxon] | None = None) -> dict[str, Taxon]:
    """Folder → class, unique if case is ignored; a taxon stays in its folder among the `existing`, renamed or not."""
    existing = existing or {}
    folders: dict[str, Taxon] = {}
    taken = {folder.lower(): taxon for folder, taxon in existing.items()}
    given = {taxon.identity: folder for folder, taxon in existing.items()}
    for taxon in taxa:
        folder = given.get(taxon.identity) or class_folder(taxon)
        other = taken.setdefault(folder.lower(), taxon)
        if other.identity != taxon.identity:
            raise WorkFailed(f"The classes {other.name!r} and {taxon.name!r} would share a folder.")
        folders[folder] = taxon
    return folders
