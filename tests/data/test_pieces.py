"""What a GPU scales is what a processor would have scaled, up to a level of brightness."""

import numpy as np
import pytest
import torch

from fishnet import ImageFolderData
from fishnet.data.folder import finished
from fishnet.data.loading import PhotoDataset
from fishnet.data.pieces import gathered, scaled_pieces, scaling
from fishnet.data.views import View


def smooth(rows: int, columns: int) -> np.ndarray:
    """A working image with structure, without noise that no two ways of scaling treat alike."""
    down, right = np.mgrid[:rows, :columns]
    waves = [np.sin(down / 5 + k) * np.cos(right / (4 + k)) for k in range(3)]
    return np.rint(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("augment", ["light", "photo"])
@pytest.mark.parametrize("shape", [(64, 64), (64, 90), (120, 64), (64, 192)])
def test_pieces_are_those_of_the_processor(augment, shape):
    view, image, chance = View(56, augment), smooth(*shape), np.random.default_rng(1)
    for noise in chance.random((20, 12), np.float32):
        view.cut(image, here := np.empty((56, 56, 3), np.uint8), noise)
        batch = gathered([view.piece(image, noise), image[:1, :1]])  # beside a piece of another size
        there = scaled_pieces(**batch, size=56)[0].permute(1, 2, 0).numpy()
        rows, columns = batch["sizes"][0].tolist()
        same_way = (rows > 56) == (columns > 56)  # else OpenCV interpolates in both directions
        assert np.abs(there.astype(int) - here).mean() < (0.5 if same_way else 4)


def test_each_new_pixel_is_a_mean_of_old_ones():
    lengths = torch.tensor([1, 5, 16, 23, 40])
    weights = scaling(lengths, 40, 16)
    assert torch.allclose(weights.sum(dim=2), torch.ones(5, 16), atol=1e-5)
    assert (weights >= 0).all()
    for number, length in enumerate(lengths):
        assert not weights[number, :, length:].any()
    assert torch.equal(weights[2, :, :16], torch.eye(16))  # the same size changes nothing
    half = scaling(lengths, 40, 16, torch.float16)
    assert torch.allclose(half.float(), weights, atol=2e-3)


def test_a_batch_scaled_late_has_the_labels_noise_and_look_of_any_other(shapes):
    data = ImageFolderData(root=str(shapes), image_size=24)
    early = data.folder.dataset(data.preprocessing, "light")
    late = PhotoDataset(early.images, early.labels, early.view, scale_late=True)
    draws = [(row, 10 + row) for row in range(12)]
    first, second = (finished(dataset.__getitems__(draws), "light", 24) for dataset in (early, late))
    assert first.keys() == second.keys()
    for name in ("label", "index"):
        assert torch.equal(first[name], second[name])
    assert (first["image"].float() - second["image"].float()).abs().mean() < 1.5
    plain = PhotoDataset(early.images, early.labels, View(24, "mirror"), scale_late=True).__getitems__(draws)
    assert "image" in plain  # nothing to scale
