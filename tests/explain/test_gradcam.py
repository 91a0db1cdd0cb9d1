"""Grad-CAM: the library's maps before its normalising, and a model that does not know it was looked at."""

import gc
import weakref

import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from fishnet.errors import WorkFailed
from fishnet.explain.gradcam import class_maps, explained, last_convolution
from fishnet.explain.overlay import heat
from fishnet.models.classifier import ImageClassifier
from fishnet.models.cnn import SmallCNN
from tests.support.models import with_drawn_heads

SIZES = {"cnn": 48, "test_resnet": 96, "mobilenetv2_100": 96, "densenet121": 64, "legacy_xception": 96}


def model_of(backbone: str, **more) -> ImageClassifier:
    torch.manual_seed(0)
    size = SIZES.get(backbone, 96)
    return with_drawn_heads(ImageClassifier(classes=["a", "b", "c"], backbone=backbone, image_size=size, **more))


def photos(count: int = 2, size: int = 96) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backbone", SIZES)
def test_after_rendering_equal_to_the_plain_library(backbone: str):
    model, images = model_of(backbone).eval(), photos(3, SIZES[backbone])
    maps = class_maps(model, images, [0, 1, 2])
    layer = last_convolution(model.network, SIZES[backbone])
    with GradCAM(model, [layer]) as cam:
        plain = cam(images.float() / 255, [ClassifierOutputTarget(target) for target in (0, 1, 2)])
    assert maps.dtype == torch.float32
    assert maps.ndim == 3
    for ours, theirs in zip(maps.numpy(), plain, strict=True):
        assert np.abs(heat(ours, theirs.shape[::-1]) - theirs).max() < 1e-5


def test_maps_are_signed_and_add_up_to_the_logit():
    """A linear head on mean-pooled maps: weights times maps, averaged, is the logit without its bias."""
    model, images = model_of("test_resnet"), photos()
    signs = set()
    for target in range(3):
        found = explained(model, images, [target, target])
        signs |= set(found.maps.sign().unique().tolist())
        total = found.maps.sum((1, 2)) + model.network.get_classifier().bias[target]
        assert total.tolist() == pytest.approx(found.logits[:, target].tolist(), abs=1e-4)
    assert {-1, 1} <= signs


def test_without_targets_the_map_is_that_of_the_answer():
    model, images = model_of("cnn"), photos(4, 48)
    found = explained(model, images)
    assert torch.equal(found.maps, class_maps(model, images, found.logits.argmax(1).tolist()))
    assert torch.allclose(found.logits, model.eval()(images).detach(), atol=1e-5)


def snapshot(model: ImageClassifier) -> dict:
    return {
        "modes": [module.training for module in model.modules()],
        "wanted": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "places": [None if p.grad is None else p.grad.data_ptr() for p in model.parameters()],
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "identity": [id(parameter) for parameter in model.parameters()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "chance": torch.get_rng_state(),
    }


def same(before, after) -> bool:
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    if isinstance(before, dict):
        return all(same(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return all(same(*pair) for pair in zip(before, after, strict=True))
    return before == after


@pytest.mark.parametrize("freeze", ["none", "backbone"])
@pytest.mark.parametrize("backbone", ["test_resnet", "cnn"])
def test_no_trace_inside_an_accumulation_window(backbone: str, freeze: str):
    model, images = model_of(backbone, freeze=freeze).train(), photos(4, SIZES[backbone])
    next(module for module in model.network.modules() if isinstance(module, torch.nn.BatchNorm2d)).eval()
    model(images).sum().backward()
    before = snapshot(model)
    class_maps(model, images, [0, 1, 2, 0])
    assert same(before, snapshot(model))
    assert any(grad is not None for grad in before["grads"])


def test_no_trace_after_a_failure():
    model = model_of("cnn").train()
    before = snapshot(model)
    with pytest.raises(IndexError):
        class_maps(model, photos(1, 48), [7])
    assert same(before, snapshot(model))


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_any_context_gives_the_same_full_precision_maps(context):
    model, images = model_of("test_resnet"), photos()
    expected = class_maps(model, images, [0, 1])
    with context():
        found = class_maps(model, images.clone(), [0, 1])
        assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
    assert torch.equal(found, expected)


def test_a_model_kept_in_half_precision():
    model, images = model_of("test_resnet"), photos()
    half = model_of("test_resnet").to(torch.bfloat16)
    found, expected = class_maps(half, images, [0, 1]), class_maps(model, images, [0, 1])
    assert found.dtype == torch.float32
    assert half.network.get_classifier().weight.dtype == torch.bfloat16
    assert float((found - expected).abs().mean() / expected.abs().mean()) < 0.1


def test_repeated_calls_hold_nothing():
    model, images = model_of("cnn"), photos(2, 48)
    class_maps(model, images, [0, 1])
    gc.collect()
    count = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
    for _ in range(5):
        class_maps(model, images, [0, 1])
    gc.collect()
    assert sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()) <= count
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_networks_of_tokens_are_told_so():
    with pytest.raises(WorkFailed, match="works on tokens"):
        class_maps(ImageClassifier(classes=["a", "b"], backbone="test_vit"), photos(1, 160))


def test_a_compiled_network_is_explained_as_it_was_written():
    model, images = model_of("test_resnet"), photos()
    before = class_maps(model, images, [0, 1])
    model.network.compile(backend="eager")
    assert torch.equal(class_maps(model, images, [0, 1]), before)
    assert model.network._compiled_call_impl is not None


# ---- the layer that is explained

LAYERS = {
    "test_resnet": "layer4",
    "resnet18": "layer4",
    "mobilenetv2_100": "bn2",
    "test_efficientnet": "bn2",
    "densenet121": "features",
    "vgg11": "features",
    "legacy_xception": "act4",
    "convnext_atto": "norm_pre",
    "mobilevit_xxs": "final_conv",
}


@pytest.mark.parametrize("name", LAYERS)
def test_convolutional_networks(name: str):
    network = timm.create_model(name, num_classes=3)
    size = 224 if name == "vgg11" else 96
    layer = last_convolution(network, size)
    assert layer is network.get_submodule(LAYERS[name])


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
def test_networks_of_tokens_have_none(name: str):
    network = timm.create_model(name, num_classes=3)
    assert last_convolution(network, network.pretrained_cfg["input_size"][-1]) is None


def test_the_small_network():
    network = SmallCNN(num_classes=3)
    assert last_convolution(network, 32) is network.features


def test_nothing_stays_behind():
    network = timm.create_model("test_resnet", num_classes=3).train()
    network.layer4.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    last_convolution(network, 64)
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_hooks_are_gone_after_a_failure_too():
    network = SmallCNN(num_classes=3)
    with pytest.raises(RuntimeError):
        last_convolution(network, 4)  # smaller than its halvings
    assert not any(module._forward_hooks for module in network.modules())
