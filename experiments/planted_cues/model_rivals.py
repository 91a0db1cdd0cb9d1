"""Other ways to suspect a class of a trained model, each a figure a class: higher is more suspicious.

They are written from published descriptions; none is imported or copied. Where a method ends with a person who looks,
the person is replaced by a figure, which is said. Nobody publishes thresholds for them, so the bench gives each the
threshold that fits the very folders it is measured on: the lowest with which at most a tenth of the clean ones alarm.

- `red_outside`: Grad-CAM read by somebody who knows where every animal is: the mean share of a class's evidence that
  lies outside the true masks.
- `map_clusters`: after SpRAy (Lapuschkin and others, Nature Communications 2019): a class's maps as a graph of nearest
  neighbours; the largest step between neighbouring eigenvalues of its Laplacian, which says how clearly the maps fall
  into groups. The person who looks at the groups is left out.
- `neural_pca`: after Neuhaus and others, ICCV 2023: components of a class's weighted features; the most two-humped of
  the first five, by the bimodality coefficient. The person who looks at each component's photos is left out.
- `blind_spots`: after PlaneSpot (Plumb and others, TMLR 2023): a mixture of Gaussians over a plane of the features and
  the confidence; the most errors, weighed by their share, in a group. The plane is that of principal components here.
- `property`: deepchecks' Property Label Correlation, the class against all others (see `rivals`).
- `label_issues`: cleanlab's, as a share of the photos that are labelled so (see `rivals`).
- `errors`: the share of the class's unseen photos that are mistaken.
"""

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import kneighbors_graph

from . import rivals

NEIGHBOURS, EIGENVALUES, COMPONENTS, GROUPS = 10, 8, 5, 6


def suspicions(
    pixels: np.ndarray,
    fish: np.ndarray,
    labels: np.ndarray,
    maps: np.ndarray,
    features: np.ndarray,
    weight: np.ndarray,
    probabilities: np.ndarray,
) -> dict[str, np.ndarray]:
    """What each way says of each class, from photos that the model was not trained on.

    Args:
        pixels: (n, side, side, 3) bytes.
        fish: (n, side, side), true where the animal is.
        labels: the class of each photo.
        maps: (n, rows, columns), each photo's evidence for its own class.
        features: (n, channels), before the classifier.
        weight: (classes, channels), of the classifier.
        probabilities: (n, classes).
    """
    wrong = probabilities.argmax(axis=1) != labels
    outside = evidence_outside(maps, fish)
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    looks = rivals.properties(pixels)
    issues = rivals.is_label_issue(labels, probabilities)
    for c in range(len(weight)):
        own = labels == c
        found["red_outside"].append(outside[own].mean())
        found["map_clusters"].append(largest_step(maps[own].reshape(own.sum(), -1)))
        found["neural_pca"].append(most_humped(features[own] * weight[c]))
        found["blind_spots"].append(worst_group(features[own], probabilities[own].max(axis=1), wrong[own]))
        found["property"].append(max(rivals.predictive_power(values, own.astype(int)) for values in looks.values()))
        found["label_issues"].append(issues[own].mean())
        found["errors"].append(wrong[own].mean())
    return {name: np.array(values) for name, values in found.items()}


NAMES = ("red_outside", "map_clusters", "neural_pca", "blind_spots", "property", "label_issues", "errors")


def evidence_outside(maps: np.ndarray, fish: np.ndarray) -> np.ndarray:
    """(n,): the share of each map's evidence that lies outside the animal."""
    side, cells = fish.shape[-1], maps.shape[-1]
    inside = fish.reshape(len(fish), cells, side // cells, cells, side // cells).mean(axis=(2, 4))
    red = maps.clip(min=0)
    return (red * (1 - inside)).sum(axis=(1, 2)) / red.sum(axis=(1, 2)).clip(min=1e-9)


def largest_step(rows: np.ndarray) -> float:
    """Between neighbouring ones of the first eigenvalues of the rows' graph of nearest neighbours."""
    joined = kneighbors_graph(rows, min(NEIGHBOURS, len(rows) - 1), include_self=False)
    joined = joined.maximum(joined.T).toarray()
    degree = joined.sum(axis=1)
    laplacian = np.eye(len(rows)) - joined / np.sqrt(np.outer(degree, degree))
    values = np.linalg.eigvalsh(laplacian)[: EIGENVALUES + 1]
    return float(np.diff(values)[1:].max())  # the first step parts one group from two: any set has it


def most_humped(contributions: np.ndarray) -> float:
    """The bimodality coefficient of the component that has most of it: 1/3 for a bell, 5/9 for a flat one."""
    scores = PCA(COMPONENTS, random_state=0).fit_transform(contributions)
    return float(((stats.skew(scores) ** 2 + 1) / stats.kurtosis(scores, fisher=False)).max())


def worst_group(features: np.ndarray, confidence: np.ndarray, wrong: np.ndarray) -> float:
    """Errors of the group that has most of them, times their share of it, per photo of the class."""
    plane = PCA(2, random_state=0).fit_transform(features)
    seen = np.column_stack([stats.zscore(plane, axis=0), stats.zscore(confidence)])
    group = GaussianMixture(GROUPS, reg_covar=1e-3, random_state=0).fit_predict(np.nan_to_num(seen))
    return max(wrong[group == g].sum() * wrong[group == g].mean() for g in np.unique(group)) / len(wrong)
