"""The small network of the older studies: convolution blocks, global pooling, one dense layer.

It has the few methods of a timm model that the classifier relies on: `backbone=cnn` is a backbone like any other.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from fishnet.errors import BadInput

ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU, "tanh": nn.Tanh, "gelu": nn.GELU}


class SmallCNN(nn.Module):
    """3×3 convolutions, each followed by an activation and a halving of the map."""

    pretrained_cfg: ClassVar[dict] = {
        "input_size": (3, 128, 128),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
    }

    def __init__(
        self,
        *,
        num_classes: int,
        filters: list[int] | None = None,
        dense: int = 64,
        dropout: float = 0.0,
        activation: str = "relu",
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise BadInput(f"activation {activation!r} is unknown: choose from {', '.join(ACTIVATIONS)}.")
        widths = [3, *(filters or [32, 64, 128, 128])]
        blocks: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            blocks.append(nn.Conv2d(before, after, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                blocks.append(nn.BatchNorm2d(after))
            blocks.append(ACTIVATIONS[activation]())
            if index < len(widths) - 2:
                blocks.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*blocks)
        self.neck = nn.Sequential(nn.Linear(widths[-1], dense), ACTIVATIONS[activation]())
        self.dropout = nn.Dropout(dropout)  # the head's own: a frozen neck must not silence it
        self.head = nn.Linear(dense, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        pooled = torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(images), 1), 1)
        return self.head(self.dropout(self.neck(pooled)))

    def get_classifier(self) -> nn.Module:
        return self.head

    def group_matcher(self, coarse: bool = False) -> dict:
        return {"stem": r"^features\.0\.", "blocks": r"^features\.(\d+)"}
