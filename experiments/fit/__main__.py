"""Crop, pad or squash? The same folds, weights and classifier layer on the same photos, seen in three ways.

    python -m experiments.fit --root FISHCAM --group '(.+)_frame' --weights mobilenetv2_100=FILE --csv fit.csv

A frozen network at 224 pixels under scikit-learn's logistic regression; five folds that keep groups together, drawn
five times. `accuracy` and `f1_macro` are over all photos, answered each by a model that has not seen its group, mean
over the draws; the interval of the difference to `crop` is over groups, which are drawn again.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.views import FITS
from fishnet.models.features import kept_features

DRAWS, FOLDS, RESAMPLES, SIZE = 5, 5, 2000, 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--group", default="auto", help="data.group")
    parser.add_argument("--weights", required=True, help="NAME=FILE")
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    name, _, file = chosen.weights.partition("=")
    data = ImageFolderData(root=str(chosen.root), group=chosen.group, image_size=SIZE, cache="off")
    labels, groups = (data.table[column].to_numpy() for column in ("label", "group"))
    right, rows = {}, []
    for fit in FITS:
        arguments = {"pad_type": "same"} if name.startswith("mobilenetv2") else {}
        model = ImageClassifier(
            classes=data.classes, backbone=name, pretrained=file, backbone_args=arguments, image_size=SIZE, fit=fit,
            freeze="backbone",
        ).eval()  # fmt: skip
        features = kept_features(model, data.folder, np.arange(len(labels)), batch_size=32)
        answers = [answered(features, labels, groups, seed) for seed in range(DRAWS)]
        right[fit] = np.mean([own == labels for own in answers], axis=0)
        low, high = interval(right[fit] - right["crop"], groups)
        rows.append({
            "set": chosen.root.name, "network": name, "fit": fit, "accuracy": round(right[fit].mean(), 4),
            "f1_macro": round(float(np.mean([f1_score(labels, own, average="macro") for own in answers])), 4),
            "difference_low": round(low, 4), "difference_high": round(high, 4),
        })  # fmt: skip
        print(rows[-1], flush=True)
    new = not chosen.csv.exists()
    with open(chosen.csv, "a", newline="") as opened:
        table = csv.DictWriter(opened, rows[0].keys(), lineterminator="\n")
        if new:
            table.writeheader()
        table.writerows(rows)


def answered(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """The class that each photo is given by a model of the folds without it."""
    found = np.empty_like(labels)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(features, labels, groups):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        found[test] = model.fit(features[train], labels[train]).predict(features[test])
    return found


def interval(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Of the mean of a photo's values, 95 %, whole groups drawn again."""
    rng, (names, of_photo) = np.random.default_rng(0), np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(of_photo, values), np.bincount(of_photo)
    lots = rng.integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.quantile(sums[lots].sum(axis=1) / counts[lots].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
