"""Masks beside photos: where the model sees the animal, and what is named where they do not fit."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

from fishnet.audit.masks import masked_regions
from fishnet.data.views import PlainPreprocessing, centre, working, working_image
from fishnet.errors import BadInput

LOOK = PlainPreprocessing(64, 0.875)
BOX = (120, 40, 199, 89)


def drawn(file, size=(300, 150), box=BOX, ground=0, animal=255):
    image = Image.new("L", size, ground)
    ImageDraw.Draw(image).rectangle(box, fill=animal)
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
    return file


def table_of(*paths, width=300, height=150):
    return pd.DataFrame({"path": paths, "width": width, "height": height})


@pytest.mark.parametrize("size", [(300, 150), (600, 300), (900, 100)])  # the last one is cut to its middle
def test_a_mask_lies_where_the_model_sees_the_animal(tmp_path, size):
    box = (size[0] * 4 // 10, size[1] // 4, size[0] * 6 // 10, size[1] * 6 // 10)
    photo = drawn(tmp_path / "photos" / "perch" / "a.jpg", size, box)
    drawn(tmp_path / "masks" / "perch" / "a.png", size, box, ground=127, animal=128)
    view = centre(working_image(photo, sha256="", how=working(LOOK)), LOOK.size)
    seen = torch.from_numpy(view[..., 0] > 160)
    regions = masked_regions(tmp_path / "masks", table_of("perch/a.jpg", width=size[0], height=size[1]), LOOK)
    region = regions.protected[0].bool()
    assert regions.given and seen.any()
    assert (region & seen).sum() == seen.sum()
    assert region.sum() < 1.3 * seen.sum()


def test_what_does_not_fit_is_counted_and_named_once_a_kind(tmp_path, caplog):
    masks = tmp_path / "masks"
    drawn(masks / "perch" / "good.png")
    drawn(masks / "perch" / "small.png", (150, 75), (60, 20, 99, 44))
    drawn(masks / "perch" / "square.png", (150, 150))
    drawn(masks / "perch" / "labels.png", animal=1)
    (masks / "perch" / "broken.png").write_bytes(b"no picture")
    lost = [f"pike/{number}.jpg" for number in range(7)]
    names = ("good", "small", "square", "labels", "broken")
    table = table_of(*(f"perch/{name}.jpg" for name in names), *lost)
    with caplog.at_level(logging.WARNING, "fishnet"):
        protected = masked_regions(masks, table, LOOK).protected.numpy()
    assert np.array_equal(protected[0], protected[1]) and 0 < protected[0].mean() < 0.5
    assert protected[2:].min() == 1  # nothing of these is exchanged
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    for line, words in zip(
        sorted(lines),
        (
            ("1 photo whose mask cannot be read", "perch/broken.jpg"), ("another shape", "perch/square.jpg"),
            ("another size and is scaled", "perch/small.jpg"), ("marks nothing", "perch/labels.jpg"),
            ("7 photos without a mask", "pike/0.jpg", "pike/4.jpg and 2 more"),
        ), strict=True,
    ):  # fmt: skip
        assert all(word in line for word in words), (line, words)


def test_a_folder_without_any_of_the_masks_is_refused(tmp_path):
    drawn(tmp_path / "masks" / "perch" / "other.png")
    with pytest.raises(BadInput, match=r"no mask of these photos .*perch/a\.png"):
        masked_regions(tmp_path / "masks", table_of("perch/a.jpg"), LOOK)
