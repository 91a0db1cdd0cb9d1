"""Class folders from names that may be anything: an id that is unique, and a slug that is pleasant."""

import hashlib
import re
import unicodedata

from fishnet.collect.photo import Taxon
from fishnet.errors import WorkFailed
from fishnet.text import slug

_PLAIN = re.compile(r"[A-Za-z0-9]{1,40}")
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{word}{k}" for word in ("com", "lpt") for k in range(10))})


def named(name: str) -> Taxon:
    """A class that has nothing but its name; two spellings of the same letters are the same name."""
    plain = unicodedata.normalize("NFC", name).strip()
    return Taxon(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12], plain)


def class_folder(taxon: Taxon) -> str:
    """`47162-perca-fluviatilis`: ASCII, no separators, never a name that a file system keeps for itself."""
    identity = taxon.identity if _PLAIN.fullmatch(taxon.identity) else named(taxon.identity).identity
    return f"{identity}-{slug(taxon.name)}"


def class_folders(taxa: list[Taxon], before: dict[str, Taxon] | None = None) -> dict[str, Taxon]:
    """Folder → class, one to one also where the file system does not tell capitals apart.

    A taxon that has a folder from `before` stays there, whatever it is called by now.
    """
    folders: dict[str, Taxon] = {}
    taken = {folder.lower(): taxon for folder, taxon in (before or {}).items()}
    given = {taxon.identity: folder for folder, taxon in (before or {}).items()}
    for taxon in taxa:
        folder = given.get(taxon.identity) or class_folder(taxon)
        other = taken.setdefault(folder.lower(), taxon)
        if other.identity != taxon.identity:
            raise WorkFailed(f"The classes {other.name!r} and {taxon.name!r} would share a folder.")
        folders[folder] = taxon
    return folders
