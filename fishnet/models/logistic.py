"""A classifier layer that is the optimum of its loss: logistic regression on features, with the penalty that validation
photos choose. There is no rate to choose and no epoch to stop at."""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from fishnet.data.loading import Known
from fishnet.errors import BadInput

log = logging.getLogger("fishnet")

PENALTIES = tuple(10.0**power for power in np.arange(-5, 0.6, 0.5))  # of a photo's loss, for weights of unit features
STEPS = 2000  # of L-BFGS, at most


class Layer(NamedTuple):
    """Weight and bias of a classifier layer, for features as they come."""

    weight: np.ndarray
    bias: np.ndarray

    def into(self, layer: nn.Linear) -> None:
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))

    def loss(self, known: Known) -> float:
        """Mean cross-entropy by weight, or plain where all weigh nothing."""
        logits = torch.from_numpy(known.features @ self.weight.T + self.bias)
        losses = nn.functional.cross_entropy(logits, torch.from_numpy(known.labels), reduction="none").numpy()
        return float(np.average(losses, weights=known.weights if known.weights.any() else None))


def fitted(known: Known, classes: int, penalties: Iterable[float]) -> Iterator[tuple[float, Layer]]:
    """The optimum for each penalty, the largest first, each from the one before.

    Args:
        known: with a row of two classes or more that weighs something, or BadInput; a class without rows is never
            answered.
        classes: how many the layer tells apart.
        penalties: the weights' squares count so much beside the mean loss, over features whose mean variance is 1. All
            are divided by one number: each by its own spread would make much of those that hardly ever say anything.
    """
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(known.labels[known.weights > 0])) < 2:
        raise BadInput(
            "model.head=logistic: the training photos that weigh more than nothing are of fewer than two classes."
        )
    mean, spread = known.features.mean(axis=0), float(known.features.var(axis=0).mean()) ** 0.5 + 1e-6
    unit, total = (known.features - mean) / spread, float(known.weights.sum())
    regression = LogisticRegression(max_iter=STEPS, warm_start=True)
    for penalty in sorted(penalties, reverse=True):
        regression.set_params(C=1 / (penalty * total)).fit(unit, known.labels, sample_weight=known.weights)
        weight = np.zeros((classes, unit.shape[1]), np.float32)
        bias = np.full(classes, -1e4, np.float32)
        own, constant = regression.coef_, regression.intercept_
        if len(own) == 1:  # of two classes: how far the second is ahead
            own, constant = np.concatenate([-own, own]) / 2, np.concatenate([-constant, constant]) / 2
        weight[regression.classes_] = own / spread
        bias[regression.classes_] = constant - (own / spread) @ mean
        yield penalty, Layer(weight, bias)


def chosen(known: Known, held_out: Known, classes: int) -> tuple[float, Layer]:
    """The penalty with the least loss on held-out rows, and its layer; of penalties as good the largest."""
    best = min(
        ((layer.loss(held_out), -penalty, layer) for penalty, layer in fitted(known, classes, PENALTIES)),
        key=lambda found: found[:2],
    )
    return -best[1], best[2]
