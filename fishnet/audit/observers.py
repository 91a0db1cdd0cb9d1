"""How much of a class's recall hangs on the photos of one person: the closed form of leaving each observer out in turn.

A person's photos share a camera, a place and a habit. If a class is recognised in them only as long as others of the
same person are known, it is the person that is recognised. So a linear head on stored features is asked for each photo
twice: without this photo (or its group), and without all photos of its observer.
"""

import functools

import numpy as np
import pandas as pd

from fishnet.models.features import has_features, unlearned_features
from fishnet.page.page import Chapter, prose

from .ridge import MOST, PENALTY, Head
from .sections import Audited, Section

COLUMNS = ("class", "observer", "photos", "share", "recall", "recall_without", "hangs")
SHOWN = 10  # rows of the page; all are in observers.csv
FEWEST = 10  # photos whose observer is known

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def observers_section(audited: Audited) -> Section | None:
    """observers.csv with the columns of `observer_shares`, its first rows as a chapter, and the largest share of a
    class's recall that hangs on one person, `audit/observer_max`.

    None where the manifest names fewer than two observers, where few photos that the backbone has not learned by have
    one, or where the network has no features. Photos of a group are left out together, so that what hangs on a person
    is not what hangs on an animal.
    """
    photos = audited.folder.table
    if "observer" not in photos or len(set(photos["observer"]) - {""}) < 2 or not has_features(audited.model):
        return None
    rows, features = unlearned_features(audited.model, audited.folder, most=MOST, batch_size=audited.batch_size)
    photos = photos.iloc[rows]
    observers, names = photos["observer"].to_numpy(object), np.asarray(audited.folder.classes, object)
    if (observers != "").sum() < FEWEST or photos["label"].nunique() < 2 or len(set(observers) - {""}) < 2:
        return None
    groups = photos["group"].to_numpy()
    table = observer_shares(features, names[photos["label"].to_numpy()], observers, groups=groups)
    chapter = Chapter("Observers")
    shown = table.assign(**{"class": table["class"].map(audited.called.full)})
    chapter.add_text(_prose().observers(shown.iloc[0], len(set(observers) - {""})))
    chapter.add_table(
        ["class", "observer", "photos", "share of the class", "recall", "without the observer", "hangs"],
        [
            [audited.called.full(row["class"]), row["observer"], row["photos"], f"{row['share']:.0%}"]
            + [f"{row[name]:.2f}" for name in ("recall", "recall_without", "hangs")]
            for row in table.head(SHOWN).to_dict("records")
        ],
        numeric=[2, 3, 4, 5, 6],
    )
    return Section(chapter, {"observers": table}, {"audit/observer_max": float(table["hangs"].max())})


def observer_shares(
    features: np.ndarray, labels: np.ndarray, observers: np.ndarray, *, groups: np.ndarray | None = None,
    penalty: float = PENALTY,
) -> pd.DataFrame:  # fmt: skip
    """A row for each class and observer, with COLUMNS, those first on whom most hangs.

    `recall` is of this observer's photos of the class, each unknown to the head but its observer's others known;
    `recall_without` of the same photos to a head that knows none of this observer; `hangs` is by how much the recall of
    the whole class would sink, `share` of the class's photos being this observer's. A sum over observers is the gap
    between a split by photo and a split by observer.

    Args:
        features: (photos, numbers), as stored by a backbone.
        labels: The class of each photo, a number or a name.
        observers: Who took it, as text; empty where that is unknown: such a photo counts as a person's only one.
        groups: What is left out together for `recall`, such as photos of one animal; by default each photo alone.
        penalty: Of the ridge; the features are brought to variance 1.
    """
    names, label = np.unique(labels, return_inverse=True)
    person = pd.Series(np.asarray(observers, object)).fillna("").astype(str)
    alone = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    known = (person != "").to_numpy()
    together = np.where(known, pd.factorize(person)[0], len(label) + np.arange(len(label)))
    head = Head.fitted(features, label, penalty)
    photos = pd.DataFrame({"class": names[label], "observer": person, "label": label})
    for column, blocks in (("recall", alone), ("recall_without", together)):
        answers = head.without(blocks)
        photos[column] = (answers.argmax(axis=1) == label) & np.isfinite(answers[:, 0])
    rows = (
        photos[known]
        .groupby(["class", "observer"], sort=False)
        .agg(photos=("label", "size"), recall=("recall", "mean"), recall_without=("recall_without", "mean"))
    )
    rows = rows.reset_index()
    rows["share"] = rows["photos"] / rows["class"].map(photos["class"].value_counts())
    rows["hangs"] = rows["share"] * (rows["recall"] - rows["recall_without"])
    return rows.sort_values(["hangs", "share"], ascending=False, kind="stable", ignore_index=True)[list(COLUMNS)]
