"""People read the names of a collection's classes everywhere; keys, metrics and checkpoints keep the folders'."""

import csv
import json
import re
import shutil
from html import unescape

import pandas as pd
import pytest

from tests.commands.conftest import TINY
from tests.support.drawing import draw_photo

pytestmark = pytest.mark.slow

PERCH, PIKE = "47162-perca-fluviatilis", "62157-esox-lucius"
CALLED = {PERCH: "Perca fluviatilis, European perch", PIKE: "Esox lucius, northern pike"}
SHORT = "callbacks.report.resamples=0"


def words(page) -> str:
    """Of a page: the text that people read, and the data that its script draws."""
    return unescape(re.sub(r"data:image/[^\"]*|<style>.*?</style>", "", page.read_text(), flags=re.DOTALL))


def rows(file) -> list[dict]:
    with open(file, newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture
def pond(tmp_path):
    for number, name in enumerate((PERCH, PIKE)):
        for photo in range(16):
            draw_photo(tmp_path / "pond" / name / f"{photo}.jpg", number, photo)
    lines = [f"{name},1,{called.split(', ')[0]},species,{called.split(', ')[1]}" for name, called in CALLED.items()]
    (tmp_path / "pond" / "classes.csv").write_text("\n".join(["class,taxon_id,name,rank,common_name", *lines]))
    return tmp_path / "pond"


def test_names_are_shown_and_folders_are_kept(fishnet, pond, tmp_path):
    ended = fishnet("train", f"data.root={pond}", *TINY, SHORT, "out=run")
    assert ended.status == 0, ended.err
    run = tmp_path / "run"
    page = words(run / "report" / "report.html")
    assert all(called in page for called in CALLED.values())
    table = page[page.rindex("Class by class") : page.rindex("What is taken for what")]
    assert PERCH not in table and CALLED[PERCH] in table
    assert CALLED[PERCH] in (run / "report" / "classification_report.txt").read_text()
    answer = rows(run / "report" / "predictions.csv")[0]
    assert CALLED[answer["class"]] == answer["class_name"]
    assert CALLED[answer["predicted"]] == answer["predicted_name"]
    metrics = json.loads((run / "report" / "metrics.json").read_text())
    assert not any("perca" in name for name in metrics["figures"])
    sheets = {path.name for path in (run / "gradcam").glob("*.jpg")}
    assert sheets == {f"{name}.jpg" for name in CALLED}
    assert set(pd.read_csv(run / "gradcam" / "index.csv")["true"]) == set(CALLED)

    shutil.copytree(
        pond, tmp_path / "bare", ignore=shutil.ignore_patterns("classes.csv")
    )  # whose names nobody has left
    best = "checkpoint=run/checkpoints/best.ckpt"
    named = "classes=[Perca fluviatilis,northern pike]"
    ended = fishnet(
        "predict", best, "images=bare", "out=answers.csv", named, "sure={European perch: 1, Esox lucius: 0}"
    )
    assert ended.status == 0, ended.err
    for row in rows(tmp_path / "answers.csv"):
        assert row["predicted_name"] == CALLED[row["predicted"]]
        assert row["not_sure"] == str(row["predicted"] == PERCH)
    ended = fishnet("explain", best, "images=bare", "out=why", "pictures=4")
    assert ended.status == 0, ended.err
    shown = words(tmp_path / "why" / "page.html")
    assert "answer: Perca" in shown or "answer: Esox" in shown
    for row in rows(next((tmp_path / "why").rglob("maps.csv"))):
        assert CALLED[row["explained"]] == row["explained_name"]

    ended = fishnet("export", best, "out=bundle")
    assert ended.status == 0, ended.err
    assert json.loads((tmp_path / "bundle" / "model.json").read_text())["class_names"][PERCH] == CALLED[PERCH].split(
        ", "
    )
    (tmp_path / "bare" / PERCH).rename(tmp_path / "bare" / "European perch")
    ended = fishnet("evaluate", "checkpoint=bundle", "data.root=bare", "part=all", "out=measured", "leakage=none")
    assert ended.status == 0, ended.err
    assert {row["class"] for row in rows(tmp_path / "measured" / "report" / "predictions.csv")} == set(CALLED)


def test_a_resumed_run_and_a_page_of_several_have_them(fishnet, pond, tmp_path):
    for seed in (0, 1):
        assert fishnet("train", f"data.root={pond}", *TINY, SHORT, f"out=run-{seed}", f"seed={seed}").status == 0
    ended = fishnet("compare", "out=page.html")
    assert ended.status == 0, ended.err
    page = words(tmp_path / "page.html")
    assert f"true: {CALLED[PERCH]}" in page and f"true: {CALLED[PIKE]}" in page
    ended = fishnet("embed", f"data.root={pond}", "out=points", "methods=[pca]")
    assert ended.status == 0, ended.err
    assert CALLED[PERCH] in words(next((tmp_path / "points").rglob("page.html")))
    assert all(CALLED[row["class"]] == row["class_name"] for row in rows(next(tmp_path.rglob("points.csv"))))
