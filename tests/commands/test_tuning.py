"""`fishnet train tune=lr`: a rate, its picture and its curve in the store; no checkpoint, no test."""

import json

import pandas as pd
import pytest

from fishnet.tracking.store import open_store

FAST = ["tune=lr", "range_test.steps=40", "range_test.high=1", "model.optimizer=adam", "out=run"]


def test_a_range_test_ends_with_a_rate_that_a_training_can_take(fishnet, tiny, tmp_path):
    done = fishnet("train", *tiny, *FAST, "data.augment=none")
    assert done.status == 0, done.err
    told = json.loads((tmp_path / "run" / "report" / "lr.json").read_text())
    assert 1e-5 < told["lr"] < 1
    assert f"model.lr={told['lr']:.2g}" in done.out
    table = pd.read_csv(tmp_path / "run" / "report" / "lr.csv")
    assert table.lr.is_monotonic_increasing
    assert len(table) <= 40
    assert (tmp_path / "run" / "report" / "lr.png").stat().st_size > 10_000
    assert not list(tmp_path.rglob("*.ckpt"))
    store = open_store(None, home=tmp_path)
    (run,) = store.client().search_runs([store.client().get_experiment_by_name("fishnet").experiment_id])
    assert run.data.metrics["best/lr"] == pytest.approx(told["lr"], rel=1e-5)
    assert not [name for name in run.data.metrics if name.startswith(("test/", "val/"))]
    assert len(store.client().get_metric_history(run.info.run_id, "tune/loss")) == len(table)


def test_a_loss_that_never_falls_is_said_and_its_picture_stays(fishnet, tiny, tmp_path):
    done = fishnet("train", *tiny, *FAST, "range_test.low=1e-9", "range_test.high=1e-8", "data.augment=none")
    assert done.status == 1
    assert "never fell" in done.err
    assert (tmp_path / "run" / "report" / "lr.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tune=rl"], "tune=rl: this takes lr"),
        (["tune=lr", "range_test.low=1", "range_test.high=0.1"], "rise"),
        (["tune=lr", "range_test.steps=3"], "range_test.steps=3"),
        (["tune=lr", "range_test.low=abc"], "a number"),
        (["tune=lr", "resume=abc"], "anew"),
        (["tune=lr", "trainer.devices=2"], "one device"),
    ],
)
def test_bad_input_is_one_sentence(fishnet, tiny, arguments, words):
    done = fishnet("train", *tiny, *arguments)
    assert done.status == 2
    assert words in done.err
    assert "Traceback" not in done.err
