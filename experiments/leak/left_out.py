"""The leak in closed form beside trainings that really leave photos out: are the three figures of `evaluate` right?

    python -m experiments.leak.left_out FISHCAM --weights MOBILENETV2 --out experiments/leak/left_out.csv

On features of a frozen backbone: the ridge head that `fishnet evaluate` asks in closed form; the same ridge fitted anew
(features standardised and classes weighed by the photos it is fitted to) without each subject, each camera, or each
of 150 lots of photos; and logistic regression (C = 0.01) in five folds. A camera stands for an observer here. A row a
unit and way: accuracy with its 95 % interval over subjects.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from fishnet import ImageClassifier
from fishnet.audit.leakage import leakage_table
from fishnet.audit.ridge import PENALTY
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.measure.intervals import intervals
from fishnet.measure.predictions import Predictions
from fishnet.models.features import unlearned_features

FOLDS = 5  # of the logistic regression
MOST_FITS = 150  # of the ridge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="class folders of photos")
    parser.add_argument("--weights", type=Path, required=True, help="of the backbone, for ImageNet's classes")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--pad", default="same", help="pad_type of the backbone")
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--subject", default="(.+)_frame", help="data.group")
    parser.add_argument("--observer", default="_([0-9A-F]{12})_", help="pattern on the file names")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    folder = PhotoFolder(source=FolderSource(str(chosen.root)), group=chosen.subject)
    model = ImageClassifier(
        classes=folder.classes, backbone=chosen.backbone, backbone_args={"pad_type": chosen.pad},
        pretrained=str(chosen.weights), freeze="backbone", image_size=chosen.side,
    ).eval()  # fmt: skip
    rows, features = unlearned_features(model, folder, most=len(folder.table), batch_size=32)
    table = folder.table.iloc[rows]
    labels, groups = table["label"].to_numpy(), table["group"].to_numpy()
    cameras = pd.factorize(table["path"].str.extract(chosen.observer)[0])[0]
    units = {"subject": groups, "observer": cameras}
    closed = leakage_table(features, labels, groups, units)
    result = [{"unit": row["unit"], "way": "ridge, closed form", **ends(row)} for row in closed.to_dict("records")]
    for unit, blocks in {"photo": np.arange(len(labels)), **units}.items():
        for way, answers in fitted_answers(features, labels, blocks):
            figure = intervals(Predictions(rows, labels, answers), groups, len(folder.classes))["accuracy"]
            values = dict(zip(("accuracy", "accuracy_low", "accuracy_high"), figure, strict=True))
            result.append({"unit": unit, "way": way, **ends(values)})
    pd.DataFrame(result).to_csv(chosen.out, index=False)
    print(pd.DataFrame(result).to_string(index=False))


def ends(row: dict) -> dict[str, float]:
    """Accuracy and its interval, to four places."""
    return {name: round(float(row[name]), 4) for name in ("accuracy", "accuracy_low", "accuracy_high")}


def fitted_answers(features: np.ndarray, labels: np.ndarray, blocks: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The answers to blocks of photos of heads that were fitted without them."""
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    logistic = cross_val_predict(regression, features, labels, groups=blocks, cv=folds, method="predict_log_proba")
    lots, targets = GroupKFold(min(MOST_FITS, len(np.unique(blocks)))), np.eye(labels.max() + 1)[labels]
    ridge = np.zeros(targets.shape)
    for kept, left_out in lots.split(features, labels, blocks):
        weights = compute_sample_weight("balanced", labels[kept]) / len(kept)
        scaler = StandardScaler().fit(features[kept], sample_weight=weights)
        head = Ridge(PENALTY).fit(scaler.transform(features[kept]), targets[kept], sample_weight=weights)
        ridge[left_out] = head.predict(scaler.transform(features[left_out]))
    return [("ridge, fitted anew", ridge), ("logistic regression, five folds", logistic)]


if __name__ == "__main__":
    main()
