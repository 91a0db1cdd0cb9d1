"""A training shows itself as a single piece of work, whatever its batches look like."""

import logging

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset

from fishnet import progress
from fishnet.callbacks.progress import RunBar
from tests.support.trainers import quiet_trainer


class Layer(L.LightningModule):
    """Somebody else's module, fed with tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx): ...

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_steps_count_through_all_epochs_and_epochs_from_one(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)  # a line at every update, since this is no terminal
    monkeypatch.setattr("fishnet.callbacks.progress.NOTED_EVERY", 0.0)
    photos = DataLoader(TensorDataset(torch.randn(6, 2), torch.randint(0, 2, (6,))), batch_size=2)
    trainer = quiet_trainer(tmp_path, max_epochs=2, callbacks=[RunBar()])
    with caplog.at_level(logging.INFO, "fishnet"):
        trainer.fit(Layer(), photos, photos)
        trainer.validate(Layer(), photos, verbose=False)
    lines = [record.message for record in caplog.records]
    training = [line for line in lines if "loss" in line]
    assert [line.split(",")[0] for line in training] == [f"training: {step} of 6" for step in range(1, 7)]
    assert "epoch 1/2 · loss " in training[0] and training[-1].endswith("images/s") and "epoch 2/2" in training[-1]
    assert sum("validating" in line for line in lines) == 2
    assert lines[-1].startswith("measuring validation photos: 3 of 3")
