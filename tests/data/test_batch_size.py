"""Photos at once: as asked, a fixed number on a CPU, what a GPU has room for; and half of that when it is full."""

import logging

import pytest
import torch

from fishnet.data.batch_size import EXPLAINED, Halving, photos_at_once
from fishnet.errors import WorkFailed

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("free", "side", "a_pixel", "expected"),
    [
        (80e9, 224, 1000, 256),  # the most
        (8e9, 224, 1000, 64),  # 79 have room
        (8e9, 448, 1000, 16),  # four times as large
        (8e9, 224, EXPLAINED, 8),
        (1e6, 224, 1000, 1),
    ],
)
def test_a_gpu_is_given_what_it_has_room_for(monkeypatch, free, side, a_pixel, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free), int(80e9)))
    assert photos_at_once(None, GPU, side, a_pixel=a_pixel) == expected
    assert photos_at_once(5, GPU, side, a_pixel=a_pixel) == photos_at_once(5, CPU, side) == 5
    assert photos_at_once(None, CPU, side, on_cpu=16) == 16


def test_a_full_gpu_is_given_half_from_then_on(caplog):
    asked = []

    def compute(images):
        asked.append(len(images))
        if len(images) > 4:
            raise torch.OutOfMemoryError("no room")
        return images.sum(dim=1)

    halving, images = Halving(), torch.arange(16.0).reshape(8, 2)
    with caplog.at_level(logging.WARNING, "fishnet"):
        made = [torch.cat(halving(compute, images)) for _ in range(2)]
    assert all(torch.equal(each, images.sum(dim=1)) for each in made)
    assert asked == [8, 4, 4, 4, 4]
    assert [record.message for record in caplog.records] == [
        "The GPU has no room for 8 photos at once: it is given half as many."
    ]
    with pytest.raises(WorkFailed, match=r"no room for 8 photos at once: say batch_size=2"):
        halving(compute, torch.zeros(16, 2))
