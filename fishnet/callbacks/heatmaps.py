"""What the model looks at, while it learns and at the end; training goes on as if nothing had been drawn."""

import logging
from collections.abc import Callable
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.cells import defused_table
from fishnet.data.class_names import ClassNames
from fishnet.data.folder import PhotoSource
from fishnet.explain.gradcam import NothingToExplain, class_maps, explained
from fishnet.explain.maps import FILES, batch_maps, save_maps
from fishnet.explain.overlay import Caption, captioned, fixed_panel, most_informative, overlay, sheet, with_legend
from fishnet.measure.predictions import Predictions, margins
from fishnet.models.interface import Classifier
from fishnet.models.isolation import rng_preserved
from fishnet.progress import working
from fishnet.ranges import AtLeast, check_ranges
from fishnet.text import slugs

from .outputs import UsesPredictions, log_artifacts, run_folder, write_artifact
from .report import called

log = logging.getLogger("fishnet")

MISTAKES = 24  # the surest, of which maps are kept wherever they lie
AT_ONCE = 32  # photos

INDEX = ["path", "true", "predicted", "probability", "map_of", "sheet"]


class HeatMaps(UsesPredictions):
    """The same photos each epoch under `gradcam/panel/`; after the test one sheet a class, and `index.csv`.

    For pages that show runs side by side the raw maps of the photos in `maps.csv` are kept, in `maps.npy`.

    Each map is that of the predicted class. Pictures are no reason to lose a training run: a failure in
    drawing is reported once, and nothing is drawn from then on.

    Args:
        photos: how many validation photos are drawn each epoch.
        per_class: how many test photos of each class are drawn after the test.
        maps: of how many test photos raw maps are kept, spread over the classes: the same ones in every run on the same
            split, and beside them the surest mistakes.
    """

    def __init__(
        self,
        *,
        photos: Annotated[int, AtLeast(0)] = 8,
        per_class: Annotated[int, AtLeast(0)] = 8,
        maps: Annotated[int, AtLeast(0)] = 128,
    ) -> None:
        super().__init__()
        check_ranges(HeatMaps.__init__, locals())
        self.photos, self.per_class, self.maps = photos, per_class, maps
        self._given_up = False
        self._panel: tuple[np.ndarray, Tensor] | None = None  # labels and photos
        self._seen: list[tuple[Tensor, Tensor]] = []  # photos and labels of validation batches, without a PhotoSource

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._collect(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)
        if self._panel is None and trainer.state.fn == "fit" and trainer.is_global_zero and not source_of(trainer):
            if sum(len(labels) for _, labels in self._seen) < self.photos and (pair := photos_and_labels(batch)):
                self._seen.append((pair[0].cpu(), pair[1].cpu()))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self.photos:
            self._attempt(trainer, lambda: self._draw_panel(trainer, cast(Classifier, pl_module)))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not (self.per_class or self.maps):
            return
        predictions = self.predictions(trainer)  # all processes take part, whatever becomes of the pictures
        if self.per_class:
            self._attempt(trainer, lambda: self._draw_sheets(trainer, cast(Classifier, pl_module), predictions))
        if self.maps:
            self._attempt(trainer, lambda: self._keep_maps(trainer, cast(Classifier, pl_module), predictions))

    def _attempt(self, trainer: L.Trainer, draw: Callable[[], None]) -> None:
        if self._given_up or not trainer.is_global_zero:
            return
        try:
            with rng_preserved():
                draw()
        except NothingToExplain:
            self._given_up = True
            log.warning("No heat-maps: this network works on tokens, it has no convolution for Grad-CAM to explain.")
        except Exception as error:
            self._given_up = True
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            log.warning("Heat-maps could not be drawn (%s); the run goes on without them.", reason)

    def _draw_panel(self, trainer: L.Trainer, model: Classifier) -> None:
        if self._panel is None:
            self._panel, self._seen = self._chosen(trainer), []
        labels, images = self._panel
        if not len(labels):
            return
        maps, logits = explained(model, images)
        likely = getattr(model, "probabilities", lambda values: values.softmax(dim=-1))
        probabilities = likely(logits.to(model.device)).cpu().numpy()
        captions = _captions(
            model, called(trainer, model), labels, probabilities.argmax(axis=1), probabilities.max(axis=1)
        )
        epoch = trainer.current_epoch
        title = f"epoch {epoch}, step {trainer.global_step}"
        _write_page(trainer, f"panel/epoch_{epoch:03d}.jpg", images, maps, captions, title)

    def _chosen(self, trainer: L.Trainer) -> tuple[np.ndarray, Tensor]:
        """Labels and photos of the panel: spread over the classes, or the first that somebody else's loader gave."""
        if (data := source_of(trainer)) is not None:
            candidates = data.rows("val")
            labels = data.table["label"].to_numpy()
            rows = fixed_panel(candidates, labels[candidates], self.photos)
            return labels[rows], data.photos(rows)
        if not self._seen:
            return np.zeros(0, int), torch.zeros(0)
        images, numbers = (torch.cat(values)[: self.photos] for values in zip(*self._seen, strict=True))
        return numbers.numpy(), images

    def _draw_sheets(self, trainer: L.Trainer, model: Classifier, predictions: Predictions) -> None:
        """One sheet a class of its surest right and wrong predictions, and a table of what they show."""
        data = source_of(trainer)
        if data is None or not len(predictions):
            log.info("No sheets of test photos: HeatMaps needs a data module that gives photos by their rows.")
            return
        probability, rows = predictions.confidence(float(model.temperature)), []
        for label, slug in enumerate(slugs(model.classes)):
            positions = most_informative(predictions, label, self.per_class)
            if not positions:
                continue
            chosen, predicted = predictions.index[positions], predictions.predicted[positions]
            images = data.photos(chosen.tolist())
            maps = class_maps(model, images, predicted.tolist())
            true = predictions.label[positions]
            captions = _captions(model, called(trainer, model), true, predicted, probability[positions])
            _write_page(trainer, f"{slug}.jpg", images, maps, captions, captions[0].true)
            rows += [
                (path, model.classes[t], model.classes[p], round(it.probability, 6), model.classes[p], f"{slug}.jpg")
                for path, t, p, it in zip(data.table["path"].iloc[chosen], true, predicted, captions, strict=True)
            ]
        index = pd.DataFrame(rows, columns=INDEX)
        write_artifact(trainer, "gradcam/index.csv", lambda path: defused_table(index).to_csv(path, index=False))

    def _keep_maps(self, trainer: L.Trainer, model: Classifier, predictions: Predictions) -> None:
        """The raw maps of the answers to a few photos, in the form of `fishnet explain`."""
        data = source_of(trainer)
        if data is None or not len(predictions) or not hasattr(model, "preprocessing"):
            return  # a module or loader of somebody else's: where its photos come from is not known
        positions = np.arange(len(predictions))
        panel = fixed_panel(positions, predictions.label, self.maps)
        wrong = np.flatnonzero(predictions.label != predictions.predicted)
        surest = wrong[np.argsort(-margins(predictions.logits[wrong]), kind="stable")][:MISTAKES]
        chosen = np.array(list(dict.fromkeys([*panel, *surest.tolist()])))
        maps = []
        with working("explaining test photos", len(chosen)) as work:
            for start in range(0, len(chosen), AT_ONCE):
                part = chosen[start : start + AT_ONCE]
                images = data.photos(predictions.index[part].tolist())
                answers = torch.from_numpy(predictions.predicted[part])
                maps.append(batch_maps(model, images.to(model.device), targets=answers)[0].numpy())
                work.advance(len(part))
        table = data.table.iloc[predictions.index[chosen]].reset_index(drop=True)
        folder = run_folder(trainer) / "gradcam"
        save_maps(folder, table, np.concatenate(maps), predictions.logits[chosen], model)
        for name in FILES:
            log_artifacts(trainer, folder / name, "gradcam")


def source_of(trainer: L.Trainer) -> PhotoSource | None:
    """The trainer's data module, where it gives photos by their rows."""
    data = getattr(trainer, "datamodule", None)
    known = all(hasattr(data, name) for name in ("table", "rows", "photos"))
    return cast(PhotoSource, data) if known else None


def photos_and_labels(batch: Any) -> tuple[Tensor, Tensor] | None:
    """Of a batch of somebody else's: a pair, or a mapping with `image` and `label`; None for anything else."""
    found = (batch.get("image"), batch.get("label")) if isinstance(batch, dict) else batch
    if isinstance(found, (tuple, list)) and len(found) >= 2 and all(isinstance(part, Tensor) for part in found[:2]):
        images, labels = found[:2]
        return (images, labels) if images.ndim == 4 and labels.ndim == 1 else None
    return None


def shown(images: Tensor) -> np.ndarray:
    """Photos as bytes, N × height × width × 3; numbers other than 0 to 1 fill the range, each photo for itself."""
    if images.dtype != torch.uint8:
        images = images.float()
        if images.min() < 0 or images.max() > 1:
            low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
            images = (images - low) / (high - low).clamp(min=1e-6)
        images = (images * 255).round().to(torch.uint8)
    return images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def _captions(
    model: Classifier, called: ClassNames, labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray
) -> list[Caption]:
    names = getattr(model, "classes", None) or [str(label) for label in range(1 + max(*labels, *predicted))]
    names = [called.short(name) for name in names]
    parts = zip(labels, predicted, probabilities, strict=True)
    return [Caption(names[label], names[prediction], float(probability)) for label, prediction, probability in parts]


def _write_page(
    trainer: L.Trainer, file: str, images: Tensor, maps: Tensor, captions: list[Caption], title: str
) -> None:
    parts = zip(shown(images), maps.numpy(), captions, strict=True)
    tiles = [captioned(overlay(photo, values), caption) for photo, values, caption in parts]
    page = with_legend(sheet(tiles, title=title))
    write_artifact(trainer, f"gradcam/{file}", lambda path: page.save(path, format="JPEG", quality=90))
