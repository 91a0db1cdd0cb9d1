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

from .names import metrics_by_step
from .offline import OfflineSession
from .session import Reports, RunSession, resume_run, start_run
from .store import Store, open_store

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
        offline: bool = False,
    ) -> None:
        super().__init__()
        self._experiment_name, self._run_name = experiment, run_name
        self._uri, self._home = uri, Path(home).absolute()
        self._folder = self._home if folder is None else Path(folder).absolute()
        self._tags, self._parent, self._run_id = dict(tags or {}), parent, run_id
        self._offline = offline
        self._session: Reports | None = None
        self._tested = "test"

    def call_test(self, part: str) -> None:
        """Photos that are no test set are not to be read as one: of a whole folder, `test/…` is `all/…`."""
        self._tested = part

    # ---- the run

    @property
    def is_first(self) -> bool:
        """True in the one process of several that writes."""
        return getattr(rank_zero_only, "rank", 0) == 0

    def start(self) -> Reports | None:
        """Open the store and the run; called by the first report, or before, to hear of a bad address early."""
        if self._session is None and self.is_first:
            self._session = (
                self._written_down() if self._offline else self._open(open_store(self._uri, home=self._home))
            )
        return self._session

    def _written_down(self) -> OfflineSession:
        return OfflineSession(folder=self._folder, run_id=self._run_id, run_name=self._run_name, tags=self._tags)

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

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        """The run's last word; see `RunSession.finish`."""
        return "" if self._session is None else self._session.finish(status, patience=patience, limit=limit)

    @property
    def experiment(self) -> MlflowClient | DummyExperiment:
        session = self.start()
        return session.store.client() if isinstance(session, RunSession) else DummyExperiment()

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

    # ---- reports

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if session := self.start():
            for at, values in metrics_by_step(metrics, step).items():
                session.log_metrics({self._called(key): value for key, value in values.items()}, step=at)

    def _called(self, key: str) -> str:
        return f"{self._tested}{key[4:]}" if key.startswith(("test/", "test_class/")) else key

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        if session := self.start():
            session.log_params(vars(params) if isinstance(params, Namespace) else params)

    def log_artifacts(self, source: Path | str, path: str = "") -> None:
        if session := self.start():
            session.log_artifacts(source, path)

    def log_text(self, text: str, path: str) -> None:
        if session := self.start():
            session.log_text(text, path)

    def log_dict(self, values: Mapping[str, Any], path: str) -> None:
        if session := self.start():
            session.log_dict(values, path)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        if session := self.start():
            session.set_tags(tags)

    def log_input(
        self, *, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any] | None = None
    ) -> None:
        if session := self.start():
            session.log_input(name=name, digest=digest, source=source, context=context, profile=profile)
