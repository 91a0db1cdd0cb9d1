"""What a checkpoint keeps of a training beside Lightning's own state, so that a resumed run is the run unstopped."""

from collections.abc import Callable, Iterable
from typing import Any

from torch.optim.lr_scheduler import ReduceLROnPlateau


class ResumeState:
    """The training metrics of the last epoch, and the plateau schedule, which the classifier steps itself.

    A run may be killed after an epoch's last step and before its training metrics are logged: the checkpoint of that
    moment holds them, and the resumed run logs them.
    """

    def __init__(self) -> None:
        self.learning_rate: float | None = None  # of the last step; None before the first step of an epoch
        self.train_report: dict[str, float] = {}  # training metrics of the last epoch that had steps, and its number
        self.plateau: ReduceLROnPlateau | None = None
        self._loaded_plateau: dict[str, Any] | None = None

    def end_epoch(self, compute: Callable[[], dict[str, float]], epoch: int) -> dict[str, float]:
        """The metrics to log for the epoch that ends."""
        self.train_report = self.current_report(compute, epoch)
        self.learning_rate = None
        return {name: value for name, value in self.train_report.items() if name != "epoch"}

    def current_report(self, compute: Callable[[], dict[str, float]], epoch: int) -> dict[str, float]:
        """Of this epoch if it had steps in this process, else of the last one that had."""
        if self.learning_rate is None:
            return self.train_report
        return {**compute(), "optim/lr": float(self.learning_rate), "epoch": epoch}

    def save(self, checkpoint: dict[str, Any], report: dict[str, float]) -> None:
        if self.plateau is not None:
            checkpoint["plateau"] = {k: v for k, v in self.plateau.state_dict().items() if k != "_last_lr"}
        checkpoint["train_report"] = report

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Lightning loads checkpoints before there is an optimiser: the schedule takes its state in `start`."""
        self._loaded_plateau = checkpoint.get("plateau")
        self.train_report = checkpoint.get("train_report", {})

    def start(self, loggers: Iterable[Any], *, epoch: int, step: int) -> None:
        """Training begins or goes on: log the metrics of an epoch that ended without, and restore the schedule."""
        if self.train_report.get("epoch", epoch) < epoch:
            for logger in loggers:
                logger.log_metrics(self.train_report, step=step)
        if self._loaded_plateau and self.plateau is not None:
            self.plateau.load_state_dict(self._loaded_plateau)
            self._loaded_plateau = None
