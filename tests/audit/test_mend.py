"""Mending: what a new classifier layer unlearns, which model is chosen, and what is reported of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fishnet import ImageClassifier
from fishnet.audit.augmenting import Augmentation
from fishnet.audit.carriers import training_carriers
from fishnet.audit.comparison import compared
from fishnet.audit.heads import fitted, mended_models, with_head
from fishnet.audit.mending import Scores, best_of, exchange_of, kinds_found, mend, scores_of, validated
from fishnet.audit.page import audit_page, mended_chapter, mended_picture
from fishnet.audit.regions import elliptic
from fishnet.audit.sections import Audited
from fishnet.audit.tables import curation_table, metrics_of
from fishnet.data.index import build_index
from fishnet.models.backbones import single_head
from tests.support.edged import EACH, SIDE, is_edged
from tests.support.models import with_drawn_heads
from tests.support.readers import BorderReader


@pytest.fixture
def audited(whole):
    """The model that reads the edge, its audit, its verdicts, the table of photos, and where effects are kept."""
    return whole.model, whole.measured, whole.found, whole.photos, whole.stored


# ---- which photos


def test_the_training_photos_that_carry_the_edge_are_named(audited):
    photos = audited[3]
    trained = photos[photos["seen"] == "train"]
    assert set(trained["class"]) == {"class 2"} and len(trained) == EACH
    edged = trained["path"].map(is_edged)
    assert trained.loc[edged, "carries"].all()
    assert trained.loc[~edged, "carries"].mean() < 0.3
    assert trained.loc[edged, "rise"].min() > trained.loc[~edged, "rise"].max()


def test_training_photos_are_tried_a_few_at_a_time(audited, folder, tmp_path, monkeypatch):
    model, audit, found, photos, _ = audited
    monkeypatch.setattr("fishnet.audit.carriers.AT_ONCE", 7)
    again = training_carriers(
        model, folder, audit, found, lambda rows: elliptic(len(rows), SIDE), stored=tmp_path, about={}, progress=False
    )
    whole = photos[photos["seen"] == "train"].set_index("path")
    again = again.set_index("path").loc[whole.index]
    assert again["rise"].tolist() == pytest.approx(whole["rise"].tolist())
    assert again["carries"].tolist() == whole["carries"].tolist()


def test_the_list_for_curation_changes_nothing_until_it_is_edited(audited, folder, tmp_path):
    _, _, found, photos, _ = audited
    table = curation_table(photos, found)
    assert set(table["path"]) == set(photos.loc[photos["carries"], "path"])
    file = tmp_path / "curation.csv"
    table.to_csv(file, index=False)
    index = build_index(folder.root, progress=False, curation=str(file))
    assert (index.table["loss_weight"] == 1).all() and index.digest == build_index(folder.root, progress=False).digest
    table.assign(action="drop").to_csv(file, index=False)
    assert len(build_index(folder.root, progress=False, curation=str(file)).table) == len(folder.table) - len(table)


def test_kinds_are_those_that_show_it_by_themselves(audited):
    found = audited[2]
    kinds = kinds_found(found)
    assert kinds[0] == "ellipse" and found[2].test.kind in kinds
    assert len(set(kinds)) == len(kinds)
    level = 0.05 / 3 / len(found[2].test.by_kind)
    assert set(kinds[1:]) == {kind for kind, p in found[2].test.by_kind.items() if p < level}


# ---- which model


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([Scores(0.9, 0.7), Scores(0.88, 0.8, lost=0.005)], 1),
        ([Scores(0.9, 0.7), Scores(0.88, 0.9, lost=0.02)], 0),  # the second one surely loses two points
        ([Scores(0.95, 0.6)], None),  # no better on exchanged photos
        ([Scores(0.5, 0.9, lost=0.3)], None),
        ([], None),
    ],
)
def test_the_best_on_exchanged_photos_that_loses_at_most_a_point(candidates, best):
    assert best_of(Scores(0.9, 0.6), candidates) == best


def test_a_loss_counts_as_far_as_it_is_sure():
    """Two photos of a hundred may be chance; two groups in a hundred of ten thousand photos are not."""
    rng = np.random.default_rng(0)
    for count, sure in ((100, False), (10_000, True)):
        labels = np.arange(count) % 2
        before = np.eye(2)[labels]
        after = before.copy()
        worse = rng.choice(count, count // 50, replace=False)
        after[worse] = 1 - after[worse]
        scores = scores_of([(before, before), (after, before)], labels, np.arange(count))
        assert scores[0].lost == pytest.approx(0) and scores[1].plain == pytest.approx(0.98, abs=0.005)
        assert (scores[1].lost > 0.01) == sure, scores


def test_a_model_that_reads_the_edge_is_worse_on_exchanged_photos_alone(audited, folder):
    model, _, found, photos, _ = audited
    validation = exchange_of(model, folder, photos, "val", kinds_found(found))
    assert len(validation.carriers) >= EACH // 2
    models = model, BorderReader(SIDE, classes=3, edge=0)
    reads, mended = validated(models, folder, validation, batch_size=16, seed=0)
    assert reads.plain > 0.95 and mended.plain > 0.95
    assert mended.exchanged > reads.exchanged + 0.05
    assert np.isnan(reads.worst)  # without features there are no twins


def test_the_lowest_accuracy_of_a_twins_group_is_reported_beside_the_choice(audited, folder):
    _, audit, found, photos, stored = audited
    network = small_network(folder)
    exchange = exchange_of(network, folder, photos, "val", ["outer"])
    scores = validated([network], folder, exchange, batch_size=16, seed=0)
    assert 0 <= scores[0].worst <= 1
    common = {"checkpoint": Path("best.ckpt"), "stored": stored, "about": lambda each: {"model": "small"}}
    common |= {"alpha": 0.05, "batch_size": 16, "seed": 0}
    mending, _ = mend("head", network, [network], folder, audit, found, photos, **common)
    assert mending.by_twins == "same"  # neither way takes what is no better


def test_before_and_after_are_measured_on_photos_that_nothing_was_learned_from(audited, folder):
    model, audit, found, _, stored = audited
    models = model, BorderReader(SIDE, classes=3, edge=0)
    abouts = {"model": "reads the edge"}, {"model": "does not"}
    figures = compared(models, folder, audit, found, stored=stored, abouts=abouts, batch_size=16, progress=False)
    table = figures.set_index(["figure", "class"])
    assert list(table.index) == [("share", "class 2"), ("reliance", "class 2"), ("accuracy", ""), ("f1_macro", "")]
    assert table.loc[("share", "class 2"), "before_low"] > 0.1 > table.loc[("share", "class 2"), "after_high"]
    reliance = table.loc[("reliance", "class 2")]
    assert reliance["before_low"] > 0.1 > reliance["after_high"]
    assert reliance["before_low"] <= reliance["before"] <= reliance["before_high"]
    assert models[1].asked >= 3 * EACH  # the test part, and the exchanged photos


def test_the_page_shows_before_and_after_or_says_why_not(audited, folder):
    model, audit, found, photos, stored = audited
    after = BorderReader(SIDE, classes=3, edge=0)
    common = {"checkpoint": Path("mended/best.ckpt"), "stored": stored, "about": lambda each: {"edge": each.edge}}
    common |= {"alpha": 0.05, "batch_size": 16, "seed": 0}
    mending, chosen = mend("retrain", model, [after], folder, audit, found, photos, **common)
    assert chosen is after and mending.checkpoint is not None
    whole = Audited(model, folder, audit, found, photos, stored, batch_size=16, seed=0)
    chapter = mended_chapter(mending, mended_picture(whole, chosen), whole.called)
    page = audit_page(whole, name="border", mended=[chapter])
    assert "mended/best.ckpt" in page and "before → after mending" in page
    assert metrics_of(audit, found, mending)["audit/mended/reliance_max"] < 0.05
    worse, chosen = mend("retrain", model, [model], folder, audit, found, photos, **common)
    assert chosen is model and worse.checkpoint is None and not len(worse.figures)
    assert "did not help" in audit_page(whole, name="border", mended=[mended_chapter(worse, None, whole.called)])
    assert "audit/mended/reliance_max" not in metrics_of(audit, found, worse)


# ---- the classifier layer


def drawn_features(share: float, count: int = 400):
    """Two classes told by feature 0 with noise; feature 1 tells them too, in this share of the photos."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    signs = 2.0 * labels - 1
    features = torch.randn(count, 2, generator=generator) * torch.tensor([1.0, 0.1])
    features[:, 0] += signs
    agrees = torch.rand(count, generator=generator) < share
    features[:, 1] += torch.where(agrees, signs, -signs)
    return features, labels


def test_a_layer_unlearns_what_the_exchanged_photos_contradict():
    head = nn.Linear(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-0.2, -3.0], [0.2, 3.0]]))
        head.bias.zero_()
    new = fitted(head, *drawn_features(share=0.5), strength=0.001)
    before, after = (abs(layer.weight[1] - layer.weight[0]) for layer in (head, new))
    assert after[1] < 0.1 * before[1] and after[0] > 2 * before[0]
    assert not new.weight.requires_grad and head.weight.requires_grad


def test_a_strong_pull_leaves_the_layer_as_it_is():
    head = nn.Linear(2, 2)
    new = fitted(head, *drawn_features(share=0.5), strength=1e6)
    assert torch.allclose(new.weight, head.weight, atol=1e-3)


def small_network(folder) -> ImageClassifier:
    """Untrained, with a classifier layer that is not zero."""
    torch.manual_seed(0)
    model = ImageClassifier(
        classes=folder.classes, backbone="cnn", backbone_args={"filters": [4, 8]}, image_size=SIDE
    ).eval()  # fmt: skip
    return with_drawn_heads(model)


def test_mended_models_differ_in_their_layer_alone(folder):
    model = small_network(folder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    models = mended_models(model, folder, Augmentation(share=1.0), batch_size=16, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    head = single_head(model.network)
    own = {id(parameter) for parameter in head.parameters()}
    layers = {name for name, parameter in model.named_parameters() if id(parameter) in own}
    for mended in models:
        changed = {name for name, value in mended.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == layers
    images = folder.photos([0, 1], model.preprocessing)
    assert torch.equal(with_head(model, head)(images), model(images))
