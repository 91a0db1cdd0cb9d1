"""Pictures: drawn for any number of classes and any script, without a warning."""

import warnings

import numpy as np
import pytest
from PIL import Image, ImageFont

from fishnet import fonts as lettering
from fishnet.fonts import font_for, shown
from fishnet.measure import confusions, pictures
from fishnet.measure.calibration import reliability

NAMES = [
    "鱼",
    "鯉魚",
    "$a_b$ {x}",
    "Klunzinger's wrasse " * 5,
    "Xiphophorus × hellerii",
    "${oc.env:HOME}",
    "a\nb",
    "🐟",
]


@pytest.mark.parametrize("classes", [2, 8, 31])
def test_confusions_and_tree_for_any_number_of_classes(tmp_path, classes: int):
    names = (NAMES + [f"species {number}" for number in range(classes)])[:classes]
    chance = np.random.default_rng(0)
    matrix = np.diag(chance.integers(0, 20, classes)) + (chance.random((classes, classes)) < 0.1)
    groups = chance.integers(0, 20, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.draw_confusions(matrix, groups, names, tmp_path / "m.png")
        pictures.draw_dendrogram(confusions.class_linkage(matrix), groups, names, tmp_path / "d.png")
    for file in ("m.png", "d.png"):
        with Image.open(tmp_path / file) as picture:
            assert 300 < picture.width < 5000
            assert np.asarray(picture.convert("L")).std() > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.png", "m.png"]


def test_cells_hold_numbers_only_while_they_can_be_read(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(pictures, "_write_cells", lambda axes, matrix, shares: written.append(len(matrix)))
    for classes in (6, 31):
        pictures.draw_confusions(np.eye(classes, dtype=int), np.full(classes, 9), ["x"] * classes, tmp_path / "m.png")
    assert written == [6]


def test_both_pictures_say_which_classes_are_too_few_to_tell(tmp_path, monkeypatch):
    matrix, groups = np.array([[3, 1], [0, 9]]), np.array([4, 9])
    drawn = []
    monkeypatch.setattr(
        pictures, "hide_spines", lambda axes, *_: drawn.append([label.get_text() for label in axes.get_yticklabels()])
    )
    pictures.draw_confusions(matrix, groups, ["eel", "pike"], tmp_path / "m.png")
    pictures.draw_dendrogram(confusions.class_linkage(matrix), groups, ["eel", "pike"], tmp_path / "d.png")
    assert [sorted(labels) for labels in drawn] == [["eel · too few to tell", "pike"]] * 2


def test_titles_say_what_is_seen_and_the_tree_goes_from_similar_to_unlike(tmp_path, monkeypatch):
    matrix, axes_of = np.array([[5, 5, 0], [5, 5, 0], [0, 1, 9]]), []
    monkeypatch.setattr(pictures, "hide_spines", lambda axes, *_: axes_of.append(axes))
    pictures.draw_confusions(matrix, np.full(3, 9), ["eel", "pike", "ide"], tmp_path / "m.png")
    tree = confusions.class_linkage(matrix)
    pictures.draw_dendrogram(tree, np.full(3, 9), ["eel", "pike", "ide"], tmp_path / "d.png")
    confused, alike = axes_of
    assert confused.get_title() == "Which class is taken for which: 30 photos"
    assert alike.get_title("left") == "← similar" and alike.get_title("right") == "unlike →"
    left, right = alike.get_xlim()
    assert left < tree[0, 2] < tree[1, 2] < right  # eel and pike, which are confused, join on the left


def test_faultless_model_has_a_tree_too(tmp_path):
    pictures.draw_dendrogram(
        confusions.class_linkage(np.diag([3, 3, 3])), np.full(3, 9), ["a", "b", "c"], tmp_path / "d.png"
    )
    assert (tmp_path / "d.png").is_file()


def test_reliability_before_and_after(tmp_path):
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [1.0, 0.0]])
    part = reliability(probabilities, np.array([0, 0, 0]))
    pictures.draw_reliability(part, part, 1.5, tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size > 5000


def test_names_are_cut_and_two_names_stay_two(monkeypatch):
    monkeypatch.setattr(lettering, "font_files", lambda: [lettering.plain_font()])
    assert shown("Perca fluviatilis") == "Perca fluviatilis"
    assert shown("Pseudanthias squamipinnis female") == "Pseudanthias s…is female"
    assert shown("Pseudanthias squamipinnis male") != shown("Pseudanthias squamipinnis female")
    assert shown("鱼") == "\\u9c7c"
    assert shown("鱼") != shown("鯉")
    assert len(shown("x" * 99, 10)) == 10
    assert isinstance(font_for("鱼", 12), ImageFont.FreeTypeFont)


@pytest.mark.slow
def test_a_hundred_and_twenty_classes(tmp_path):
    test_confusions_and_tree_for_any_number_of_classes(tmp_path, 120)
