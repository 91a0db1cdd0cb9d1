import pytest
import torch
from torch.utils.data import DataLoader

from fishnet import ImageClassifier
from fishnet.errors import BadInput
from tests.support.trainers import quiet_trainer

PHOTOS = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)


@pytest.mark.parametrize("backbone", ["cnn", "test_resnet", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_any_backbone_by_name_answers_uint8_and_float_alike(backbone):
    size = 224 if backbone.startswith("vit") else 64
    photos = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    model = ImageClassifier(classes=["a", "b", "c"], backbone=backbone).eval()
    assert model(photos).shape == (2, 3)
    assert torch.allclose(model(photos), model(photos.float() / 255), atol=1e-5)


@pytest.mark.parametrize("freeze", ["backbone", 2])
@pytest.mark.parametrize("backbone", ["test_resnet", "cnn"])
def test_frozen_parts_keep_their_weights_and_their_batch_norm_statistics(backbone, freeze):
    model = ImageClassifier(classes=["a", "b"], backbone=backbone, freeze=freeze)  # Lightning never calls train()
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    frozen = {n for n, p in model.network.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(PHOTOS).sum().backward()
        optimizer.step()
    after = model.network.state_dict()
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    first_statistics = next(k for k in before if k.endswith("running_mean"))
    assert torch.equal(before[first_statistics], after[first_statistics])
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_a_local_file_brings_the_backbone_and_leaves_a_head_of_another_size(tmp_path):
    source = ImageClassifier(classes=list("abcde"), backbone="test_resnet")
    torch.save(source.network.state_dict(), tmp_path / "w.pth")
    model = ImageClassifier(classes=["a", "b"], backbone="test_resnet", pretrained=str(tmp_path / "w.pth"))
    assert torch.equal(model.network.conv1[0].weight, source.network.conv1[0].weight)
    assert model.network.get_classifier().out_features == 2


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    torch.save(ImageClassifier(classes=["a", "b"], backbone="cnn").network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(BadInput, match=r"lacks conv1\.0\.weight.*unknown features"):
        ImageClassifier(classes=["a", "b"], backbone="test_resnet", pretrained=str(tmp_path / "w.pth"))


def test_a_hostile_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"weight": Trap()}, tmp_path / "w.pth")
    with pytest.raises(BadInput, match="read safely"):
        ImageClassifier(classes=["a", "b"], backbone="cnn", pretrained=str(tmp_path / "w.pth"))
    assert not (tmp_path / "sprung").exists()


def test_weights_that_are_not_here_are_one_sentence_and_quick(monkeypatch, tmp_path):
    import time

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(BadInput, match="prefetch=true"):
        ImageClassifier(classes=["a", "b"], backbone="resnet10t", pretrained=True)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"backbone": "restnet50"}, "resnet50"),
        ({"classes": ["one"]}, "two classes"),
        ({"backbone": "cnn", "freeze": 99}, "stages 1 to"),
        ({"backbone": "test_resnet", "backbone_args": {"nonsense": 1}}, "nonsense"),
        ({"backbone": "cnn", "backbone_args": {"activation": "rleu"}}, "relu"),
        ({"lr": -1.0}, "above 0"),
    ],
)
def test_bad_values_are_one_sentence(arguments, sentence):
    with pytest.raises(BadInput, match=sentence):
        ImageClassifier(**{"classes": ["a", "b"], "backbone": "cnn", **arguments})


def test_photos_are_predicted_with_and_without_labels(tmp_path):
    photos = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    model = ImageClassifier(classes=["a", "b"], backbone="cnn", backbone_args={"filters": [8, 16]}, image_size=32)
    trainer = quiet_trainer(tmp_path)
    answers = []
    for own in (photos, [(photo, 0) for photo in photos], [{"image": photo} for photo in photos]):
        batches = trainer.predict(model, DataLoader(own, batch_size=2))
        answers.append(torch.cat([batch["probabilities"] for batch in batches]))
    assert answers[0].shape == (5, 2) and torch.allclose(answers[0].sum(dim=1), torch.ones(5))
    for other in answers[1:]:
        assert torch.equal(other, answers[0])


def test_hostile_class_names_get_unique_slugs():
    names = ["Klunzinger's wrasse", "Klunzingers wrasse", "鯉", "鮒", "a×b", "${oc.env:HOME}"]
    slugs = ImageClassifier(classes=names, backbone="cnn").slugs
    assert len(set(slugs)) == len(names)
    assert all(slug.isascii() and slug for slug in slugs)
