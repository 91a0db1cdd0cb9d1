"""What each group of photos has counted, the metrics that follow, and groups drawn again."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from .metrics import METRICS, ClassCounts

MEMORY = 2_000_000  # numbers in one chunk of draws


def counts_of_groups(label: np.ndarray, predicted: np.ndarray, groups: np.ndarray, classes: int) -> sparse.csr_array:
    """A row a group: by class the photos right, then those predicted, then those true. Groups may be names."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    right = np.flatnonzero(label == predicted)
    rows = np.concatenate([group[right], group, group])
    columns = np.concatenate([label[right], classes + predicted, 2 * classes + label])
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(int(group.max()) + 1, 3 * classes))


def metrics_of_counts(counts: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Every metric of METRICS that follows from class counts, of each row of them."""
    of_classes = ClassCounts(*(counts[:, part * classes : (part + 1) * classes] for part in range(3)))
    return {metric.name: metric.of_counts(of_classes) for metric in METRICS if metric.of_counts}


def drawn_weights(groups: int, resamples: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """How much each group counts, a row a draw, in chunks that leave room for `width` numbers a draw.

    Weights are exponential (Rubin's Bayesian bootstrap): no group vanishes, nor does a class that has few of them.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, MEMORY // max(groups, width))
    for start in range(0, resamples, chunk):
        yield rng.standard_exponential((min(chunk, resamples - start), groups))


def error_of_draws(values: np.ndarray, groups: int) -> float:
    """The standard error of a value by its draws, made free of the bias that few groups give it."""
    return float(np.std(values)) * np.sqrt((groups + 1) / (groups - 1))
