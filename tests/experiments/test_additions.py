"""What the study of additions to `experiment=fine_tune` changes of a training batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.accuracy.additions import CutMix, GrowingSize, RandAugment, cut_and_mixed
from fishnet.models import classifier
from fishnet.models.mixing import mixed


def test_a_rectangle_of_the_next_photo_counts_by_its_area():
    photos = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    np.random.seed(0)
    for _ in range(20):
        batch, partner = cut_and_mixed({"image": photos, "label": torch.arange(4)}, alpha=1.0)
        own = batch["image"] == photos
        assert (own | (batch["image"] == photos.roll(1, dims=0))).all()
        assert own.float().mean(dim=(1, 2, 3)).tolist() == pytest.approx([partner.share] * 4)
    assert partner.labels.tolist() == [3, 0, 1, 2]


def test_mixup_is_itself_again_after_a_training_with_cut_photos():
    addition = CutMix()
    addition.on_fit_start(None, None)
    assert classifier.mixed is cut_and_mixed
    addition.on_fit_end(None, None)
    assert classifier.mixed is mixed


def test_photos_grow_to_their_whole_size():
    sides = []
    for epoch in range(8):
        batch = {"image": torch.randint(256, (2, 3, 128, 128), dtype=torch.uint8)}
        GrowingSize().on_train_batch_start(SimpleNamespace(current_epoch=epoch, max_epochs=8), None, batch, 0)
        assert batch["image"].dtype == torch.uint8
        sides.append(batch["image"].shape[-1])
    assert sides[0] == 80 and sides == sorted(sides) and sides[-3:] == [128] * 3


def test_each_photo_is_changed_for_itself():
    torch.manual_seed(0)
    photo = torch.randint(256, (3, 32, 32), dtype=torch.uint8)
    batch = {"image": photo.repeat(8, 1, 1, 1)}
    RandAugment().on_train_batch_start(None, None, batch, 0)
    assert batch["image"].shape == (8, 3, 32, 32) and batch["image"].dtype == torch.uint8
    assert len({each.numpy().tobytes() for each in batch["image"]}) > 4
