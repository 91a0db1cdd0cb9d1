"""Photos that lie among another class: likely wrong labels, ranked, and the list by which a training leaves them out.

A linear head answers each photo without having seen its group. The photo whose own class is furthest behind another is
the most suspicious. On drawn reefs with 3 % of the labels swapped this ranks better than the classes of nearest
neighbours and than the probabilities of a logistic regression (README of experiments/embed).
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from fishnet.audit.ridge import Head

from .neighbours import nearest

SHOWN = 5  # neighbours of a suspicious photo
# of the ridge: of 0.3 to 100 it finds the most swapped labels on drawn reefs (README of experiments/embed)
PENALTY = 2.0


def suspicion(answers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the best other class is ahead of each photo's own, and which class that is.

    Args:
        answers: (photos, classes) of a head that has not seen the photo.
        labels: the photos' own classes.
    """
    rows = np.arange(len(labels))
    others = answers.copy()
    others[rows, labels] = -np.inf
    best = others.argmax(axis=1)
    return others[rows, best] - answers[rows, labels], best


def suspects(
    table: pd.DataFrame, names: Sequence[str], labels: np.ndarray, answers: np.ndarray, neighbours: np.ndarray, *,
    folders: Collection[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The photos that another class claims, the most suspicious first, as `data.curation` of a training takes them.

    A photo most of whose neighbours are of the claiming class, too, is to be relabelled, any other is to be dropped,
    and so is one whose claiming class is no folder that it could be moved to (`not perch`, where one class is
    positive): `action` and `value` say so. `by` is by how much the other class is ahead, `neighbours` are the nearest
    photos of other groups.

    Args:
        table: path, sha256 of each photo.
        names: of the classes.
        labels: the photos' classes.
        answers: (photos, classes) of a head that has not seen the photo.
        neighbours: positions of the nearest photos of other groups, -1 where there are none.
        folders: the classes that a photo can be relabelled to; by default all of the names.
    """
    ahead, best = suspicion(answers, labels)
    claimed = np.flatnonzero(ahead > 0)
    order = claimed[np.argsort(-ahead[claimed], kind="stable")]
    paths, digests = table["path"].to_numpy(object), table["sha256"].to_numpy(object)
    near = [[position for position in neighbours[row].tolist() if position >= 0] for row in order]
    agree = np.array([sum(labels[at] == best[row] for at in ats) for row, ats in zip(order, near, strict=True)], int)
    among = np.array([len(ats) for ats in near], int)
    claiming = np.array(names, object)[best[order]]
    movable = np.array([folders is None or name in folders for name in claiming], bool)
    relabel = (2 * agree > among) & movable
    return pd.DataFrame(
        {
            "path": paths[order],
            "sha256": digests[order],
            "action": np.where(relabel, "relabel", "drop"),
            "value": np.where(relabel, claiming, ""),
            "note": [
                f"lies among {name}: {count} of {of} neighbours"
                for name, count, of in zip(claiming, agree, among, strict=True)
            ],
            "class": np.array(names, object)[labels[order]],
            "claimed_by": claiming,
            "by": ahead[order].round(4),
            "neighbours": [" | ".join(paths[at] for at in ats[:SHOWN]) for ats in near],
        }
    )


def suspicious_labels(table: pd.DataFrame, features: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """The list of `suspects` for photos of which only features and groups are known.

    Args:
        table: path, sha256 and class of each photo.
        features: (photos, numbers).
        groups: of each photo; at least two.
    """
    names, labels = np.unique(table["class"].astype(str), return_inverse=True)
    blocks = np.unique(groups, return_inverse=True)[1]
    answers = Head.fitted(features.astype(np.float64), labels, PENALTY).without(blocks)
    return suspects(table, names.tolist(), labels, answers, nearest(features, blocks, SHOWN)[0])
