"""A head trained on stored features is the head that the slow way trains."""

import pytest
import pytorch_lightning as L
import torch
from pytorch_lightning.loggers import CSVLogger

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.features import FrozenFeatures
from fishnet.callbacks.guards import SeededSteps
from fishnet.models.features import has_features
from tests.support.trainers import quiet_trainer


def trained(shapes, tmp_path, *, stored: bool, backbone="test_resnet", epochs=3, **settings):
    torch.manual_seed(1)
    own = {key: settings.pop(key) for key in ("dropout", "lr") if key in settings}
    precision = settings.pop("precision", "32-true")
    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8, seed=3, **{"augment": "none", **settings})
    model = ImageClassifier(classes=data.classes, backbone=backbone, freeze="backbone", **own)
    trainer = quiet_trainer(
        tmp_path,
        max_epochs=epochs,
        precision=precision,
        logger=CSVLogger(tmp_path),
        callbacks=[SeededSteps(seed=0), *([FrozenFeatures()] if stored else [])],
        use_distributed_sampler=False,
    )
    trainer.fit(model, datamodule=data)
    (tested,) = trainer.test(model, datamodule=data, verbose=False)
    return model, tested, data


@pytest.fixture
def runs(monkeypatch):
    """How many photos a network has been shown while training."""
    shown: list[int] = []
    forward = ImageClassifier.forward

    def noting(self, images):
        shown.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(ImageClassifier, "forward", noting)
    return shown


@pytest.mark.parametrize(
    ("backbone", "dropout"),
    [("test_resnet", 0.0), ("test_resnet", 0.5), ("cnn", 0.0), ("cnn", 0.3), ("mobilenetv3_small_050", 0.2)],
)
def test_weights_and_figures_are_those_of_the_slow_way(shapes, tmp_path, runs, backbone, dropout):
    slow, slow_figures, _ = trained(shapes, tmp_path, stored=False, backbone=backbone, dropout=dropout)
    runs.clear()
    fast, fast_figures, _ = trained(shapes, tmp_path, stored=True, backbone=backbone, dropout=dropout)
    assert runs == []
    for name, value in slow.state_dict().items():
        assert torch.allclose(value, fast.state_dict()[name], rtol=1e-4, atol=1e-5), name
    assert set(slow_figures) == set(fast_figures)
    for name, value in slow_figures.items():
        assert fast_figures[name] == pytest.approx(value, abs=1e-4 if "loss" in name else 1e-6), name


def test_a_second_training_asks_the_backbone_nothing(shapes, tmp_path, monkeypatch):
    trained(shapes, tmp_path, stored=True, cache=str(tmp_path / "cache"), epochs=1)
    monkeypatch.setattr("fishnet.models.features.features_and_logits", FORBIDDEN)
    monkeypatch.setattr("fishnet.callbacks.features.has_features", lambda _: True)
    trained(shapes, tmp_path, stored=True, cache=str(tmp_path / "cache"), epochs=1, lr=0.5)


def FORBIDDEN(*_):
    raise AssertionError("the backbone was asked again")


def test_a_test_split_that_is_left_alone_is_not_asked_about(shapes, tmp_path, monkeypatch):
    asked: list[int] = []
    batches = ImageFolderData.batches

    def noting(self, rows, **how):
        asked.extend(rows.tolist())
        return batches(self, rows, **how)

    monkeypatch.setattr(ImageFolderData, "batches", noting)
    monkeypatch.setattr(L.Trainer, "test", lambda *_, **__: [{}])
    _, _, data = trained(shapes, tmp_path, stored=True, cache=str(tmp_path / "cache"), epochs=1)
    digests = data.table.sha256
    wanted = set(digests.iloc[[*data.rows("train"), *data.rows("val")]])
    assert set(digests.iloc[asked]) == wanted
    assert len(asked) == len(wanted)


def test_other_weights_have_other_features(shapes, tmp_path):
    cache = str(tmp_path / "cache")
    trained(shapes, tmp_path, stored=True, cache=cache, epochs=1)
    trained(shapes, tmp_path, stored=True, cache=cache, epochs=1, backbone="cnn")
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 2


def test_fresh_views_need_the_backbone_and_fixed_ones_do_not(shapes, tmp_path, runs, caplog):
    with caplog.at_level("INFO"):
        trained(shapes, tmp_path, stored=True, augment="light", epochs=1)
        assert sum(runs) > 0
        assert "data.views=4" in caplog.text
        runs.clear()
        _, _, data = trained(shapes, tmp_path, stored=True, augment="light", views=3, epochs=1)
    assert runs == []
    assert "3 fixed views" in caplog.text
    dataset = data.train_dataloader().dataset
    first = dataset.__getitems__([(0, key) for key in range(6)])
    assert len(torch.unique(first["features"], dim=0)) == 3
    plain = data.val_dataloader().dataset.__getitems__([(0, key) for key in range(6)])
    assert len(torch.unique(plain["features"], dim=0)) == 1


def test_without_a_cache_nothing_stays_behind(shapes, tmp_path):
    folder = shapes.with_name(f".{shapes.name}.fishnet") / "cache" / "features"
    before = sorted(folder.glob("*"))
    trained(shapes, tmp_path, stored=True, cache="off", epochs=1, backbone="resnet10t")
    assert sorted(folder.glob("*")) == before


def test_where_no_cache_can_be_they_are_made_for_the_run_alone(shapes, tmp_path, runs, caplog):
    (tmp_path / "file").touch()
    trained(shapes, tmp_path, stored=True, cache=str(tmp_path / "file" / "cache"), epochs=2)
    assert "No features can be kept in" in caplog.text
    assert runs == []


def test_networks_of_two_heads_are_run_as_ever():
    model = ImageClassifier(classes=["a", "b"], backbone="deit_tiny_distilled_patch16_224", freeze="backbone")
    assert not has_features(model)


def test_features_are_float32_whatever_the_run_computes_in(shapes, tmp_path, runs):
    cache = str(tmp_path / "cache")
    for precision in ("32-true", "bf16-mixed"):
        slow, _, _ = trained(shapes, tmp_path, stored=False, precision=precision, epochs=2)
        runs.clear()
        fast, _, _ = trained(shapes, tmp_path, stored=True, precision=precision, epochs=2, cache=cache)
        assert runs == []
        head = slow.network.get_classifier().weight
        assert torch.allclose(head, fast.network.get_classifier().weight, atol=2e-2 if "bf16" in precision else 1e-5)
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 1
