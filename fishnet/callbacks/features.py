"""A frozen backbone is asked once about each photo, not once an epoch."""

import logging
import tempfile
from pathlib import Path

import pytorch_lightning as L

from fishnet.data.cache import cache_place
from fishnet.models.features import folder_features, has_features

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
        if data.cache == "off":
            self._scratch = tempfile.TemporaryDirectory(prefix="fishnet-features-")
            place = Path(self._scratch.name)
        else:
            place = cache_place(data.index.root, data.cache) / "features"
        views = range(data.views) if data.augment != "none" else ()
        stored = [self._features(trainer, pl_module, data, place, view) for view in (None, *views)]
        data.serve_features(stored[0], stored[1:])
        told = f"{data.views} fixed views (data.views={data.views})" if views else "one view"
        log.info("The backbone is frozen: its head trains on stored features of %s a photo.", told)

    @staticmethod
    def _features(trainer: L.Trainer, model, data, place: Path, view: int | None):
        precision = trainer.precision_plugin
        return folder_features(
            model,
            data.table["sha256"].tolist(),
            lambda positions: data.batches(positions, view=view, device=model.device),
            place=place,
            about={**data.view_settings(view), "precision": precision.precision},
            label="asking the frozen backbone" if view is None else f"view {view + 1} of {data.views}",
            context=precision.forward_context,
        )
