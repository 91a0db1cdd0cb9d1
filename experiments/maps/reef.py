"""A reef whose every part can be left out, and a network that was trained on it.

Photos of a planted class carry a border in nine of ten, others in one of fifty; a float and a ruler lie in a fifth
of the photos of all classes and mean nothing. Of the photos that are not trained on, a third choose thresholds.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.planted_cues.reefs import as_images
from experiments.planted_cues.training import fitted, mirrored, shifted
from fishnet import ImageClassifier
from fishnet.files import replacing
from fishnet.reef.drawing import Entry, entries
from fishnet.reef.fish import PARTS
from fishnet.reef.photo import FISH
from fishnet.reef.settings import Settings

CUE, INNOCENT = "border", ("float", "ruler")
PLANTED_CLASS = 0
SIDE, SPECIES, TRAIN, UNSEEN, SEED = 128, 6, 120, 36, 11
CHANGED = 12  # grey levels by which a pixel differs where something was left out
FILTERS = [16, 32, 64, 128, 256]


@dataclass(frozen=True)
class Reef:
    """The plan of all photos; a photo is drawn when it is asked for."""

    settings: Settings
    planned: list[Entry]

    @cached_property
    def labels(self) -> np.ndarray:
        names = [kind.name for kind in self.settings.kinds]
        return np.array([names.index(entry.kind.name) for entry in self.planned])

    @cached_property
    def numbers(self) -> np.ndarray:
        return np.array([entry.number for entry in self.planned])

    def things(self, row: int) -> list[str]:
        """What can be left out of a photo: parts that its fish has, and cues that it carries."""
        kind = self.planned[row].kind
        lacking = {"barbels": kind.barbels, "pelvic": kind.pelvic, "anal": kind.anal}
        return [part for part in PARTS if lacking.get(part, True)] + list(self.planned[row].cues)

    def draw(self, row: int, without: Collection[str] = (), more: Collection[str] = ()) -> np.ndarray:
        """(side, side, 3) bytes of a photo, without some of its things or with `more` cues."""
        return _drawn(self, row, tuple(sorted(without)), tuple(sorted(more)))[0]

    def fish(self, row: int) -> np.ndarray:
        return _drawn(self, row, (), ())[1]

    def mask(self, row: int, thing: str) -> np.ndarray:
        """Where leaving the thing out changes the photo."""
        change = np.abs(self.draw(row).astype(int) - self.draw(row, [thing])).max(axis=2)
        return change > CHANGED

    def __hash__(self) -> int:
        return id(self)


@lru_cache(maxsize=60000)
def _drawn(reef: Reef, row: int, without: tuple, more: tuple) -> tuple[np.ndarray, np.ndarray]:
    entry = reef.planned[row]
    cues = [*(cue for cue in entry.cues if cue not in without), *more]
    photo = entry.draw(reef.settings, cues=cues, without=[part for part in without if part in PARTS])
    return photo.pixels, photo.mask == FISH


def plan(seed: int = SEED) -> Reef:
    plants = [{"cue": CUE, "share": 0.9, "leak": 0.02}]
    plants += [{"cue": cue, "class": "all", "share": 0.2} for cue in INNOCENT]
    settings = Settings(species=SPECIES, photos=TRAIN + UNSEEN, size=SIDE, seed=seed, plant=plants)
    return Reef(settings, entries(settings))


def split(reef: Reef) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, to choose thresholds by, and to measure on; an observation is in one of them."""
    last = {reef.planned[row].observation.number for row in np.flatnonzero(reef.numbers == TRAIN - 1)}
    observed = np.array([entry.observation.number for entry in reef.planned])
    train = reef.numbers < TRAIN
    unseen = np.flatnonzero(~train & ~np.isin(observed, list(last)))
    choosing = observed[unseen] % 3 == 0
    return np.flatnonzero(train), unseen[choosing], unseen[~choosing]


def trained(
    reef: Reef, rows: np.ndarray, backbone: str, *, epochs: int, seed: int = 0, file: Path | None = None
) -> ImageClassifier:
    """A network for the reef, from drawn weights; on a GPU where there is a driver for it. Its weights are kept in the
    file, or taken from it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    arguments = {"filters": FILTERS, "dense": 0} if backbone == "cnn" else {}
    model = ImageClassifier(
        classes=[kind.name for kind in reef.settings.kinds], backbone=backbone, backbone_args=arguments,
        image_size=SIDE,
    ).to(device, memory_format=torch.channels_last)  # fmt: skip
    if file is not None and file.exists():
        model.network.load_state_dict(torch.load(file, weights_only=True, map_location=device))
        return model.eval()
    images = as_images(np.stack([reef.draw(row) for row in rows])).to(device)
    labels = torch.from_numpy(reef.labels[rows]).to(device)

    def prepared(batch: Tensor) -> Tensor:
        return shifted(mirrored(batch))

    rate = 0.004 if backbone == "cnn" else 0.002
    model = fitted(model, images, labels, prepared, epochs=epochs, rate=rate, batch_size=32, fast=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            torch.save(model.network.state_dict(), temporary)
    return model
