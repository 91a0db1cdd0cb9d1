"""Predictions: every photo once, in the order of the index."""

import numpy as np
import torch

from fishnet.measure.predictions import gathered, on_cpu


def step(rows: list[int], dtype=torch.float32) -> dict:
    index = torch.tensor(rows, dtype=torch.long)
    logits = torch.stack([index, -index], dim=1).to(dtype)
    return on_cpu({"index": index, "label": index % 2, "logits": logits})


def test_sorted_by_row_and_repeats_left_out():
    found = gathered([step([5, 1]), step([3, 1])])
    assert found.index.tolist() == [1, 3, 5]
    assert found.label.tolist() == [1, 1, 1]
    assert found.logits[:, 0].tolist() == [1, 3, 5]
    assert found.logits.dtype == np.float64


def test_half_precision_logits_and_empty_batches():
    found = gathered([step([2, 4], torch.bfloat16), step([])])
    assert len(found) == 2
    assert found.predicted.tolist() == [0, 0]


def test_nothing_is_nothing():
    assert len(gathered([])) == 0
    assert len(gathered([step([])])) == 0


def test_temperature_changes_how_sure_not_what():
    found = gathered([step([1, 2])])
    cold, hot = found.probabilities(0.5), found.probabilities(5)
    assert (cold.argmax(1) == hot.argmax(1)).all()
    assert (cold.max(1) > hot.max(1)).all()
    assert np.allclose(hot.sum(1), 1)
