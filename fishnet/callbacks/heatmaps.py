"""What the model looks at, while it learns and at the end; training goes on as if nobody had looked."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as L
from PIL import Image
from torch import Tensor, nn

from fishnet.explain.gradcam import class_maps, explained
from fishnet.explain.overlay import Caption, captioned, overlay, sheet
from fishnet.explain.panel import fixed_panel, telling
from fishnet.explain.target import last_convolution
from fishnet.files import replacing
from fishnet.measure.predictions import Predictions, gathered, on_cpu
from fishnet.models.isolation import same_chance
from fishnet.text import slugs

log = logging.getLogger("fishnet")

INDEX = ["path", "true", "predicted", "probability", "map_of", "sheet"]


class HeatMaps(L.Callback):
    """The same photos each epoch under `gradcam/panel/`; after the test one sheet a class, and `index.csv`.

    Each map is that of the class the model answers. Pictures are no reason to lose a training run: what goes wrong
    in drawing is said once, and nothing is drawn from then on.
    """

    def __init__(self, *, photos: int = 8, per_class: int = 8) -> None:
        super().__init__()
        self.photos, self.per_class = photos, per_class
        self._given_up = False
        self._panel: tuple[list[int], Tensor] | None = None
        self._outputs: list[dict[str, np.ndarray]] = []

    # ---- each epoch

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self.photos:
            self._attempt(trainer, lambda: self._draw_panel(trainer, pl_module))

    def _draw_panel(self, trainer: L.Trainer, model) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        labels = data.table["label"].to_numpy()
        if self._panel is None:
            own = data.rows("val")
            rows = fixed_panel(own, labels[own], self.photos)
            self._panel = rows, data.photos(rows)
        rows, images = self._panel
        maps, logits = explained(model, images, layer=self._layer(model, images))
        probabilities = model.probabilities(logits.to(model.device)).cpu().numpy()
        captions = _captions(model, labels[rows], probabilities.argmax(axis=1), probabilities.max(axis=1))
        epoch = trainer.current_epoch
        page = _page(images, maps, captions, f"epoch {epoch}, step {trainer.global_step}")
        _save(trainer, page, f"panel/epoch_{epoch:03d}.jpg")

    # ---- after the test

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._outputs = []

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if self.per_class:
            self._outputs.append(on_cpu(outputs))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        outputs, self._outputs = self._outputs, []
        if self.per_class:
            predictions = gathered(outputs)  # all processes take part, whatever becomes of the pictures
            self._attempt(trainer, lambda: self._draw_sheets(trainer, pl_module, predictions))

    def _draw_sheets(self, trainer: L.Trainer, model, predictions: Predictions) -> None:
        sure = predictions.sureness(float(model.temperature))
        rows: list[tuple] = []
        for label, slug in enumerate(slugs(model.classes)):
            places = telling(predictions, sure, label, self.per_class)
            if places:
                rows += self._draw_sheet(trainer, model, predictions, sure, places, f"{slug}.jpg")
        index = pd.DataFrame(rows, columns=INDEX)
        _write(trainer, "index.csv", lambda path: index.to_csv(path, index=False))

    def _draw_sheet(self, trainer, model, predictions, sure: np.ndarray, places: list[int], file: str) -> list[tuple]:
        data, chosen, answers = trainer.datamodule, predictions.index[places], predictions.predicted[places]
        images = data.photos(chosen.tolist())
        maps = class_maps(model, images, answers.tolist(), layer=self._layer(model, images))
        captions = _captions(model, predictions.label[places], answers, sure[places])
        _save(trainer, _page(images, maps, captions, captions[0].true), file)
        return [
            (path, said.true, said.predicted, round(said.probability, 6), said.predicted, file)
            for path, said in zip(data.table["path"].iloc[chosen], captions, strict=True)
        ]

    # ---- both

    def _attempt(self, trainer: L.Trainer, draw: Callable[[], None]) -> None:
        if self._given_up or not trainer.is_global_zero:
            return
        try:
            with same_chance():
                draw()
        except NothingToExplain:
            self._given_up = True
            log.warning("No heat-maps: this network works on tokens, it has no convolution for Grad-CAM to explain.")
        except Exception as error:
            self._given_up = True
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            log.warning("Heat-maps could not be drawn (%s); the run goes on without them.", reason)

    @staticmethod
    def _layer(model, images: Tensor) -> nn.Module:
        layer = last_convolution(model.network, images.shape[-1])
        if layer is None:
            raise NothingToExplain
        return layer


class NothingToExplain(Exception):
    """The network has no convolution."""


def _captions(model, labels: np.ndarray, answers: np.ndarray, sure: np.ndarray) -> list[Caption]:
    names = model.classes
    parts = zip(labels, answers, sure, strict=True)
    return [Caption(names[label], names[answer], float(probability)) for label, answer, probability in parts]


def _page(images: Tensor, maps: Tensor, captions: list[Caption], title: str) -> Image.Image:
    photos = images.permute(0, 2, 3, 1).numpy()
    parts = zip(photos, maps.numpy(), captions, strict=True)
    return sheet([captioned(overlay(photo, values), caption) for photo, values, caption in parts], title=title)


def _save(trainer: L.Trainer, page: Image.Image, file: str) -> None:
    _write(trainer, file, lambda path: page.save(path, format="JPEG", quality=90))


def _write(trainer: L.Trainer, file: str, write: Callable[[Path], object]) -> None:
    """Whole or not at all, into the run's folder and to its trackers."""
    path = Path(trainer.default_root_dir) / "gradcam" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write(temporary)
    for logger in trainer.loggers:
        if hasattr(logger, "log_artifacts"):
            logger.log_artifacts(path, str(Path("gradcam", file).parent.as_posix()))
