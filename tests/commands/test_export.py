"""fishnet export: the bundle is used as the checkpoint is, and carries what the run and its audit know."""

import io
import json
import os
import shutil
from types import SimpleNamespace

import pandas as pd
from PIL import Image

from fishnet.headers import read_header
from fishnet.models.bundle import read_bundle, read_gallery
from fishnet.tracking.python_function import PhotoModel
from tests.support.drawing import draw_folder

BEST = "checkpoint=run/checkpoints/best.ckpt"


def test_the_bundle_answers_as_the_checkpoint_does(fishnet, trained, shapes, tmp_path):
    ended = fishnet("export", BEST, "out=handed")
    assert ended.status == 0, ended.err
    assert "0 of 3 classes" in ended.out and "macro-F1" not in ended.out  # few photos, and no test
    for name, model in (("own", "run/checkpoints/best.ckpt"), ("handed", "handed")):
        ended = fishnet("predict", f"checkpoint={model}", f"images={shapes}", f"out={name}.csv")
        assert ended.status == 0, ended.err
        assert "trained on 33 photos" in ended.err
    assert (tmp_path / "own.csv").read_bytes() == (tmp_path / "handed.csv").read_bytes()
    about = json.loads((tmp_path / "handed" / "model.json").read_text())
    assert about["data"]["photos"] == 48 and len(about["data"]["digest"]) == 64
    assert set(about["thresholds"]) == {"bar", "box", "disc"} and "metrics" not in about
    assert str(tmp_path) not in (tmp_path / "handed" / "model.json").read_text()


def test_photos_of_the_run_say_what_belongs_to_none_of_the_classes(fishnet, tiny, tmp_path):
    draw_folder(tmp_path / "photos", photos=40)
    settings = ["data.root=photos", "callbacks.heatmaps=null", "out=run", "tracking.offline=true", "test=false"]
    assert fishnet("train", *tiny, *settings, "data.val=0.3").status == 0
    assert fishnet("export", BEST, "out=handed").status == 0
    familiarity = read_bundle(tmp_path / "handed").model.familiarity
    assert familiarity.means.shape[0] == familiarity.thresholds.shape[0] == 3
    model = PhotoModel()
    model.load_context(SimpleNamespace(artifacts={"bundle": tmp_path / "handed"}))
    noise = io.BytesIO()
    Image.effect_noise((64, 64), 120).convert("RGB").save(noise, "PNG")
    known = sorted((tmp_path / "photos").rglob("*.jpg"))
    photos = [noise.getvalue(), *[file.read_bytes() for file in known]]
    strange = model.predict(None, pd.DataFrame({"photo": photos}))["none_of_these"]
    assert strange.dtype == bool and strange[0] and strange[1:].mean() < 0.2
    assert fishnet("export", BEST, "out=without", "none_of_these=false").status == 0
    assert read_bundle(tmp_path / "without").model.familiarity is None
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    ended = fishnet("export", BEST, "out=third")
    assert ended.status == 0 and "the photos of the run are not where they were" in ended.err


def test_what_an_audit_has_shown_goes_with_the_model(fishnet, trained, shapes, tmp_path):
    assert fishnet("audit", BEST, f"data.root={shapes}", "out=why", "power=none").status == 0
    assert fishnet("export", BEST, "out=handed").status == 0
    audit = read_bundle(tmp_path / "handed").audit
    assert [row["verdict"] for row in audit["verdicts"]] == ["withheld"] * 3


def test_figures_and_licences_go_with_the_model(fishnet, tiny, shapes, tmp_path):
    photos = sorted(path.relative_to(shapes).as_posix() for path in shapes.glob("*/*.jpg"))
    licences = ["cc-by"] * 30 + [""] * (len(photos) - 30)
    pd.DataFrame({"path": photos, "licence": licences}).to_csv(tmp_path / "manifest.csv", index=False)
    settings = ["callbacks.heatmaps=null", "out=run", "tracking.offline=true"]
    assert fishnet("train", *tiny, *settings, "data.manifest=manifest.csv").status == 0
    ended = fishnet("export", BEST, "out=handed")
    assert "cc-by 30, unknown 18" in ended.out, ended.err
    assert "macro-F1" in ended.out and "on test photos" in ended.out
    assert read_bundle(tmp_path / "handed").about["metrics"]["photos"] == 7


def test_a_checkpoint_alone_is_exported_without_figures(fishnet, trained, tmp_path):
    (trained / "checkpoints" / "best.ckpt").rename(tmp_path / "alone.ckpt")
    ended = fishnet("export", "checkpoint=alone.ckpt", "out=handed")
    assert ended.status == 0 and "no figures, thresholds or licences" in ended.err
    assert fishnet("export", "checkpoint=handed", "out=again").status == 0


def test_nothing_is_written_over(fishnet, trained, tmp_path):
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "mine.txt").write_text("mine")
    ended = fishnet("export", BEST, "out=handed")
    assert ended.status == 2 and "out=handed exists" in ended.err
    assert [file.name for file in (tmp_path / "handed").iterdir()] == ["mine.txt"]


def test_a_changed_bundle_is_one_sentence(fishnet, trained, shapes, tmp_path):
    assert fishnet("export", BEST, "out=handed").status == 0
    (tmp_path / "handed" / "model.json").write_text("{}")
    ended = fishnet("predict", "checkpoint=handed", f"images={shapes}")
    assert ended.status == 2 and "model.json is not what was written" in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_a_registered_model_is_used_by_its_name_and_pickles_nothing(fishnet, trained, shapes, tmp_path, monkeypatch):
    import mlflow

    ended = fishnet("export", BEST, "out=handed", "register=shapes", "alias=champion")
    assert ended.status == 0, ended.err
    assert "MLFLOW_TRACKING_URI" not in os.environ  # whatever runs in this process next has its own store
    assert "models:/shapes/1 (@champion)" in ended.out
    for name, model in (("own", "run/checkpoints/best.ckpt"), ("named", "models:/shapes@champion")):
        assert fishnet("predict", f"checkpoint={model}", f"images={shapes}", f"out={name}.csv").status == 0
    assert (tmp_path / "own.csv").read_bytes() == (tmp_path / "named.csv").read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/shapes@champion")
    table = pd.read_csv(tmp_path / "own.csv")
    photos = [(shapes / path).read_bytes() for path in table["path"]]
    answered = model.predict(pd.DataFrame({"photo": [*photos, b"no photo"]}))
    assert answered["predicted"].tolist() == [*table["predicted"], ""]
    assert (answered["probability"][:-1] - table["probability"]).abs().max() < 1e-5
    assert answered["problem"].iloc[-1] and set(model.metadata.signature.outputs.input_names()) == {*answered}
    kept = {file.suffix for file in (tmp_path / "artifacts").rglob("models/**/*.*") if file.is_file()}
    assert not kept & {".pkl", ".pickle", ".pt", ".pth", ".ckpt"}


def test_a_run_is_exported_by_its_id(fishnet, trained, tmp_path):
    run = json.loads((trained / "run.json").read_text())["run_id"]
    assert fishnet("export", f"checkpoint=runs:/{run}", "out=handed").status == 0
    assert read_bundle(tmp_path / "handed").model.classes == ["bar", "box", "disc"]


def test_what_is_not_in_the_store_is_one_sentence(fishnet, trained, tmp_path):
    for reference in ("models:/eel@champion", "models:/eel/1", "runs:/0123456789abcdef0123456789abcdef", "models:/eel"):
        ended = fishnet("predict", f"checkpoint={reference}", "images=nowhere")
        assert ended.status == 2 and reference in ended.err and len(ended.err.strip().splitlines()) == 1, ended.err
    ended = fishnet("export", BEST, "out=handed", "alias=champion")
    assert ended.status == 2 and "register=NAME" in ended.err


def test_photos_of_the_test_go_with_the_model_where_their_licence_allows(fishnet, tiny, shapes, tmp_path):
    data = shutil.copytree(shapes, tmp_path / "photos")
    photos = sorted(path.relative_to(data).as_posix() for path in data.glob("*/*.jpg"))
    owners = {"licence": ["cc-by", "all-rights-reserved"] * 24, "attribution": "(c) Ada"}
    pd.DataFrame({"path": photos, **owners}).to_csv(data / "manifest.csv", index=False)
    settings = ["data.root=photos", "callbacks.heatmaps=null", "out=run", "tracking.offline=true"]
    assert fishnet("train", *tiny, *settings).status == 0
    ended = fishnet("export", BEST, "out=handed", "gallery=24")
    assert ended.status == 0 and "no more can be handed over" in ended.err, ended.err
    rows, files = read_gallery(read_bundle(tmp_path / "handed"))
    answers = pd.read_csv(tmp_path / "run" / "report" / "predictions.csv").set_index("path")
    allowed = answers.loc[[path for path in answers.index if photos.index(path) % 2 == 0]]
    assert len(rows) == len(files) == len(allowed) > 0
    shown = sorted((row["true"], row["predicted"], row["probability"]) for row in rows)
    assert shown == sorted(allowed[["class", "predicted", "probability"]].itertuples(index=False, name=None))
    assert {(row["licence"], row["attribution"]) for row in rows} == {("cc-by", "(c) Ada")}
    for content in files.values():
        header = read_header(content)
        assert header.format == "JPEG" and not header.exif
    assert fishnet("export", BEST, "out=again", "gallery=24").status == 0
    assert read_gallery(read_bundle(tmp_path / "again")) == (rows, files)
    data.rename(tmp_path / "elsewhere")
    ended = fishnet("export", BEST, "out=third", "gallery=24")
    assert ended.status == 2 and "export where it was trained" in ended.err and not (tmp_path / "third").exists()


def test_a_bundle_of_a_bundle_knows_what_the_first_knew(fishnet, tiny, tmp_path):
    draw_folder(tmp_path / "photos", photos=40)
    settings = ["data.root=photos", "callbacks.heatmaps=null", "out=run", "tracking.offline=true", "data.val=0.3"]
    assert fishnet("train", *tiny, *settings).status == 0
    assert fishnet("export", BEST, "out=first", "gallery=4").status == 0
    ended = fishnet("export", "checkpoint=first", "out=second")
    assert ended.status == 0 and "no figures" not in ended.err
    names = {file.relative_to(tmp_path / "first").as_posix() for file in (tmp_path / "first").rglob("*")}
    assert names == {file.relative_to(tmp_path / "second").as_posix() for file in (tmp_path / "second").rglob("*")}
    for name in names - {"gallery"}:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_a_gallery_needs_a_run_with_a_test(fishnet, trained, tmp_path):
    ended = fishnet("export", BEST, "out=handed", "gallery=4")
    assert ended.status == 2 and "has tested no photos" in ended.err
    (trained / "checkpoints" / "best.ckpt").rename(tmp_path / "alone.ckpt")
    ended = fishnet("export", "checkpoint=alone.ckpt", "out=handed", "gallery=4")
    assert ended.status == 2 and "lies in no run's folder" in ended.err and not (tmp_path / "handed").exists()
