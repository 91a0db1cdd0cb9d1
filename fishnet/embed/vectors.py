"""A vector for each photo of a folder: its pixels, or the features of a network."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from fishnet.data.folder import PhotoFolder
from fishnet.data.views import PlainPreprocessing
from fishnet.errors import BadInput
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import has_features, is_frozen, kept_features

SMALL = PlainPreprocessing(96, crop=1.0)  # of the photos that a page shows, from which pixels are taken, too
PIXELS = 32  # the side of a photo whose pixels are its vector: 3,072 numbers, as few networks give more


@dataclass(frozen=True, eq=False)
class Vectors:
    """What photos are compared by.

    Args:
        rows: row numbers of the folder's table.
        values: (photos, numbers), float32, in the order of the rows.
        name: of what they are, for people.
        learned: which of the photos the vectors were learned from, by labels. Their vectors know their labels by
            heart, so that nothing can be measured on them.
    """

    rows: np.ndarray
    values: np.ndarray
    name: str
    learned: np.ndarray


def pixel_vectors(folder: PhotoFolder, rows: np.ndarray) -> Vectors:
    """The photos' own pixels at `PIXELS` × `PIXELS`, each photo with mean 0: how light it is says little of it."""
    small = []
    for batch in folder.batches(rows, SMALL, batch_size=64):
        shrunk = functional.interpolate(batch["image"].float(), size=(PIXELS, PIXELS), mode="area").flatten(1)
        small.append((shrunk - shrunk.mean(dim=1, keepdim=True)).numpy())
    name = f"pixels at {PIXELS} × {PIXELS}"
    return Vectors(rows, np.concatenate(small), name, np.zeros(len(rows), bool))


def network_vectors(
    model: ImageClassifier, folder: PhotoFolder, rows: np.ndarray, *, name: str, batch_size: int
) -> Vectors:
    """The features of a network, kept in the folder's cache and taken from there.

    Args:
        model: on its device.
        folder: with what the model has seen, if it is known.
        rows: of the folder's table.
        name: of the network, for people.
        batch_size: photos at once.
    """
    if not has_features(model):
        raise BadInput(
            f"{name} has no features: its answer is not one linear layer on one vector a photo. Choose another "
            "network, or leave checkpoint= and model.pretrained= out to compare pixels."
        )
    values = kept_features(model, folder, rows, batch_size=batch_size)
    seen = folder.table["seen"].to_numpy()[rows] if "seen" in folder.table else np.full(len(rows), "new")
    return Vectors(rows, values, name, (seen == "train") & (not is_frozen(model)))


def published_network(
    backbone: str, *, backbone_args: dict, weights: str | bool, image_size: int | None
) -> ImageClassifier:
    """A network with published weights and a blank classifier layer, on a GPU where there is one.

    Args:
        backbone: its name in timm.
        backbone_args: to timm.
        weights: True for those in timm's cache, or a file.
        image_size: the side of the photos; None takes the network's own.
    """
    model = ImageClassifier(
        classes=["a", "b"], backbone=backbone, backbone_args=backbone_args, pretrained=weights, freeze="backbone",
        image_size=image_size,
    )  # fmt: skip
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
