"""Grad-CAM by pytorch-grad-cam, kept off the model: nothing in training may tell whether somebody looked.

The library clears the model's gradients, puts it in evaluation mode, and normalises every map on its own so that maps
can no longer be compared or summed. Here it is handed a stand-in that owns no parameters but copies; the backward pass
stops at the target layer (a third of the cost, the same maps), and the maps come back signed and unnormalised.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.errors import WorkFailed
from fishnet.models.isolation import unchanged

from .target import last_convolution


class Explained(NamedTuple):
    """A map and the logits of each photo, float32 on the CPU, from one forward pass."""

    maps: Tensor
    logits: Tensor


def class_maps(
    model: nn.Module, images: Tensor, targets: list[int] | None = None, *, layer: nn.Module | None = None
) -> Tensor:
    """One map a photo (N × h × w, signed, unnormalised) for the wanted classes, or for the model's answers."""
    return explained(model, images, targets, layer=layer).maps


def explained(
    model: nn.Module, images: Tensor, targets: list[int] | None = None, *, layer: nn.Module | None = None
) -> Explained:
    """`model` is an ImageClassifier itself, not its DDP wrapper: then no process waits for another.

    Gradients, modes, hooks and the random state are as they were, in whatever context this is called.
    """
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = layer or last_convolution(model.network, images.shape[-1])  # type: ignore[arg-type]
    if layer is None:
        raise WorkFailed("this network works on tokens and has no convolution: Grad-CAM cannot explain it.")
    wanted = None if targets is None else [ClassifierOutputTarget(int(target)) for target in targets]
    with _off_the_record(model, images, layer) as (stand_in, pixels):
        cam = _raw_gradcam()(stand_in, [layer])
        try:
            maps = cam(pixels, wanted)
            logits = cam.outputs.detach().cpu()
        finally:  # not `with cam`: its exit swallows IndexError
            cam.activations_and_grads.release()
    return Explained(torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32)), logits)


@cache
def _raw_gradcam() -> type:
    from pytorch_grad_cam import GradCAM

    class RawGradCAM(GradCAM):
        """The library's weights and sums, without its two rounds of clipping and normalising."""

        def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
            seen = self.activations_and_grads
            pair = seen.activations[0].numpy(), seen.gradients[0].numpy()
            return self.get_cam_image(input_tensor, self.target_layers[0], targets, *pair, eigen_smooth)

        def aggregate_multi_layers(self, cam_per_target_layer):
            return cam_per_target_layer

    return RawGradCAM


@contextmanager
def _off_the_record(model: nn.Module, images: Tensor, layer: nn.Module) -> Iterator[tuple[nn.Module, Tensor]]:
    """Gradients on, mixed precision off, everything in evaluation mode, and a graph that begins at the target layer."""
    device = next(model.parameters()).device
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(unchanged(model))
        handle = layer.register_forward_hook(lambda _module, _inputs, output: output.detach().requires_grad_(True))
        stack.callback(handle.remove)
        yield StandIn(model, device), images.to(device).clone()


class StandIn(nn.Module):
    """The model's answers from full-precision copies of its weights (the weights themselves where they are float32).

    The model is no submodule: what the library does to "its" model (zero_grad, eval) stops here. One parameter of its
    own tells the device.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros((), device=device))
        self._weights = {name: value.detach().float() for name, value in model.named_parameters()}
        buffers = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
        self._weights.update({name: value.detach().float() for name, value in buffers.items()})
        self.__dict__["_model"] = model

    def forward(self, images: Tensor) -> Tensor:
        return torch.func.functional_call(self.__dict__["_model"], self._weights, (images,))
