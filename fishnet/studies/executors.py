"""Where trainings run: on this machine, under Slurm through submitit, or on a Ray cluster.

Each executor only starts keepers and says when one has ended; what happened is in the training's folder, which all
machines must see.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fishnet.errors import BadInput, WorkFailed
from fishnet.text import nearest
from fishnet.tracking.process import start_time

from .supervisor import PATIENCE, SAID

if TYPE_CHECKING:
    from submitit import Job

KEEPER = [sys.executable, "-m", "fishnet.studies.supervisor"]
NAMES = ("local", "submitit", "ray")
LONGEST = 24 * 60  # minutes that Slurm is asked for where no limit is given


class Running(Protocol):
    """One keeper somewhere."""

    def status(self) -> int | None:
        """Its exit status; None while it runs."""

    def stop(self) -> None:
        """Ask it to end the training, which leaves a checkpoint; returns at once."""


class Executor(Protocol):
    def start(self, folder: Path) -> Running: ...

    def close(self) -> None: ...


def executor_named(name: str, *, home: Path, logs: Path, limit: float | None, settings: Mapping[str, Any]) -> Executor:
    if name not in NAMES:
        raise BadInput(f"executor={name}: {nearest(name, list(NAMES))}")
    if name == "local":
        return Local(home, settings)
    if importlib.util.find_spec(name) is None:
        raise BadInput(f"executor={name}: {name} is not installed: pip install 'fishnet-vision[{name}]'.")
    return Submitit(home, logs, limit, settings) if name == "submitit" else Ray(home, settings)


# ---- this machine


class Local:
    """Each keeper in a session of its own, at the other end of a pipe: when this process dies, it hears of it."""

    def __init__(self, home: Path, settings: Mapping[str, Any]) -> None:
        gpus = settings.get("gpus", [])
        if set(settings) - {"gpus"} or not isinstance(gpus, list):
            raise BadInput(
                "executor_args: executor=local takes gpus alone, as {gpus: [0, 1]}; jobs=2 says how many at a time."
            )
        self.home = home
        self._gpus = {str(gpu): 0 for gpu in gpus}  # → trainings that have it

    def start(self, folder: Path) -> Running:
        gpu = min(self._gpus, key=self._gpus.__getitem__, default=None)
        chosen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        if gpu is not None:
            self._gpus[gpu] += 1
        with (folder / SAID).open("ab") as said:
            process = subprocess.Popen(
                [*KEEPER, str(folder), "--lifeline"],
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, **chosen},
            )
        return LocalRunning(process, lambda: self._given_back(gpu))

    def _given_back(self, gpu: str | None) -> None:
        if gpu is not None:
            self._gpus[gpu] -= 1

    def close(self) -> None:
        """Nothing is held."""


class LocalRunning:
    def __init__(self, process: subprocess.Popen, ended: Callable[[], None]) -> None:
        self.process, self._ended = process, ended
        self._told = False

    def status(self) -> int | None:
        code = self.process.poll()
        if code is not None and not self._told:
            self._told = True
            self._ended()
        return code

    def stop(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()


# ---- Slurm


class Submitit:
    """Without Slurm on this machine, or with `cluster: local`, the same code path runs as processes here."""

    def __init__(self, home: Path, logs: Path, limit: float | None, settings: Mapping[str, Any]) -> None:
        import submitit

        chosen = dict(settings)
        self.home = home
        cluster = chosen.pop("cluster", None)
        try:
            self._executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
            minutes = LONGEST if limit is None else int(limit / 60) + 10
            self._executor.update_parameters(**{"timeout_min": minutes, "name": "fishnet", **chosen})
        except (NameError, ValueError, RuntimeError) as error:
            raise BadInput(f"executor_args={dict(settings)}: {str(error).splitlines()[0]}") from error

    def start(self, folder: Path) -> Running:
        try:
            with _children_hear_interrupts():
                return SubmititRunning(self._executor.submit(KeptBySlurm(), str(folder), str(self.home)))
        except Exception as error:
            raise WorkFailed(f"the job could not be submitted: {str(error).splitlines()[0]}") from error

    def close(self) -> None:
        """Jobs that were submitted go on; the next study of this folder finds them."""


class KeptBySlurm:
    """What a job of Slurm calls. Before it is preempted, the training leaves its checkpoint and the job is queued
    again; it then goes on from there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def __call__(self, folder: str, home: str) -> int:
        self._process = _tied_keeper(folder, home)
        return _ended(self._process)

    def checkpoint(self, folder: str, home: str) -> Any:
        import submitit

        if self._process is not None:
            self._process.terminate()
            deadline = time.monotonic() + PATIENCE + 10
            while start_time(self._process.pid) and time.monotonic() < deadline:  # Popen's own wait may be under way
                time.sleep(0.1)
        return submitit.helpers.DelayedSubmission(KeptBySlurm(), folder, home)


def _tied_keeper(folder: str, home: str) -> subprocess.Popen:
    """When the job is ended, the pipe closes and the training leaves its checkpoint."""
    return subprocess.Popen([*KEEPER, folder, "--lifeline"], cwd=home, stdin=subprocess.PIPE, start_new_session=True)


def _ended(keeper: subprocess.Popen) -> int:
    try:
        while keeper.poll() is None:
            time.sleep(0.1)
        return keeper.returncode
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()


@contextmanager
def _children_hear_interrupts() -> Iterator[None]:
    """A study in the background of a shell ignores Ctrl-C and would hand that on; submitit's local jobs are cancelled
    by that very signal."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)  # what is handled here is not ignored by a child
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class SubmititRunning:
    def __init__(self, job: Job) -> None:
        self._job = job

    def status(self) -> int | None:
        if not self._job.done():
            return None
        try:
            return int(self._job.result())
        except Exception:  # it was ended before it could say anything
            return 1

    def stop(self) -> None:
        self._job.cancel()


# ---- Ray


class Ray:
    """`executor_args`: what is passed on to `ray.init` (address), and num_cpus, num_gpus, resources of one training."""

    def __init__(self, home: Path, settings: Mapping[str, Any]) -> None:
        import ray

        self.home = home
        chosen = dict(settings)
        asked = ("num_cpus", "num_gpus", "resources")
        self._asks: dict[str, Any] = {key: chosen.pop(key) for key in asked if key in chosen}
        self._own = not ray.is_initialized()
        check_answers(str(chosen.get("address") or ""))
        try:
            if self._own:
                quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
                ray.init(**{**quiet, **chosen})
        except (ConnectionError, TypeError, RuntimeError, ValueError) as error:
            raise BadInput(
                f"executor_args={dict(settings)}: ray does not start ({str(error).splitlines()[0]})."
            ) from error

    def start(self, folder: Path) -> Running:
        import ray

        asks = {"num_cpus": 1, "max_retries": 3, **self._asks}
        task = ray.remote(**asks)(kept_by_ray)
        return RayRunning(task.remote(str(folder), str(self.home)))

    def close(self) -> None:
        import ray

        if self._own:
            ray.shutdown()


def check_answers(address: str) -> None:
    """Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise BadInput(f"executor_args.address={address}: no Ray cluster answers there ({error}).") from error


def kept_by_ray(folder: str, home: str) -> int:
    """In a worker of Ray."""
    return _ended(_tied_keeper(folder, home))


class RayRunning:
    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def status(self) -> int | None:
        import ray

        ready, _ = ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return int(ray.get(self._reference))
        except Exception:  # the node is gone, or the task was cancelled
            return 1

    def stop(self) -> None:
        import ray

        ray.cancel(self._reference)
