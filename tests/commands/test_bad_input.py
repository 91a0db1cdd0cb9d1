"""What is refused is refused in one sentence, with exit status 2, and leaves nothing behind."""

import subprocess
import sys
import time

import pytest

from fishnet.config.validate import MONITORS
from fishnet.errors import BadInput, WorkFailed
from fishnet.models.published import has_trace
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder, draw_photo
from tests.support.processes import environment


def refused(ended, *words: str) -> None:
    assert ended.status == BadInput.status, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert len(lines) == 1, ended.err
    assert "Traceback" not in ended.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data=folder", "data.root=nowhere"], ["nowhere", "does not exist"]),
        (["data=folder", "data.root=pho\udcfftos"], ["pho\\udcfftos", "UTF-8", "rename"]),
        (["data=folder"], ["data.root", "needed"]),
        (["model.lr=abc"], ["model.lr=abc", "a number"]),
        (["model.lrr=0.1"], ["model.lrr", "model.lr"]),
        (["modle.lr=0.1"], ["modle.lr", "model.lr"]),
        (["callbacks=null"], ["group of settings", "null"]),
        (["data=foldr"], ["data=foldr", "folder"]),
        (["callbacks=[audit,exchagne]"], ["callbacks=exchagne", "exchange"]),
        (["+callbacks=audit"], ["callbacks=[NAME,NAME]"]),
        (["data.val=0"], ["data.val=0", "above 0"]),
        (["data.test=1"], ["data.test=1", "below 1"]),
        (["data.val=0.6", "data.test=0.5"], ["nothing to train on"]),
        (["data.folds=5"], ["data.fold"]),
        (["data.folds=5", "data.fold=5"], ["0 to 4"]),
        (["-m", "trainer=ddp", "model.lr=0.1,0.2"], ["-m", "devices"]),
        (["-m", "model.lr=0.1,abc"], ["model.lr=abc"]),
        (["trainer.max_epochs=many"], ["trainer.max_epochs=many"]),
        (["callbacks.early_stopping.patience=long"], ["callbacks.early_stopping.patience"]),
        (["model=adam"], ["model=adam"]),
        (["model.optimizer=sdg"], ["sgd"]),
        (["seed=one"], ["seed=one"]),
        (["data.plant={cue: anglr}"], ["angler"]),
        (["data.species=1"], ["species"]),
        (["seed=-1"], ["seed=-1", "0 or more"]),
        (["model.dropout=1"], ["model.dropout=1", "below 1"]),
        (["model.factor=1"], ["model.factor=1"]),
        (["model.patience=-1"], ["model.patience=-1"]),
        (["model.momentum=1.5"], ["model.momentum=1.5"]),
        (["model.weight_decay=-0.1"], ["model.weight_decay=-0.1"]),
        (["model.lr=0"], ["model.lr=0", "above 0"]),
        (["data.workers=-1"], ["data.workers=-1"]),
        (["data.image_size=4"], ["data.image_size=4", "8 or more"]),
        (["data.views=-2"], ["data.views=-2"]),
        (["data.views=2"], ["data.views=2", "model.freeze=backbone"]),
        (["data.views=2", "model.freeze=backbone", "data.augment=none"], ["data.views=2", "data.augment=none"]),
        (["data.cache=~nobody-here/cache"], ["data.cache=~nobody-here/cache", "no user nobody-here"]),
        (["data=folder", "data.root=~nobody-here/x"], ["data.root=~nobody-here/x", "no user nobody-here"]),
        (["data.cache_limit=0"], ["data.cache_limit=0"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs=0", "1 or more"]),
        (["callbacks.report.resamples=-1"], ["callbacks.report.resamples=-1"]),
        (["monitor=val/f1"], ["monitor=val/f1", "val/f1_macro"]),
        (["monitor=test/accuracy"], ["monitor=test/accuracy", "val/accuracy"]),
        (["out=/proc/nowhere/run"], ["out=/proc/nowhere/run"]),
        (["data=folder", "data.root=.", "data.plant={cue: angler}"], ["data.plant", "data=reef"]),
        (["-m", "out=x", "model.lr=0.1,0.2"], ["out="]),
        (["foo"], ["foo", "key=value"]),
        (["-x"], ["-x", "--help"]),
        (["model.lr=[1"], ["model.lr=[1", "quote"]),
    ],
)
def test_settings_that_cannot_be_right(fishnet, tmp_path, arguments, words):
    refused(fishnet("train", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_empty_or_holds_one_class(fishnet, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "photos")
    draw_folder(photos, ["only"], 5)
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "only")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_class_with_too_few_photos_is_named_with_its_count(fishnet, tmp_path):
    photos = draw_folder(tmp_path / "photos", ["many", "more"], 12)
    draw_photo(photos / "rare" / "a.jpg", 2, 1)
    refused(fishnet("train", "data=folder", f"data.root={photos}"), "rare", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_an_unknown_backbone_offers_the_nearest(fishnet, tmp_path, shapes):
    refused(fishnet("train", "data=folder", f"data.root={shapes}", "model.backbone=restnet50"), "resnet50")
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_checkpoint(fishnet, tmp_path, shapes):
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    refused(fishnet("evaluate", "checkpoint=cut.ckpt", f"data.root={shapes}"), "cut.ckpt")
    refused(fishnet("predict", "checkpoint=cut.ckpt", f"images={shapes}"), "cut.ckpt")
    refused(fishnet("train", "resume=cut.ckpt"), "cut.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.ckpt"]


def test_a_tracking_server_that_is_not_there(fishnet, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(open_store.__kwdefaults__, "patience", 1.0)
    monkeypatch.setattr("fishnet.data.index.known_photos", None)  # no photo is read before it has answered
    refused(fishnet("train", *tiny, "tracking.uri=http://127.0.0.1:9"), "127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("predict", [], ["checkpoint", "needed"]),
        ("predict", ["checkpoint=a.ckpt"], ["images", "needed"]),
        ("predict", ["sure=very"], ["sure=very", "a number"]),
        ("predict", ["sure=2"], ["sure=2", "between 0 and 1"]),
        ("predict", ["batch_size=0"], ["batch_size=0"]),
        ("predict", ["overwrite=perhaps"], ["overwrite=perhaps", "true or false"]),
        ("predict", ["out=taken"], ["out=taken", "folder"]),
        ("predict", ["out=taken/file/answers.csv"], ["out=taken/file/answers.csv", "is a file"]),
        ("evaluate", ["data.root=."], ["checkpoint", "needed"]),
        ("evaluate", ["part=some"], ["part=some", "all"]),
        ("compare", ["last=0"], ["last=0"]),
        ("compare", ["last=many"], ["last=many", "a whole number"]),
        ("compare", ["port=http"], ["port=http"]),
        ("compare", ["port=70000"], ["port=70000", "65535"]),
        ("compare", ["overwrite=perhaps"], ["overwrite=perhaps"]),
        ("compare", ["deliver=perhaps"], ["deliver=perhaps"]),
        ("compare", ["sort=3"], ["sort=3", "a text"]),
        ("ui", ["port=0"], ["port=0", "65535"]),
        ("ui", ["port=http"], ["port=http"]),
    ],
)
def test_other_verbs_refuse_alike_and_say_nothing_else(fishnet, tmp_path, verb, arguments, words):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    (tmp_path / "a.ckpt").touch()
    given = {"predict": ["checkpoint=a.ckpt", "images=."], "evaluate": ["checkpoint=a.ckpt", "data.root=."]}
    own = given.get(verb, []) if "needed" not in words else []
    ended = fishnet(verb, *own, *arguments)
    refused(ended, *words)
    assert len(ended.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "taken"]


def test_a_constructor_that_refuses_is_heard_without_hydras_words(fishnet, tmp_path, monkeypatch):
    def full(self, **settings):
        raise WorkFailed("no room for the reef.")

    monkeypatch.setattr("fishnet.data.reef.ReefData.__init__", full)
    ended = fishnet("train")
    assert (ended.status, ended.err) == (1, "fishnet: no room for the reef.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.backbone=vit_tiny_patch16_224", "data.image_size=64"], ["data.image_size=64", "vit_tiny"]),
        (["data.image_size=8", "model.backbone_args.filters=[4,4,4,4,4,4]"], ["data.image_size=8", "cnn"]),
        (["data.batch_size=1", "model.backbone=resnet10t", "data.image_size=32"], ["data.batch_size=1", "batch norm"]),
        (["trainer.accelerator=gpu", "trainer.devices=9"], ["trainer"]),
        (["trainer.precision=17"], ["trainer"]),
        (["trainer.precision=bf16-true"], ["trainer.precision=bf16-true", "float32", "bf16-mixed"]),
        (["out=full"], ["out=", "in use"]),
        (["model.backbone=restnet50"], ["resnet50"]),
        (["model.freeze=99"], ["model.freeze=99"]),
        (["data.folds=17", "data.fold=0"], ["16 photos", "17 groups"]),
        (["data.classes=[disc]"], ["disc", "two class folders"]),
        (["out=PHOTOS/run"], ["inside data.root", "class"]),
    ],
)
def test_what_can_be_refused_is_refused_before_a_photo_is_read(
    fishnet, tmp_path, tiny, shapes, monkeypatch, settings, words
):
    def read(*arguments, **options):
        raise AssertionError("the photos were read")

    monkeypatch.setattr("fishnet.data.index.known_photos", read)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    if any(one.startswith("model.backbone=") for one in settings):
        tiny = [*(one for one in tiny if "filters" not in one), "model.pretrained=false"]
    refused(fishnet("train", *tiny, *(one.replace("PHOTOS", str(shapes)) for one in settings)), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_reef_is_not_drawn_for_what_is_refused(fishnet, tmp_path):
    refused(fishnet("train", "model.backbone=restnet50"), "resnet50")
    refused(fishnet("train", "data.photos=2"), "2 photos")
    assert list(tmp_path.iterdir()) == []


def test_the_reef_is_not_drawn_among_class_folders(fishnet, shapes):
    """Whoever names their photos and forgets data=folder means the photos."""
    before = sorted(shapes.parent.iterdir()), sorted(shapes.iterdir())
    refused(fishnet("train", f"data.root={shapes}"), "data=folder", "disc")
    assert (sorted(shapes.parent.iterdir()), sorted(shapes.iterdir())) == before


def test_the_monitors_offered_are_those_that_validation_reports(fishnet, trained):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{trained.parent / 'mlflow.db'}")
    (run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert {key for key in run.data.metrics if key.startswith("val/")} - {"val/calibration_error_scaled"} == set(
        MONITORS
    )


PRETRAINED = """
import runpy, sys
sys.argv = ["fishnet.commands.train", "model.pretrained=true"]
try:
    runpy.run_module("fishnet.commands.train", run_name="__main__")
except SystemExit as end:
    assert "torch" not in sys.modules and "hydra" in sys.modules
    sys.exit(end.code)
"""


def test_weights_of_which_there_is_no_trace_are_refused_before_torch_is_imported(tmp_path):
    places = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "TORCH_HOME": str(tmp_path / "torch")}
    command = [sys.executable, "-c", PRETRAINED]
    done = subprocess.run(command, cwd=tmp_path, env={**environment(), **places}, capture_output=True, text=True)
    assert done.returncode == BadInput.status, done.stderr
    (line,) = done.stderr.splitlines()
    assert "prefetch=true" in line and "resnet101" in line
    assert list(tmp_path.iterdir()) == []


def test_a_trace_of_weights_is_left_to_the_real_check(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert not has_trace("resnet50")
    (tmp_path / "hub" / "models--timm--resnet50.a1_in1k").mkdir(parents=True)
    assert has_trace("resnet50") and not has_trace("resnet101")
    (tmp_path / "hub" / "models--someone--else").mkdir()
    assert has_trace("resnet101")


def test_prefetching_without_a_network_is_one_sentence_and_quick(fishnet, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    begin = time.monotonic()
    ended = fishnet("train", "prefetch=true", "model.backbone=resnet50")
    refused(ended, "resnet50", "127.0.0.1:9")
    assert len(ended.err.splitlines()) == 1
    assert time.monotonic() - begin < 10


def test_a_folder_where_nothing_can_be_made_is_one_sentence(fishnet, trained):
    """Rights alone do not tell it: of root, and of /proc."""
    ended = fishnet("predict", "checkpoint=run/checkpoints/best.ckpt", "images=run", "out=/proc/x/answers.csv")
    assert ended.status == 2
    assert ended.err.startswith("fishnet: out=/proc/x/answers.csv: nothing can be written in /proc")
    assert ended.err.count("\n") == 1
