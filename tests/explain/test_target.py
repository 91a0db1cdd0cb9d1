"""Finding the layer that knows where, in networks of every make."""

import pytest
import timm
import torch

from fishnet.explain.target import last_convolution
from fishnet.models.cnn import SmallCNN

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
    network = timm.create_model("vgg11", num_classes=3)
    with pytest.raises(RuntimeError):
        last_convolution(network, 8)  # smaller than its five halvings
    assert not any(module._forward_hooks for module in network.modules())
