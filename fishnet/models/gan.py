"""A GAN for the photos of one class, as a LightningModule: it learns to draw photos like some hundred real ones.

The loss pairs real with generated photos, and both kinds are held by a penalty of the discriminator's gradient (R1 and
R2), after R3GAN (Huang et al. 2024): a game that converges without tricks. The penalties are computed each few steps,
after StyleGAN2. What photos go through on the way to the discriminator is in gan_augment.py. The photos that are kept
come from a running mean of the generator's weights.
"""

import copy
from typing import Annotated, Any, Literal, cast

import pytorch_lightning as L
import torch
from torch import Tensor, nn

from fishnet.data.seen import SeenPhotos
from fishnet.data.views import PlainPreprocessing
from fishnet.errors import BadInput
from fishnet.ranges import Above, AtLeast, FromToBelow, Within, check_ranges

from .gan_augment import disturbed
from .gan_measures import DrawnFeatures, kernel_distance, mean_distance
from .gan_networks import Discriminator, Generator

SIZES = (64, 128)  # sides of photos, in pixels
DRAWN_FOR_KID = 256  # photos that are generated for each measurement
AT_ONCE = 64  # photos that are generated in one go


class ImageGAN(L.LightningModule):
    """Noise in, photos of one class out.

    Args:
        classes: the name of the class, a list of one.
        image_size: side of the photos in pixels, 64 or 128.
        latent: numbers that a photo is drawn from.
        width: channels of the generator at 64 pixels; more draw finer, and cost with the square.
        discriminator_width: channels of the discriminator at 64 pixels.
        lr: the learning rate of both networks, for Adam without momentum.
        penalty: weight of the discriminator's squared gradient; more is steadier and slower.
        penalty_every: steps from one penalty to the next.
        colour: 0 to 1, how strongly light and colours are disturbed; little where colour is the mark of the class.
        average: how much of the generator's running mean stays at each step.
    """

    def __init__(
        self,
        *,
        classes: list[str],
        image_size: Literal[64, 128] = 64,
        latent: Annotated[int, AtLeast(2)] = 64,
        width: Annotated[int, AtLeast(4)] = 16,
        discriminator_width: Annotated[int, AtLeast(4)] = 16,
        lr: Annotated[float, Above(0)] = 5e-4,
        penalty: Annotated[float, AtLeast(0)] = 0.5,
        penalty_every: Annotated[int, AtLeast(1)] = 8,
        colour: Annotated[float, Within(0, 1)] = 0.2,
        average: Annotated[float, FromToBelow(0, 1)] = 0.995,
    ) -> None:
        check_ranges(ImageGAN.__init__, locals())
        super().__init__()
        if len(classes) != 1:
            raise BadInput(f"A GAN learns the photos of one class; these are {classes}.")
        if image_size not in SIZES:
            raise BadInput(f"image_size={image_size}: a GAN draws photos of 64 or 128 pixels.")
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False
        self.classes = list(classes)
        self.preprocessing = PlainPreprocessing(image_size, crop=1.0)
        self.generator = Generator(latent=latent, size=image_size, width=width)
        self.discriminator = Discriminator(size=image_size, width=discriminator_width)
        for network in (self.generator, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.features = DrawnFeatures().requires_grad_(False)
        self.seen: SeenPhotos | None = None  # what it was trained on, where that is known
        self._held_out: list[Tensor] = []  # features of the validation photos so far

    # ---- drawing photos

    @torch.no_grad()
    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N × latent) → photos from -1 to 1, by the averaged generator."""
        self.averaged.eval()
        return torch.cat([self.averaged(part) for part in noise.split(AT_ONCE)])

    def noise(self, count: int, seed: int) -> Tensor:
        """The same numbers for the same seed, on every device."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, self.hparams["latent"], generator=generator).to(self.device)

    def path_between(self, seed: int, steps: int) -> Tensor:
        """Noise on the way from the first photo of a seed to its second, along the sphere on which noise lies."""
        first, last = nn.functional.normalize(self.noise(2, seed), dim=1)
        angle = torch.arccos((first * last).sum().clamp(-1 + 1e-6, 1 - 1e-6))
        share = torch.linspace(0, 1, steps, device=self.device)[:, None]
        return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / torch.sin(angle)

    # ---- learning

    def train(self, mode: bool = True):
        super().train(mode)
        self.averaged.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        real = as_numbers(batch["image"])
        fake = self.generator(torch.randn(len(real), self.hparams["latent"], device=self.device))
        of_discriminator, of_generator = cast(list, self.optimizers())
        penalised = self._steps % self.hparams["penalty_every"] == 0
        loss = self._discriminator_loss(real, fake.detach(), penalised=penalised)
        of_discriminator.zero_grad()
        self.manual_backward(loss)
        of_discriminator.step()
        self.discriminator.requires_grad_(False)
        generator_loss = self._generator_loss(real, fake)
        of_generator.zero_grad()
        self.manual_backward(generator_loss)
        of_generator.step()
        self.discriminator.requires_grad_(True)
        self._average()
        values = {"train/discriminator_loss": loss.detach(), "train/generator_loss": generator_loss.detach()}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(real))
        return {"index": batch["index"]}

    @property
    def _steps(self) -> int:
        """Steps of both networks together; Lightning counts those of each optimiser, also of a resumed run."""
        return self.global_step // 2

    def _discriminator_loss(self, real: Tensor, fake: Tensor, *, penalised: bool) -> Tensor:
        real, fake = (self._disturbed(images).detach().requires_grad_(penalised) for images in (real, fake))
        if not penalised:
            of_real, of_fake = self.discriminator(torch.cat([real, fake])).chunk(2)
            return paired(of_real - of_fake)
        of_real, of_fake = self.discriminator(real), self.discriminator(fake)
        slopes = squared_slope(of_real, real) + squared_slope(of_fake, fake)
        return paired(of_real - of_fake) + self.hparams["penalty_every"] * self.hparams["penalty"] / 2 * slopes

    def _generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        with torch.no_grad():
            of_real = self.discriminator(self._disturbed(real))
        return paired(self.discriminator(self._disturbed(fake)) - of_real)

    def _disturbed(self, images: Tensor) -> Tensor:
        return disturbed(images, colour=self.hparams["colour"])

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged generator towards the present one; faster in the first steps, soon out of date."""
        kept = min(self.hparams["average"], (1 + self._steps) / (10 + self._steps))
        for mean, value in zip(self.averaged.state_dict().values(), self.generator.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - kept)
            else:
                mean.copy_(value)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(network.parameters(), lr=self.hparams["lr"], betas=(0.0, 0.99))
            for network in (self.discriminator, self.generator)
        ]

    # ---- measuring

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        real = as_numbers(batch["image"])
        self._held_out.append(self.features(real))
        return {"index": batch["index"], "logits": self.discriminator(real)[:, :1]}

    def on_validation_epoch_end(self) -> None:
        """Logs `val/kid` and `val/diversity`: 1 where generated photos differ as much as held-out ones, 0 for none."""
        real, self._held_out = torch.cat(self._held_out), []
        generated = self.features(self(self.noise(DRAWN_FOR_KID, seed=1)))
        diversity = mean_distance(generated) / max(mean_distance(real), 1e-9) if len(real) > 1 else float("nan")
        self.log_dict({"val/kid": kernel_distance(real, generated), "val/diversity": diversity})

    # ---- keeping

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.seen is not None:
            checkpoint["seen"] = self.seen.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seen = SeenPhotos.from_state(checkpoint["seen"]) if "seen" in checkpoint else None

    def on_train_start(self) -> None:
        self.seen = getattr(self.trainer.datamodule, "seen_photos", None)  # type: ignore[attr-defined]


def as_numbers(images: Tensor) -> Tensor:
    """uint8 photos → -1 to 1."""
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def as_photos(images: Tensor) -> Tensor:
    """-1 to 1 → uint8 photos."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def paired(lead: Tensor) -> Tensor:
    """The loss of those whose logits should lie above their partners'; photo and patches count alike."""
    losses = nn.functional.softplus(-lead)
    return losses[:, 0].mean() + losses[:, 1:].mean()


def squared_slope(logits: Tensor, images: Tensor) -> Tensor:
    """The mean over photos of the squared gradient of their logits, the patches' taken together as one."""
    total = logits[:, 0].sum() + logits[:, 1:].mean(dim=1).sum()
    (slope,) = torch.autograd.grad(total, images, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3)).mean()
