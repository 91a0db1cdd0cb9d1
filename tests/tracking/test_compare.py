import csv
import io
import json
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest
from rich.console import Console

from fishnet.errors import BadInput
from fishnet.tracking.compare import compare
from fishnet.tracking.layout import duration
from fishnet.tracking.names import ROLE
from fishnet.tracking.runs import summarise_children
from fishnet.tracking.session import start_run


@pytest.fixture
def filled(store, tmp_path):
    """A parent with two children of other learning rates, and one lone run that failed."""
    parent = start_run(store, experiment="reef", folder=tmp_path, run_name="sweep", tags={ROLE: "parent"})
    for number, lr in enumerate((0.1, 0.01)):
        run = start_run(store, experiment="reef", folder=tmp_path, run_name=f"t00{number}", parent=parent.run_id)
        run.log_params({"model": {"lr": lr, "momentum": 0.9}})
        run.log_metrics({"best/val_f1_macro": 0.5 + lr, "test/accuracy": 0.8 + lr, "test/f1_macro": 0.7})
        run.log_metrics({"test/accuracy_low": 0.75, "test/accuracy_high": 0.95})
        run.finish()
    summarise_children(parent, metric="best/val_f1_macro", largest=True)
    parent.finish()
    start_run(store, experiment="other", folder=tmp_path, run_name="lone").finish("FAILED")
    return store


def shown(store, tmp_path, width=200, **options):
    out = io.StringIO()
    rows = compare(uri=store.uri, home=tmp_path, console=Console(file=out, width=width), **options)
    return rows, out.getvalue()


def test_the_table_shows_a_tree_figures_and_only_what_differs(filled, tmp_path):
    rows, text = shown(filled, tmp_path)
    assert [(row.name, row.depth) for row in rows] == [("lone", 0), ("sweep", 0), ("t001", 1), ("t000", 1)]
    assert "0.900 [0.75, 0.95]" in text
    assert "0.855 ± 0.064" in text
    heading = next(line for line in text.splitlines() if "status" in line)
    assert " lr " in heading
    assert "momentum" not in heading


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_run_is_one_line_at_any_width(filled, tmp_path, width):
    long = "a-run-with-a-very-long-name-that-someone-typed-by-hand-for-a-purpose-since-forgotten"
    run = start_run(filled, experiment="reef", folder=tmp_path, run_name=long)
    run.log_params({"model": {"lr": 0.3, "backbone": "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k"}})
    run.log_metrics({"test/f1_macro": 0.6, "test/f1_macro_low": 0.5, "test/f1_macro_high": 0.7})
    run.finish()
    rows, text = shown(filled, tmp_path, width=width, experiment="reef")
    table = text.split("These open")[0].splitlines()
    rule = next(place for place, line in enumerate(table) if "───" in line)
    lines = [line for line in table[rule + 1 :] if line.strip() and "more parameter" not in line]
    assert len(lines) == len(rows) == 4
    assert all(len(line) <= width for line in table)
    assert "└ t001" in lines[-2]
    assert "0.600" in lines[0]


def test_links_lead_into_the_right_pages(filled, tmp_path):
    rows, text = shown(filled, tmp_path, experiment="reef", port=5123)
    assert "fishnet ui" in text
    experiment = rows[0].experiment_id
    assert f"http://127.0.0.1:5123/#/experiments/{experiment}/runs?" in text
    runs, experiments = re.search(r"compare-runs\?runs=(\S+?)&experiments=(\S+?)&", text).groups()
    assert set(json.loads(unquote(runs))) == {row.run_id for row in rows if row.depth}
    assert json.loads(unquote(experiments)) == [experiment]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"status": "failed"}, ["lone"]),
        ({"experiment": "other"}, ["lone"]),
        ({"parent": "sweep"}, ["sweep", "t001", "t000"]),
        ({"sort": "test/accuracy", "experiment": "reef"}, ["sweep", "t000", "t001"]),
        ({"last": 1}, ["lone"]),
    ],
)
def test_filters_and_order(filled, tmp_path, options, names):
    assert [row.name for row in shown(filled, tmp_path, **options)[0]] == names


def test_a_child_is_never_shown_without_its_parent(filled, tmp_path):
    rows, _ = shown(filled, tmp_path, experiment="reef", last=1)
    assert [row.name for row in rows] == ["sweep", "t001"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"status": "done"}, "finished"),
        ({"experiment": "reff"}, "reef"),
        ({"sort": "test/acuracy"}, "test/accuracy"),
        ({"parent": "sweeep"}, "sweep"),
        ({"last": 0}, "at least one"),
        ({"csv": "no/such/folder/runs.csv"}, "folder that exists"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(filled, tmp_path, options, words):
    with pytest.raises(BadInput, match=words):
        shown(filled, tmp_path, **options)


def test_among_many_figures_a_sorting_is_still_offered(filled, tmp_path):
    run = start_run(filled, experiment="reef", folder=tmp_path, run_name="rich")
    run.log_metrics({f"val_class/fish-{number}/f1": 0.5 for number in range(30)} | {f"val/m{n}": 0 for n in range(12)})
    run.finish()
    with pytest.raises(BadInput, match=r"choose from start, duration, .*test/accuracy"):
        shown(filled, tmp_path, sort="xyzzy")


def test_a_whole_folder_that_was_measured_has_columns_of_its_own(filled, tmp_path):
    assert "folder F1" not in shown(filled, tmp_path)[1]
    run = start_run(filled, experiment="reef", folder=tmp_path, run_name="evaluate-lake")
    run.log_metrics({"all/accuracy": 0.625, "all/f1_macro": 0.375})
    run.finish()
    text = shown(filled, tmp_path)[1]
    assert "folder F1" in text and "0.375" in text


def test_the_csv_holds_everything_and_is_not_overwritten_unasked(filled, tmp_path):
    target = tmp_path / "runs.csv"
    shown(filled, tmp_path, csv=str(target))
    with target.open() as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    assert lines["t000"]["model.momentum"] == "0.9"
    assert float(lines["t000"]["test/accuracy"]) == 0.9
    assert lines["sweep"]["fishnet.best_child_name"] == "t000"
    with pytest.raises(BadInput, match="overwrite=true"):
        shown(filled, tmp_path, csv=str(target))
    shown(filled, tmp_path, csv=str(target), overwrite=True)
    assert [path.name for path in tmp_path.glob(".*.new")] == []


def test_no_store_and_no_run_are_said(store, tmp_path):
    with pytest.raises(BadInput, match="fishnet train"):
        compare(uri=None, home=tmp_path / "empty")
    assert "No run fits" in shown(store, tmp_path)[1]


def test_durations_read_well():
    assert [duration(s) for s in (4.4, 61, 3725)] == ["4 s", "1 min 01 s", "1 h 02 min"]


def test_comparing_needs_neither_torch_nor_lightning(store, tmp_path):
    code = (
        "import sys; from pathlib import Path; import fishnet.tracking.ui;"
        "from fishnet.tracking.compare import compare;"
        "assert 'mlflow' not in sys.modules;"
        f"compare(uri={store.uri!r}, home=Path('.'));"
        "assert not {'torch', 'pytorch_lightning', 'lightning', 'matplotlib', 'cv2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
