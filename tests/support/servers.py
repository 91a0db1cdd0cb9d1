"""Real tracking servers for slow tests: MLflow's own over sqlite, and over a throw-away PostgreSQL cluster."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

POSTGRES_PLACES = "/usr/lib/postgresql/*/bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TrackingServer:
    """`mlflow server` on loopback; can be killed and started again on the same port, store and artifacts."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.backend, self.port = folder, backend, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def start(self, patience: float = 120.0) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.backend, "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--artifacts-destination", str(self.folder / "served")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **quiet}, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            time.sleep(0.2)
        raise AssertionError("mlflow server did not start:\n" + (self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        """At once and without a word, as a lost machine would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, kind: signal.Signals) -> None:
        if self._process is None:
            return
        for number in (kind, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._process = None


@contextlib.contextmanager
def sqlite_server(folder: Path) -> Iterator[TrackingServer]:
    with _running(TrackingServer(folder, f"sqlite:///{folder / 'served.db'}")) as server:
        yield server


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[TrackingServer]:
    with postgres_cluster() as database, _running(TrackingServer(folder, database)) as server:
        yield server


@contextlib.contextmanager
def _running(server: TrackingServer) -> Iterator[TrackingServer]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def postgres_cluster() -> Iterator[str]:
    """Its address; the cluster belongs to an ordinary user, because initdb refuses root, and is gone afterwards."""
    programs = postgres_programs()
    user = "nobody" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="fishnet-postgres-"))
    if user:
        shutil.chown(home, user)
    quiet = {"user": user, "cwd": home, "stdin": subprocess.DEVNULL, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
    port = free_port()
    server = None
    try:
        _checked(
            [programs / "initdb", "-D", home / "data", "-U", "fishnet", "-A", "trust", "-E", "UTF8", "-N"], **quiet
        )
        command = [programs / "postgres", "-D", home / "data", "-p", str(port), "-k", home, "-h", "127.0.0.1", "-F"]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, **quiet)
        _await_postgres(programs, home, port, quiet)
        yield f"postgresql+psycopg2://fishnet@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # "fast": ends the connections first
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(home, ignore_errors=True)


def postgres_programs() -> Path:
    """Where initdb lies; without it the test fails under CI and elsewhere says what to install."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/").glob(POSTGRES_PLACES.lstrip("/")), reverse=True)
    for folder in found:
        if all((folder / program).exists() for program in ("initdb", "postgres", "pg_isready")):
            return folder
    sentence = "PostgreSQL is not installed: `apt-get install postgresql` (Debian), then run this test again."
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def _await_postgres(programs: Path, home: Path, port: int, quiet: dict) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        asked = subprocess.run(
            [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True, check=False, **quiet
        )
        if asked.returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"PostgreSQL did not start for {getpass.getuser()}:\n{(home / 'log').read_text()[-2000:]}")


def _checked(command: list, **how) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
