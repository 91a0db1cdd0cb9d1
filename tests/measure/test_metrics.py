"""One row a metric: its two ways of computing agree, its direction is known by any key, and asking costs no torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from fishnet.measure.metrics import METRICS, MONITORS, ClassCounts, direction, metric_collection, metric_of, shown_in

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
    labels, predicted = rng.integers(0, used, 200), rng.integers(0, used, 200)
    right = np.bincount(labels[labels == predicted], minlength=5)
    counts = ClassCounts(right, np.bincount(predicted, minlength=5), np.bincount(labels, minlength=5))
    theirs = metric_collection(5)
    theirs.update(torch.eye(5)[torch.from_numpy(predicted)], torch.from_numpy(labels))
    values = theirs.compute()
    for metric in METRICS:
        if metric.of_counts:
            assert metric.of_counts(counts) == pytest.approx(float(values[metric.name]), abs=1e-6), metric.name


def test_training_measures_no_calibration_and_validation_everything():
    assert set(metric_collection(2)) | {"loss"} == {monitor.removeprefix("val/") for monitor in MONITORS}
    assert set(metric_collection(2)) - set(metric_collection(2, training=True)) == {"calibration_error"}


def test_names_are_unique_and_what_is_logged_with_its_limits_can_have_some():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.of_counts for metric in shown_in("interval"))


def test_asking_for_a_direction_imports_neither_torch_nor_numpy():
    subprocess.run([sys.executable, "-c", BARE], check=True)
