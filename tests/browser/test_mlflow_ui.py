"""What a person sees of a sweep in `fishnet ui`, through a real browser: contents, not just that a page came."""

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishnet.tracking.links import charts_link, compare_link, run_link, runs_link
from tests.support.servers import free_port

pytestmark = pytest.mark.slow

RATES = ["0.1", "0.01", "0.001"]
NAMES = [f"{number:03d} lr {rate}" for number, rate in enumerate(RATES)]
SWEEP = [
    "train",
    "-m",
    f"model.lr={','.join(RATES)}",
    "experiment=demo",  # made small
    "data.photos=16",
    "data.draw_size=64",
    "data.image_size=32",
    "data.batch_size=16",
    "model.backbone_args.filters=[8,16]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.report.resamples=20",
    "callbacks.heatmaps.photos=4",
    "callbacks.heatmaps.per_class=4",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder in which the sweep was run, as a person would run it."""
    folder = tmp_path_factory.mktemp("sweep")
    done = _fishnet(folder, *SWEEP)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def runs(home) -> dict[str, dict]:
    """The runs by name, as `fishnet compare` tells them."""
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


def test_the_run_list_shows_the_tree_and_its_figures(page, base, runs):
    page.open(runs_link(base, "1"))
    page.close_assistant()
    page.await_words("sweep-lr", "best/val_f1_macro", "test/f1_macro", "test/accuracy", "model.lr", "Dataset")
    assert not any(name in page.text for name in NAMES)  # MLflow shows parents closed
    page.click("[data-component-id*='runnamecellrenderer']")
    page.await_words(*NAMES)
    rows = page.await_true(lambda: _whole(page.run(ROWS)), "the children's figures")
    page.picture("run_list")
    for name, rate in zip(NAMES, RATES, strict=True):
        cells, run = rows[runs[name]["run_id"]], runs[name]
        assert cells["params.`model.lr`"] == rate
        assert float(cells["metrics.`test/accuracy`"]) == pytest.approx(float(run["test/accuracy"]), abs=1e-4)
        assert cells["attributes.`Dataset`"].startswith("reef")
        assert run["parent"] == runs["sweep-lr"]["run_id"]
    assert float(rows[runs["sweep-lr"]["run_id"]]["metrics.`best/val_f1_macro`"]) == pytest.approx(
        max(float(runs[name]["best/val_f1_macro"]) for name in NAMES), abs=1e-4
    )


def test_the_charts_draw_the_children_in_sections(page, base, runs):
    page.open(charts_link(base, "1"))
    text = page.await_words(*NAMES, "best/val_f1_macro", "3 matching runs")
    page.await_true(lambda: page.run("return document.querySelectorAll('svg .bars path').length") >= 3, "bars")
    page.picture("charts")
    sections = re.findall(r"^([a-z_/]+)\n\(\d+\)$", text, flags=re.M)
    assert {"best", "optim", "test", "time", "train", "val"} <= set(sections)


def test_the_compare_page_preselects_what_differs(page, base, runs):
    page.open(compare_link(base, ["1"], [runs[name]["run_id"] for name in NAMES]))
    text = page.await_words("Comparing 3 Runs from 1 Experiment", *NAMES, "val/f1_macro")
    page.picture("compare")
    assert re.search(r"Parameters:\s+model\.lr\s+Metrics:", text), text[:800]
    assert re.search(r"model\.lr\s+" + r"\s+".join(map(re.escape, RATES)), text)
    for unwanted in ("_target_", "data.root", str(Path.home())):
        assert unwanted not in text


def test_the_runs_page_is_the_first_artifact_and_the_description_is_filled_in(page, base, runs):
    run = runs[NAMES[0]]
    page.open(run_link(base, "1", run["run_id"]))
    page.await_words("Description", f"Right on {float(run['test/accuracy']):.0%} [", "Written by fishnet")
    page.picture("run")
    link = page.run("return [...document.querySelectorAll('a')].find(a => a.textContent.startsWith('All of it')).href")
    page.open(link)
    text = page.await_words("Page", "report.html", "config", "gradcam", "model", "report", "split")
    assert re.search(r"^Page\nreport.html\nconfig\n", text, flags=re.M)
    frame = page.await_true(lambda: page.run("return document.querySelector('iframe')"), "the page in the page")
    page.driver.switch_to.frame(frame)
    try:
        page.await_words("Learning curves", "Licences to cite")
        page.await_true(lambda: page.run("return document.querySelector('.fader').dataset.ready"), "the photos")
    finally:
        page.driver.switch_to.default_content()
    page.picture("report")


def test_a_heat_map_opens_as_an_artifact(page, base, runs):
    place = "gradcam/panel/epoch_001.jpg"
    page.open(run_link(base, "1", runs[NAMES[0]]["run_id"], f"artifacts/{place}"))
    text = page.await_words(place, "config", "gradcam", "model", "report", "split", "bandfin-perch.jpg")
    widths = page.await_true(page.loaded_images, "the picture")
    page.picture("gradcam")
    assert max(widths) >= 4 * 224, (widths, text)


def test_the_models_artifact_says_how_to_use_it_and_is_usable(page, base, runs, home):
    run = runs[NAMES[0]]
    page.open(run_link(base, "1", run["run_id"], "artifacts/model/README.txt"))
    page.await_words("model.ckpt", "fishnet predict checkpoint=model.ckpt")
    page.picture("model")
    [kept] = home.glob(f"artifacts/*/{run['run_id']}/artifacts/model/model.ckpt")
    [perch] = home.glob("data/*/bandfin_perch")
    done = _fishnet(home, "predict", f"checkpoint={kept}", f"images={perch}", "out=answers.csv")
    assert done.returncode == 0, done.stderr
    assert len((home / "answers.csv").read_text().splitlines()) == 17


ROWS = """
const rows = {};
for (const cell of document.querySelectorAll("[role=row][row-id] [role=gridcell]")) {
  const row = cell.closest("[role=row]").getAttribute("row-id");
  (rows[row] ||= {})[cell.getAttribute("col-id")] = cell.innerText.trim();
}
return rows;"""


def _whole(rows: dict[str, dict[str, str]]) -> dict[str, dict[str, str]] | None:
    """Once the virtual table has drawn the parent, the three children and their columns."""
    return rows if len(rows) == 4 and all("attributes.`Dataset`" in cells for cells in rows.values()) else None


def _fishnet(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fishnet", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
