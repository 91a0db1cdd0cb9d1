"""The founding method, with a real headless Chromium: both generations of the page, and pages that are none."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from experiments.replica import Replica, World, running
from tests.support.collected import ALL, photos_in, rows_of
from tests.support.processes import environment, fishnet_itself

pytestmark = pytest.mark.slow
TAXA = "taxa=47162,47163,47164"


@pytest.fixture
def large():
    with running(Replica(World(observations=105))) as replica:
        assert min(len(replica.world.photo_ids(one[0])) for one in replica.world.species) >= 200
        yield replica


@pytest.mark.parametrize("generation", [1, 2])
def test_the_same_photos_by_all_three_sources_and_then_a_training(large, collect, tmp_path, generation):
    """Three species of 200 photos each."""
    replica = large
    replica.generation = generation
    table = tmp_path / "photos.csv"
    with open(table, "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["url", "class"])
        for one in replica.world.found:
            rows.writerows([photo["url"], one["taxon"][1]] for photo in replica.world.observation(one)["photos"])
    told = {}
    for name, how in (
        ("api", [TAXA]),
        ("browser", [TAXA, "source=browser"]),
        ("list", ["source=list", f"list={table}"]),
    ):
        done = collect(replica, *how, f"name={name}", *ALL)
        assert done.returncode == 0, done.stdout
        told[name] = {row["photo_id"] for row in rows_of(tmp_path, name)}
    assert told["api"] == told["browser"] == told["list"] == {str(one) for one in replica.world.label_of}
    assert all(row["licence"] == "unknown" and not row["observer"] for row in rows_of(tmp_path, "browser"))
    assert all("/medium." in row["url"] for row in rows_of(tmp_path, "browser"))
    if generation == 2:
        small = [
            "model.backbone=cnn",
            "model.backbone_args.filters=[8,16]",
            "data.image_size=32",
            "trainer.max_epochs=2",
        ]
        quick = ["trainer.precision=32-true", "callbacks.heatmaps=null", "callbacks.report.resamples=20"]
        done = fishnet_itself(tmp_path, "train", "data=folder", "data.root=data/browser", *small, *quick, "out=run")
        assert done.returncode == 0, done.stdout
        assert (tmp_path / "run/checkpoints/best.ckpt").exists()


@pytest.mark.parametrize(("generation", "words"), [(3, "asks for consent"), (4, "its layout has changed")])
def test_a_page_that_shows_no_photos_is_an_error(replica, collect, tmp_path, generation, words):
    replica.generation = generation
    done = collect(replica, "taxa=47162", "source=browser", *ALL)
    assert done.returncode == 1 and words in done.stdout, done.stdout


def test_an_empty_taxon_is_an_error(replica, collect, tmp_path):
    assert replica.world.found  # of the three; the fourth has none
    replica.world.species.append((5, "Nemo nullus", "Nobody"))
    done = collect(replica, "taxa=5", "source=browser", *ALL)
    assert done.returncode == 1 and "the taxon is empty" in done.stdout, done.stdout


def test_ctrl_c_ends_the_browser_too_and_says_how_to_go_on(large, tmp_path, monkeypatch):
    """The whole group is told, as a terminal does, while the page is being scrolled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    large.latency = 0.2
    settings = ["name=lake", "source=browser", TAXA, *large.settings(), *ALL]
    command = [sys.executable, "-m", "fishnet", "collect", *settings]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True, process_group=0
    )
    while sum("/replica/photos" in path for _, path in large.log) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    browsers = psutil.Process(process.pid).children(recursive=True)
    profile = re.search(r"--user-data-dir=(\S+)", " ".join(word for one in browsers for word in one.cmdline()))[1]
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "the same command goes on" in said
    assert not psutil.wait_procs(browsers, timeout=10)[1]
    assert not os.path.exists(profile)
    large.latency = 0.0
    assert fishnet_itself(tmp_path, "collect", *settings).returncode == 0
    assert len(photos_in(tmp_path)) == len(large.world.label_of)


def test_a_browser_that_dies_ends_it_in_words(large, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    large.latency = 0.2
    settings = ["name=lake", "source=browser", TAXA, *large.settings(), *ALL]
    command = [sys.executable, "-m", "fishnet", "collect", *settings]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    while not any("/replica/photos" in path for _, path in large.log):
        assert process.poll() is None
        time.sleep(0.02)
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "Chromium failed" in said and "Traceback" not in said, said
