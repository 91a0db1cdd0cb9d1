"""A training step in the setting that precision=auto chooses, beside Lightning's default, float32."""

import copy
from collections.abc import Iterator

import torch

from fishnet import ImageClassifier
from fishnet.models.precision import PLAIN, _step, fastest, measured

from .pairing import Case, Options

GOALS = {("resnet101", 224, 16): 2.2, ("resnet18", 128, 32): 1.5, ("mobilenetv3_large_100", 128, 32): 1.2}
OTHERS = [
    "resnet50",
    "densenet121",
    "mobilenetv2_100",
    "efficientnet_b0",
    "regnety_004",
    "convnext_atto",
    "vgg11",
    "vit_tiny_patch16_224",
    "legacy_xception",
    "test_resnet",
]
FIXED = {"vit_tiny_patch16_224": 224, "legacy_xception": 160}


def cases(options: Options) -> Iterator[Case]:
    for (backbone, size, batch), goal in GOALS.items():
        yield case(backbone, size, batch, goal)
    for backbone in OTHERS:  # the bar: never slower than the default
        yield case(backbone, FIXED.get(backbone, 128), 16, 1.0)


def case(backbone: str, size: int, batch: int, goal: float) -> Case:
    torch.manual_seed(0)
    model = ImageClassifier(classes=["a", "b", "c"], backbone=backbone, image_size=size)
    chosen = fastest(measured(model, batch, torch.device("cpu")))
    images, labels = torch.randn(batch, 3, size, size), torch.randint(0, 3, (batch,))
    layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
    networks = {PLAIN: model.network, chosen: copy.deepcopy(model.network).to(memory_format=layout)}
    return Case(
        f"{backbone} {size} px, {chosen}",
        lambda: _step(networks[chosen], images, labels, chosen),
        lambda: _step(networks[PLAIN], images, labels, PLAIN),
        lambda *_: (True, "loss and accuracy: see experiments/speed/README.md"),
        goal,
        ours_work=batch,
        peers_work=batch,
    )
