"""What a person sees of a sweep in `fishnet ui`, through a real browser: contents, not just that a page came."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawing import draw_folder
from servers import free_port

from fishnet.tracking.links import charts_link, compare_link, run_link, runs_link

pytestmark = pytest.mark.slow

RATES = ["0.1", "0.01", "0.001"]
NAMES = [f"t{number:03d}-lr{rate}" for number, rate in enumerate(RATES)]
SWEEP = [
    "train",
    "-m",
    f"model.lr={','.join(RATES)}",
    "data=folder",
    "data.root=shapes",
    "data.image_size=32",
    "data.batch_size=16",
    "model.backbone=cnn",
    "model.backbone_args.filters=[8,16]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "callbacks.report.resamples=20",
    "callbacks.heatmaps.photos=4",
    "callbacks.heatmaps.per_class=4",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder in which the sweep was run, as a person would run it."""
    folder = tmp_path_factory.mktemp("sweep")
    draw_folder(folder / "shapes", photos=16)
    done = _fishnet(folder, *SWEEP)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def runs(home) -> dict[str, dict]:
    """The runs by name, as `fishnet compare` tells them."""
    import csv

    done = _fishnet(home, "compare", "csv=runs.csv")
    assert done.returncode == 0, done.stderr[-2000:]
    with (home / "runs.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def base(home) -> Iterator[str]:
    """`fishnet ui` on a free port, and what it says of itself."""
    port = free_port()
    command = [sys.executable, "-u", "-m", "fishnet", "ui", f"port={port}"]
    serving = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)
    try:
        assert serving.stdout is not None
        assert serving.stdout.readline() == f"MLflow is at http://127.0.0.1:{port}\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0


def test_the_run_list_shows_figures_and_the_tree(page, base, runs):
    page.open(runs_link(base, "1"))
    page.await_words("sweep-lr", "best/val_f1_macro", "test/accuracy", "test/f1_macro", "model.lr")
    assert not any(name in page.text for name in NAMES)  # MLflow shows parents closed
    page.click("[role=gridcell] [aria-label*='xpand'], [role=gridcell] .ag-group-contracted, [data-testid*=expander]")
    page.await_words(*NAMES)
    page.picture("run_list")


def _fishnet(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fishnet", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
