"""What cameras and editors write beside a photo's pixels: how to turn it, when it was taken and by which camera.

The blocks come from anybody, so each table is walked once and no tag costs more than its first bytes.
"""

import re
import struct
from collections.abc import Container
from contextlib import suppress
from typing import NamedTuple

LONGEST_XMP = 1_000_000  # bytes that are looked through

_XMP_TURN = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\b")
_MAKE, _MODEL, _ORIENTATION, _DETAILS = 0x010F, 0x0110, 0x0112, 0x8769
_TAKEN, _FRACTION, _SERIAL = 0x9003, 0x9291, 0xA431
_TEXT, _SHORT, _LONG = 2, 3, 4
_LONGEST_TEXT = 64  # bytes of a tag that are read
_CLOCK = re.compile(r"((?:19|20)\d\d)[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")


class Capture(NamedTuple):
    """What a camera wrote into a photo's EXIF block; empty where it says nothing that can be read.

    `turn` says how to stand the photo upright (1 to 8), `taken` is the time by the camera's clock
    (`2024-05-01T14:03:22.25`), `camera` its make, model and serial number.
    """

    turn: int = 1
    taken: str = ""
    camera: str = ""


def xmp_turn(xmp: bytes) -> int:
    """How to turn the photo, as editors write it into XMP; 0 where they do not say so."""
    found = _XMP_TURN.search(xmp[:LONGEST_XMP])
    return int(found[1]) if found else 0


def exif_turn(exif: bytes) -> int:
    """How to turn the photo, as its EXIF block says; 0 where it does not."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    turn: int | str = 0
    with suppress(struct.error):
        if order is not None:
            turn = _tags(exif, order, struct.unpack_from(order + "I", exif, 4)[0], {_ORIENTATION}).get(_ORIENTATION, 0)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 0


def capture(exif: bytes) -> Capture:
    """What the EXIF block says; each table in it is walked once, and no tag costs more than its first bytes."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return Capture()
    tags: dict[int, int | str] = {}
    with suppress(struct.error):
        (start,) = struct.unpack_from(order + "I", exif, 4)
        tags |= _tags(exif, order, start, {_MAKE, _MODEL, _ORIENTATION, _DETAILS})
        if isinstance(details := tags.get(_DETAILS), int):
            tags |= _tags(exif, order, details, {_TAKEN, _FRACTION, _SERIAL})
    turn, clock = tags.get(_ORIENTATION), _CLOCK.match(str(tags.get(_TAKEN, "")))
    taken = "{}-{}-{}T{}:{}:{}".format(*clock.groups()) if clock else ""
    fraction = re.match(r"\d{1,6}", str(tags.get(_FRACTION, "")))
    camera = " ".join(str(tags[tag]) for tag in (_MAKE, _MODEL, _SERIAL) if tags.get(tag))
    return Capture(
        turn if isinstance(turn, int) and 1 <= turn <= 8 else 1,
        f"{taken}.{fraction[0]}" if taken and fraction else taken,
        camera,
    )


def _tags(exif: bytes, order: str, start: int, wanted: Container[int]) -> dict[int, int | str]:
    """The wanted tags of one table, the first of each: whole numbers, and texts by their first bytes."""
    values: dict[int, int | str] = {}
    with suppress(struct.error):
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, value = struct.unpack_from(order + "HHII", exif, entry)
            if tag not in wanted or tag in values:
                continue
            if kind == _TEXT:
                at = entry + 8 if length <= 4 else value
                text = exif[at : at + min(length, _LONGEST_TEXT)].split(b"\0")[0]
                values[tag] = " ".join(text.decode("ascii", "ignore").split())
            elif kind == _LONG:
                values[tag] = value
            elif kind == _SHORT:
                (values[tag],) = struct.unpack_from(order + "H", exif, entry + 8)
    return values
