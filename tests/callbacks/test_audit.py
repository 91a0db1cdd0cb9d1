"""What the classes rest on, epoch by epoch: which figures, at which cost, and that training is the same without."""

import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as L
import torch

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.audit import FEWEST, EpochAudit
from fishnet.callbacks.guards import SeededSteps
from fishnet.config.compose import compose
from tests.support.readers import BorderReader
from tests.support.trainers import quiet_trainer

SIDE = 32
PLENTY, NOTHING = 1e9, 1e-9  # shares of the time that allow everything, and hardly anything


class Edged:
    """Four classes of photos in memory; those of class 2 have a white edge."""

    augment, classes = "none", [f"class {number}" for number in range(4)]

    def __init__(self, photos: int = 40) -> None:
        labels = np.arange(photos) % 4
        self.images = torch.randint(0, 100, (photos, 3, SIDE, SIDE), dtype=torch.uint8)
        self.images[torch.from_numpy(labels == 2), :, :3] = 255
        self.table = pd.DataFrame({"path": labels.astype(str), "label": labels, "group": np.arange(photos)})

    def rows(self, part):
        return np.arange(len(self.table))

    def photos(self, rows):
        return self.images[list(rows)]

    def batches(self, rows, *, view, device):
        raise NotImplementedError


def epochs_of(callback, model, count):
    """Metrics by epoch, of a trainer that does nothing but count."""
    logged = {}
    logger = SimpleNamespace(log_metrics=lambda values, step: logged.update({values["epoch"]: values}))
    trainer = SimpleNamespace(is_global_zero=True, datamodule=Edged(), loggers=[logger], global_step=1)
    for trainer.current_epoch in range(count):
        callback.on_train_epoch_start(trainer, model)
        callback.on_train_epoch_end(trainer, model)
    return logged


@pytest.mark.parametrize(("edge", "rests"), [(8.0, True), (0.0, False)])
def test_a_class_that_rests_on_the_edge_stands_out(edge, rests):
    model = BorderReader(SIDE, edge=edge)
    logged = epochs_of(EpochAudit(share=PLENTY), model, 4)
    assert set(logged) == {2, 3}  # the first two epochs tell what an epoch takes
    values = logged[3]
    assert (values["audit/ring_max"] > 0.2) == rests
    assert values["audit/ring_max"] == max(values[f"audit/ring/class-{number}"] for number in range(4))
    if rests:
        assert values["audit/ring_max"] == values["audit/ring/class-2"]
        assert values["audit/outer_max"] == values["audit/outer/class-2"] > 0.2


def test_what_costs_too_much_is_measured_less_often_and_on_fewer_photos(caplog):
    caplog.set_level("INFO", "fishnet")
    model = BorderReader(SIDE)
    assert epochs_of(EpochAudit(share=NOTHING), model, 12) == {}
    assert f"{FEWEST * 4} photos each" in caplog.text
    assert set(epochs_of(EpochAudit(share=PLENTY, every=3), BorderReader(SIDE), 12)) == {2, 5, 8, 11}


def training(shapes, folder, *callbacks):
    torch.manual_seed(1)
    data = ImageFolderData(root=str(shapes), image_size=SIDE, batch_size=8, augment="light")
    network = ImageClassifier(classes=data.classes, backbone="resnet10t", dropout=0.3, lr=0.05)
    guards = [SeededSteps(seed=0), *callbacks]
    trainer = quiet_trainer(folder, max_epochs=4, callbacks=guards, use_distributed_sampler=False)
    trainer.fit(network, datamodule=data)
    return network


def test_training_is_the_same_to_the_last_bit(shapes, tmp_path):
    """With dropout and batch norm, which random numbers and photos in training mode would change."""

    class Asked(L.Callback):
        count = 0

        def on_train_epoch_end(self, trainer, pl_module):
            self.count += audit._apart == 1

    audit, asked = EpochAudit(share=PLENTY, photos=12), Asked()
    without, with_it = training(shapes, tmp_path), training(shapes, tmp_path, audit, asked)
    assert asked.count == 3
    first, second = without.state_dict(), with_it.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_configuration_has_the_constructors_defaults():
    chosen = compose("train", ["callbacks=audit"]).callbacks
    defaults = {name: p.default for name, p in inspect.signature(EpochAudit).parameters.items()}
    assert {name: value for name, value in chosen.audit.items() if name != "_target_"} == defaults
    assert chosen.best is not None and "audit" not in compose("train", []).callbacks
