"""Runs on one page: its numbers are those of the runs, and the photos those on which they disagree."""

import csv
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from fishnet.measure.significance import spread
from tests.support.three_runs import RUNS, make_three_runs


@pytest.fixture(scope="module")
def _three(shapes, tmp_path_factory) -> Path:
    return make_three_runs(shapes, tmp_path_factory.mktemp("three"))


@pytest.fixture
def three(_three, tmp_path) -> Path:
    """The runs where the test works; their store knows the folders in which they were made."""
    shutil.copytree(_three, tmp_path, dirs_exist_ok=True)
    return _three


def data_of(page: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'type="application/json">(.*?)</script>', page)]


def cells(page: str, first: str) -> list[str]:
    """The first row that begins so."""
    (row, *_) = re.findall(rf'<tr(?: class="\w+")?><td>{re.escape(first)}</td>(.*?)</tr>', page)
    return re.findall(r"<td[^>]*>(.*?)</td>", row)


def answers(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "report" / "predictions.csv", index_col="path")


def test_the_figures_are_those_of_the_runs_and_repeats_are_one_row(fishnet, three, tmp_path):
    ended = fishnet("compare", "out=page.html", "csv=runs.csv", "sort=test/accuracy")
    assert ended.status == 0, ended.err
    assert ended.out.rstrip().endswith(str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    with (tmp_path / "runs.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    of_small, of_large = (float(rows[name]["test/accuracy"]) for name in ("small", "large"))
    runs, shown, *_ = cells(page, "small")
    low, high = (float(rows["small"][f"test/accuracy_{end}"]) for end in ("low", "high"))
    assert (runs, shown) == ("1", f"{of_small:.3f} [{low:.3f}, {high:.3f}]")
    both = spread([of_large, float(rows["large-again"]["test/accuracy"])])
    large = next(name for name in ("[8, 16]", "filters=[8, 16]") if f"<td>{name}</td>" in page)
    runs, shown, *_ = cells(page, large)
    ends = f" [{max(both.low, 0):.3f}, {min(both.high, 1):.3f}]" if both.low == both.low else ""
    assert (runs, shown) == ("2", f"{both.mean:.3f}{ends}")
    arms = {"small": (of_small, of_small), large: (both.mean, of_large)}  # the mean, and that of the seed both have
    best, other = sorted(arms, key=lambda name: -arms[name][0])
    assert cells(page, best)[2] == "" and cells(page, other)[2].startswith(f"{arms[best][1] - arms[other][1]:.3f} [")
    assert "photo by photo over" in page and page.count("<svg") == 0 and "data:image/svg+xml" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page) and "default-src 'none'" in page


def test_the_photos_are_those_on_which_the_runs_disagree(fishnet, three, tmp_path):
    ended = fishnet("compare", "out=page.html", "photos=6")
    assert ended.status == 0, ended.err
    page = (tmp_path / "page.html").read_text()
    (fader,) = [data for data in data_of(page) if "cards" in data]
    tables = {name: answers(three / name) for name in RUNS}
    every = pd.DataFrame({name: table["predicted"] for name, table in tables.items()})
    differ = every.nunique(axis=1) > 1
    assert f"the runs disagree on {differ.sum()}," in page and f"{len(every)} photos were tested" in page
    cards = fader["cards"]
    assert len(cards) == 6
    kinds = [card["kind"] for card in cards]
    assert kinds[: min(6, differ.sum())] == ["differ"] * min(6, differ.sum())
    for card in cards:
        assert (card["kind"] == "differ") == differ[card["path"]]
        assert len(card["views"]) == 3 and card["photo"].startswith("data:image/jpeg")
        for view in card["views"]:
            table = tables["small"] if view["of"] == "small" else tables[AGAIN[view["of"][-1]]]
            row = table.loc[card["path"]]
            assert view["words"] == f"{row['predicted']} {row['probability']:.0%}"
            assert view["right"] == (row["class"] == row["predicted"])
            assert view["heat"].startswith("data:image/png")


AGAIN = {"0": "large", "1": "large-again"}  # by the seed


def test_what_is_not_on_this_machine_is_left_out_and_said(fishnet, three, tmp_path, monkeypatch):
    moved = three / "large" / "gradcam"
    moved.rename(three / "large" / "elsewhere")
    (three / "large-again").rename(three / "gone")
    try:
        ended = fishnet("compare", "out=page.html", "photos=4")
    finally:
        (three / "large" / "elsewhere").rename(moved)
        (three / "gone").rename(three / "large-again")
    assert ended.status == 0, ended.err
    page = (tmp_path / "page.html").read_text()
    assert re.search(r"Of [^.]*seed 1 no answers lie on this machine", page)
    assert re.search(r"Of [^.]*seed 0 no heat-maps lie on this machine", page)
    (fader,) = [data for data in data_of(page) if "cards" in data]
    for card in fader["cards"]:
        assert [("heat" in view, view.get("note")) for view in sorted(card["views"], key=lambda view: view["of"])] in (
            [(True, None), (False, "no heat-map kept")],
            [(False, "no heat-map kept"), (True, None)],
        )
    assert "not on this machine" in page


def test_photos_that_have_changed_since_are_not_shown(fishnet, three, shapes, tmp_path, monkeypatch):
    from fishnet.runs import side_by_side

    tested = answers(three / "small")
    shutil.copytree(shapes, tmp_path / "photos")
    shutil.copy(tmp_path / "photos" / tested.index[1], tmp_path / "photos" / tested.index[0])
    monkeypatch.setattr(side_by_side, "photos_root", lambda run: tmp_path / "photos")
    ended = fishnet("compare", "out=page.html")
    assert ended.status == 0, ended.err
    page = (tmp_path / "page.html").read_text()
    assert "1 photo could not be shown" in page and f"Shown are {len(tested) - 1}," in page
    (fader,) = [data for data in data_of(page) if "cards" in data]
    assert {card["path"] for card in fader["cards"]} == {*tested.index[1:]}


def test_a_file_of_the_users_is_not_written_over(fishnet, three, tmp_path):
    (tmp_path / "page.html").write_text("mine")
    ended = fishnet("compare", "out=page.html")
    assert ended.status == 2 and "out=page.html exists" in ended.err
    assert (tmp_path / "page.html").read_text() == "mine"
    assert fishnet("compare", "out=page.html", "overwrite=true").status == 0
    assert "<!DOCTYPE html>" in (tmp_path / "page.html").read_text()
    assert fishnet("compare", "out=none/page.html").status == 2


def test_single_runs_are_chosen_by_name_or_id(fishnet, three, tmp_path):
    run = json.loads((three / "large" / "run.json").read_text())["run_id"]
    for number, typed in enumerate((f"runs=small,{run[:8]}", "runs=[small, large]")):
        ended = fishnet("compare", typed, f"out={number}.html")
        assert ended.status == 0, ended.err
        assert "2 runs compared" in (tmp_path / f"{number}.html").read_text()
    ended = fishnet("compare", "runs=24336e05")  # which Hydra would take for a number
    assert ended.status == 2 and "none has the name or id 24336e05" in ended.err
    ended = fishnet("compare", "runs=[smal]")
    assert ended.status == 2 and "did you mean small" in ended.err
