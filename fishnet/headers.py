"""What a photo file claims about itself, read from its bytes before any decoder sees them.

A decoder spends whatever the header asks for: 34 bytes can ask for a gigabyte, and 24 KB of empty JPEG scans
for minutes. So the claims are checked first, in plain Python, and walks over the file are bounded.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from fishnet.environment import most_megapixels
from fishnet.exif import LONGEST_XMP, exif_turn, xmp_turn

MAX_SCANS = 64  # encoders write about ten
MAX_SCANNED_PIXELS = 2_000_000_000  # pixels x scans: about two seconds of decoding
MAX_PARTS = 20_000  # segments or chunks; 64 MB of the usual 8 KB PNG chunks are 8,000
MAX_TIFF_TAGS = 200  # files of cameras and editors have about 30
MAX_GIF_PREFACE = 1_000_000  # bytes of comments and extensions before the first frame

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}
_SOS, _EOI, _DQT = 0xDA, 0xD9, 0xDB
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_HIDDEN = (_EXIF, b"MPF\0")


class RefusedImage(Exception):
    """A photo that cannot be used; the message is the reason, short and plain."""


class TooLarge(RefusedImage):
    """Refused by its header, by a limit that the user may change."""


class NoDecoder(RefusedImage):
    """A format that another installation may read."""


class Header(NamedTuple):
    """`hidden` are offsets of JPEG metadata kept from Pillow, which copies each of 5,000 overlapping tags.

    `patches` are offsets with the bytes to put there, which leave a TIFF file its checked tags alone. `xmp_turn` is 0
    where XMP does not say how to turn the photo.
    """

    format: str
    width: int
    height: int
    exif: bytes = b""
    hidden: tuple[int, ...] = ()
    xmp_turn: int = 0
    patches: tuple[tuple[int, bytes], ...] = ()


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
    if data[4:8] == b"ftyp":
        header = _phone_photo(data)
        check_size(header.width, header.height)
        return header
    raise RefusedImage("not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file")


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise RefusedImage("the image has no pixels")
    if width * height > most_megapixels() * 1_000_000:
        raise TooLarge(f"{width} x {height} pixels are too many (most_megapixels={most_megapixels()})")


def _jpeg(data: bytes) -> Header:
    """Walks the markers as libjpeg does, so that every scan it would decode is counted."""
    size, scans, exif, turn, hidden = None, 0, b"", 0, []
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
        elif data.startswith(_XMP, start + 2):
            turn = turn or xmp_turn(data[start + 2 : end])
        elif data.startswith(_HIDDEN, start + 2):
            exif = exif or (data[start + 8 : end] if data.startswith(_EXIF, start + 2) else b"")
            hidden.append(start + 2)
    if size is None or not scans:
        raise RefusedImage("a JPEG file without an image")
    return Header("JPEG", *size, exif=exif, hidden=tuple(hidden), xmp_turn=turn)


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
    exif, turn = b"", 0
    for code, start, end in _jpeg_segments(data):
        if code == _SOS:
            if data.find(_EXIF, start) >= 0 or data.find(_XMP, start) >= 0:
                return None
            break
        if code in _JPEG_FRAMES:
            continue
        if data.startswith(_EXIF, start + 2):
            exif = exif or data[start + 8 : end]
        elif data.startswith(_XMP, start + 2):
            turn = turn or xmp_turn(data[start + 2 : end])
    return exif_turn(exif) or turn or 1


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


def _bmp(data: bytes) -> Header:
    """Uncompressed pixels alone, all of which are there."""
    start, kind = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if kind == 12:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
        coded = 0
    elif kind in (40, 52, 56, 64, 108, 124):
        width, height, planes, bits, coded = struct.unpack_from("<iiHHI", data, 18)
    else:
        raise RefusedImage("a BMP file of an unknown kind")
    height = abs(height)  # negative: from the top down
    check_size(width, height)
    if planes != 1 or bits not in (1, 4, 8, 16, 24, 32) or coded not in (0, 3):
        raise RefusedImage("a BMP file that is compressed, which is not read: save it as PNG")
    if start + (width * bits + 31) // 32 * 4 * height > len(data):
        raise RefusedImage("a BMP file that is cut short")
    return Header("BMP", width, height)


_TIFF_KINDS = {1: "B", 3: "H", 4: "I"}  # of the tags that describe the pixels
_TIFF_TAGS = (256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339)
_TIFF_LISTS = (258, 273, 279, 320, 324, 325, 338, 339)  # of these tags; others are single numbers
_TIFF_XMP = 700
_TIFF_CODINGS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}


def _tiff(data: bytes) -> Header:
    """The first picture of the file, described by whole numbers whose pixels all lie in the file.

    A decoder is shown the checked tags alone, in a table without a successor: libtiff follows whatever it meets.
    """
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    if count > MAX_TIFF_TAGS:
        raise RefusedImage("a TIFF file of too many tags")
    table: dict[int, tuple[int, ...]] = {}
    kinds: dict[int, int] = {}
    turn = 0
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length, value = struct.unpack_from(order + "HHII", data, entry)
        if tag == _TIFF_XMP and kind in (1, 7):
            turn = turn or xmp_turn(data[value : value + min(length, LONGEST_XMP)])
        if tag not in _TIFF_TAGS or tag in table:
            continue
        most = most_megapixels() * 1000 if tag in _TIFF_LISTS else 1
        if kind not in _TIFF_KINDS or not 0 < length <= most:
            raise RefusedImage("a broken TIFF file (a tag of another kind)")
        form, kinds[tag] = f"{order}{length}{_TIFF_KINDS[kind]}", kind
        table[tag] = struct.unpack_from(form, data, entry + 8 if struct.calcsize(form) <= 4 else value)
    width, height, samples = (table.get(tag, (default,))[0] for tag, default in ((256, 0), (257, 0), (277, 1)))
    check_size(width, height)
    bits, coded = table.get(258, (1,)), table.get(259, (1,))[0]
    if coded not in _TIFF_CODINGS:
        raise RefusedImage(f"a TIFF file of coding {coded}, which is not read: save it as PNG or JPEG")
    colours, whole_numbers, together = table.get(262, (9,))[0], {*table.get(339, (1,))} == {1}, table.get(284, (1,))
    plain = colours in (0, 1, 2, 3, 5) and whole_numbers and together == (1,)
    if not (plain and 1 <= samples <= 4 and len(bits) == samples and {*bits} <= {1, 2, 4, 8, 16}):
        raise RefusedImage("a TIFF file of unusual pixels, which is not read: save it as PNG")
    row = (width * sum(bits) + 7) // 8
    if 322 in table or 324 in table:
        across, down = (table.get(tag, (0,))[0] for tag in (322, 323))
        if not (16 <= across <= width + 1024 and 16 <= down <= height + 1024):
            raise RefusedImage("a broken TIFF file (the size of its tiles)")
        pieces, where = -(-width // across) * -(-height // down), (324, 325)
        whole = [(across * sum(bits) + 7) // 8 * down] * pieces
    else:
        rows = min(table.get(278, (height,))[0], height)
        if rows < 1:
            raise RefusedImage("a broken TIFF file (the size of its strips)")
        pieces, where = -(-height // rows), (273, 279)
        whole = [row * min(rows, height - rows * piece) for piece in range(pieces)]
    offsets, lengths = (table.get(tag, ()) for tag in where)
    if not len(offsets) == len(lengths) == pieces:
        raise RefusedImage("a broken TIFF file (the number of its parts)")
    if any(at + length > len(data) for at, length in zip(offsets, lengths, strict=True)) or sum(lengths) > len(data):
        raise RefusedImage("a TIFF file that is cut short")
    if coded == 1 and any(length < least for length, least in zip(lengths, whole, strict=True)):
        raise RefusedImage("a TIFF file that is cut short")
    place = len(data) + len(data) % 2
    patches = ((4, struct.pack(order + "I", place)), (place, _tiff_table(table, kinds, order, place)))
    return Header("TIFF", width, height, exif=data, xmp_turn=turn, patches=patches)


def _tiff_table(table: dict[int, tuple[int, ...]], kinds: dict[int, int], order: str, place: int) -> bytes:
    """The tags as a table that stands at `place`, behind the file, with the values that were checked behind it: written
    over the file's own table it could change them."""
    entries, behind = [struct.pack(order + "H", len(table))], b""
    start = place + 2 + 12 * len(table) + 4
    for tag, values in sorted(table.items()):
        packed = struct.pack(f"{order}{len(values)}{_TIFF_KINDS[kinds[tag]]}", *values)
        if len(packed) > 4:
            where = struct.pack(order + "I", start + len(behind))
            behind += packed + bytes(len(packed) % 2)
            packed = where
        entries.append(struct.pack(order + "HHI", tag, kinds[tag], len(values)) + packed.ljust(4, b"\0"))
    return b"".join((*entries, bytes(4), behind))


# ---- photos of phones: their size is checked here, and the rest by a process that may die of it

DECODERS = {"AVIF": "PIL._avif", "HEIC": "pillow_heif"}  # modules, each of which an installation may lack
UNCHECKED = frozenset(DECODERS)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_BEFORE_BOXES = {b"meta": 4}  # bytes of a box before those inside
_TO_SIZES = (b"meta", b"iprp", b"ipco", b"ispe")


@cache
def has_decoder(name: str) -> bool:
    """Whether this installation reads photos of a format that not every installation reads."""
    return find_spec(DECODERS[name]) is not None


def with_article(name: str) -> str:
    return f"{'an' if name.startswith('A') else 'a'} {name}"


def without_decoder(name: str) -> str:
    """What to do about photos of a format that this installation does not read."""
    return f"{'install fishnet-vision[heic] or ' if name == 'HEIC' else ''}save"


def _phone_photo(data: bytes) -> Header:
    """The larger of the sizes that the file names, of the whole picture and of the tiles that it is made of."""
    name = ""
    try:
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(_box_end(data, 0, len(data)), 256), 4))}
        name = "AVIF" if brands & _AVIF_BRANDS else "HEIC" if brands & _HEIC_BRANDS else ""
        if not name:
            raise RefusedImage("a film or another container, not a photo")
        if not has_decoder(name):
            what = f"a photo in the format {name}, which this installation does not read"
            raise NoDecoder(f"{what}: {without_decoder(name)} it as JPEG")
        sizes = [struct.unpack_from(">II", data, start + 4) for start in _boxes(data, 0, len(data), _TO_SIZES)]
    except struct.error:
        raise RefusedImage(f"{with_article(name or 'AVIF or HEIC')} file that is cut short") from None
    if not sizes:
        raise RefusedImage(f"{with_article(name)} file without a size")
    return Header(name, *max(sizes, key=lambda size: size[0] * size[1]))


def _boxes(data: bytes, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[int]:
    """Where the contents begin of each box that lies inside those named before it."""
    for _ in range(MAX_PARTS):
        if start >= end:
            return
        kind, whole = data[start + 4 : start + 8], _box_end(data, start, end)
        if whole > end:
            raise struct.error
        if kind == path[0]:
            inside = start + (16 if data[start : start + 4] == b"\0\0\0\1" else 8)
            if len(path) == 1:
                yield inside
            else:
                yield from _boxes(data, inside + _BEFORE_BOXES.get(kind, 0), whole, path[1:])
        start = whole
    raise RefusedImage("a photo file of too many parts")


def _box_end(data: bytes, start: int, end: int) -> int:
    """Behind a box: its length is 32 or 64 bits long, and 0 for a box up to the end."""
    (length,) = struct.unpack_from(">I", data, start)
    if length == 1:
        (length,) = struct.unpack_from(">Q", data, start + 8)
    if length and length < 8:
        raise struct.error
    return start + length if length else end


_FORMATS = (
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"GIF87a", "GIF", _gif),
    (b"GIF89a", "GIF", _gif),
    (b"RIFF", "WEBP", _webp),
    (b"BM", "BMP", _bmp),
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
)
