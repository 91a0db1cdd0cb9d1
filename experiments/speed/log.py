"""What tracking costs a training step: the same steps with a run in MLflow and without one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as L
import torch
from torch.utils.data import DataLoader

from fishnet import ImageClassifier
from fishnet.tracking.logger import MlflowLogger

from .loader import Ready
from .pairing import Case, Options

STEPS = 24


class Steps(L.Callback):
    """A value a step, as somebody who wants to see everything would have it."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx: int) -> None:
        pl_module.log("train/step_loss", outputs["loss"].detach(), on_step=True, on_epoch=False)


def cases(options: Options) -> Iterator[Case]:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (32, 3, 128, 128), dtype=torch.uint8)
    batch = {"image": images, "label": torch.arange(32) % 3, "index": torch.arange(32)}
    model = ImageClassifier(classes=["a", "b", "c"], backbone="resnet18", image_size=128)
    home = Path(tempfile.mkdtemp(prefix="fishnet-log-"))
    runs: list[MlflowLogger] = []

    def logger() -> MlflowLogger:
        """Opened before the clock starts: the cost of a step is asked, not that of a start."""
        runs.append(MlflowLogger(home=str(home), folder=str(home / f"run_{len(runs)}"), run_name="run"))
        runs[-1].start()
        return runs[-1]

    waiting: list[MlflowLogger] = []

    def fit(tracked: bool) -> None:
        quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = L.Trainer(
            max_epochs=1,
            precision="bf16-mixed",
            logger=waiting[-1] if tracked else False,
            log_every_n_steps=1,
            callbacks=[Steps()],
            **quiet,
        )
        trainer.fit(model, train_dataloaders=DataLoader(Ready(batch), batch_size=None))

    def complete(*_) -> tuple[bool, str]:
        session = runs[-1].start()
        runs[-1].finish()
        assert session is not None
        history = session.store.client().get_metric_history(session.run_id, "train/step_loss")
        return len(history) == STEPS, f"{len(history)} of {STEPS} values in the store"

    yield Case(
        "resnet18 128 px, a value each step",
        lambda: fit(True),
        lambda: fit(False),
        complete,
        1.02,
        ours_work=STEPS,
        peers_work=STEPS,
        inverse=True,
        before=lambda: waiting.append(logger()),
    )
