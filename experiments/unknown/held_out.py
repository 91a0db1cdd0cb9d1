"""A class is left out of the training: are its photos told from those of the classes that were learned?

    python -m experiments.unknown.held_out reef --csv unknown.csv
    python -m experiments.unknown.held_out folder --root FOLDER --group '(.+)_frame' \
        --weights mobilenetv2_100=FILE --csv unknown.csv

`reef` trains a small network for each of seven drawn species that is left out; `folder` a logistic layer on stored
features of a frozen backbone, with whole groups on one side of the split. A row a class that was left out, with the
area under the curve of each way to tell, and noise beside it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from experiments.planted_cues.bench import append
from experiments.planted_cues.cases import Case
from experiments.planted_cues.reefs import as_images, draw_folder
from experiments.planted_cues.training import FILTERS, RATE, fitted, mirrored, shifted
from fishnet import ImageClassifier
from fishnet.audit.proxy import embedded
from fishnet.data.folder import PhotoFolder
from fishnet.data.listing import FolderSource
from fishnet.models.familiarity import Familiarity
from fishnet.models.features import unlearned_features

SPECIES, TRAIN, UNSEEN, SEED = 7, 160, 70, 7
NEIGHBOURS = 10


class Photos(NamedTuple):
    """Features, logits and classes of photos; the classes are numbered as the logits are."""

    features: Tensor
    logits: Tensor
    labels: np.ndarray

    def chosen(self, rows: np.ndarray) -> "Photos":
        return Photos(self.features[rows], self.logits[rows], self.labels[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("reef", "folder"))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--group", default="auto")
    parser.add_argument("--weights", help="NAME=FILE of a network of timm")
    parser.add_argument("--csv", type=Path, required=True)
    chosen = parser.parse_args()
    rows = reef() if chosen.mode == "reef" else folder(chosen.root, chosen.group, *chosen.weights.split("=", 1))
    for row in rows:
        append(chosen.csv, [row])
        print(row, flush=True)


def reef() -> Iterator[dict]:
    case = Case(SEED, control="clean", species=SPECIES, train=TRAIN, audit=UNSEEN)
    drawn = draw_folder(case)
    images = as_images(drawn.pixels)
    noise = torch.rand(UNSEEN, 3, case.side, case.side, generator=torch.Generator().manual_seed(0))
    for left_out in range(SPECIES):
        known = drawn.labels != left_out
        labels = drawn.labels - (drawn.labels > left_out)
        rows = np.flatnonzero(drawn.trained & known)
        torch.manual_seed(left_out)
        kinds = [kind.name for number, kind in enumerate(drawn.settings.kinds) if number != left_out]
        model = ImageClassifier(
            classes=kinds, backbone="cnn", image_size=case.side, backbone_args={"filters": [*FILTERS], "dense": 0}
        ).to(memory_format=torch.channels_last)
        learned = images[rows], torch.from_numpy(labels[rows])
        fitted(model, *learned, lambda batch: shifted(mirrored(batch)), epochs=12, rate=RATE, batch_size=32, fast=True)
        head = model.network.head
        with torch.no_grad():
            features = embedded(model, images)
            photos = Photos(features, head(features), labels)
            strange = embedded(model, noise)
            noisy = Photos(strange, head(strange), np.zeros(len(strange), int))
        unseen = np.random.default_rng(0).permutation(np.flatnonzero(~drawn.trained & known))
        parts = rows, unseen[: len(unseen) // 3], unseen[len(unseen) // 3 :]
        others = photos.chosen(np.flatnonzero(~known))
        yield figures("reef", "cnn", drawn.settings.kinds[left_out].name, photos, parts, others, noisy)


def folder(root: Path, group: str, network: str, weights: str) -> Iterator[dict]:
    photo_folder = PhotoFolder(source=FolderSource(str(root)), group=group)
    model = ImageClassifier(
        classes=photo_folder.classes, backbone=network, backbone_args={"pad_type": "same"}, pretrained=weights,
        freeze="backbone", image_size=128,
    ).eval()  # fmt: skip
    rows, stored = unlearned_features(model, photo_folder, most=10**6, batch_size=32)
    table = photo_folder.table.iloc[rows]
    features, classes, groups = torch.from_numpy(stored), table["label"].to_numpy(), table["group"].to_numpy()
    noise = embedded(model, torch.rand(UNSEEN, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    for left_out, name in enumerate(photo_folder.classes):
        known = classes != left_out
        labels = classes - (classes > left_out)
        third = thirds(classes, groups)
        train, validation, test = (np.flatnonzero(known & (third == number)) for number in range(3))
        layer = LogisticRegression(C=0.01, max_iter=300).fit(stored[train], labels[train])

        def seen(values: Tensor, layer: LogisticRegression = layer) -> Tensor:
            return torch.from_numpy(layer.decision_function(values.numpy())).float()

        photos = Photos(features, seen(features), labels)
        others = photos.chosen(np.flatnonzero(~known))
        noisy = Photos(noise, seen(noise), np.zeros(len(noise), int))
        yield figures(root.name, network, name, photos, (train, validation, test), others, noisy)


def thirds(classes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """0 for training, 1 for validation, 2 for test: each class's groups dealt out in turn."""
    rng, part = np.random.default_rng(0), {}
    for c in np.unique(classes):
        part |= {group: number % 3 for number, group in enumerate(rng.permutation(np.unique(groups[classes == c])))}
    return np.array([part[group] for group in groups])


def figures(
    folder: str, network: str, left_out: str, photos: Photos, parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    others: Photos, noise: Photos,
) -> dict:  # fmt: skip
    """A row of the table."""
    train, validation, test = (photos.chosen(rows) for rows in parts)
    right = (test.logits.argmax(dim=1).numpy() == test.labels).mean()
    familiarity = Familiarity.fitted(
        train.features, torch.from_numpy(train.labels), validation.features, validation.logits
    )
    row = {"folder": folder, "network": network, "left_out": left_out, "accuracy": round(float(right), 3)}
    for name, unknown in (("", others), ("_noise", noise)):
        ways = {
            "familiarity": lambda given: familiarity.strangeness(given.features, given.logits),
            "max_probability": lambda given: -given.logits.softmax(dim=1).max(dim=1).values,
            "energy": lambda given: -given.logits.logsumexp(dim=1),
            "neighbours": lambda given: far_from(train.features, given.features),
        }
        for way, score in ways.items():
            values, truth = torch.cat([score(test), score(unknown)]), [0] * len(test.labels) + [1] * len(unknown.labels)
            row[way + name] = round(float(roc_auc_score(truth, values.numpy())), 3)
    row |= {
        f"called_strange_{name}": round(float(familiarity.is_strange(each.features, each.logits).float().mean()), 3)
        for name, each in (("known", test), ("unknown", others), ("noise", noise))
    }
    return row


def far_from(known: Tensor, asked: Tensor) -> Tensor:
    """The cosine distance to the tenth nearest training photo (Sun and others, ICML 2022)."""
    unit = torch.nn.functional.normalize
    return -(unit(asked) @ unit(known).T).topk(NEIGHBOURS, dim=1).values[:, -1]


if __name__ == "__main__":
    main()
