"""What a photo file claims about itself, read from its bytes before any decoder sees them.

A decoder spends whatever the header asks for: 34 bytes can ask for a gigabyte, and 24 KB of empty JPEG scans
for minutes. So the claims are checked first, in plain Python, and walks over the file are bounded.
"""

import re
import struct
from collections.abc import Container, Iterator
from contextlib import suppress
from typing import NamedTuple

MAX_PIXELS = 50_000_000
MAX_SCANS = 64  # encoders write about ten
MAX_SCANNED_PIXELS = 1_000_000_000  # pixels x scans: about a second of decoding
MAX_PARTS = 20_000  # segments or chunks; 64 MB of the usual 8 KB PNG chunks are 8,000
MAX_GIF_PREFACE = 1_000_000  # bytes of comments and extensions before the first frame

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}
_SOS, _EOI, _DQT = 0xDA, 0xD9, 0xDB
_EXIF = b"Exif\0\0"
_MAKE, _MODEL, _ORIENTATION, _DETAILS = 0x010F, 0x0110, 0x0112, 0x8769
_TAKEN, _FRACTION, _SERIAL = 0x9003, 0x9291, 0xA431
_TEXT, _SHORT, _LONG = 2, 3, 4
_LONGEST_TEXT = 64  # bytes of a tag that are read
_CLOCK = re.compile(r"((?:19|20)\d\d)[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_HIDDEN = (_EXIF, b"MPF\0")


class RefusedImage(Exception):
    """A photo that cannot be used; the message is the reason, short and plain."""


class Capture(NamedTuple):
    """What a camera wrote into a photo's EXIF block; empty where it says nothing that can be read.

    `turn` says how to stand the photo upright (1 to 8), `taken` is the time by the camera's clock
    (`2024-05-01T14:03:22.25`), `camera` its make, model and serial number.
    """

    turn: int = 1
    taken: str = ""
    camera: str = ""


class Header(NamedTuple):
    """`hidden` are offsets of JPEG metadata kept from Pillow, which copies each of 5,000 overlapping tags."""

    format: str
    width: int
    height: int
    exif: bytes = b""
    hidden: tuple[int, ...] = ()


def read_header(data: bytes) -> Header:
    """The format and size of a photo, or a refusal of whatever would be costly or is cut short."""
    if not data:
        raise RefusedImage("the file is empty")
    for start, name, reader in _FORMATS:
        if data.startswith(start) and (name != "WEBP" or data[8:12] == b"WEBP"):
            try:
                header = reader(data)
            except (struct.error, IndexError):
                raise RefusedImage(f"a {name} file that is cut short") from None
            check_size(header.width, header.height)
            return header
    if re.match(rb"\s*(<!doctype|<html|<\?xml|\{|\[)", data[:256], re.IGNORECASE):
        raise RefusedImage("a web page or text, not a photo")
    raise RefusedImage("not a JPEG, PNG, WebP or GIF file")


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise RefusedImage("the image has no pixels")
    if width * height > MAX_PIXELS:
        raise RefusedImage(f"{width} x {height} pixels are too many (at most {MAX_PIXELS // 1_000_000} million)")


def _jpeg(data: bytes) -> Header:
    """Walks the markers as libjpeg does, so that every scan it would decode is counted."""
    size, scans, exif, hidden = None, 0, b"", []
    for code, start, end in _jpeg_segments(data):
        if code in _JPEG_FRAMES and size is None:
            height, width = struct.unpack_from(">HH", data, start + 3)
            check_size(width, height)
            size = width, height
        elif code == _SOS:
            scans += 1
            if size is None:
                raise RefusedImage("a JPEG file without a size")
            if scans > MAX_SCANS or scans * size[0] * size[1] > MAX_SCANNED_PIXELS:
                raise RefusedImage(f"a JPEG file of too many scans ({scans} or more)")
        elif data.startswith(_HIDDEN, start + 2):
            exif = exif or (data[start + 8 : end] if data.startswith(_EXIF, start + 2) else b"")
            hidden.append(start + 2)
    if size is None or not scans:
        raise RefusedImage("a JPEG file without an image")
    return Header("JPEG", *size, exif=exif, hidden=tuple(hidden))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker with the span of its segment, up to the end mark of the first image."""
    position = 2
    for _ in range(MAX_PARTS):
        marker = _JPEG_MARKER.search(data, position)
        if marker is None:
            raise RefusedImage("a JPEG file that is cut short")
        code, position = marker[1][0], marker.end()
        if code == _EOI:
            return
        if code not in _JPEG_BARE:
            (length,) = struct.unpack_from(">H", data, position)
            yield code, position, position + length
            position += length
    raise RefusedImage("a JPEG file of too many parts")


def jpeg_turn(data: bytes) -> int | None:
    """How to turn a JPEG that has been checked before; None where only the whole walk can tell.

    This one ends where the picture begins, and few files have anything to say behind that.
    """
    for code, start, end in _jpeg_segments(data):
        if code == _SOS:
            return 1 if data.find(_EXIF, start) < 0 else None
        if code not in _JPEG_FRAMES and data.startswith(_EXIF, start + 2) and end > start + 8:
            return capture(data[start + 8 : end]).turn
    return 1


def coarseness(data: bytes) -> int:
    """How coarsely a JPEG is coded: the sum of its quantisation tables, for which the beginning of the file is enough.

    0 of other files.
    """
    total = 0
    with suppress(RefusedImage, struct.error, IndexError):
        for code, start, end in _jpeg_segments(data) if data.startswith(b"\xff\xd8\xff") else ():
            if code == _SOS:
                break
            at = start + 2
            while code == _DQT and at < end:
                kind, count = (">64H", 129) if data[at] >> 4 else (">64B", 65)
                total += sum(struct.unpack_from(kind, data, at + 1))
                at += count
    return total


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise RefusedImage("a PNG file without a header")
    position = 8
    for _ in range(MAX_PARTS):
        length, name = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if position > len(data):
            break
        if name == b"IEND":
            return Header("PNG", *struct.unpack_from(">II", data, 16))
    else:
        raise RefusedImage("a PNG file of too many parts")
    raise RefusedImage("a PNG file that is cut short")


def _gif(data: bytes) -> Header:
    """Walks to the first frame: comments before it are joined by decoders in quadratic time."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)  # behind the palette
    while data[position] == 0x21:
        position += 2
        while data[position] and position <= MAX_GIF_PREFACE:
            position += 1 + data[position]
        position += 1
        if position > MAX_GIF_PREFACE:
            raise RefusedImage("a GIF file with too much before its first image")
    if data[position] != 0x2C:
        raise RefusedImage("a GIF file without an image")
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
    return Header("GIF", max(width, left + frame_width), max(height, top + frame_height))


def _webp(data: bytes) -> Header:
    (declared,) = struct.unpack_from("<I", data, 4)
    if declared + 8 > len(data):
        raise RefusedImage("a WebP file that is cut short")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise RefusedImage("a WebP file without an image")
    return Header("WEBP", width, height)


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


_FORMATS = (
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"GIF87a", "GIF", _gif),
    (b"GIF89a", "GIF", _gif),
    (b"RIFF", "WEBP", _webp),
)
