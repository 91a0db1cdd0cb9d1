"""Photos of many requests meet in one forward pass, a lone one waits for nobody, and places are bounded."""

import threading
import time

import numpy as np
import pytest
import torch

from fishnet.models.bundle import read_bundle
from fishnet.serve.batching import Batcher, Full

SIDE = 64


class Door:
    """Stands before a network: may hold it up, and counts how many photos it is asked about at once."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.sizes: list[int] = []
        self.open = threading.Event()
        self.open.set()
        network.register_forward_pre_hook(self.pass_through)

    def pass_through(self, network: torch.nn.Module, given: tuple) -> None:
        self.open.wait(10)
        self.sizes.append(len(given[0]))


@pytest.fixture
def model(bundle):
    return read_bundle(bundle).model


@pytest.fixture
def door(model):
    return Door(model.network)


def batcher_of(model, door, **changed) -> Batcher:
    batcher = Batcher(model, **{"places": 8, "size": 4, "wait": 0.5} | changed)
    batcher.start()
    door.sizes.clear()
    return batcher


def views(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8))


def test_what_gathers_while_the_model_works_is_answered_together(model, door):
    batcher = batcher_of(model, door)
    door.open.clear()
    batcher.hold(6)
    futures = [batcher.ask(view) for view in views(6)]
    time.sleep(0.1)
    door.open.set()
    logits = np.stack([future.result(10).logits for future in futures])
    batcher.leave(6)
    assert sum(door.sizes) == 6 and max(door.sizes) == 4 and len(door.sizes) <= 3
    alone = model(torch.from_numpy(np.stack(views(6))).permute(0, 3, 1, 2)).detach().numpy()
    assert np.abs(logits - alone).max() < 1e-5
    batcher.stop()


def test_a_lone_photo_does_not_wait_and_a_batch_waits_for_photos_that_are_being_decoded(model, door):
    batcher = batcher_of(model, door, wait=5.0)
    batcher.hold(1)
    started = time.monotonic()
    batcher.ask(views(1)[0]).result(10)
    assert time.monotonic() - started < 2
    batcher.leave(1)
    door.sizes.clear()
    batcher.hold(2)  # two are accepted, and the second is decoded later
    first = batcher.ask(views(1)[0])
    time.sleep(0.3)
    assert not first.done()
    batcher.ask(views(2)[1]).result(10)
    assert door.sizes == [2]
    batcher.leave(2)
    batcher.stop()


def test_a_batch_does_not_wait_for_ever(model, door):
    batcher = batcher_of(model, door, wait=0.2)
    batcher.hold(2)
    started = time.monotonic()
    batcher.ask(views(1)[0]).result(10)
    assert 0.15 < time.monotonic() - started < 3
    batcher.stop()


def test_places_are_bounded(model, door):
    batcher = batcher_of(model, door, places=3)
    batcher.hold(2)
    with pytest.raises(Full):
        batcher.hold(2)
    batcher.hold(1)
    batcher.leave(3)
    batcher.hold(3)
    batcher.stop()


def test_an_error_of_a_batch_reaches_those_who_asked_and_no_other(model, door):
    batcher = batcher_of(model, door)
    with pytest.raises(RuntimeError):
        batcher.ask(np.zeros((3, 3, 3), np.uint8)[:, :0]).result(10)
    assert batcher.alive and batcher.ask(views(1)[0]).result(10).logits.shape == (4,)
    batcher.stop()


def test_what_was_asked_before_the_end_is_answered(model, door):
    batcher = batcher_of(model, door)
    futures = [batcher.ask(view) for view in views(7)]
    batcher.stop()
    assert all(future.done() for future in futures) and not batcher.alive
