"""fishnet pack, and what learns from and answers on a stream."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def streamed(fishnet, shapes, tmp_path):
    """The drawn photos, packed."""
    ended = fishnet("pack", f"data.root={shapes}", "out=stream")
    assert ended.status == 0, ended.err
    assert "48 photos in 1 chunk, 48 of them added now" in ended.err
    return tmp_path / "stream"


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_a_stream_is_learned_from_like_its_folder_and_goes_on_exactly(
    fishnet, tiny, shapes, streamed, tmp_path, watched
):
    """Same split, order, views and weights, without the folder and without a cache; answers and maps too."""
    steps, stop_at = watched
    settings = [*tiny[2:], "data.augment=light", "callbacks.heatmaps=null", "trainer.max_epochs=3"]
    assert fishnet("train", *tiny[:2], *settings, "out=whole").status == 0
    undisturbed = list(steps)
    steps.clear()
    stop_at[1, 1] = signal.SIGTERM
    ended = fishnet("train", "data=stream", "data.root=stream", *settings, "out=parts", "data.cache=off")
    assert ended.status == 143, ended.err
    assert fishnet("train", "resume=parts").status == 0
    assert steps == undisturbed
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], two[name]) for name in one)
    for name in ("split/split.csv", "report/predictions.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    typed = ["checkpoint=parts/checkpoints/best.ckpt", "pictures=2"]
    for images, out in ((shapes, "of_folder"), ("stream", "of_stream")):
        ended = fishnet("explain", *typed, f"images={images}", f"out={out}")
        assert ended.status == 0, ended.err
    ended = fishnet("explain", *typed, "images=stream", "out=many", "parts=49")
    assert ended.status == 2 and "images=stream holds 48 photos: take fewer" in ended.err, ended.err
    maps = [np.load(tmp_path / name / "maps.npy") for name in ("of_folder", "of_stream")]
    assert np.array_equal(*maps)
    tables = []
    for images, out in ((shapes, "of_folder.csv"), ("stream", "of_stream.csv")):
        ended = fishnet("predict", "checkpoint=parts/checkpoints/best.ckpt", f"images={images}", f"out={out}")
        assert ended.status == 0, ended.err
        tables.append((tmp_path / out).read_text().replace(f"{images}/", ""))
    assert tables[0] == tables[1]
    measured = fishnet("evaluate", "checkpoint=parts/checkpoints/best.ckpt", "leakage=none")  # on the run's photos
    assert measured.status == 0, measured.err


def test_what_a_stream_cannot_do_is_refused(fishnet, tiny, shapes, streamed, tmp_path):
    for given, sentence in (
        (["pack", f"data.root={shapes}", f"out={shapes}/stream"], "lies inside data.root="),
        (["pack", f"data.root={shapes}", "out=other", "data.classes=[disc]"], "a stream has all photos of its folder"),
        (["train", "data=stream", f"data.root={shapes}"], "is no stream: `fishnet pack"),
        (["train", *tiny[1:], "data.root=stream"], "stream is a stream: say data=stream"),
        (["pack", f"data.root={shapes}", "out=gs://bucket/lake"], "or in an object store by s3://bucket/prefix"),
        (["check", "data=stream", "data.root=stream"], "reads the photos' files, which a stream has not"),
        (["embed", "data=stream", "data.root=stream"], "reads the photos' files, which a stream has not"),
    ):
        ended = fishnet(*given)
        (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
        assert ended.status == 2 and sentence in line
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_stream_that_lost_a_chunk_ends_a_training_in_a_sentence(fishnet, tiny, streamed):
    (streamed / "chunk-0-0.bin").unlink()
    ended = fishnet("train", "data=stream", "data.root=stream", *tiny[2:], "out=run")
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert ended.status == 1 and "chunk-0-0.bin" in line and "restore it, or say `fishnet pack` again" in line


@pytest.mark.slow
def test_killed_packing_goes_on_and_nothing_is_packed_twice(tmp_path):
    chance = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "lake" / name).mkdir(parents=True)
        for number in range(60):
            noise = chance.integers(0, 256, (224, 224, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "lake" / name / f"{number:02d}.png")

    def packing(out):
        command = [sys.executable, "-m", "fishnet", "pack", "data.root=lake", f"out={out}", "chunk_mb=1"]
        return subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    assert packing("whole").wait(120) == 0
    times = {}
    for chunks in (1, 4, 9):
        process = packing("parts")
        while not (tmp_path / "parts" / f"chunk-0-{chunks}.bin").exists() and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
        for file in (tmp_path / "parts").glob("*.bin"):
            times.setdefault(file.name, []).append(file.stat().st_mtime_ns)
    assert packing("parts").wait(120) == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert len(files) > 12
    assert {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == files
    for number in range(4):  # before the first that a kill could have met
        assert len({*times[f"chunk-0-{number}.bin"][1:]}) == 1
