"""The library's methods through our door: raw, unmixed, without a trace; and which network can serve which."""

import numpy as np
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.errors import BadInput
from fishnet.explain.gradcam import METHODS, explained, last_convolution
from fishnet.explain.maps import batch_maps, check_method


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    settings = {"filters": [8, 8, 12], "batch_norm": False}
    return ImageClassifier(classes=["a", "b", "c"], backbone="cnn", backbone_args=settings, image_size=48).eval()


def photos(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 48, 48), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_rendered_like_the_library_renders_them(model, method):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    images, targets = photos(2), [0, 2]
    found = explained(model, images, targets, method=method)
    layer = last_convolution(model.network, 48)
    cam = getattr(pytorch_grad_cam, METHODS[method])(model.network, [layer])
    theirs = cam(model.pixels(images), [ClassifierOutputTarget(k) for k in targets])
    cam.activations_and_grads.release()
    model.zero_grad(set_to_none=True)  # what the plain library leaves behind
    ours = torch.nn.functional.interpolate(found.maps[:, None].clamp(min=0), size=48, mode="bilinear")[:, 0].numpy()
    for one, other in zip(ours, theirs, strict=True):
        if one.max() > 0:
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    assert torch.allclose(found.logits, model(images).detach(), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_stays_behind_and_no_bar_is_shown(model, method, capfd):
    before = [value.clone() for value in model.state_dict().values()]
    model.train()
    maps, _ = batch_maps(model, photos(2), method=method)
    assert model.training and not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert maps.shape[0] == 2 and "it/s" not in capfd.readouterr().err
    model.eval()


def test_methods_differ_where_they_should(model):
    images = photos(2)
    first, second = (batch_maps(model, images, targets=torch.tensor([k, k]), method="eigencam")[0] for k in (0, 1))
    assert torch.equal(first, second)  # Eigen-CAM knows no class
    first, second = (batch_maps(model, images, targets=torch.tensor([k, k]), method="layercam")[0] for k in (0, 1))
    assert not torch.equal(first, second)


def test_what_a_network_cannot_serve_is_named_with_what_it_can(model):
    check_method(model, "auto")
    with pytest.raises(BadInput, match="choose from gradcam, hirescam"):
        check_method(model, "additive")  # a dense layer stands between its maps and its logits
    tokens = ImageClassifier(classes=["a", "b"], backbone="vit_tiny_patch16_224")
    with pytest.raises(BadInput, match="works on tokens"):
        check_method(tokens, "gradcam")
    with pytest.raises(BadInput, match="none of additive, gradcam"):
        check_method(tokens, "additive")
