"""Pictures of maps: the founding study's red, readable captions in any script."""

import base64
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from fishnet.explain.contact import heat_address
from fishnet.explain.overlay import (
    GREEN,
    RED,
    SMALLEST,
    Caption,
    captioned,
    fixed_panel,
    heat,
    instructive_rows,
    most_informative,
    overlay,
    sheet,
    with_legend,
)
from fishnet.measure.predictions import Predictions

GREY = np.full((32, 32, 3), 120, np.uint8)


def corner(value: float = 1.0) -> np.ndarray:
    values = np.full((4, 4), -1.0, np.float32)
    values[0, 0] = value
    return values


def test_red_where_it_looked_and_the_photo_elsewhere():
    picture = np.asarray(overlay(GREY, corner()))
    assert picture.shape == (SMALLEST, SMALLEST, 3)
    assert (picture[-60:, -60:] == 120).all()
    hot = picture[2, 2].astype(int)
    assert hot[0] > 200
    assert hot[1] == hot[2] < 40


def test_red_on_red_has_a_line_at_half_of_the_maximum():
    """Light beside dark, between what is above half and what is below, and not along the edge of the photo."""
    red = np.zeros((224, 224, 3), np.uint8)
    red[..., 0] = 255
    picture = np.asarray(overlay(red, corner())).astype(int)
    hot = heat(corner(), (224, 224)) >= 0.5
    light = (picture[..., 1] > 200) & (picture[..., 2] > 200)
    dark = picture[..., 0] < 60
    for line in (light, dark):
        rows, columns = np.nonzero(line)
        assert 30 < len(rows) < 300
        for row, column in zip(rows, columns, strict=True):
            near = hot[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4]
            assert near.any() and not near.all()
    assert not light[0, 5:20].any()


def test_a_legend_stands_below_a_sheet_and_shows_the_line():
    page = sheet([overlay(GREY, corner())] * 2)
    whole = np.asarray(with_legend(page)).astype(int)
    assert (whole[: page.height, : page.width] == np.asarray(page)).all()
    bar = whole[page.height + 5 : page.height + 15, 40:130]
    assert bar[0, 0] == pytest.approx([190] * 3, abs=3) and bar[0, -1, 0] - bar[0, -1, 1] > 150
    assert (bar[:, 42:48] > 200).all(axis=2).any(axis=1).all()


def test_larger_photos_keep_their_size_and_shape():
    assert overlay(np.zeros((299, 299, 3), np.uint8), corner()).size == (299, 299)
    assert overlay(np.zeros((50, 100, 3), np.uint8), corner()).size == (224, 112)


@pytest.mark.parametrize("values", [np.zeros((7, 7)), np.full((7, 7), -3.0), np.full((1, 1), 5.0)])
def test_a_map_without_evidence_stays_cold(values: np.ndarray):
    assert heat(values.astype(np.float32), (224, 224)).max() == 0
    assert (np.asarray(overlay(GREY, values)) == 120).all()


def test_heat_does_not_depend_on_the_size_of_the_numbers():
    values = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    assert heat(values, (56, 56)) == pytest.approx(heat(values * 1000, (56, 56)), abs=1e-4)
    assert heat(values, (56, 56)).max() == pytest.approx(1)


@pytest.mark.parametrize(("predicted", "colour"), [("Esox lucius", GREEN), ("Perca fluviatilis", RED)])
def test_the_caption_tells_right_from_wrong(predicted: str, colour: tuple):
    plain = overlay(GREY, corner())
    tile = captioned(plain, Caption("Esox lucius", predicted, 0.87))
    strip = np.asarray(tile)[plain.height :].reshape(-1, 3)
    assert tile.height > plain.height
    assert (strip == colour).all(axis=1).any()


def test_the_caption_names_the_class_and_the_answer(monkeypatch):
    written: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _, place, text, **look: written.append(text))
    captioned(overlay(GREY, corner()), Caption("pike", "perch", 0.87))
    assert written == ["true: pike", "answer: perch 87%"]


@pytest.mark.parametrize("name", ["鱼", "Klunzinger's wrasse " * 20, "${oc.env:HOME}", "a\nb", "🐟 ×é", ""])
def test_any_name_can_be_written(name: str):
    assert captioned(overlay(GREY, corner()), Caption(name, "x", 0.5)).width == SMALLEST


def test_sheet_holds_every_tile():
    tile = overlay(GREY, corner())
    page = sheet([tile] * 5, columns=4, title="鱼 " * 100)
    assert page.width > 4 * tile.width
    assert 2 * tile.height < page.height < 3 * tile.height
    assert sheet([tile]).width < 1.2 * tile.width


# ---- which photos are shown


def test_spread_over_the_classes_and_always_the_same():
    labels = np.array([0] * 20 + [1] * 3 + [2] * 1)
    rows = np.arange(100, 124)
    chosen = fixed_panel(rows, labels, 8)
    assert chosen == fixed_panel(rows, labels, 8)
    assert len(set(chosen)) == 8
    assert np.bincount(labels[np.array(chosen) - 100]).tolist() == [4, 3, 1]


def test_more_classes_than_places():
    labels = np.repeat(np.arange(120), 2)
    shown = labels[fixed_panel(np.arange(240), labels, 8)]
    assert len(set(shown)) == 8
    assert {0, 119} <= set(shown)


def test_fewer_photos_than_places_and_none():
    assert len(fixed_panel(np.arange(3), np.array([0, 1, 1]), 8)) == 3
    assert fixed_panel(np.zeros(0, int), np.zeros(0, int), 8) == []


def answers(sure: list[float], right: list[bool]) -> Predictions:
    """Photos of class 0, each answered with some sureness, rightly or wrongly."""
    logits = np.array([[s, 0] if ok else [0, s] for s, ok in zip(sure, right, strict=True)], float)
    return Predictions(np.arange(len(sure)), np.zeros(len(sure), int), logits)


def test_surest_right_then_surest_wrong():
    predictions = answers([1, 5, 2, 3, 4, 6], [True, True, True, False, False, True])
    assert most_informative(predictions, 0, 4) == [5, 1, 4, 3]
    assert most_informative(predictions, 1, 4) == []


def test_answers_whose_probability_rounds_to_1_are_ranked():
    assert most_informative(answers([100, 900, 400], [True] * 3), 0, 3) == [1, 2, 0]


def test_one_kind_fills_up_for_the_other():
    assert most_informative(answers([1, 2, 3], [True] * 3), 0, 4) == [2, 1, 0]
    assert most_informative(answers([1, 2, 3, 4, 5], [True, True, True, True, False]), 0, 4) == [3, 2, 1, 4]
    assert most_informative(answers([1, 2, 3], [False] * 3), 0, 2) == [2, 1]


def explained_photos(rows: str) -> pd.DataFrame:
    """`ab2test`: truly a, explained as b, sure by 2, a test photo."""
    return pd.DataFrame([(row[0], row[1], float(row[2]), row[3:]) for row in rows.split()],
                        columns=["true", "explained", "margin", "seen"])  # fmt: skip


def drawn_first(rows: str, most: int) -> list[int]:
    table = explained_photos(rows)
    return instructive_rows(table, table["margin"].to_numpy(), most)


def test_what_the_model_has_not_seen_is_drawn_first_and_classes_take_turns():
    assert drawn_first("aa9train aa5val aa4test aa7new aa3new bb1test bb2test", 9) == [3, 6, 2, 5, 4, 1, 0]
    assert drawn_first("aa9train ab5train ab4test bb7new", 2) == [2, 3]  # half mistakes
    assert drawn_first("ab1new ab2new ab3new aa4new", 3) == [2, 1, 3]
    assert drawn_first("aa1 aa2 bb3", 2) == [2, 1]  # of a model that does not know what it has seen
    assert drawn_first("aa1test", 0) == []


def test_a_pages_map_is_red_as_it_is_hot_and_its_line_is_two_pixels():
    address = heat_address(corner())
    with Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))) as packed:
        shown = np.asarray(packed.convert("RGBA"))
    warm = heat(corner(), (224, 224))
    line = shown[..., 1] > 0
    assert shown.shape == (224, 224, 4) and (shown[~line][:, :3] == (255, 0, 0)).all()
    assert np.abs(shown[~line][:, 3] / 255 - warm[~line]).max() <= 0.5 / 31 + 1 / 255
    assert 0 < line.sum() < 4 * 224 and np.abs(warm[line] - 0.5).max() < 0.1
    assert len(address) < 8000
