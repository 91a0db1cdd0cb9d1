"""Whether the animals keep to the middle: by what their surroundings are worth to a usual class."""

import logging

import numpy as np
import pytest
from PIL import Image

from fishnet.audit.judged import RegionSource
from fishnet.audit.middle import MOST, share_beyond_middle
from fishnet.data.datamodule import ImageFolderData
from tests.support.readers import BorderReader, ColourReader

SIDE = 32


def coloured_squares(root, corner: int) -> ImageFolderData:
    """Three classes told by the colour of a square, whose corner is here."""
    rng = np.random.default_rng(1)
    for label in range(3):
        (root / f"class {label}").mkdir(parents=True)
        for number in range(24):
            photo = rng.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
            photo[corner : corner + 8, corner : corner + 8, label] = 220
            Image.fromarray(photo).save(root / f"class {label}" / f"{number:03d}.png")
    return ImageFolderData(root=str(root), group="none", duplicates="ignore", cache="off", image_size=SIDE)


@pytest.mark.parametrize(("corner", "way"), [(12, "ellipse"), (0, "learned")])
def test_the_middle_is_taken_where_the_animals_are_there(tmp_path, caplog, corner, way):
    data = coloured_squares(tmp_path / "photos", corner)
    source = RegionSource("auto", data, ColourReader(SIDE, classes=3), batch_size=16)
    with caplog.at_level(logging.INFO, logger="fishnet"):
        decided = source.decided(np.arange(72))
    assert decided.way == way and f"region={way}" in caplog.text
    assert decided.decided(np.arange(72)) is decided


def test_one_class_that_its_surroundings_give_away_leaves_the_usual_share_alone(folder):
    share = share_beyond_middle(BorderReader(SIDE, classes=3), folder, np.arange(len(folder.table)))
    assert share < MOST


def test_the_region_says_why_it_was_chosen(tmp_path):
    data = coloured_squares(tmp_path / "photos", 12)
    rows = np.arange(72)
    source = RegionSource("auto", data, ColourReader(SIDE, classes=3), batch_size=16)
    assert "tried with the middle first" in source.decided(rows)(rows).how
    assert "tried" not in RegionSource("ellipse", data, source.model, batch_size=16)(rows).how
