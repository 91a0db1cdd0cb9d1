import dataclasses
import math
import time
from contextlib import nullcontext

import pytest

from fishnet.errors import BadInput, Interrupted, WorkFailed
from fishnet.tracking import delivery
from fishnet.tracking.names import PROCESS
from fishnet.tracking.process import start_time, this_process
from fishnet.tracking.session import final_status, open_run, resume_run, start_run


def run_of(session):
    return session.store.client().get_run(session.run_id)


def history(session, key):
    return [(m.step, m.value) for m in session.store.client().get_metric_history(session.run_id, key)]


def test_everything_reported_is_in_the_store_when_the_run_ends(session, tmp_path):
    maps = tmp_path / "run" / "maps"
    maps.mkdir()
    (maps / "a.jpg").write_bytes(b"jpeg")
    for epoch in range(3):
        session.log_metrics({"val/loss": 1 / (epoch + 1), "f1/Klunzinger's × 鱼": 0.5}, step=epoch)
    session.log_params({"model": {"lr": 0.1}})
    session.log_artifacts(maps, "gradcam/0")
    session.log_artifacts(maps / "a.jpg")
    session.log_dict({"name": "É"}, "report/names.json")
    session.log_input(name="reef", digest="d" * 50, source="/photos", context="train", profile={"photos": 12})
    assert session.finish() == ""
    run = run_of(session)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.lr": "0.1"}
    assert history(session, "val/loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest, given.tags[0].value) == ("reef", "d" * 36, "train")
    artifacts = tmp_path / "home" / "artifacts" / "reef" / session.run_id / "artifacts"
    found = {str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file()}
    assert found == {"gradcam/0/a.jpg", "a.jpg", "report/names.json"}
    assert not (tmp_path / "run" / "undelivered").exists()


def test_reporting_costs_the_training_thread_next_to_nothing(session):
    start = time.perf_counter()
    for step in range(1000):
        session.log_metrics({"train/loss_step": 0.5}, step=step)
    assert time.perf_counter() - start < 1.0  # 24 s with one call a value
    session.finish()
    assert len(history(session, "train/loss_step")) == 1000


@pytest.mark.parametrize("again", [False, True])
def test_a_resumed_run_has_no_point_twice_and_the_last_of_what_it_has_once(store, session, tmp_path, again):
    points = [("val/loss", 0, 0.5), ("val/loss", 1, math.nan), ("best/val_f1", 0, 0.6), ("test/f1", 0, 0.7)]
    for key, step, value in points[:2]:
        session.log_metrics({key: value}, step=step)
    session.flush()
    for key, step, value in points[2:]:
        session._journal.append({"kind": "metrics", "time": 1, "step": step, "values": {key: value}})
    session.finish("KILLED")
    resumed = resume_run(store, session.run_id, folder=tmp_path / "run", again=again)
    resumed.log_metrics({"val/loss": 0.4}, step=0)  # an epoch that is trained again, on a device that adds otherwise
    for key, step, value in points[1:2] + points[3:]:
        resumed.log_metrics({key: value}, step=step)
    resumed.log_metrics({"val/loss": 0.3}, step=2)
    resumed.log_metrics({"best/val_f1": 0.8}, step=0)
    resumed.finish()
    steps = [step for step, _ in history(resumed, "val/loss")]
    assert sorted(steps) == ([0, 0, 1, 1, 2] if again else [0, 1, 2])
    assert len(history(resumed, "test/f1")) == 1 + again
    assert run_of(resumed).data.metrics["best/val_f1"] == 0.8


def test_infinite_values_do_not_reach_the_charts(session):
    session.log_metrics({"val/loss": math.inf, "val/f1": math.nan}, step=4)
    session.finish()
    run = run_of(session)
    assert math.isnan(run.data.metrics["val/loss"])
    assert math.isnan(run.data.metrics["val/f1"])
    assert "step 4" in run.data.tags["fishnet.infinite.val/loss"]


def test_names_of_runs_are_told_apart(store, session, tmp_path):
    names = {session.run_name}
    for number in range(2):
        other = start_run(store, experiment="reef", folder=tmp_path / str(number), run_name="one")
        names.add(other.run_name)
        other.finish()
    assert names == {"one", "one-2", "one-3"}


def test_a_refused_report_is_put_aside_and_holds_up_no_other(session, tmp_path):
    session.log_params({"lr": 1})
    session._journal.append({"kind": "params", "values": {"lr": "2"}})
    session.log_artifacts(tmp_path / "never-made")
    session.log_metrics({"val/loss": 0.5})
    sentence = session.finish()
    assert "2 reports were refused" in sentence
    assert run_of(session).data.metrics == {"val/loss": 0.5}
    assert run_of(session).info.status == "FINISHED"


def test_a_run_deleted_meanwhile_does_not_hold_up_the_end(session):
    session.store.client().delete_run(session.run_id)
    session.log_metrics({"val/loss": 0.5})
    start = time.monotonic()
    assert "refused" in session.finish()
    assert time.monotonic() - start < 5


def test_a_resumed_run_goes_on_and_tells_what_changed(store, session, tmp_path):
    session.log_params({"lr": 0.1, "epochs": 2})
    session.log_metrics({"val/loss": 1.0}, step=0)
    session.finish("KILLED")
    again = resume_run(store, session.run_id, folder=tmp_path / "run")
    assert run_of(again).info.status == "RUNNING"
    again.log_params({"lr": 0.1, "epochs": 5, "new": 1})
    again.log_metrics({"val/loss": 0.5}, step=1)
    again.finish()
    run = run_of(again)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1", "epochs": "2", "new": "1"}
    assert run.data.tags["fishnet.changed.epochs"] == "5"
    assert history(again, "val/loss") == [(0, 1.0), (1, 0.5)]


def test_a_run_that_another_process_writes_is_not_resumed(store, session, tmp_path):
    other = dataclasses.replace(this_process(), pid=1, started=start_time(1))
    store.client().set_tag(session.run_id, PROCESS, other.to_tag())
    with pytest.raises(BadInput, match="process 1"):
        resume_run(store, session.run_id, folder=tmp_path / "run")
    with pytest.raises(BadInput, match="no run"):
        resume_run(store, "0" * 32, folder=tmp_path / "run")


class Away:
    """A store that can be lost: every call fails while `away` is set."""

    def __init__(self, client):
        self.client, self.away = client, False

    def __getattr__(self, name):
        def call(*arguments, **named):
            if self.away:
                raise ConnectionError("the server is away")
            return getattr(self.client, name)(*arguments, **named)

        return call


@pytest.fixture
def loseable(store, tmp_path, monkeypatch):
    door = Away(store.client())
    monkeypatch.setattr(type(store), "client", lambda self: door)
    run = start_run(store, experiment="reef", folder=tmp_path / "run", every=0.05)
    return run, door


def test_a_store_lost_and_found_again_misses_nothing(loseable, caplog):
    run, door = loseable
    for epoch in range(20):
        door.away = 5 <= epoch < 15
        run.log_metrics({"val/loss": float(epoch)}, step=epoch)
        time.sleep(0.02)
    assert run.finish() == ""
    assert history(run, "val/loss") == [(epoch, float(epoch)) for epoch in range(20)]
    assert caplog.text.count("does not answer") == 1


def test_a_store_that_stays_away_leaves_a_sentence_and_the_next_command_delivers(loseable, tmp_path):
    run, door = loseable
    assert run.flush()
    door.away = True
    for epoch in range(3):
        run.log_metrics({"val/loss": 1.0, "val/f1": 0.5}, step=epoch)
    run.log_text("hello", "report/a.txt")
    start = time.monotonic()
    sentence = run.finish(patience=0.5)
    assert time.monotonic() - start < 5
    assert sentence.startswith("6 metric values and 1 artifact and 1 other entry wait in")
    assert "fishnet compare deliver=true" in sentence
    door.away = False
    assert run_of(run).info.status == "RUNNING"
    (said,) = delivery.deliver(tmp_path, uri=run.store.uri, home=tmp_path)
    assert "delivered" in said
    assert run_of(run).info.status == "FINISHED"
    assert len(history(run, "val/f1")) == 3
    assert delivery.deliver(tmp_path, uri=run.store.uri, home=tmp_path) == []


def test_a_store_back_after_the_end_was_said_stays_ended(loseable, monkeypatch):
    monkeypatch.setattr(delivery, "HEARTBEAT_EVERY", 0.0)
    run, door = loseable
    door.away = True
    run.log_metrics({"val/loss": 1.0})
    time.sleep(0.2)
    door.away = False
    assert run.finish() == ""
    assert run_of(run).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (Interrupted(15), "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
        (WorkFailed("no"), "FAILED"),
        (SystemExit(2), "FAILED"),
    ],
)
def test_a_run_ends_with_the_status_of_what_ended_it(store, tmp_path, error, status):
    assert final_status(error) == status
    ends = nullcontext() if error is None else pytest.raises(type(error))
    with ends, open_run(lambda: start_run(store, experiment="reef", folder=tmp_path), outputs=tmp_path) as run:
        if error is not None:
            raise error
    assert run_of(run).info.status == status


def test_a_process_that_does_not_write_has_no_run_to_end(tmp_path):
    with open_run(lambda: None, outputs=tmp_path) as run:
        assert run is None
