"""What the model looks at, while it learns and at the end; training goes on as if nobody had looked."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from PIL import Image
from torch import Tensor, nn

from fishnet.explain.gradcam import explained
from fishnet.explain.overlay import Caption, captioned, overlay, sheet
from fishnet.explain.panel import fixed_panel, telling
from fishnet.explain.quiet import same_chance
from fishnet.explain.target import last_convolution
from fishnet.files import replacing
from fishnet.measure.predictions import Predictions, gathered, on_cpu
from fishnet.names import slugs

log = logging.getLogger("fishnet")

BATCH = 16  # photos explained at once at the end


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
            chosen = fixed_panel(own, labels[own], self.photos)
            self._panel = chosen, _load(data, "val", chosen)
        rows, images = self._panel
        layer = self._layer(model, images)
        if layer is None or not rows:
            return
        maps, logits = explained(model, images, layer=layer)
        answers = logits.argmax(dim=1).tolist()
        sure = model.probabilities(logits.to(model.device)).amax(dim=1).tolist()
        tiles = [
            _tile(image, values, Caption(model.classes[labels[row]], model.classes[answer], probability))
            for row, image, values, answer, probability in zip(rows, images, maps, answers, sure, strict=True)
        ]
        path = _folder(trainer) / "panel" / f"epoch_{trainer.current_epoch:03d}.jpg"
        _save(sheet(tiles, title=f"epoch {trainer.current_epoch}, {_step(trainer)}"), path)
        _deliver(trainer, path, "gradcam/panel")

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
            self._attempt(trainer, lambda: self._draw_grids(trainer, pl_module, predictions))

    def _draw_grids(self, trainer: L.Trainer, model, predictions: Predictions) -> None:
        rows = []
        for label, slug in enumerate(slugs(model.classes)):
            places = telling(predictions, label, self.per_class)
            found = self._draw_grid(trainer, model, predictions, places, f"{slug}.jpg") if places else []
            if found is None:
                return
            rows.extend(found)
        path = _folder(trainer) / "index.csv"
        with replacing(path) as temporary:
            pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)
        _deliver(trainer, path, "gradcam")

    def _draw_grid(self, trainer, model, predictions: Predictions, places: list[int], file: str) -> list[tuple] | None:
        """One class's sheet; None for a network that Grad-CAM cannot explain."""
        data = trainer.datamodule
        chosen = [int(row) for row in predictions.index[places]]
        images = _load(data, "test", chosen)
        layer = self._layer(model, images)
        if layer is None:
            return None
        answers = predictions.predicted[places].tolist()
        sure = predictions.probabilities(float(model.temperature))[places].max(axis=1).tolist()
        maps = torch.cat(
            [
                explained(model, images[start : start + BATCH], answers[start : start + BATCH], layer=layer).maps
                for start in range(0, len(places), BATCH)
            ]
        )
        true = model.classes[predictions.label[places[0]]]
        captions = [
            Caption(true, model.classes[answer], probability) for answer, probability in zip(answers, sure, strict=True)
        ]
        tiles = [_tile(*parts) for parts in zip(images, maps, captions, strict=True)]
        path = _folder(trainer) / file
        _save(sheet(tiles, title=true), path)
        _deliver(trainer, path, "gradcam")
        paths = data.table["path"].iloc[chosen].tolist()
        return [
            (photo, true, said.predicted, round(said.probability, 6), said.predicted, file)
            for photo, said in zip(paths, captions, strict=True)
        ]

    # ---- both

    def _attempt(self, trainer: L.Trainer, draw: Callable[[], None]) -> None:
        if self._given_up or not trainer.is_global_zero:
            return
        try:
            with same_chance():
                draw()
        except Exception as error:
            self._given_up = True
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            log.warning("Heat-maps could not be drawn (%s); the run goes on without them.", reason)

    def _layer(self, model, images: Tensor) -> nn.Module | None:
        layer = last_convolution(model.network, images.shape[-1])
        if layer is None:
            self._given_up = True
            log.warning(
                "No heat-maps: this network works on tokens and has no convolution that Grad-CAM could explain."
            )
        return layer


COLUMNS = ["path", "true", "predicted", "probability", "map_of", "sheet"]


def _load(data, part: str, rows: list[int]) -> Tensor:
    """The photos as the model sees them in evaluation."""
    dataset = data.evaluation_loader(part).dataset
    images = [dataset[(row, row)]["image"] for row in rows]
    return torch.stack(images) if images else torch.zeros(0, 3, 1, 1, dtype=torch.uint8)


def _tile(image: Tensor, values: Tensor, caption: Caption) -> Image.Image:
    return captioned(overlay(image.permute(1, 2, 0).numpy(), values.numpy()), caption)


def _folder(trainer: L.Trainer) -> Path:
    return Path(trainer.default_root_dir) / "gradcam"


def _step(trainer: L.Trainer) -> str:
    return f"step {trainer.global_step}"


def _save(picture: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        picture.save(temporary, quality=90)


def _deliver(trainer: L.Trainer, path: Path, place: str) -> None:
    for logger in trainer.loggers:
        if hasattr(logger, "log_artifacts"):
            logger.log_artifacts(path, place)
