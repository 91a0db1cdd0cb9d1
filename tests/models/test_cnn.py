"""The networks of the older studies are settings of one class."""

import pytest
import timm
import torch

from fishnet import ImageClassifier
from fishnet.errors import BadInput
from fishnet.models.backbones import prefetch
from fishnet.models.cnn import SmallCNN
from fishnet.models.published import check_obtainable, own_backbones


def parameters(**settings) -> list[int]:
    """Of each layer that has any, weights and biases together."""
    network = SmallCNN(**settings)
    sizes = [sum(p.numel() for p in layer.parameters(recurse=False)) for layer in network.modules()]
    return [size for size in sizes if size]


def test_the_third_studys_network_has_its_published_parameters():
    sizes = parameters(num_classes=3, filters=[64, 64, 128], dense=32, dropout=0.5, batch_norm=False)
    assert sizes == [1_792, 36_928, 73_856, 4_128, 99]


def test_the_second_studys_arms_differ_in_the_filters_of_one_convolution():
    arms = {"kernel": 3, "pool_last": True, "grid": 4, "dense": 32, "batch_norm": False, "num_classes": 2}
    assert parameters(filters=[32], **arms) == [3 * 9 * 32 + 32, 32 * 16 * 32 + 32, 2 * 32 + 2]
    assert parameters(filters=[128], **arms) == [3 * 9 * 128 + 128, 128 * 16 * 32 + 32, 2 * 32 + 2]


def test_a_grid_tells_places_apart_and_global_pooling_does_not():
    left, right = torch.zeros(2, 1, 3, 32, 32)
    left[..., 4:12], right[..., 20:28] = 1.0, 1.0
    for grid, alike in ((1, True), (4, False)):
        torch.manual_seed(0)
        network = SmallCNN(num_classes=2, filters=[8], grid=grid, dense=0, batch_norm=False).eval()
        assert torch.allclose(network(left), network(right), atol=1e-5) == alike


@pytest.mark.parametrize("pool", ["max", "avg", "none"])
def test_pooling_halves_the_map_or_leaves_it(pool):
    network = SmallCNN(num_classes=2, filters=[4, 4, 4], pool=pool)
    assert network.features(torch.zeros(1, 3, 32, 32)).shape[-1] == (32 if pool == "none" else 8)
    assert SmallCNN(num_classes=2, filters=[4], pool_last=True).features(torch.zeros(1, 3, 32, 32)).shape[-1] == 16


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"filters": []}, "filters"),
        ({"filters": [8, 0]}, "filters"),
        ({"kernel": 4}, "odd"),
        ({"grid": 0}, "global average pooling"),
        ({"dense": -1}, "dense"),
        ({"pool": "maxx"}, "did you mean max"),
        ({"activation": "rleu"}, "did you mean relu"),
    ],
)
def test_bad_values_are_one_sentence(arguments, sentence):
    with pytest.raises(BadInput, match=sentence):
        ImageClassifier(classes=["a", "b"], backbone="cnn", backbone_args=arguments)


def test_it_is_a_backbone_of_timm_and_known_without_torch():
    assert own_backbones() == {"cnn": "fishnet.models.cnn.SmallCNN"}
    torch.manual_seed(3)
    registered = timm.create_model("cnn", num_classes=3, drop_rate=0.25, filters=[8], dense=0)
    torch.manual_seed(3)
    plain = SmallCNN(num_classes=3, filters=[8], dense=0, dropout=0.25)
    assert registered.dropout.p == 0.25
    assert all(torch.equal(value, registered.state_dict()[name]) for name, value in plain.state_dict().items())
    assert not timm.is_model_pretrained("cnn")


def test_it_has_no_published_weights():
    for refuse in (
        lambda: ImageClassifier(classes=["a", "b"], backbone="cnn", pretrained=True),
        lambda: check_obtainable("cnn"),
        lambda: prefetch("cnn"),
    ):
        with pytest.raises(BadInput, match="cnn has no published weights"):
            refuse()
