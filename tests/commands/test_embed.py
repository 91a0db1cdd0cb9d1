"""`fishnet embed`: tables, pictures and a page of pixels, published weights and checkpoints; bad input."""

import json

import mlflow
import pandas as pd
import pytest
from PIL import Image

from fishnet.models.classifier import ImageClassifier
from tests.support.drawing import draw_folder


def test_pixels(fishnet, shapes, tmp_path):
    ended = fishnet("embed", f"data.root={shapes}", "out=seen", "perplexity=40")
    assert ended.status == 0, ended.err
    assert "compared by their pixels" in ended.err and "perplexity=40 is too large for 48 photos" in ended.err
    made = tmp_path / "seen/embed"
    assert {path.name for path in made.iterdir()} == {
        *("page.html", "planes.png", "classes.png", "points.csv", "figures.csv", "suspects.csv")
    }
    points = pd.read_csv(made / "points.csv")
    assert len(points) == 48 and {"path", "class", "pca_x", "tsne_y"} <= set(points)
    figures = pd.read_csv(made / "figures.csv").set_index("figure")["value"]
    assert figures["linear"] > 0.5 and 0 <= figures["knn"] <= figures["knn_ungrouped"] <= 1
    assert all(Image.open(made / name).width > 500 for name in ("planes.png", "classes.png"))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert run.info.status == "FINISHED" and run.data.tags["fishnet.command"] == "embed"
    assert run.data.metrics["embed/knn"] == pytest.approx(figures["knn"])
    assert {file.path for file in client.list_artifacts(run.info.run_id, "embed")} >= {"embed/page.html"}


def test_of_a_trained_network_no_figure_counts_what_it_learned_from(fishnet, trained, tmp_path):
    ended = fishnet("embed", "checkpoint=run/checkpoints/best.ckpt", "out=seen")  # the folder is its run's
    assert ended.status == 0, ended.err
    page = (tmp_path / "seen/embed/page.html").read_text()
    learned = int((pd.read_csv(tmp_path / "run/split/split.csv")["split"] == "train").sum())
    assert f"was trained on {learned} of these photos and knows their labels by heart" in page
    assert json.loads(page.split('type="application/json">')[1].split("</script>")[0])["names"] == [
        "bar",
        "box",
        "disc",
    ]


def test_published_weights_leave_features_by_which_check_names_labels(fishnet, tmp_path):
    import torch

    root = draw_folder(tmp_path / "photos", photos=12, size=48)
    (root / "box/photo_000.jpg").rename(root / "bar/swapped.jpg")
    small = {"filters": [8, 16], "dense": 0}
    torch.manual_seed(0)
    network = ImageClassifier(classes=["a", "b"], backbone="cnn", backbone_args=small, image_size=32).network
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    backbone = ["model.backbone=cnn", "model.backbone_args.filters=[8,16]", "model.backbone_args.dense=0"]
    backbone += ["model.pretrained=weights.pth", "data.image_size=32"]
    ended = fishnet("embed", f"data.root={root}", *backbone, "out=seen", "methods=[pca]")
    assert ended.status == 0, ended.err
    assert "features of cnn as published" in (tmp_path / "seen/embed/page.html").read_text()
    suspects = pd.read_csv(tmp_path / "seen/embed/suspects.csv")
    assert suspects["path"].tolist() == ["bar/swapped.jpg"]
    ended = fishnet("check", f"data.root={root}", "time=false")
    assert ended.status == 0, ended.err
    assert "1 photo lies among another class: bar/swapped.jpg (like box)" in " ".join(ended.out.split())


@pytest.mark.slow
def test_a_drawn_part_is_of_whole_groups_and_said(fishnet, shapes, tmp_path):
    ended = fishnet("embed", f"data.root={shapes}", "most=30", "methods=[pca]", "out=seen")
    assert ended.status == 0, ended.err
    assert "most=30: 30 of 48 photos are drawn" in ended.err
    assert len(pd.read_csv(tmp_path / "seen/embed/points.csv")) == 30


def test_a_photo_that_cannot_be_read_is_listed_and_the_others_are_points(fishnet, tmp_path):
    root = draw_folder(tmp_path / "photos", photos=8)
    (root / "box/broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    ended = fishnet("embed", f"data.root={root}", "methods=[pca]", "out=seen")
    assert ended.status == 0, ended.err
    assert "box/broken.jpg" in ended.err and len(pd.read_csv(tmp_path / "seen/embed/points.csv")) == 24


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["methods=[tnse]"], "did you mean tsne"),
        (["methods=[]"], "choose from pca"),
        (["methods=tsne"], "methods=tsne: this takes a list of texts, as in methods=[tsne]"),
        (["perplexity=0"], "above 0"),
        (["seed=4294967296"], "at most 4294967295"),
        (["checkpoint=none.ckpt"], "there is no such checkpoint"),
        (["model.pretrained=none.pth"], "none.pth"),
    ],
)
def test_bad_input_is_a_sentence(fishnet, shapes, tmp_path, typed, sentence):
    ended = fishnet("embed", f"data.root={shapes}", "out=seen", *typed)
    assert ended.status == 2 and sentence in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "seen").exists()


@pytest.mark.slow
def test_names_with_markup_stay_text(fishnet, tmp_path):
    draw_folder(tmp_path / "photos", classes=["<b>disc", "</script>box"], photos=8)
    ended = fishnet("embed", "data.root=photos", "methods=[pca]", "out=seen")
    assert ended.status == 0, ended.err
    page = (tmp_path / "seen/embed/page.html").read_text()
    assert "<b>disc" not in page and "</script>box" not in page and "\\u003c/script>box" in page
