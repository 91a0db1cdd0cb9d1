"""The audit of a model on a folder of photos: from rows to tests."""

import hashlib
from collections.abc import Callable, Sequence
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
from .regions import Regions
from .significance import ALPHA, ClassTest, exchange_test


@dataclass(frozen=True)
class FolderAudit:
    """What was measured.

    Args:
        photos: hosts and donors, a row each: path, class, label, group and, where known, seen.
        rows: of the folder's table, of each of `photos`.
        classes: names, in the order of the labels.
        judged: photos that the model answered on, hosts and donors among them.
        accuracy: of its answers.
        recalls: the share of each class's photos that it recognises.
        regions: where the animal may be in each of `photos`.
        hosts: positions in `photos` that donors were laid into.
        donors: positions that were laid into the hosts.
        effects: of the donors.
        tests: one a class.
        nulls: p-values of re-labelled donors.
    """

    photos: pd.DataFrame
    rows: np.ndarray
    classes: list[str]
    judged: int
    accuracy: float
    recalls: list[float]
    regions: Regions
    hosts: np.ndarray
    donors: np.ndarray
    effects: Effects
    tests: list[ClassTest]
    nulls: np.ndarray


def audit_folder(
    model: Classifier,
    folder: PhotoFolder,
    rows: np.ndarray,
    regions_of: Callable[[np.ndarray], Regions],
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
        regions_of: where the animal may be in the photos of given rows; asked about hosts and donors alone.
        stored: the folder in which effects are kept, so that a run that was ended goes on.
        about: names the model, see `measure_effects`.
        most_donors: of a class.
        hosts: photos that each donor is laid into.
        alpha: expected false alarms in all.
        batch_size: photos whose answers are asked for at once.
        progress: whether to show a bar.
    """
    judged = folder.table.iloc[rows]
    labels, groups, digests = judged["label"].to_numpy(), judged["group"].to_numpy(), judged["sha256"].tolist()
    right = answers(model, folder, rows, batch_size).argmax(axis=1) == labels
    every = np.arange(len(rows))
    chosen_hosts = choose_hosts(labels, digests, every, hosts)
    chosen_donors = choose_donors(labels, groups, digests, every, most_donors)
    sample = np.union1d(chosen_hosts, chosen_donors)  # the rest is not needed any more: memory does not grow with it
    photos = judged.iloc[sample].reset_index(drop=True)
    host_positions, donor_positions = np.searchsorted(sample, chosen_hosts), np.searchsorted(sample, chosen_donors)
    regions = regions_of(rows[sample])
    keys = [digest + region_digest(mask) for digest, mask in zip(photos["sha256"], regions.protected, strict=True)]
    effects = measure_effects(
        model, partial(views, model, folder, rows[sample], regions.protected), labels[sample], groups[sample], keys,
        hosts=host_positions, donors=donor_positions, folder=stored, about=about, kinds=KINDS, progress=progress,
    )  # fmt: skip
    own = [right[labels == label] for label in range(len(model.classes))]
    recalls = [float(of_class.mean()) if len(of_class) else np.nan for of_class in own]
    return FolderAudit(
        photos=photos, rows=rows[sample], classes=list(model.classes), judged=len(rows), accuracy=float(right.mean()),
        recalls=recalls, regions=regions, hosts=host_positions, donors=donor_positions, effects=effects,
        tests=exchange_test(effects, alpha), nulls=relabelled_p_values(effects),
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
