"""A checkpoint gives the same answers wherever it is asked, whatever arithmetic it was trained in."""

import csv
import json

import pytest

from fishnet.models.checkpoint import load_model

from .conftest import TINY

SETTINGS = {
    "cnn": ["model.backbone_args.filters=[8,16]", "trainer.precision=bf16-mixed"],
    "test_resnet": ["model.backbone_args=null", "trainer.precision=bf16-mixed", "trainer.channels_last=true"],
    "mobilenetv3_small_050": ["model.backbone_args=null", "trainer.precision=bf16-mixed", "model.freeze=backbone",
                              "data.augment=none"],
    "convnext_atto": ["model.backbone_args=null", "trainer.precision=bf16-mixed"],
}  # fmt: skip


def rows(file) -> list[dict]:
    with open(file, newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize("backbone", SETTINGS)
def test_train_evaluate_and_predict_print_the_same(fishnet, shapes, tmp_path, backbone):
    quick = ["callbacks.heatmaps=null", "callbacks.report.resamples=50"]
    own = [f"data.root={shapes}", *TINY, *quick, "model.lr=0.1", f"model.backbone={backbone}", *SETTINGS[backbone]]
    ended = fishnet("train", *own, "out=run")
    assert ended.status == 0, ended.err
    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    ended = fishnet(
        "evaluate", checkpoint, f"data.root={shapes}", *quick, "trainer.accelerator=cpu", "part=test", "out=again"
    )
    assert ended.status == 0, ended.err
    trained, measured = (
        json.loads((tmp_path / run / "report" / "metrics.json").read_text()) for run in ("run", "again")
    )
    assert trained == measured
    first, second = (rows(tmp_path / run / "report" / "predictions.csv") for run in ("run", "again"))
    assert [{**row, "seen": "test"} for row in first] == second

    assert fishnet("predict", checkpoint, f"images={shapes}", "out=answers.csv", "batch_size=5").status == 0
    answers = {row["path"]: row for row in rows(tmp_path / "answers.csv")}
    for row in first:
        answer = answers[str(shapes / row["path"])]
        assert (answer["predicted"], answer["probability"]) == (row["predicted"], row["probability"])
        assert answer["seen"] == "test"
    assert {row["seen"] for row in answers.values()} == {"train", "val", "test"}
    assert load_model(tmp_path / "run" / "model" / "model.ckpt").seen is not None
