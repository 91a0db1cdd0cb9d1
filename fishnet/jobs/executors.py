"""Where commands run: on this machine, under Slurm through submitit, or on a Ray cluster.

Each executor only starts commands that watch their lifeline (`tied`), and knows when one has ended. What they have
done is in folders that all machines must see.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from fishnet.errors import BadInput, WorkFailed
from fishnet.text import nearest
from fishnet.tracking.process import start_time

from .tied import PATIENCE

NAMES = ("local", "submitit", "ray")
LONGEST = 24 * 60  # minutes that Slurm is asked for where no limit is given


class Running(NamedTuple):
    """A command somewhere."""

    status: Callable[[], int | None]  # its exit status; None while it runs
    stop: Callable[[], None]  # asks it to end what it has begun; returns at once


class Executor(ABC):
    """Starts commands that watch their lifeline."""

    @abstractmethod
    def start(self, command: list[str], output: Path) -> Running:
        """Start a command; where it runs on this machine, what it writes is appended to `output`."""

    def together(self) -> AbstractContextManager[object]:
        """What is started in this block may be handed over when it ends, all at once."""
        return nullcontext()

    def close(self) -> None:  # noqa: B027
        """Nothing more is to be started: give back what the executor holds. What was submitted goes on."""


def executor_named(name: str, *, home: Path, logs: Path, limit: float | None, settings: Mapping[str, Any]) -> Executor:
    """The executor with its `executor_args`; BadInput where there is none of this name, or where it is not installed or
    cannot be reached. Commands are started in `home` and take `limit` seconds; Slurm's `logs` are kept."""
    if name not in NAMES:
        raise BadInput(f"executor={name}: {nearest(name, list(NAMES))}")
    if name == "local":
        return Local(home, settings)
    if importlib.util.find_spec(name) is None:
        raise BadInput(f"executor={name}: {name} is not installed: pip install 'fishnet-vision[{name}]'.")
    return Submitit(home, logs, limit, settings) if name == "submitit" else Ray(home, settings)


def tied_process(command: list[str], home: str | Path, **options: Any) -> subprocess.Popen:
    """A process in a session of its own, whose standard input is its lifeline: that closes when this process ends."""
    return subprocess.Popen(command, cwd=home, stdin=subprocess.PIPE, start_new_session=True, **options)


class Local(Executor):
    """Starts commands on this machine, each on the GPU of `executor_args` that has the fewest."""

    def __init__(self, home: Path, settings: Mapping[str, Any]) -> None:
        gpus = settings.get("gpus", [])
        if set(settings) - {"gpus"} or not isinstance(gpus, list):
            raise BadInput("executor_args: executor=local takes gpus alone, as {gpus: [0, 1]}.")
        self.home = home
        self._users: dict[str, list[Running]] = {str(gpu): [] for gpu in gpus}

    def start(self, command: list[str], output: Path) -> Running:
        self._users = {gpu: [user for user in users if user.status() is None] for gpu, users in self._users.items()}
        gpu = min(self._users, key=lambda gpu: len(self._users[gpu]), default=None)
        environment = os.environ | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu is not None else {})
        with output.open("ab") as file:
            process = tied_process(command, self.home, stdout=file, stderr=file, env=environment)
        assert process.stdin is not None
        running = Running(process.poll, process.stdin.close)
        if gpu is not None:
            self._users[gpu].append(running)
        return running


def exit_status(process: subprocess.Popen) -> int:
    """Wait for a tied process and return its exit status; its pipe is closed even if the wait is interrupted."""
    try:
        while process.poll() is None:
            time.sleep(0.1)
        return process.returncode
    finally:
        if process.stdin is not None:
            process.stdin.close()


def remote(done: Callable[[], bool], result: Callable[[], int], stop: Callable[[], None]) -> Running:
    """A job that holds a tied process, and has its exit status as result."""

    def status() -> int | None:
        if not done():
            return None
        try:
            return int(result())
        except Exception:  # it was ended before it could return anything: cancelled, or its node is gone
            return 1

    return Running(status, stop)


class Submitit(Executor):
    """Starts each command as a job of Slurm; without Slurm, or with `cluster: local`, as a process here."""

    def __init__(self, home: Path, logs: Path, limit: float | None, settings: Mapping[str, Any]) -> None:
        import submitit

        self.home = home
        minutes = LONGEST if limit is None else int(limit / 60) + 10
        options = {"timeout_min": minutes, "name": "fishnet", **settings}
        try:
            self._executor = submitit.AutoExecutor(folder=logs, cluster=options.pop("cluster", None))
            self._executor.update_parameters(**options)
        except (NameError, ValueError, RuntimeError, TypeError, AssertionError) as error:
            raise BadInput(f"executor_args={dict(settings)}: {str(error).splitlines()[0]}") from error

    def start(self, command: list[str], output: Path) -> Running:
        with self._submitting():
            job = self._executor.submit(SlurmJob(), command, str(self.home))
        # asked by name each time: a job of a batch becomes another object when the batch is handed over
        return remote(lambda: job.done(), lambda: job.result(), lambda: job.cancel())

    def together(self) -> AbstractContextManager[object]:
        """As a single array."""
        return self._as_array()

    @contextmanager
    def _as_array(self) -> Iterator[None]:
        with self._submitting(), self._executor.batch():
            yield

    @contextmanager
    def _submitting(self) -> Iterator[None]:
        try:
            with _interrupts_reach_children():
                yield
        except Exception as error:
            raise WorkFailed(f"the job could not be submitted: {str(error).splitlines()[0]}") from error


class SlurmJob:
    """What a job of Slurm calls. Before it is preempted, the command puts away what it has begun and the job is queued
    again; it then goes on from there."""

    _process: subprocess.Popen | None = None

    def __call__(self, command: list[str], home: str) -> int:
        self._process = tied_process(command, home)
        return exit_status(self._process)

    def checkpoint(self, command: list[str], home: str) -> Any:
        import submitit

        if self._process is not None:
            self._process.terminate()
            deadline = time.monotonic() + PATIENCE + 10
            while start_time(self._process.pid) and time.monotonic() < deadline:  # Popen's own wait may be under way
                time.sleep(0.1)
        return submitit.helpers.DelayedSubmission(SlurmJob(), command, home)


@contextmanager
def _interrupts_reach_children() -> Iterator[None]:
    """A program in the background of a shell ignores Ctrl-C and would hand that on; submitit's local jobs are cancelled
    by that very signal."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ignored = ignored and threading.current_thread() is threading.main_thread()
    try:
        if ignored:
            signal.signal(signal.SIGINT, lambda *_: None)  # what is handled here is not ignored by a child
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


class Ray(Executor):
    """`executor_args`: what is passed on to `ray.init` (address), and num_cpus, num_gpus, resources of one command."""

    def __init__(self, home: Path, settings: Mapping[str, Any]) -> None:
        import ray

        self.home = home
        options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR", **settings}
        self._task: dict[str, Any] = {"num_cpus": 1, "max_retries": 3}
        self._task |= {key: options.pop(key) for key in ("num_cpus", "num_gpus", "resources") if key in options}
        self._own = not ray.is_initialized()
        try:
            ray.remote(**self._task)(ray_task)
        except (TypeError, ValueError) as error:
            raise BadInput(f"executor_args={dict(settings)}: {str(error).splitlines()[0]}") from error
        _check_reachable(str(settings.get("address") or ""))
        try:
            if self._own:
                ray.init(**options)
        except (ConnectionError, TypeError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(f"executor_args={dict(settings)}: ray does not start ({reason}).") from error

    def start(self, command: list[str], output: Path) -> Running:
        import ray

        reference = ray.remote(**self._task)(ray_task).remote(command, str(self.home))
        return remote(
            lambda: bool(ray.wait([reference], timeout=0)[0]), lambda: ray.get(reference), lambda: ray.cancel(reference)
        )

    def close(self) -> None:
        import ray

        if self._own:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise BadInput(f"executor_args.address={address}: no Ray cluster answers there ({error}).") from error


def ray_task(command: list[str], home: str) -> int:
    """What a worker of Ray calls."""
    return exit_status(tied_process(command, home))
