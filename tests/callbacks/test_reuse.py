"""The classes in other people's programs: their loaders, their modules, their loggers. Each test is such a program."""

import csv

import pytest
import pytorch_lightning as L
import torch
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger
from torch.utils.data import DataLoader, TensorDataset

from fishnet import HeatMaps, ImageClassifier
from tests.support.trainers import quiet_trainer

CLASSES = ["disc", "box"]


@pytest.fixture(autouse=True)
def _store_of_this_test_alone(monkeypatch):
    """Lightning's logger for MLflow leaves its store in the environment, where later tests would find it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


def tuples(photos: int = 12) -> DataLoader:
    """As torchvision's data sets come: pairs of photos (0 to 1) and labels."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(photos, 3, 32, 32, generator=generator), torch.arange(photos) % 2
    images[labels == 1, 0] = 1
    return DataLoader(TensorDataset(images, labels), batch_size=4)


def small() -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32, backbone_args={"filters": [4, 8]}, lr=0.1)


def test_pairs_of_photos_and_labels_are_learned_from_and_figures_come_back(tmp_path):
    model, trainer = small(), quiet_trainer(tmp_path, max_epochs=3)
    trainer.fit(model, tuples(), tuples())
    (figures,) = trainer.validate(model, tuples(), verbose=False)
    assert figures["val/accuracy"] == 1.0 and "val_class/disc_f1" in figures
    (figures,) = trainer.test(model, tuples(), verbose=False)
    assert figures["test/f1_macro"] == 1.0


def test_mappings_without_an_index_count_each_photo_once(tmp_path):
    class Mapped(TensorDataset):
        def __getitem__(self, row):
            image, label = super().__getitem__(row)
            return {"image": image, "label": label}

    pairs = tuples().dataset.tensors  # type: ignore[attr-defined]
    (figures,) = quiet_trainer(tmp_path).validate(small(), DataLoader(Mapped(*pairs), batch_size=5), verbose=False)
    (same,) = quiet_trainer(tmp_path).validate(small(), tuples(), verbose=False)
    assert figures == pytest.approx(same)


def test_the_loss_can_be_another(tmp_path):
    class Smoothed(ImageClassifier):
        def loss(self, logits, batch, stage):
            smoothing = 0.2 if stage == "train" else 0.0
            return torch.nn.functional.cross_entropy(logits, batch["label"], label_smoothing=smoothing)

    torch.manual_seed(0)
    model = Smoothed(classes=CLASSES, backbone="cnn", image_size=32, backbone_args={"filters": [4, 8]}, lr=0.1)
    trainer = quiet_trainer(tmp_path, max_epochs=5)
    trainer.fit(model, tuples(), tuples())
    assert float(trainer.callback_metrics["train/loss"]) > 0.2  # which cross-entropy alone falls below
    assert float(trainer.callback_metrics["val/loss"]) < float(trainer.callback_metrics["train/loss"])


def pictures(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("gradcam/panel/*.jpg"))


def test_heat_maps_lie_in_the_folder_of_a_csv_or_tensorboard_loggers_version(tmp_path):
    for logger in (CSVLogger(tmp_path, name="csv"), TensorBoardLogger(str(tmp_path), name="tb")):
        trainer = quiet_trainer(tmp_path, max_epochs=2, logger=logger, callbacks=[HeatMaps(photos=2)])
        trainer.fit(small(), tuples(), tuples())
    names = [f"{name}/version_0/gradcam/panel/epoch_00{epoch}.jpg" for name in ("csv", "tb") for epoch in (0, 1)]
    assert pictures(tmp_path) == names
    with open(tmp_path / "csv" / "version_0" / "metrics.csv") as opened:
        assert "val/f1_macro" in next(csv.reader(opened))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tb" / "version_0"))
    events.Reload()
    assert events.Tags()["images"] == ["gradcam/panel/epoch_000", "gradcam/panel/epoch_001"]


def test_lightnings_own_mlflow_logger_gets_the_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # mlflow sets it, and it would outlive the test
    logger = MLFlowLogger("x", tracking_uri=f"sqlite:///{tmp_path}/own.db", artifact_location=f"file:{tmp_path}/kept")
    trainer = quiet_trainer(tmp_path, max_epochs=1, logger=logger, callbacks=[HeatMaps(photos=2)])
    trainer.fit(small(), tuples(), tuples())
    assert len(list((tmp_path / "kept").glob("*/artifacts/gradcam/panel/epoch_000.jpg"))) == 1


class Theirs(L.LightningModule):
    """A module of somebody else's: no classes, no preprocessing, a step that returns a loss alone."""

    def __init__(self, convolutions: bool) -> None:
        super().__init__()
        body = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)] if convolutions else []
        self.body = torch.nn.Sequential(*body, torch.nn.Flatten(), torch.nn.LazyLinear(2))

    def forward(self, images):
        return self.body(images)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx): ...

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("convolutions", [True, False], ids=["drawn", "cannot-be"])
def test_somebody_elses_module_is_explained_where_it_can_be_and_never_stopped(tmp_path, convolutions):
    model = Theirs(convolutions)
    model(torch.zeros(1, 3, 32, 32))
    trainer = quiet_trainer(tmp_path, max_epochs=1, callbacks=[HeatMaps(photos=2)])
    trainer.fit(model, tuples(), tuples())
    trainer.test(model, tuples(), verbose=False)
    assert len(pictures(tmp_path)) == convolutions
