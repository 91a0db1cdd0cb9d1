"""What is inside a network: its stages, its channels, and that nothing of the looking stays behind."""

import numpy as np
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.explain.contents import contents_chapters, excitement, photos_at, stage_maps, stages_of


def hooks(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize(
    ("backbone", "sides"), [("resnet18", [32, 16, 8, 4, 2]), ("cnn", [64, 32, 16, 8]), ("mobilenetv2_050", None)]
)
def test_a_stage_is_the_last_layer_of_its_size(backbone, sides):
    model = ImageClassifier(classes=["a", "b"], backbone=backbone, image_size=64).train()
    stages = stages_of(model)
    if sides:
        assert [stage.side for stage in stages] == sides
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    maps = stage_maps(model, images, stages)
    assert [tuple(each.shape) for each in maps] == [(3, stage.channels, stage.side, stage.side) for stage in stages]
    assert hooks(model) == 0 and model.training and model.network.training
    if backbone == "resnet18":
        assert [stage.name for stage in stages[-3:]] == ["layer2", "layer3", "layer4"]
        model.eval()
        with torch.no_grad():
            expected = model.network.forward_features(model.pixels(images))
        assert torch.allclose(stage_maps(model, images, stages)[-1], expected, atol=1e-5)


def test_of_a_network_of_tokens_only_its_patches_are_maps():
    model = ImageClassifier(classes=["a", "b"], backbone="vit_tiny_patch16_224")
    assert [(stage.name, stage.side) for stage in stages_of(model)] == [("patch_embed.proj", 14)]


def test_the_photos_that_excite_a_channel_most_are_found():
    model = ImageClassifier(classes=["a", "b"], backbone="cnn", image_size=32)
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    stages = stages_of(model)
    found = excitement(model, images.split(7), stages)
    every = [each.amax(dim=(2, 3)).numpy() for each in stage_maps(model, images, stages)]
    for one, values in zip(found, every, strict=True):
        assert np.allclose(one.values, values, atol=1e-5)
        channel = one.liveliest(1)[0]
        assert one.photos(channel, 3) == np.argsort(-values[:, channel], kind="stable")[:3].tolist()
    picked = photos_at(images.split(7), {13, 2})
    assert torch.equal(picked[13], images[13]) and torch.equal(picked[2], images[2]) and len(picked) == 2


def test_chapters_and_files(tmp_path):
    model = ImageClassifier(classes=["a", "b"], backbone="cnn", image_size=32)
    images = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    photos = [f"a/{number}.jpg" for number in range(9)]
    chapters = contents_chapters(model, lambda: images.split(4), photos, tmp_path / "inside")
    assert [chapter.title for chapter in chapters] == ["Feature maps", "What excites a channel"]
    names = sorted(path.name for path in (tmp_path / "inside").iterdir())
    stages = len(stages_of(model))
    assert len([name for name in names if name.startswith("features_")]) == 3 * stages
    assert len([name for name in names if name.startswith("channel_")]) == 6 * stages
    maps, channels = ([block.text for block in chapter.blocks if block.kind == "figure"] for chapter in chapters)
    assert [text.split(": ")[1] for text in maps[:3]] == ["a/0.jpg", "a/4.jpg", "a/8.jpg"]
    assert all(set(text.split(": ")[1].split(", ")) <= set(photos) for text in channels)
