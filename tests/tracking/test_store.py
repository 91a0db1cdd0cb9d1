import multiprocessing
import os
import resource
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fishnet.errors import BadInput, WorkFailed
from fishnet.tracking.session import start_run
from fishnet.tracking.store import Store, check_store, open_store


def start_one(home: Path, number: int) -> None:
    """What each of the processes does that start together."""
    store = open_store(str(home), home=home)
    run = start_run(store, experiment="race", run_name="same", folder=home / str(number))
    run.log_metrics({"val/loss": float(number)}, step=1)
    raise SystemExit(run.finish() or 0)


def test_a_folder_a_path_of_a_database_and_an_address_mean_the_same(store, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    for written in ("home", str(home), str(home / "mlflow.db"), store.uri, home.as_uri()):
        assert open_store(written, home=tmp_path / "other") == store
    assert store.uri == f"sqlite:///{home}/mlflow.db"
    assert not (tmp_path / "other").exists()


def test_the_environment_is_asked_when_opening_and_only_without_a_uri(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    assert open_store(None, home=tmp_path / "other") == store
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert open_store(None, home=tmp_path / "home") == store


def test_experiments_are_made_once_with_an_absolute_root(store, tmp_path, monkeypatch):
    first = store.experiment("Fish & chips/鱼")
    monkeypatch.chdir("/")
    assert store.experiment("Fish & chips/鱼") == first
    location = store.client().get_experiment(first).artifact_location
    assert location.startswith((tmp_path / "home" / "artifacts").as_uri())


def test_an_empty_or_deleted_experiment_is_refused(store):
    with pytest.raises(BadInput, match="empty"):
        store.experiment(" ")
    store.client().delete_experiment(store.experiment("gone"))
    with pytest.raises(BadInput, match="deleted"):
        store.experiment("gone")


def test_looking_in_an_empty_folder_leaves_it_empty(tmp_path):
    with pytest.raises(BadInput, match="fishnet train"):
        open_store(None, home=tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["postgresql://u:secret@h/db", "s3://bucket", "ftp://x"])
def test_other_schemes_are_refused_without_telling_secrets(uri, tmp_path):
    with pytest.raises(BadInput) as refused:
        open_store(uri, home=tmp_path)
    assert "secret" not in str(refused.value)


def test_a_password_in_the_address_is_refused(tmp_path):
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_PASSWORD") as refused:
        open_store("http://me:secret@127.0.0.1:1", home=tmp_path)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"photos of fish, not a database" * 100)
    with pytest.raises(BadInput, match="move it away"):
        open_store(str(tmp_path), home=tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes().startswith(b"photos")


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "of another program"])
def test_a_database_of_something_else_is_refused_and_left_as_it_was(tmp_path, content):
    file = tmp_path / "catches.db"
    if content is None:
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE catches (species TEXT)")
            database.execute("INSERT INTO catches VALUES ('perch')")
            database.commit()
    else:
        file.write_bytes(content)
    before = file.read_bytes()
    for create in (False, True):
        with pytest.raises(BadInput, match="a database of something else"):
            open_store(str(file), home=tmp_path, create=create)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_database_of_an_earlier_mlflow_is_not_changed_unasked(store, tmp_path):
    file = tmp_path / "home" / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE trace_tags")
        database.commit()
    before = file.read_bytes()
    with pytest.raises(BadInput, match="mlflow db upgrade"):
        open_store(store.uri, home=tmp_path, create=False)
    assert file.read_bytes() == before


def test_a_full_disk_is_a_sentence_and_leaves_no_half_database(tmp_path, capfd):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(WorkFailed, match="is the disk full"):
            open_store(str(tmp_path), home=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("mlflow.db*[!k]"))  # but for the lock
    assert "Traceback" not in capfd.readouterr().err


def test_a_disk_that_fills_up_when_the_run_begins_is_a_sentence(store, tmp_path, capfd):
    size = (tmp_path / "home" / "mlflow.db").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(WorkFailed, match="is the disk full"):
            start_many(store, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Traceback" not in capfd.readouterr().err


def start_many(store: Store, folder: Path) -> None:
    for number in range(100):
        start_run(store, experiment="reef", folder=folder / str(number), run_name="x" * 200).finish()


def test_a_read_only_database_can_be_looked_at_and_takes_no_run(store, capfd):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        shutil.copy(store.uri.removeprefix("sqlite:///"), file)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        with unprivileged():
            assert open_store(str(file), home=Path(folder), create=False).client().search_experiments()
            for attempt in (open_store, check_store):
                with pytest.raises(BadInput, match=r"make it writable, or set tracking\.uri"):
                    attempt(str(file), home=Path(folder))
        Path(folder).chmod(0o755)
    assert "Traceback" not in capfd.readouterr().err


@contextmanager
def unprivileged():
    """Root may write anywhere: inside, this process is nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_server_that_fails_now_and_then_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    failures = [500, 503, 500]

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = failures.pop() if failures else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"out of order" if status != 200 else b"{}")

        do_GET = do_POST

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    assert open_store(uri, home=tmp_path).uri == uri
    failures += [500] * 1000
    _refused_within(uri, "not as an MLflow server", tmp_path)
    store = Store(uri=uri)
    with pytest.raises(BadInput, match=f"{uri} fails"):
        store.patiently(lambda: store.client().search_experiments(), patience=1.0)
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match=r"tracking\.uri"):
        open_store(str(tmp_path / "runs"), home=tmp_path)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(BadInput, match=r"tracking\.uri"):
        open_store(str(tmp_path / "runs"), home=tmp_path)


def test_a_server_that_refuses_hangs_or_is_something_else_is_refused_in_time(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        _refused_within(f"http://127.0.0.1:{closed.getsockname()[1]}", "did not answer", tmp_path)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        _refused_within(f"http://127.0.0.1:{silent.getsockname()[1]}", "did not answer", tmp_path)
    other = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    _refused_within(f"http://127.0.0.1:{other.server_port}", "not as an MLflow server", tmp_path)
    other.shutdown()
    other.server_close()


def _refused_within(uri: str, words: str, home: Path) -> None:
    start = time.monotonic()
    with pytest.raises(BadInput, match=words):
        open_store(uri, home=home, patience=2.0)
    assert time.monotonic() - start < 6.0


@pytest.mark.slow
def test_six_processes_start_together_on_a_fresh_folder(tmp_path):
    home = tmp_path / "fresh"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", "fishnet.tracking.session"])
    children = [context.Process(target=start_one, args=(home, number)) for number in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * 6
    store = open_store(str(home), home=home)
    runs = store.client().search_runs([store.experiment("race")])
    assert sorted(run.data.metrics["val/loss"] for run in runs) == list(range(6))
    assert len({run.info.run_name for run in runs}) == 6
    assert not (home / "mlflow.db.new").exists()
