"""Against real tracking servers: what is reported is there, from one process and from four, and across a loss."""

import math
import multiprocessing
import random
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fishnet.tracking.compare import compare
from fishnet.tracking.delivery import deliver
from fishnet.tracking.logger import MlflowLogger
from fishnet.tracking.runs import close_stale_runs, summarise_children
from fishnet.tracking.session import resume_run, start_run
from fishnet.tracking.store import open_store
from tests.support.servers import postgres_server, sqlite_server

pytestmark = pytest.mark.slow

EPOCHS, KEYS = 20, 30


@pytest.fixture(scope="module", params=[sqlite_server, postgres_server], ids=["sqlite", "postgres"])
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("server")) as running:
        yield running


def write_run(uri: str, folder: Path, number: int, parent: str) -> None:
    """A whole logger session, as one training process has it."""
    logger = MlflowLogger(
        experiment="parallel",
        run_name="same",
        uri=uri,
        home=str(folder),
        folder=str(folder / str(number)),
        parent=parent,
    )
    logger.log_hyperparams({"model": {"lr": 0.1 / (number + 1)}})
    for epoch in range(EPOCHS):
        values = {f"val_class/c{key}/f1": number + epoch / 100 + key / 10000 for key in range(KEYS)}
        logger.log_metrics({**values, "epoch": epoch}, step=epoch * 7)
    overlays = folder / str(number) / "overlays"  # of the run's own folder: no other artifact is taken
    overlays.mkdir(parents=True)
    for picture in range(5):
        (overlays / f"{picture}.jpg").write_bytes(bytes([number, picture]) * 5000)
    logger.log_artifacts(overlays, "gradcam")
    logger.log_metrics({"val/odd": math.nan, "val/inf": math.inf}, step=3)
    logger.log_input(name="reef", digest="abc", source="/photos", context="train")
    raise SystemExit(logger.finish() or 0)


def test_a_run_and_four_at_once_read_back_whole(server, tmp_path):
    store = open_store(server.uri, home=tmp_path)
    parent = start_run(store, experiment="parallel", folder=tmp_path, run_name="sweep")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.rest_store", "fishnet.tracking.logger"])
    writers = [context.Process(target=write_run, args=(server.uri, tmp_path, n, parent.run_id)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(180)
    assert [writer.exitcode for writer in writers] == [0] * 4
    summarise_children(parent, metric="best/val_f1_macro", largest=True)
    assert parent.finish() == ""
    rows = compare(uri=server.uri, home=tmp_path, experiment="parallel")
    children = [row for row in rows if row.parent == parent.run_id]
    assert len({row.name for row in children}) == 4
    for number in range(4):
        (row,) = [row for row in children if row.params["model.lr"] == str(0.1 / (number + 1))]
        _check_run(store, row.run_id, number, tmp_path / f"back{number}")


def _check_run(store, run_id: str, number: int, back: Path) -> None:
    client = store.client()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    for key in range(KEYS):
        told = {m.step: m.value for m in client.get_metric_history(run_id, f"val_class/c{key}/f1")}
        assert told == pytest.approx({epoch: number + epoch / 100 + key / 10000 for epoch in range(EPOCHS)})
    assert math.isnan(run.data.metrics["val/odd"])
    assert math.isnan(run.data.metrics["val/inf"])
    assert run.inputs.dataset_inputs[0].dataset.name == "reef"
    back.mkdir()
    pictures = Path(client.download_artifacts(run_id, "gradcam", str(back)))
    assert (pictures / "4.jpg").read_bytes() == bytes([number, 4]) * 5000


def test_a_finished_run_goes_on_when_resumed(server, tmp_path):
    store = open_store(server.uri, home=tmp_path)
    first = start_run(store, experiment="resumed", folder=tmp_path, run_name="r")
    first.log_params({"lr": 1})
    assert first.finish("KILLED") == ""
    again = resume_run(store, first.run_id, folder=tmp_path)
    assert close_stale_runs(store) == []
    again.log_params({"lr": 2})
    assert again.finish() == ""
    run = store.client().get_run(first.run_id)
    assert (run.info.status, run.data.params["lr"], run.data.tags["fishnet.changed.lr"]) == ("FINISHED", "1", "2")


def test_a_server_killed_in_mid_run_loses_nothing(tmp_path):
    with sqlite_server(tmp_path) as server:
        store = open_store(server.uri, home=tmp_path)
        run = start_run(store, experiment="lost", folder=tmp_path / "run", every=0.2)
        slowest = 0.0
        for epoch in range(60):
            if epoch == 20:
                server.kill()
            if epoch == 40:
                server.start()
            begin = time.monotonic()
            run.log_metrics({"val/loss": epoch / 60}, step=epoch)
            run.log_text(str(epoch), f"report/{epoch}.txt")
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.05)
        assert slowest < 0.5
        assert run.finish(patience=60) == ""
        told = {m.step: m.value for m in store.client().get_metric_history(run.run_id, "val/loss")}
        assert told == pytest.approx({epoch: epoch / 60 for epoch in range(60)})
        assert len(store.client().list_artifacts(run.run_id, "report")) == 60


def test_a_server_that_stays_away_is_said_in_time_and_served_later(tmp_path, caplog):
    with sqlite_server(tmp_path) as server:
        store = open_store(server.uri, home=tmp_path)
        run = start_run(store, experiment="lost", folder=tmp_path / "run", every=0.2)
        run.flush()
        server.kill()
        run.log_metrics({"val/loss": 0.5, "val/f1": 0.25}, step=1)
        begin = time.monotonic()
        sentence = run.finish(patience=3)
        assert time.monotonic() - begin < 20
        assert sentence.startswith("2 metric values and 1 other entry wait in")
        assert sentence in caplog.text
        server.start()
        assert "delivered" in deliver(tmp_path, uri=server.uri, home=tmp_path)[0]
        told = store.client().get_run(run.run_id)
        assert told.info.status == "FINISHED"
        assert told.data.metrics == {"val/loss": 0.5, "val/f1": 0.25}


def test_a_server_that_fails_at_the_start_has_one_run_all_the_same(server, tmp_path, monkeypatch):
    """Of the first calls every other one is answered by 500, some of them after they were carried out."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    calls, chance = [], random.Random(18)

    class Flaky(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            calls.append(self.path)
            fails = len(calls) < 40 and chance.choice(["", "", "before", "after"])
            status, answer = 500, b"out of order"
            if fails != "before":
                address, headers = f"{server.uri}{self.path}", dict(self.headers)
                request = urllib.request.Request(address, body, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=30) as reply:
                        got = (reply.status, reply.read())
                except urllib.error.HTTPError as error:
                    got = (error.code, error.read())
                status, answer = (500, b"out of order") if fails else got
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PATCH = do_POST

        def log_message(self, *arguments):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    store = open_store(f"http://127.0.0.1:{proxy.server_port}", home=tmp_path)
    run = start_run(store, experiment="flaky", run_name="one", folder=tmp_path / "run")
    run.log_metrics({"val/loss": 0.5}, step=1)
    assert run.finish(patience=60) == ""
    proxy.shutdown()
    proxy.server_close()
    direct = open_store(server.uri, home=tmp_path)
    (found,) = direct.client().search_runs([direct.experiment("flaky")])
    assert (found.info.run_name, found.info.status, found.data.metrics) == ("one", "FINISHED", {"val/loss": 0.5})
