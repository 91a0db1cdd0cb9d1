"""A training step in the setting that precision=auto chooses, beside Lightning's default, float32."""

import copy
import tempfile
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from fishnet import ImageClassifier
from fishnet.data.reef import ReefData
from fishnet.models.arithmetic import PLAIN, Setting, in_setting, rule

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
    chosen, _ = rule(model, use_gpu=False)
    images, labels = torch.randn(batch, 3, size, size), torch.randint(0, 3, (batch,))
    layout = torch.channels_last if chosen.channels_last else torch.contiguous_format
    networks = {PLAIN: model.network, chosen: copy.deepcopy(model.network).to(memory_format=layout)}
    return Case(
        f"{backbone} {size} px, {chosen}",
        lambda: step(networks[chosen], images, labels, chosen),
        lambda: step(networks[PLAIN], images, labels, PLAIN),
        lambda *_: learns_alike(networks, chosen, size, batch, steps=100 if long(backbone, chosen) else 1),
        goal,
        ours_work=batch,
        peers_work=batch,
    )


def step(network: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> None:
    if setting.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    network.zero_grad()
    with in_setting(setting, torch.device("cpu")):
        loss = nn.functional.cross_entropy(network(images).float(), labels)
    loss.backward()


def long(backbone: str, chosen: Setting) -> bool:
    """A hundred steps where bfloat16 was chosen; they take minutes with a large network, so those look at one step.

    Another order of float32 is the same arithmetic: one step shows that nothing else has changed.
    """
    return chosen.precision == "bf16-mixed" and backbone == "resnet18"


def learns_alike(networks: dict, chosen: Setting, size: int, batch: int, *, steps: int) -> tuple[bool, str]:
    """The mean loss of some steps of SGD on drawn fish, from the same weights on the same batches.

    A hundred steps from random weights enlarge any difference: float32 that starts a millionth beside itself tells how
    much of what is seen is that, and what lies within twice of it says nothing against the other arithmetic.
    """
    batches = fish(size, batch, steps)
    plain, quick = (mean_loss(copy.deepcopy(networks[one]), one, batches) for one in (PLAIN, chosen))
    difference, floor = abs(quick - plain) / plain, 0.0
    said = f"mean loss of {steps} step{'s' if steps > 1 else ''} {quick:.4f}, in float32 {plain:.4f} ({difference:.2%})"
    if steps > 1:
        floor = abs(mean_loss(beside(networks[PLAIN]), PLAIN, batches) - plain) / plain
        said += f"; float32 a millionth beside itself {floor:.2%}"
    return difference <= max(0.01, 2 * floor), said


def beside(network: nn.Module) -> nn.Module:
    near = copy.deepcopy(network)
    with torch.no_grad():
        for weight in near.parameters():
            weight.mul_(1 + 1e-6 * torch.randn_like(weight))
    return near


def mean_loss(network: nn.Module, setting: Setting, batches: list[tuple[Tensor, Tensor]]) -> float:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for pixels, labels in batches:
        with in_setting(setting, torch.device("cpu")):
            loss = nn.functional.cross_entropy(network(pixels).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return sum(losses) / len(losses)


@cache
def fish(size: int, batch: int, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of the reef's three first species, augmented as by default."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"species": 3, "photos": 60, "image_size": size, "batch_size": batch, "seed": 0}
        data = ReefData(root=folder, **settings, val=0.1, test=0.1)
        loader, batches = data.train_dataloader(), []
        while len(batches) < steps:
            loader.sampler.set_epoch(len(batches))
            batches += [data.on_after_batch_transfer(one, 0) for one in loader]
    pixels = [((one["image"].float() / 255 - 0.45) / 0.25, one["label"]) for one in batches[:steps]]
    return [(images.contiguous(memory_format=torch.channels_last), labels) for images, labels in pixels]
