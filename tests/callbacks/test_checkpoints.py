import subprocess
import sys

import pytest
import pytorch_lightning as L
import torch

from fishnet.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from fishnet.errors import BadInput, Interrupted, WorkFailed
from fishnet.models.checkpoint import newest, read_checkpoint, verified, write_checkpoint
from tests.support.trainers import quiet_trainer

CHECKPOINT = {"state_dict": {"w": torch.zeros(10)}, "hyper_parameters": {"classes": ["a", "b"]}}

KILLS = """
import os, signal, sys, time
import torch
from pathlib import Path
from fishnet.models.checkpoint import read_checkpoint, verified, write_checkpoint

path = Path(sys.argv[1])
for delay in map(float, sys.argv[2:]):
    child = os.fork()
    if child == 0:
        for number in range(10_000):
            state = {"w": torch.full((400_000,), float(number))}
            write_checkpoint({"state_dict": state, "hyper_parameters": {}, "number": number}, path)
    while not path.exists():
        time.sleep(0.001)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert verified(path)
    assert read_checkpoint(path)["number"] >= 0
"""


def test_what_was_written_is_read_and_verifies(tmp_path):
    write_checkpoint(CHECKPOINT, tmp_path / "last.ckpt")
    assert verified(tmp_path / "last.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "last.ckpt")["state_dict"]["w"], torch.zeros(10))
    assert newest(tmp_path) == tmp_path / "last.ckpt"
    assert not list(tmp_path.glob(".*tmp"))


def test_a_cut_checkpoint_is_refused_and_the_next_best_is_taken(tmp_path):
    write_checkpoint(CHECKPOINT, tmp_path / "best.ckpt")
    write_checkpoint(CHECKPOINT, tmp_path / "last.ckpt")
    data = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cut short"):
        read_checkpoint(tmp_path / "last.ckpt")
    assert newest(tmp_path) == tmp_path / "best.ckpt"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"<html>"])
def test_foreign_files_are_one_sentence(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(BadInput, match="read safely"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_a_kill_while_writing_leaves_a_whole_file(tmp_path):
    delays = ["0.002", "0.011", "0.027", "0.004", "0.019", "0.008"]
    subprocess.run([sys.executable, "-c", KILLS, str(tmp_path / "last.ckpt"), *delays], check=True, timeout=60)


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from fishnet.models.checkpoint import write_checkpoint
from fishnet.errors import WorkFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    write_checkpoint({"state_dict": {"w": torch.ones(500_000)}, "hyper_parameters": {}}, Path(sys.argv[1]))
except WorkFailed as error:
    print(error)
    sys.exit(error.status)
"""


def test_a_full_disk_is_said_and_the_old_checkpoint_stays(tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint(CHECKPOINT, path)
    result = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert result.returncode == WorkFailed.status
    assert "is the disk full?" in result.stdout
    assert verified(path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.zeros(10))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt", "last.ckpt.sha256"]


class Unwritable:
    """What cannot be pickled, for a reason that has nothing to do with a disk."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("a worker is killed by signal: Terminated"), Interrupted(15)])
def test_another_error_while_writing_is_not_taken_for_a_full_disk(tmp_path, error):
    path = tmp_path / "last.ckpt"
    write_checkpoint(CHECKPOINT, path)
    with pytest.raises(type(error)) as raised:
        write_checkpoint({**CHECKPOINT, "more": Unwritable(error)}, path)
    assert raised.value is error
    assert verified(path)


class Scripted(L.LightningModule):
    """Logs these values, an epoch each; `before` is what it has before the first."""

    VALUES = ((0.5, 2.0), (0.5, 2.5), (0.5, 1.0), (0.4, 0.1), (0.6, 3.0), (0.5, 0.5))

    def __init__(self, before: tuple[float, float] | None = None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.before_training = dict(zip(("val/f1_macro", "val/loss"), before, strict=True)) if before else {}

    def training_step(self, batch, batch_idx):
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        self.log_dict(dict(zip(("val/f1_macro", "val/loss"), self.VALUES[self.current_epoch], strict=True)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def best_of(tmp_path):
    """The epoch that best.ckpt has after so many epochs."""
    photos = torch.utils.data.DataLoader(torch.zeros(1, 1))

    def run(epochs: int, *, before: tuple[float, float] | None = None, resume: bool = False, **settings: str) -> int:
        best = BestCheckpoint(**settings)
        trainer = quiet_trainer(
            tmp_path, max_epochs=epochs, callbacks=[best, LastCheckpoint()], enable_checkpointing=True
        )
        last = str(tmp_path / "checkpoints" / "last.ckpt")
        trainer.fit(Scripted(before), photos, photos, ckpt_path=last if resume else None)
        return torch.load(best.best_model_path, weights_only=True)["epoch"]

    return run


def test_of_epochs_as_good_the_one_with_the_lowest_loss_is_kept(best_of):
    assert [best_of(epochs, resume=epochs > 1) for epochs in range(1, 7)] == [0, 0, 2, 2, 4, 4]


def test_of_the_epochs_the_last_alone(best_of):
    assert best_of(4, among="last") == 3
    assert best_of(5, among="last", resume=True) == 4
    assert best_of(6, among="last", resume=True) == 5, "though what was the last before was better"


def test_what_can_answer_before_training_is_given_up_for_a_better_value_alone(best_of):
    assert best_of(4, before=(0.5, 9.0)) == -1
    assert best_of(5, before=(0.5, 9.0), resume=True) == 4
