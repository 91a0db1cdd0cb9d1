"""The maps that are compared: functions of (photos as bytes, a class for each) → signed maps."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fishnet import ImageClassifier
from fishnet.explain.contents import stages_of
from fishnet.explain.gradcam import METHODS, explained
from fishnet.explain.maps import ADDITIVE, batch_maps, has_additive_maps
from fishnet.files import replacing

MapMethod = Callable[[Tensor, Tensor], Tensor]
STEP = 16


def methods(model: ImageClassifier, *, slow: bool) -> dict[str, MapMethod]:
    """Name → method: ours, pytorch-grad-cam's, Captum's, and those that know nothing. `slow`: with Score-CAM."""
    ours: dict[str, MapMethod] = {}
    if has_additive_maps(model):
        ours["additive (default)"] = lambda x, k: batch_maps(model, x, targets=k, method=ADDITIVE)[0]
    ours["one-hook Grad-CAM"] = lambda x, k: batch_maps(model, x, targets=k, method="gradcam")[0]
    if len(stages := stages_of(model)) > 1:
        before = stages[-2].layer
        ours["Layer-CAM, a stage before"] = lambda x, k: earlier(model, x, k, before)
        ours["Grad-CAM × Layer-CAM"] = lambda x, k: fused(model, x, k, before)
    theirs = {
        METHODS[name]: (lambda x, k, name=name: batch_maps(model, x, targets=k, method=name)[0])
        for name in METHODS
        if name not in ("gradcam", *(() if slow else ("scorecam",)))
    }
    found = ours | theirs | (captums(model) if find_spec("captum") else {}) | {
        "Laplace": lambda x, k: edges(x, cv2.Laplacian), "Sobel": lambda x, k: edges(x, sobel),
        "centre blob": blob, "random": noise,
    }  # fmt: skip
    return {name: placed(method, model.device) for name, method in found.items()}


def placed(method: MapMethod, device: torch.device) -> MapMethod:
    """The method, with photos brought to where the network is, and maps brought back."""
    return lambda images, targets: method(images.to(device), targets.to(device)).cpu()


def earlier(model: ImageClassifier, images: Tensor, targets: Tensor, before: nn.Module) -> Tensor:
    """Layer-CAM at a stage with finer maps."""
    return explained(model, images, targets.tolist(), layer=before, method="layercam").maps


def fused(model: ImageClassifier, images: Tensor, targets: Tensor, before: nn.Module) -> Tensor:
    """Where both the last stage and the finer one before it speak for the class: the geometric mean of the two."""
    coarse = batch_maps(model, images, targets=targets, method="gradcam")[0].clamp(min=0)
    fine = earlier(model, images, targets, before).clamp(min=0)
    large = interpolate(coarse[:, None], size=fine.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return (large * fine).sqrt()


def captums(model: ImageClassifier) -> dict[str, MapMethod]:
    """Captum (`pip install captum`, for this command alone), on the network's own pixels, summed over colours."""
    from captum.attr import GradientShap, InputXGradient, IntegratedGradients, Occlusion

    network = model.network

    def summed(method: object, **how: object) -> MapMethod:
        def maps(images: Tensor, targets: Tensor) -> Tensor:
            pixels = model.pixels(images)
            more = {"baselines": torch.zeros_like(pixels), **how} if how.get("baseline", True) else {}
            more = {key: value for key, value in more.items() if key != "baseline"}
            return method.attribute(pixels, target=targets, **more).sum(dim=1).detach().float()  # type: ignore[attr-defined]

        return maps

    side = model.preprocessing.size // 8
    step = max(1, side // 2)
    window = {"sliding_window_shapes": (3, side, side), "strides": (3, step, step)}
    return {
        "Captum InputXGradient": summed(InputXGradient(network), baseline=False),
        "Captum IntegratedGradients": summed(IntegratedGradients(network), n_steps=16, internal_batch_size=32),
        "Captum GradientShap": summed(GradientShap(network), n_samples=8),
        "Captum Occlusion": summed(Occlusion(network), **window),
    }


def edges(images: Tensor, operator: Callable) -> Tensor:
    grey = images.float().mean(dim=1).cpu().numpy()
    return torch.from_numpy(np.abs(np.stack([operator(each, cv2.CV_32F) for each in grey])))


def sobel(grey: np.ndarray, depth: int) -> np.ndarray:
    return np.hypot(cv2.Sobel(grey, depth, 1, 0), cv2.Sobel(grey, depth, 0, 1))


def blob(images: Tensor, targets: Tensor) -> Tensor:
    axis = torch.linspace(-1, 1, 16)
    bell = torch.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / 0.3)
    return bell[None].expand(len(images), 16, 16)


def noise(images: Tensor, targets: Tensor) -> Tensor:
    return torch.randn(len(images), 8, 8, generator=torch.Generator().manual_seed(int(targets.sum())))


@dataclass
class Kept:
    """A method whose maps are kept in a folder, photo by photo, so that hours of it can be taken up again.

    Args:
        method: what makes them.
        folder: of this method of this network alone.
    """

    method: MapMethod
    folder: Path
    seconds: list[float] = field(default_factory=list)  # of each map, whenever it was made

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        self.folder.mkdir(parents=True, exist_ok=True)
        return torch.stack([self._map(image, target) for image, target in zip(images, targets, strict=True)])

    def _map(self, image: Tensor, target: Tensor) -> Tensor:
        name = hashlib.sha256(image.numpy().tobytes() + str(int(target)).encode()).hexdigest()
        file = self.folder / f"{name}.npz"
        if not file.exists():
            begin = time.perf_counter()
            made = self.method(image[None], target[None])[0].numpy()
            with replacing(file) as temporary, open(temporary, "wb") as opened:
                np.savez(opened, map=made, seconds=time.perf_counter() - begin)
        found = np.load(file)
        self.seconds.append(float(found["seconds"]))
        return torch.from_numpy(found["map"])


def all_maps(method: MapMethod, images: Tensor, targets: Tensor) -> tuple[Tensor, float]:
    """The maps at the size of the photos, each with the sum that it had, and seconds a photo."""
    begin, side = time.perf_counter(), images.shape[-1]
    parts = [method(x, k) for x, k in zip(images.split(STEP), targets.split(STEP), strict=True)]
    seconds = (time.perf_counter() - begin) / len(images)
    if isinstance(method, Kept):
        seconds = float(np.mean(method.seconds[-len(images) :]))
    large = [
        interpolate(part[:, None].float(), size=side, mode="bilinear", align_corners=False)[:, 0] for part in parts
    ]
    scaled = [big * (small.shape[-1] * small.shape[-2] / side**2) for big, small in zip(large, parts, strict=True)]
    return torch.cat(scaled), seconds
