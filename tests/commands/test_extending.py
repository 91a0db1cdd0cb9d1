"""What CONTRIBUTING promises: a metric is one row, a backbone one file; each is added to a copy of the package here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fishnet
from tests.support.processes import environment

ROW = """METRICS = (
    Metric(
        name="kappa",
        label="Cohen's kappa",
        is_share=False,
        torchmetric="MulticlassCohenKappa",
        shown=("epoch",),
    ),
"""

BACKBONE = '''"""Two convolutions, for the smallest of photos."""

import torch
from timm.models import register_model
from torch import nn


class Twofold(nn.Module):
    pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.25,) * 3}

    def __init__(self, *, num_classes: int = 1000, width: int = 8) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(3, width, 3, 2), nn.ReLU(), nn.Conv2d(width, width, 3, 2), nn.ReLU()]
        self.features, self.head = nn.Sequential(*convolutions), nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))

    def get_classifier(self) -> nn.Module:
        return self.head


@register_model
def twofold(pretrained: bool = False, *, num_classes: int = 1000, width: int = 8, **unused) -> Twofold:
    return Twofold(num_classes=num_classes, width=width)
'''


@pytest.fixture
def copied(tmp_path) -> Path:
    source = Path(fishnet.__file__).parent
    return shutil.copytree(source, tmp_path / "copy" / "fishnet", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.slow
def test_a_metric_and_a_backbone_are_one_place_each(copied, shapes, tmp_path):
    table = copied / "measure" / "metrics.py"
    text = table.read_text(encoding="utf-8")
    assert text.count("METRICS = (\n") == 1
    table.write_text(text.replace("METRICS = (\n", ROW), encoding="utf-8")
    (copied / "models" / "twofold.py").write_text(BACKBONE, encoding="utf-8")
    settings = ["data=folder", f"data.root={shapes}", "data.image_size=32", "data.batch_size=8", "trainer.max_epochs=1"]
    settings += ["model.backbone=twofold", "++model.backbone_args.width=12", "monitor=val/kappa", "out=run"]
    settings += ["trainer.accelerator=cpu", "trainer.precision=32-true", "callbacks.report.resamples=50"]
    done = subprocess.run(
        [sys.executable, "-m", "fishnet.commands.train", *settings],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(copied.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Cohen's kappa" in done.stderr + done.stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["classes"] == ["bar", "box", "disc"]
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()  # chosen by the new metric
    assert list((tmp_path / "run" / "gradcam").rglob("*.jpg"))


def test_another_logger_writes_beside_mlflow_and_one_that_is_not_here_is_refused(fishnet, tmp_path, tiny):
    quick = ["trainer.max_epochs=1", "test=false", "callbacks.heatmaps=null"]
    assert fishnet("train", *tiny, *quick, "logger=csv", "out=run").status == 0
    assert "val/f1_macro" in (tmp_path / "run" / "csv" / "metrics.csv").read_text().splitlines()[0]
    assert "f1_macro" in fishnet("compare").out
    ended = fishnet("train", *tiny, *quick, "logger=wandb", "out=other")
    assert ended.status == 2 and "uv pip install wandb" in ended.err
    assert not (tmp_path / "other").exists()


def test_without_a_logger_nothing_is_sent_and_no_run_is_named(fishnet, tmp_path, tiny):
    quick = ["trainer.max_epochs=1", "test=false", "callbacks.heatmaps=null"]
    ended = fishnet("train", *tiny, *quick, "logger=none", "out=run")
    assert ended.status == 0, ended.err
    assert "fishnet ui" not in ended.out and "checkpoint" in ended.out
    assert not (tmp_path / "mlflow.db").exists()
