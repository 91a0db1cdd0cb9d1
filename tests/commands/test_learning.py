"""What the settings say of learning is what happens: optimisers and schedulers take their steps, and patience ends."""

import pytest
import torch
from hydra.utils import instantiate
from timm.optim import Lion

from fishnet.config.compose import compose
from fishnet.models.optimisation import SCHEDULERS
from tests.support.memory_data import MemoryData
from tests.support.trainers import quiet_trainer

SMALL = ["model.backbone=cnn", "++model.backbone_args={filters: [4, 8], batch_norm: false}", "data.image_size=32"]
CLASSES = ["disc", "box"]
OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "lion": Lion,
}


def trained(tmp_path, *settings: str, epochs: int = 2, callbacks: tuple[str, ...] = ()):
    config = compose("train", [*SMALL, *settings])
    model = instantiate(config.model, _convert_="all")(classes=CLASSES)
    begun = {name: value.clone() for name, value in model.named_parameters()}
    trainer = quiet_trainer(
        tmp_path,
        max_epochs=epochs,
        num_sanity_val_steps=0,
        callbacks=[instantiate(config.callbacks[name]) for name in callbacks],
    )
    trainer.fit(model, datamodule=MemoryData(classes=CLASSES))
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, begun[name])]
    return trainer, moved


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimiser_moves_the_weights(tmp_path, optimizer):
    trainer, moved = trained(tmp_path, f"model.optimizer={optimizer}", "model.lr=0.003", epochs=1)
    assert type(trainer.optimizers[0]) is OPTIMIZERS[optimizer]
    assert "network.head.weight" in moved


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_each_scheduler_does_what_it_is_called(tmp_path, scheduler):
    # a rate this small leaves val/loss where it is, which is what a plateau waits for
    rate = 1e-6
    settings = [f"model.scheduler={scheduler}", f"model.lr={rate}", "model.patience=0", "model.factor=0.5"]
    trainer, _ = trained(tmp_path, *settings, "model.optimizer=adam", "trainer.max_epochs=4", epochs=4)
    ended = trainer.optimizers[0].param_groups[0]["lr"]
    assert ended == pytest.approx(
        {"none": rate, "cosine": 0, "one_cycle": 0, "plateau": rate / 8}[scheduler], abs=rate / 100
    )


def test_early_stopping_stops_when_nothing_becomes_better(tmp_path):
    settings = ["model.lr=1e-12", "callbacks.early_stopping.patience=2", "monitor=val/accuracy"]
    trainer, _ = trained(tmp_path, *settings, epochs=30, callbacks=("early_stopping",))
    assert trainer.current_epoch == 3  # the first one, and two that were no better
