"""Uploaded bytes → what the network sees, in processes that may be killed.

A photo from a stranger can cost a decoder minutes, gigabytes or its life. Here it costs one worker process at most,
which has limits of its own and is replaced; the answer is then a refusal like that of a broken file.
"""

import ctypes
import multiprocessing
import resource
import signal
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime

from pebble import ProcessExpired, ProcessPool

from fishnet.data.loading import single_thread
from fishnet.data.photos import ReadPhoto, read_photo
from fishnet.data.views import PlainPreprocessing, Preprocessing
from fishnet.images import RefusedImage

SECONDS = 4.0  # of a photo's decoding; 50 million pixels of progressive JPEG take about two
MEMORY = 1536 * 2**20  # bytes beyond what a worker has at its start; 50 million pixels with transparency take 800 MB
_PR_SET_PDEATHSIG = 1


class Decoders:
    """Worker processes that decode.

    Args:
        workers: how many.
        preprocessing: of the model.
        seconds: after which a photo's worker is killed.
    """

    def __init__(self, workers: int, preprocessing: Preprocessing, *, seconds: float = SECONDS) -> None:
        known = preprocessing.size, preprocessing.crop, preprocessing.interpolation
        self.preprocessing, self.seconds = PlainPreprocessing(*known), seconds
        context = multiprocessing.get_context("forkserver")  # a new worker is there in milliseconds, with torch
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPool(workers, initializer=limit_worker, context=context)

    def start(self) -> None:
        """Bring the workers up: the first photo need not wait for them."""
        assert self.decode(b"").exception() is not None

    def decode(self, data: bytes) -> Future[ReadPhoto]:
        """The photo; the future raises RefusedImage with the reason where there is none."""
        answered: Future[ReadPhoto] = Future()
        work = self._pool.schedule(decode, args=(data, self.preprocessing), timeout=self.seconds)
        answered.add_done_callback(lambda outer: work.cancel() if outer.cancelled() else None)
        work.add_done_callback(lambda inner: _pass_on(inner, answered))
        return answered

    def stop(self) -> None:
        """End the workers, whatever they are doing."""
        self._pool.stop()
        self._pool.join()


def decode(data: bytes, preprocessing: Preprocessing) -> ReadPhoto | str:
    """In a worker: the photo, or why there is none."""
    soft = round(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + 2 * round(SECONDS) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        return read_photo(data, preprocessing)
    except RefusedImage as refusal:
        return str(refusal)
    except (MemoryError, RuntimeError):  # numpy's and torch's ways to say that there is no more
        return "decoding it takes too much memory"


def limit_worker() -> None:
    """In a worker, before its first photo: little memory, one thread, no core dumps, no life after its parent's."""
    single_thread(0)
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind in (signal.SIGINT, signal.SIGTERM):  # of the whole process group: the parent lets its workers finish
        signal.signal(kind, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _pass_on(work: Future, answered: Future[ReadPhoto]) -> None:
    if not answered.set_running_or_notify_cancel():
        return
    error = None if work.cancelled() else work.exception()
    if isinstance(error, OutOfTime):
        answered.set_exception(RefusedImage("decoding it takes too long"))
    elif isinstance(error, ProcessExpired) or work.cancelled():
        answered.set_exception(RefusedImage("decoding it takes too much"))
    elif error is not None:
        answered.set_exception(error)
    elif isinstance(work.result(), str):
        answered.set_exception(RefusedImage(work.result()))
    else:
        answered.set_result(work.result())
