"""One row a metric: its two ways of computing agree, its direction is known by any key, and asking costs no torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torchmetrics import classification

from fishnet.measure.metrics import (
    METRICS,
    MONITORS,
    ClassCounts,
    beyond_counts,
    direction,
    metric_of,
    of_counts,
    shown_in,
)  # fmt: skip
from fishnet.measure.running import RunningCounts, RunningLoss

BARE = """
import sys
from fishnet.measure.metrics import MONITORS, direction
assert direction("val/loss") == "min" and "val/f1_macro" in MONITORS
assert not {"torch", "torchmetrics", "numpy"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("monitor", "way"), [("val/loss", "min"), ("val/calibration_error", "min"), ("val/f1_macro", "max")]
)
def test_losses_and_errors_are_minimised(monitor, way):
    assert direction(monitor) == way


@pytest.mark.parametrize(
    ("key", "name", "way"),
    [
        ("best/val_loss", "loss", "min"),
        ("train/loss", "loss", "min"),
        ("test/loss_scaled", "loss", "min"),
        ("test/calibration_error_scaled", "calibration_error", "min"),
        ("best/val_f1_macro", "f1_macro", "max"),
        ("test/accuracy_low", "accuracy", "max"),
        ("val/f1_weighted", "f1_weighted", "max"),
        ("val_class/perch_f1", None, "max"),
        ("val_class/lossy-kid_f1", None, "max"),
        ("time/images_per_second", None, "max"),
        ("val/squared_error", None, "min"),
    ],
)
def test_a_logged_key_leads_to_its_metric_and_direction(key, name, way):
    metric = metric_of(key)
    assert (metric.name if metric else None) == name
    assert direction(key) == way


@pytest.mark.parametrize("used", [5, 3])
def test_the_value_from_counts_is_that_of_torchmetrics(used):
    rng = np.random.default_rng(0)
    labels, predicted = torch.from_numpy(rng.integers(0, used, (2, 200)))
    running, logits = RunningCounts(5), torch.eye(5)[predicted]
    for part in (slice(0, 64), slice(64, 200)):
        running.update(logits[part], labels[part])
    counts = running.class_counts()
    assert (counts.true == np.bincount(labels, minlength=5)).all() and counts.right.sum() == (labels == predicted).sum()
    for metric in METRICS:
        if metric.of_counts:
            theirs = getattr(classification, metric.torchmetric)(5, **metric.arguments)(logits, labels)
            assert of_counts(counts)[metric.name] == pytest.approx(float(theirs), abs=1e-6), metric.name
    by_class = classification.MulticlassF1Score(5, average="none")(logits, labels)
    assert counts.f1 == pytest.approx(by_class.numpy(), abs=1e-6)
    running.reset()
    assert not running.compute().any()


def test_the_running_loss_is_the_mean_over_photos():
    loss = RunningLoss()
    loss.update(torch.tensor(1.0), 30)
    loss.update(torch.tensor(4.0), 10)
    assert float(loss.compute()) == pytest.approx(1.75) and loss.counted == 40
    loss.reset()
    loss.update(torch.tensor(float("nan")), 1)
    assert np.isnan(float(loss.compute())), "what is no number is not passed over"


def test_counts_and_the_rest_are_all_metrics():
    assert {*of_counts(ClassCounts(*np.ones((3, 2)))), *beyond_counts(2), "loss"} == {
        monitor.removeprefix("val/") for monitor in MONITORS
    }
    assert set(beyond_counts(2)) == {"calibration_error"}


def test_names_are_unique_and_what_is_logged_with_its_limits_can_have_some():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.of_counts for metric in shown_in("interval"))


def test_asking_for_a_direction_imports_neither_torch_nor_numpy():
    subprocess.run([sys.executable, "-c", BARE], check=True)
