"""The report of a test: figures equal to the logged ones, files that can be read again."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as L
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger
from sklearn.metrics import f1_score

from fishnet.callbacks.report import Curves, EpochLines, Report, curves_file
from fishnet.errors import WorkFailed
from fishnet.measure.confusions import readable
from fishnet.measure.predictions import Predictions
from fishnet.measure.report import TestReport
from fishnet.models.classifier import ImageClassifier
from tests.support.memory_data import MemoryData
from tests.support.trainers import quiet_trainer

CLASSES = ["Perca fluviatilis", "鱼, with a comma", "Klunzinger's wrasse"]
FILES = [
    "classification_report.csv",
    "classification_report.txt",
    "confused_pairs.csv",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "dendrogram.csv",
    "dendrogram.png",
    "metrics.json",
    "predictions.csv",
    "reliability.png",
    "validation.csv",
]


class Listener(Logger):
    name, version = "listener", "0"

    def __init__(self) -> None:
        super().__init__()
        self.metrics: dict[str, float] = {}
        self.delivered: list[tuple[str, str]] = []

    def log_metrics(self, metrics, step=None) -> None:
        self.metrics |= metrics

    def log_hyperparams(self, params, *args, **kwargs) -> None: ...

    def log_artifacts(self, source, path: str = "") -> None:
        self.delivered.append((source.name, path))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    data, report, listener = MemoryData(classes=CLASSES, photos=30), Report(resamples=200), Listener()
    model = ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32, lr=0.02)
    trainer = quiet_trainer(
        folder,
        max_epochs=2,
        callbacks=[report],
        logger=listener,
    )
    trainer.fit(model, datamodule=data)
    assert float(model.temperature) == 1
    trainer.validate(model, datamodule=data, verbose=False)
    trainer.test(model, datamodule=data, verbose=False)
    return folder / "report", data, model, report, listener


pytestmark = pytest.mark.filterwarnings("ignore")


def test_all_files_are_there_and_delivered_once(run):
    folder, _, _, _, listener = run
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert listener.delivered == [("report", "report")]
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width > 300


def test_figures_equal_what_the_model_logged_and_what_sklearn_says(run):
    folder, _, _, report, listener = run
    told = json.loads((folder / "metrics.json").read_text())
    for name, found in told["figures"].items():
        assert found["low"] <= found["value"] <= found["high"], name
        if name != "loss_scaled":
            assert found["value"] == pytest.approx(listener.metrics[f"test/{name}"], abs=1e-5)
    table = pd.read_csv(folder / "predictions.csv")
    f1 = f1_score(table["class"], table["predicted"], average="macro")
    assert told["figures"]["f1_macro"]["value"] == pytest.approx(f1, abs=1e-9)
    assert told["calibration_error"]["before"] == pytest.approx(listener.metrics["test/calibration_error"], abs=1e-5)
    for name in ("accuracy", "f1_macro"):
        assert listener.metrics[f"test/{name}_low"] == pytest.approx(told["figures"][name]["low"])
        assert report.metrics[f"test/{name}_high"] == pytest.approx(told["figures"][name]["high"])


def test_the_temperature_is_fitted_on_validation_and_kept_by_the_model(run):
    folder, data, model, _, listener = run
    told = json.loads((folder / "metrics.json").read_text())
    temperature = float(model.temperature)
    assert temperature != 1
    assert told["temperature"] == pytest.approx(temperature)
    assert "val/calibration_error_scaled" in listener.metrics
    assert listener.metrics["test/calibration_error_scaled"] == pytest.approx(told["calibration_error"]["after"])
    assert "temperature" in model.state_dict()
    table = pd.read_csv(folder / "predictions.csv")
    with torch.no_grad():
        answers = model.eval().probabilities(model(data.images[data.rows("test")])).amax(1)
    assert table.probability.to_numpy() == pytest.approx(answers.numpy(), abs=1e-4)


def test_every_test_photo_is_listed_with_its_group(run):
    folder, data, *_ = run
    table = pd.read_csv(folder / "predictions.csv")
    own = data.table.iloc[np.sort(data.rows("test"))]
    assert table.path.tolist() == own.path.tolist()
    assert table.group.tolist() == own.group.tolist()
    told = json.loads((folder / "metrics.json").read_text())
    assert (told["photos"], told["groups"]) == (len(own), own.group.nunique())


def test_tables_speak_of_real_names(run):
    folder, *_ = run
    matrix = pd.read_csv(folder / "confusion_matrix.csv", index_col="true")
    assert matrix.index.tolist() == matrix.columns.tolist() == CLASSES
    report = pd.read_csv(folder / "classification_report.csv")
    assert report["class"].tolist() == CLASSES
    assert report.photos.tolist() == matrix.sum(axis=1).tolist()
    assert all(name in (folder / "classification_report.txt").read_text() for name in CLASSES)
    assert len(pd.read_csv(folder / "dendrogram.csv")) == 2


def test_the_report_says_how_sure_it_is_and_where_it_cannot_tell(run):
    folder, *_ = run
    assert "Clopper and Pearson" in json.loads((folder / "metrics.json").read_text())["interval"]
    report = pd.read_csv(folder / "classification_report.csv", keep_default_na=False)
    few = (report.groups < 5).tolist()
    assert report.note.tolist() == ["too few to tell" if each else "" for each in few]
    low, high = (pd.to_numeric(report[f"recall_{end}"]) for end in ("low", "high"))
    assert (low >= 0).all() and (high <= 1).all() and (high - low > 0.05).all()
    assert (folder / "classification_report.txt").read_text().count("too few to tell") == sum(few)


def test_without_draws_there_are_no_intervals(tmp_path):
    predictions = Predictions(np.arange(4), np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 1, 1]])
    photos = pd.DataFrame({"path": list("abcd"), "group": range(4)})
    report = TestReport(predictions=predictions, photos=photos, names=["a", "b"], resamples=0)
    assert report.metrics()["interval"] == "none" and report.metrics()["figures"]["accuracy"]["low"] is None
    assert report.by_class()["f1_low"].isna().all() and "[" not in readable(report.by_class())


def test_without_a_table_each_photo_stands_alone(tmp_path):
    data = MemoryData(classes=CLASSES)
    model = ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32)
    trainer = L.Trainer(
        accelerator="cpu",
        default_root_dir=tmp_path,
        callbacks=[Report(resamples=20)],
        logger=False,
        enable_progress_bar=False,
    )
    trainer.test(model, dataloaders=data.test_dataloader(), verbose=False)
    told = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert told["photos"] == told["groups"] == len(data.rows("test"))
    assert told["temperature"] == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "report").write_text("in the way")
    predictions = Predictions(np.arange(4), np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 1, 1]])
    photos = pd.DataFrame({"path": list("abcd"), "group": range(4)})
    with pytest.raises(WorkFailed, match="could not be written"):
        TestReport(predictions=predictions, photos=photos, names=["a", "b"]).write(tmp_path / "report")


def test_a_line_has_figures_of_validation_in_epochs_that_have_one(tmp_path, caplog):
    data = MemoryData(classes=CLASSES, photos=12)
    model = ImageClassifier(classes=CLASSES, backbone="test_resnet", image_size=32)
    lines = EpochLines()
    with caplog.at_level(logging.INFO, "fishnet"):
        quiet_trainer(tmp_path, max_epochs=4, check_val_every_n_epoch=2, callbacks=[lines]).fit(model, datamodule=data)
    shown = [message for message in caplog.messages if message.startswith("epoch ")]
    assert ["val loss" in line for line in shown] == [False, True, False, True]
    assert all("train loss" in line for line in shown)


@pytest.mark.filterwarnings("ignore")
def test_curves_have_what_each_epoch_measured_and_go_on_where_a_run_is_resumed(tmp_path):
    def fit(epochs: int, checkpoint: str | None = None) -> pd.DataFrame:
        model, data = ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32), MemoryData(classes=CLASSES)
        noted = Noted()
        trainer = quiet_trainer(
            tmp_path, callbacks=[Curves()], logger=noted, max_epochs=epochs, check_val_every_n_epoch=2
        )
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=False)
        table = pd.read_csv(curves_file(tmp_path), index_col="epoch")
        for epoch, values in noted.epochs.items():
            for key in {"train/loss", "val/loss"} & set(values):
                assert table.loc[epoch, key] == pytest.approx(float(values[key]), rel=1e-6)
        return table

    first = fit(2)
    assert first.index.tolist() == [0, 1]
    both = fit(4, str(tmp_path / "last.ckpt"))
    assert both.index.tolist() == [0, 1, 2, 3]
    assert both["val/loss"].notna().tolist() == [False, True, False, True]
    pd.testing.assert_frame_equal(both.loc[:1, list(first)], first)


class Noted(Listener):
    """The epochs' metrics as a tracker is given them."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: dict[int, dict[str, float]] = {}

    def log_metrics(self, metrics, step=None) -> None:
        self.epochs.setdefault(int(metrics["epoch"]), {}).update(metrics)
