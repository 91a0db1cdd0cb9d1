"""A frozen backbone is asked once about each photo, not once an epoch."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pytorch_lightning as L

from fishnet.data.cache import cache_folder
from fishnet.data.store import Stored
from fishnet.models.features import backbone_digest, folder_features, has_features

log = logging.getLogger("fishnet")


class FrozenFeatures(L.Callback):
    """With `model.freeze=backbone`, the head trains on stored features: the same head, in the time of one epoch.

    Random views differ each epoch and have no stored features; with `data.views=k` there are k fixed ones a photo.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if getattr(pl_module.hparams, "freeze", None) != "backbone" or not hasattr(data, "serve_features"):
            return
        if data.augment != "none" and not data.views:
            log.info("The backbone is frozen, but data.augment=%s shows it new views each epoch.", data.augment)
            log.info("data.augment=none, or data.views=4 for four fixed views a photo, asks it only once.")
            return
        if not has_features(pl_module):
            log.info("This network has no single classifier layer: its frozen backbone is run each epoch.")
            return
        source = _Source(trainer, pl_module, data, self._place(data))
        data.serve_features(source.features)
        fixed = data.views if data.augment != "none" else 0
        told = f"{fixed} fixed views (data.views={fixed})" if fixed else "one view"
        log.info("The backbone is frozen: its head trains on stored features of %s a photo.", told)

    def _place(self, data) -> Path:
        """In the cache; where there is none, or none can be, in a folder of this run."""
        if data.cache != "off":
            place = cache_folder(data.index.root, data.cache) / "features"
            try:
                place.mkdir(parents=True, exist_ok=True)
                return place
            except OSError as error:
                log.warning(
                    "No features can be kept in %s (%s): they are made for this run alone.", place, error.strerror
                )
        self._scratch = tempfile.TemporaryDirectory(prefix="fishnet-features-")
        return Path(self._scratch.name)


class _Source:
    """Features of the rows that a loader serves, made when it is: a test split that is left alone costs nothing."""

    def __init__(self, trainer: L.Trainer, model: L.LightningModule, data, place: Path) -> None:
        self.model, self.data, self.place = model, data, place
        self.precision = trainer.precision_plugin
        self.weights = backbone_digest(model.network)  # type: ignore[arg-type]

    def features(self, rows: np.ndarray, training: bool) -> list[Stored]:
        """One list entry a view: the fixed ones for training, else the plain one."""
        fixed = range(self.data.views) if training and self.data.augment != "none" else ()
        return [self._view(rows, view) for view in fixed] or [self._view(rows, None)]

    def _view(self, rows: np.ndarray, view: int | None) -> Stored:
        data = self.data
        return folder_features(
            self.model,
            data.table["sha256"].iloc[rows].tolist(),
            lambda places: data.batches(rows[places], view=view, device=self.model.device),
            place=self.place,
            about={**data.view_settings(view), "precision": self.precision.precision, "weights": self.weights},
            label="asking the frozen backbone" if view is None else f"view {view + 1} of {data.views}",
            context=self.precision.forward_context,
        )
