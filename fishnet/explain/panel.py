"""Which photos to show: the same few every epoch, and at the end those of each class that tell most."""

import numpy as np

from fishnet.measure.predictions import Predictions


def fixed_panel(rows: np.ndarray, labels: np.ndarray, photos: int) -> list[int]:
    """Rows spread over the classes, the same in every run on the same split: one of each class, then the next of each.

    With more classes than places, the classes shown are spread evenly over their list.
    """
    chance = np.random.default_rng(0)
    queues = [chance.permutation(rows[labels == label]).tolist() for label in np.unique(labels)]
    if len(queues) > photos:
        queues = [queues[place] for place in np.linspace(0, len(queues) - 1, photos).round().astype(int)]
    turns = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)][:photos]


def telling(predictions: Predictions, sure: np.ndarray, label: int, photos: int) -> list[int]:
    """Places of one class's surest right answers, then of its surest wrong ones; half each where there are enough."""
    own = np.flatnonzero(predictions.label == label)
    ranked = own[np.argsort(-sure[own], kind="stable")]
    hit = predictions.predicted[ranked] == label
    right, wrong = ranked[hit], ranked[~hit]
    rights = min(len(right), max(photos - photos // 2, photos - len(wrong)))
    return [*right[:rights].tolist(), *wrong[: photos - rights].tolist()]
