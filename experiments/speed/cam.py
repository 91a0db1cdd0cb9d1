"""Heat-maps of many photos, beside pytorch-grad-cam as its documentation says, and beside only answering."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fishnet import ImageClassifier
from fishnet.explain.gradcam import class_maps, last_convolution
from fishnet.explain.maps import batch_maps
from fishnet.explain.overlay import heat

from .pairing import Case, Options

BATCH = 16
CLASSES = [f"class {number}" for number in range(7)]


def cases(options: Options) -> Iterator[Case]:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, 224, 224), dtype=torch.uint8)
    model = ImageClassifier(classes=CLASSES, backbone="resnet101", image_size=224).eval()
    answers = model(images).argmax(dim=1).tolist()
    work = {"ours_work": BATCH, "peers_work": BATCH}

    def ours() -> Tensor:
        return batch_maps(model, images)[0]

    yield Case("resnet101, the library", ours, lambda: library(model, images, answers), alike, 3.0, **work)
    yield Case(
        "resnet101, one-hook cut, the library",
        lambda: class_maps(model, images, answers),
        lambda: library(model, images, answers),
        alike,
        3.0,
        **work,
    )
    yield Case(
        "resnet101, only answering", lambda: batch_maps(model, images)[1], lambda: only_answers(model, images),
        same_answers, 1.05, inverse=True, **work,
    )  # fmt: skip

    def every_class() -> np.ndarray:
        return np.stack([library(model, images, [k] * BATCH) for k in range(len(CLASSES))], axis=1)

    def sums(found: tuple[Tensor, Tensor], _) -> tuple[bool, str]:
        bias = model.network.get_classifier().bias.detach()
        worst = float((found[0].sum(dim=(2, 3)) + bias - model(images).detach()).abs().max())
        return worst <= 1e-4, f"maps and bias sum to the logits within {worst:.1g}"

    yield Case(
        "resnet101, maps of 7 classes", lambda: batch_maps(model, images, all_classes=True), every_class, sums, 20,
        most_rounds=3, **work,
    )  # fmt: skip


def library(model: ImageClassifier, images: Tensor, targets: list[int]) -> np.ndarray:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = last_convolution(model.network, 224)
    with GradCAM(model=model, target_layers=[layer]) as cam:
        return cam(input_tensor=images.float() / 255, targets=[ClassifierOutputTarget(target) for target in targets])


@torch.no_grad()
def only_answers(model: ImageClassifier, images: Tensor) -> Tensor:
    return model(images)


def same_answers(ours: Tensor, peers: Tensor) -> tuple[bool, str]:
    worst = float((ours - peers).abs().max())
    return worst <= 1e-4, f"largest difference of a logit {worst:.1g}"


def alike(ours: Tensor, peers: np.ndarray) -> tuple[bool, str]:
    rendered = np.stack([heat(values, (224, 224)) for values in ours.numpy()])
    worst = float(np.abs(rendered - peers).max())
    return worst <= 1e-5, f"largest difference after its normalising {worst:.1g}"
