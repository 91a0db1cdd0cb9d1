"""What a classifier makes of the photos that a GAN draws, beside held-out real ones and pure noise.

Real photos are shown as the GAN sees them, at its size, and all three kinds go the same way to the classifier, so that
nothing but their content differs. Held-out are photos that the GAN neither learned from nor was chosen by.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fishnet.data.folder import PhotoFolder
from fishnet.data.views import Preprocessing, centre, scaled, working
from fishnet.errors import BadInput
from fishnet.measure.generated import OfHalves, between_halves, fid, kid, nearest_training
from fishnet.models.backbones import single_head
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import features_and_logits, has_features
from fishnet.models.gan import ImageGAN
from fishnet.models.isolation import eval_mode_restored

AT_ONCE = 64
FEWEST = 8  # held-out photos, below which no figure means anything
NEAR = 0.05  # the share of held-out photos that lie nearer to a training photo than the limit
KINDS = ("generated", "held out", "noise")


@dataclass(frozen=True)
class Kind:
    """Photos of one kind, and the classifier's answers.

    Args:
        photos: uint8, at the GAN's size.
        probabilities: N × classes.
        features: N × features, or the logits where the network has no single classifier layer.
    """

    photos: Tensor
    probabilities: np.ndarray
    features: Tensor


@dataclass(frozen=True)
class Judged:
    """All that was measured; `figures()` are the plain values of judged.json."""

    class_name: str
    label: int
    classes: list[str]
    kinds: dict[str, Kind]
    training: Tensor  # uint8, at the GAN's size
    training_paths: list[str]
    feature_name: str
    judge_knows: int  # held-out photos that the classifier was trained on
    halves: OfHalves
    kid: float
    fid: float
    nearest: np.ndarray  # row of `training` of each generated photo
    distances: np.ndarray
    held_out_distances: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    def accepted(self, kind: str) -> float:
        """The share of photos whose answer is the class."""
        return float((self.kinds[kind].probabilities.argmax(axis=1) == self.label).mean())

    def confidence(self, kind: str) -> np.ndarray:
        """The probability of the class, photo by photo."""
        return self.kinds[kind].probabilities[:, self.label]

    @property
    def near_limit(self) -> float:
        """The distance to the nearest training photo that one held-out photo in twenty falls below."""
        return float(np.quantile(self.held_out_distances, NEAR))

    @property
    def near_share(self) -> float:
        """The share of generated photos below that distance: about NEAR where nothing is copied."""
        return float((self.distances < self.near_limit).mean())

    def answers(self, kind: str) -> dict[str, int]:
        """How many photos got which class."""
        counts = np.bincount(self.kinds[kind].probabilities.argmax(axis=1), minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}

    def figures(self) -> dict[str, Any]:
        kinds = {
            kind: {
                "photos": len(self.kinds[kind].photos), "accepted": self.accepted(kind),
                "median_probability": float(np.median(self.confidence(kind))), "answers": self.answers(kind),
            }
            for kind in KINDS
        }  # fmt: skip
        return {
            **self.about, "class": self.class_name, **{kind.replace(" ", "_"): kinds[kind] for kind in KINDS},
            "features": self.feature_name, "held_out_photos_that_the_judge_was_trained_on": self.judge_knows,
            "kid": self.kid, "kid_between_halves": self.halves.kid, "kid_between_halves_high": self.halves.kid_high,
            "fid": self.fid, "fid_between_halves": self.halves.fid,
            "near_limit": self.near_limit, "nearer_than_limit": self.near_share,
            "distances": [round(float(value), 5) for value in self.distances],
            "nearest_training_photo": [self.training_paths[row] for row in self.nearest],
        }  # fmt: skip


def label_of(judge: ImageClassifier, class_name: str) -> int:
    """The class in the classifier's answers; one that it does not know is refused."""
    if class_name not in judge.classes:
        known = ", ".join(judge.classes[:8]) + (" …" if len(judge.classes) > 8 else "")
        raise BadInput(f"judge: the classifier does not know {class_name}, which the GAN draws; it knows {known}.")
    return judge.classes.index(class_name)


def judge_generated(gan: ImageGAN, judge: ImageClassifier, folder: PhotoFolder, generated: Tensor) -> Judged:
    """Measure generated photos.

    Args:
        gan: knows its class, and which photos it has seen.
        judge: a classifier that knows the class.
        folder: real photos, with the GAN's single label and what it has seen.
        generated: uint8, N × 3 × size × size.
    """
    label = label_of(judge, gan.classes[0])
    trained, held_out = np.flatnonzero(folder.table["seen"] == "train"), folder.rows("unseen")
    if len(held_out) < FEWEST or not len(trained):
        raise BadInput(
            f"{folder.root} holds {len(trained)} photos that the GAN was trained on and {len(held_out)} that it has "
            f"not seen; {FEWEST} unseen ones are needed to judge by: give data.root= of the folder of its training."
        )
    training = folder.photos(trained.tolist(), gan.preprocessing)
    real = folder.photos(held_out.tolist(), gan.preprocessing)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, generated.shape, generator=rng, dtype=torch.uint8)
    kinds = {name: answered(judge, photos) for name, photos in zip(KINDS, (generated, real, noise), strict=True)}
    nearest = nearest_training(generated, training)
    features = {name: kind.features for name, kind in kinds.items()}
    digests = folder.table["sha256"].iloc[held_out]
    return Judged(
        class_name=judge.names.full(gan.classes[0]), label=label,
        classes=[judge.names.full(name) for name in judge.classes], kinds=kinds, training=training,
        training_paths=folder.table["path"].iloc[trained].tolist(), feature_name=feature_name(judge),
        judge_knows=int((judge.seen.parts(digests) == "train").sum()) if judge.seen else 0,
        halves=between_halves(features["held out"]), kid=kid(features["held out"], features["generated"]),
        fid=fid(features["held out"], features["generated"]), nearest=nearest.rows, distances=nearest.distances,
        held_out_distances=nearest_training(real, training).distances,
    )  # fmt: skip


def feature_name(judge: ImageClassifier) -> str:
    """Which features the distances are taken on, for the report."""
    if has_features(judge):
        head = single_head(judge.network)
        assert head is not None
        return (
            f"the {head.in_features} numbers that the classifier layer of the judge ({judge.hparams['backbone']}) sees"
        )
    return f"the logits of the judge ({judge.hparams['backbone']}), which has no single classifier layer"


@torch.no_grad()
def answered(judge: ImageClassifier, photos: Tensor) -> Kind:
    """Answers and features of uint8 photos."""
    head = single_head(judge.network) if has_features(judge) else None
    probabilities, features = [], []
    with eval_mode_restored(judge):
        for part in photos.split(AT_ONCE):
            views = as_seen(part, judge.preprocessing).to(judge.device)
            pixels = judge.pixels(views)
            if head is None:
                found = logits = judge.network(pixels).float()
            else:
                found, logits = features_and_logits(judge.network, head, pixels)
            probabilities.append(judge.probabilities(logits.float()).cpu())
            features.append(found.float().cpu())
    return Kind(photos, torch.cat(probabilities).numpy(), torch.cat(features))


def as_seen(photos: Tensor, preprocessing: Preprocessing) -> Tensor:
    """uint8 photos as a classifier is shown them: scaled and cut as it would be from a file of these pixels."""
    how, size = working(preprocessing), photos.shape[-1]
    views = [centre(scaled(photo.permute(1, 2, 0).numpy(), (size, size), how), preprocessing.size) for photo in photos]
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
