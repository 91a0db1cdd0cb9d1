"""THE loader: bytes become an RGB photo, or a refusal with a reason.

Collecting, training, audit and serving all read photos here, because decoders disagree: of 420 common files
65 were accepted by one and refused by another, and only some turn a photo as its EXIF says. Nothing here
changes global state of Pillow but the number of AVIF's threads, so it may be called from threads.
"""

import hashlib
import os
import stat
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fishnet.exif import capture, exif_turn, xmp_turn
from fishnet.expendable import answer_lines, refusal_of
from fishnet.headers import (
    UNCHECKED,
    Header,
    RefusedImage,
    check_size,
    jpeg_turn,
    read_header,
    with_article,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RefusedImage", "UnreadableFile", "load_image", "load_opacity", "load_pixels", "read_bytes"]

_MISSING = 128  # the grey of a JPEG block of which nothing arrived
CUT = 0.02  # of a photo's height in that grey, from which on it is named
MAX_BYTES = 64 * 1024 * 1024
TOO_MUCH_MEMORY = "decoding it takes too much memory"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the size has been checked


class UnreadableFile(RefusedImage):
    """The file system, not the photo, is to blame: asking again later may go well."""


def load_image(source: Path | str | bytes, *, min_side: int | None = None, guarded: bool = True) -> Image.Image:
    """The photo as a person sees it: upright, RGB, transparent parts white, the first frame of an animation.

    With `min_side` a JPEG may come out smaller, for speed, but no side below `min_side` that was above it.
    AVIF and HEIC, whose decoders can crash, are decoded in a process that may die of them first, unless the bytes have
    been through it already or this process is such a one (`guarded=False`).
    `info` holds the upright size before that (`full_size`), the file's `format`, the share of a cut JPEG that is grey
    (`grey_rest`), and when and by which camera it was `taken` (`exif.Capture`); of the file's metadata nothing else
    is kept.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    header = read_header(data)
    if guarded and header.format in UNCHECKED and (reason := refusal_of(data)):
        raise RefusedImage(reason)
    try:
        return _decode(data, header, min_side)
    except RefusedImage:
        raise
    except MemoryError as error:
        raise RefusedImage(TOO_MUCH_MEMORY) from error
    except Exception as error:  # Pillow raises at least seven kinds for broken files
        if "truncated" in str(error).lower():
            raise RefusedImage(f"{with_article(header.format)} file that is cut short") from error
        raise RefusedImage(f"a broken {header.format} file ({str(error) or type(error).__name__})") from error


def load_pixels(
    source: Path | str | bytes, *, sha256: str = "", min_side: int | None = None
) -> "tuple[np.ndarray, tuple[int, int]]":
    """The same picture as height × width × 3 bytes, and the full size: upright width and height.

    A JPEG whose bytes have the digest that the index wrote down has been through the hardened decoder once already:
    it takes a faster one, which would be a danger with anything else. Bytes of another digest are refused.
    """
    import numpy as np

    data = source if isinstance(source, bytes) else read_bytes(source)
    if sha256:
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RefusedImage("its bytes have changed since then")
        fast = _fast_jpeg(data, min_side) if data.startswith(b"\xff\xd8\xff") else None
        if fast is not None:
            return fast
    image = load_image(data, min_side=min_side, guarded=not sha256)
    return np.array(image), image.info["full_size"]


def load_opacity(source: Path | str | bytes, *, sha256: str) -> "np.ndarray":
    """How opaque each pixel of a PNG is, 0 to 255, height × width; a file that is none, or of another digest, is
    refused."""
    import numpy as np

    data = source if isinstance(source, bytes) else read_bytes(source)
    load_pixels(data, sha256=sha256)  # the hardened decoder has to accept it first
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as photo:
            return np.array(photo.convert("RGBA").getchannel("A"))
    except Exception as error:
        raise RefusedImage("no PNG") from error


def _fast_jpeg(data: bytes, min_side: int | None) -> "tuple[np.ndarray, tuple[int, int]] | None":
    """What Pillow's draft mode gives, pixel for pixel, in half the time; None where decoders may disagree."""
    import numpy as np
    import simplejpeg

    turn = jpeg_turn(data)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if turn is None or colours not in ("YCbCr", "Gray"):
            return None
        shrink = next((k for k in (8, 4, 2) if min_side and min(width, height) // k >= min_side), 1)
        least = {"min_height": -(-height // shrink), "min_width": -(-width // shrink)} if shrink > 1 else {}
        pixels = simplejpeg.decode_jpeg(data, **least, min_factor=1)
    except ValueError:  # kinds of JPEG that this decoder does not know, and files that Pillow forgives
        return None
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels), (height, width) if turn >= 5 else (width, height)


def trial(path: str) -> str:
    """Why a file cannot be decoded; for a process that may die of it."""
    try:
        load_image(path, guarded=False)
    except RefusedImage as refusal:
        return str(refusal)
    return ""


def main() -> None:
    """What a process does that tries photos."""
    answer_lines(trial)


def read_bytes(path: Path | str) -> bytes:
    """The file's bytes; a missing, unreadable or enormous file is refused like a broken one, and so is what is no file:
    a pipe would be waited for without end, and a device has no last byte."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableFile("it is no file, but a folder, pipe, socket or device")
        with open(path, "rb", opener=_at_once) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(min(size, MAX_BYTES) + 1)  # a read of 64 MB would reserve them
    except OSError as error:
        raise UnreadableFile(f"the file cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_BYTES:
        raise RefusedImage(f"the file is larger than {MAX_BYTES // 1024 // 1024} MB")
    return data


def _at_once(path: str, flags: int) -> int:
    """Open a file; one that has become a pipe meanwhile is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _decode(data: bytes, header: Header, min_side: int | None) -> Image.Image:
    stream = BytesIO(data)
    for offset in header.hidden:
        stream.seek(offset)
        stream.write(b"none")
    for offset, patch in header.patches:
        stream.seek(offset)
        stream.write(patch)
    with _open(stream, header.format) as photo:  # from its beginning, wherever the stream stands
        check_size(*photo.size)
        full_size = photo.size
        if min_side and header.format == "JPEG":
            photo.draft("RGB", (min_side, min_side))
        image = _to_rgb(photo)
        exif = header.exif or _bytes_of(photo.info.get("exif")).removeprefix(b"Exif\0\0")
        turn = exif_turn(exif)
        if header.format not in UNCHECKED:  # there neither EXIF nor XMP counts, but the container, which decoders obey
            turn = turn or header.xmp_turn or xmp_turn(_bytes_of(photo.info.get("xmp")))
    grey = _grey_rest(image) if header.format == "JPEG" else 0.0
    if turn in _TURNS:
        image = image.transpose(_TURNS[turn])
    upright, taken = full_size[::-1] if turn >= 5 else full_size, capture(exif)._replace(turn=turn or 1)
    image.info = {"full_size": upright, "format": header.format, "taken": taken, "grey_rest": grey}
    return image


def _open(stream: BytesIO, name: str) -> Image.Image:
    """AVIF and HEIC in one thread: a trial is of the very decoding that follows it, and its memory has a bound."""
    if name == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    elif name == "HEIC":
        from pillow_heif import HeifImageFile, options

        options.DECODE_THREADS = 1
        return HeifImageFile(stream)  # directly: registered with Pillow, it would open files that others ask for
    return Image.open(stream, formats=[name])


def _bytes_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _grey_rest(image: Image.Image) -> float:
    """The share of a JPEG's height, from below, that is the middle grey which a decoder puts where data are missing.

    So a file looks that was cut short and then closed by software as if it were whole.
    """
    width, height = image.size
    low, high = 0, height  # rows from below: all of `low` are grey, and `high` are not known to be
    while low < high:
        middle = (low + high + 1) // 2
        part = image.crop((0, height - middle, width, height - low))
        if all(extremes == (_MISSING, _MISSING) for extremes in part.getextrema()):
            low = middle
        else:
            high = middle - 1
    return round(low / height, 4)


def _to_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion cuts at 255 and leaves white
        return photo.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if photo.has_transparency_data:
        over = photo.convert("RGBA")
        page = Image.new("RGB", over.size, "white")
        page.paste(over, mask=over.getchannel("A"))
        return page
    return photo.convert("RGB")
