"""Whether the classes can be told apart by these vectors at all, before a network is trained, in numbers.

Three questions: do the photos fall into the classes by themselves (k-means, silhouette), does a photo's neighbourhood
know its class (nearest neighbours), and what is that worth for animals that were never photographed (the same without
the photo's own group)?
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from fishnet.audit.ridge import Head
from fishnet.measure.confusions import confused_pairs, confusion_matrix
from fishnet.measure.intervals import Interval, intervals
from fishnet.measure.predictions import Predictions

from .neighbours import nearest, vote_shares
from .plane import principal_components
from .suspects import PENALTY

NEIGHBOURS = 5
MOST_SILHOUETTE = 5000  # photos: its distances are all pairs


@dataclass(frozen=True, eq=False)
class Feasibility:
    """What was measured. Positions are those of the vectors.

    Args:
        figures: each with its interval, or NaN where none is known.
        clusters: photos by class (rows) and by the cluster that fits each class best (columns).
        answers: (photos, classes) of a linear head that knows no photo of the same group.
        confusions: photos by class and by the class that most of their neighbours in other groups have.
        neighbours: positions of each photo's nearest in other groups, -1 where there are too few.
    """

    figures: dict[str, Interval]
    clusters: np.ndarray
    answers: np.ndarray
    confusions: np.ndarray
    neighbours: np.ndarray

    def overlapping(self, groups: np.ndarray, names: list[str]) -> pd.DataFrame:
        """Pairs of classes by how many photos lie among the other's; `groups`: of each class."""
        return confused_pairs(self.confusions, groups, names)


def feasibility(values: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int) -> Feasibility:
    """Measure vectors of at least two classes and two groups.

    Args:
        values: (photos, numbers).
        labels: 0 to the number of classes, each with a photo.
        groups: a number for each photo; photos of a subject share it.
        seed: of k-means, and of the photos that the silhouette draws.
    """
    alone, classes = np.arange(len(values)), int(labels.max()) + 1

    def accuracy(scores: np.ndarray) -> Interval:
        return intervals(Predictions(alone, labels, scores), groups, classes)["accuracy"]

    positions = nearest(values, groups, NEIGHBOURS)[0]
    votes = vote_shares(positions, labels, classes)
    answers = Head.fitted(values.astype(np.float64), labels, PENALTY).without(groups)
    components, _ = principal_components(values, seed)
    clusters = KMeans(classes, n_init=10, random_state=seed).fit_predict(components)
    matched = matched_clusters(labels, clusters, classes)
    figures = {
        "knn": accuracy(votes),
        "knn_ungrouped": accuracy(vote_shares(nearest(values, alone, NEIGHBOURS)[0], labels, classes)),
        "linear": accuracy(answers),
        "matched": _plain(np.trace(matched) / matched.sum()),
        "ari": _plain(adjusted_rand_score(labels, clusters)),
        "nmi": _plain(normalized_mutual_info_score(labels, clusters)),
        "silhouette": _plain(silhouette_of(components, labels, seed)),
    }
    return Feasibility(figures, matched, answers, confusion_matrix(labels, votes.argmax(axis=1), classes), positions)


def _plain(value: float) -> Interval:
    return Interval(float(value), float("nan"), float("nan"))


def silhouette_of(components: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """Over the photos, or so many of them as are affordable; NaN where each is alone in its class, and has no other
    photo to be near to."""
    drawn = np.arange(len(labels))
    if len(labels) > MOST_SILHOUETTE:
        drawn = np.random.default_rng(seed).choice(len(labels), MOST_SILHOUETTE, replace=False)
    classes = len(np.unique(labels[drawn]))
    return silhouette_score(components[drawn], labels[drawn]) if 1 < classes < len(drawn) else float("nan")


def matched_clusters(labels: np.ndarray, clusters: np.ndarray, classes: int) -> np.ndarray:
    """The confusions of classes and clusters, each cluster in the column of the class that it is matched to so that the
    most photos lie on the diagonal (Kuhn 1955); a class without a cluster has an empty column."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, clusters), 1)
    rows, columns = linear_sum_assignment(-counts)
    matched = np.zeros_like(counts)
    matched[:, rows] = counts[:, columns]
    return matched
