"""A classifier layer that is fitted: the optimum, whatever the rate, with the penalty that validation photos choose."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fishnet.data.loading import Known
from fishnet.errors import BadInput
from fishnet.models.logistic import PENALTIES, chosen, fitted


def known(classes: int, count: int = 120, seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    middles = np.random.default_rng(9).normal(size=(classes, 20)) * [5.0, *[0.2] * 19]
    features = (middles[labels] + rng.normal(size=(count, 20)) * [5.0, *[0.2] * 19] + 3).astype(np.float32)
    return Known(features, labels, np.ones(count))


@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_the_optimum_for_features_of_a_mean_variance_of_1(classes):
    learned = known(classes)
    ((_, layer),) = fitted(learned, classes, [0.01])
    unit = (learned.features - learned.features.mean(axis=0)) / learned.features.var(axis=0).mean() ** 0.5
    theirs = LogisticRegression(C=1 / (0.01 * 120), max_iter=5000, tol=1e-8).fit(unit, learned.labels)
    logits = learned.features @ layer.weight.T + layer.bias
    shares = torch.from_numpy(logits).softmax(dim=1).numpy()
    assert shares == pytest.approx(theirs.predict_proba(unit), abs=5e-3)


def test_the_penalty_is_that_of_the_least_loss_on_held_out_rows():
    learned, held_out = known(4, count=40), known(4, seed=1)
    penalty, layer = chosen(learned, held_out, 4)
    losses = {found: each.loss(held_out) for found, each in fitted(learned, 4, PENALTIES)}
    assert min(losses, key=losses.get) == pytest.approx(penalty) and layer.loss(held_out) == min(losses.values())
    assert PENALTIES[0] < penalty < PENALTIES[-1], "neither end: forty photos of twenty numbers overfit"


def test_rows_that_weigh_nothing_choose_nothing():
    learned, held_out = known(2), known(2, seed=1)._replace(weights=np.zeros(120))
    assert chosen(learned, held_out, 2)[1].loss(held_out) == pytest.approx(
        chosen(learned, held_out._replace(weights=np.ones(120)), 2)[1].loss(held_out)
    )
    with pytest.raises(BadInput, match="fewer than two classes"):
        next(fitted(learned._replace(weights=(learned.labels == 0).astype(float)), 2, [0.01]))


def test_weighed_rows_count_as_often_and_a_class_without_rows_is_never_answered():
    learned = known(3)
    twice = Known(*(np.concatenate([part, part[:30]]) for part in learned))
    weighed = learned._replace(weights=np.where(np.arange(120) < 30, 2.0, 1.0))
    (_, layer), (_, other) = (next(iter(fitted(rows, 5, [0.1]))) for rows in (twice, weighed))
    # the same but for the scale of features, which rows alone decide
    assert np.corrcoef(layer.weight[:3].ravel(), other.weight[:3].ravel())[0, 1] > 0.99
    assert (learned.features @ other.weight.T + other.bias).argmax(axis=1).max() < 3
