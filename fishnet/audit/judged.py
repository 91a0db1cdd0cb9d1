"""Which photos a model is judged by, and where the animal may be in them."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from fishnet.data.datamodule import ImageFolderData
from fishnet.errors import BadInput
from fishnet.explain.gradcam import NothingToExplain
from fishnet.models.interface import Classifier

from . import regions
from .boxes import boxed_regions
from .masks import masked_regions
from .middle import CLOSER, MOST, beyond_middle, usual_share
from .regions import Regions
from .significance import standing_out

log = logging.getLogger("fishnet")


def judged_rows(data: ImageFolderData, part: str) -> np.ndarray:
    """Rows of the part that was asked for; with `auto` all that the model has not learned from, with `folds` all."""
    seen = data.folder.table.get("seen")
    if seen is None and part != "folds":
        log.warning("The checkpoint does not record which photos it was trained on: these may be among them.")
    rows = data.rows(data.part)
    if seen is not None and part == "auto":
        rows = rows[(seen.iloc[rows] != "train").to_numpy()]
        log.info("Judged are %d of %d photos: the model was trained on the others.", len(rows), len(seen))
    elif seen is not None and part != "folds" and (trained := int((seen.iloc[rows] == "train").sum())):
        log.warning("warning: the model was trained on %d of these %d photos.", trained, len(rows))
    if len(np.unique(data.folder.table["label"].iloc[rows])) < 2:
        raise BadInput(
            f"part={part}: there are no photos of two classes that the model has not learned from; train with a "
            "validation and a test part, or name another folder."
        )
    return rows


@dataclass(frozen=True)
class RegionSource:
    """How the animal's region is known; called with rows of the folder.

    Args:
        way: `learned`, `ellipse`, `boxes`, `masks` or `animals`; `auto` has to be `decided` first.
        data: with the model's labels.
        model: on its device.
        batch_size: photos at once.
        boxes: the file, for `boxes`.
        masks: the folder, for `masks`.
        weights, network: of an ImageNet network, for `animals`.
        why: this way was chosen, in words; empty where it was asked for.
        travels: whether parts of the animals are known to lie outside.
    """

    way: str
    data: ImageFolderData
    model: Classifier
    batch_size: int
    boxes: Path | None = None
    masks: Path | None = None
    weights: Path | None = None
    network: str = ""
    why: str = ""
    travels: bool = False

    def __post_init__(self) -> None:
        if self.way == "boxes" and self.boxes is None:
            raise BadInput("region=boxes: name their file with boxes=FILE.")
        if self.way == "masks" and self.masks is None:
            raise BadInput("region=masks: name the folder that holds them with masks=DIR.")
        if self.way == "masks" and self.masks is not None and not self.masks.is_dir():
            raise BadInput(f"masks={self.masks}: there is no such folder.")
        if self.way == "animals" and self.weights is None:
            raise BadInput("region=animals: name weights of an ImageNet network with weights=FILE (and network=NAME).")

    def decided(self, rows: np.ndarray) -> "RegionSource":
        """With `auto`, the same with the way that fits these rows: the middle, or what is learned where the animals
        reach beyond it. Where a class stands out even there it is the middle, which takes no cue for an animal."""
        if self.way != "auto":
            return self
        share = usual_share(beyond_middle(self.model, self.data.folder, rows))
        why = f"tried with the middle first: outside of it lies {max(share, 0):.0%} of the answer of a usual class, so "
        if share <= MOST:
            return self._chosen("ellipse", why + "the animals keep to it")
        why += f"the animals reach beyond it (more than {MOST:.0%})"
        ahead, common = standing_out(beyond_middle(self.model, self.data.folder, rows, CLOSER))
        if not ahead:
            return self._chosen("learned", why)
        names = ", ".join(self.model.classes[label] for label in sorted(ahead))
        why += f"; but {names} by far more than any other class, of which none has more than {common:.0%}"
        return self._chosen("ellipse", why, travels=True)

    def _chosen(self, way: str, why: str, *, travels: bool = False) -> "RegionSource":
        log.info("region=%s, %s.", way, why)
        return replace(self, way=way, why=why, travels=travels)

    def __call__(self, rows: np.ndarray) -> Regions:
        """Where the animal may be in the photos of these rows of the folder."""
        found = self._found(rows)._replace(travels=self.travels)
        return found._replace(how=f"{found.how} ({self.why})") if self.why else found

    def _found(self, rows: np.ndarray) -> Regions:
        look, data = self.model.preprocessing, self.data
        if self.way == "boxes":
            assert self.boxes is not None
            return boxed_regions(self.boxes, data.table.iloc[rows], look)
        if self.way == "masks":
            assert self.masks is not None
            return masked_regions(self.masks, data.table.iloc[rows], look)
        if self.way == "animals":
            assert self.weights is not None
            return regions.animal_regions(self.batches(rows), look.size, self.network, self.weights)
        if self.way == "learned":
            try:
                labels = data.table["label"].to_numpy()[rows]
                return regions.learned_regions(self.model, lambda: self.batches(rows), labels)
            except NothingToExplain as error:
                log.warning("region=learned is not possible (%s): region=ellipse is taken.", str(error).rstrip("."))
        return regions.elliptic(len(rows), look.size)

    def batches(self, rows: np.ndarray) -> Iterator[Tensor]:
        """The photos of these rows on the model's device."""
        folder, look = self.data.folder, self.model.preprocessing
        for batch in folder.batches(rows, look, batch_size=self.batch_size, device=self.model.device):
            yield batch["image"]
