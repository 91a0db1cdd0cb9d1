"""Whether the animals keep to the middle: by what their surroundings are worth to a usual class."""

import logging

import numpy as np
import pytest
from PIL import Image

from fishnet.audit.folder import audit_folder
from fishnet.audit.judged import RegionSource
from fishnet.audit.middle import MOST, beyond_middle, usual_share
from fishnet.data.datamodule import ImageFolderData
from tests.support.readers import BorderReader, ColourReader

SIDE = 32


def coloured_squares(root, corner: int, bordered: int | None = None) -> ImageFolderData:
    """Three classes told by the colour of a square, whose corner is here; `bordered` has a border of its colour."""
    rng = np.random.default_rng(1)
    for label in range(3):
        (root / f"class {label}").mkdir(parents=True)
        for number in range(24):
            photo = rng.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
            photo[corner : corner + 8, corner : corner + 8, label] = 220
            if label == bordered:
                photo[[0, 1, -2, -1], :, label] = photo[:, [0, 1, -2, -1], label] = 250
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
    share = usual_share(beyond_middle(BorderReader(SIDE, classes=3), folder, np.arange(len(folder.table))))
    assert share < MOST


def test_the_region_says_why_it_was_chosen(tmp_path):
    data = coloured_squares(tmp_path / "photos", 12)
    rows = np.arange(72)
    source = RegionSource("auto", data, ColourReader(SIDE, classes=3), batch_size=16)
    assert "tried with the middle first" in source.decided(rows)(rows).how
    assert "tried" not in RegionSource("ellipse", data, source.model, batch_size=16)(rows).how


def test_a_class_that_stands_out_is_looked_at_with_the_middle(tmp_path, caplog):
    """What is learned of the other classes may take its cue for a part of the animal."""
    data, rows = coloured_squares(tmp_path / "photos", 5, bordered=1), np.arange(72)
    source = RegionSource("auto", data, ColourReader(SIDE, classes=3), batch_size=16)
    with caplog.at_level(logging.INFO, logger="fishnet"):
        decided = source.decided(rows)
    assert decided.way == "ellipse" and "but class 1 by far more than any other class" in caplog.text
    assert decided(rows).travels
    measured = audit_folder(
        source.model, data.folder, rows, decided, stored=tmp_path / "stored", about={}, most_donors=24, progress=False
    )
    assert [test.counts for test in measured.tests] == [False, True, False]
