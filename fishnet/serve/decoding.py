"""Uploaded bytes → what the network sees, in processes that may be killed.

A photo from a stranger can cost a decoder minutes, gigabytes or its life. Here it costs one worker process at most,
which has limits of its own and is replaced; the answer is then a refusal like that of a broken file. Each worker has a
pipe of its own, so that none can take another one's photo down with it, and what it answers is taken as bytes: nothing
that comes from a worker is unpickled.
"""

import json
import multiprocessing
import os
import queue
import resource
import signal
import threading
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np

from fishnet.data.loading import FOR_PARENT, signals_held, single_thread
from fishnet.data.photos import ReadPhoto, read_photo
from fishnet.data.views import PlainPreprocessing, Preprocessing
from fishnet.environment import most_megapixels
from fishnet.expendable import address_space, decoding_memory
from fishnet.images import TOO_MUCH_MEMORY, RefusedImage

SECONDS, A_MEGAPIXEL = 4.0, 0.08  # of a photo's decoding; 100 million pixels with transparency take about four
TURNS = 3  # workers that a photo may cost
LARGEST_ANSWER = 2**16  # bytes of what a worker says of a photo

_context = multiprocessing.get_context("forkserver")  # a new worker is there in milliseconds, with torch
_context.set_forkserver_preload([__name__])


class WorkerLost(Exception):
    """A worker has ended over a photo, or without its doing: the kernel ends whoever is largest."""


class Decoders:
    """Worker processes that decode, each in the care of a thread.

    Args:
        workers: how many.
        preprocessing: of the model.
        seconds: after which a photo's worker is killed; by the largest photo that is decoded if None.
        memory: bytes that a worker may take beyond what it has at its start; likewise.
    """

    def __init__(
        self, workers: int, preprocessing: Preprocessing, *, seconds: float | None = None, memory: int | None = None
    ) -> None:
        known = preprocessing.size, preprocessing.crop, preprocessing.interpolation, preprocessing.fit
        self.preprocessing = PlainPreprocessing(*known)
        self.seconds = seconds or max(SECONDS, A_MEGAPIXEL * most_megapixels())
        self.memory = memory or decoding_memory(most_megapixels())
        self._photos: queue.SimpleQueue[tuple[bytes, Future[ReadPhoto]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._care, name="decoder", daemon=True) for _ in range(workers)]
        self._up = threading.Semaphore(0)  # released once for each worker that has answered, or cannot

    def start(self) -> None:
        """Bring the workers up: the first photo need not wait for them."""
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            self._up.acquire()

    def decode(self, data: bytes) -> Future[ReadPhoto]:
        """The photo; the future raises RefusedImage with the reason where there is none."""
        answered: Future[ReadPhoto] = Future()
        self._photos.put((data, answered))
        return answered

    def stop(self) -> None:
        """End the workers after the photos that they were given."""
        for _ in self._threads:
            self._photos.put(None)
        for thread in self._threads:
            thread.join()

    def _care(self) -> None:
        """A thread's life: hand photos to its worker, and replace the worker when it is lost."""
        worker: Worker | None = None
        with suppress(WorkerLost, RefusedImage):
            worker = Worker(self.preprocessing, self.memory)
            worker.decode(b"", self.seconds)
        self._up.release()
        while (given := self._photos.get()) is not None:
            data, answered = given
            if not answered.set_running_or_notify_cancel():
                continue
            for turn in range(TURNS):
                try:
                    if worker is None or not worker.alive:
                        worker = Worker(self.preprocessing, self.memory)
                    answered.set_result(worker.decode(data, self.seconds))
                    break
                except RefusedImage as refusal:
                    answered.set_exception(refusal)
                    break
                except WorkerLost:
                    if turn == TURNS - 1:
                        answered.set_exception(RefusedImage("decoding it takes too much"))
        if worker is not None:
            worker.end()


class Worker:
    """A process that decodes one photo after the other; WorkerLost where it does not come up.

    Args:
        preprocessing: of the model.
        memory: bytes that it may take beyond what it has at its start.
    """

    def __init__(self, preprocessing: PlainPreprocessing, memory: int) -> None:
        self.side = preprocessing.size
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=work, args=(theirs, preprocessing, memory), daemon=True)
        try:
            with signals_held():  # the process that new workers come from would end by a signal to the group
                self._process.start()
        except (OSError, EOFError) as error:
            self._pipe.close()
            raise WorkerLost from error
        finally:
            theirs.close()
        self._lost = False

    @property
    def alive(self) -> bool:
        return not self._lost and self._process.is_alive()

    def decode(self, data: bytes, seconds: float) -> ReadPhoto:
        """A photo; RefusedImage where it is none or takes too long, WorkerLost where something ended the worker."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            self._pipe.send_bytes(data)
            answer = json.loads(self._pipe.recv_bytes(LARGEST_ANSWER))
            if "refused" in answer:
                raise RefusedImage(answer["refused"])
            view = np.frombuffer(self._pipe.recv_bytes(3 * self.side**2), np.uint8).reshape(self.side, self.side, 3)
            return ReadPhoto(view, answer["sha256"], (answer["width"], answer["height"]), answer["grey_rest"])
        except (OSError, EOFError, ValueError, KeyError) as error:  # its end of the pipe is gone, or talks nonsense
            self.end()
            raise (RefusedImage("decoding it takes too long") if late.is_set() else WorkerLost()) from error
        finally:
            timer.cancel()

    def end(self) -> None:
        """Kill it, whatever it is doing."""
        self._lost = True
        self._process.kill()
        self._process.join()
        self._pipe.close()


def work(pipe: Connection, preprocessing: PlainPreprocessing, memory: int) -> None:
    """A worker's life, until nobody holds the other end of the pipe, also where the service was killed meanwhile."""
    limit_process(memory)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _answer(pipe, preprocessing)


def _answer(pipe: Connection, preprocessing: PlainPreprocessing) -> None:
    """Photo after photo; an error of the pipe is the end."""
    while True:
        data = pipe.recv_bytes()
        _allow_seconds(2 * max(SECONDS, A_MEGAPIXEL * most_megapixels()))
        try:
            read = read_photo(data, preprocessing, guarded=False)
        except RefusedImage as refusal:
            pipe.send_bytes(json.dumps({"refused": str(refusal)[:1000]}).encode())
        except (MemoryError, RuntimeError):  # numpy's and torch's ways to say that there is no more
            pipe.send_bytes(json.dumps({"refused": TOO_MUCH_MEMORY}).encode())
        else:
            width, height = read.full_size
            facts = {"sha256": read.sha256, "width": width, "height": height, "grey_rest": read.grey_rest}
            pipe.send_bytes(json.dumps(facts).encode())
            pipe.send_bytes(np.ascontiguousarray(read.view).tobytes())


def limit_process(memory: int) -> None:
    """Little memory, one thread, no core dumps, and no part in signals to the group: the last photos need a worker."""
    single_thread(0)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_PARENT)  # whoever was born in the group's last moment is replaced
    most = address_space() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_seconds(seconds: float) -> None:
    """Of computing, from now on: whoever takes more is ended by the kernel, should nobody else do it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = round(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
