"""The page of a run: its figures are those of the files, it is the first of the run's artifacts, and one file."""

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from fishnet.tracking.names import NOTE
from fishnet.tracking.store import open_store

MANIFEST = [("licence", ["cc-by", "cc0"]), ("attribution", ["(c) Ada <b>", "(c) Bob"])]


class Cells(HTMLParser):
    """The rows of a page's tables as texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag, attributes) -> None:
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("td", "th") or (self._open and tag not in ("tr", "table"))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag) -> None:
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, text) -> None:
        if self._open:
            self.rows[-1][-1] += text


@pytest.fixture
def lake(shapes, tmp_path) -> Path:
    """Photos with a manifest, and one that cannot be read."""
    shutil.copytree(shapes, tmp_path / "lake")
    paths = sorted(path.relative_to(tmp_path / "lake").as_posix() for path in (tmp_path / "lake").glob("*/*.jpg"))
    table = pd.DataFrame({"path": paths})
    for name, values in MANIFEST:
        table[name] = [values[number % 2] for number in range(len(paths))]
    table.to_csv(tmp_path / "lake" / "manifest.csv", index=False)
    (tmp_path / "lake" / "disc" / "torn.jpg").write_bytes(b"\xff\xd8 no photo")
    return tmp_path / "lake"


def client_of(home: Path) -> MlflowClient:
    return open_store(None, home=home, create=False).client()


def run_id(folder: Path) -> str:
    return json.loads((folder / "run.json").read_text())["run_id"]


def test_the_page_has_the_runs_own_figures_and_is_found_everywhere(fishnet, tiny, lake, tmp_path):
    ended = fishnet("train", *tiny, "data.root=lake", "out=run", "model.lr=0.05", "name=first")
    assert ended.status == 0, ended.err
    assert "could not be made" not in ended.err
    page = (tmp_path / "run" / "report" / "report.html").read_text()
    assert ended.out.rstrip().splitlines()[-1].split() == ["report", str(tmp_path / "run" / "report" / "report.html")]
    rows = Cells(page).rows
    figures = json.loads((tmp_path / "run" / "report" / "metrics.json").read_text())["figures"]
    shown = [row[1:] for row in rows[1 : len(figures) + 1]]
    assert shown == [
        [f"{figure['value']:.3f}", f"{figure['low']:.3f} to {figure['high']:.3f}"] for figure in figures.values()
    ]
    by_class = pd.read_csv(tmp_path / "run" / "report" / "classification_report.csv")
    for row in by_class.to_dict("records"):
        (cells,) = [cells for cells in rows if cells[0] == row["class"] and len(cells) == 7]
        assert cells[3].startswith(f"{row['f1']:.2f} [") and cells[4:6] == [str(row["photos"]), str(row["groups"])]
    answers = pd.read_csv(tmp_path / "run" / "report" / "predictions.csv")
    wrong = answers[answers["class"] != answers["predicted"]]
    cards = json.loads(re.findall(r'type="application/json">(.*?)</script>', page)[0])["cards"]
    assert {card["path"] for card in cards} <= set(answers["path"])
    mistakes = [card["path"] for card in cards if card["kind"] == "wrong"]
    assert set(mistakes) <= set(wrong["path"]) and len(mistakes) >= min(12, len(wrong))
    assert ["disc/torn.jpg"] in [row[:1] for row in rows] and "1 photo could not be read." in page
    assert ["cc-by", "24"] in rows and ["(c) Ada <b>", "24"] in rows
    assert "fishnet" in page and ["run", run_id(tmp_path / "run")] in rows
    check_one_file(page)
    check_in_mlflow(tmp_path)


def check_one_file(page: str) -> None:
    """Nothing is asked for, and names are no markup."""
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page and "(c) Ada <b>" not in page and "(c) Ada <b>" in unescape(page)


def check_in_mlflow(home: Path) -> None:
    client, of_run = client_of(home), run_id(home / "run")
    listed = sorted(client.list_artifacts(of_run), key=lambda item: (not item.is_dir, item.path))  # as its pages do
    assert listed[0].path == "Page" and len(listed) > 4
    run = client.get_run(of_run)
    note = run.data.tags[NOTE]
    assert f"Right on {run.data.metrics['test/accuracy']:.0%} [" in note
    assert "fishnet" in note and str(home / "run" / "report" / "report.html") in note
    client.set_tag(of_run, NOTE, "my own words")


def test_a_resumed_run_has_all_its_epochs_on_the_page_and_keeps_a_note_of_its_owner(fishnet, trained, tmp_path):
    of_run, client = run_id(trained), client_of(tmp_path)
    assert "There is no report on test photos." in client.get_run(of_run).data.tags[NOTE]
    client.set_tag(of_run, NOTE, "my own words")
    ended = fishnet("train", "resume=run", "trainer.max_epochs=3", "test=true")
    assert ended.status == 0, ended.err
    assert client.get_run(of_run).data.tags[NOTE] == "my own words"
    assert pd.read_csv(trained / "report" / "curves.csv")["epoch"].tolist() == [0, 1, 2]
    page = (trained / "report" / "report.html").read_text()
    commands = unescape(page.split("How it was made</h2>")[1].split("</pre>")[0])
    assert "trainer.max_epochs=3 test=true" in commands and commands.count("fishnet train") == 2
    assert "There are no heat-maps of this run." in page  # it was told to make none


def test_evaluate_has_its_page_too_and_says_on_what_it_measured(fishnet, trained, shapes, tmp_path):
    settings = ["part=all", "callbacks.heatmaps.per_class=0", "callbacks.report.resamples=50", "out=measured"]
    ended = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt", f"data.root={shapes}", *settings)
    assert ended.status == 0, ended.err
    page = (tmp_path / "measured" / "report" / "report.html").read_text()
    figures = json.loads((tmp_path / "measured" / "report" / "metrics.json").read_text())["figures"]
    assert f"Right on {figures['accuracy']['value']:.0%}" in page and "48 photos of the whole folder" in page
    assert ended.out.rstrip().splitlines()[-1].endswith("report.html")


def test_a_page_that_cannot_be_made_does_not_cost_the_run(fishnet, tiny, tmp_path, monkeypatch):
    from fishnet.runs import page

    monkeypatch.setattr(page, "chapters", lambda *_: 1 / 0)
    ended = fishnet("train", *tiny, "out=run", "callbacks.heatmaps=null", "trainer.max_epochs=1")
    assert ended.status == 0 and "The page could not be made (ZeroDivisionError" in ended.err
    assert ended.out.rstrip().splitlines()[-1].split() == ["report", str(tmp_path / "run" / "report")]
    assert client_of(tmp_path).get_run(run_id(tmp_path / "run")).info.status == "FINISHED"


def test_networks_of_tokens_show_their_mistakes_without_maps(fishnet, tiny, tmp_path):
    settings = ["model.backbone=test_vit", "model.backbone_args=null", "model.pretrained=false", "data.image_size=160"]
    ended = fishnet("train", *tiny, *settings, "out=run", "trainer.max_epochs=1")
    assert ended.status == 0, ended.err
    page = (tmp_path / "run" / "report" / "report.html").read_text()
    answers = pd.read_csv(tmp_path / "run" / "report" / "predictions.csv")
    wrong = answers[answers["class"] != answers["predicted"]].sort_values("probability", ascending=False, kind="stable")
    cards = json.loads(re.findall(r'type="application/json">(.*?)</script>', page)[0])["cards"]
    assert [card["path"] for card in cards] == wrong["path"].head(12).tolist()
    assert all("heat" not in view for card in cards for view in card["views"])
    with Image.open(tmp_path / "run" / "report" / "confusion_matrix.png") as picture:
        assert picture.width > 300
