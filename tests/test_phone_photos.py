"""AVIF and HEIC, whose decoders can crash: a process that may die of them decodes them first."""

import os
import random
import signal
import subprocess
import sys
import threading
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from fishnet import expendable, headers
from fishnet.data.index import build_index
from fishnet.data.listing import list_photos
from fishnet.errors import BadInput
from fishnet.headers import NoDecoder
from fishnet.images import RefusedImage, load_image, load_pixels

FORMATS = ("AVIF", "HEIC")


@pytest.fixture(autouse=True)
def new_trials(monkeypatch):
    trials = expendable._Trials()
    monkeypatch.setattr(expendable, "_trials", trials)
    yield trials
    trials.end()


def picture(width=160, height=120, seed=0):
    noise = np.random.default_rng(seed).integers(0, 255, (height // 20, width // 20, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, name, **options):
    buffer = BytesIO()
    if name == "HEIC":
        pillow_heif.from_pillow(image).save(buffer, quality=90, **options)
    else:
        image.save(buffer, name, quality=90, **options)
    return buffer.getvalue()


def refusal(data, **options):
    with pytest.raises(RefusedImage) as caught:
        load_image(data, **options)
    return str(caught.value)


def boxes_renamed(data, old, new):
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize("name", FORMATS)
def test_they_are_read_whatever_the_file_is_called(name, tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(encoded(picture(), name))
    image = load_image(file, min_side=32)  # only JPEGs come smaller
    assert (image.mode, image.size, image.info["format"]) == ("RGB", (160, 120), name)
    assert np.abs(np.asarray(image, int) - np.asarray(picture(), int)).mean() < 4


@pytest.mark.parametrize("name", FORMATS)
def test_they_stand_upright_as_their_container_says(name):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = load_image(encoded(picture(), name, exif=exif.tobytes()))
    upright = picture().transpose(Image.Transpose.ROTATE_270)
    assert image.size == image.info["full_size"] == (120, 160)
    assert np.abs(np.asarray(image, int) - np.asarray(upright, int)).mean() < 5


def test_xmp_does_not_turn_them():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    assert load_image(encoded(picture(), "AVIF", xmp=xmp)).size == (160, 120)


@pytest.mark.parametrize("name", FORMATS)
def test_transparent_parts_are_white(name):
    image = Image.new("RGBA", (64, 48), (200, 30, 30, 0))
    assert min(load_image(encoded(image, name)).getpixel((30, 20))) > 250


def test_an_animation_shows_its_first_frame():
    buffer = BytesIO()
    picture().save(buffer, "AVIF", save_all=True, append_images=[picture(seed=1)], quality=90)
    image = load_image(buffer.getvalue())
    assert np.abs(np.asarray(image, int) - np.asarray(picture(), int)).mean() < 5


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.002, 0.02, 0.5, 0.99])
def test_cut_files_are_refused(name, share):
    data = encoded(picture(), name)
    assert "cut short" in refusal(data[: max(12, int(share * len(data)))])


@pytest.mark.parametrize("name", FORMATS)
def test_the_size_is_checked_before_a_decoder_is_asked(name, new_trials):
    data = encoded(picture(), name)
    at = data.index(b"ispe") + 8
    large = data[:at] + (50_000).to_bytes(4, "big") + (40_000).to_bytes(4, "big") + data[at + 8 :]
    assert "50000 x 40000 pixels are too many" in refusal(large)
    assert "without a size" in refusal(boxes_renamed(data, b"ispe", b"isqe"))
    assert new_trials._child is None


@pytest.mark.parametrize("start", [b"\0\0\0\1ftypav", b"\0\0\0\5ftypavif", b"\0\0\0\1ftyp"])
def test_a_first_box_that_is_cut_or_too_short_is_refused(start):
    assert "cut short" in refusal(start)


def test_boxes_in_boxes_and_endless_ones_end():
    head = b"\0\0\0\x18ftypavif\0\0\0\0avifmif1"
    assert "cut short" in refusal(head + b"\0\0\0\x07meta")  # shorter than its own head
    assert "cut short" in refusal(head + b"\0\0\0\1meta" + b"\xff" * 8)
    assert "too many parts" in refusal(head + b"\0\0\0\x08free" * 30_000)
    assert refusal(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") == "a film or another container, not a photo"


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_refused(name):
    data, dice, refused = encoded(picture(80, 60), name), random.Random(3), 0
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(dice.choice([1, 4, 20])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            load_image(bytes(damaged))
        except RefusedImage:
            refused += 1
    assert 50 < refused < 400


_CRASHING = """
import os, signal
from fishnet import images
from fishnet.expendable import answer_lines
def crashing(path):
    if b"CRASH" in open(path, "rb").read():
        os.kill(os.getpid(), signal.SIGSEGV)
    return images.trial(path)
answer_lines(crashing)
"""


def test_a_decoder_that_crashes_costs_a_photo_and_not_the_program(monkeypatch):
    monkeypatch.setattr(expendable, "_TRIAL", _CRASHING)
    data = encoded(picture(), "AVIF")
    crash = data + b"\0\0\0\x0dfreeCRASH"
    for _ in range(2):
        assert refusal(crash) == "the decoder died (SIGSEGV)"
        assert load_image(data).size == (160, 120)


def test_who_is_interrupted_does_not_take_the_answer_for_the_next_photos(monkeypatch):
    def interrupted(child, paths):
        child._to.write("".join(f'"{path}"\n' for path in paths))
        child._to.flush()
        raise KeyboardInterrupt

    data = encoded(picture(), "AVIF")
    load_image(data)
    with monkeypatch.context() as patch:
        patch.setattr(expendable.Child, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_image(data)
    assert "broken" in expendable.refusal_of(data[:-500] + bytes(500))
    assert load_image(data).size == (160, 120)


def test_a_decoder_that_never_ends_is_ended(monkeypatch):
    endless = "from fishnet import expendable as e; e.CPU_SECONDS = 0\n"
    endless += "def never(path):\n    while True: pass\ne.answer_lines(never)"
    monkeypatch.setattr(expendable, "_TRIAL", endless)
    assert refusal(encoded(picture(), "AVIF")) == "decoding took too long"


def test_a_trial_has_the_memory_of_the_largest_photo(monkeypatch):
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "1")
    data = encoded(picture(960, 960), "AVIF")
    assert load_image(data).size == (960, 960)
    greedy = "from fishnet import expendable as e\ndef greedy(path):\n    try:\n        bytes(400_000_000)\n"
    greedy += "    except MemoryError:\n        return 'no memory'\n    return ''\ne.answer_lines(greedy)"
    monkeypatch.setattr(expendable, "_TRIAL", greedy)
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "2")  # a new process with another bound
    assert refusal(data) == "no memory"
    monkeypatch.setenv("FISHNET_MOST_MEGAPIXELS", "50")
    assert load_image(data).size == (960, 960)


def test_threads_may_load_them_at_once():
    data, sizes = encoded(picture(), "AVIF"), []
    threads = [threading.Thread(target=lambda: sizes.append(load_image(data).size)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(160, 120)] * 8


def test_a_fork_has_a_trial_of_its_own(new_trials):
    data = encoded(picture(), "AVIF")
    load_image(data)
    number = os.fork()
    if not number:
        os._exit(load_image(data).size != (160, 120))
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 0
    assert load_image(data).size == (160, 120)


def test_a_program_that_ends_leaves_no_process_behind(tmp_path):
    file = tmp_path / "photo.avif"
    file.write_bytes(encoded(picture(), "AVIF"))
    code = "import sys; from fishnet import load_image, expendable; load_image(sys.argv[1]); "
    code += "print(expendable._trials._child._process.pid)"
    ended = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), signal.SIG_DFL)


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_that_the_index_has_verified_need_no_trial(name, lake, new_trials):
    file = lake / "perch" / f"new.{name.lower()}"
    file.write_bytes(encoded(picture(seed=9), name))
    table = build_index(lake, progress=False).table.set_index("path")
    row = table.loc[f"perch/{file.name}"]
    pixels, size = load_pixels(file, sha256=row["sha256"])
    assert (pixels.shape, size) == ((120, 160, 3), (160, 120))
    assert new_trials._child is None
    with pytest.raises(RefusedImage, match="changed"):
        load_pixels(file.read_bytes() + b"\0", sha256=row["sha256"])


def test_what_an_installation_cannot_read_is_refused_with_what_to_do(monkeypatch, lake):
    data = encoded(picture(), "HEIC")
    file = lake / "perch/named.jpg"
    file.write_bytes(data)
    monkeypatch.setattr(headers, "has_decoder", lambda name: False)
    with pytest.raises(NoDecoder, match=r"HEIC, which this installation does not read: install fishnet-vision\[heic\]"):
        load_image(data)
    with pytest.raises(NoDecoder, match="AVIF, which this installation does not read: save it as JPEG"):
        load_image(encoded(picture(), "AVIF"))


def test_a_folder_names_the_kinds_that_are_not_read(monkeypatch, lake):
    from fishnet.data import listing

    monkeypatch.setattr(listing, "EXTENSIONS", frozenset({".jpg", ".png"}))
    for name in ("a.heic", "b.avif"):
        (lake / "perch" / name).touch()
    (left_out, *more) = list_photos(lake).warnings()
    assert "1 .heic" in left_out and "1 .avif" in left_out
    assert more == [
        "AVIF photos are not read by this installation: save them as JPEG.",
        "HEIC photos are not read by this installation: install fishnet-vision[heic] or save them as JPEG.",
    ]


@pytest.fixture
def lake(tmp_path):
    root = tmp_path / "lake"
    for name in ("chub", "perch"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            picture(seed=len(name) * 10 + number).save(root / name / f"photo{number}.png")
    return root


def test_a_folder_of_them_alone_is_a_folder_of_photos(tmp_path):
    for name in FORMATS:
        (tmp_path / "lake" / name).mkdir(parents=True)
        file = tmp_path / "lake" / name / f"photo.{name.lower()}"
        file.write_bytes(encoded(picture(), name))
    table = build_index(tmp_path / "lake", progress=False).table
    assert table["file_format"].tolist() == [*FORMATS]
    (tmp_path / "empty/one").mkdir(parents=True)
    with pytest.raises(BadInput, match="TIFF, AVIF or HEIC photo"):
        list_photos(tmp_path / "empty")
