"""Predictions of an evaluation are gathered once for every callback that uses them, and forgotten after it."""

import pytest
import torch

from fishnet.callbacks import outputs
from fishnet.callbacks.heatmaps import HeatMaps
from fishnet.callbacks.report import Report
from fishnet.models.classifier import ImageClassifier
from tests.support.memory_data import MemoryData
from tests.support.trainers import quiet_trainer

CLASSES = ["a", "b"]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.filterwarnings("ignore")
def test_two_callbacks_share_the_predictions_of_a_test(tmp_path, monkeypatch, first):
    gathered: list[int] = []

    def counting(parts):
        predictions = original(parts)
        gathered.append(len(predictions))
        return predictions

    original = outputs.gathered
    monkeypatch.setattr(outputs, "gathered", counting)
    torch.manual_seed(0)
    data, model = MemoryData(classes=CLASSES), ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32)
    both = [HeatMaps(photos=0, per_class=2), Report(resamples=20)]
    trainer = quiet_trainer(tmp_path, callbacks=[both[first], both[1 - first]])
    trainer.validate(model, datamodule=data, verbose=False)
    trainer.test(model, datamodule=data, verbose=False)
    assert gathered == [len(data.rows("val")), len(data.rows("test"))]
    assert (tmp_path / "gradcam" / "index.csv").is_file()
    assert (tmp_path / "report" / "predictions.csv").is_file()
    assert all(callback._gathered is None and not callback._outputs for callback in both)
