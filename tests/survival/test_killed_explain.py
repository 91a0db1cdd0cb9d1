"""A part of an explanation that is killed anywhere goes on, and the parts are joined to the bytes of the whole."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import tests.support.processes  # noqa: F401  what forked processes have imported
from fishnet.models.checkpoint import write_checkpoint
from fishnet.models.classifier import ImageClassifier
from tests.support.drawing import draw_folder
from tests.support.verbs import in_this_process

pytestmark = pytest.mark.slow

TYPED = ["checkpoint=model.ckpt", "images=lake", "batch_size=2", "pictures=0"]


def explaining(home: Path, pause: float, *arguments: str) -> None:
    """The verb, which notes each batch that it explains, keeps it at once, and pauses where it can be killed."""
    from fishnet.explain import maps

    plain = maps.batch_maps

    def noted(model, images, **how):
        answer = plain(model, images, **how)
        with open("batches.txt", "a") as file:
            file.write(f"{len(images)}\n")
        time.sleep(pause)
        return answer

    os.chdir(home)
    maps.batch_maps, maps.COMMIT_AFTER = noted, 0.0
    raise SystemExit(in_this_process("explain", *TYPED, *arguments))


def test_a_killed_part_goes_on_where_it_was(tmp_path, monkeypatch):
    draw_folder(tmp_path / "lake", photos=16)
    small = {"backbone": "cnn", "backbone_args": {"filters": [4]}, "image_size": 32}
    model = ImageClassifier(classes=["bar", "box", "disc"], **small)
    checkpoint = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
    write_checkpoint(checkpoint, tmp_path / "model.ckpt")
    kept, forked = tmp_path / "why/.unfinished/maps/part-1-of-2/rows.npy", multiprocessing.get_context("forkserver")
    for kills in range(2):
        process = forked.Process(target=explaining, args=(tmp_path, 0.2, "out=why", "part=1/2"), daemon=True)
        process.start()
        deadline = time.monotonic() + 120
        while not kept.exists() or len(np.load(kept)) < 4 * (kills + 1):
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    before, notes = len(np.load(kept)), tmp_path / "batches.txt"
    assert 8 <= before < 24
    notes.unlink()
    parts = [
        forked.Process(target=explaining, args=(tmp_path, 0.0, "out=why", f"part={part}"), daemon=True)
        for part in ("1/2", "2/2")
    ]
    for process in parts:
        process.start()
    for process in parts:
        process.join(120)
        assert process.exitcode == 0
    assert len(notes.read_text().split()) == (48 - before) // 2  # nothing that was kept is explained again
    monkeypatch.chdir(tmp_path)
    for out in ("why", "whole"):
        assert in_this_process("explain", *TYPED, f"out={out}") == 0
    for name in ("maps.npy", "logits.npy", "maps.csv"):
        assert (tmp_path / "why" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
