"""Lightning's logger, on our own run session.

Not Lightning's MLFlowLogger: that one writes on the training thread, ends the run after each stage, uploads raw
checkpoints, drops an infinite value into the charts and raises inside training when the server is away.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers.logger import DummyExperiment, Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from .session import RunSession, resume_run, start_run
from .store import Store, open_store
from .wording import steps

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowLogger(Logger):
    """Only rank zero writes. The run stays RUNNING until `finish`, whatever Lightning's stages say."""

    def __init__(
        self,
        *,
        experiment: str = "fishnet",
        run_name: str | None = None,
        uri: str | None = None,
        home: str = ".",
        folder: str | None = None,
        tags: dict[str, str] | None = None,
        parent: str | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__()
        self._experiment_name, self._run_name = experiment, run_name
        self._uri, self._home = uri, Path(home).absolute()
        self._folder = self._home if folder is None else Path(folder).absolute()
        self._tags, self._parent, self._run_id = dict(tags or {}), parent, run_id
        self._session: RunSession | None = None

    # ---- the run

    @rank_zero_only
    def start(self) -> RunSession:
        """Open the store and the run; called by the first report, or before, to hear of a bad address early."""
        if self._session is None:
            store = open_store(self._uri, home=self._home)
            self._session = self._open(store)
        return self._session

    def _open(self, store: Store) -> RunSession:
        if self._run_id is not None:
            return resume_run(store, self._run_id, folder=self._folder, tags=self._tags)
        return start_run(
            store,
            experiment=self._experiment_name,
            run_name=self._run_name,
            tags=self._tags,
            parent=self._parent,
            folder=self._folder,
        )

    @rank_zero_only
    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float = 600.0) -> str:
        """The run's last word; see `RunSession.finish`."""
        return "" if self._session is None else self._session.finish(status, patience=patience, limit=limit)

    @property
    def experiment(self) -> MlflowClient | DummyExperiment:
        session = self.start()
        return DummyExperiment() if session is None else session.store.client()

    @property
    def name(self) -> str:
        return self._experiment_name

    @property
    def run_id(self) -> str | None:
        return self._run_id if self._session is None else self._session.run_id

    @property
    def version(self) -> str | None:
        return self.run_id

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    @property
    def is_first(self) -> bool:
        """True in the one process of several that writes: what is told apart from the logger's methods asks here."""
        return rank_zero_only.rank == 0

    # ---- reports

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for at, values in steps(metrics, step).items():
            self.start().log_metrics(values, step=at)

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self.start().log_params(vars(params) if isinstance(params, Namespace) else params)

    @rank_zero_only
    def log_artifacts(self, source: Path | str, path: str = "") -> None:
        self.start().log_artifacts(source, path)

    @rank_zero_only
    def log_text(self, text: str, path: str) -> None:
        self.start().log_text(text, path)

    @rank_zero_only
    def log_dict(self, values: Mapping[str, Any], path: str) -> None:
        self.start().log_dict(values, path)

    @rank_zero_only
    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self.start().set_tags(tags)

    @rank_zero_only
    def log_input(
        self, *, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any] | None = None
    ) -> None:
        self.start().log_input(name=name, digest=digest, source=source, context=context, profile=profile)
