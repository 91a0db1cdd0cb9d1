"""The loader on photos drawn here: what it shows, and what it refuses before it costs anything."""

import hashlib
import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fishnet.exif import Capture, capture
from fishnet.headers import coarseness
from fishnet.images import RefusedImage, UnreadableFile, load_image, load_pixels, read_bytes

rng = np.random.default_rng(0)


def photo(width=64, height=48):
    noise = rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, format, **options):
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def refusal(data, **options):
    with pytest.raises(RefusedImage) as caught:
        load_image(data, **options)
    return str(caught.value)


def with_scans(width, height, scans):
    """A progressive JPEG whose last scan's header is repeated, each time without any data."""
    data = encoded(Image.new("RGB", (width, height)), "JPEG", progressive=True)
    start = data.rfind(b"\xff\xda")
    (length,) = struct.unpack_from(">H", data, start + 2)
    return data[:-2] + data[start : start + 2 + length] * scans + data[-2:]


def with_size(data, width, height):
    """The JPEG with another size in its frame header."""
    start = data.find(b"\xff\xc0")
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_four_formats_come_as_rgb(format, tmp_path):
    image = photo()
    file = tmp_path / "photo.jpg"  # the name says nothing
    file.write_bytes(encoded(image, format))
    loaded = load_image(file)
    assert (loaded.mode, loaded.size) == ("RGB", (64, 48))
    assert np.abs(np.asarray(loaded, float) - np.asarray(image, float)).mean() < 25


def test_transparency_becomes_white():
    seen = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    seen.paste((0, 0, 255, 255), (0, 0, 5, 10))
    for data in (encoded(seen, "PNG"), encoded(seen, "WEBP", lossless=True)):
        loaded = load_image(data)
        assert loaded.getpixel((2, 5)) == (0, 0, 255)
        assert loaded.getpixel((8, 5)) == (255, 255, 255)


def test_a_palette_with_a_transparent_entry():
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0] + [0] * 762)
    image.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):
        loaded = load_image(encoded(image, format, transparency=1))
        assert loaded.getpixel((0, 0)) == (255, 0, 0)
        assert loaded.getpixel((1, 0)) == (255, 255, 255)


def test_sixteen_bits_keep_their_greys():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(2, 0)
    loaded = np.asarray(load_image(encoded(Image.fromarray(ramp), "PNG")))[0, :, 0]
    assert np.abs(loaded.astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK"])
def test_other_modes(mode):
    grey = Image.new("L", (8, 8), 255).convert(mode)
    loaded = load_image(encoded(grey, "JPEG" if mode == "CMYK" else "PNG"))
    assert loaded.mode == "RGB"
    assert min(loaded.getpixel((4, 4))) > 250


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_every_exif_orientation_stands_upright(turn, format):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(photo(), format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    loaded = load_image(data)
    assert loaded.info["full_size"] == loaded.size == expected.size
    assert np.array_equal(np.asarray(loaded), np.asarray(expected))
    assert not loaded.getexif()  # nobody may turn it again


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for format in ("GIF", "WEBP"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
        assert load_image(data).getpixel((4, 4))[0] > 200


def test_a_draft_is_smaller_but_never_too_small():
    data = encoded(photo(1000, 800), "JPEG")
    small = load_image(data, min_side=100)
    assert small.size == (125, 100)
    assert small.info["full_size"] == (1000, 800)
    assert load_image(encoded(photo(80, 64), "JPEG"), min_side=100).size == (80, 64)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_cut_files_are_refused(format, kept):
    data = encoded(photo(200, 150), format)
    refusal(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>429</html>", "web page"),
        (b'{"error": "too many requests"}', "web page or text"),
        (b"BW" + bytes(100), "not a JPEG"),
        (b"\xff\xd8\xff", "cut short"),
        (b"RIFF\x00\x00\x00\x00WEBP", "cut short|without an image"),
    ],
)
def test_what_is_no_photo(data, reason):
    import re

    assert re.search(reason, refusal(data))


def test_a_missing_file_and_a_folder(tmp_path):
    for path, reason in ((tmp_path / "none.jpg", "cannot be read"), (tmp_path, "it is no file, but a folder")):
        with pytest.raises(UnreadableFile, match=reason):
            load_image(path)


def bombs():
    webp = struct.pack("<I", 16382 | 16382 << 14)
    yield b"RIFF" + struct.pack("<I", 26) + b"WEBPVP8L" + struct.pack("<I", 14) + b"\x2f" + webp + bytes(9)
    header = struct.pack(">IIBBBBB", 13000, 13000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(13001 * 13000), 9)), (b"IEND", b"")]
    yield b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    yield with_size(encoded(photo(), "JPEG"), 60000, 60000)
    yield b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + bytes(20)
    yield (
        b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"," + struct.pack("<HHHH", 0, 0, 60000, 60000) + bytes(9)
    )


@pytest.mark.parametrize("bomb", list(bombs()))
def test_bombs_are_refused_by_their_header(bomb):
    start = time.process_time()
    assert "too many" in refusal(bomb)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(("side", "scans"), [(9000, 2000), (2000, 2000), (7000, 40)])
def test_a_jpeg_of_many_scans_is_refused_at_once(side, scans):
    data = with_scans(64, 64, scans)
    start = data.find(b"\xff\xc2")
    data = data[: start + 5] + struct.pack(">HH", side, side) + data[start + 9 :]
    began = time.process_time()
    assert "too many" in refusal(data)
    assert time.process_time() - began < 0.5


def test_an_ordinary_progressive_photo_is_welcome():
    assert load_image(encoded(photo(400, 300), "JPEG", progressive=True)).size == (400, 300)


def test_overlapping_exif_tags_cost_nothing(recwarn):
    tags = b"".join(struct.pack("<HHII", 300 + number, 7, 50_000, 8) for number in range(5000))
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5000) + tags
    data = encoded(photo(), "JPEG")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    assert load_image(data).size == (64, 48)
    assert not recwarn.list


def test_endless_comments_in_a_gif_are_refused():
    comments = b"\x21\xfe" + (b"\xff" + bytes(255)) * 8000 + b"\0"
    data = encoded(photo(), "GIF")
    palette = 13 + (3 << (data[10] & 7) + 1)
    assert "too much" in refusal(data[:palette] + comments + data[palette:])
    assert "too much" in refusal(data[:palette] + b"\x21\xfe\x00" * 2_000_000 + data[palette:])


def test_flipped_bits_are_an_image_or_a_refusal():
    for format in ("JPEG", "PNG", "WEBP", "GIF"):
        whole = encoded(photo(), format)
        for _ in range(60):
            broken = bytearray(whole)
            for position in rng.integers(0, len(broken), 3):
                broken[position] ^= 1 << int(rng.integers(8))
            with suppress(RefusedImage):
                assert load_image(bytes(broken)).mode == "RGB"


def test_threads_may_share_the_loader():
    files = [encoded(photo(), format) for format in ("JPEG", "PNG", "WEBP", "GIF")] * 20
    with ThreadPoolExecutor(8) as pool:
        sizes = set(pool.map(lambda data: load_image(data).size, files))
    assert sizes == {(64, 48)}


# ---- the faster decoder, for bytes that have been verified


def jpeg(mode: str = "RGB", size=(90, 60), turn: int | None = None, **more) -> bytes:
    chance = np.random.default_rng(5)
    photo = Image.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    file = BytesIO()
    photo.convert(mode).save(file, "JPEG", quality=90, exif=exif.tobytes() if turn else b"", **more)
    return file.getvalue()


KINDS = {
    "plain": jpeg(),
    "grey": jpeg("L"),
    "cmyk": jpeg("CMYK"),
    "progressive": jpeg(progressive=True),
    "full colour": jpeg(subsampling=0),
    "odd": jpeg(size=(91, 61)),
    **{f"turned {turn}": jpeg(turn=turn) for turn in range(1, 9)},
}


@pytest.mark.parametrize("min_side", [None, 12, 25, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_decoder_shows_what_the_hardened_one_shows(kind, min_side):
    data = KINDS[kind]
    hardened = np.asarray(load_image(data, min_side=min_side)).astype(int)
    fast, full_size = load_pixels(data, sha256=hashlib.sha256(data).hexdigest(), min_side=min_side)
    assert fast.shape == hardened.shape
    assert full_size == load_image(data).size
    assert np.abs(fast.astype(int) - hardened).mean() < 0.5


def exif(turn: int, order: bytes = b"II") -> bytes:
    sign = "<" if order == b"II" else ">"
    tag = struct.pack(f"{sign}HHIHH", 0x0112, 3, 1, turn, 0)
    return b"Exif\0\0" + order + struct.pack(f"{sign}HI", 42, 8) + struct.pack(f"{sign}H", 1) + tag + b"\0" * 4


def segment(what: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(what) + 2) + what


ODD_EXIFS = {
    "empty before": lambda plain: plain[:2] + segment(b"Exif\0\0") + segment(exif(6)) + plain[2:],
    "two": lambda plain: plain[:2] + segment(exif(6)) + segment(exif(3)) + plain[2:],
    "behind the picture": lambda plain: plain[:-2] + segment(exif(6)) + plain[-2:],
    "behind the end": lambda plain: plain + segment(exif(6)),
    "big-endian": lambda plain: plain[:2] + segment(exif(8, b"MM")) + plain[2:],
}


@pytest.mark.parametrize("kind", ODD_EXIFS)
def test_both_decoders_turn_a_photo_alike_wherever_it_says_how(kind):
    data = ODD_EXIFS[kind](KINDS["plain"])
    hardened = np.asarray(load_image(data)).astype(int)
    fast, full_size = load_pixels(data, sha256=hashlib.sha256(data).hexdigest())
    assert full_size == (hardened.shape[1], hardened.shape[0])
    assert np.abs(fast.astype(int) - hardened).mean() < 0.5


@pytest.mark.parametrize("where", ["decode_jpeg", "decode_jpeg_header"])
def test_what_the_fast_decoder_cannot_read_the_hardened_one_does(where, monkeypatch):
    import simplejpeg

    def unknown(*_, **__):
        raise ValueError("Unsupported JPEG data precision 12")

    monkeypatch.setattr(simplejpeg, where, unknown)
    data = KINDS["turned 6"]
    pixels, full_size = load_pixels(data, sha256=hashlib.sha256(data).hexdigest())
    assert np.array_equal(pixels, np.asarray(load_image(data)))
    assert full_size == (60, 90)


def test_other_bytes_than_those_of_the_index_are_refused():
    with pytest.raises(RefusedImage, match="have changed"):
        load_pixels(KINDS["plain"], sha256="0" * 64)


def test_bytes_that_nobody_verified_never_reach_it(monkeypatch):
    import simplejpeg

    def forbidden(*_, **__):
        raise AssertionError("unverified bytes in the fast decoder")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", forbidden)
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", forbidden)
    assert load_pixels(KINDS["plain"])[0].shape == (60, 90, 3)
    with pytest.raises(RefusedImage):
        load_pixels(KINDS["plain"][:200])


def camera_exif() -> bytes:
    block = Image.Exif()
    block[0x010F], block[0x0110], block[0x0112] = "Canon", "EOS 30D", 6
    block.get_ifd(0x8769).update({0x9003: "2015:05:08 11:12:25", 0x9291: "50", 0xA431: "0042"})
    return block.tobytes().removeprefix(b"Exif\0\0")


def test_the_camera_and_its_clock_are_read():
    assert capture(camera_exif()) == Capture(6, "2015-05-08T11:12:25.50", "Canon EOS 30D 0042")
    assert capture(camera_exif().replace(b"2015:05:08", b"0000:00:00")).taken == ""


def test_a_broken_exif_block_costs_and_breaks_nothing():
    whole = camera_exif()
    for end in range(len(whole)):
        capture(whole[:end])
    noise = np.random.default_rng(0)
    for _ in range(2000):
        block = bytearray(whole)
        for at in noise.integers(2, len(block), 8):
            block[at] = noise.integers(256)
        assert 1 <= capture(bytes(block)).turn <= 8
    huge = b"II*\0\x08\0\0\0\xff\xff" + b"\x10\x01\x02\0\xff\xff\xff\x7f\x08\0\0\0" * 5400
    assert len(capture(huge).camera) <= 64


def test_how_coarsely_a_jpeg_is_coded_is_read_from_its_beginning():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))

    def packed(format, **settings):
        stream = BytesIO()
        photo.save(stream, format, **settings)
        return stream.getvalue()

    coarse = [coarseness(packed("JPEG", quality=quality)) for quality in (95, 75, 30)]
    assert 0 < coarse[0] < coarse[1] < coarse[2]
    tables = Image.open(BytesIO(packed("JPEG", quality=75))).quantization
    assert coarse[1] == sum(map(sum, tables.values()))
    assert coarseness(packed("JPEG", quality=75)[:700]) == coarse[1]
    assert coarseness(packed("PNG")) == coarseness(b"") == coarseness(b"\xff\xd8\xff\xdb\x00") == 0


# ---- BMP and TIFF


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA"])
@pytest.mark.parametrize("format", ["BMP", "TIFF"])
def test_bmp_and_tiff_look_as_a_png_does(format, mode):
    image = photo().convert(mode)
    seen = np.asarray(load_image(encoded(image, format)), float)
    expected = load_image(encoded(image, "PNG"))
    assert np.abs(seen - np.asarray(expected, float)).max() <= 1


@pytest.mark.parametrize("coding", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_codings_of_tiff_that_lose_nothing_are_read(coding):
    image = photo(200, 150)
    assert np.array_equal(np.asarray(load_image(encoded(image, "TIFF", compression=coding))), np.asarray(image))


@pytest.mark.parametrize("coding", ["jpeg", "group4", "tiff_deflate"])
def test_others_are_refused_or_read_by_the_same_decoder(coding):
    image = photo().convert("1" if coding == "group4" else "RGB")
    if coding == "tiff_deflate":
        assert load_image(encoded(image, "TIFF", compression=coding)).size == image.size
    else:
        assert "which is not read" in refusal(encoded(image, "TIFF", compression=coding))


def test_a_tiff_of_sixteen_bits_keeps_its_greys():
    grey = Image.fromarray(np.full((20, 30), 0x8000, np.uint16))
    assert load_image(encoded(grey, "TIFF")).getpixel((3, 3)) == (128, 128, 128)


def tag(data, wanted):
    """Where the entry of a tag stands in a TIFF file that Pillow has written."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    return next(
        at for at in range(start + 2, start + 2 + 12 * count, 12) if data[at : at + 2] == struct.pack("<H", wanted)
    )


def with_tag(data, wanted, value):
    at = tag(data, wanted)
    return data[: at + 8] + struct.pack("<I", value) + data[at + 12 :]


def test_a_tiff_that_lies_is_refused_by_its_table():
    data = encoded(photo(), "TIFF", compression="tiff_lzw")
    assert "pixels are too many" in refusal(with_tag(with_tag(data, 256, 60_000), 257, 60_000))
    assert "no pixels" in refusal(with_tag(data, 256, 0))
    assert "cut short" in refusal(with_tag(data, 273, len(data)))
    assert "cut short" in refusal(with_tag(data, 279, 2**32 - 1))
    assert "number of its parts" in refusal(with_tag(data, 278, 1))
    assert "coding 7" in refusal(with_tag(data, 259, 7))
    assert "unusual pixels" in refusal(with_tag(data, 277, 200))
    assert "cut short" in refusal(encoded(photo(), "TIFF")[:-300])


def test_a_decoder_of_tiff_sees_the_checked_tags_alone():
    """A second picture, a table that follows itself, and a private tag of gigabytes are not followed."""
    data = bytearray(encoded(photo(), "TIFF", software="x" * 40))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)  # the next picture is this one
    at = tag(bytes(data), 305)
    struct.pack_into("<II", data, at + 4, 2**31, 0)
    before = time.perf_counter()
    assert load_image(bytes(data)).size == (64, 48)
    assert time.perf_counter() - before < 1


def test_a_bmp_that_lies_is_refused():
    data = encoded(photo(), "BMP")
    assert "cut short" in refusal(data[:-1])
    assert "pixels are too many" in refusal(data[:18] + struct.pack("<ii", 60_000, -60_000) + data[26:])
    assert "compressed" in refusal(data[:30] + struct.pack("<I", 1) + data[34:])
    assert "unknown kind" in refusal(data[:14] + struct.pack("<I", 41) + data[18:])


def test_a_list_inside_the_table_of_a_tiff_is_seen_as_it_was_checked():
    """The offsets of two strips stand where the table has a tag that no decoder is shown."""
    pixels, table = bytes(range(100, 108)), 16
    inner = table + 2 + 4  # the last eight bytes of the first entry
    tags = [(100, 1, 0, 0), (256, 4, 1, 4), (257, 4, 1, 2), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1)]
    tags += [(273, 4, 2, inner), (277, 4, 1, 1), (278, 4, 1, 1), (279, 3, 2, 4 | 4 << 16)]
    data = b"II*\0" + struct.pack("<I", table) + pixels + struct.pack("<H", len(tags))
    data = bytearray(data + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4))
    struct.pack_into("<II", data, inner, 12, 8)  # the lower row comes first
    shown = np.asarray(load_image(bytes(data)))[..., 0]
    assert shown.tolist() == [[104, 105, 106, 107], [100, 101, 102, 103]]


@pytest.mark.parametrize("format", ["BMP", "TIFF", "LZW", "deflate", "tiles"])
def test_flipped_bytes_of_bmp_and_tiff_are_an_image_or_a_refusal(format):
    chance = np.random.default_rng(18)
    coding = {"LZW": "tiff_lzw", "deflate": "tiff_adobe_deflate"}.get(format)
    image = photo()
    if format == "tiles":
        data = tiled(image)
    else:
        data = encoded(image, "BMP" if format == "BMP" else "TIFF", **({"compression": coding} if coding else {}))
    seen = {"image": 0, "refused": 0}
    for _ in range(400):
        broken = bytearray(data)
        for at in chance.integers(0, len(data), chance.integers(1, 6)):
            broken[at] = chance.integers(256)
        if chance.random() < 0.5:  # the table is where lies cost something
            at = chance.integers(4, 8) if chance.random() < 0.1 else struct.unpack_from("<I", data, 4)[0]
            at = min(int(at) + int(chance.integers(0, 150)), len(data) - 1)
            broken[at] = chance.integers(256)
        try:
            load_image(
                bytes(broken[: chance.integers(len(data) // 2, len(data) + 1)])
                if chance.random() < 0.2
                else bytes(broken)
            )
            seen["image"] += 1
        except RefusedImage:
            seen["refused"] += 1
    assert min(seen.values()) > 20, seen


def tiled(image):
    """A TIFF of raw 16 by 16 tiles, as Pillow does not write them."""
    pixels = np.asarray(image)
    tiles = [pixels[y : y + 16, x : x + 16].tobytes() for y in range(0, 48, 16) for x in range(0, 64, 16)]
    body = b"".join(tiles)
    where, lengths = [8 + 768 * n for n in range(12)], [768] * 12
    extra = 8 + len(body)
    arrays = struct.pack("<3H", 8, 8, 8) + struct.pack("<12I", *where) + struct.pack("<12I", *lengths)
    entries = [
        (256, 3, 1, 64), (257, 3, 1, 48), (258, 3, 3, extra), (259, 3, 1, 1), (262, 3, 1, 2), (277, 3, 1, 3),
        (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, 12, extra + 6), (325, 4, 12, extra + 54),
    ]  # fmt: skip
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", extra + len(arrays)) + body + arrays + table


def test_a_tiff_of_tiles_is_read():
    image = photo()
    assert np.array_equal(np.asarray(load_image(tiled(image))), np.asarray(image))


# ---- the limit of pixels, XMP, files that were closed too early


def test_the_limit_of_pixels_is_a_setting(monkeypatch):
    data = encoded(Image.new("RGB", (1500, 1000)), "PNG")
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "1")
    assert "1500 x 1000 pixels are too many (most_megapixels=1)" in refusal(data)
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "2")
    assert load_image(data).size == (1500, 1000)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description %s/></rdf:RDF></x:xmpmeta>'


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("written", [b'tiff:Orientation="6"', b"><tiff:Orientation>6</tiff:Orientation"])
def test_a_turn_that_stands_in_xmp_is_obeyed(format, written):
    image, xmp = photo(), XMP % written
    if format == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        data = encoded(image, format, pnginfo=info)
    elif format == "TIFF":
        data = encoded(image, format, tiffinfo={700: xmp})
    else:
        data = encoded(image, format, xmp=xmp)
    loaded = load_image(data)
    assert loaded.size == loaded.info["full_size"] == (48, 64)
    turned = np.asarray(load_image(encoded(image, format)).transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(np.asarray(loaded, float) - turned).mean() < 12
    if format == "JPEG":
        fast, size = load_pixels(data, sha256=hashlib.sha256(data).hexdigest())
        assert size == (48, 64) and np.array_equal(fast, np.asarray(loaded))


def test_exif_says_more_than_xmp():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encoded(photo(), "JPEG", xmp=XMP % b'tiff:Orientation="6"', exif=exif)
    assert load_image(data).info["taken"].turn == 3
    assert load_pixels(data, sha256=hashlib.sha256(data).hexdigest())[1] == (64, 48)


@pytest.mark.parametrize(("kept", "least", "most"), [(0.5, 0.3, 0.7), (0.9, 0.02, 0.2), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("min_side", [None, 64])
def test_a_jpeg_that_was_closed_too_early_shows_how_much_is_missing(kept, least, most, min_side):
    data = encoded(photo(640, 480), "JPEG", quality=92)
    cut = data[: int(len(data) * kept)] + b"\xff\xd9" if kept < 1 else data
    for turn in (1, 3, 6):
        exif = Image.Exif()
        exif[0x0112] = turn
        turned = cut[:2] + encoded(photo(8, 8), "JPEG", exif=exif)[2:].partition(b"\xff\xdb")[0] + cut[2:]
        assert least <= load_image(turned, min_side=min_side).info["grey_rest"] <= most


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(UnreadableFile, match="no file"):
            read_bytes(path)
