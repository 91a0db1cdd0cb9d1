"""`model.head=logistic`: the classifier layer is fitted, in the place of trained or before all is trained."""

import logging
from typing import Any, cast

import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import nn

from fishnet.data.loading import Known
from fishnet.errors import BadInput
from fishnet.models.backbones import single_head
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import has_features, kept_features
from fishnet.models.interface import Classifier
from fishnet.models.logistic import chosen, fitted
from fishnet.models.optimisation import scale_rates
from fishnet.text import counted

log = logging.getLogger("fishnet")


FULL_RATE_AT = 0.25  # the share of validation photos that the fitted layer gets wrong


def share_of_rate(wrong: int, many: int) -> float:
    """What `model.lr_by_error` takes of the rate, where the fitted layer gets so many of the validation photos wrong.

    One photo is counted as wrong and one as right besides: a few that are right do not show that all are.
    """
    return min(1.0, (wrong + 1) / (many + 2) / FULL_RATE_AT)


class LogisticHead(L.Callback):
    """Fits the layer when training starts, on the features that `FrozenFeatures` serves; the epoch that follows
    measures it and leaves its checkpoints, and its learning rate is 0.

    Where the backbone is trained too, the layer is fitted on the features of photos as they are evaluated, and the
    training begins from there: a layer that knows nothing would first spoil what the backbone can (Kumar et al. 2022).
    The fitted layer is the first of those among which validation chooses: few photos can be worth no training at all.

    With `model.head_refit` the layer of a frozen backbone is fitted again on training and validation photos with the
    penalty that was chosen, after validation has been measured and the temperature fitted, and before the test.
    """

    def __init__(self) -> None:
        self._penalty: float | None = None  # of a frozen backbone

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if getattr(pl_module.hparams, "head", "linear") != "logistic":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        frozen = getattr(pl_module.hparams, "freeze", None) == "backbone"
        if frozen and not getattr(data, "serves_features", False):
            raise BadInput(
                "model.head=logistic is fitted on stored features: it needs a network with a single classifier layer, "
                "fixed views (data.views=4) or data.augment=none, and callbacks.features."
            )
        if not frozen and trainer.ckpt_path:  # the layer is the checkpoint's
            return
        model = cast(ImageClassifier, pl_module)
        train, val = (data.known("train", views=True), data.known("val")) if frozen else self._computed(model, data)
        penalty, layer = chosen(train, val, len(model.classes))
        layer.into(self._head(pl_module))
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):  # what it saves is its average, which began with another layer
                callback.setup(trainer, pl_module, "fit")
        log.info("The classifier layer is fitted: a penalty of %.2g has the least loss on validation.", penalty)
        if frozen:
            self._penalty = penalty
        else:
            logits, labels = val.features @ layer.weight.T + layer.bias, torch.from_numpy(val.labels)
            model.answered_before_training(torch.from_numpy(logits).to(model.device), labels.to(model.device))
            if model.hparams["lr_by_error"]:
                wrong, many = int((logits.argmax(axis=1) != val.labels).sum()), len(val.labels)
                share = share_of_rate(wrong, many)
                schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
                scale_rates(trainer.optimizers, schedulers, share)
                words = (wrong, counted(many, "validation photo"), share, model.hparams["lr"])
                log.info("It gets %d of %s wrong: the rate is %.2f times model.lr=%g.", *words)

    def _computed(self, model: Classifier, data: Any) -> tuple[Known, Known]:
        """Of the training and of the validation photos, as they are evaluated."""
        if not has_features(model):
            raise BadInput("model.head=logistic needs a network with a single classifier layer: leave it out.")
        labels, weights = data.table.label.to_numpy(), data.loss_weights
        rows = [data.rows(part) for part in ("train", "val")]
        features = [kept_features(model, data.folder, own, batch_size=data.batch_size) for own in rows]
        train, val = (Known(own, labels[r], weights[r]) for own, r in zip(features, rows, strict=True))
        return train, val

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
