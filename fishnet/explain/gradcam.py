"""Grad-CAM and its kin by pytorch-grad-cam, kept off the model: training computes the same with and without them.

The library clears the model's gradients, puts it in evaluation mode, and normalises every map on its own so that maps
can no longer be compared or summed. Here it is handed a stand-in that owns no parameters but copies; the backward pass
stops at the target layer (a third of the cost, the same maps), and the maps come back signed and unnormalised.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.errors import WorkFailed
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored
from fishnet.models.taps import graph_begins_at, recorded


class NothingToExplain(WorkFailed):
    """The network has no convolution."""


class Explained(NamedTuple):
    """A map and the logits of each photo, float32 on the CPU, from one forward pass."""

    maps: Tensor
    logits: Tensor


METHODS = {  # name → the library's class
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "gradcam++": "GradCAMPlusPlus",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
}


def class_maps(
    model: Classifier, images: Tensor, targets: list[int] | None = None, *, layer: nn.Module | None = None
) -> Tensor:
    """One map a photo (N × h × w, signed, unnormalised) for the targets, or for the predicted classes."""
    return explained(model, images, targets, layer=layer).maps


def explained(
    model: Classifier, images: Tensor, targets: list[int] | None = None, *, layer: nn.Module | None = None,
    method: str = "gradcam",
) -> Explained:  # fmt: skip
    """The maps and logits of a batch; gradients, modes, hooks and the random state are as they were afterwards.

    Args:
        model: an ImageClassifier itself, not its DDP wrapper: then no process waits for another. Another module that
            takes a batch of images and returns logits will do, but for `scorecam`.
        images: photos as the model takes them.
        targets: the class explained in each photo; None explains the predicted class.
        layer: the layer whose output is weighed; None takes the last convolution.
        method: one of `METHODS`. Score-CAM asks the network once for each channel; Eigen-CAM knows no class.
    """
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = layer or last_convolution(getattr(model, "network", model), images.shape[-1])  # type: ignore[arg-type]
    if layer is None:
        raise NothingToExplain("this network works on tokens and has no convolution: Grad-CAM cannot explain it.")
    wanted = None if targets is None else [ClassifierOutputTarget(int(target)) for target in targets]
    device = next(iter(model.named_parameters()))[1].device
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(eval_mode_restored(model))
        stack.enter_context(graph_begins_at(layer))
        scored = method == "scorecam"  # masks the network's own input, so that what is left out is the mean colour
        if scored:
            stack.enter_context(_without_bars())
        cam = _raw(method)(FloatCopy(model, device, network=scored), [layer])
        stack.callback(cam.activations_and_grads.release)  # not `with cam`: its exit swallows IndexError
        maps = cam(model.pixels(images.to(device)) if scored else images.to(device).clone(), wanted)
        logits = cam.outputs.detach().cpu()
    return Explained(torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32)), logits)


def last_convolution(network: nn.Module, size: int) -> nn.Module | None:
    """The last layer that gives out maps (channels × height × width, larger than one cell), found on a blank photo.

    None for networks of tokens (ViT, Swin, mixers): they have no such maps and Grad-CAM would be a guess there.
    """
    weight = next(network.parameters())
    image = torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype)
    body = getattr(network, "forward_features", network)  # timm tells body from head; others run to their logits
    layers = [module for module in network.modules() if module is not network]
    with (
        recorded(layers, keep=lambda call: (call.layer, getattr(call.output, "shape", ()))) as calls,
        eval_mode_restored(network),
        torch.no_grad(),
        torch.autocast(weight.device.type, enabled=False),
    ):
        features = body(image)
    if isinstance(features, Tensor) and body is not network:
        width = getattr(network, "num_features", None)
        # Swin and its kin keep the channels last: four dimensions, but no maps of a convolution
        if features.ndim != 4 or (features.shape[3] == width and features.shape[1] != width):
            return None
    with_maps = [layer for layer, shape in calls if len(shape) == 4 and min(shape[2:]) > 1]
    return with_maps[-1] if with_maps else None


@cache
def _raw(method: str) -> type:
    import pytorch_grad_cam

    library: Any = getattr(pytorch_grad_cam, METHODS[method])

    class RawMaps(library):
        """The library's weights and sums, without its two rounds of clipping and normalising."""

        def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
            seen = self.activations_and_grads
            gradients = seen.gradients[0].numpy() if seen.gradients else None
            pair = seen.activations[0].numpy(), gradients
            return self.get_cam_image(input_tensor, self.target_layers[0], targets, *pair, eigen_smooth)

        def aggregate_multi_layers(self, cam_per_target_layer):
            return cam_per_target_layer

    return RawMaps


@contextmanager
def _without_bars() -> Iterator[None]:
    """The library shows a progress bar for each photo of Score-CAM."""
    from pytorch_grad_cam import score_cam

    bars: Any = score_cam.tqdm
    score_cam.tqdm = SimpleNamespace(tqdm=lambda steps: steps)
    try:
        yield
    finally:
        score_cam.tqdm = bars


class FloatCopy(nn.Module):
    """The model's logits from full-precision copies of its weights (the weights themselves where they are float32).

    The model is no submodule: what the library does to "its" model (zero_grad, eval) stops here. One parameter of its
    own tells the library the device.

    Args:
        model: whose logits are asked for.
        device: where it lies.
        network: whether it is asked by the network's own pixels, and not by photos.
    """

    def __init__(self, model: Classifier, device: torch.device, *, network: bool = False) -> None:
        super().__init__()
        self.on_device = nn.Parameter(torch.zeros((), device=device))
        self.of_network = network
        self._weights = {name: value.detach().float() for name, value in model.named_parameters()}
        buffers = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
        self._weights.update({name: value.detach().float() for name, value in buffers.items()})
        self.__dict__["_model"] = model

    def forward(self, images: Tensor) -> Tensor:
        if not self.of_network:
            return torch.func.functional_call(self.__dict__["_model"], self._weights, (images,))
        weights = {name.removeprefix("network."): value for name, value in self._weights.items()}
        return torch.func.functional_call(self.__dict__["_model"].network, weights, (images,))
