"""An engine over a folder of its own."""

import json
import sys
from pathlib import Path

import pytest
from protocols import TRAINING, compose, protocol

from fishnet.studies.engine import Engine, Limits
from fishnet.studies.executors import executor_named
from fishnet.studies.journal import Journal


@pytest.fixture
def study(tmp_path):
    """`study(stages…)` → an engine over a folder of its own; `study.starts()` tells which trainings were started."""

    class Study:
        folder = tmp_path / "study"
        starts_in = tmp_path / "starts.txt"

        def __call__(self, *, jobs: int = 2, limit: float | None = None, retry: bool = False, **stages) -> Engine:
            script = tmp_path / "training.py"
            script.write_text(TRAINING)
            job = {
                "command": [sys.executable, str(script)],
                "cwd": str(tmp_path),
                "environment": {"STARTS": str(self.starts_in), "PYTHONPATH": ""},
            }
            return Engine(
                protocol(**stages),
                Journal(self.folder),
                compose=compose,
                executor=executor_named("local", home=tmp_path, logs=tmp_path / "logs", limit=limit, settings={}),
                limits=Limits(jobs=jobs, seconds=limit),
                job=job,
                retry=retry,
            )

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
