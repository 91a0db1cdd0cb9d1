import logging

import pytest
import pytorch_lightning as L
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from fishnet.tracking.logger import MlflowLogger
from tests.support.trainers import quiet_trainer


class Line(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        loss = (self.layer(batch[0]) - batch[1]).square().mean()
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", (self.layer(batch[0]) - batch[1]).square().mean())

    def test_step(self, batch, batch_idx):
        self.log("test/loss", (self.layer(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.fixture
def batches():
    x = torch.randn(8, 2)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=2)


def fit_and_test(logger, batches, folder, epochs=2):
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    trainer = quiet_trainer(
        folder,
        max_epochs=epochs,
        logger=logger,
        log_every_n_steps=1,
    )
    model = Line()
    trainer.fit(model, batches, batches)
    trainer.test(model, batches, verbose=False)


@pytest.mark.filterwarnings("ignore")
def test_a_whole_lightning_run(store, tmp_path, batches):
    logger = MlflowLogger(
        experiment="line", uri=store.uri, home=str(tmp_path), folder=str(tmp_path / "run"), run_name="a"
    )
    fit_and_test(logger, batches, tmp_path)
    client = store.client()
    assert client.get_run(logger.run_id).info.status == "RUNNING"  # whatever Lightning said after fit and after test
    assert logger.finish("FINISHED") == ""
    run = client.get_run(logger.run_id)
    assert run.info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(logger.run_id, "val/loss")] == [0, 1]
    assert [m.step for m in client.get_metric_history(logger.run_id, "train/loss_epoch")] == [0, 1]
    assert sorted(m.step for m in client.get_metric_history(logger.run_id, "train/loss_step")) == list(range(8))
    assert "test/loss" in run.data.metrics
    assert "epoch" not in run.data.metrics


def test_two_calls_an_epoch_at_most(store, tmp_path, batches, monkeypatch):
    from mlflow import MlflowClient

    calls = []
    told = MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_batch", lambda self, *a, **k: (calls.append(k), told(self, *a, **k))[1])
    logger = MlflowLogger(uri=store.uri, home=str(tmp_path), folder=str(tmp_path / "run"))
    fit_and_test(logger, batches, tmp_path, epochs=5)
    logger.finish()
    assert len(calls) <= 10


def test_other_ranks_write_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = MlflowLogger(uri=store.uri, home=str(tmp_path))
    logger.log_metrics({"a": 1.0}, step=0)
    logger.log_hyperparams({"a": 1})
    logger.log_text("a", "a.txt")
    logger.experiment.log_artifact("nothing")
    assert logger.run_id is None
    assert logger.finish() == ""
    assert list(store.client().search_experiments(filter_string="name = 'fishnet'")) == []


def test_a_logger_resumes_the_run_it_is_given(store, tmp_path):
    first = MlflowLogger(uri=store.uri, home=str(tmp_path), tags={"fishnet.command": "train"})
    first.log_metrics({"a": 1.0}, step=0)
    first.finish("KILLED")
    again = MlflowLogger(uri=store.uri, home=str(tmp_path), run_id=first.run_id)
    again.log_metrics({"a": 2.0}, step=1)
    again.finish()
    assert [m.value for m in store.client().get_metric_history(first.run_id, "a")] == [1.0, 2.0]
    tags = store.client().get_run(first.run_id).data.tags
    assert tags["mlflow.source.name"] == "fishnet train"
