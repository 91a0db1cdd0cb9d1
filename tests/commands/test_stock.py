"""fishnet stock from the command line on: a page, its tables, a run; and what is refused leaves nothing behind."""

import re
import shutil
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest

from fishnet.fisheries.simulating import sample
from tests.support.processes import environment, fishnet_itself

QUICK = ["fits=1", "resamples=50", "learn=false"]


@pytest.fixture
def here(migrated, tmp_path, monkeypatch):
    """A folder with a store in it, and a table of four made stocks."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(migrated / "mlflow.db", tmp_path)
    sample(stocks=4, years=30)[0].to_csv(tmp_path / "four.csv", index=False)
    return tmp_path


def test_a_table_becomes_a_page_its_tables_and_a_run(fishnet, here):
    ended = fishnet("stock", "tables=four.csv", "out=fish", *QUICK)
    assert ended.status == 0, ended.err
    assert re.search(r"BdivBmsy +B/Bmsy", ended.out)
    page = (here / "fish" / "page.html").read_text()
    assert page.count('<img src="data:image/svg+xml;base64,') == page.count("<img ") >= 4
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "default-src 'none'" in page
    tables = {path.stem for path in (here / "fish" / "tables").iterdir()}
    assert tables == {"columns", "sustainable", "status", "fits", "paths", "projections"}
    fits = pd.read_csv(here / "fish" / "tables" / "fits.csv")
    assert set(fits["curve"]) == {"schaefer", "fox"}
    assert (fits["low"] <= fits["value"]).all() and (fits["value"] <= fits["high"]).all()
    assert not list((here / "fish").glob(".*.part"))
    with sqlite3.connect(here / "mlflow.db") as database:
        (status, name) = database.execute("select status, name from runs").fetchone()
        metrics = {key for (key,) in database.execute("select key from metrics")}
    assert (status, name) == ("FINISHED", "stock-four")
    assert any(key.startswith("dynamics/") for key in metrics)


def test_one_stock_by_name_its_curve_and_its_future(fishnet, here):
    name = pd.read_csv(here / "four.csv")["stocklong"].iloc[0]
    ended = fishnet("stock", "tables=four.csv", "out=one", f"stock={name}", "curve=fox", "catch=5", "horizon=3", *QUICK)
    assert ended.status == 0, ended.err
    future = pd.read_csv(here / "one" / "tables" / "projections.csv")
    assert len(future) == 6 and future["rule"].iloc[0] == "5 tonnes caught every year"
    assert set(pd.read_csv(here / "one" / "tables" / "fits.csv")["curve"]) == {"fox"}


BAD = {
    "header.csv": "Entity,Code,Year",
    "page.csv": "<!DOCTYPE html><html></html>",
    "twice.csv": "stockid,year,catch\ncod,2000,1\ncod,2000,2\n",
    "negative.csv": "stockid,year,biomass\ncod,2000,-1\n",
    "else.csv": "sepal,petal\n1,2\n",
}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["tables=header.csv"], "no rows"),
        (["tables=page.csv"], "web page"),
        (["tables=twice.csv"], "twice"),
        (["tables=negative.csv"], "negative"),
        (["tables=else.csv"], "something else"),
        (["tables=gone.csv"], "does not exist"),
        (["tables=four.csv", "stock=nobody"], "no such stock"),
        (["tables=four.csv", "curve=foxx"], "takes both or schaefer or fox"),
        (["tables=four.csv", "columns=nowhere=catch"], "nowhere"),
        (["tables=four.csv", "catch=-1"], "0 or more"),
        (["tables=four.csv", "catch=much"], "a number or null"),
        (["tables=four.csv", "resamples=3"], "50 to 5000"),
        (["tables=four.csv", "out=four.csv"], "is a file"),
        (["tables=four.csv", "table=x"], "did you mean tables"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(fishnet, here, arguments, reason):
    for name, text in BAD.items():
        (here / name).write_text(text)
    before = sorted(here.rglob("*"))
    ended = fishnet("stock", *arguments)
    assert ended.status == 2
    said = [line for line in ended.err.splitlines() if line.startswith("fishnet: ")]
    assert len(said) == 1 and reason in said[0], ended.err
    assert "Traceback" not in ended.err
    assert sorted(here.rglob("*")) == before


def test_a_folder_in_use_is_not_written_into(fishnet, here):
    (here / "mine").mkdir()
    (here / "mine" / "note.txt").write_text("mine")
    ended = fishnet("stock", "tables=four.csv", "out=mine", *QUICK)
    assert ended.status == 2 and "in use" in ended.err
    assert [path.name for path in (here / "mine").iterdir()] == ["note.txt"]


def test_no_torch_is_needed(here):
    code = (
        "import sys, runpy; sys.argv = ['stock', 'tables=four.csv', 'out=x', 'fits=1', 'resamples=50', 'learn=true'];"
        "runpy.run_module('fishnet.commands.stock', run_name='__main__');"
        "assert 'torch' not in sys.modules and 'sklearn' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fewer than 30" in (here / "x" / "page.html").read_text()


@pytest.mark.slow
def test_the_made_table_from_the_shell_on_with_learning_and_its_run(here):
    done = fishnet_itself(here, "stock", "out=made", "fits=2", "resamples=50")
    assert done.returncode == 0, done.stdout
    learnt = pd.read_csv(here / "made" / "tables" / "learning.csv")
    assert {"ignorance", "rule of thumb", "logistic", "boosting"} <= set(learnt["model"])
    truth = pd.read_csv(here / "made" / "tables" / "truth.csv")
    assert len(truth) == 48
    with sqlite3.connect(here / "mlflow.db") as database:
        metrics = {key for (key,) in database.execute("select key from metrics")}
    assert {"test/auc", "test/auc_low", "test/auc_high", "test/brier", "rule_of_thumb/auc"} <= metrics
    assert (here / "artifacts" / "stock").exists()


def test_each_default_in_the_configuration_equals_the_functions():
    import inspect

    from fishnet.config.compose import compose
    from fishnet.fisheries.dynamics import dynamics

    settings, parameters = compose("stock", []), inspect.signature(dynamics).parameters
    for key in ("curve", "resamples", "horizon", "catch", "fishing", "seed"):
        assert settings[key] == parameters[key].default, key
