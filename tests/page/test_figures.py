"""Figures for files and for pages."""

import base64

import matplotlib
import pytest
from PIL import Image

from fishnet.page.figures import hide_spines, open_figure, picture_address


def test_a_figure_becomes_a_file_or_an_address_and_leaves_no_settings_behind(tmp_path):
    before = dict(matplotlib.rcParams)
    for path in (tmp_path / "drawn.png", None):
        with open_figure(2, 1, path) as figure:
            axes = figure.add_subplot()
            axes.set_title("perch")
            hide_spines(axes)
    assert dict(matplotlib.rcParams) == before
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.png"]
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.format == "PNG"
    scheme, _, data = figure.address.partition(",")
    assert scheme == "data:image/svg+xml;base64" and b"<!-- perch -->" in base64.b64decode(data)


def test_the_same_figure_has_the_same_address():
    addresses = []
    for _ in range(2):
        with open_figure(2, 1) as figure:
            figure.add_subplot().plot([1, 2], [3, 4], marker="o")
        addresses.append(figure.address)
    assert addresses[0] == addresses[1]


def test_what_raises_while_it_is_drawn_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), open_figure(2, 1, tmp_path / "drawn.png"):
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_a_picture_on_disk_has_an_address_of_its_own_type(tmp_path):
    (tmp_path / "perch.jpg").write_bytes(b"photo")
    assert picture_address(tmp_path / "perch.jpg") == "data:image/jpeg;base64,cGhvdG8="
