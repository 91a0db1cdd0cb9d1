"""Calibration: equal to torchmetrics, and a temperature that is the best one."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torchmetrics.functional.classification import multiclass_calibration_error

from fishnet.measure.calibration import calibration_error, fit_temperature, log_loss, reliability


def drawn(photos: int, classes: int, sureness: float, seed: int = 0):
    """Labels drawn from known probabilities, and logits that overstate them `sureness` times."""
    chance = np.random.default_rng(seed)
    honest = chance.normal(size=(photos, classes)) * 1.5
    shares = softmax(honest, axis=1)
    labels = np.array([chance.choice(classes, p=share) for share in shares])
    return honest * sureness, labels


@pytest.mark.parametrize("classes", [2, 7])
@pytest.mark.parametrize("sureness", [0.5, 1.0, 4.0, 400.0])
def test_error_equals_torchmetrics(classes: int, sureness: float):
    logits, labels = drawn(500, classes, sureness)
    probabilities = softmax(logits, axis=1)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities).float(), torch.from_numpy(labels), num_classes=classes, n_bins=15
    )
    assert calibration_error(probabilities, labels) == pytest.approx(float(theirs), abs=1e-6)


def test_reliability_counts_every_photo_once():
    logits, labels = drawn(300, 3, 1000.0)
    assert reliability(softmax(logits, axis=1), labels).photos.sum() == 300


@pytest.mark.parametrize("sureness", [0.3, 1.0, 5.0])
def test_temperature_undoes_overstatement_and_no_other_is_better(sureness: float):
    logits, labels = drawn(4000, 4, sureness)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(sureness, rel=0.1)
    best = log_loss(logits, labels, temperature).mean()
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 400))
    assert best <= min(log_loss(logits, labels, other).mean() for other in grid) + 1e-9


def test_photos_without_a_mistake_give_no_licence_to_be_surer():
    labels = np.arange(20) % 4
    assert fit_temperature(np.eye(4)[labels], labels) == 1.0


def test_nothing_to_fit_on_leaves_the_logits_alone():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


def test_temperature_lowers_the_error_of_an_overconfident_model():
    logits, labels = drawn(3000, 5, 4.0)
    temperature = fit_temperature(logits, labels)
    before, after = (calibration_error(softmax(logits / t, axis=1), labels) for t in (1.0, temperature))
    assert after < before / 3
