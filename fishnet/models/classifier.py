"""The LightningModule: a backbone, its loss, its metrics and its optimiser, described by plain values only.

Nothing but strings, numbers and lists goes in, so `ImageClassifier.load_from_checkpoint(path)` needs no other argument
and the parameters of a run are readable columns in any tracker.
"""

from types import SimpleNamespace
from typing import Any, Literal

import pytorch_lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MeanMetric

from fishnet.errors import BadInput
from fishnet.measure.metrics import class_f1, metric_collection
from fishnet.text import slugs

from .backbones import build_backbone, freeze, frozen_to_eval, single_head
from .optimisation import check_optimizer, make_optimizer, make_scheduler
from .preprocessing import contrasted, preprocessing_of, whitened


class ImageClassifier(L.LightningModule):
    """Photos in (uint8, or float 0–1), logits out."""

    mean: Tensor
    std: Tensor
    temperature: Tensor
    class_weights: Tensor

    def __init__(
        self,
        *,
        classes: list[str],
        backbone: str = "resnet101",
        backbone_args: dict | None = None,
        pretrained: bool | str = False,
        freeze: Literal["none", "backbone"] | int = "none",
        dropout: float = 0.0,
        image_size: int | None = None,
        preprocess: list[str] | None = None,
        optimizer: str = "sgd",
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        scheduler: Literal["plateau", "cosine", "none"] = "plateau",
        patience: int = 3,
        factor: float = 0.1,
    ) -> None:
        super().__init__()
        if len(classes) < 2:
            raise BadInput(f"A classifier needs two classes or more; these are {classes}.")
        if not lr > 0:
            raise BadInput(f"model.lr={lr}: a learning rate is above 0.")
        check_optimizer(optimizer)
        self.save_hyperparameters(ignore=["pretrained"], logger=False)  # a checkpoint brings its own weights
        self.classes = list(classes)
        self.slugs = slugs(self.classes)
        self.network = build_backbone(
            backbone,
            num_classes=len(classes),
            pretrained=pretrained,
            dropout=dropout,
            arguments=backbone_args,
        )
        _freeze(self.network, freeze)
        self.train()  # Lightning keeps the mode it finds, and frozen layers are not to be found in training mode
        self.preprocessing = preprocessing_of(self.network, image_size, preprocess)
        self.register_buffer("mean", torch.tensor(self.preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.preprocessing.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("class_weights", torch.ones(len(classes)))
        self._metrics(len(classes))

    def _metrics(self, count: int) -> None:
        self.train_metrics = metric_collection(count, training=True).clone(prefix="train/")
        self.val_metrics = metric_collection(count).clone(prefix="val/")
        self.test_metrics = metric_collection(count).clone(prefix="test/")
        self.val_classes = class_f1(count)
        self.test_classes = class_f1(count)
        self.train_loss, self.val_loss, self.test_loss = MeanMetric(), MeanMetric(), MeanMetric()
        self._rate: float | None = None  # of the epoch's last step
        self._told: dict[str, float] = {}  # the training figures of the last epoch that had any

    def setup(self, stage: str) -> None:
        """Take up the size that the data module asks for; the module then reads it from `preprocessing`."""
        data: Any = getattr(self.trainer, "datamodule", None)
        size = getattr(data, "image_size", None)
        if size not in (None, self.preprocessing.size):
            self.hparams["image_size"] = size  # the checkpoint must know what it was trained at
            self.preprocessing = preprocessing_of(self.network, size, self.hparams["preprocess"])
        if stage == "fit" and getattr(data, "balance", "none") == "weights":
            self.class_weights.copy_(torch.as_tensor(data.class_weights, dtype=torch.float32))

    # ---- answering

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.pixels(images)).float()

    def pixels(self, images: Tensor) -> Tensor:
        """What the network itself takes: numbers around zero."""
        steps = self.preprocessing.steps
        images = contrasted(images, steps)
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return whitened(images) if "whiten" in steps else (images - self.mean) / self.std

    def answer(self, batch: dict) -> Tensor:
        """Logits of a batch of photos, or of what the frozen backbone has said of them before."""
        if "features" not in batch:
            return self(batch["image"])
        kept = nn.functional.dropout(batch["features"], self.hparams["dropout"], self.training)
        return single_head(self.network)(kept).float()  # type: ignore[misc]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax at the temperature that was fitted on validation photos (1 until then)."""
        return (logits / self.temperature).softmax(dim=-1)

    # ---- learning

    def train(self, mode: bool = True):
        super().train(mode)
        frozen_to_eval(self.network)
        return self

    def training_step(self, batch: dict, batch_idx: int) -> dict:
        loss, told = self.shared_step(batch, "train")
        self._rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        return {"loss": loss, **told}

    def validation_step(self, batch: dict, batch_idx: int) -> dict:
        return self.shared_step(batch, "val")[1]

    def test_step(self, batch: dict, batch_idx: int) -> dict:
        return self.shared_step(batch, "test")[1]

    def shared_step(self, batch: dict, stage: str) -> tuple[Tensor, dict]:
        """Loss and metrics of one batch; repeats that fill up the last one (index -1) count nowhere."""
        logits = self.answer(batch)
        real = batch["index"] >= 0
        if not bool(real.all()):
            logits, batch = logits[real], {key: value[real] for key, value in batch.items()}
        labels = batch["label"]
        weights = self.class_weights if stage == "train" else None
        loss = nn.functional.cross_entropy(logits, labels, weight=weights) if len(labels) else logits.sum()
        if len(labels):
            getattr(self, f"{stage}_loss").update(loss.detach(), len(labels))
            getattr(self, f"{stage}_metrics").update(logits.detach(), labels)
            if stage != "train":
                getattr(self, f"{stage}_classes").update(logits, labels)
        return loss, {"index": batch["index"], "label": labels, "logits": logits.detach()}

    # ---- reporting, once an epoch

    def on_train_epoch_end(self) -> None:
        """Of an epoch that was resumed behind its last step, the checkpoint has brought what there is to tell."""
        self._told = self._train_report()
        self._rate = None
        self.train_loss.reset()
        self.train_metrics.reset()
        self.log_dict({name: value for name, value in self._told.items() if name != "epoch"})

    def _train_report(self) -> dict[str, float]:
        """Of the epoch at hand where it had steps in this process, else of the last one that had."""
        if self._rate is None:
            return self._told
        values = {"train/loss": self.train_loss.compute(), **self.train_metrics.compute(), "optim/lr": self._rate}
        return {**{name: float(value) for name, value in values.items()}, "epoch": self.current_epoch}

    def on_validation_epoch_end(self) -> None:
        values = self._report("val")
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self._step_plateau(values)

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _report(self, stage: str) -> dict[str, Tensor]:
        loss, collection = getattr(self, f"{stage}_loss"), getattr(self, f"{stage}_metrics")
        values = {f"{stage}/loss": loss.compute(), **collection.compute()}
        loss.reset(), collection.reset()
        again = self.trainer.state.fn == "validate"  # the best epoch is measured a second time, for its own figures
        self.log_dict(values, logger=not again)
        if again:
            getattr(self, f"{stage}_classes").reset()
        else:
            per_class = getattr(self, f"{stage}_classes")
            self.log_dict(
                {f"{stage}_class/{s}/f1": f for s, f in zip(self.slugs, per_class.compute()["f1"], strict=True)}
            )
            per_class.reset()
        return values

    # ---- optimising

    def configure_optimizers(self) -> Any:
        chosen = SimpleNamespace(**self.hparams)
        optimizer = make_optimizer(
            [p for p in self.parameters() if p.requires_grad],
            name=chosen.optimizer,
            lr=chosen.lr,
            momentum=chosen.momentum,
            weight_decay=chosen.weight_decay,
        )
        scheduler = make_scheduler(
            optimizer,
            name=chosen.scheduler,
            epochs=self.trainer.max_epochs or 1,
            patience=chosen.patience,
            factor=chosen.factor,
        )
        self.plateau = scheduler if isinstance(scheduler, ReduceLROnPlateau) else None
        if chosen.scheduler == "cosine":
            return {"optimizer": optimizer, "lr_scheduler": scheduler}
        return optimizer

    def _step_plateau(self, values: dict[str, Tensor]) -> None:
        """ReduceLROnPlateau is stepped here and not by Lightning, which skips it at the end of a resumed epoch."""
        if self.plateau is not None:
            self.plateau.step(float(values["val/loss"]))

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        plateau = getattr(self, "plateau", None)
        if plateau is not None:
            checkpoint["plateau"] = {k: v for k, v in plateau.state_dict().items() if k != "_last_lr"}

        midway = self._rate is not None and not self.trainer.validating
        checkpoint["train_report"] = self._told if midway else self._train_report()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self._plateau_state = checkpoint.get("plateau")
        self._told = checkpoint.get("train_report", {})

    def on_train_start(self) -> None:
        if self._told.get("epoch", self.current_epoch) < self.current_epoch:  # a kill may have come before it was told
            for logger in self.loggers:
                logger.log_metrics(self._told, step=self.global_step)
        state = getattr(self, "_plateau_state", None)
        if state and self.plateau is not None:
            self.plateau.load_state_dict(state)
            self._plateau_state = None


def _freeze(network: nn.Module, what: str | int) -> None:
    freeze(network, what)
    if not any(p.requires_grad for p in network.parameters()):
        raise BadInput(f"model.freeze={what} leaves nothing to train.")
