"""A contact sheet shows every class with its name, whatever the photos are like."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fishnet.data.contact_sheet import contact_sheet
from fishnet.errors import BadInput


def photo(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_a_row_a_class_in_order(tmp_path: Path) -> None:
    for k in range(5):
        photo(tmp_path / "a perch" / f"{k}.png", (200, 0, 0))
        photo(tmp_path / "Ö×鱼" / f"{k}.jpg", (0, 0, 200), (40, 90))
    photo(tmp_path / ".masks" / "0.png", (0, 200, 0))
    (tmp_path / "a perch" / "notes.txt").write_text("no photo")
    pixels = np.asarray(contact_sheet(tmp_path, columns=3, rows=2, side=50)).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 60)
    blue = (pixels[..., 2] > 150) & (pixels[..., 1] < 60)
    green = (pixels[..., 1] > 150) & (pixels[..., 0] < 60)
    assert red.sum() == 5 * 2500
    assert abs(blue.sum() - 5 * 2500) < 200
    assert not green.any()
    assert np.nonzero(red)[0].max() < np.nonzero(blue)[0].min()


def test_no_folder_and_no_photo_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        contact_sheet(tmp_path / "missing")
    with pytest.raises(BadInput, match="no class folder"):
        contact_sheet(tmp_path)
