"""The decode cache: the same bytes as without it, never more than allowed, and no reason to stop."""

import errno
import hashlib
import logging
import mmap
import os

import numpy as np
import pytest
import torch
from PIL import Image

from fishnet import ImageFolderData
from fishnet.data import cache as room
from fishnet.data.store import Store, Stored
from fishnet.errors import WorkFailed
from tests.support.drawing import draw_folder, draw_photo


@pytest.fixture
def photos(tmp_path):
    """Photos of several shapes, some smaller and some larger than the working size."""
    root = draw_folder(tmp_path / "photos", photos=6)
    for number, size in enumerate(((90, 60), (60, 200), (300, 240), (20, 30))):
        chance = np.random.default_rng(number)
        photo = Image.fromarray(chance.integers(0, 255, (8, 8, 3), np.uint8)).resize(size)
        photo.save(root / "box" / f"shape_{number}.jpg", quality=92)
        photo.save(root / "bar" / f"shape_{number}.png")
    return root


def data(root, **settings) -> ImageFolderData:
    return ImageFolderData(root=str(root), image_size=32, batch_size=8, duplicates="ignore", **settings)


def batches(module: ImageFolderData) -> list[torch.Tensor]:
    loaders = [module.train_dataloader(), module.evaluation_loader("all")]
    return [batch["image"] for loader in loaders for batch in loader]


@pytest.mark.parametrize("augment", ["none", "light", "photo", "affine"])
def test_batches_are_the_same_bytes_with_and_without_it(photos, augment, tmp_path):
    plain, cached = (batches(data(photos, augment=augment, cache=c)) for c in ("off", str(tmp_path / "cache")))
    assert len(plain) == len(cached)
    assert all(torch.equal(a, b) for a, b in zip(plain, cached, strict=True))


def test_workers_read_the_same_cache(photos):
    alone, helped = (batches(data(photos, workers=workers)) for workers in (0, 2))
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def decoded(monkeypatch) -> list[str]:
    seen: list[str] = []
    decode = room.working_image

    def noting(path, **settings):
        seen.append(path.name)
        return decode(path, **settings)

    monkeypatch.setattr(room, "working_image", noting)
    return seen


def test_each_photo_is_decoded_once_and_a_changed_one_again(photos, monkeypatch):
    seen = decoded(monkeypatch)
    batches(data(photos))
    assert len(seen) == len(list(photos.glob("*/*.*")))
    seen.clear()
    batches(data(photos))
    assert seen == []
    draw_photo(photos / "disc" / "photo_000.jpg", 0, 77)
    after = batches(data(photos))
    assert seen == ["photo_000.jpg"]
    assert all(torch.equal(a, b) for a, b in zip(after, batches(data(photos, cache="off")), strict=True))


def the_line(caplog) -> str:
    (line,) = [record.getMessage() for record in caplog.records if "decode cache" in record.getMessage()]
    return line


def test_a_cache_over_its_limit_is_not_made(photos, caplog, tmp_path):
    module = data(photos, cache=str(tmp_path / "cache"), cache_limit=1e-5)
    with caplog.at_level(logging.WARNING):
        assert batches(module)
    assert "data.cache_limit=1e-05" in the_line(caplog)
    assert not list((tmp_path / "cache").rglob("data.bin"))


def test_caches_of_other_settings_make_room(photos, tmp_path):
    place = tmp_path / "cache"
    batches(data(photos, cache=str(place)))
    (old,) = place.glob("*px-*")
    size = (old / "data.bin").stat().st_size
    larger = ImageFolderData(
        root=str(photos), image_size=40, duplicates="ignore", cache=str(place), cache_limit=2 * size / 1e9
    )
    assert batches(larger)
    assert [folder.name.split("px")[0] for folder in place.glob("*px-*")] == [str(round(40 / 0.875))]


def test_what_is_not_ours_is_left_alone_and_so_is_what_would_not_help(photos, tmp_path):
    place = tmp_path / "cache"
    batches(data(photos, cache=str(place)))
    (old,) = place.glob("*px-*")
    size = (old / "data.bin").stat().st_size
    (place / "holiday 200px-wide").mkdir()
    (place / "holiday 200px-wide" / "data.bin").write_bytes(b"x" * size)
    for limit, kept in ((size / 2e9, True), (2 * size / 1e9, False)):  # too little for the new one, then enough
        larger = ImageFolderData(
            root=str(photos), image_size=40, duplicates="ignore", cache=str(place), cache_limit=limit
        )
        assert batches(larger)
        assert old.exists() is kept
    assert (place / "holiday 200px-wide" / "data.bin").stat().st_size == size


def test_photos_that_changed_do_not_fill_the_cache_for_ever(photos, tmp_path):
    place = tmp_path / "cache"
    batches(data(photos, cache=str(place)))
    (store,) = place.glob("*px-*")
    size = (store / "data.bin").stat().st_size
    for seed in range(3):
        for path in photos.glob("*/photo_*.jpg"):
            draw_photo(path, 0, 100 * seed + int(path.stem[-3:]))
        images = batches(data(photos, cache=str(place), cache_limit=1.3 * size / 1e9))
        assert (store / "data.bin").stat().st_size <= 1.3 * size
        assert all(torch.equal(a, b) for a, b in zip(images, batches(data(photos, cache="off")), strict=True))


def test_features_make_room_too(photos, tmp_path):
    place = tmp_path / "cache"
    old = Store(place / "features" / "abc", dtype="float32", about={})
    old.fill(
        ["k"], np.array([[1, 1, 50_000]]), lambda _: iter([(0, np.zeros((1, 1, 50_000)))]), label="", progress=False
    )
    batches(data(photos, cache=str(place), cache_limit=2e-4))
    assert not old.folder.exists()
    assert list(place.glob("*px-*/data.bin"))


def test_a_photo_that_was_edited_under_its_old_time_is_seen(photos):
    batches(data(photos))
    path = photos / "disc" / "photo_000.jpg"
    state, before = path.stat(), path.read_bytes()
    draw_photo(path, 1, 5)
    new = path.read_bytes()[: len(before)]
    path.write_bytes(new + b"\0" * (len(before) - len(new)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    digests = data(photos, max_refused=1.0).index.table.set_index("path").sha256
    assert digests.get("disc/photo_000.jpg") != hashlib.sha256(before).hexdigest()


def test_a_disk_that_fills_up_is_one_line_and_training_goes_on(photos, caplog, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING):
        images = batches(data(photos))
    assert "No space left on device" in the_line(caplog)
    assert all(torch.equal(a, b) for a, b in zip(images, batches(data(photos, cache="off")), strict=True))


def test_a_photo_that_changes_between_indexing_and_decoding_is_an_error(photos):
    module = data(photos)
    assert module.classes
    draw_photo(photos / "disc" / "photo_000.jpg", 0, 77, size=64)
    (photos / "box" / "photo_001.jpg").unlink()
    with pytest.raises(WorkFailed, match=r"photo_00[01]\.jpg"):
        batches(module)


def test_the_store_is_mapped_and_not_held(photos):
    module = data(photos)
    dataset = module.evaluation_loader("all").dataset
    assert isinstance(dataset.images, Stored)
    assert isinstance(dataset.images[0].base, mmap.mmap)
