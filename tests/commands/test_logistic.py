"""`model.head=logistic`: a frozen network's classifier layer is fitted; the run and its checkpoint are as any other."""

import json

import pandas as pd
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.models.checkpoint import load_model, read_checkpoint

OWN = ["data=folder", "model.pretrained=false"]
LAST = ["callbacks.best.among=last", "callbacks.early_stopping=null"]
FITTED = ["model.backbone=test_resnet", "model.freeze=backbone", "model.head=logistic", "data.image_size=32"]


def test_a_run_fits_it_and_leaves_an_ordinary_checkpoint(fishnet, shapes, tmp_path):
    words = [f"data.root={shapes}", *OWN, *FITTED, "model.head_refit=true", "trainer.accelerator=cpu", "out=run"]
    ended = fishnet("train", *words)
    assert ended.status == 0, ended
    text = ended.out + ended.err
    assert "The classifier layer is fitted: a penalty of" in text and "epoch 1/1" in text and "epoch 2" not in text
    assert "fitted again, on training and validation photos" in text
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    seen = read_checkpoint(best)["seen"]
    assert seen["val"].numel() == 0 and seen["train"].numel() > 0
    assert load_model(best).hparams["head"] == "logistic"
    ended = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt", f"data.root={shapes}", "out=again")
    assert ended.status == 0, ended
    tested, again = (pd.read_csv(tmp_path / name / "report/predictions.csv") for name in ("run", "again"))
    assert again.drop(columns="seen").equals(tested), "what is kept is what was tested"
    validation = tmp_path / "run" / "report" / "validation.csv"
    kept, answers = read_checkpoint(best)["state_dict"], validation.read_bytes()
    ended = fishnet("train", "resume=run")
    assert ended.status == 0, ended
    again = read_checkpoint(best)["state_dict"]
    assert all(torch.equal(values, again[name]) for name, values in kept.items()), "and learns nothing by going on"
    assert validation.read_bytes() == answers, "not what it says of photos that it has learned from by now"


@pytest.mark.slow
def test_above_a_network_that_is_trained_too_it_is_where_the_training_begins(fishnet, shapes, tmp_path):
    drawn = ImageClassifier(classes=["a", "b", "c"], backbone="test_resnet").network
    torch.save(drawn.state_dict(), tmp_path / "weights.pth")
    words = [f"data.root={shapes}", "data=folder", "data.augment=none", "model.pretrained=weights.pth", *FITTED,
             "trainer.accelerator=cpu", "test=false", "callbacks.heatmaps=null"]  # fmt: skip
    assert fishnet("train", *words, "out=frozen").status == 0
    words = [*words, "model.freeze=none", "trainer.max_epochs=1"]
    ended = fishnet("train", *words, "model.lr=1e-12", "model.lr_by_error=true", "out=begun")
    assert ended.status == 0 and "The classifier layer is fitted" in ended.out + ended.err
    assert "wrong: the rate is" in ended.out + ended.err
    layers = [
        {name: value for name, value in weights.items() if name.startswith("network.fc")}
        for weights in (
            read_checkpoint(tmp_path / name / "checkpoints" / "best.ckpt")["state_dict"] for name in ("frozen", "begun")
        )
    ]
    assert layers[0].keys() == layers[1].keys() and len(layers[0]) == 2
    assert all(torch.allclose(layers[0][name], value, atol=1e-4) for name, value in layers[1].items())
    ended = fishnet("train", "resume=begun", "trainer.max_epochs=2")
    assert ended.status == 0 and "epoch 2/2" in ended.out + ended.err and "is fitted" not in ended.out + ended.err


@pytest.mark.slow
def test_an_epoch_that_makes_it_worse_is_not_kept(fishnet, shapes, tmp_path):
    drawn = ImageClassifier(classes=["a", "b", "c"], backbone="test_resnet").network
    torch.save(drawn.state_dict(), tmp_path / "weights.pth")
    words = [f"data.root={shapes}", "data=folder", "data.augment=none", "model.pretrained=weights.pth", *FITTED,
             "model.freeze=none", "model.lr=0.1", "trainer.accelerator=cpu", "trainer.max_epochs=2"]  # fmt: skip
    ended = fishnet("train", *words, "out=run")
    assert ended.status == 0 and "epoch 0/2  val loss" in ended.out + ended.err, ended
    run = tmp_path / "run"
    best = read_checkpoint(run / "checkpoints" / "best.ckpt")
    curves = pd.read_csv(run / "report" / "curves.csv", index_col="epoch")["val/loss"]
    assert best["epoch"] == curves.idxmin() == -1 and best["global_step"] == 0
    assert best["seen"]["train"].numel() > 0
    assert "before the first epoch, with the fitted layer" in (run / "report" / "report.html").read_text()
    ended = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt", f"data.root={shapes}", "out=again")
    assert ended.status == 0, ended
    tested, again = (pd.read_csv(tmp_path / name / "report/predictions.csv") for name in ("run", "again"))
    assert again.drop(columns="seen").equals(tested), "what is kept is what was tested"
    for file in (run / "checkpoints").glob("last.ckpt*"):  # as after a kill in the first epoch
        file.unlink()
    ended = fishnet("train", "resume=run")
    text = ended.out + ended.err
    assert ended.status == 0 and "epoch 1/2" in text and "epoch 0/2" not in text and "is fitted" not in text, ended
    again = pd.read_csv(run / "report" / "curves.csv", index_col="epoch")["val/loss"]
    assert again.index.tolist() == [-1, 0, 1] and again.tolist() == pytest.approx(curves.tolist(), rel=1e-4)


@pytest.mark.slow
def test_an_average_of_weights_begins_with_the_fitted_layer(fishnet, shapes, tmp_path):
    """What Lightning's callback saves is its average: before the first step it has to be what was measured."""
    drawn = ImageClassifier(classes=["a", "b", "c"], backbone="test_resnet").network
    torch.save(drawn.state_dict(), tmp_path / "weights.pth")
    words = [f"data.root={shapes}", "data=folder", "data.augment=none", "model.pretrained=weights.pth", *FITTED,
             "model.freeze=none", "model.lr=0.1", "trainer.accelerator=cpu", "trainer.max_epochs=1", "test=false",
             "+callbacks.averaging={_target_: pytorch_lightning.callbacks.EMAWeightAveraging}"]  # fmt: skip
    assert fishnet("train", *words, "out=run").status == 0
    curves = pd.read_csv(tmp_path / "run" / "report" / "curves.csv", index_col="epoch")["val/loss"]
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")["epoch"] == curves.idxmin() == -1
    ended = fishnet("evaluate", "checkpoint=run", f"data.root={shapes}", "part=val", "out=again")
    assert ended.status == 0, ended
    figures = json.loads((tmp_path / "again" / "report" / "metrics.json").read_text())["figures"]
    assert figures["loss"]["value"] == pytest.approx(curves[-1], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.head=logistic"], "say model.pretrained=true"),
        (["model.head=logistic", "model.head_refit=true"], "of a frozen backbone is fitted again"),
        (["model.head_refit=true"], "only model.head=logistic of a frozen backbone"),
        ([*FITTED, "tune=lr"], "model.head=logistic has no learning rate"),
        (["model.head=ridge"], "model.head=ridge"),
        (["model.keep_statistics=true"], "has none to keep"),
        (["model.lr_by_error=true"], "say model.head=logistic"),
        (["callbacks.best.among=last"], "say callbacks.early_stopping=null"),
        ([*LAST, "+trainer.max_steps=3"], "trainer.max_steps=3 leaves that one out"),
        ([*LAST, "+trainer.max_time=00:00:00:01"], "trainer.max_time=00:00:00:01 leaves that one out"),
        ([*LAST, "trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=2"], "check_val_every_n_epoch=2 leaves"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(fishnet, shapes, words, sentence):
    ended = fishnet("train", f"data.root={shapes}", *OWN, *words)
    assert ended.status == 2 and sentence in ended.err and "Traceback" not in ended.err
