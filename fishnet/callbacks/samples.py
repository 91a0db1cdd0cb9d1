"""What a GAN draws of the same noise while it learns."""

import math
from typing import Annotated, cast

import pytorch_lightning as L
from PIL import Image

from fishnet.explain.overlay import sheet
from fishnet.models.gan import ImageGAN, as_photos
from fishnet.models.isolation import rng_preserved
from fishnet.ranges import AtLeast, check_ranges

from .outputs import write_artifact


class SampleGrids(L.Callback):
    """`samples/epoch_000.jpg`, …: a square of photos, each of the noise that it had before.

    Args:
        photos: in a grid; 0 for none.
        every: epochs from one grid to the next.
    """

    def __init__(self, *, photos: Annotated[int, AtLeast(0)] = 36, every: Annotated[int, AtLeast(1)] = 1) -> None:
        check_ranges(SampleGrids.__init__, locals())
        self.photos, self.every = photos, every

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch, model = trainer.current_epoch, cast(ImageGAN, pl_module)
        if not self.photos or epoch % self.every or not trainer.is_global_zero:
            return
        with rng_preserved():
            images = as_photos(model(model.noise(self.photos, seed=0))).permute(0, 2, 3, 1).cpu().numpy()
        page = sheet([Image.fromarray(image) for image in images], columns=math.ceil(self.photos**0.5))
        write_artifact(
            trainer, f"samples/epoch_{epoch:04d}.jpg", lambda path: page.save(path, format="JPEG", quality=90)
        )
