"""Views: what a photo's key draws is the same on every device and in every batch, and is what its preset says."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from fishnet.data.augment import DRAWS, augmented, fixed_key, hashed_noise
from fishnet.data.views import (
    PADDING,
    PlainPreprocessing,
    View,
    Working,
    centre,
    view_box,
    working,
    working_image,
    working_shape,
)
from fishnet.errors import BadInput

KEYS = np.random.default_rng(0).integers(0, 2**62, 4000)
NOISE = torch.from_numpy(hashed_noise(KEYS, DRAWS))


def test_the_numbers_are_even_and_independent():
    drawn = hashed_noise(KEYS, DRAWS)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(drawn, rowvar=False) - np.eye(DRAWS)).max() < 0.06
    assert np.abs(np.corrcoef(hashed_noise(np.arange(4000), DRAWS), rowvar=False) - np.eye(DRAWS)).max() < 0.06


def test_a_fixed_view_goes_with_the_photo():
    keys = {fixed_key(sha, view, seed) for sha in ("a", "b") for view in (0, 1) for seed in (0, 1)}
    assert len(keys) == 8
    assert fixed_key("a", 0, 0) == fixed_key("a", 0, 0)


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (500, 333), (333, 500), (31, 31), (1000, 20)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_evaluation_view_is_torchvisions(tmp_path, size, interpolation):
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.png")
    image = working_image(tmp_path / "a.png", sha256="", how=Working(36, interpolation))
    assert image.shape == working_shape(*size, Working(36, interpolation))
    usual = v2.Compose([v2.Resize(36, interpolation=v2.InterpolationMode(interpolation)), v2.CenterCrop(32)])
    expected = np.asarray(usual(photo)).astype(int)
    assert np.abs(centre(image, 32).astype(int) - expected).mean() < 1.5


ODD = [(641, 481), (2048, 1363), (1920, 1281), (1023, 1535), (799, 601), (3001, 257), (65000, 3)]


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("side", [48, 224, 256])
def test_the_working_size_follows_from_the_photos_size_whatever_the_decoder_left(tmp_path, size, side):
    path = tmp_path / "a.jpg"
    Image.linear_gradient("L").resize(size).save(path, quality=80)
    for digest in ("", hashlib.sha256(path.read_bytes()).hexdigest()):
        image = working_image(path, sha256=digest, how=Working(side, "bilinear"))
        assert image.shape == working_shape(*size, Working(side, "bilinear"))


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (320, 318), (64, 64), (1000, 3)])
def test_padding_shows_the_whole_photo_on_a_plain_ground(tmp_path, size):
    Image.new("RGB", size, "yellow").save(tmp_path / "a.png")
    look = PlainPreprocessing(64, fit="pad")
    view = centre(working_image(tmp_path / "a.png", sha256="", how=working(look)), 64)
    box = view_box(*size, look)
    scale = 64 / box.width
    left, top = round(-box.left * scale), round(-box.top * scale)
    columns, rows = (max(1, round(length * scale)) for length in size)
    assert max(rows, columns) == 64 and box.width == box.height == max(size)
    assert (view[top : top + rows, left : left + columns] == (255, 255, 0)).all()
    assert (view == PADDING).all(axis=2).sum() == 64 * 64 - rows * columns


def test_squashing_shows_the_whole_photo_without_any_ground(tmp_path):
    pixels = np.zeros((100, 400, 3), np.uint8)
    pixels[:, :100] = 200  # the left quarter
    Image.fromarray(pixels).save(tmp_path / "a.png")
    look = PlainPreprocessing(64, fit="squash")
    view = centre(working_image(tmp_path / "a.png", sha256="", how=working(look)), 64)
    assert view.shape == (64, 64, 3) and view_box(400, 100, look) == (0, 0, 400, 100)
    assert (view[:, :15] == 200).all() and (view[:, 17:] == 0).all()


def test_pieces_have_the_share_and_the_shape_of_the_preset():
    grid = np.dstack([*np.meshgrid(np.arange(200), np.arange(200)), np.zeros((200, 200))]).astype(np.uint8)
    into = np.empty((64, 64, 3), np.uint8)
    shares, left = [], []
    for noise in hashed_noise(KEYS[:500], DRAWS):
        View(64, "photo").cut(grid, into, noise)
        spans = [np.ptp(into[..., colour].astype(int)) + 200 / 64 for colour in (0, 1)]
        shares.append(spans[0] * spans[1] / 200**2)
        left.append(int(into[..., 0].min()))
    assert 0.35 < min(shares) < 0.45
    assert 0.9 < max(shares) <= 1.1
    assert len(set(left)) > 30


@pytest.mark.parametrize("preset", ["none", "light", "photo", "affine"])
def test_a_view_depends_on_its_own_numbers_alone(preset):
    images = torch.randint(0, 256, (6, 3, 24, 24), dtype=torch.uint8)
    together = augmented(images, NOISE[:6], preset)
    alone = torch.cat([augmented(images[k : k + 1], NOISE[k : k + 1], preset) for k in range(6)])
    assert together.dtype == torch.uint8
    assert torch.equal(together, alone)
    assert torch.equal(images, together) == (preset == "none")


def test_mirrors_are_half_and_half():
    images = torch.arange(2 * 3 * 8, dtype=torch.uint8).view(1, 3, 2, 8).expand(1000, 3, 2, 8)
    mirrored = (augmented(images, NOISE[:1000], "light") != images).flatten(1).any(dim=1)
    assert 0.45 < mirrored.float().mean() < 0.55


def test_colours_at_rest_change_nothing_and_stay_near():
    images = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8)
    still = torch.full((64, DRAWS), 0.5)
    assert torch.equal(augmented(images, still, "photo"), images)
    changed = augmented(images, torch.cat([still[:, :6], NOISE[:64, 6:]], dim=1), "photo").float()
    assert 5 < (changed - images.float()).abs().mean() < 60


def test_a_brighter_photo_is_torchvisions():
    image = torch.randint(60, 180, (1, 3, 16, 16), dtype=torch.uint8)  # nothing is cut off between the steps
    noise = torch.full((1, DRAWS), 0.5)
    noise[0, 6] = 1.0
    usual = v2.functional.adjust_brightness(image, 1.3)
    assert (augmented(image, noise, "photo").int() - usual.int()).abs().max() <= 1
    noise[0, 6:9] = torch.tensor([0.5, 1.0, 0.0])
    usual = v2.functional.adjust_saturation(v2.functional.adjust_contrast(image, 1.3), 0.7)
    assert (augmented(image, noise, "photo").int() - usual.int()).abs().float().mean() < 2


def test_affine_views_turn_shift_zoom_and_fill_with_grey():
    images = torch.zeros(300, 3, 64, 64, dtype=torch.uint8)
    images[:, :, 24:40, 24:40] = 255
    moved = augmented(images, NOISE[:300], "affine").float()
    weight = moved[:, 0].clamp(min=128) - 128
    total = weight.sum(dim=(1, 2))
    place = torch.arange(64.0) - 31.5
    across = (weight.sum(dim=1) @ place) / total
    down = (weight.sum(dim=2) @ place) / total
    assert 4 < across.std() < 9  # ±15 % of 64, evenly spread, is 5.5
    assert 4 < down.std() < 9
    size = total / (16 * 16 * 127)
    assert 0.6 < size.min() < 0.8
    assert 1.2 < size.max() < 1.6
    corners = moved[:, 0, 0, 0]
    assert (corners == 128).float().mean() > 0.1


def test_an_unknown_preset_offers_the_nearest():
    with pytest.raises(BadInput, match="light"):
        View(32, "ligth")
