"""The metrics of a run, one row each: how a metric is computed, which way is better, its label, and where it is shown.

Adding a metric is adding a row to METRICS. What class counts tell is computed from them, epoch by epoch and in the
intervals of `intervals.py`; what they do not tell is measured by its torchmetrics class. This file imports neither
numpy nor torch before they are needed: configurations are checked against MONITORS, and runs are ranked by `direction`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torchmetrics import MetricCollection

View = Literal["epoch", "best", "interval", "compare"]


class ClassCounts(NamedTuple):
    """Photos predicted rightly, predicted as, and truly of each class; the last axis counts classes."""

    right: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        return _ratio(self.right, self.true)

    @property
    def f1(self) -> np.ndarray:
        return _ratio(2 * self.right, self.predicted + self.true)

    def macro(self, scores: np.ndarray) -> np.ndarray:
        """The mean over classes; a class neither true nor predicted is left out, as sklearn and torchmetrics do."""
        import numpy as np

        return scores.sum(axis=-1) / np.maximum((self.predicted + self.true > 0).sum(axis=-1), 1)

    def weighted(self, scores: np.ndarray) -> np.ndarray:
        """The mean over classes, each counted by its photos."""
        return (scores * self.true).sum(axis=-1) / self.true.sum(axis=-1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.divide(part, whole, out=np.zeros(part.shape, np.float64), where=whole > 0)


@dataclass(frozen=True)
class Metric:
    """A row of METRICS.

    Args:
        name: what follows `train/`, `val/` or `test/` in every tracker.
        label: the name for people.
        torchmetric: the class in `torchmetrics.classification` that measures the same; without one the classifier does.
        arguments: of that class, beside the number of classes.
        of_counts: the value from the counts of each class; None for what depends on more than the predicted classes,
            which the torchmetrics class measures.
        shown: the views it is part of: the line of an epoch (`epoch`), the `best/` metrics of a run (`best`), the
            limits that are logged beside a test value (`interval`), the table of `fishnet compare` (`compare`).
        lower_is_better: as for losses and errors.
        is_share: whether the value lies between 0 and 1.
    """

    name: str
    label: str
    torchmetric: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    of_counts: Callable[[ClassCounts], np.ndarray] | None = None
    shown: tuple[View, ...] = ()
    lower_is_better: bool = False
    is_share: bool = True


ALL: tuple[View, ...] = ("epoch", "best", "interval", "compare")
MACRO, WEIGHTED, MICRO = {"average": "macro"}, {"average": "weighted"}, {"average": "micro"}
# Accuracy is the plain share of photos; precision, recall and F1 say whether rare classes are served too.
METRICS = (
    Metric("loss", "loss", shown=("best",), lower_is_better=True, is_share=False),
    Metric("accuracy", "accuracy", "MulticlassAccuracy", MICRO, lambda c: c.right.sum(-1) / c.true.sum(-1), ALL),
    Metric("precision_macro", "precision", "MulticlassPrecision", MACRO, lambda c: c.macro(c.precision)),
    Metric("recall_macro", "recall", "MulticlassRecall", MACRO, lambda c: c.macro(c.recall)),
    Metric("f1_macro", "F1", "MulticlassF1Score", MACRO, lambda c: c.macro(c.f1), ALL),
    Metric("f1_weighted", "weighted F1", "MulticlassF1Score", WEIGHTED, lambda c: c.weighted(c.f1)),
    Metric(
        "calibration_error",
        "calibration error",
        "MulticlassCalibrationError",
        {"n_bins": 15},
        lower_is_better=True,
    ),
)

MONITORS = [f"val/{metric.name}" for metric in METRICS]  # what validation logs each epoch
GAN_MONITORS = ["val/kid"]  # of a GAN: how far its photos lie from held-out ones


def shown_in(view: View) -> list[Metric]:
    """The metrics that are part of a view, in the order of METRICS."""
    return [metric for metric in METRICS if view in metric.shown]


def metric_of(key: str) -> Metric | None:
    """The row behind a logged key such as `val/f1_macro`, `best/val_f1_macro` or `test/accuracy_low`, if it has one."""
    name = "" if "_class/" in key else key.rsplit("/", 1)[-1]  # of a class it is no word of ours
    return max((metric for metric in METRICS if metric.name in name), key=lambda m: len(m.name), default=None)


def direction(key: str) -> Literal["min", "max"]:
    """Whether a logged key is better when lower; one that is no metric of ours tells it by its name."""
    if "_class/" in key:
        return "max"
    metric = metric_of(key)
    lower = metric.lower_is_better if metric else any(word in key for word in ("loss", "error", "reliance", "kid"))
    return "min" if lower else "max"


def of_counts(counts: ClassCounts) -> dict[str, float]:
    """Every metric that class counts tell, by name."""
    return {metric.name: float(metric.of_counts(counts)) for metric in METRICS if metric.of_counts}


def beyond_counts(classes: int) -> MetricCollection:
    """The torchmetrics of what class counts do not tell, by name."""
    from torchmetrics import MetricCollection, classification

    return MetricCollection(
        {
            metric.name: getattr(classification, metric.torchmetric)(classes, **metric.arguments)
            for metric in METRICS
            if metric.torchmetric and not metric.of_counts
        }
    )
