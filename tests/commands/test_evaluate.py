"""A checkpoint measured on a folder: called what it is, and told from which run it came."""

import csv
import json
import shutil
from collections import Counter

import pytest
from PIL import Image

from fishnet import ImageFolderData
from fishnet.errors import BadInput
from fishnet.tracking.store import open_store

from .conftest import TINY

BEST = "checkpoint=run/checkpoints/best.ckpt"


def evaluated(home):
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = [run for run in client.search_runs(experiments) if run.data.tags["fishnet.command"] == "evaluate"]
    return run


QUICK = ["callbacks.report.resamples=50", "callbacks.heatmaps=null"]


def one_line(text: str) -> str:
    return " ".join(text.split())


def seen_by_part(folder) -> dict[str, int]:
    with open(folder, newline="") as file:
        return Counter(row["seen"] for row in csv.DictReader(file))


def test_what_the_model_was_trained_on_is_not_measured(fishnet, trained, shapes, tmp_path):
    with open(trained / "split" / "split.csv", newline="") as file:
        counts = Counter(row["split"] for row in csv.DictReader(file))
    extra = tmp_path / "lake"
    shutil.copytree(shapes, extra)  # the same photos elsewhere, under other names, with a new one
    (extra / "disc" / "photo_000.jpg").rename(extra / "disc" / "renamed.jpg")
    Image.new("RGB", (40, 40), "green").save(extra / "disc" / "new.jpg")
    ended = fishnet("evaluate", BEST, "data.root=lake", "out=measured", *QUICK)
    assert ended.status == 0, ended.err
    assert (
        f"Of these 49 photos the model was trained on {counts['train']} and chosen by {counts['val']}: measured are "
        f"{counts['test'] + 1} others" in one_line(ended.err)
    )
    assert "lake (unseen): value and 95 % interval over groups" in one_line(ended.out)
    assert seen_by_part(tmp_path / "measured" / "report" / "predictions.csv") == {"test": counts["test"], "new": 1}
    assert "test/accuracy" in evaluated(trained.parent).data.metrics


def test_a_whole_folder_is_not_called_a_test_set_and_the_run_knows_its_checkpoint(fishnet, trained, shapes):
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", "part=all", *QUICK)
    assert ended.status == 0, ended.err
    title = f"{shapes} (all): value and 95 % interval over groups"
    assert "".join(title.split()) in "".join(ended.out.split())  # a long path is broken anywhere
    assert "test set" not in ended.out + ended.err
    assert "photos measured the model was trained on" in one_line(
        ended.err
    ) and "say little about other photos" in one_line(ended.err)
    run = evaluated(trained.parent)
    assert run.info.run_name == f"evaluate-{shapes.name}"
    assert run.data.params["checkpoint"] == "run/best.ckpt"
    assert run.data.tags["fishnet.checkpoint"] == str(trained / "checkpoints" / "best.ckpt")
    foreign = ("monitor", "max_epochs", "augment", "val", "test", "patience", "views", "balance")
    assert not [key for key in run.data.params if key.split(".")[-1] in foreign]
    assert run.data.params["part"] == "all"
    assert run.data.metrics["all/accuracy"] <= 1 and "all_class/disc_f1" in run.data.metrics
    assert not [key for key in run.data.metrics if key.startswith("test")]
    (used,) = run.inputs.dataset_inputs
    assert {tag.key: tag.value for tag in used.tags}["mlflow.data.context"] == "evaluate"


def test_a_folder_of_one_class_without_intervals(fishnet, trained, shapes, tmp_path):
    shutil.copytree(shapes / "disc", tmp_path / "lake" / "disc")
    settings = ["callbacks.report.resamples=0", "callbacks.heatmaps=null", "data.root=lake", "part=all"]
    ended = fishnet("evaluate", BEST, *settings)
    assert ended.status == 0, ended.err
    assert "lake (all): value" in ended.out
    assert "nan" not in ended.out and "interval" not in ended.out
    (report,) = tmp_path.glob("outputs/*_evaluate-lake/report/metrics.json")
    assert json.loads(report.read_text())["photos"] == 16


def test_a_folder_of_training_photos_alone_has_nothing_to_measure(fishnet, trained, shapes, tmp_path):
    with open(trained / "split" / "split.csv", newline="") as file:
        (photo, *_) = [row["path"] for row in csv.DictReader(file) if row["split"] == "train"]
    (tmp_path / "lake" / photo).parent.mkdir(parents=True)
    shutil.copy(shapes / photo, tmp_path / "lake" / photo)
    ended = fishnet("evaluate", BEST, "data.root=lake", *QUICK)
    assert ended.status == 2
    assert "1 train, 0 val, 0 test, 0 new (part=all measures them all)" in one_line(ended.err)


def test_the_parts_are_those_of_the_training_or_of_a_split_file(fishnet, trained, shapes, tmp_path):
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", "part=test", "data.test=0.4", "out=measured", *QUICK)
    assert ended.status == 0, ended.err
    with open(trained / "split" / "split.csv", newline="") as file:
        tested = {row["path"] for row in csv.DictReader(file) if row["split"] == "test"}
    with open(tmp_path / "measured" / "report" / "predictions.csv", newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == tested
    assert "test/accuracy" in evaluated(trained.parent).data.metrics
    mirrored = (trained / "split" / "split.csv").read_text().replace(",test\n", ",?\n").replace(",val\n", ",test\n")
    (tmp_path / "mirrored.csv").write_text(mirrored.replace(",?\n", ",val\n"))
    settings = ["part=val", "data.split_file=mirrored.csv", "out=again"]
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", *settings, *QUICK)
    assert ended.status == 0, ended.err
    assert seen_by_part(tmp_path / "again" / "report" / "predictions.csv") == {"test": len(tested)}
    settings = ["part=test", "data.split_file=mirrored.csv", "out=learned"]
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", *settings, *QUICK)
    assert "photos measured the model was trained on 0 and chosen by 8" in one_line(ended.err)


def test_photos_are_grouped_as_in_the_training(fishnet, shapes, tmp_path):
    for number, photo in enumerate(sorted((shapes / "disc").iterdir())):
        (tmp_path / "lake" / "disc").mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / "lake" / "disc" / f"animal{number // 3}_{number}.jpg")
    shutil.copytree(shapes / "box", tmp_path / "lake" / "box")
    (tmp_path / "lake" / "box" / "photo_000.jpg").rename(tmp_path / "lake" / "box" / "animal99_1.jpg")
    settings = ["data.root=lake", "data.group=(animal.+)_", "out=run", "test=false", "callbacks.heatmaps=null"]
    assert fishnet("train", *TINY, *settings).status == 0
    fishnet("evaluate", BEST, "data.root=lake", "part=all", "out=measured", *QUICK)
    assert "group: (animal.+)_" in (tmp_path / "measured" / "config" / "config.yaml").read_text()
    with open(tmp_path / "measured" / "report" / "predictions.csv", newline="") as file:
        groups = {row["group"] for row in csv.DictReader(file) if "animal" in row["path"]}
    assert len(groups) < 9
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", "data.classes=[box,disc]", "part=all", *QUICK)
    assert ended.status == 0 and "groups no photo here" in one_line(ended.err)


def test_what_photos_of_one_animal_are_worth_is_reported_and_computed_once(
    fishnet, trained, shapes, tmp_path, monkeypatch
):
    for photo in sorted(shapes.glob("*/*.jpg")):
        (lake := tmp_path / "lake" / photo.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, lake / f"animal{int(photo.stem[-3:]) // 8}_{photo.name}")
    settings = ["data.root=lake", "data.group=(.+/animal.+)_photo", *QUICK]
    ended = fishnet("evaluate", BEST, *settings, "out=measured")
    assert ended.status == 0, ended.err
    assert "photos that share a subject are worth" in one_line(ended.out)
    report = tmp_path / "measured" / "report"
    rows = {row["unit"]: row for row in csv.DictReader((report / "leakage.csv").open())}
    assert list(rows) == ["photo", "subject"] and int(rows["subject"]["units"]) <= 6
    assert rows["photo"]["photos"] == "15"  # not those by which the backbone was trained
    assert "worth" in (report / "leakage.txt").read_text()
    metrics = evaluated(trained.parent).data.metrics
    assert metrics["leakage/subject"] == pytest.approx(float(rows["subject"]["accuracy"]), abs=1e-6)
    assert metrics["leakage/gap"] == pytest.approx(metrics["leakage/photo"] - metrics["leakage/subject"], abs=1e-6)

    def asked(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("fishnet.models.features.EvaluationViews.batches", asked)
    ended = fishnet("evaluate", BEST, *settings, "out=again")
    assert ended.status == 0 and "photos that share a subject" in one_line(ended.out), ended.err
    ended = fishnet("evaluate", BEST, *settings, "out=without", "leakage=none")
    assert ended.status == 0 and "leakage" not in ended.out
    assert not list((tmp_path / "without" / "report").glob("leakage*"))


def test_a_precision_that_would_change_the_answers_is_refused(fishnet, trained, shapes):
    ended = fishnet("evaluate", BEST, f"data.root={shapes}", "trainer.precision=bf16-mixed")
    assert ended.status == 2 and "float32 alone" in ended.err


def test_a_model_of_one_class_against_the_rest_says_how_to_ask_it(shapes):
    data = ImageFolderData(root=str(shapes))
    with pytest.raises(BadInput, match=r"data\.positive=disc"):
        data.for_model(classes=["not disc", "disc"])
    one_class = ImageFolderData(root=str(shapes), positive="disc").for_model(classes=["not disc", "disc"])
    assert one_class.classes == ["not disc", "disc"]
