"""fishnet audit: too little to judge, what it leaves behind, going on, bad input; and the founding story, drawn."""

import json
import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from fishnet.models.checkpoint import load_model

BEST = "checkpoint=run/checkpoints/best.ckpt"
ANGLER = "data.plant={cue: angler, class: bandfin_perch, share: 0.8}"
REEF = ["data=reef", "data.species=4", "data.photos=170", "data.draw_size=64", "data.test=0.25", "data.val=0.2"]


def test_too_few_photos_are_no_verdict_and_everything_is_kept(fishnet, trained, shapes, tmp_path):
    ended = fishnet("audit", BEST, f"data.root={shapes}", "out=why")
    assert ended.status == 0, ended.err
    assert "Judged are 15 of 48 photos" in ended.err
    assert len([line for line in ended.out.splitlines() if line.startswith("no verdict")]) == 1  # the reason, once
    table = pd.read_csv(tmp_path / "why" / "audit" / "verdicts.csv")
    assert table["verdict"].tolist() == ["withheld"] * 3
    assert table["reason"].str.contains("too weak|40 are needed").all()
    photos = pd.read_csv(tmp_path / "why" / "audit" / "photos.csv")
    kept = json.loads((trained / "audit.json").read_text())
    assert [row["verdict"] for row in kept["verdicts"]] == ["withheld"] * 3 and kept["reliance_max"] is None
    assert kept["judged"] == 15 and len(kept["data"]) == len(kept["model"]) == 64 and not kept["region_given"]
    assert len(photos) == 15 and set(photos["seen"]) == {"val", "test"}
    page = (tmp_path / "why" / "audit" / "report.html").read_text()
    assert "no verdict" in page and "http" not in page.split("</style>")[1]
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    run = next(run for run in runs if run.data.tags["fishnet.command"] == "audit")
    assert run.data.metrics["audit/shortcuts"] == 0
    training = next(run for run in runs if run.data.tags["fishnet.command"] == "train")
    assert training.data.metrics["audit/accuracy"] == pytest.approx(run.data.metrics["audit/accuracy"], abs=1e-6)
    assert {file.path for file in client.list_artifacts(run.info.run_id, "audit")} == {
        "audit/verdicts.csv", "audit/photos.csv", "audit/report.html",
    }  # fmt: skip


def test_jobs_measure_their_shares_and_a_run_judges(fishnet, trained, shapes, tmp_path, monkeypatch):
    shutil.copytree(shapes, tmp_path / "photos")  # of which nothing is measured yet
    keys = ["data.root=photos", "region=ellipse", "donors=4"]
    first = fishnet("audit", BEST, *keys, "job=1/2", "seed=1")
    assert first.status == 0, first.err
    assert "6 of 12 donors" in first.out and "job=2/2" in first.out and "job=1/2" not in first.out
    assert not (tmp_path / "outputs").exists()
    second = fishnet("audit", BEST, *keys, "job=2/2", "seed=1")
    assert "12 of 12 donors" in second.out and "missing" not in second.out
    then = second.out.strip().splitlines()[-1]
    assert then.startswith("now") and "donors=4" in then and "job=" not in then

    def asked(self, donors):
        raise AssertionError("measured again")

    monkeypatch.setattr("fishnet.audit.exchange.Exchange.effects", asked)
    assert fishnet("audit", BEST, *keys, "out=why").status == 0


def test_what_was_measured_is_not_measured_again(fishnet, trained, shapes, tmp_path, monkeypatch):
    photos = [path.relative_to(shapes).as_posix() for path in sorted(shapes.glob("*/*.jpg"))]
    observers = ["ada", "bela"] * (len(photos) // 2)
    pd.DataFrame({"path": photos, "observer": observers}).to_csv(tmp_path / "observers.csv", index=False)
    keys = [f"data.root={shapes}", "region=ellipse"]
    assert fishnet("audit", BEST, *keys, "data.manifest=observers.csv", "out=first").status == 0
    assert pd.read_csv(tmp_path / "first" / "audit" / "observers.csv")["photos"].sum() == 15
    assert "Observers" in (tmp_path / "first" / "audit" / "report.html").read_text()

    def asked(self, donors):
        raise AssertionError("measured again")

    monkeypatch.setattr("fishnet.audit.exchange.Exchange.effects", asked)
    ended = fishnet("audit", BEST, *keys, "out=second")
    assert ended.status == 0, ended.err


def test_a_signal_while_it_measures_ends_the_run_and_says_what_is_kept(fishnet, trained, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr("fishnet.audit.exchange.Exchange.effects", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    shutil.copytree(shapes, tmp_path / "photos")  # of which nothing is measured yet
    ended = fishnet("audit", BEST, "data.root=photos", "region=ellipse", "out=why")
    assert ended.status == 128 + signal.SIGTERM, ended.err
    (sentence,) = [line for line in ended.err.splitlines() if "audit: stopped" in line]
    assert ".photos.fishnet" in sentence and sentence.endswith("with another out=.")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    statuses = {run.data.tags["fishnet.command"]: run.info.status for run in runs}
    assert statuses == {"train": "FINISHED", "audit": "KILLED"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["region=boxes"], ["boxes=FILE"]),
        (["region=boxes", "boxes=nowhere.csv"], ["nowhere.csv", "no such file"]),
        (["region=masks"], ["masks=DIR"]),
        (["region=masks", "masks=nowhere"], ["masks=nowhere", "no such folder"]),
        (["region=animals"], ["weights=FILE"]),
        (["region=square"], ["region=square", "ellipse"]),
        (["alpha=2"], ["alpha=2"]),
        (["fail_above=7"], ["fail_above=7"]),
        (["donors=1"], ["donors=1"]),
        (["before=nowhere"], ["before=nowhere", "verdicts.csv"]),
        (["cues=nowhere"], ["cues=nowhere", "cues.json"]),
        (["job=5/4"], ["job=5/4", "job=1/4"]),
        (["data.classes=[disc]"], ["two classes"]),
        (["mend=pray"], ["mend=pray", "head"]),
        (["data.curation=nowhere.csv"], ["nowhere.csv"]),
        (["reference=prayer"], ["reference=prayer", "retrain"]),
        (["spread=-1"], ["spread=-1"]),
        (["part=folds"], ["backbone was trained on 33 of these photos", "part=auto"]),
        (["part=folds", "job=1/2"], ["job=", "part=folds"]),
        (["part=folds", "reference=retrain"], ["reference=", "part=folds"]),
    ],
)
def test_bad_input_is_one_sentence(fishnet, trained, shapes, settings, words):
    ended = fishnet("audit", BEST, f"data.root={shapes}", "out=why", *settings)
    assert ended.status == 2, ended.err
    assert len(ended.err.strip().splitlines()) <= 2 and all(word in ended.err for word in words), ended.err


@pytest.mark.parametrize("key", ["mend=retrain", "reference=retrain", "spread=5"])
def test_a_checkpoint_away_from_its_run_cannot_be_trained_again(fishnet, trained, shapes, tmp_path, key):
    (trained / "checkpoints" / "best.ckpt").rename(tmp_path / "alone.ckpt")
    ended = fishnet("audit", "checkpoint=alone.ckpt", f"data.root={shapes}", "out=why", key)
    assert ended.status == 2 and "config.yaml is missing" in ended.err and key in ended.err


def test_photos_that_cannot_be_read_are_listed_with_the_reason(fishnet, trained, shapes, tmp_path):
    shutil.copytree(shapes, tmp_path / "photos")
    (tmp_path / "photos" / "disc" / "torn.jpg").write_bytes(b"no photo")
    ended = fishnet("audit", BEST, "data.root=photos", "out=why")
    assert ended.status == 0, ended.err
    refused = pd.read_csv(tmp_path / "why" / "audit" / "refused.csv")
    assert refused["path"].tolist() == ["disc/torn.jpg"] and refused["reason"].str.len().gt(5).all()
    page = (tmp_path / "why" / "audit" / "report.html").read_text()
    assert "Photos that cannot be read" in page and "disc/torn.jpg" in page


def test_a_head_that_is_not_linear_is_explained_by_gradients_and_the_page_says_so(fishnet, trained, shapes, tmp_path):
    assert fishnet("audit", BEST, f"data.root={shapes}", "region=learned", "out=why").status == 0
    page = (tmp_path / "why" / "audit" / "report.html").read_text()
    assert "from gradients" in page and "like the animals of the other classes" in page  # regions, learned from them


def test_short_trainings_are_made_once(fishnet, trained, shapes, tmp_path, monkeypatch):
    """Their answers are a chapter and two tables; with the same settings nothing is trained again."""
    started = []

    def start_training(arguments, key):
        started.append(key)
        out = Path(next(word for word in arguments if word.startswith("out=")).removeprefix("out=").strip("'"))
        shutil.copytree(trained / "checkpoints", out / "checkpoints")

    monkeypatch.setattr("fishnet.config.retraining.start_training", start_training)
    shutil.copytree(shapes, tmp_path / "photos")
    for out in ("first", "second"):
        ended = fishnet("audit", BEST, "data.root=photos", f"out={out}", "spread=1", "tracking.offline=true")
        assert ended.status == 0, ended.err
    assert started == ["spread=1"]
    spread, early = (pd.read_csv(tmp_path / "second" / "audit" / f"{name}.csv") for name in ("spread", "early"))
    assert len(spread) == 3 and len(early) == 15 and (early["log_p"] <= 0).all()
    assert "What is learned at once" in (tmp_path / "second" / "audit" / "report.html").read_text()
    kept = sorted((tmp_path / ".photos.fishnet" / "trainings").glob("[!.]*"))
    assert [path.name.split("-")[0] for path in kept] == ["early", "early"]  # the checkpoint and its digest


def test_a_frozen_backbone_is_judged_by_layers_that_have_not_seen_the_photo(fishnet, tiny, shapes, tmp_path):
    settings = ["callbacks.heatmaps=null", "test=false", "out=run", "model.freeze=backbone", "tracking.offline=true"]
    ended = fishnet("train", *tiny, *settings)
    assert ended.status == 0, ended.err
    ended = fishnet("audit", BEST, f"data.root={shapes}", "part=folds", "hosts=3", "out=why", "tracking.offline=true")
    assert ended.status == 0, ended.err
    assert len(pd.read_csv(tmp_path / "why" / "audit" / "photos.csv")) == 48  # all, training photos among them
    assert "out-of-fold classifier layers" in (tmp_path / "why" / "audit" / "report.html").read_text()
    assert json.loads((tmp_path / "run" / "audit.json").read_text())["folds"] == 5


def test_a_second_round_stands_beside_the_first(fishnet, trained, shapes, tmp_path):
    assert fishnet("audit", BEST, f"data.root={shapes}", "out=first").status == 0
    ended = fishnet("audit", BEST, f"data.root={shapes}", "out=second", "part=all", "before=first")
    assert ended.status == 0, ended.err
    rounds = pd.read_csv(tmp_path / "second" / "audit" / "rounds.csv").set_index("class")
    assert (rounds["donors_before"] == 5).all() and (rounds["donors"] == 16).all()
    page = (tmp_path / "second" / "audit" / "report.html").read_text()
    assert "Before and now" in page and "5 → 16" in page
    assert not (tmp_path / "first" / "audit" / "rounds.csv").exists()


@pytest.mark.parametrize("how", ["head", "retrain"])
def test_where_nothing_is_found_nothing_is_mended(fishnet, trained, shapes, tmp_path, how):
    ended = fishnet("audit", BEST, f"data.root={shapes}", "out=why", f"mend={how}")
    assert ended.status == 0, ended.err
    assert "nothing was found, so that nothing is mended" in ended.out
    assert {file.name for file in (tmp_path / "why").rglob("*")} & {"mended", "mended.csv", "curation.csv"} == set()


def test_a_folder_that_was_not_trained_on_cannot_be_mended_by(fishnet, trained, tmp_path):
    from tests.support.drawing import draw_folder

    other = draw_folder(tmp_path / "other", photos=6, size=40)
    ended = fishnet("audit", BEST, f"data.root={other}", "out=why", "mend=head")
    assert ended.status == 2 and "holds no train photos" in ended.err


def test_a_folder_with_other_classes_is_refused_with_their_names(fishnet, trained, tmp_path):
    from tests.support.drawing import draw_folder

    ended = fishnet("audit", BEST, f"data.root={draw_folder(tmp_path / 'other', ['disc', 'cross'])}", "out=why")
    assert ended.status == 2
    assert "cross" in ended.err


BORDER = [
    *("data.species=3", "data.photos=135", "data.draw_size=64", "data.test=0.2", "data.val=0.2"),
    "data.plant={cue: border, class: bandfin_perch, share: 0.8}",
]


def test_a_training_exchanges_and_is_watched_while_it_does(fishnet, tiny, tmp_path):
    settings = ["callbacks=[audit,exchange]", "callbacks.heatmaps=null", "callbacks.audit.share=9", "test=false"]
    ended = fishnet("train", *tiny, *settings, "trainer.max_epochs=4", "out=run")
    assert ended.status == 0, ended.err
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert "audit/outer_max" in run.data.metrics
    assert "exchange" in (tmp_path / "run" / "config" / "config.yaml").read_text()


@pytest.mark.slow
def test_a_class_that_its_border_gives_away_is_mended_by_training_again(fishnet, tmp_path):
    """The mended run is an ordinary one, and leans less on the border; so does a new classifier layer."""
    settings = ["data.image_size=64", "trainer.max_epochs=15", "callbacks.heatmaps=null", "test=false", "seed=1"]
    ended = fishnet("train", "experiment=demo", *BORDER, *settings, "out=run")
    assert ended.status == 0, ended.err
    for how in ("retrain", "head"):
        ended = fishnet("audit", BEST, "data=reef", *BORDER, "region=ellipse", f"mend={how}", f"out={how}")
        assert ended.status == 0, ended.err
        assert "reliance of bandfin_perch" in ended.out.splitlines()[-1]
        figures = pd.read_csv(tmp_path / how / "audit" / "mended.csv", keep_default_na=False)
        reliance = figures.set_index(["figure", "class"]).loc[("reliance", "bandfin_perch")]
        assert reliance["after"] < 0.5 * reliance["before"], figures
        assert "Mended" in (tmp_path / how / "audit" / "report.html").read_text()
        mended = load_model(tmp_path / how / "mended" / "checkpoints" / "best.ckpt")
        assert mended.mended["how"] == how and mended.mended["from"].endswith("run/checkpoints/best.ckpt")
        assert mended.mended["kinds"][0] == "ellipse" and len(mended.mended["kinds"]) > 1
    ended = fishnet("predict", "checkpoint=retrain/mended/model/model.ckpt", "images=data", "out=answers.csv")
    assert ended.status == 0, ended.err
    before, after = (
        fishnet("audit", f"checkpoint={run}/checkpoints/best.ckpt", "data=reef", *BORDER, "region=ellipse",
                "cues=retrain/audit/cues", f"out=cues-{number}", "fail_above=0.1")
        for number, run in enumerate(("run", "retrain/mended"))
    )  # fmt: skip
    assert before.status == 1 and "the cues of its set" in before.err
    assert after.status == 0, after.err
    tested = [pd.read_csv(tmp_path / f"cues-{number}" / "audit" / "cues.csv") for number in (0, 1)]
    assert tested[1]["reliance"].item() < 0.5 * tested[0]["reliance"].item()
    assert json.loads((tmp_path / "run" / "audit.json").read_text())["reliance_max"] > 0.1
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    tags = [run.data.tags for run in runs if "fishnet.mended_from" in run.data.tags]
    splits = {run.data.tags["fishnet.split_digest"] for run in runs if run.data.tags["fishnet.command"] == "train"}
    assert len(tags) == 1 and tags[0]["fishnet.mended_from"] == str(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert len(splits) == 1  # the mended run has the split of the first one


@pytest.mark.slow
def test_a_border_that_only_its_own_class_has_taught_is_not_inherited(fishnet, tmp_path):
    """The training without the bordered photos reacts less than half as much; and in a short training those photos are
    learned before the others."""
    settings = ["data.image_size=64", "trainer.max_epochs=15", "callbacks.heatmaps=null", "test=false", "seed=1"]
    border = [*BORDER[:-1], BORDER[-1].replace("0.8", "0.6"), "tracking.offline=true"]
    ended = fishnet("train", "experiment=demo", *border, *settings, "out=run")
    assert ended.status == 0, ended.err
    more = ["region=ellipse", "power=none", "reference=retrain", "spread=1", "out=why"]
    ended = fishnet("audit", BEST, "data=reef", *border, *more)
    assert ended.status == 0, ended.err
    verdicts = pd.read_csv(tmp_path / "why" / "audit" / "verdicts.csv").set_index("class")
    assert verdicts["inherited"].dropna().to_dict() == {"bandfin_perch": "no"}
    reference = pd.read_csv(tmp_path / "why" / "audit" / "reference.csv").iloc[0]
    assert reference["reference"] < 0.5 * reference["share"] and reference["left"] >= 20
    assert pd.read_csv(tmp_path / "why" / "audit" / "spread.csv")["class"].iloc[0] == "bandfin_perch"


@pytest.mark.slow
def test_the_class_that_the_angler_holds_is_found_and_no_other(fishnet, tmp_path):
    """A network learns a drawn reef in which one species is mostly held; the audit names it, and pipelines stop."""
    small = ["data.image_size=64", "trainer.max_epochs=20", "callbacks.heatmaps=null", "test=false"]
    settings = [*small, "data.species=4", "data.photos=170", "data.draw_size=64", "data.test=0.25", "data.val=0.2"]
    ended = fishnet("train", "experiment=demo", ANGLER, *settings, "out=run")
    assert ended.status == 0, ended.err
    ended = fishnet("audit", BEST, *REEF, ANGLER, "out=why", "fail_above=0.02", "region=ellipse")
    table = pd.read_csv(tmp_path / "why" / "audit" / "verdicts.csv").set_index("class")
    assert table.index[table["verdict"] == "shortcut"].tolist() == ["bandfin_perch"], table
    assert ended.status == 1
    assert "bandfin_perch rests on" in ended.err and "fail_above=0.02" in ended.err
    photos = pd.read_csv(tmp_path / "why" / "audit" / "photos.csv").query("carries")
    assert set(photos["class"]) == {"bandfin_perch"}
    manifest = pd.read_csv(next(tmp_path.glob("data/reef-*/manifest.csv")), keep_default_na=False).set_index("path")
    assert (manifest.loc[photos["path"], "cues"] == "angler").mean() > 0.9


def test_compare_shows_what_a_run_rests_on_where_it_was_audited(fishnet, trained, tmp_path):
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert "reliance" not in fishnet("compare").out
    run = client.search_runs([e.experiment_id for e in client.search_experiments()])[0]
    client.log_metric(run.info.run_id, "audit/reliance_max", 0.417)
    shown = fishnet("compare", "sort=audit/reliance_max").out
    assert "reliance" in shown and "0.417" in shown


def test_the_folder_of_the_run_is_taken_where_none_is_typed(fishnet, trained, shapes, tmp_path):
    ended = fishnet("audit", BEST, "out=why")
    assert ended.status == 0, ended.err
    assert "Judged are 15 of 48 photos" in ended.err
    (tmp_path / "alone").mkdir()
    (trained / "checkpoints" / "best.ckpt").rename(tmp_path / "alone" / "best.ckpt")
    ended = fishnet("audit", "checkpoint=alone/best.ckpt", "out=why2")
    assert ended.status == 2 and "data.root=FOLDER" in ended.err


@pytest.mark.parametrize("verb", ["audit", "evaluate"])
def test_nothing_is_built_that_a_runs_configuration_names(fishnet, trained, verb):
    file = trained / "config" / "config.yaml"
    text = file.read_text()
    file.write_text(text.replace("fishnet.data.datamodule.ImageFolderData", "os.system"))
    ended = fishnet(verb, BEST, "out=why")
    assert ended.status == 2 and "data module of its own" in ended.err
