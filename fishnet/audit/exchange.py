"""The donor exchange test: does a class's probability rise in photos of other classes that are given the surroundings,
the light or the coding of its photos?

Each donor is laid into a few fixed hosts. What counts is how much more a class rises with its own donors than with
those of other classes: a cue that the model has learned travels with the donor, and the animal does not.

Exchanged photos are answered in the arithmetic that is fastest on the machine: what bfloat16 rounds away is a two
hundredth of what differs between donors (ResNet18, 128 pixels: 0.0024 of a logit beside 0.52).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fishnet.data.store import Made
from fishnet.models.arithmetic import in_setting, rule
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .jobs import EffectStores, Job
from .kinds import KINDS, Views, exchanged

HOSTS = 12  # photos that every donor is laid into
WHOLE = "whole"  # the donor itself, as the last of what is kept
BATCHES = {"cpu": 36, "cuda": 768}  # exchanged photos that the model is asked about at once; more only cost memory

ViewsOf = Callable[[Sequence[int]], Views]  # row numbers → photos with their protected regions


@dataclass(frozen=True)
class Effects:
    """How much each class rises in hosts of other classes, for each kind, donor and class.

    Args:
        kinds: what was exchanged.
        logits: (kinds, donors, classes), the mean change of the logit less the mean over the classes.
        probabilities: (kinds, donors, classes), the mean change of the probability.
        labels: the class of each donor.
        groups: what each donor belongs to: photos of a group are no independent evidence.
        whole: (donors, classes), the change of the logit if the host were the donor, animal and all.
    """

    kinds: tuple[str, ...]
    logits: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    whole: np.ndarray

    @property
    def classes(self) -> int:
        return self.logits.shape[-1]


def choose_hosts(labels: np.ndarray, sha256: Sequence[str], rows: np.ndarray, count: int = HOSTS) -> np.ndarray:
    """Rows of photos that donors are laid into, alternating between the classes; the same for the same photos."""
    order = sorted(rows.tolist(), key=lambda row: sha256[row])
    by_class = {label: [row for row in order if labels[row] == label] for label in np.unique(labels[rows])}
    turns = [(turn, label) for label, own in by_class.items() for turn in range(len(own))]
    return np.array([by_class[label][turn] for turn, label in sorted(turns)[:count]])


def choose_donors(
    labels: np.ndarray, groups: np.ndarray, sha256: Sequence[str], rows: np.ndarray, most: int
) -> np.ndarray:
    """Up to `most` photos of each class, as many groups as there are before a second photo of any of them."""
    chosen: list[int] = []
    for label in np.unique(labels[rows]):
        own = sorted(rows[labels[rows] == label].tolist(), key=lambda row: sha256[row])
        turn: dict[object, int] = {}
        ranked: list[tuple[int, int, int]] = []
        for row in own:
            turn[groups[row]] = turn.get(groups[row], -1) + 1
            ranked.append((turn[groups[row]], len(ranked), row))
        chosen += [row for _, _, row in sorted(ranked)[:most]]
    return np.array(sorted(chosen))


def measure_effects(
    model: Classifier,
    views_of: ViewsOf,
    labels: np.ndarray,
    groups: np.ndarray,
    keys: Sequence[str],
    *,
    hosts: np.ndarray,
    donors: np.ndarray,
    folder: Path,
    about: dict,
    kinds: Sequence[str] = KINDS,
    job: Job | None = None,
    progress: bool = True,
) -> Effects:
    """Lay every donor into every host and ask the model; what `folder` holds of it already is not asked again.

    Args:
        model: in evaluation, on its device.
        views_of: the photos of the table's rows.
        labels: the class of each row.
        groups: the group of each row.
        keys: of at most 80 letters, equal for the same photo with the same region.
        hosts: rows that donors are laid into.
        donors: rows whose surroundings and properties are laid into the hosts.
        folder: where finished donors are kept.
        about: names the model: what was kept under another name is made again.
        kinds: what is exchanged.
        job: in whose store new donors are kept; by default that of runs.
        progress: whether to show a bar.
    """
    stores = stores_of(folder, about, [keys[row] for row in hosts], kinds, len(model.classes))
    wanted = [keys[row] for row in donors]
    left = np.flatnonzero(~stores.holds(wanted))

    def compute(positions: np.ndarray) -> Made:
        exchange = Exchange(model, views_of(hosts.tolist()), labels[hosts], kinds)
        for start in range(0, len(positions), exchange.at_once):
            part = positions[start : start + exchange.at_once]
            yield from zip(part.tolist(), exchange.effects(views_of(donors[left[part]].tolist())), strict=True)

    if len(left):
        with eval_mode_restored(model):
            stores.fill([wanted[position] for position in left], compute, job=job, progress=progress)
    logits, probabilities = stores.read(wanted).transpose(1, 2, 0, 3)
    return Effects(tuple(kinds), logits[:-1], probabilities[:-1], labels[donors], groups[donors], logits[-1])


def stores_of(folder: Path, about: dict, hosts: Sequence[str], kinds: Sequence[str], classes: int) -> EffectStores:
    """Where the effects on these hosts (by key) are kept; see `measure_effects`."""
    about = {**about, "hosts": [*hosts], "kinds": [*kinds, WHOLE]}
    return EffectStores(folder, about, (2, len(kinds) + 1, classes))


class Exchange:
    """A model and its hosts; asked about donors.

    Args:
        model: in evaluation.
        hosts: photos that donors are laid into.
        labels: their classes: what a donor does to a class is measured in hosts of other classes.
        kinds: what is exchanged.
    """

    def __init__(self, model: Classifier, hosts: Views, labels: np.ndarray, kinds: Sequence[str] = KINDS) -> None:
        self.model, self.hosts, self.kinds = model, hosts, tuple(kinds)
        self.setting, _ = rule(model, use_gpu=model.device.type == "cuda")
        self.at_once = max(1, BATCHES.get(model.device.type, BATCHES["cpu"]) // len(hosts))  # donors
        others = torch.from_numpy(labels)[:, None] != torch.arange(len(model.classes))
        self.weights = (others / others.sum(dim=0).clamp(min=1)).to(model.device)  # (hosts, classes)
        self.before = self.answers(hosts.pixels)

    def effects(self, donors: Views) -> np.ndarray:
        """(donors, 2, kinds + 1, classes): mean changes of the centred logit and of the probability; the last are those
        from the hosts to the donor itself."""
        by_kind = [self._changes(exchanged(kind, self.hosts, donors)) for kind in self.kinds]
        before = (self.before * self.weights).sum(dim=1)
        by_kind.append((self.answers(donors.pixels) - before[:, None]).transpose(0, 1))
        return torch.stack(by_kind, dim=2).cpu().numpy()

    def _changes(self, photos: Tensor) -> Tensor:
        """(donors, hosts, 3, side, side) → (donors, 2, classes)."""
        after = self.answers(photos.flatten(0, 1)).unflatten(1, photos.shape[:2])
        return ((after - self.before[:, None]) * self.weights).sum(dim=2).transpose(0, 1)

    @torch.inference_mode()
    def answers(self, photos: Tensor) -> Tensor:
        """(2, photos, classes): centred logits and probabilities."""
        with in_setting(self.setting, photos.device):
            logits = self.model(photos)
        return torch.stack([logits - logits.mean(dim=1, keepdim=True), self.model.probabilities(logits)])
