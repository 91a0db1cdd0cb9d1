"""Runs that are copied from files: nested, found again by their keys, and sent only when they have changed."""

from dataclasses import replace

from fishnet.tracking.delivery import CopyDelivery, RunCopy
from fishnet.tracking.names import PARENT
from fishnet.tracking.session import OfflineSession


def sent(store, tmp_path, copies):
    delivery = CopyDelivery(store.uri, home=tmp_path, experiment="reef", lock=tmp_path / "lock", goes_on="")
    delivery.put(copies)
    while not delivery.empty:
        delivery.send()
    return delivery


def test_copies_that_are_sent_twice_are_there_once_below_their_parent(store, tmp_path, caplog):
    session = OfflineSession(folder=tmp_path / "run", tags={"fishnet.command": "train"})
    session.log_metrics({"val/loss": 0.5}, step=3)
    session.finish("FAILED")
    parent = RunCopy(key="p", name="sweep", status="FINISHED", metrics={"mean/val/loss": 0.5})
    child = RunCopy(
        key="c",
        name="t0",
        parent=replace(parent, status="RUNNING", metrics={}),
        status="KILLED",
        started=1.0,
        ended=2.0,
        artifacts=[(tmp_path / "never-made", "log")],
        folder=tmp_path / "run",
    )
    for _ in range(2):
        delivery = sent(store, tmp_path, [child, parent])  # the child's copy makes the parent
    runs = {run.info.run_name: run for run in store.client().search_runs([store.experiment("reef")])}
    assert set(runs) == {"sweep", "t0"}
    assert (runs["sweep"].info.status, runs["sweep"].data.metrics) == ("FINISHED", {"mean/val/loss": 0.5})
    assert runs["t0"].data.tags[PARENT] == runs["sweep"].info.run_id
    assert (runs["t0"].info.status, runs["t0"].info.start_time, runs["t0"].info.end_time) == ("KILLED", 1000, 2000)
    assert (runs["t0"].data.metrics, runs["t0"].data.tags["fishnet.command"]) == ({"val/loss": 0.5}, "train")
    assert "never-made is gone" in caplog.text

    delivery.put([child, parent])
    assert delivery.empty
    delivery.put([child, parent], again=True)  # another process may have sent the parent otherwise
    delivery.send()
    assert delivery.empty
