"""Any model against a set of cues: does it rest on what another one was found to rest on?"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.data.folder import PhotoFolder
from fishnet.errors import BadInput
from fishnet.images import RefusedImage, load_opacity, load_pixels
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.text import few_of, slugs

from .cues import MOST, Cue, read_cues
from .exchange import Effects, Exchange
from .folder import Sample, sample_of, views
from .kinds import Views
from .regions import Regions
from .significance import price_of

log = logging.getLogger("fishnet")


def cue_test(
    model: Classifier, folder: PhotoFolder, rows: np.ndarray, regions_of: Callable[[np.ndarray], Regions],
    cues: Sequence[Cue], where: Path, *, hosts: int,
) -> pd.DataFrame:  # fmt: skip
    """A row a class of the set: how much its probability rises with its own cues beyond the cues of other classes, or,
    where the set holds those of a single class, beyond what surrounds photos of other classes in this folder.

    Args:
        model: on its device, with the names of the set's classes.
        folder: with the model's labels.
        rows: of photos that the model has not learned from; hosts are of these.
        regions_of: where the animal may be in the photos of given rows.
        cues: of `known_cues`.
        where: the folder of their set.
        hosts: photos that each cue is laid into.
    """
    sample = sample_of(model, folder, rows, regions_of, most_donors=MOST, hosts=hosts)
    kinds = sorted({cue.kind for cue in cues})
    labels = np.array([model.classes.index(cue.name) for cue in cues])
    lone = len(np.unique(labels)) == 1
    with eval_mode_restored(model):
        effects = cue_effects(model, folder, sample, cues, labels, kinds, where, others=lone)
    result = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        kind = cues[own[0]].kind
        rise, low, high = price_of(effects, int(label), kind, own)
        figures = {"rise": rise, "rise_low": low, "rise_high": high, "reliance": max(0.0, low)}
        beyond = "photos of other classes" if lone else "cues of other classes"
        result.append({"class": model.classes[label], "kind": kind, "cues": len(own), **figures, "beyond": beyond})
    return pd.DataFrame(result)


def known_cues(folder: Path, classes: Sequence[str]) -> list[Cue]:
    """The cues of a set for the classes that a model knows; the others are named."""
    cues = read_cues(folder)
    unknown = sorted({cue.name for cue in cues} - {*classes})
    known = [cue for cue in cues if cue.name in classes]
    if not known:
        raise BadInput(f"cues={folder}: the model knows none of its classes ({few_of(unknown)}).")
    if unknown:
        log.warning("cues=%s: the model does not know %s; their cues are left out.", folder, few_of(unknown))
    return known


def cue_effects(
    model: Classifier, folder: PhotoFolder, sample: Sample, cues: Sequence[Cue], labels: np.ndarray,
    kinds: Sequence[str], where: Path, *, others: bool,
) -> Effects:  # fmt: skip
    """Of the cues and, with `others`, of the sample's donors of classes that have none."""
    of_photos, size = sample.photos["label"].to_numpy(), model.preprocessing.size
    donors = sample.donors[~np.isin(of_photos[sample.donors], labels)] if others else sample.donors[:0]

    def photos(positions: Sequence[int]) -> Views:
        return views(model, folder, sample.rows, sample.regions.protected, positions)

    exchange = Exchange(model, photos(sample.hosts.tolist()), of_photos[sample.hosts], kinds)
    found = [exchange.effects(cue_views(part, where, size, model.device)) for part in _parts(cues, exchange.at_once)]
    found += [exchange.effects(photos(part)) for part in _parts(donors.tolist(), exchange.at_once)]
    logits, probabilities = np.concatenate(found).transpose(1, 2, 0, 3)
    groups = [*(f"cue {cue.group}" for cue in cues), *sample.photos["group"].iloc[donors].astype(str)]
    both = np.concatenate([labels, of_photos[donors]])
    return Effects(tuple(kinds), logits[:-1], probabilities[:-1], both, np.array(groups), logits[-1])


def _parts(items: Sequence, size: int) -> list:
    return [items[start : start + size] for start in range(0, len(items), size)]


def cue_views(cues: Sequence[Cue], folder: Path, size: int, device: torch.device) -> Views:
    """The pictures as a model of this size takes them: transparent parts are protected, and filled with the light
    around them so that no edge of them is laid into a host."""
    pairs = [cue_pixels(folder / cue.file, cue.sha256, size) for cue in cues]
    pixels, protected = (torch.stack(each).to(device) for each in zip(*pairs, strict=True))
    return Views(Views(pixels, protected).surroundings, protected)


def cue_pixels(file: Path, sha256: str, size: int) -> tuple[Tensor, Tensor]:
    """(3, size, size) from 0 to 1, and (1, size, size), 1 where the picture is transparent."""
    try:
        opacity = load_opacity(file, sha256=sha256).astype(np.float32)[..., None] / 255
        pixels = load_pixels(file)[0].astype(np.float32) / 255
    except RefusedImage as error:
        raise BadInput(f"{file} cannot be used: {error}.") from error
    if opacity.shape[:2] != pixels.shape[:2]:
        raise BadInput(f"{file} cannot be used: it is turned.")
    both = cv2.resize(np.concatenate([pixels * opacity, opacity], axis=2), (size, size), interpolation=cv2.INTER_AREA)
    covered = torch.from_numpy(both).permute(2, 0, 1)
    opaque = (covered[3:] > 0.999).float()
    return covered[:3] / covered[3:].clamp(min=1e-3) * opaque, 1 - opaque


def cue_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Names as in MLflow."""
    names = slugs(table["class"].tolist())
    values = {f"audit/cues/reliance/{slug}": value for slug, value in zip(names, table["reliance"], strict=True)}
    return {"audit/cues/reliance_max": float(table["reliance"].max()), **values}
