"""An engine over a folder of its own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fishnet.jobs.executors import executor_named
from fishnet.studies.engine import Engine
from fishnet.studies.journal import Journal
from fishnet.studies.pool import Pool
from tests.support.protocols import TRAINING, compose, protocol


@pytest.fixture
def study(tmp_path):
    """`study(stages…)` → an engine over a folder of its own; `study.starts()` tells which trainings were started."""

    class Study:
        folder = tmp_path / "study"
        starts_in = tmp_path / "starts.txt"

        def __call__(
            self,
            *,
            jobs: int = 2,
            limit: float | None = None,
            executor: str = "local",
            settings: dict | None = None,
            retry: bool = False,
            ended: Callable = lambda state, trial: None,
            **stages,
        ) -> Engine:
            script = tmp_path / "training.py"
            script.write_text(TRAINING)
            job = {
                "command": [sys.executable, str(script)],
                "cwd": str(tmp_path),
                "environment": {"STARTS": str(self.starts_in), "PYTHONPATH": ""},
                "limit": limit,
            }
            journal = Journal(self.folder)
            hands = executor_named(
                executor, home=tmp_path, logs=tmp_path / "logs", limit=limit, settings=settings or {}
            )
            pool = Pool(journal, hands, jobs, job)
            return Engine(protocol(**stages), journal, compose=compose, pool=pool, retry=retry, ended=ended)

        def starts(self) -> list[str]:
            return sorted(self.starts_in.read_text().split()) if self.starts_in.exists() else []

        def selected(self) -> dict:
            return json.loads((self.folder / "selected.json").read_text())

        def results(self) -> dict[str, dict]:
            found = {}
            for path in Path(self.folder / "trials").glob("*/result.json"):
                job = json.loads((path.parent / "job.json").read_text())
                found[job["what"]["trial"]] = json.loads(path.read_text())
            return found

    return Study()
