"""A folder's photos as points, with what was measured on them: what the verb keeps, the pictures and the page show."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fishnet.data.conditions import whole_groups
from fishnet.data.folder import PhotoFolder
from fishnet.measure.intervals import Interval

from .feasibility import NEIGHBOURS, Feasibility, feasibility
from .plane import Planes
from .suspects import suspects
from .vectors import Vectors

FEWEST = 3  # photos, without which there is no plane


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points and figures.

    Args:
        folder: of the photos.
        vectors: of those photos that are points.
        planes: their places.
        measured: positions of the points that figures are measured on: those whose labels the network has not learned.
        found: the figures; None where fewer than two classes or groups are left.
    """

    folder: PhotoFolder
    vectors: Vectors
    planes: Planes
    measured: np.ndarray
    found: Feasibility | None

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a point: what the index knows of the photo."""
        return self.folder.table.iloc[self.vectors.rows].reset_index(drop=True)

    @cached_property
    def names(self) -> list[str]:
        """Of the classes of all points, in the order of `labels`."""
        return [self.folder.classes[label] for label in np.unique(self.table["label"])]

    @cached_property
    def shown_names(self) -> list[str]:
        """What people call these classes."""
        return [self.folder.names.full(name) for name in self.names]

    @cached_property
    def labels(self) -> np.ndarray:
        return np.unique(self.table["label"], return_inverse=True)[1]

    @cached_property
    def measured_names(self) -> list[str]:
        """Of the classes that figures were measured for."""
        return [self.names[label] for label in np.unique(self.labels[self.measured])]

    @cached_property
    def suspects(self) -> pd.DataFrame:
        """Likely wrong labels, the likeliest first; empty where nothing was measured."""
        if self.found is None:
            return pd.DataFrame(columns=["path", "sha256", "action", "value", "note", "class", "claimed_by", "by"])
        labels = np.unique(self.labels[self.measured], return_inverse=True)[1]
        points = self.table.iloc[self.measured]
        folders = self.folder.source.counts()
        return suspects(points, self.measured_names, labels, self.found.answers, self.found.neighbours, folders=folders)

    @cached_property
    def overlaps(self) -> pd.DataFrame:
        """Pairs of classes whose photos lie among each other, the most entangled first."""
        assert self.found is not None
        points = self.table.iloc[self.measured]
        groups = points.groupby("label")["group"].nunique().to_numpy()
        return self.found.overlapping(groups, self.measured_names)

    def point_table(self) -> pd.DataFrame:
        """A row a point: path, class, group, and two columns for each method."""
        known = [column for column in ("path", "class", "group", "sha256", "seen") if column in self.table]
        places = {
            f"{method}_{axis}": place[:, number].round(5)
            for method, place in self.planes.places.items()
            for number, axis in enumerate("xy")
        }
        return self.folder.names.beside(self.table[known].assign(**places), {"class": "class_name"})

    def figures(self) -> pd.DataFrame:
        """A row a figure, with its interval and what it says."""
        found: dict[str, Interval] = {} if self.found is None else self.found.figures
        rows = [(name, *found[name], WORDS[name]) for name in WORDS if name in found]
        return pd.DataFrame(rows, columns=["figure", "value", "low", "high", "says"])

    def metrics(self) -> dict[str, float]:
        """Names as in MLflow."""
        found: dict[str, Interval] = {} if self.found is None else self.found.figures
        counts = {"embed/photos": float(len(self.table)), "embed/suspects": float(len(self.suspects))}
        return counts | {f"embed/{name}": interval.value for name, interval in found.items()}


WORDS = {
    "knn": f"accuracy of the {NEIGHBOURS} nearest photos of other groups: what neighbours know of new animals",
    "knn_ungrouped": f"accuracy of the {NEIGHBOURS} nearest of all photos: what a split by photo would promise",
    "linear": "accuracy of a linear head that has seen no photo of the same group",
    "matched": "share of the photos in the k-means cluster that fits their class best",
    "ari": "agreement of the k-means clusters with the classes (adjusted Rand; 0 chance, 1 the same)",
    "nmi": "what clusters and classes know of each other (normalised mutual information; 0 nothing, 1 all)",
    "silhouette": "how much nearer a photo is to its own class than to the next one (-1 to 1)",
}


def measured_positions(folder: PhotoFolder, vectors: Vectors) -> np.ndarray:
    """Positions of the points that were not learned from; none where these are of one class or one group."""
    positions = np.flatnonzero(~vectors.learned)
    table = folder.table.iloc[vectors.rows[positions]]
    enough = table["label"].nunique() > 1 and table["group"].nunique() > 1
    return positions if enough else positions[:0]


def measure(folder: PhotoFolder, vectors: Vectors, positions: np.ndarray, *, seed: int) -> Feasibility | None:
    """The figures of these points; None where there are none."""
    if not len(positions):
        return None
    table = folder.table.iloc[vectors.rows[positions]]
    labels = np.unique(table["label"], return_inverse=True)[1]
    groups = np.unique(table["group"], return_inverse=True)[1]
    return feasibility(vectors.values[positions], labels, groups, seed=seed)


def drawn_rows(folder: PhotoFolder, most: int) -> np.ndarray:
    """Rows of the folder's table, at most so many: whole groups drawn by lot where there are more."""
    groups = np.unique(folder.table["group"], return_inverse=True)[1]
    return whole_groups(groups, most)
