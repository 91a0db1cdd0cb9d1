"""What is taken for what, and what that says about how alike the classes look to the model."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from .metrics import ClassCounts

FEWEST_GROUPS = 5  # of a class: with fewer, one animal more or less decides its figures
TOO_FEW = "too few to tell"
CLASS_METRICS = ("precision", "recall", "f1")  # properties of ClassCounts


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Photos by true class (rows) and predicted class (columns)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """The share of a class's photos predicted as each class; 0 for a class without photos."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def notes_on_classes(groups: np.ndarray) -> np.ndarray:
    """TOO_FEW for each class whose photos come from fewer groups than its figures need; empty for the others."""
    return np.where(groups < FEWEST_GROUPS, TOO_FEW, "")


def confused_pairs(matrix: np.ndarray, groups: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Pairs of classes by how many of their photos are taken for the other class; each direction has its columns.

    `groups`: of each class. A pair has a note where one of its two classes has too few.
    """
    photos = matrix.sum(axis=1)
    first, second = np.triu_indices(len(matrix), k=1)
    forth, back = matrix[first, second], matrix[second, first]
    table = pd.DataFrame(
        {
            "first": np.asarray(names, object)[first],
            "second": np.asarray(names, object)[second],
            "confused": forth + back,
            "share": (forth + back) / np.maximum(photos[first] + photos[second], 1),
            "first_as_second": forth,
            "first_as_second_share": forth / np.maximum(photos[first], 1),
            "second_as_first": back,
            "second_as_first_share": back / np.maximum(photos[second], 1),
            "note": notes_on_classes(np.minimum(groups[first], groups[second])),
        }
    )
    ranked = table[table.confused > 0].sort_values(["confused", "share"], ascending=False, kind="stable")
    return ranked.reset_index(drop=True)


def class_linkage(matrix: np.ndarray) -> np.ndarray:
    """Average linkage over 1 - similarity, similarity being the mean share of photos taken for the other class."""
    shares = row_shares(matrix)
    distance = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distance, 0)
    return linkage(squareform(distance, checks=False), method="average")


def merges(tree: np.ndarray, groups: np.ndarray, names: list[str]) -> pd.DataFrame:
    """The dendrogram as rows: which two classes or earlier merges join, at which distance, and who is then together.

    `groups`: of each class. A merge has a note where a class that joins by itself has too few.
    """
    titles, members = list(names), [[name] for name in names]
    notes = [*notes_on_classes(groups), *[""] * len(tree)]
    rows = []
    for number, (left, right, distance, _) in enumerate(tree, start=1):
        a, b = int(left), int(right)
        titles.append(f"merge {number}")
        members.append(members[a] + members[b])
        joined = len(members[-1]), " | ".join(members[-1])
        rows.append((number, titles[a], titles[b], distance, *joined, notes[a] or notes[b]))
    return pd.DataFrame(rows, columns=["merge", "left", "right", "distance", "classes", "members", "note"])


def classification_report(
    matrix: np.ndarray, groups: np.ndarray, names: list[str], limits: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """One row a class: precision, recall and F1, and how many photos and independent groups they rest on.

    `limits`: of each of the three, the two ends of its interval a class. Each figure's columns are followed by those
    of its ends; the last column has a note where a class has too few groups.
    """
    counts = ClassCounts(right=np.diag(matrix), predicted=matrix.sum(axis=0), true=matrix.sum(axis=1))
    table = pd.DataFrame({"class": names})
    for name in CLASS_METRICS:
        table[name] = getattr(counts, name)
        table[f"{name}_low"], table[f"{name}_high"] = limits[name].T
    return table.assign(photos=counts.true, groups=groups, note=notes_on_classes(groups))


def groups_of_classes(labels: np.ndarray, groups: np.ndarray, classes: int) -> np.ndarray:
    """How many different groups the photos of each class come from."""
    seen = pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique()
    return seen.reindex(range(classes), fill_value=0).to_numpy()


def readable(report: pd.DataFrame) -> str:
    """The report for reading: aligned columns, three digits, intervals in brackets where there are any."""
    table = report.get("class_name", report["class"]).to_frame("class")
    for name in CLASS_METRICS:
        texts = report[name].map("{:.3f}".format)
        ends = report[f"{name}_low"].map(" [{:.3f}, ".format) + report[f"{name}_high"].map("{:.3f}]".format)
        table[name] = texts + ends.where(report[f"{name}_low"].notna(), "")
    return table.join(report[["photos", "groups", "note"]]).to_string(index=False) + "\n"
