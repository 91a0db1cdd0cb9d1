"""The small networks of the older studies, as settings of one class: convolution blocks, a summary, a dense layer.

It has the few methods of a timm model that the classifier relies on and is registered with timm: `backbone=cnn` is a
backbone like any other.
L2 on its weights is `model.weight_decay`, dropout before the head `model.dropout`.
"""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from timm.models import register_model
from torch import Tensor, nn

from fishnet.errors import BadInput
from fishnet.text import nearest

ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU, "tanh": nn.Tanh, "gelu": nn.GELU}
POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class SmallCNN(nn.Module):
    """Convolutions, each followed by an activation and (but for the last, unless `pool_last`) a halving of the map.

    `grid=1` is global average pooling. A larger grid keeps that many cells a side, flattened, so that the logits may
    depend on positions as behind a plain flattening, and still no photo size is built into the weights.
    """

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
        kernel: int = 3,
        pool: Literal["max", "avg", "none"] = "max",
        pool_last: bool = False,
        grid: int = 1,
        dense: int = 64,
        dropout: float = 0.0,
        activation: Literal["relu", "elu", "selu", "tanh", "gelu"] = "relu",
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        _check(filters=filters, kernel=kernel, pool=pool, grid=grid, dense=dense, activation=activation)
        widths = [3, *(filters or [32, 64, 128, 128])]
        blocks: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            blocks.append(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=not batch_norm))
            if batch_norm:
                blocks.append(nn.BatchNorm2d(after))
            blocks.append(ACTIVATIONS[activation]())
            if pool != "none" and (pool_last or index < len(widths) - 2):
                blocks.append(POOLS[pool](2))
        self.features = nn.Sequential(*blocks)
        self.summary = nn.AdaptiveAvgPool2d(grid)
        width = widths[-1] * grid**2
        self.neck = nn.Sequential(*([nn.Linear(width, dense), ACTIVATIONS[activation]()] if dense else []))
        self.dropout = nn.Dropout(dropout)  # the head's own: a frozen neck must not silence it
        self.head = nn.Linear(dense or width, num_classes)

    def forward_features(self, images: Tensor) -> Tensor:
        """Maps before they are summarised, as timm's networks give them."""
        return self.features(images)

    def forward(self, images: Tensor) -> Tensor:
        summary = torch.flatten(self.summary(self.forward_features(images)), 1)
        return self.head(self.dropout(self.neck(summary)))

    def get_classifier(self) -> nn.Module:
        return self.head

    def group_matcher(self, coarse: bool = False) -> dict:
        return {"stem": r"^features\.0\.", "blocks": r"^features\.(\d+)"}


def _check(*, filters, kernel, pool, grid, dense, activation) -> None:
    def refuse(key: str, value: object, sentence: str) -> None:
        raise BadInput(f"model.backbone_args.{key}={value}: {sentence}.")

    if filters is not None and not (filters and all(type(width) is int and width > 0 for width in filters)):
        refuse("filters", filters, "give the filters of each block, such as [32,64]")
    if type(kernel) is not int or kernel < 1 or kernel % 2 == 0:
        refuse("kernel", kernel, "an odd number of pixels keeps a map in position")
    if type(grid) is not int or grid < 1:
        refuse("grid", grid, "1 is global average pooling, 4 keeps four by four places")
    if type(dense) is not int or dense < 0:
        refuse("dense", dense, "a number of units, or 0 for no dense layer")
    for key, value, known in (("pool", pool, [*POOLS, "none"]), ("activation", activation, list(ACTIVATIONS))):
        if value not in known:
            refuse(key, value, f"{value!r} is unknown; {nearest(str(value), known).rstrip('?')}")


@register_model
def cnn(pretrained: bool = False, *, num_classes: int = 1000, drop_rate: float = 0.0, **settings) -> SmallCNN:
    """What `timm.create_model("cnn")` calls; weights are drawn, for none are published."""
    for key in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        settings.pop(key, None)
    return SmallCNN(num_classes=num_classes, **{"dropout": drop_rate, **settings})
