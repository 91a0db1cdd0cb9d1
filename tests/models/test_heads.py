"""Before the first step a new classifier prefers no class by much, whatever the family of its network."""

import pytest
import timm
import torch

from fishnet import ImageClassifier
from fishnet.models.backbones import build_backbone, drawn_head, head_names, single_head
from fishnet.models.features import has_features

BACKBONES = {  # by the side of the photos that they are shown
    "cnn": 32,
    "convnext_atto": 64,
    "deit_tiny_distilled_patch16_224": 224,  # two classifiers
    "densenet121": 64,
    "efficientnet_lite0": 64,
    "ghostnet_050": 64,
    "inception_v3": 96,
    "legacy_xception": 96,
    "levit_128s": 224,  # classifiers with a batch norm, two of them
    "mnasnet_small": 64,
    "mobilenetv2_050": 64,
    "mobilenetv3_small_050": 64,
    "regnetx_002": 64,
    "resnet18": 64,
    "test_vit": 160,
    "tf_efficientnet_lite0": 64,
    "tf_efficientnetv2_b0": 64,
    "vgg11": 64,
}


def logits_of(network: torch.nn.Module, side: int) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(("name", "side"), BACKBONES.items())
def test_a_new_head_is_small_from_nothing_and_zero_behind_weights(name, side, tmp_path):
    torch.manual_seed(0)
    new = build_backbone(name, num_classes=3, pretrained=False, dropout=0, arguments=None)
    for head in head_names(new):
        weight = [p for p in new.get_submodule(head).parameters() if p.ndim > 1][-1]
        assert 0 < weight.abs().max() <= weight[0].numel() ** -0.5 + 1e-6
    assert logits_of(new.train(), side).std(dim=1).max() < 1  # an untrained network's norms know no statistics yet
    if name == "vgg11":
        return  # its file would have half a gigabyte

    learned = timm.create_model(name, num_classes=5)
    file = tmp_path / "weights.pth"
    torch.save(learned.state_dict(), file)
    tuned = build_backbone(name, num_classes=3, pretrained=str(file), dropout=0, arguments=None)
    assert logits_of(tuned.eval(), side).abs().max() < 1e-6
    heads = tuple(f"{head}." for head in head_names(tuned))
    backbone = {key: value for key, value in tuned.state_dict().items() if not key.startswith(heads)}
    assert all(torch.equal(value, learned.state_dict()[key]) for key, value in backbone.items())

    kept = build_backbone(name, num_classes=5, pretrained=str(file), dropout=0, arguments=None)
    assert torch.allclose(logits_of(kept.eval(), side), logits_of(learned.eval(), side))


def test_a_published_head_for_as_many_classes_is_kept(monkeypatch):
    published = timm.create_model("resnet18", num_classes=1000)
    monkeypatch.setattr("fishnet.models.backbones.timm.create_model", lambda *_, **__: published)
    before = single_head(published).weight.clone()
    assert torch.equal(
        single_head(build_backbone("resnet18", num_classes=1000, pretrained=True, dropout=0, arguments=None)).weight,
        before,
    )


def test_whether_a_network_has_features_is_known_before_its_head_is_trained():
    """The mean over tokens is taken behind the classifier layer here: its input is no vector a photo."""

    class Late(torch.nn.Module):
        num_features = 8

        def __init__(self):
            super().__init__()
            self.stem, self.head = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Linear(8, 3)

        def forward(self, images):
            return self.head(self.stem(images).flatten(2).mT).mean(dim=1) * 2

        def get_classifier(self):
            return self.head

    model = ImageClassifier(classes=["a", "b", "c"], backbone="cnn", image_size=32)
    assert has_features(model)
    model.network = Late()
    torch.nn.init.zeros_(model.network.head.weight)
    assert not has_features(model)


def test_a_drawn_head_is_there_for_the_block_alone():
    network = build_backbone("cnn", num_classes=3, pretrained=False, dropout=0, arguments=None)
    torch.nn.init.zeros_(single_head(network).weight)
    with drawn_head(network):
        assert single_head(network).weight.abs().max() > 0
    assert single_head(network).weight.abs().max() == 0
