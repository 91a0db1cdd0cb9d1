"""Lightning's logger, on a run session.

Not Lightning's MLFlowLogger: that one writes on the training thread, ends the run after each stage, uploads raw
checkpoints, drops an infinite value into the charts and raises inside training when the server is away.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers.logger import DummyExperiment, Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from .journal import Record
from .names import FINAL, TEST, TEST_CLASS
from .session import OfflineSession, Recorder, Reports, RunSession, resume_run, start_run
from .store import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowLogger(Recorder, Logger):
    """Only rank zero writes. The run stays RUNNING until `finish`, whatever Lightning's stages say.

    Args:
        experiment: the name of the experiment in MLflow.
        run_name: of the run; it gets a number behind it where a run has the name already.
        uri: of the store; see `open_store`.
        home: the folder that keeps the runs where no store is named.
        folder: where the run keeps its files; `home` if None.
        tags: of the run.
        parent: the id of the run below which it is nested.
        run_id: of a run to resume; a new run if None.
        again: whether that goes on from an earlier point than its last, so that it reports anew what it has.
        offline: only write the reports down in the run's folder, from which another process sends them.
    """

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
        again: bool = False,
        offline: bool = False,
    ) -> None:
        super().__init__()
        self._experiment_name, self._run_name = experiment, run_name
        self._uri, self._home = uri, Path(home).absolute()
        self._folder = self._home if folder is None else Path(folder).absolute()
        self._tags, self._parent, self._run_id = dict(tags or {}), parent, run_id
        self._offline, self._again = offline, again
        self._session: Reports | None = None
        self.test_prefix = "test"  # of a test's metrics: another one where the photos are no test set

    # ---- the run

    def start(self) -> Reports | None:
        """Open the store and the run; called by the first report, or before, to notice a bad address early.

        Returns None in those of several processes that do not write.
        """
        if self._session is None and getattr(rank_zero_only, "rank", 0) == 0:
            folder, tags = self._folder, self._tags
            if self._offline:
                name, again = self._run_name, self._again
                self._session = OfflineSession(
                    folder=folder, run_id=self._run_id, run_name=name, tags=tags, again=again
                )
                return self._session
            store = open_store(self._uri, home=self._home)
            if self._run_id is not None:
                self._session = resume_run(store, self._run_id, folder=folder, tags=tags, again=self._again)
            else:
                self._session = start_run(
                    store,
                    experiment=self._experiment_name,
                    run_name=self._run_name,
                    tags=tags,
                    parent=self._parent,
                    folder=folder,
                )
        return self._session

    def finish(self, status: str = "FINISHED", *, patience: float = 15.0, limit: float | None = None) -> str:
        """End the run; see `Reports.finish`."""
        return "" if self._session is None else self._session.finish(status, patience=patience, limit=limit)

    @property
    def experiment(self) -> MlflowClient | DummyExperiment:
        """MLflow's client, for callers that know Lightning's own MLflow logger."""
        session = self.start()
        return session.store.client() if isinstance(session, RunSession) else DummyExperiment()

    @property
    def name(self) -> str:
        return self._experiment_name

    @property
    def run_id(self) -> str | None:
        """None before the start of a new run, and in processes that do not write."""
        return self._run_id if self._session is None else self._session.run_id

    version = run_id

    @property
    def run_name(self) -> str | None:
        """None before the start, and in processes that do not write."""
        return None if self._session is None else self._session.run_name

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    # ---- reports

    def append(self, record: Record) -> None:
        if session := self.start():
            session.append(record)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if session := self.start():
            for at, values in metrics_by_step(metrics, step).items():
                renamed = {
                    f"{self.test_prefix}{key[4:]}" if key.startswith((TEST, TEST_CLASS)) else key: value
                    for key, value in values.items()
                }
                session.log_metrics(renamed, step=at)

    def withdraw_test(self, step: int) -> None:
        """Say that what was measured on test photos holds no longer: MLflow keeps every value, so that the latest of
        each metric becomes NaN, which no list ranks by."""
        session = self.start()
        if isinstance(session, RunSession):
            known = session.store.client().get_run(session.run_id).data.metrics
            tested = {name: math.nan for name in known if name.startswith((TEST, TEST_CLASS))}
            self.log_metrics(tested, step)

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        if session := self.start():
            session.log_params(vars(params) if isinstance(params, Namespace) else params)


def metrics_by_step(values: Mapping[str, Any], step: int | None) -> dict[int, dict[str, Any]]:
    """Lightning's metrics by the step under which MLflow shall chart them.

    Lightning gives one global step and the epoch among the values. The epoch becomes the axis, so that runs of other
    batch sizes lie on one another in the charts; only a metric that ends in `_step` keeps the global step. Final
    metrics go to step 0: MLflow draws those as bars side by side, and any others as lone dots.
    """
    epoch = values.get("epoch")
    result: dict[int, dict[str, Any]] = {}
    for key, value in values.items():
        if key == "epoch":
            continue
        by_step = epoch is None or key.endswith("_step")
        axis = step if by_step else 0 if key.startswith(FINAL) else epoch
        result.setdefault(int(axis or 0), {})[key] = value
    return result
