"""How a network wants its photos: part of the model, so that a checkpoint alone can predict."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to size / crop, centre crop of size × size, then (x - mean) / std."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop: float

    def as_dict(self) -> dict:
        return asdict(self)


def preprocessing_of(network: nn.Module, size: int | None) -> Preprocessing:
    """The backbone's own wishes, at its own size or at the one asked for."""
    config: Any = network.pretrained_cfg
    return Preprocessing(
        size=size or int(config["input_size"][-1]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation="bicubic" if config.get("interpolation") == "bicubic" else "bilinear",
        crop=float(config.get("crop_pct") or 0.875),
    )
