"""What tells the classes of a folder apart without a look at an animal: sizes, shapes, formats, cameras, leaks.

A classifier takes whatever is easiest. So each of these conditions is asked to name the class by itself, on photos of
groups that it has not seen; what does so better than guessing is said, with how well.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fishnet.data.findings import Finding, Folder

_FOLDS = 5
_MOST = 3000  # photos; a sample of whole groups of this size tells 0.02 of accuracy apart
_CLEARLY = (0.1, 3.0)  # above guessing: by this share, and by so many standard errors
_ONE_CLASS = 0.9  # area under the curve of one class against the others, that is said among many classes too
_MOST_CLASSES = 6  # that are named
_FEWEST_OF_A_KIND = 5  # photos of a camera or format


def hidden_conditions(folder: Folder) -> Iterator[Finding]:
    """Size, shape, format or camera alone, through a small tree, against guessing."""
    rows = whole_groups(folder.groups, _MOST)
    label, groups = folder.table["label"].to_numpy()[rows], folder.groups[rows]
    if not _can_be_folded(label, groups):
        return
    guessing = 1 / len(np.unique(label))
    least, errors = _CLEARLY
    margin = max(least, errors * np.sqrt(guessing * (1 - guessing) / len(np.unique(groups))))
    for name, values, in_words in _conditions(folder.table.iloc[rows]):
        if values.std(axis=0).max(initial=0) == 0:
            continue
        accuracy, of_classes = _separability(values, label, groups)
        best = int(np.argmax(of_classes))
        if accuracy > guessing + margin or of_classes[best] >= _ONE_CLASS:
            text = f"{name} alone would tell classes apart: balanced accuracy {accuracy:.2f}, guessing {guessing:.2f}"
            text += f", AUC {of_classes[best]:.2f} for {folder.classes[np.unique(label)[best]]}"
            yield Finding("condition", "warns", f"{text} ({in_words})")


def _conditions(table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, str]]:
    """Each condition: its name, what a tree is given of each photo, and how the classes differ in it."""
    classes = table["class"]
    pixels, shape = table["width"] * table["height"], table["width"] / table["height"]
    yield "photo size", np.log(pixels.to_numpy(float))[:, None], _extremes(pixels / 1e6, classes, "megapixels")
    yield "photo shape", np.log(shape.to_numpy(float))[:, None], _extremes(shape, classes, "as wide as high")
    for name, column in (("file format", "file_format"), ("the camera named in EXIF", "exif_camera")):
        kinds = table[column].where(table[column].map(table[column].value_counts()) >= _FEWEST_OF_A_KIND, "other")
        most = kinds.groupby(classes).agg(lambda values: values.mode()[0])
        words = ", ".join(f"{label}: mostly {kind or 'none'}" for label, kind in most.head(_MOST_CLASSES).items())
        yield name, pd.get_dummies(kinds).to_numpy(float), words


def _extremes(values: pd.Series, classes: pd.Series, unit: str) -> str:
    """The classes with the least and the greatest median."""
    median = values.groupby(classes).median()
    return f"median {median.min():.2g} in {median.idxmin()} to {median.max():.2g} in {median.idxmax()}, {unit}"


def _separability(values: np.ndarray, label: np.ndarray, groups: np.ndarray) -> tuple[float, np.ndarray]:
    """A small tree on groups that it has not seen: its balanced accuracy, and each class's area under the curve."""
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=3, class_weight="balanced", random_state=0)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    shares = cross_val_predict(tree, values, label, groups=groups, cv=folds, method="predict_proba")
    names = np.unique(label)
    areas = np.array([roc_auc_score(label == name, shares[:, column]) for column, name in enumerate(names)])
    return float(balanced_accuracy_score(label, names[shares.argmax(axis=1)])), areas


def leak(folder: Folder) -> Iterator[Finding]:
    """What photos of one group on both sides of a split would be worth: logistic regression on stored features."""
    if folder.features is None:
        return
    known, features = folder.features
    chosen = np.isin(known, whole_groups(folder.groups, _MOST))
    rows, features = known[chosen], features[chosen]
    label, groups = folder.table["label"].to_numpy()[rows], folder.groups[rows]
    if len(np.unique(groups)) > 0.95 * len(groups) or not _can_be_folded(label, groups):
        return
    by_photo, by_group = (_accuracy(features, label, kind) for kind in (np.arange(len(rows)), groups))
    text = f"logistic regression on stored features: accuracy {by_photo:.2f} split by photo, {by_group:.2f} by group"
    yield Finding("leak", "notes", f"{text}; a split by photo would look {by_photo - by_group:+.2f} better than it is")


def _accuracy(features: np.ndarray, label: np.ndarray, groups: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    return float((cross_val_predict(model, features, label, groups=groups, cv=folds) == label).mean())


def whole_groups(groups: np.ndarray, most: int) -> np.ndarray:
    """Rows of whole groups (numbers from 0), drawn by lot, until there are enough."""
    lots = np.random.default_rng(0).permutation(groups.max(initial=-1) + 1)
    order = np.argsort(lots[groups], kind="stable")
    return np.sort(order[:most]) if len(order) > most else np.arange(len(groups))


def _can_be_folded(label: np.ndarray, groups: np.ndarray) -> bool:
    """Each of at least two classes has a group for each fold."""
    counts = pd.DataFrame({"label": label, "group": groups}).groupby("label")["group"].nunique()
    return len(counts) > 1 and counts.min() >= _FOLDS
