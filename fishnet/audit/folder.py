"""The audit of a model on a folder of photos: from rows to tests."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.data.folder import PhotoFolder
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .exchange import HOSTS, Effects, choose_donors, choose_hosts, measure_effects
from .kinds import KINDS, Views
from .nulls import relabelled_p_values
from .significance import ALPHA, ClassTest, exchange_test


@dataclass(frozen=True)
class FolderAudit:
    """What was measured.

    Args:
        photos: the photos that were judged, a row each: path, class, label, group and, where known, seen.
        classes: names, in the order of the labels.
        logits: (photos, classes), the model's answers.
        protected: (photos, side, side), where the animal may be.
        hosts: positions in `photos` that donors were laid into.
        donors: positions that were laid into the hosts.
        effects: of the donors.
        tests: one a class.
        nulls: p-values of re-labelled donors.
    """

    photos: pd.DataFrame
    classes: list[str]
    logits: np.ndarray
    protected: Tensor
    hosts: np.ndarray
    donors: np.ndarray
    effects: Effects
    tests: list[ClassTest]
    nulls: np.ndarray

    @property
    def accuracy(self) -> float:
        return float((self.logits.argmax(axis=1) == self.photos["label"]).mean())

    def recall(self, label: int) -> float:
        """The share of a class's photos that is recognised."""
        own = self.photos["label"] == label
        return float((self.logits[own].argmax(axis=1) == label).mean()) if own.any() else float("nan")


def audit_folder(
    model: Classifier,
    folder: PhotoFolder,
    rows: np.ndarray,
    protected: Tensor,
    *,
    stored: Path,
    about: dict,
    most_donors: int,
    hosts: int = HOSTS,
    alpha: float = ALPHA,
    batch_size: int = 32,
    progress: bool = True,
) -> FolderAudit:
    """Judge every class by these rows of the folder, none of which the model has learned from.

    Args:
        model: on its device.
        folder: with the model's labels.
        rows: of its table.
        protected: for each of these rows, where the animal may be.
        stored: the folder in which effects are kept, so that a run that was ended goes on.
        about: names the model, see `measure_effects`.
        most_donors: of a class.
        hosts: photos that each donor is laid into.
        alpha: expected false alarms in all.
        batch_size: photos whose answers are asked for at once.
        progress: whether to show a bar.
    """
    photos = folder.table.iloc[rows].reset_index(drop=True)
    labels, groups = photos["label"].to_numpy(), photos["group"].to_numpy()
    digests, every = photos["sha256"].tolist(), np.arange(len(photos))

    views_of = partial(views, model, folder, rows, protected)
    chosen_hosts = choose_hosts(labels, digests, every, hosts)
    donors = choose_donors(labels, groups, digests, every, most_donors)
    logits = answers(model, folder, rows, batch_size)
    keys = [digest + region_digest(mask) for digest, mask in zip(digests, protected, strict=True)]
    effects = measure_effects(
        model, views_of, labels, groups, keys, hosts=chosen_hosts, donors=donors, folder=stored, about=about,
        kinds=KINDS, progress=progress,
    )  # fmt: skip
    tests, nulls = exchange_test(effects, alpha), relabelled_p_values(effects)
    return FolderAudit(
        photos, list(model.classes), logits, protected, chosen_hosts, donors, effects, tests, nulls
    )  # fmt: skip


def region_digest(region: Tensor) -> str:
    """Sixteen digits that differ where the regions do."""
    return hashlib.sha256(region.bool().cpu().numpy().tobytes()).hexdigest()[:16]


def views(
    model: Classifier, folder: PhotoFolder, rows: np.ndarray, protected: Tensor, positions: Sequence[int]
) -> Views:
    """Photos by their position among the rows, on the model's device."""
    images = folder.photos(rows[list(positions)].tolist(), model.preprocessing).to(model.device)
    return Views(images.float() / 255, protected[list(positions)][:, None].to(model.device))


@torch.inference_mode()
def answers(model: Classifier, folder: PhotoFolder, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Logits of these rows, in their order."""
    with eval_mode_restored(model):
        batches = folder.batches(rows, model.preprocessing, batch_size=batch_size, device=model.device)
        return torch.cat([model(batch["image"]).cpu() for batch in batches]).numpy()
