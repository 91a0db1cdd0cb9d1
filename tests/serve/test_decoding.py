"""What a photo may cost: a worker at most, never the service."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from io import BytesIO

import psutil
import pytest

from fishnet.data.photos import read_photo
from fishnet.data.views import PlainPreprocessing
from fishnet.images import RefusedImage
from fishnet.serve import decoding
from fishnet.serve.decoding import Decoders, Worker, WorkerLost
from tests.support.uploads import encoded, jpeg, picture

SEEN = PlainPreprocessing(64)


@pytest.fixture(scope="module")
def decoders():
    running = Decoders(2, SEEN, seconds=30.0)
    running.start()
    yield running
    running.stop()


def workers() -> list[psutil.Process]:
    mine = psutil.Process()
    return [child for child in mine.children(recursive=True) if child.ppid() != mine.pid]


def test_a_photo_comes_back_as_it_is_read_here(decoders):
    found, expected = decoders.decode(jpeg()).result(20), read_photo(jpeg(), SEEN)
    assert (found.view == expected.view).all()
    assert (found.sha256, found.full_size) == (expected.sha256, expected.full_size)


@pytest.mark.parametrize("name", ["AVIF", "HEIC"])
def test_photos_of_phones_are_decoded_by_the_workers_alone(decoders, name, monkeypatch):
    from pillow_heif import from_pillow

    from fishnet import expendable

    monkeypatch.setattr(expendable, "_TRIAL", "raise SystemExit('a worker may die of it itself')")
    buffer = BytesIO()
    if name == "HEIC":
        from_pillow(picture()).save(buffer)
    else:
        picture().save(buffer, name)
    assert decoders.decode(buffer.getvalue()).result(20).full_size == picture().size
    with pytest.raises(RefusedImage, match=f"{name} file that is cut short"):
        decoders.decode(buffer.getvalue()[:400]).result(20)


def test_a_photo_whose_worker_is_killed_is_decoded_by_another(decoders):
    for _ in range(3):
        for worker in workers():
            os.kill(worker.pid, signal.SIGSTOP)  # so that it holds the photo
        futures = [decoders.decode(jpeg(seed)) for seed in range(4)]
        time.sleep(0.2)
        os.kill(workers()[0].pid, signal.SIGKILL)
        for worker in workers():
            os.kill(worker.pid, signal.SIGCONT)
        assert all(future.result(30).view.shape == (64, 64, 3) for future in futures)
    assert decoders.decode(jpeg()).result(20).view.shape == (64, 64, 3)


def test_a_photo_that_ends_every_worker_is_refused(monkeypatch):
    lost = []

    def ended(self, data, seconds):
        lost.append(self)
        self.end()
        raise WorkerLost

    monkeypatch.setattr(Worker, "decode", ended)
    running = Decoders(1, SEEN)
    running.start()
    lost.clear()
    with pytest.raises(RefusedImage, match="too much"):
        running.decode(jpeg()).result(20)
    assert len(lost) == 3
    running.stop()


def test_a_worker_that_takes_too_long_is_replaced():
    before = {worker.pid for worker in workers()}
    running = Decoders(2, SEEN, seconds=4.0)
    running.start()
    held = {worker.pid for worker in workers()} - before
    for worker in held:
        os.kill(worker, signal.SIGSTOP)
    futures = [running.decode(jpeg(seed)) for seed in range(2)]
    with pytest.raises(RefusedImage, match="too long"):
        futures[0].result(20)
    futures[1].exception(20)
    assert running.decode(jpeg()).result(20).view.shape == (64, 64, 3)
    assert len(held) == 2 and not held & {worker.pid for worker in workers()}
    running.stop()


def test_memory_is_limited(decoders):
    large = encoded(picture(width=6000, height=5000), "PNG")
    assert decoders.decode(large).result(20).full_size == (6000, 5000)
    running = Decoders(1, SEEN, memory=64 * 2**20)
    running.start()
    with pytest.raises(RefusedImage, match=r"(?i)memory"):
        running.decode(large).result(20)
    assert running.decode(jpeg()).result(20).full_size == (90, 70)
    running.stop()


def test_photos_that_were_given_are_decoded_before_the_end():
    before = {worker.pid for worker in workers()}
    running = Decoders(1, SEEN)
    running.start()
    futures = [running.decode(jpeg(seed)) for seed in range(5)]
    running.stop()
    assert all(future.result(0).view.shape == (64, 64, 3) for future in futures)
    assert {worker.pid for worker in workers()} == before


def test_a_worker_whose_service_was_killed_ends_without_an_error(monkeypatch):
    """What the service had not read any more resets the pipe, which is no error of the worker's."""
    monkeypatch.setattr(decoding, "limit_process", lambda memory: None)
    ours, theirs = multiprocessing.Pipe()
    theirs.send_bytes(b"an answer that nobody reads")
    ours.close()
    with pytest.raises(ConnectionResetError):
        theirs.recv_bytes()
    ours, theirs = multiprocessing.Pipe()
    theirs.send_bytes(b"an answer that nobody reads")
    ours.close()
    decoding.work(theirs, SEEN, 0)


def test_a_photo_is_refused_where_no_worker_can_be_started(monkeypatch):
    def refused(self):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(type(decoding._context.Process()), "start", refused)
    running = Decoders(1, SEEN)
    running.start()
    with pytest.raises(RefusedImage):
        running.decode(jpeg()).result(20)
    running.stop()


STRUCK = """
import signal
from fishnet.data.views import PlainPreprocessing
from fishnet.serve.decoding import Decoders

for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(kind, lambda *_: None)
print("begins", flush=True)
running = Decoders(2, PlainPreprocessing(64))
running.start()
print("up", flush=True)
for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(kind, signal.SIG_IGN)
running.stop()
"""


@pytest.mark.slow
def test_workers_come_up_under_signals_to_the_group():
    """The process that they are born by was ended by them in its first seconds, and the service never listened."""
    line = [sys.executable, "-c", STRUCK]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            assert process.stdout.readline() == "begins\n"
            for kind in 6 * (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                time.sleep(0.15)
                os.killpg(process.pid, kind)
            out, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    assert (process.returncode, out, errors) == (0, "up\n", "")
