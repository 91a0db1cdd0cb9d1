"""What the network is shown: a few photos, step by step, before an hour is spent on them."""

from typing import Annotated

import numpy as np
import pytorch_lightning as L
import torch
from PIL import Image

from fishnet.data.folder import PhotoSource
from fishnet.explain.overlay import fixed_panel, labelled, sheet
from fishnet.models.preprocessing import after_each
from fishnet.ranges import AtLeast, check_ranges

from .outputs import write_artifact

TRAINING = 3  # random views a photo


class Views(L.Callback):
    """`views/photos.jpg`: a row a photo: as it is filed, after each step of `model.preprocess`, as training shows it.

    There is nothing to see, and nothing is drawn, where photos are neither prepared nor augmented.

    Args:
        photos: how many photos, spread over the classes.
    """

    def __init__(self, *, photos: Annotated[int, AtLeast(0)] = 4) -> None:
        check_ranges(Views.__init__, locals())
        self.photos = photos

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        steps: tuple[str, ...] = pl_module.preprocessing.steps  # type: ignore[union-attr, assignment]
        if not trainer.is_global_zero or not self.photos or not isinstance(data, PhotoSource):
            return
        if steps or data.augment != "none":
            candidates = data.rows("train")
            labels = data.table["label"].to_numpy()[candidates]
            page = _page(data, np.array(fixed_panel(candidates, labels, self.photos)), steps)
            write_artifact(trainer, "views/photos.jpg", lambda path: page.save(path, format="JPEG", quality=90))


def _page(data: PhotoSource, rows: np.ndarray, steps: tuple[str, ...]) -> Image.Image:
    photos = data.photos(rows.tolist())
    columns = [("as filed" if "crop" not in steps else "as filed, cropped", photos), *after_each(photos, steps)]
    if data.augment != "none":
        for view in range(TRAINING):
            batches = data.batches(rows, view=view, device=torch.device("cpu"))
            columns.append((f"{data.augment}, view {view + 1}", torch.cat([batch["image"] for batch in batches])))
    tiles = [
        labelled(Image.fromarray(np.ascontiguousarray(images[row].permute(1, 2, 0).numpy())), name)
        for row in range(len(rows))
        for name, images in columns
    ]
    return sheet(tiles, columns=len(columns))
