"""What other checkers of data would say, from their published descriptions; none of them is imported or copied.

- cleanlab (documentation of Datalab's issue types, version 2.7, and Northcutt, Jiang, Chuang, JAIR 2021). The class
  imbalance issue: the rarest class has less than `threshold`, by default 0.1, of what an even share would be; the
  documentation says that the share must be "much lower than the inverse of the number of classes". Label issues: the
  off-diagonal of the confident joint, where a photo counts for the class of highest probability among those that it
  has at least the class's own mean probability for. Which of these are then pruned, and how the joint is calibrated,
  is left out. How many there must be for a folder to be called bad is nowhere said: any one counts here.
- deepchecks (documentation of Property Label Correlation, which names the predictive power score of 8080 Labs, whose
  README has the formula): a decision tree on a single property, weighted F1 in four stratified folds, from that of the
  commonest class to 1. The threshold is the user's to choose: 0.1 is asked for, and 0.5 as in its gallery. Its default
  properties of images are brightness, aspect ratio, area, RMS contrast and mean relative intensity of red, green and
  blue; aspect ratio and area are left out, for drawn photos are of one size.
- ShortKit-ML (documentation, "Probe-based Detection", "Benchmark Methods"): a logistic regression on embeddings with a
  fifth of the photos held out; a shortcut is there if F1 is above a threshold, taken as 0.7 here. F1 is that of one
  group, the one coded 1, which is the rarer or the commoner by accident of the coding; with several groups the
  documentation does not say which mean is taken, so two groups are asked for. The split ignores groups.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.tree import DecisionTreeClassifier


def is_imbalanced(label: np.ndarray, threshold: float = 0.1) -> bool:
    """cleanlab: whether the rarest class is far rarer than an even share."""
    counts = np.bincount(label)
    return bool(counts.min() / counts.sum() < threshold / len(counts))


def is_label_issue(label: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """cleanlab: photos off the diagonal of the confident joint; the probabilities are out of sample."""
    own = np.array([probabilities[label == name, name].mean() for name in range(probabilities.shape[1])])
    confident = np.where(probabilities >= own, probabilities, -1.0)
    return (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != label)


def predictive_power(values: np.ndarray, label: np.ndarray) -> float:
    """deepchecks: the predictive power score of a single property."""
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    predicted = cross_val_predict(DecisionTreeClassifier(random_state=0), values[:, None], label, cv=folds)
    naive = f1_score(label, np.full_like(label, np.bincount(label).argmax()), average="weighted", zero_division=0)
    return float(max(0, (f1_score(label, predicted, average="weighted") - naive) / (1 - naive)))


def properties(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """deepchecks' default properties that photos of one size can differ in, from (n, side, side, 3) bytes."""
    values = pixels.astype(np.float32)
    grey = values @ np.array([0.299, 0.587, 0.114], np.float32)
    share = values / np.maximum(values.sum(axis=3, keepdims=True), 1)
    colours = {
        f"mean {name}": share[..., channel].mean(axis=(1, 2)) for channel, name in enumerate(("red", "green", "blue"))
    }
    return {"brightness": grey.mean(axis=(1, 2)), "contrast": grey.std(axis=(1, 2)), **colours}


def probe_f1(values: np.ndarray, coded_one: np.ndarray, seed: int = 42) -> float:
    """ShortKit-ML: F1 of the group coded 1, by a logistic regression, on a fifth of the photos."""
    fitted, unseen, truth, expected = train_test_split(values, coded_one, test_size=0.2, random_state=seed)
    return float(f1_score(expected, LogisticRegression(max_iter=1000).fit(fitted, truth).predict(unseen)))
