"""A frozen backbone runs once a photo, not once an epoch."""

import logging
import tempfile
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytorch_lightning as L

from fishnet.data.store import Stored
from fishnet.models.features import feature_folder, features_of, has_features
from fishnet.models.interface import Classifier

from .exchange import ExchangeAugmentation

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
            log.info("data.augment=none, or data.views=4 for four fixed views a photo, runs it only once.")
            return
        if any(isinstance(callback, ExchangeAugmentation) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            log.info("The backbone is frozen, but callbacks.exchange shows it new photos in each epoch.")
            return
        model = cast(Classifier, pl_module)
        if not has_features(model):
            log.info("This network has no single classifier layer: its frozen backbone is run each epoch.")
            return
        fixed = range(data.views if data.augment != "none" else 0)
        stored = partial(features_of, model, data, folder=self._folder(data))

        def features(rows: np.ndarray, training: bool) -> list[Stored]:
            """One list entry a view, made when a loader needs it: a test split that is left alone costs nothing."""
            if not training or not fixed:
                return [stored(rows, label="features of the frozen backbone")]
            return [stored(rows, view, label=f"view {view + 1} of {len(fixed)}") for view in fixed]

        data.serve_features(features)
        views = f"{len(fixed)} fixed views (data.views={len(fixed)})" if fixed else "one view"
        log.info("The backbone is frozen: its head trains on stored features of %s a photo.", views)

    def _folder(self, data) -> Path:
        """In the cache; where there is none, or none can be, a folder of this run alone."""
        if (folder := feature_folder(data.index.root, data.cache)) is not None:
            return folder
        self._scratch = tempfile.TemporaryDirectory(prefix="fishnet-features-")
        return Path(self._scratch.name)
