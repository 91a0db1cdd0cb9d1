"""Models whose answers are known, for what only asks a model."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn


class HeadlessNetwork(nn.Identity):
    """A network without a classifier layer, and so without features."""

    def get_classifier(self) -> nn.Module:
        return self


class BorderReader(nn.Module):
    """Class 2 is what is bright at the edge, by `edge`; the others are told by a colour channel of the middle."""

    def __init__(self, side: int = 32, classes: int = 4, edge: float = 8.0) -> None:
        super().__init__()
        self.edge = edge
        self.classes = [f"class {number}" for number in range(classes)]
        self.preprocessing = SimpleNamespace(size=side, fit="crop", crop=1.0, interpolation="bilinear")
        self.network = HeadlessNetwork()
        self.register_buffer("temperature", torch.ones(()))
        self.asked = 0  # photos

    @property
    def device(self) -> torch.device:
        return self.temperature.device

    def forward(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        images = images if images.is_floating_point() else images.float() / 255
        edge = torch.cat([images[..., :2, :].flatten(1), images[..., -2:, :].flatten(1)], dim=1).mean(dim=1)
        middle = images[..., 12:20, 12:20].mean(dim=(2, 3))
        logits = torch.cat([middle, torch.zeros(len(images), len(self.classes) - 3)], dim=1) * 4
        logits[:, 2] += self.edge * edge
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        return (logits / self.temperature).softmax(dim=-1)


class ColourReader(BorderReader):
    """Each class is its colour channel, anywhere in the photo."""

    def forward(self, images: Tensor) -> Tensor:
        images = images if images.is_floating_point() else images.float() / 255
        return images.mean(dim=(2, 3)) * 40
