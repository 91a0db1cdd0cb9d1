"""Whether a probability of 0.8 is right eight times in ten, and the one number that mends it.

A temperature divides the logits: it changes no decision, only how sure the model says it is (Guo et al. 2017).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

COLDEST, HOTTEST = 0.05, 20.0


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The loss of each photo."""
    scaled = np.asarray(logits, np.float64) / temperature
    return logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the smallest mean loss; the loss has one valley in log T, so a bounded search finds it.

    If no photo is wrong, every lower temperature is better and there is no minimum: photos without a mistake are no
    evidence that the model should be surer than it is, so temperatures below 1 are then left out.
    """
    if not len(labels):
        return 1.0
    faultless = bool((np.argmax(logits, axis=1) == labels).all())
    bounds = (0.0 if faultless else np.log(COLDEST), np.log(HOTTEST))
    search = minimize_scalar(
        lambda log_t: log_loss(logits, labels, np.exp(log_t)).mean(),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(search.x))
    no_better = log_loss(logits, labels, temperature).mean() >= log_loss(logits, labels).mean()
    return 1.0 if no_better else temperature


@dataclass(frozen=True)
class Reliability:
    """Mean confidence, share right and number of photos in each bin of confidence."""

    confidence: np.ndarray
    accuracy: np.ndarray
    photos: np.ndarray

    @property
    def error(self) -> float:
        """Mean distance of confidence from accuracy, weighted by photos."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.photos))


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> Reliability:
    """Photos by confidence in equal bins, and, as in torchmetrics, one more for full confidence."""
    confidence = probabilities.max(axis=1).astype(np.float32)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1, dtype=np.float32)
    bin_of_photo = np.searchsorted(edges, confidence, side="right") - 1
    photos = np.bincount(bin_of_photo, minlength=bins + 1)
    filled = np.maximum(photos, 1)
    return Reliability(
        confidence=np.bincount(bin_of_photo, weights=confidence, minlength=bins + 1) / filled,
        accuracy=np.bincount(bin_of_photo, weights=right, minlength=bins + 1) / filled,
        photos=photos,
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (l1), equal to torchmetrics' MulticlassCalibrationError."""
    return reliability(probabilities, labels, bins).error
