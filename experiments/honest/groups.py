"""What recognised subjects change: `python -m experiments.honest.groups --root FISHCAM --weights FILE [--out
groups.csv]`

A folder whose true subjects a pattern or a column of its manifest names (`--subject`, default `(.+)_frame`) is split by
the program, five seeds each with `data.group=none`, as before, and with `data.group=auto`, the default. Counted are
subjects with photos in more than one part, and measured is logistic regression (standardised, C = 0.01) on features of
a frozen network, MobileNetV2 by default: trained on the train and validation parts, tested on the test part. About two
minutes on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.cache import cache_folder
from fishnet.models.features import features_of

SEEDS = range(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--subject", default="(.+)_frame")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("groups.csv"))
    chosen = parser.parse_args()
    features = stored(chosen.root, chosen)
    rows = [measured(chosen, features, group, seed) for group in ("none", "auto") for seed in SEEDS]
    table = pd.DataFrame(rows)
    table.to_csv(chosen.out, index=False, lineterminator="\n")
    print(table.to_string(index=False))
    print(
        table.groupby("group", sort=False)[["subjects_in_several_parts", "accuracy", "macro_f1"]].agg(["mean", "std"])
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", required=True, help="of the backbone: a local file")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--pad-type", default="same", help="of the backbone; empty for its own")


def network(chosen: argparse.Namespace) -> ImageClassifier:
    more = {"backbone_args": {"pad_type": chosen.pad_type}} if chosen.pad_type else {}
    return ImageClassifier(classes=["a", "b"], backbone=chosen.backbone, pretrained=chosen.weights, **more).eval()


def stored(root: Path, chosen: argparse.Namespace) -> dict[str, np.ndarray]:
    """The features of each photo of a folder, by its digest; kept in the folder's cache as a training keeps them."""
    model = network(chosen)
    data = ImageFolderData(root=str(root), group="none", duplicates="ignore")
    data = data.for_model(preprocessing=model.preprocessing, part="all")
    folder = cache_folder(data.index.root, "auto") / "features"
    features = features_of(model, data, np.arange(len(data.table)), folder=folder)
    return {digest: features[row].ravel() for row, digest in enumerate(data.table["sha256"])}


def measured(chosen: argparse.Namespace, features: dict[str, np.ndarray], group: str, seed: int) -> dict[str, object]:
    """One split: how many subjects it cuts, and what that is worth."""
    data = ImageFolderData(root=str(chosen.root), group=group, seed=seed)
    table, part = data.table, data.assignment
    known = ImageFolderData(root=str(chosen.root), group=chosen.subject, duplicates="ignore").table
    subject = known.set_index("path")["group"].reindex(table["path"])
    subject.index = table.index
    values = np.stack([features[digest] for digest in table["sha256"]])
    tested = (part == "test").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    answers = model.fit(values[~tested], table["label"][~tested]).predict(values[tested])
    return {
        "group": group,
        "seed": seed,
        "photos": len(table),
        "groups": table["group"].nunique(),
        "subjects": subject.nunique(),
        "subjects_in_several_parts": int((part.groupby(subject).nunique() > 1).sum()),
        "accuracy": round(float((answers == table["label"][tested]).mean()), 4),
        "macro_f1": round(float(f1_score(table["label"][tested], answers, average="macro")), 4),
    }


if __name__ == "__main__":
    main()
