"""A GAN is trained like any other model, draws photos from a seed, and is judged by a classifier."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fishnet.config.quoting import quoted
from fishnet.models.checkpoint import read_checkpoint, verified
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder
from tests.support.processes import environment
from tests.support.verbs import in_this_process

HELD_OUT = 10  # of 48 photos, a fifth
TINY = [
    "experiment=fox_gan", "data.classes=[disc]", "data.group=none", "data.batch_size=16", "model.width=4",
    "model.discriminator_width=4", "model.latent=8", "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1",
    "trainer.accelerator=cpu", "callbacks.samples.photos=4",
]  # fmt: skip


@pytest.fixture(scope="session")
def discs(tmp_path_factory) -> Path:
    """Forty-eight photos of one class, and a few of another."""
    root = draw_folder(tmp_path_factory.mktemp("discs"), ["disc"], photos=48)
    return draw_folder(root, ["box"], photos=4)


@pytest.fixture(scope="session")
def _gan(discs, migrated, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("gan")
    shutil.copytree(migrated, home, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert in_this_process("train", *TINY, f"data.root={discs}", "out=gan") == 0
    return home


@pytest.fixture
def gan(_gan, tmp_path) -> Path:
    """A GAN's run of two epochs in the folder where the test works, with its store."""
    shutil.copytree(_gan, tmp_path, dirs_exist_ok=True)
    return tmp_path / "gan"


@pytest.fixture
def judge(_trained, tmp_path) -> Path:
    """A classifier's run beside it."""
    shutil.copytree(_trained / "run", tmp_path / "classifier")
    return tmp_path / "classifier"


def refusal(ended, *words: str) -> None:
    assert ended.status == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "Traceback" not in ended.err
    assert all(word in line for word in words), line


def test_a_run_leaves_grids_its_best_epoch_and_figures_in_mlflow(gan):
    assert sorted(file.name for file in (gan / "samples").iterdir()) == ["epoch_0000.jpg", "epoch_0001.jpg"]
    page = (gan / "report" / "report.html").read_text()
    assert "What it draws" in page and "The same noise in epoch 0001." in page and "What is taken for what" not in page
    text = (gan / "report" / "gan.txt").read_text()
    assert text.startswith("After epoch 2:") and "val/kid" in text
    kept = read_checkpoint(gan / "model" / "model.ckpt")
    assert "optimizer_states" not in kept and kept["hyper_parameters"]["classes"] == ["disc"]
    assert "fishnet generate" in (gan / "model" / "README.txt").read_text()
    run_id = json.loads((gan / "run.json").read_text())["run_id"]
    run = open_store(None, home=gan.parent).client().get_run(run_id)
    assert run.info.status == "FINISHED"
    delivered = open_store(None, home=gan.parent).client().list_artifacts(run_id, "samples")
    assert [Path(file.path).name for file in delivered] == ["epoch_0000.jpg", "epoch_0001.jpg"]
    kids = open_store(None, home=gan.parent).client().get_metric_history(run_id, "val/kid")
    assert len(kids) == 2 and run.data.metrics["best/val_kid"] == pytest.approx(min(kid.value for kid in kids))
    assert {"val/diversity", "gan/held_out_taken_for_real", "train/generator_loss"} <= set(run.data.metrics)
    assert run.data.params["model.width"] == "4"


@pytest.mark.slow
def test_a_stopped_run_of_few_photos_goes_on_exactly(fishnet, discs, migrated, tmp_path, watched):
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)
    steps, stop_at = watched
    settings = [*TINY, f"data.root={discs}", "callbacks.samples=null"]
    ended = fishnet("train", *settings, "out=whole")
    assert ended.status == 0 and "disc has 48 photos, and a GAN needs 50 or more" in ended.err
    undisturbed = [step[:3] for step in steps]
    steps.clear()
    stop_at[1, 1] = signal.SIGTERM
    assert fishnet("train", *settings, "out=parts").status == 128 + signal.SIGTERM
    assert fishnet("train", "resume=parts").status == 0
    assert [step[:3] for step in steps] == undisturbed
    one, two = (
        read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")["state_dict"] for run in ("whole", "parts")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.classes=null", ["one class", "names none", "data.classes=[box]"]),
        ("data.classes=[disc,box]", ["one class", "names 2", "data.classes=[disc]"]),
        ("data.classes=disc", ["data.classes=disc", "a list"]),
        ("data.classes=[dsic]", ["dsic", "disc"]),
        ("data.image_size=96", ["data.image_size=96", "64 or 128"]),
        ("data.positive=disc", ["data.positive", "data.classes"]),
        ("trainer.devices=2", ["one device"]),
        ("trainer.gradient_clip_val=1.0", ["gradient_clip_val"]),
        ("trainer.precision=bf16-mixed", ["float32"]),
        ("tune=lr", ["tune=lr"]),
        ("monitor=val/f1_macro", ["monitor=val/f1_macro", "val/kid"]),
        ("model.lr=0", ["model.lr=0", "above 0"]),
        ("seed=4294967296", ["at most 4294967295"]),
    ],
)
def test_what_cannot_become_a_gan_is_refused(fishnet, discs, tmp_path, override, words):
    refusal(fishnet("train", *TINY, f"data.root={discs}", override), *words)
    assert not list(tmp_path.iterdir())


def test_neither_kind_is_trained_with_the_callbacks_of_the_other(fishnet):
    refusal(fishnet("train", "callbacks=gan"), "callbacks.samples", "experiment=fox_gan")
    settings = ["model=gan", "monitor=val/kid", "data.classes=[bandfin_perch]", "data.image_size=64"]
    refusal(fishnet("train", *settings), "callbacks.heatmaps", "callbacks=gan")


def test_nothing_is_resumed_as_the_other_kind(fishnet, gan, judge):
    refusal(fishnet("train", "experiment=fox_gan", "data.root=x", "data.classes=[disc]", "resume=classifier"),
            "trains a classifier", "asks for a GAN")  # fmt: skip
    refusal(fishnet("train", "model=classifier", "resume=gan"), "trains a GAN", "asks for a classifier")
    shutil.copy(gan / "model" / "model.ckpt", judge / "checkpoints" / "foreign.ckpt")
    refusal(fishnet("train", "resume=classifier/checkpoints/foreign.ckpt"), "holds a GAN", "trains a classifier")


def test_the_same_seed_draws_the_same_photos(fishnet, gan, tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        ended = fishnet("generate", "checkpoint=gan/checkpoints/best.ckpt", "n=5", f"seed={seed}", f"out={name}")
        assert ended.status == 0, ended.err
    one, two, other = ([np.asarray(Image.open(file)) for file in sorted((tmp_path / name / "photos").iterdir())]
                       for name in ("one", "two", "other"))  # fmt: skip
    assert len(one) == 5 and one[0].shape == (64, 64, 3)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    assert Image.open(tmp_path / "one" / "strip.png").width > 9 * 64
    assert json.loads((tmp_path / "one" / "generated.json").read_text())["n"] == 5


def test_a_classifier_judges_what_is_drawn(fishnet, gan, judge, tmp_path):
    judged_by = "judge=classifier/checkpoints/best.ckpt"
    ended = fishnet("generate", "checkpoint=gan/checkpoints/best.ckpt", judged_by, "n=24", "out=judged")
    assert ended.status == 0, ended.err
    found = json.loads((tmp_path / "judged" / "judged.json").read_text())
    assert found["held_out"]["photos"] == HELD_OUT and found["generated"]["photos"] == found["noise"]["photos"] == 24
    assert all(0 <= found[kind]["accepted"] <= 1 for kind in ("generated", "held_out", "noise"))
    assert sum(found["generated"]["answers"].values()) == 24
    assert found["kid"] > found["kid_between_halves"]  # two epochs are no training
    assert all(math.isfinite(found[key]) for key in ("kid", "fid", "kid_between_halves", "fid_between_halves"))
    assert len(found["nearest_training_photo"]) == len(found["distances"]) == 24
    assert "classifier layer of the judge (cnn)" in found["features"]
    page = (tmp_path / "judged" / "judged.html").read_text()
    assert all(words in page for words in ("held-out real photos", "Are they copies?", "What the classifier looks at"))
    assert "The first 24 generated photos" in page and "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["n=0"], ["n=0"]),
        (["n=-3"], ["n=-3"]),
        (["steps=1"], ["steps=1"]),
        (["seed=4294967296"], ["at most 4294967295"]),
        (["n=10001"], ["n=10001", "10000"]),
        (["out=gan"], ["out=gan", "exists"]),
        (["out=mlflow.db"], ["out=mlflow.db", "exists"]),
        (["checkpoint=nowhere.ckpt"], ["nowhere.ckpt", "no such checkpoint"]),
        (["checkpoint=classifier/checkpoints/best.ckpt"], ["holds no GAN but a classifier", "experiment=fox_gan"]),
        (["judge=gan/checkpoints/best.ckpt"], ["holds a GAN", "classifier"]),
        (["judge=classifier/checkpoints/best.ckpt", "data.root=nowhere"], ["nowhere"]),
        (["judge=classifier/checkpoints/best.ckpt", "n=1"], ["n=1", "8 photos or more"]),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(fishnet, gan, judge, tmp_path, arguments, words):
    before = sorted(tmp_path.rglob("*"))
    refusal(fishnet("generate", "checkpoint=gan/checkpoints/best.ckpt", "out=new", *arguments), *words)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_judges_and_draws_nothing(fishnet, gan, judge, tmp_path):
    exported = fishnet("export", "checkpoint=classifier/checkpoints/best.ckpt", "out=bundle", "none_of_these=false")
    assert exported.status == 0, exported.err
    refusal(fishnet("generate", "checkpoint=bundle", "out=new"), "holds no GAN but a classifier")
    (tmp_path / "new").mkdir()  # an empty folder is no loss
    ended = fishnet("generate", "checkpoint=gan/checkpoints/best.ckpt", "judge=bundle", "n=8", "out=new")
    assert ended.status == 0, ended.err
    assert (tmp_path / "new" / "judged.html").is_file()


def test_a_judge_that_does_not_know_the_class_is_refused(fishnet, gan, discs, tmp_path):
    settings = ["data=folder", f"data.root={discs}", "data.positive=box", "model.backbone=cnn", "data.image_size=32",
                "trainer.max_epochs=1", "trainer.accelerator=cpu", "callbacks.heatmaps=null", "test=false"]  # fmt: skip
    assert fishnet("train", *settings, "out=boxes").status == 0
    refusal(fishnet("generate", "checkpoint=gan/checkpoints/best.ckpt", "judge=boxes/checkpoints/best.ckpt", "out=new"),
            "does not know disc", "not box")  # fmt: skip


@pytest.mark.parametrize("verb", ["predict", "explain", "evaluate", "audit", "export", "serve"])
def test_verbs_of_classifiers_refuse_a_gan(fishnet, gan, discs, verb):
    more = {
        "predict": [f"images={discs}"], "explain": [f"images={discs}"], "evaluate": [f"data.root={discs}"],
        "audit": [f"data.root={discs}"], "export": ["out=bundle"], "serve": [],
    }  # fmt: skip
    refusal(fishnet(verb, "checkpoint=gan/checkpoints/best.ckpt", *more[verb]), "holds a GAN", "fishnet generate")


def test_a_gan_stands_in_the_table_of_runs(fishnet, gan):
    ended = fishnet("compare", "sort=best/val_kid")
    assert ended.status == 0, ended.err
    assert "gan" in ended.out


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_and_leaves_no_ruined_checkpoint(fishnet, discs, tmp_path):
    ended = fishnet("train", *TINY, f"data.root={discs}", "model.lr=1e30", "model.penalty=1e30", "out=run")
    assert ended.status == 1
    assert "became" in ended.err and "smaller lr" in ended.err and "Traceback" not in ended.err
    for file in (tmp_path / "run").rglob("*.ckpt"):
        assert all(bool(torch.isfinite(value).all()) for value in read_checkpoint(file)["state_dict"].values())


@pytest.mark.slow
def test_a_killed_run_goes_on_exactly(fishnet, discs, tmp_path):
    settings = [*TINY, f"data.root={discs}", "callbacks.samples=null", "callbacks.last.every_n_steps=1"]
    assert fishnet("train", *settings, "out=whole").status == 0
    command = [sys.executable, "-m", "fishnet.commands.train", *(quoted(text, "train") for text in settings)]
    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    with subprocess.Popen([*command, "out='parts'"], env=environment(), stderr=subprocess.DEVNULL) as running:
        while not verified(last) and running.poll() is None:
            time.sleep(0.02)
        running.kill()
    ended = fishnet("train", "resume=parts")
    assert ended.status == 0, ended.err
    one, two = (
        read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")["state_dict"] for run in ("whole", "parts")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_minute_of_training_on_the_reef_brings_the_drawn_photos_nearer(fishnet, tmp_path):
    """The whole path on a species of the reef; the full figures are those of experiments/gan."""
    settings = ["experiment=fox_gan", "data=reef", "data.photos=120", "data.draw_size=72", "data.classes=[veil_angel]",
                "trainer.accelerator=cpu", "trainer.max_epochs=24", "trainer.check_val_every_n_epoch=8",
                "callbacks.samples.every=8"]  # fmt: skip
    ended = fishnet("train", *settings, "out=gan")
    assert ended.status == 0, ended.err
    run_id = json.loads((tmp_path / "gan" / "run.json").read_text())["run_id"]
    kids = [kid.value for kid in open_store(None, home=tmp_path).client().get_metric_history(run_id, "val/kid")]
    assert len(kids) == 3 and kids[-1] < kids[0] / 2
    colours = [np.asarray(Image.open(file), float).std(axis=(0, 1)).mean()
               for file in sorted((tmp_path / "gan" / "samples").iterdir())]  # fmt: skip
    assert colours[-1] > colours[0]


def test_a_short_run_is_measured_at_its_end_and_keeps_its_best(fishnet, discs, migrated, tmp_path):
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)
    ended = fishnet("train", *TINY, f"data.root={discs}", "trainer.check_val_every_n_epoch=5", "out=gan")
    assert ended.status == 0, ended.err
    assert (tmp_path / "gan/checkpoints/best.ckpt").is_file()
