"""The audit of a model on a folder of photos: from rows to tests."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.data.folder import PhotoFolder
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .exchange import HOSTS, Effects, choose_donors, choose_hosts, measure_effects, stores_of
from .jobs import Job
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
        folds: into how many folds the photos were parted, each judged by a classifier layer that knows none of it (see
            `out_of_fold.py`); 0 where the model's own layer has judged.
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
    folds: int = 0


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
    logits = answers(model, folder, rows, batch_size)
    sample = sample_of(model, folder, rows, regions_of, most_donors=most_donors, hosts=hosts)
    effects = effects_of(model, folder, sample, stored=stored, about=about, progress=progress)
    return audit_of(model.classes, sample, folder.table["label"].to_numpy()[rows], logits, effects, alpha)


class Sample(NamedTuple):
    """The photos of a folder that are exchanged; of all others nothing is needed but whether they are recognised.

    Attributes:
        photos: their rows of the folder's table.
        rows: the numbers of these rows.
        regions: where the animal may be in each.
        keys: equal for the same photo with the same region.
        hosts, donors: positions in `photos`.
    """

    photos: pd.DataFrame
    rows: np.ndarray
    regions: Regions
    keys: list[str]
    hosts: np.ndarray
    donors: np.ndarray


def sample_of(
    model: Classifier, folder: PhotoFolder, rows: np.ndarray, regions_of: Callable[[np.ndarray], Regions], *,
    most_donors: int, hosts: int,
) -> Sample:  # fmt: skip
    """The same for the same photos, whoever asks; the arguments are those of `audit_folder`."""
    judged = folder.table.iloc[rows]
    labels, groups, digests = judged["label"].to_numpy(), judged["group"].to_numpy(), judged["sha256"].tolist()
    every = np.arange(len(rows))
    chosen_hosts = choose_hosts(labels, digests, every, hosts)
    chosen_donors = choose_donors(labels, groups, digests, every, most_donors)
    chosen = np.union1d(chosen_hosts, chosen_donors)
    photos, regions = judged.iloc[chosen].reset_index(drop=True), regions_of(rows[chosen])
    keys = [digest + region_digest(mask) for digest, mask in zip(photos["sha256"], regions.protected, strict=True)]
    positions = (np.searchsorted(chosen, each) for each in (chosen_hosts, chosen_donors))
    return Sample(photos, rows[chosen], regions, keys, *positions)


def audit_of(
    classes: Sequence[str], sample: Sample, labels: np.ndarray, logits: np.ndarray, effects: Effects, alpha: float,
    folds: int = 0,
) -> FolderAudit:  # fmt: skip
    """The audit from what was measured: the answers (`logits`) on all photos with these labels, and the effects of the
    sample's donors."""
    right = logits.argmax(axis=1) == labels
    own, regions = [right[labels == label] for label in range(len(classes))], sample.regions
    tests = exchange_test(effects, alpha, given=regions.given, travels=regions.travels)
    recalls = [float(of_class.mean()) if len(of_class) else np.nan for of_class in own]
    return FolderAudit(
        photos=sample.photos, rows=sample.rows, classes=list(classes), judged=len(labels),
        accuracy=float(right.mean()), recalls=recalls, regions=regions, hosts=sample.hosts, donors=sample.donors,
        effects=effects, tests=tests, nulls=relabelled_p_values(effects), folds=folds,
    )  # fmt: skip


def effects_of(
    model: Classifier, folder: PhotoFolder, sample: Sample, *, stored: Path, about: dict, job: Job | None = None,
    progress: bool = True,
) -> Effects:  # fmt: skip
    """Of all donors of the sample, or of a job's share."""
    labels, groups = (sample.photos[name].to_numpy() for name in ("label", "group"))
    donors = sample.donors if job is None else sample.donors[job.share(len(sample.donors))]
    return measure_effects(
        model, partial(views, model, folder, sample.rows, sample.regions.protected), labels, groups, sample.keys,
        hosts=sample.hosts, donors=donors, folder=stored, about=about, kinds=KINDS, job=job, progress=progress,
    )  # fmt: skip


def effects_again(
    model: Classifier, folder: PhotoFolder, audit: FolderAudit, *, hosts: np.ndarray, donors: np.ndarray,
    kinds: Sequence[str], stored: Path, about: dict, progress: bool = True,
) -> Effects:  # fmt: skip
    """Of donors on hosts, both positions in `audit.photos`, by another model or on other hosts than the audit's."""
    photos, protected = audit.photos, audit.regions.protected
    keys = [digest + region_digest(mask) for digest, mask in zip(photos["sha256"], protected, strict=True)]
    labels, groups = (photos[name].to_numpy() for name in ("label", "group"))
    return measure_effects(
        model, partial(views, model, folder, audit.rows, protected), labels, groups, keys, hosts=hosts, donors=donors,
        folder=stored, about=about, kinds=kinds, progress=progress,
    )  # fmt: skip


def unmeasured(model: Classifier, sample: Sample, *, stored: Path, about: dict) -> np.ndarray:
    """Whether the effects of each donor of the sample are still to be measured."""
    hosts = [sample.keys[row] for row in sample.hosts]
    held = stores_of(stored, about, hosts, KINDS, len(model.classes)).holds([sample.keys[row] for row in sample.donors])
    return ~held


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
