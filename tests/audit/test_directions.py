"""What a class's evidence is made of: a cue on the animal is shown first, by its crops, and nothing is decided."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from fishnet import ImageClassifier
from fishnet.audit.crops import CROPS, crop_box, crops_section, losses
from fishnet.audit.directions import directions_of, ranked, spread_over, strongest_photos, traits
from fishnet.models.backbones import single_head

CHANNELS, CELLS, PHOTOS = 24, 6, 50
CUE_AT = (2, 4)


@pytest.fixture(scope="module")
def maps():
    """Last maps of a class's photos, of others', the class's weights, and which photos have a cue in one cell.

    Channels 0 to 3 are an animal's shape in all photos, 4 to 7 the class's own marks, 8 and 9 the cue.
    """
    rng = np.random.default_rng(0)
    own, others = (rng.gamma(0.3, 0.1, (count, CHANNELS, CELLS, CELLS)) for count in (PHOTOS, 80))
    for photos in (own, others):
        photos[:, :4, 1:5, 1:5] += rng.gamma(4, 0.25, (len(photos), 4, 4, 4))
    own[:, 4:8, 2:4, 1:3] += rng.gamma(2, 0.3, (PHOTOS, 1, 1, 1))
    others[:, 4:8, 2:4, 1:3] += rng.gamma(2, 0.1, (80, 1, 1, 1))
    carrying = np.arange(PHOTOS) % 5 > 0
    own[np.ix_(carrying, [8, 9], [CUE_AT[0]], [CUE_AT[1]])] += 4
    weight = np.where(np.arange(CHANNELS) < 16, 1.0, -1.0)
    return own.astype(np.float32), others.astype(np.float32), weight, carrying


def test_a_cue_that_no_other_class_has_comes_first(maps):
    own, others, weight, carrying = maps
    found = directions_of(own, others, weight, 0)
    table = ranked(traits(found, np.ones((PHOTOS, CELLS, CELLS))))
    assert table["rank"].tolist() == list(range(1, 9))
    first = found.own[table["direction"].iloc[0]]
    chosen = strongest_photos(first, np.arange(PHOTOS), CROPS)
    assert len(chosen) == CROPS and carrying[chosen].all()
    for cells in first[chosen]:
        assert np.unravel_index(cells.argmax(), cells.shape) == CUE_AT
    row = table.iloc[0]
    assert row["exclusive"] > 0.75 and row["inside"] == 1


def test_directions_add_up_to_the_evidence_that_speaks_for_the_class(maps):
    own, others, weight, _ = maps
    found = directions_of(own, others, weight, 0)
    speaking = np.einsum("nchw,c->n", own, np.maximum(weight, 0)) / CELLS**2
    np.testing.assert_allclose(found.presence.sum(axis=0), speaking, rtol=0.15)
    assert found.others.shape == (8, 80) and traits(found, np.ones(own[:, 0].shape))["size"].sum() == pytest.approx(1)


def test_photos_of_a_group_are_shown_once_while_there_are_others():
    cells = np.arange(12.0)[:, None, None] * np.ones((1, 2, 2))
    groups = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9])
    assert strongest_photos(cells, groups, 6).tolist() == [11, 8, 7, 6, 5, 4]
    assert strongest_photos(cells, np.zeros(12, int), 6).tolist() == [11, 10, 9, 8, 7, 6]


@pytest.mark.parametrize(("cell", "rows", "columns"), [((0, 0), (0, 32), (0, 32)), ((3, 5), (40, 72), (64, 96))])
def test_a_crop_lies_within_the_photo_around_the_patch_that_counts(cell, rows, columns):
    cells = np.zeros((6, 6))
    cells[cell] = 1
    box = crop_box(cells, 96)
    assert ((box[0].start, box[0].stop), (box[1].start, box[1].stop)) == (rows, columns)


def test_the_patch_that_a_direction_rests_on_is_found(audited):
    """A network that sums one colour, and a photo that has it in one place."""
    model, side = audited.model, 32
    factors = directions_of(np.ones((20, 1, 4, 4)), np.ones((5, 1, 4, 4)), np.ones(1), 0).factors
    model.network.forward_features = lambda pixels: max_pool2d(pixels[:, :1].clamp(min=0), side // 4)
    images = torch.zeros(2, 3, side, side)
    images[0, 0, 22:26, 6:10] = 1
    lost = losses(model, factors, 0, images)
    assert np.unravel_index(lost[0].argmax(), lost[0].shape) == (4, 1) and lost[0].max() > 0.02
    assert np.abs(lost[1]).max() < 1e-6


def test_others_are_spread_over_the_classes():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = spread_over(labels, 23)
    assert np.bincount(labels[chosen]).tolist() == [10, 3, 10]


def test_a_network_whose_answer_is_no_sum_over_places_is_left_out_in_a_sentence():
    model = ImageClassifier(classes=["bream", "pike"], backbone="cnn", image_size=32, backbone_args={"dense": 8})
    section = crops_section(SimpleNamespace(model=model.eval()))
    assert section.tables == {} and "left out" in section.chapter.blocks[0].text


def test_every_class_shows_two_sheets_and_lists_all_its_directions(audited):
    section = crops_section(audited)
    table = section.tables["directions"]
    assert table.groupby("class")["rank"].apply(list).tolist() == [list(range(1, 9))] * 3
    assert table["photos"].str.split("; ").map(len).tolist() == [CROPS] * len(table)
    of_pike = set("; ".join(table.loc[table["class"] == "pike", "photos"]).split("; "))
    assert of_pike <= {f"{row}.jpg" for row in range(1, 24, 3)}
    figures = [block for block in section.chapter.blocks if block.kind == "figure"]
    assert len(figures) == 6 and "first" in figures[0].text and "second" in figures[1].text
    assert "not decidable from labels" in section.chapter.blocks[0].text


def test_of_many_classes_those_that_rest_on_something_are_open(audited, monkeypatch):
    monkeypatch.setattr("fishnet.audit.crops.MANY", 2)
    audited.found = [
        SimpleNamespace(name=name, word=word)
        for name, word in zip(audited.measured.classes, ["nothing", "shortcut", "withheld"], strict=True)
    ]
    section = crops_section(audited)
    assert [block.kind for block in section.chapter.blocks] == ["text", "heading", "figure", "figure", "details"]
    assert section.chapter.blocks[1].text == "pike"
    folded = section.chapter.blocks[-1].blocks
    assert [(block.kind, block.text, len(block.blocks)) for block in folded] == [
        ("details", "bream", 2), ("details", "perch", 2),
    ]  # fmt: skip
    assert set(section.tables["directions"]["class"]) == set(audited.measured.classes)


def test_classes_without_photos_or_without_evidence_are_left_out(audited):
    labels = audited.measured.photos["label"].to_numpy().copy()
    labels[labels == 0] = 2
    audited.measured.photos["label"] = labels
    single_head(audited.model.network).weight.data[2] = -1
    assert set(crops_section(audited).tables["directions"]["class"]) == {"pike"}
    audited.measured.photos["label"] = 1
    assert crops_section(audited).chapter is None
