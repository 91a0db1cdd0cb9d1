"""What the model looks at, while it learns and at the end; training goes on as if nothing had been drawn."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.data.folder import PhotoSource
from fishnet.explain.gradcam import NothingToExplain, class_maps, explained
from fishnet.explain.maps import FILES, batch_maps, save_maps
from fishnet.explain.overlay import Caption, captioned, fixed_panel, most_informative, overlay, sheet
from fishnet.measure.predictions import Predictions, margins
from fishnet.models.interface import Classifier
from fishnet.models.isolation import rng_preserved
from fishnet.progress import working
from fishnet.ranges import AtLeast, check_ranges
from fishnet.text import slugs

from .outputs import UsesPredictions, log_artifacts, write_artifact

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
        self._panel: tuple[list[int], Tensor] | None = None

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
        data: PhotoSource = trainer.datamodule  # type: ignore[attr-defined]
        labels = data.table["label"].to_numpy()
        if self._panel is None:
            candidates = data.rows("val")
            rows = fixed_panel(candidates, labels[candidates], self.photos)
            self._panel = rows, data.photos(rows)
        rows, images = self._panel
        maps, logits = explained(model, images)
        probabilities = model.probabilities(logits.to(model.device)).cpu().numpy()
        captions = _captions(model, labels[rows], probabilities.argmax(axis=1), probabilities.max(axis=1))
        epoch = trainer.current_epoch
        title = f"epoch {epoch}, step {trainer.global_step}"
        _write_page(trainer, f"panel/epoch_{epoch:03d}.jpg", images, maps, captions, title)

    def _draw_sheets(self, trainer: L.Trainer, model: Classifier, predictions: Predictions) -> None:
        """One sheet a class of its surest right and wrong predictions, and a table of what they show."""
        data: PhotoSource = trainer.datamodule  # type: ignore[attr-defined]
        probability, rows = predictions.confidence(float(model.temperature)), []
        for label, slug in enumerate(slugs(model.classes)):
            positions = most_informative(predictions, label, self.per_class)
            if not positions:
                continue
            chosen, predicted = predictions.index[positions], predictions.predicted[positions]
            images = data.photos(chosen.tolist())
            maps = class_maps(model, images, predicted.tolist())
            captions = _captions(model, predictions.label[positions], predicted, probability[positions])
            _write_page(trainer, f"{slug}.jpg", images, maps, captions, captions[0].true)
            rows += [
                (path, it.true, it.predicted, round(it.probability, 6), it.predicted, f"{slug}.jpg")
                for path, it in zip(data.table["path"].iloc[chosen], captions, strict=True)
            ]
        index = pd.DataFrame(rows, columns=INDEX)
        write_artifact(trainer, "gradcam/index.csv", lambda path: index.to_csv(path, index=False))

    def _keep_maps(self, trainer: L.Trainer, model: Classifier, predictions: Predictions) -> None:
        """The raw maps of the answers to a few photos, in the form of `fishnet explain`."""
        data: PhotoSource = trainer.datamodule  # type: ignore[attr-defined]
        if not len(predictions):
            return
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
        folder = Path(trainer.default_root_dir) / "gradcam"
        save_maps(folder, table, np.concatenate(maps), predictions.logits[chosen], model)
        for name in FILES:
            log_artifacts(trainer, folder / name, "gradcam")


def _captions(model: Classifier, labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> list[Caption]:
    names, parts = model.classes, zip(labels, predicted, probabilities, strict=True)
    return [Caption(names[label], names[prediction], float(probability)) for label, prediction, probability in parts]


def _write_page(
    trainer: L.Trainer, file: str, images: Tensor, maps: Tensor, captions: list[Caption], title: str
) -> None:
    parts = zip(images.permute(0, 2, 3, 1).numpy(), maps.numpy(), captions, strict=True)
    page = sheet([captioned(overlay(photo, values), caption) for photo, values, caption in parts], title=title)
    write_artifact(trainer, f"gradcam/{file}", lambda path: page.save(path, format="JPEG", quality=90))
