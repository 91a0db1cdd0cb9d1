"""What the network is shown: a few photos, step by step, before an hour is spent on them."""

from pathlib import Path

import numpy as np
import pytorch_lightning as L
import torch
from PIL import Image

from fishnet.explain.overlay import labelled, sheet
from fishnet.explain.panel import fixed_panel
from fishnet.files import replacing
from fishnet.models.preprocessing import after_each

TRAINING = 3  # random views a photo


class Views(L.Callback):
    """`views/photos.jpg`: a row a photo: as it is filed, after each step of `model.preprocess`, as training shows it.

    There is nothing to see, and nothing is drawn, where photos are neither prepared nor augmented.
    """

    def __init__(self, *, photos: int = 4) -> None:
        self.photos = photos

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        steps: tuple[str, ...] = pl_module.preprocessing.steps  # type: ignore[union-attr, assignment]
        if not (
            trainer.is_global_zero and self.photos and hasattr(data, "batches") and (steps or data.augment != "none")
        ):
            return
        own = data.rows("train")
        rows = np.array(fixed_panel(own, data.table["label"].to_numpy()[own], self.photos))
        path = Path(trainer.default_root_dir) / "views" / "photos.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _page(data, rows, steps).save(temporary, format="JPEG", quality=90)
        for logger in trainer.loggers:
            if hasattr(logger, "log_artifacts"):
                logger.log_artifacts(path, "views")


def _page(data, rows: np.ndarray, steps: tuple[str, ...]) -> Image.Image:
    shown = data.photos(rows.tolist())
    columns = [("as filed" if "crop" not in steps else "as filed, cropped", shown), *after_each(shown, steps)]
    if data.augment != "none":
        for view in range(TRAINING):
            columns.append((f"{data.augment}, view {view + 1}", _training_view(data, rows, view)))
    pictures = [[labelled(_picture(images[place]), name) for name, images in columns] for place in range(len(rows))]
    return sheet([tile for row in pictures for tile in row], columns=len(columns))


def _training_view(data, rows: np.ndarray, view: int) -> torch.Tensor:
    batches = data.batches(rows, view=view, device=torch.device("cpu"))
    return torch.cat([batch["image"] for batch in batches])


def _picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
