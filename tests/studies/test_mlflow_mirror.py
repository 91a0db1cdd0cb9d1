"""Study ▸ stage ▸ trial ▸ fold in a real store; sent twice it is there once."""

import pytest

from fishnet.studies.mlflow_mirror import Mirror
from fishnet.tracking.store import open_store

STAGES = {
    "first": {"folds": 2, "search": {"points": {"a": {"x": 0.5}, "b": {"x": 0.7}, "c": {"x": 1, "do": "1/0"}}}},
    "last": {"test": True},
}


def runs_of(home):
    client = open_store(None, home=home).client()
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return {run.info.run_id: run for run in found}, client


def test_nested_runs_tell_mean_sd_and_interval(study, tmp_path):
    engine = study(jobs=4, ended=lambda *note: mirror.note(*note), **STAGES)
    study.folder.mkdir()
    mirror = Mirror(engine.protocol, study.folder, uri=None, home=tmp_path, experiment="fishnet")
    with mirror.opened(engine):
        engine.run()
    runs, client = runs_of(tmp_path)
    names = {run.info.run_name: run for run in runs.values()}

    def above(run):
        parent = run.data.tags.get("mlflow.parentRunId")
        return [runs[parent].info.run_name, *above(runs[parent])] if parent else []

    assert above(names["b-fold1-seed0"]) == ["first-b", "tried 1 first", "study tried"]
    figures = names["first-b"].data.metrics
    assert figures["val/accuracy"] == pytest.approx(0.705)
    assert figures["sd/val/accuracy"] == pytest.approx(0.00707, abs=1e-4)
    assert figures["val/accuracy_low"] < 0.705 < figures["val/accuracy_high"]
    assert names["first-b"].data.params == {"x": "0.7"}
    assert names["c-fold0-seed0"].info.status == "FAILED"
    assert "ZeroDivisionError" in names["c-fold0-seed0"].data.tags["fishnet.cause"]
    assert [one.path for one in client.list_artifacts(names["c-fold0-seed0"].info.run_id)] == ["log"]
    assert names["tried 1 first"].data.metrics["children/finished"] == 2
    assert names["study tried"].info.status == "FINISHED"

    again = study(**STAGES)
    assert again.replay()
    twice = Mirror(again.protocol, study.folder, uri=None, home=tmp_path, experiment="fishnet")
    twice.deliver(again.states, again.journal, "FINISHED")
    assert set(runs_of(tmp_path)[0]) == set(runs)


def test_what_had_not_ended_when_the_study_did_does_not_run_on(study, tmp_path):
    stages = {"only": {"folds": 2, "search": {"points": {"a": {"x": 0.5}, "b": {"x": 0.7}}}}}
    engine = study(jobs=1, ended=lambda *note: mirror.note(*note), **stages)
    study.folder.mkdir()
    mirror = Mirror(engine.protocol, study.folder, uri=None, home=tmp_path, experiment="fishnet")

    def after_one(states):
        if any(one.results for one in states[0].scored):
            raise KeyboardInterrupt

    engine.watch([after_one])
    with pytest.raises(KeyboardInterrupt), mirror.opened(engine):
        engine.run()
    runs, _ = runs_of(tmp_path)
    assert {run.info.run_name: run.info.status for run in runs.values()}["only-a"] == "KILLED"
    assert "RUNNING" not in {run.info.status for run in runs.values()}


def test_a_store_that_was_away_is_asked_again_and_gets_what_it_missed(study, tmp_path, monkeypatch):
    import fishnet.studies.mlflow_mirror as mirrors

    monkeypatch.setattr(mirrors, "PATIENCE", 60.0)  # making a store takes a while on a busy machine
    away = iter([True])

    def opened(*args, **options):
        if next(away, False):
            raise ConnectionError("nobody is there")
        return open_store(*args, **options)

    monkeypatch.setattr("fishnet.tracking.delivery.open_store", opened)
    engine = study(ended=lambda *note: mirror.note(*note), only={"search": {"points": {"a": {"x": 0.5}}}})
    study.folder.mkdir()
    mirror = Mirror(engine.protocol, study.folder, uri=None, home=tmp_path, experiment="fishnet")
    with mirror.opened(engine):
        engine.run()
    names = {run.info.run_name for run in runs_of(tmp_path)[0].values()}
    assert names == {"study tried", "tried 1 only", "a"}
