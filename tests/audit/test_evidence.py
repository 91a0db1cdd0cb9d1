"""Evidence by cells: its parts add up to the logits, and what the confusions and the atlas make of it."""

import numpy as np
import pytest
import torch

from fishnet.audit.atlas import atlas_section, atlas_table, middle
from fishnet.audit.confusions import confusion_table, confusions_section, photo_differences
from fishnet.audit.evidence import Evidence, evidence_of
from fishnet.audit.kinds import Views

CLASSES = ["bream", "pike", "perch"]


def test_the_parts_of_a_confusion_add_up_to_the_difference_of_the_logits(audited):
    labels = audited.measured.photos["label"].to_numpy()
    table = photo_differences(evidence_of(audited), labels)
    logits = audited.model(audited.images).detach().numpy()
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    assert table["position"].tolist() == wrong.tolist() and len(wrong) > 3
    ahead = logits[wrong, logits[wrong].argmax(axis=1)] - logits[wrong, labels[wrong]]
    np.testing.assert_allclose(table["difference"], ahead, atol=1e-4)
    np.testing.assert_allclose(table[["animal", "context", "constant"]].sum(axis=1), ahead, atol=1e-4)
    assert (table["animal"] != 0).all() and (table["context"] != 0).all()


def test_without_a_region_all_is_context(audited):
    views_of = audited.views_of
    audited.views_of = lambda rows: Views(views_of(rows).pixels, torch.zeros_like(views_of(rows).protected))
    table = photo_differences(evidence_of(audited), audited.measured.photos["label"].to_numpy())
    assert (table["animal"] == 0).all()


def test_pairs_are_counted_with_what_their_surroundings_decide():
    own, answered = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    answered[0, 0, 0], answered[1, 1, 1] = 3, 3  # by the animal, and by what surrounds it
    inside = np.zeros((3, 2, 2))
    inside[:, 0] = 1
    predicted, bias = np.array([1, 1, 2]), np.array([0.0, 0.5, 0.0])
    logits = np.array([[0, 3.5, 0], [0, 3.5, 0], [0, 0, 1.0]])
    evidence = Evidence(own, answered, predicted, logits, bias, inside)
    table = confusion_table(evidence, np.array([0, 0, 2]), CLASSES)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["true"], row["predicted"], row["photos"], row["by_context"]) == ("bream", "pike", 2, 0)
    assert (row["difference"], row["animal"], row["context"], row["constant"]) == (3.5, 1.5, 1.5, 0.5)
    without = Evidence(own, answered, predicted, logits - [0, 0.5, 0], np.zeros(3), inside)
    assert confusion_table(without, np.array([0, 0, 2]), CLASSES).iloc[0]["by_context"] == 1


def test_the_sections_of_a_network_whose_evidence_adds_up(audited):
    section = confusions_section(audited)
    assert list(section.tables) == ["confusions"] and section.tables["confusions"]["photos"].sum() > 3
    atlas = atlas_section(audited)
    assert atlas.tables["atlas"]["class"].tolist() == CLASSES
    assert atlas.metrics["audit/outside_share"] == pytest.approx(1 - atlas.tables["atlas"]["protected"].mean())


def test_the_atlas_says_where_the_evidence_lies():
    own, inside = np.zeros((4, 8, 8)), np.zeros((4, 8, 8))
    own[:2, 0, 3], own[:2, 3, 3] = 1, -1  # at the edge; what speaks against the class does not count
    own[2:, 3:5, 3:5], inside[2:, 3:5, 3:5] = 1, 1
    zero = np.zeros((4, 3))
    evidence = Evidence(own, own, np.zeros(4, int), zero, np.zeros(3), inside)
    table = atlas_table(evidence, np.array([0, 0, 1, 1]), CLASSES).set_index("class")
    assert table.index.tolist() == ["bream", "pike"]
    assert table.loc["bream", ["border", "centre", "protected", "evidence"]].tolist() == [1, 0, 0, 0]
    assert table.loc["pike", ["border", "centre", "protected", "evidence"]].tolist() == [0, 1, 1, 4]
    assert table.loc["pike", "border_area"] == pytest.approx(1 - 0.75**2, abs=0.01)


def test_a_square_in_the_middle_covers_its_share_of_cells_it_cuts():
    assert middle(0.5, 3, 3).mean() == pytest.approx(0.25, abs=0.01)
    assert middle(0.5, 4, 4)[1:3, 1:3].min() == 1 and middle(0.5, 4, 4)[0].max() == 0
