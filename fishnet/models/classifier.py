"""The LightningModule: a backbone, its loss, its metrics and its optimiser, described by plain values only.

Nothing but strings, numbers and lists goes in, so `ImageClassifier.load_from_checkpoint(path)` needs no other argument
and the parameters of a run are readable columns in any tracker.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytorch_lightning as L
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fishnet.data.class_names import ClassNames
from fishnet.data.loading import REPEATS
from fishnet.data.seen import SeenPhotos
from fishnet.errors import BadInput
from fishnet.measure.metrics import beyond_counts, of_counts
from fishnet.measure.running import RunningCounts, RunningLoss
from fishnet.ranges import Above, AtLeast, Between, FromToBelow, Within, check_ranges
from fishnet.text import slugs

from .backbones import build_backbone, freeze_backbone, frozen_to_eval, single_head, statistics_to_eval
from .checkpoint import BEFORE_TRAINING
from .familiarity import Familiarity
from .mixing import Partner, mixed
from .optimisation import check_optimizer, layer_groups, make_optimizer, make_scheduler
from .preprocessing import contrasted, preprocessing_of, whitened
from .resume_state import ResumeState


class ImageClassifier(L.LightningModule):
    """A backbone that classifies photos: photos in (uint8, or float 0 to 1), logits out.

    Args:
        classes: names of the classes, in the order of the logits; two or more.
        backbone: a name that `timm.create_model` knows, or `cnn`, our own small network.
        backbone_args: further arguments of that network, such as `{"pad_type": "same"}`.
        pretrained: true for published ImageNet weights, or a local .pth or .safetensors file of the same architecture.
            `auto` is settled by the program for a folder; a model alone begins from nothing.
        freeze: `none`, `backbone` (only the classifier layer learns), or a number of stages, from the first on.
        head: how the classifier layer learns: `linear` is trained as all else, `logistic` is fitted on the features of
            the photos, exactly and in seconds; where the backbone is not frozen, all is trained on from there.
        head_refit: of `logistic` with a frozen backbone: fitted on validation photos too before the test.
        keep_statistics: batch normalisation keeps the means and variances that the network came with; its scales and
            shifts learn.
        dropout: the share of features left out before the classifier layer in training.
        image_size: side of the square that the network sees; null takes the backbone's own.
        fit: how a photo becomes a square: `crop` shows its middle, `pad` all of it on a plain ground, `squash` all of
            it pressed together. `auto` is settled by the program for a folder; a model alone takes the middle.
        preprocess: steps before the network, of `crop`, `autocontrast`, `equalize` and `whiten`.
        optimizer: a name of timm's, such as `sgd`, `adam`, `adamw`, `adamax` or `rmsprop`.
        lr: the learning rate.
        lr_by_error: above a fitted classifier layer, lr counts in full where that gets a quarter of the validation
            photos wrong or more, and in proportion where fewer: it has more to lose there than to gain.
        momentum: of optimisers that have one.
        weight_decay: applied to every parameter that learns.
        layer_decay: each layer's rate is that of the layer above times this; below 1, biases and norms have no weight
            decay.
        scheduler: `plateau` lowers the rate when val/loss stops falling, `cosine` lowers it over all epochs,
            `one_cycle` raises it over the first quarter of the steps and lowers it over the others.
        patience: epochs without a lower val/loss before the plateau schedule lowers the rate.
        factor: what the plateau schedule multiplies the rate by.
        label_smoothing: the share of each label that training gives to all classes alike.
        mixup: training mixes pairs of photos by a share drawn from Beta(mixup, mixup); 0 for not.
    """

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
        head: Literal["linear", "logistic"] = "linear",
        head_refit: bool = False,
        keep_statistics: bool = False,
        dropout: Annotated[float, FromToBelow(0, 1)] = 0.0,
        image_size: int | None = None,
        fit: Literal["auto", "crop", "pad", "squash"] = "crop",
        preprocess: list[str] | None = None,
        optimizer: str = "sgd",
        lr: Annotated[float, Above(0)] = 0.01,
        lr_by_error: bool = False,
        momentum: Annotated[float, FromToBelow(0, 1)] = 0.9,
        weight_decay: Annotated[float, AtLeast(0)] = 1e-4,
        layer_decay: Annotated[float, Within(0, 1)] = 1.0,
        scheduler: Literal["plateau", "cosine", "one_cycle", "none"] = "plateau",
        patience: Annotated[int, AtLeast(0)] = 3,
        factor: Annotated[float, Between(0, 1)] = 0.1,
        label_smoothing: Annotated[float, FromToBelow(0, 1)] = 0.0,
        mixup: Annotated[float, AtLeast(0)] = 0.0,
    ) -> None:
        check_ranges(ImageClassifier.__init__, locals())
        super().__init__()
        if len(classes) < 2:
            raise BadInput(f"A classifier needs two classes or more; these are {classes}.")
        check_optimizer(optimizer)
        fit = "crop" if fit == "auto" else fit
        pretrained = False if pretrained == "auto" else pretrained
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
        freeze_backbone(self.network, freeze)
        self.train()  # Lightning keeps the mode it finds, and frozen layers must not be found in training mode
        self.preprocessing = preprocessing_of(self.network, image_size, preprocess, fit)
        self.register_buffer("mean", torch.tensor(self.preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.preprocessing.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("class_weights", torch.ones(len(classes)))
        self.train_loss, self.val_loss, self.test_loss = RunningLoss(), RunningLoss(), RunningLoss()
        self.train_counts, self.val_counts, self.test_counts = (RunningCounts(len(classes)) for _ in range(3))
        self.val_metrics = beyond_counts(len(classes)).clone(prefix="val/")
        self.test_metrics = beyond_counts(len(classes)).clone(prefix="test/")
        self.resume_state = ResumeState()
        self.measured_again = False  # while a run measures its best epoch a second time: its curves have it already
        self.before_training: dict[str, float] = {}  # what validation would log of a layer that was fitted
        self.names = ClassNames()  # what people call the classes, where the photos' folder says it
        self.seen: SeenPhotos | None = None  # what it was trained, validated and tested on, where that is known
        self.familiarity: Familiarity | None = None  # of a bundle's model: whether a photo fits any of its classes
        self.mended: dict[str, Any] | None = None  # of a model that an audit has mended: from which, and how

    def setup(self, stage: str) -> None:
        """Take up the size that the data module asks for; the module then reads it from `preprocessing`."""
        data: Any = getattr(self.trainer, "datamodule", None)
        size = getattr(data, "image_size", None)
        if size not in (None, self.preprocessing.size):
            self.hparams["image_size"] = size  # the checkpoint must know what it was trained at
            self.preprocessing = preprocessing_of(
                self.network, size, self.hparams["preprocess"], self.preprocessing.fit
            )
        if stage == "fit" and getattr(data, "balance", "none") == "weights":
            self.class_weights.copy_(torch.as_tensor(data.class_weights, dtype=torch.float32))

    # ---- photos → logits

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.pixels(images)).float()

    def pixels(self, images: Tensor) -> Tensor:
        """Photos → what the network takes: numbers around zero."""
        steps = self.preprocessing.steps
        images = contrasted(images, steps)
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return whitened(images) if "whiten" in steps else (images - self.mean) / self.std

    def logits(self, batch: dict[str, Tensor]) -> Tensor:
        """Of a batch of photos, or of their stored features (under a frozen backbone)."""
        if "features" not in batch:
            return self(batch["image"])
        features = nn.functional.dropout(batch["features"], self.hparams["dropout"], self.training)
        return single_head(self.network)(features).float()  # type: ignore[misc]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax at the temperature that was fitted on validation photos (1 until then)."""
        return (logits / self.temperature).softmax(dim=-1)

    # ---- learning

    def train(self, mode: bool = True):
        super().train(mode)
        frozen_to_eval(self.network)
        if self.hparams["keep_statistics"]:
            statistics_to_eval(self.network)
        return self

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        batch = self.numbered(batch, "train")
        pair = None
        if self.hparams["mixup"] and "image" in batch:
            batch, pair = mixed(batch, self.hparams["mixup"])
        loss, outputs = self.shared_step(batch, "train", pair)
        self.resume_state.learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        return {"loss": loss, **outputs}

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.shared_step(batch, "val")[1]

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self.shared_step(batch, "test")[1]

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Probabilities of a batch's photos, which may come without labels. Where the batch has an `index`, it is given
        back beside them, and repeats are left out: what several devices answer is put together by it."""
        if not isinstance(batch, Mapping):
            batch = {"image": batch if isinstance(batch, Tensor) else batch[0]}
        probabilities = self.probabilities(self.logits(batch))
        if "index" not in batch:
            return {"probabilities": probabilities}
        real = batch["index"] >= 0
        return {"index": batch["index"][real], "probabilities": probabilities[real]}

    def numbered(self, batch: Any, stage: str) -> dict[str, Tensor]:
        """A batch as the data room makes it. Pairs of photos and labels, as torchvision's data sets give them, and
        mappings without `index` are taken too: their photos are numbered as they come."""
        if not isinstance(batch, Mapping):
            batch = {"image": batch[0], "label": batch[1]}
        if "index" in batch:
            return batch  # type: ignore[return-value]
        done, labels = getattr(self, f"{stage}_loss").counted, batch["label"]
        own = torch.arange(done, done + len(labels), device=labels.device)
        return {**batch, "index": own * self.trainer.world_size + self.trainer.global_rank, REPEATS: False}

    def shared_step(self, batch: Any, stage: str, pair: Partner | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of one batch, whose photos may be mixed with a partner's; repeats that fill up the last one
        (index -1) count nowhere."""
        batch = self.numbered(batch, stage)
        logits = self.logits(batch)
        real = batch["index"] >= 0
        if batch[REPEATS] if REPEATS in batch else not bool(real.all()):
            logits = logits[real]
            batch = {key: value[real] for key, value in batch.items() if key != REPEATS}
        labels = batch["label"]
        loss = self.loss(logits, batch, stage) if len(labels) else logits.sum()
        if pair is not None:
            loss = pair.share * loss + (1 - pair.share) * self.loss(logits, {**batch, "label": pair.labels}, stage)
        if len(labels):
            getattr(self, f"{stage}_loss").update(loss, len(labels))
            getattr(self, f"{stage}_counts").update(logits.detach(), labels)
            if stage != "train":
                getattr(self, f"{stage}_metrics").update(logits.detach(), labels)
        return loss, {"index": batch["index"], "label": labels, "logits": logits.detach()}

    def loss(self, logits: Tensor, batch: dict[str, Tensor], stage: str) -> Tensor:
        """The mean cross-entropy; in training weighted by class and, where the batch has a `weight`, by photo.

        What a subclass puts in its place is what training minimises, and what `val/loss` and `test/loss` report.

        Args:
            logits: of the batch's photos.
            batch: with `label`; whatever else the data set puts there.
            stage: train, val or test.
        """
        labels, weights = batch["label"], self.class_weights if stage == "train" else None
        smoothing = self.hparams["label_smoothing"] if stage == "train" else 0.0
        if "weight" not in batch:
            return nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
        losses = nn.functional.cross_entropy(
            logits, labels, weight=weights, label_smoothing=smoothing, reduction="none"
        )
        total = (batch["weight"] * self.class_weights[labels]).sum()
        return (batch["weight"] * losses).sum() / total.clamp(min=torch.finfo(total.dtype).tiny)

    # ---- logging, once an epoch

    def on_train_epoch_end(self) -> None:
        """After resuming past an epoch's last step, these are the training metrics stored in the checkpoint."""
        values = self.resume_state.end_epoch(self._train_values, self.current_epoch)
        self.train_loss.reset()
        self.train_counts.reset()
        self.log_dict(values)

    def _train_values(self) -> dict[str, float]:
        shares = of_counts(self.train_counts.class_counts())
        return {"train/loss": float(self.train_loss.compute()), **{f"train/{name}": v for name, v in shares.items()}}

    def on_validation_epoch_end(self) -> None:
        loss = self._log_stage("val")["val/loss"]
        plateau = self.resume_state.plateau
        if plateau is not None and self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            plateau.step(float(loss))  # not by Lightning, which skips it at the end of a resumed epoch

    def on_test_epoch_end(self) -> None:
        self._log_stage("test")

    def _log_stage(self, stage: str) -> dict[str, Tensor]:
        """Log loss, metrics and the F1 of each class, and start them anew; returns loss and metrics."""
        scores = getattr(self, f"{stage}_counts").class_counts().f1.tolist()
        values = self._computed(stage)
        self.log_dict(values, logger=not self.measured_again)
        if not self.measured_again:
            named = zip(self.slugs, scores, strict=True)
            self.log_dict({f"{stage}_class/{slug}_f1": score for slug, score in named})
        return values

    def _computed(self, stage: str) -> dict[str, Tensor]:
        """Loss and metrics of what was counted; they start anew."""
        loss, running, others = (getattr(self, f"{stage}_{name}") for name in ("loss", "counts", "metrics"))
        values = {f"{stage}/loss": loss.compute(), **others.compute()}
        values |= {f"{stage}/{name}": value for name, value in of_counts(running.class_counts()).items()}
        for metric in (loss, running, others):
            metric.reset()
        return values

    def answered_before_training(self, logits: Tensor, labels: Tensor) -> None:
        """Keep in `before_training` what a validation with these answers would log."""
        self.val_loss.update(self.loss(logits, {"label": labels}, "val"), len(labels))
        self.val_counts.update(logits, labels)
        self.val_metrics.update(logits, labels)
        self.before_training = {name: float(value) for name, value in self._computed("val").items()}

    # ---- optimising

    def configure_optimizers(self) -> Any:
        settings = self.hparams
        learning = [p for p in self.parameters() if p.requires_grad]
        if settings["head"] == "logistic" and settings["freeze"] == "backbone":  # it is fitted already
            return torch.optim.SGD(learning, lr=0.0)
        lr, decay = {name: settings[name] for name in ("lr", "weight_decay")}, settings["layer_decay"]
        optimizer = make_optimizer(
            learning if decay == 1 else layer_groups(self.network, **lr, decay=decay),
            name=settings["optimizer"],
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )
        scheduler = make_scheduler(
            optimizer,
            name=settings["scheduler"],
            epochs=self.trainer.max_epochs or 1,
            patience=settings["patience"],
            factor=settings["factor"],
            steps=lambda: int(self.trainer.estimated_stepping_batches),
        )
        self.resume_state.plateau = scheduler if isinstance(scheduler, ReduceLROnPlateau) else None
        if scheduler is None or self.resume_state.plateau is not None:
            return optimizer
        interval = "step" if settings["scheduler"] == "one_cycle" else "epoch"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}

    # ---- resuming

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = self.resume_state
        midway = state.learning_rate is not None and not self.trainer.validating
        report = state.train_report if midway else state.current_report(self._train_values, self.current_epoch)
        state.save(checkpoint, report)
        if self.seen is not None:
            checkpoint["seen"] = self.seen.state()
        if self.names:
            checkpoint["class_names"] = self.names.state()
        if self.mended is not None:
            checkpoint["mended"] = self.mended

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.resume_state.load(checkpoint)
        self.seen = SeenPhotos.from_state(checkpoint["seen"]) if "seen" in checkpoint else None
        self.names = ClassNames.from_state(checkpoint.get("class_names"))
        self.mended = checkpoint.get("mended")

    def on_fit_start(self) -> None:
        self.seen = getattr(self.trainer.datamodule, "seen_photos", None)  # type: ignore[attr-defined]
        names = getattr(self.trainer.datamodule, "names", None)  # type: ignore[attr-defined]
        self.names = names if isinstance(names, ClassNames) else self.names

    def on_train_start(self) -> None:
        for logger in self.loggers if self.before_training else ():
            logger.log_metrics({**self.before_training, "epoch": BEFORE_TRAINING}, step=0)
        self.before_training = {}  # of this training alone, and all callbacks have taken it
        self.resume_state.start(self.loggers, epoch=self.current_epoch, step=self.global_step)
