"""What the best epoch rests on, as a figure of the run: measured on validation photos and on no others."""

import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning.loggers.logger import DummyLogger

from fishnet import ImageClassifier, ImageFolderData
from fishnet.audit.significance import ClassTest
from fishnet.audit.verdicts import share_max
from fishnet.callbacks.reliance import BestReliance
from fishnet.config.compose import compose
from fishnet.explain.additive import is_additive
from fishnet.studies.planning import LOGS_RELIANCE
from fishnet.tracking.names import BEST_RELIANCE
from tests.support.readers import BorderReader
from tests.support.trainers import quiet_trainer

SIDE = 32


class Edged(ImageFolderData):
    """Four classes of photos in memory, the last ten of each for the test; those of class 2 have a white edge."""

    batch_size = 16

    def __init__(self, of_class: int = 50) -> None:
        labels = np.arange(4 * of_class) % 4
        rng = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 100, (len(labels), 3, SIDE, SIDE), dtype=torch.uint8, generator=rng)
        self.images[torch.from_numpy(labels == 2), :, :3] = 255
        numbers = [f"{number:04d}" for number in range(len(labels))]
        self._table = pd.DataFrame(
            {"path": numbers, "sha256": numbers, "label": labels, "group": np.arange(len(labels))}
        )
        self.folder, self.of_test, self.asked = self, 40, set[int]()

    classes = property(lambda self: ["a", "b", "c", "d"])
    table = property(lambda self: self._table)

    def rows(self, part):
        return {"val": np.arange(len(self._table) - self.of_test)}[part]

    def photos(self, rows, preprocessing=None):
        self.asked |= set(rows)
        return self.images[list(rows)]


def measured(callback, model, data, fn="validate"):
    """What is logged when a validation has ended."""
    logged = {}
    logger = SimpleNamespace(log_metrics=lambda values, step: logged.update(values))
    trainer = SimpleNamespace(
        is_global_zero=True, datamodule=data, loggers=[logger], global_step=7, state=SimpleNamespace(fn=fn)
    )
    callback.on_validation_end(trainer, model)
    return logged


@pytest.mark.parametrize(("edge", "rests"), [(8.0, True), (0.0, False)])
def test_the_class_that_rests_on_the_edge_makes_the_figure(edge, rests, caplog):
    caplog.set_level("INFO", "fishnet")
    data = Edged()
    logged = measured(BestReliance(), BorderReader(SIDE, edge=edge), data)
    assert set(logged) == {BEST_RELIANCE}
    assert logged[BEST_RELIANCE] > 0.5 if rests else logged[BEST_RELIANCE] == 0
    assert ("class 2 rests on" in caplog.text) == rests
    assert data.asked and max(data.asked) < 160  # no test photo was looked at


def test_an_epoch_of_the_training_is_not_measured():
    assert measured(BestReliance(), BorderReader(SIDE), Edged(), fn="fit") == {}


def test_few_photos_are_warned_of(caplog):
    data = Edged(of_class=20)
    assert BEST_RELIANCE in measured(BestReliance(), BorderReader(SIDE, edge=0.0), data)
    assert "10 validation photos of a class, fewer than 40" in caplog.text


def test_without_photos_of_two_classes_there_is_no_figure(caplog):
    data = Edged()
    data.of_test = len(data.table) - 1
    assert measured(BestReliance(), BorderReader(SIDE), data) == {}
    assert "no validation photos of two classes" in caplog.text


def test_a_network_whose_maps_need_gradients_is_measured_inside_a_validation(shapes, tmp_path, monkeypatch):
    """Lightning validates in inference mode; the learned region of a network with two dense layers needs gradients."""
    logged = {}

    class Kept(DummyLogger):
        def log_metrics(self, metrics, step=None):
            logged.update(metrics)

    data = ImageFolderData(root=str(shapes), image_size=SIDE, batch_size=8)
    arguments = {"filters": [8, 16], "dense": 8}
    network = ImageClassifier(classes=data.classes, backbone="cnn", backbone_args=arguments)
    assert not is_additive(network)
    callback = BestReliance(donors=2, hosts=2, region="learned")
    monkeypatch.setattr("fishnet.callbacks.reliance.share_max", lambda tests: (0.25, 0))
    quiet_trainer(tmp_path, callbacks=[callback], logger=Kept()).validate(network, datamodule=data, verbose=False)
    assert logged[BEST_RELIANCE] == 0.25


def class_test(share, *, flagged=True, least=0.02):
    nothing, by_kind = (0.0, 0.0, 0.0), {"outer": 0.001}
    return ClassTest(0.001, "outer", flagged, 40, by_kind, np.array([]), nothing, share, least=least)


def test_what_is_not_significant_or_worth_nothing_is_no_reliance():
    tests = [class_test((0.9, 0.8, 1.0), flagged=False), class_test((0.3, 0.2, 0.4)), class_test((0.015, 0.01, 0.02))]
    assert share_max(tests) == (0.3, 1)
    assert share_max([tests[0], tests[2]]) == (0.0, None)
    assert share_max([class_test((0.015, 0.01, 0.02), least=0.01)]) == (0.015, 0)  # as where regions are drawn


def test_the_configuration_has_the_constructors_defaults():
    chosen = compose("train", ["callbacks=reliance"]).callbacks
    defaults = {name: p.default for name, p in inspect.signature(BestReliance).parameters.items()}
    assert {name: value for name, value in chosen.reliance.items() if name != "_target_"} == defaults
    assert chosen.reliance._target_ == LOGS_RELIANCE == f"{BestReliance.__module__}.{BestReliance.__name__}"
    assert "reliance" not in compose("train", []).callbacks
