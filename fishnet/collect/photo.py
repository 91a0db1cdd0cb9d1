"""What a source tells of a photo, and of the class it was found under."""

import hashlib
import re
from dataclasses import dataclass

SIZES = ("square", "thumb", "small", "medium", "large", "original")
UNKNOWN = "unknown"

_SIZED = re.compile(rf"(/photos/([0-9]{{1,20}})/)({'|'.join(SIZES)})(\.\w*)?(?=$|\?)")
_PLACEHOLDER = re.compile(rf"/(copyright-infringement|artificially-generated-content)-({'|'.join(SIZES)})\.png$")


@dataclass(frozen=True, slots=True)
class Taxon:
    """One class: `identity` tells it apart for ever, `name` is what people call it."""

    identity: str
    name: str
    common_name: str = ""
    rank: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """Everything is text, and empty where the source does not say; only the licence is never empty."""

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
    return _SIZED.sub(lambda found: f"{found[1]}{size}{found[4] or ''}", url)


def photo_id_of(url: str) -> str:
    """The number in an address of iNaturalist's scheme; for others, and for what no file can be called, a digest."""
    found = _SIZED.search(url)
    return found[2] if found else "u" + hashlib.sha256(url.encode()).hexdigest()[:20]


def is_numbered(url: str) -> bool:
    """Whether the address is of iNaturalist's scheme, and so names one photo for ever."""
    return _SIZED.search(url) is not None


def turn_of(seed: int, photo_id: str) -> str:
    """A photo's place in the drawing of lots: the same whatever else was found."""
    return hashlib.sha256(f"{seed}:{photo_id}".encode()).hexdigest()


def is_placeholder(url: str) -> bool:
    """Pictures of a notice that iNaturalist serves in place of a photo that was flagged."""
    return _PLACEHOLDER.search(url.split("?")[0].split("#")[0]) is not None
