"""Photos that look like none of the classes are told from those that do; what tells them is kept with the model."""

import pytest
import torch

from fishnet.errors import BadInput
from fishnet.models.bundle import read_bundle, write_bundle
from fishnet.models.familiarity import Familiarity
from tests.models.test_bundle import drawn_model

CLASSES, FEATURES = 4, 60


def clouds(middles: torch.Tensor, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features around the middles, and the number of the middle of each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(middles)).repeat_interleave(count)
    return middles[labels] + torch.randn(len(labels), FEATURES, generator=generator), labels


@pytest.fixture(scope="module")
def fitted() -> tuple[Familiarity, torch.Tensor, torch.Tensor]:
    middles = 4 * torch.randn(CLASSES + 1, FEATURES, generator=torch.Generator().manual_seed(0))
    features, labels = clouds(middles[:CLASSES], 80, 1)
    weight = middles[:CLASSES] / 8
    validation, _ = clouds(middles[:CLASSES], 60, 2)
    return Familiarity.fitted(features, labels, validation, validation @ weight.T), weight, middles


def test_a_cloud_that_nobody_has_seen_is_strange_and_known_ones_are_not(fitted):
    familiarity, weight, middles = fitted
    known, _ = clouds(middles[:CLASSES], 100, 3)
    unknown, _ = clouds(middles[CLASSES:], 100, 4)
    assert familiarity.is_strange(unknown, unknown @ weight.T).float().mean() > 0.9
    assert familiarity.is_strange(known, known @ weight.T).float().mean() < 0.12


def test_the_share_of_known_photos_that_are_called_strange_is_the_promised_one(fitted):
    familiarity, weight, middles = fitted
    known, _ = clouds(middles[:CLASSES], 2000, 5)
    assert familiarity.is_strange(known, known @ weight.T).float().mean() == pytest.approx(0.05, abs=0.035)


def test_a_class_with_few_validation_photos_takes_the_threshold_of_all():
    features, labels = torch.randn(60, FEATURES), torch.arange(2).repeat_interleave(30)
    logits = torch.tensor([[3.0, 0.0]] * 30 + [[0.0, 3.0]] * 5)
    found = Familiarity.fitted(features, labels, torch.randn(35, FEATURES), logits)
    strangeness = found.strangeness(torch.randn(3, FEATURES), logits[:3])
    assert found.thresholds[0] != found.thresholds[1] and strangeness.isfinite().all()


def test_it_travels_in_a_bundle(tmp_path):
    model = drawn_model()
    features = model.network.head.in_features
    rows, labels = torch.randn(90, features), torch.arange(3).repeat(30)
    model.familiarity = Familiarity.fitted(rows, labels, rows, rows[:, :3])
    write_bundle(model, tmp_path / "fish", about={})
    read = read_bundle(tmp_path / "fish").model.familiarity
    assert torch.equal(read.strangeness(rows, rows[:, :3]), model.familiarity.strangeness(rows, rows[:, :3]))


@pytest.mark.parametrize("missing", ["basis", "thresholds"])
def test_a_part_of_it_is_refused(tmp_path, missing, monkeypatch):
    model = drawn_model()
    rows = torch.randn(90, model.network.head.in_features)
    model.familiarity = Familiarity.fitted(rows, torch.arange(3).repeat(30), rows, rows[:, :3])
    state = {name: value for name, value in model.familiarity.state().items() if name != missing}
    monkeypatch.setattr(Familiarity, "state", lambda self: state)
    write_bundle(model, tmp_path / "fish", about={})
    with pytest.raises(BadInput, match="strange photos"):
        read_bundle(tmp_path / "fish")


def test_covariances_that_are_none_are_refused(tmp_path, monkeypatch):
    model = drawn_model()
    rows = torch.randn(90, model.network.head.in_features)
    model.familiarity = Familiarity.fitted(rows, torch.arange(3).repeat(30), rows, rows[:, :3])
    state = model.familiarity.state() | {"within": -model.familiarity.within}
    monkeypatch.setattr(Familiarity, "state", lambda self: state)
    write_bundle(model, tmp_path / "fish", about={})
    with pytest.raises(BadInput, match="covariance"):
        read_bundle(tmp_path / "fish")
