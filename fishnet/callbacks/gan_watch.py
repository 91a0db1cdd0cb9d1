"""Whether a GAN learns photos by heart, draws few kinds of them, or has lost its way: measured, and said in words."""

import logging
import math
from typing import Annotated, Any, cast

import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.data.folder import PhotoSource
from fishnet.models.gan import ImageGAN, as_numbers
from fishnet.models.gan_measures import taken_for_real
from fishnet.models.isolation import rng_preserved
from fishnet.ranges import AtLeast, check_ranges

from .outputs import write_artifact

log = logging.getLogger("fishnet")

BY_HEART = 0.3  # the share of training photos that are taken for real, less that of held-out ones
FEW_KINDS = 0.5  # of the distance between real photos
RISEN = (2.0, 0.5)  # times the best KID, and above it
TOLD_APART = 6.0  # the generator's loss, of whole photo and patches: the lead of real photos in logits


class GanWatch(L.Callback):
    """Logs `gan/train_taken_for_real` and `gan/held_out_taken_for_real` after each validation, and warns in words.

    Both are shares of real photos, undisturbed. Where the discriminator takes its training photos for real and
    held-out ones not, it knows the former by heart, and what the generator learns from it is no longer what real
    photos look like. `report/gan.txt` holds the last of these sentences.

    Args:
        photos: training photos, at most.
    """

    def __init__(self, *, photos: Annotated[int, AtLeast(2)] = 256) -> None:
        check_ranges(GanWatch.__init__, locals())
        self.photos = photos
        self.best_kid = float("inf")
        self._trained: Tensor | None = None
        self._held_out: list[Tensor] = []
        self._said: list[str] = []  # kinds of trouble that have been reported, and not ended since

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._held_out.append(outputs["logits"].flatten())

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        held_out, self._held_out = torch.cat(self._held_out), []
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.state.fn != "fit" or trainer.sanity_checking or not isinstance(data, PhotoSource):
            return
        with rng_preserved(), torch.no_grad():
            shares = self._shares(cast(ImageGAN, pl_module), data, held_out)
        pl_module.log_dict(shares)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:  # behind the module, which logs KID
            self._report(trainer)

    def _shares(self, model: ImageGAN, data: PhotoSource, held_out: Tensor) -> dict[str, float]:
        if self._trained is None:
            rows = data.rows("train")
            self._trained = data.photos(rows[:: max(1, -(-len(rows) // self.photos))].tolist())
        discriminator = model.discriminator
        trained = torch.cat([
            discriminator(as_numbers(part.to(model.device)))[:, 0] for part in self._trained.split(64)
        ])  # fmt: skip
        drawn = model(model.noise(len(trained), seed=2))
        generated = torch.cat([discriminator(part)[:, 0] for part in drawn.split(64)])
        return {
            "gan/train_taken_for_real": taken_for_real(trained, generated, trained),
            "gan/held_out_taken_for_real": taken_for_real(trained, generated, held_out),
        }

    def _report(self, trainer: L.Trainer) -> None:
        values = {key: float(value) for key, value in trainer.callback_metrics.items()}
        self.best_kid = min(self.best_kid, values.get("val/kid", float("inf")))
        found = troubles(values, self.best_kid)
        for kind, sentence in found.items():
            if kind not in self._said:
                log.warning("warning: epoch %d: %s", trainer.current_epoch + 1, sentence)
        self._said = list(found)
        if trainer.is_global_zero:
            lines = [*(found.values() or ["Neither overfitting, nor mode collapse, nor divergence is seen."])]
            text = "\n".join([f"After epoch {trainer.current_epoch + 1}:", *lines, "", *figures(values)])
            write_artifact(trainer, "report/gan.txt", lambda path: path.write_text(text + "\n", encoding="utf-8"))

    def state_dict(self) -> dict[str, Any]:
        return {"best_kid": self.best_kid, "said": self._said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_kid, self._said = state_dict["best_kid"], list(state_dict["said"])


def troubles(values: dict[str, float], best_kid: float) -> dict[str, str]:
    """What is wrong after a validation: kind → one sentence.

    Args:
        values: the logged metrics.
        best_kid: the lowest KID so far.
    """
    found: dict[str, str] = {}
    trained, held_out = (values.get(f"gan/{part}_taken_for_real", 0.0) for part in ("train", "held_out"))
    if trained - held_out >= BY_HEART:
        found["overfitting"] = (
            f"the discriminator takes {trained:.0%} of its training photos for real, and {held_out:.0%} of held-out "
            "ones: it knows photos by heart. More photos help, or a larger model.penalty."
        )
    if not math.isfinite(values.get("val/kid", 0.0)):
        found["unmeasured"] = (
            "KID and the variety of the generated photos need two photos for validation or more: which epoch is the "
            "best is not known. A larger data.val helps."
        )
    if values.get("val/diversity", 1.0) < FEW_KINDS:
        found["collapse"] = (
            f"generated photos lie {values['val/diversity']:.2f} times as far apart as real ones: the generator draws "
            "few kinds (mode collapse). A larger model.penalty or a smaller model.lr helps."
        )
    kid, loss = values.get("val/kid", 0.0), values.get("train/generator_loss", 0.0)
    if kid > RISEN[0] * best_kid + RISEN[1]:
        found["divergence"] = (
            f"KID has risen from {best_kid:.3f} to {kid:.3f}: the training diverges. The best epoch is kept; "
            "a smaller model.lr or a larger model.penalty helps."
        )
    elif loss > TOLD_APART:
        found["divergence"] = (
            f"the generator's loss is {loss:.1f}: the discriminator tells generated photos apart so well that the "
            "generator hardly learns. A larger model.penalty helps."
        )
    return found


def figures(values: dict[str, float]) -> list[str]:
    """The figures behind the sentences, one a line; those that could not be measured are left out."""
    keys = ("val/kid", "val/diversity", "gan/train_taken_for_real", "gan/held_out_taken_for_real",
            "train/generator_loss", "train/discriminator_loss")  # fmt: skip
    return [f"{key} {values[key]:.4g}" for key in keys if key in values and math.isfinite(values[key])]
