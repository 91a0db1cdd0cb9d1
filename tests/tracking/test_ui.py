import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from fishnet.errors import BadInput
from fishnet.tracking.store import Store
from fishnet.tracking.ui import HOST, environment, free_port, serve_ui, until_signalled

UI = "import sys; from pathlib import Path; from fishnet.tracking.ui import serve_ui;"


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(BadInput, match="fishnet train"):
        serve_ui(uri=None, home=tmp_path)
    with pytest.raises(BadInput, match="65535"):
        serve_ui(uri=None, home=tmp_path, port=70000)


def test_a_taken_port_gives_another():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) not in (port, 0)
    assert free_port(port) == port


def test_the_server_is_private_and_not_sent_elsewhere(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    given = environment()
    assert "MLFLOW_TRACKING_URI" not in given
    assert given["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert given["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_server_is_only_pointed_at(monkeypatch, store, tmp_path, capsys):
    there = Store(uri="http://127.0.0.1:9")
    monkeypatch.setattr("fishnet.tracking.ui.open_store", lambda *a, **k: there)
    monkeypatch.setattr(Store, "client", lambda self: __import__("mlflow").MlflowClient(store.uri))
    store.experiment("reef")
    serve_ui(uri=there.uri, home=tmp_path)
    assert "http://127.0.0.1:9/#/experiments/1/runs" in capsys.readouterr().out


def test_nohup_keeps_it_where_its_terminal_is_closed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with until_signalled():
            os.kill(os.getpid(), signal.SIGHUP)
            reached = True
        assert reached and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_on_loopback_until_a_signal_and_leaves_no_process(store, tmp_path, session, kind):
    session.log_text("hello", "report/a.txt")
    session.finish()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    code = f"{UI} serve_ui(uri={store.uri!r}, home=Path('.'), port={port})"
    serving = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        lines = [serving.stdout.readline() for _ in range(3)]
        base = f"http://{HOST}:{port}"
        assert lines[0] == f"MLflow is at {base}\n"
        assert f"{base}/#/experiments/{session.experiment_id}/runs" in "".join(lines)
        assert b"<html" in urllib.request.urlopen(base).read().lower()
        artifact = f"{base}/get-artifact?run_id={session.run_id}&path=report/a.txt"
        assert urllib.request.urlopen(artifact).read() == b"hello"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(base, headers={"Host": "evil.example"}))
        children = _descendants(serving.pid)
        assert children
        serving.send_signal(kind)
        assert serving.wait(30) == 0
        _gone(children)
    finally:
        serving.terminate()
        serving.wait(30)


def _descendants(pid: int) -> list[int]:
    asked = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    direct = [int(word) for word in asked.stdout.split()]
    return direct + [below for child in direct for below in _descendants(child)]


def _gone(processes: list[int]) -> None:
    deadline = time.monotonic() + 10
    while [pid for pid in processes if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.1)
