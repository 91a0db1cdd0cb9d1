"""`model.head=logistic`: a frozen network's classifier layer is fitted; the run and its checkpoint are as any other."""

import pandas as pd
import pytest

from fishnet.models.checkpoint import load_model, read_checkpoint

OWN = ["data=folder", "model.pretrained=false"]
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.head=logistic"], "say model.freeze=backbone"),
        (["model.head_refit=true"], "only model.head=logistic is fitted"),
        ([*FITTED, "tune=lr"], "model.head=logistic has no learning rate"),
        (["model.head=ridge"], "model.head=ridge"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(fishnet, shapes, words, sentence):
    ended = fishnet("train", f"data.root={shapes}", *OWN, *words)
    assert ended.status == 2 and sentence in ended.err and "Traceback" not in ended.err
