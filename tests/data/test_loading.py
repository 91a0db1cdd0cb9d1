"""Batches: each photo once, the same for the same seed, in any number of processes, taken up where they stopped."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from fishnet import ImageFolderData
from fishnet.data.loading import EpochSampler, EvaluationSampler, leave_signals_to_parent, workers_beside
from fishnet.errors import BadInput
from tests.support.drawing import draw_folder

ROWS = np.arange(100, 123)


def rows_of(sampler) -> list[int]:
    return [row for row, _ in sampler]


def test_an_epoch_is_a_permutation_that_follows_from_seed_and_epoch():
    first, again, other = (EpochSampler(ROWS, seed=s) for s in (1, 1, 2))
    assert sorted(rows_of(first)) == ROWS.tolist()
    assert list(first) == list(again)
    assert rows_of(first) != rows_of(other)
    again.set_epoch(1)
    assert rows_of(first) != rows_of(again)


@pytest.mark.parametrize("world", [2, 3, 4])
def test_several_processes_share_an_epoch_out_evenly(world):
    parts = [EpochSampler(ROWS, seed=1, rank=rank, world=world) for rank in range(world)]
    assert {len(rows_of(part)) for part in parts} == {len(parts[0])}
    assert {row for part in parts for row in rows_of(part)} == set(ROWS)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_photo_once_and_marks_what_fills_up(world):
    drawn = [row for rank in range(world) for row in rows_of(EvaluationSampler(ROWS, rank=rank, world=world))]
    assert sorted(row for row in drawn if row >= 0) == ROWS.tolist()
    assert len(drawn) % world == 0


def data(shapes, **settings) -> ImageFolderData:
    return ImageFolderData(root=str(shapes), image_size=32, batch_size=8, seed=3, **settings)


@pytest.mark.parametrize("augment", ["none", "light", "photo", "affine"])
def test_batches_are_uint8_and_the_same_for_the_same_seed(shapes, augment):
    one, two = (list(data(shapes, augment=augment).train_dataloader()) for _ in range(2))
    assert one[0]["image"].dtype == torch.uint8
    assert one[0]["image"].shape[1:] == (3, 32, 32)
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(one, two, strict=True))


def test_each_epoch_draws_other_views_of_a_photo(shapes):
    loader = data(shapes, augment="light").train_dataloader()
    views = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        images = torch.cat([batch["image"] for batch in batches])
        views.append(images[torch.cat([batch["index"] for batch in batches]).argmin()])
    assert not torch.equal(*views)


def test_a_seed_of_its_own_for_the_order_leaves_the_split(shapes):
    same, other = data(shapes), data(shapes)
    other.order_seed = same.seed + 1
    orders = [torch.cat([batch["index"] for batch in each.train_dataloader()]).tolist() for each in (same, other)]
    assert orders[0] != orders[1]
    assert np.array_equal(same.rows("train"), other.rows("train"))


def test_workers_change_nothing(shapes):
    alone, helped = (list(data(shapes, augment="photo", workers=w).train_dataloader()) for w in (0, 2))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(alone, helped, strict=True))


def test_a_loader_goes_on_where_its_state_says(shapes):
    whole = list(data(shapes).train_dataloader())
    loader = data(shapes).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batches": 2})
    rest = list(loader)
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(whole[2:], rest, strict=True))
    assert loader.state_dict() == {"epoch": 0, "batches": len(whole)}


def test_a_finished_epoch_is_followed_by_the_next(shapes):
    loader = data(shapes).train_dataloader()
    loader.load_state_dict({"epoch": 4, "batches": len(loader)})
    assert loader.sampler.epoch == 5
    assert len(list(loader)) == len(loader)


def test_drawing_a_view_leaves_the_random_state_alone(shapes):
    dataset = data(shapes, augment="photo").train_dataloader().dataset
    before = torch.random.get_rng_state()
    dataset[(0, 7)]
    assert torch.equal(before, torch.random.get_rng_state())


def test_rare_classes_weigh_more_or_come_oftener(tmp_path):
    draw_folder(tmp_path, ["common", "rare"], photos=8)
    draw_folder(tmp_path, ["common"], photos=40)
    weighed = data(tmp_path, balance="weights")
    common, rare = weighed.class_weights
    assert rare / common == pytest.approx(5, rel=0.4)
    sampled = data(tmp_path, balance="sampler").train_dataloader()
    labels = torch.cat([batch["label"] for epoch in range(6) for batch in _epoch(sampled, epoch)])
    assert 0.35 < labels.float().mean() < 0.65


def _epoch(loader, number: int):
    loader.sampler.set_epoch(number)
    return loader


def test_the_size_is_needed_where_no_model_tells_it(shapes):
    with pytest.raises(BadInput, match="image_size"):
        ImageFolderData(root=str(shapes)).train_dataloader()


def test_what_a_model_asks_for_is_another_module(shapes):
    plain = data(shapes)
    whole = plain.for_model(classes=["bar", "box", "disc", "more"], part="all")
    assert set(whole.assignment) == {"test"}
    assert whole.classes == ["bar", "box", "disc", "more"]
    assert len(whole.test_dataloader().sampler) == len(whole.table)
    assert set(plain.assignment) == {"train", "val", "test"}
    assert plain.classes == ["bar", "box", "disc"]
    turned = plain.for_model(classes=["disc", "box", "bar"])
    assert (turned.table["label"] == 2 - plain.table["label"]).all()


def test_by_default_workers_load_beside_a_gpu_alone(monkeypatch):
    monkeypatch.setattr("fishnet.data.loading.usable_cores", lambda: 16)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [workers_beside(device, None) for device in (cpu, gpu)] == [0, 8]
    assert [workers_beside(device, 3) for device in (cpu, gpu)] == [3, 3]
    assert workers_beside(gpu, None, processes=4) == 3, "the cores are shared by the processes of a node"
    monkeypatch.setattr("fishnet.data.loading.usable_cores", lambda: 1)
    assert workers_beside(gpu, None) == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_worker_ends_by_the_signal_of_the_process_that_has_asked_for_it_and_no_other(method):
    """Python 3.14 makes processes by a server of its own, which is not the one that ends them."""
    context = multiprocessing.get_context(method)
    ready = context.Event()
    worker = context.Process(target=_wait_as_worker, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(60)
    stranger = context.Process(target=os.kill, args=(worker.pid, signal.SIGTERM))
    stranger.start()
    stranger.join(60)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(worker.pid, number)
    worker.join(1)
    assert worker.is_alive()
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


def _wait_as_worker(ready) -> None:
    leave_signals_to_parent()
    ready.set()
    time.sleep(120)


HOLDING = """
import multiprocessing, signal
from fishnet.data.loading import FOR_PARENT, signals_held

with signals_held():
    multiprocessing.get_context("forkserver").Queue()
    assert {*FOR_PARENT} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""


def test_signals_are_held_where_python_starts_its_own_processes():
    subprocess.run([sys.executable, "-c", HOLDING], check=True, timeout=300)
