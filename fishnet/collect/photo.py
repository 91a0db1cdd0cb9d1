"""What a source tells of a photo, and of the class it was found under."""

import hashlib
import re
from dataclasses import dataclass

SIZES = ("square", "thumb", "small", "medium", "large", "original")
UNKNOWN = "unknown"

_SIZED = re.compile(rf"(/photos/(\d+)/)({'|'.join(SIZES)})(\.\w*)?(?=$|\?)")
_PLACEHOLDER = re.compile(rf"/(copyright-infringement|artificially-generated-content)-({'|'.join(SIZES)})\.png$")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
    """The number in an address of iNaturalist's scheme; for others a digest of the address."""
    found = _SIZED.search(url)
    return found[2] if found else "u" + hashlib.sha256(url.encode()).hexdigest()[:20]


def plain_id(text: str, url: str) -> str:
    """An id that may be a file's name; ids that may not are replaced by their digest."""
    if not text:
        return photo_id_of(url)
    return text if _PLAIN_ID.fullmatch(text) else "i" + hashlib.sha256(text.encode()).hexdigest()[:20]


def is_placeholder(url: str) -> bool:
    """Pictures of a notice that iNaturalist serves in place of a photo that was flagged."""
    return _PLACEHOLDER.search(url.split("?")[0].split("#")[0]) is not None
