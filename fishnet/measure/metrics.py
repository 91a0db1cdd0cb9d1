"""The figures every stage reports: one collection, cloned by prefix, right under several processes."""

from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)


def figures(classes: int, *, calibration: bool = True) -> MetricCollection:
    """Accuracy is the plain share of photos; the rest says whether rare classes are served too."""
    collection: dict[str, Metric | MetricCollection] = {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "precision_macro": MulticlassPrecision(classes, average="macro"),
        "recall_macro": MulticlassRecall(classes, average="macro"),
        "f1_macro": MulticlassF1Score(classes, average="macro"),
        "f1_weighted": MulticlassF1Score(classes, average="weighted"),
    }
    if calibration:
        collection["calibration_error"] = MulticlassCalibrationError(classes, n_bins=15)
    return MetricCollection(collection)


def class_figures(classes: int) -> MetricCollection:
    """One F1 a class, kept apart because its keys carry the class and not the stage's usual names."""
    return MetricCollection({"f1": MulticlassF1Score(classes, average="none")})
