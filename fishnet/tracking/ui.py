"""`fishnet ui`: MLflow's own server on this machine only, with the switches that make it quiet and private."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from fishnet.errors import BadInput, WorkFailed

from .links import PORT, charts_link, runs_link
from .store import SWITCHES, Store, open_store

HOST = "127.0.0.1"
START_WITHIN = 90.0


def serve_ui(*, uri: str | None, home: Path, port: int = PORT) -> None:
    """Print the addresses and serve until a signal ends it; of a store that is a server only the addresses."""
    if not 1 <= port <= 65535:
        raise BadInput(f"port={port}: choose one from 1 to 65535.")
    store = open_store(uri, home=home, create=False)
    if store.is_server:
        print(addresses(store, store.ui_address()), flush=True)
        return
    chosen = free_port(port)
    if chosen != port:
        print(f"Port {port} is taken; this is {chosen}.", flush=True)
    with until_signalled(), served(store, chosen) as server:
        print(addresses(store, store.ui_address(chosen)), "Ctrl-C ends it.", sep="\n", flush=True)
        raise WorkFailed(f"MLflow's server ended by itself with status {server.wait()}.")


class _Ended(BaseException):
    """A signal has ended the server: the ordinary way out, which unwinds through `served`."""


@contextlib.contextmanager
def until_signalled() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP leave the block quietly; set before the server starts, so that none is left behind.
    One that is ignored (nohup) stays ignored."""
    kinds = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]  # the last: its terminal was closed
    kinds = [kind for kind in kinds if signal.getsignal(kind) != signal.SIG_IGN]

    def end_block(number: int, frame: object) -> None:
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the tidying
        raise _Ended

    before = {kind: signal.signal(kind, end_block) for kind in kinds}
    try:
        with contextlib.suppress(_Ended):
            yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextlib.contextmanager
def served(store: Store, port: int) -> Iterator[subprocess.Popen]:
    """The server, ready to answer, and gone with all its children afterwards."""
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command(store, port), env=environment(), start_new_session=True, stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + START_WITHIN
            while time.monotonic() < deadline:
                if server.poll() is not None:
                    output.seek(0)
                    last = output.read().decode(errors="replace").strip().rpartition("\n")[2]
                    raise WorkFailed(f"MLflow's server did not start: {last or f'status {server.returncode}'}")
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                    break
                time.sleep(0.2)
            else:
                raise WorkFailed(f"MLflow's server did not answer on port {port} within {START_WITHIN:.0f} s.")
            yield server
        finally:
            end(server)


def command(store: Store, port: int) -> list[str]:
    """The command that starts MLflow's server."""
    assert store.artifacts is not None
    options = {
        "--backend-store-uri": store.uri,
        "--default-artifact-root": store.artifacts.as_uri(),
        "--host": HOST,
        "--port": str(port),
        "--workers": "1",
        "--uvicorn-opts": "--log-level=warning",
    }
    return [sys.executable, "-m", "mlflow", "server", *(part for pair in options.items() for part in pair)]


def environment() -> dict[str, str]:
    """Without the job runner's three consumers, and without the variables that would send it elsewhere."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return {**kept, **SWITCHES, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def addresses(store: Store, base: str) -> str:
    """Lines of links straight into the training pages: a new browser would open the UI in its other mode."""
    lines = [f"MLflow is at {base}"]
    for experiment in store.client().search_experiments(max_results=20):
        if experiment.experiment_id != "0" or experiment.name != "Default":
            lines.append(f"  {experiment.name}")
            lines.append(f"    runs    {runs_link(base, experiment.experiment_id)}")
            lines.append(f"    charts  {charts_link(base, experiment.experiment_id)}")
    return "\n".join(lines)


def free_port(port: int) -> int:
    """The port itself, or one that the system gives where it is taken."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, candidate))
                return probe.getsockname()[1]
    raise WorkFailed(f"No port is free on {HOST}.")


def end(server: subprocess.Popen) -> None:
    """End the whole process group: uvicorn's workers outlive their parent otherwise."""
    for kind, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(patience)
            try:
                os.killpg(server.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
