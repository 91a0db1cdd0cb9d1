"""`model.head=logistic`: the classifier layer of a frozen backbone is fitted in the place of trained."""

import logging
from typing import Any, cast

import pytorch_lightning as L
from torch import nn

from fishnet.errors import BadInput
from fishnet.models.backbones import single_head
from fishnet.models.interface import Classifier
from fishnet.models.logistic import chosen, fitted

log = logging.getLogger("fishnet")


class LogisticHead(L.Callback):
    """Fits the layer when training starts, on the features that `FrozenFeatures` serves; the epoch that follows
    measures it and leaves its checkpoints, and its learning rate is 0.

    With `model.head_refit` the layer is fitted again on training and validation photos with the penalty that was
    chosen, after validation has been measured and the temperature fitted, and before the test.
    """

    def __init__(self) -> None:
        self._penalty: float | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if getattr(pl_module.hparams, "head", "linear") != "logistic":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not getattr(data, "serves_features", False):
            raise BadInput(
                "model.head=logistic is fitted on stored features: it needs model.freeze=backbone, a network with a "
                "single classifier layer, and fixed views (data.views=4) or data.augment=none."
            )
        classes = len(cast(Classifier, pl_module).classes)
        self._penalty, layer = chosen(data.known("train", views=True), data.known("val"), classes)
        layer.into(self._head(pl_module))
        log.info("The classifier layer is fitted: a penalty of %.2g has the least loss on validation.", self._penalty)

    def refit(self, trainer: L.Trainer, pl_module: L.LightningModule) -> bool:
        """Fit on validation photos too, where that is asked for; whether it was done."""
        if self._penalty is None or not getattr(pl_module.hparams, "head_refit", False):
            return False
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        known = data.known("train", views=True).joined(data.known("val", views=True))
        ((_, layer),) = fitted(known, len(cast(Classifier, pl_module).classes), [self._penalty])
        layer.into(self._head(pl_module))
        log.info("The classifier layer is fitted again, on training and validation photos.")
        return True

    def _head(self, pl_module: L.LightningModule) -> nn.Linear:
        head = single_head(cast(Classifier, pl_module).network)
        assert head is not None, "there are features"
        return head
