"""Heat-maps while training: pictures for people, and not one bit of difference for the weights."""

import json
import logging
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as L
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger

from fishnet.callbacks.heatmaps import HeatMaps
from fishnet.explain.maps import batch_maps, read_maps
from fishnet.explain.overlay import fixed_panel
from fishnet.models.classifier import ImageClassifier
from tests.support.memory_data import MemoryData
from tests.support.models import with_drawn_heads
from tests.support.trainers import quiet_trainer

CLASSES = ["Perca fluviatilis", "鱼", "Klunzinger's wrasse"]


class Listener(Logger):
    """A tracker that notes what it is given."""

    name, version = "listener", "0"

    def __init__(self) -> None:
        super().__init__()
        self.delivered: list[tuple[str, str]] = []

    def log_metrics(self, metrics, step=None) -> None: ...

    def log_hyperparams(self, params, *args, **kwargs) -> None: ...

    def log_artifacts(self, source, path: str = "") -> None:
        assert Path(source).exists()
        self.delivered.append((Path(source).name, path))


def model_of(backbone: str = "cnn", **more) -> ImageClassifier:
    torch.manual_seed(0)
    settings = {"image_size": 32, "dropout": 0.3, "lr": 0.02, **more}
    return with_drawn_heads(ImageClassifier(classes=CLASSES, backbone=backbone, **settings))


def trainer_of(folder: Path, callbacks: list, **more) -> L.Trainer:
    settings = {"max_epochs": 2, "logger": False, **more}
    return quiet_trainer(
        folder,
        callbacks=callbacks,
        **settings,
    )


def weights_after(folder: Path, callbacks: list, backbone: str, **more) -> dict[str, torch.Tensor]:
    """Accumulation over two batches, validation after every third of them: in the middle of a window."""
    model = model_of(backbone, **more)
    trainer = trainer_of(folder, callbacks, accumulate_grad_batches=2, val_check_interval=1)
    L.seed_everything(3, verbose=False)
    trainer.fit(model, datamodule=MemoryData(classes=CLASSES))
    assert trainer.global_step == 4
    return {**model.state_dict(), "drawn": torch.rand(3), "also": torch.from_numpy(np.random.rand(3))}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("backbone", "more"), [("cnn", {}), ("test_resnet", {"freeze": "backbone"}), ("test_resnet", {})]
)
def test_training_is_the_same_to_the_last_bit(tmp_path, backbone: str, more: dict):
    with_maps = weights_after(tmp_path, [HeatMaps(photos=4)], backbone, **more)
    without = weights_after(tmp_path / "other", [], backbone, **more)
    assert (tmp_path / "gradcam" / "panel" / "epoch_001.jpg").is_file()
    assert all(torch.equal(with_maps[name], without[name]) for name in without)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_panel_each_epoch_and_a_sheet_a_class(tmp_path, precision: str):
    listener = Listener()
    data, model = MemoryData(classes=CLASSES), model_of()
    trainer = trainer_of(tmp_path, [HeatMaps(photos=5, per_class=3)], precision=precision, logger=listener)
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    folder = tmp_path / "gradcam"
    assert sorted(path.name for path in (folder / "panel").iterdir()) == ["epoch_000.jpg", "epoch_001.jpg"]
    sheets = ["class.jpg", "klunzinger-s-wrasse.jpg", "perca-fluviatilis.jpg"]
    assert sorted(path.name for path in folder.glob("*.jpg")) == sheets
    told = [("epoch_000.jpg", "gradcam/panel"), ("epoch_001.jpg", "gradcam/panel")]
    told += [
        (name, "gradcam") for name in ("perca-fluviatilis.jpg", "class.jpg", "klunzinger-s-wrasse.jpg", "index.csv")
    ]
    told += [(name, "gradcam") for name in ("logits.npy", "maps.csv", "seen_as.json", "maps.npy")]
    assert listener.delivered == told
    with Image.open(folder / "panel" / "epoch_001.jpg") as picture:
        assert picture.width > 4 * 224
    check_index(pd.read_csv(folder / "index.csv"), data, trainer)


def check_index(index: pd.DataFrame, data: MemoryData, trainer: L.Trainer) -> None:
    own = data.table.iloc[data.rows("test")]
    assert set(index.path) <= set(own.path)
    assert (index.groupby("true").size() == 3).all()
    assert (index.true == [path.split("/")[0] for path in index.path]).all()
    assert (index.map_of == index.predicted).all()
    right = float((index.true == index.predicted).mean())
    assert (right == 1) == (float(trainer.callback_metrics["test/accuracy"]) == 1)
    assert index.probability.between(1 / 3, 1).all()


@pytest.mark.filterwarnings("ignore")
def test_raw_maps_are_kept_of_the_same_photos_in_every_run_and_of_all_sure_mistakes(tmp_path):
    kept = []
    for number in range(2):
        torch.manual_seed(number)
        data, model = (
            MemoryData(classes=CLASSES),
            with_drawn_heads(ImageClassifier(classes=CLASSES, backbone="cnn", image_size=32)),
        )
        trainer = trainer_of(tmp_path / str(number), [HeatMaps(photos=0, per_class=0, maps=4)])
        trainer.test(model, datamodule=data, verbose=False)
        found = read_maps(tmp_path / str(number) / "gradcam")
        rows = [data.table["path"].tolist().index(path) for path in found.table["path"]]
        assert rows[:4] == fixed_panel(data.rows("test"), data.table["label"].to_numpy()[data.rows("test")], 4)
        wrong = (found.logits.argmax(axis=1) != data.table["label"].to_numpy()[rows]).sum()
        accuracy = float(trainer.callback_metrics["test/accuracy"])
        assert wrong == round((1 - accuracy) * len(data.rows("test"))) > 0
        expected = batch_maps(model, data.photos(rows))[0].numpy()
        assert np.allclose(found.maps, expected, atol=1e-3 * abs(expected).max())
        assert json.loads((tmp_path / str(number) / "gradcam" / "seen_as.json").read_text())["size"] == 32
        kept.append(rows[:4])
    assert kept[0] == kept[1]


@pytest.mark.filterwarnings("ignore")
def test_the_panel_shows_the_same_photos_in_every_epoch(tmp_path):
    heatmaps, seen = HeatMaps(photos=4), []
    original = heatmaps._draw_panel
    heatmaps._draw_panel = lambda *parts: (original(*parts), seen.append(list(heatmaps._panel[0])))
    trainer_of(tmp_path, [heatmaps], max_epochs=3).fit(model_of(), datamodule=MemoryData(classes=CLASSES))
    assert len(seen) == 3  # not in the sanity check
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.filterwarnings("ignore")
def test_nothing_asked_nothing_drawn(tmp_path):
    data, model = MemoryData(classes=CLASSES), model_of()
    trainer = trainer_of(tmp_path, [HeatMaps(photos=0, per_class=0, maps=0)])
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    assert not (tmp_path / "gradcam").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_failure_is_said_once_and_ends_nothing(tmp_path, caplog):
    (tmp_path / "gradcam").write_text("a file where the folder should be")
    data, model = MemoryData(classes=CLASSES), model_of()
    trainer = trainer_of(tmp_path, [HeatMaps(photos=4, per_class=2)])
    with caplog.at_level(logging.WARNING, "fishnet"):
        trainer.fit(model, datamodule=data)
        trainer.test(model, datamodule=data, verbose=False)
    said = [record.message for record in caplog.records if record.name == "fishnet"]
    assert len(said) == 1
    assert "could not be drawn" in said[0]
    assert trainer.callback_metrics["test/accuracy"] >= 0


@pytest.mark.filterwarnings("ignore")
def test_networks_of_tokens_are_trained_without_pictures_and_that_is_said_once(tmp_path, caplog):
    model = ImageClassifier(classes=CLASSES, backbone="test_vit")
    data = MemoryData(classes=CLASSES, photos=3, size=160)
    trainer = trainer_of(tmp_path, [HeatMaps(photos=4, per_class=2)])
    with caplog.at_level(logging.WARNING, "fishnet"):
        trainer.fit(model, datamodule=data)
        trainer.test(model, datamodule=data, verbose=False)
    assert [record.message for record in caplog.records].count(caplog.records[-1].message) == 1
    assert "tokens" in caplog.text
    assert not (tmp_path / "gradcam").exists()


TWO = """
import sys
import pytorch_lightning as L
import torch
from tests.support.memory_data import MemoryData
from fishnet.callbacks.heatmaps import HeatMaps
from fishnet.explain.maps import batch_maps, read_maps
from fishnet.explain.overlay import fixed_panel
from fishnet.callbacks.report import Report
from fishnet.models.classifier import ImageClassifier

folder, devices = sys.argv[1], int(sys.argv[2])
classes = ["a", "b", "c"]
torch.manual_seed(0)
model = ImageClassifier(classes=classes, backbone="cnn", image_size=32)
trainer = L.Trainer(accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", max_epochs=1,
    default_root_dir=folder, callbacks=[HeatMaps(photos=4, per_class=4), Report(resamples=50)], logger=False,
    use_distributed_sampler=False, enable_checkpointing=False, enable_progress_bar=False)
data = MemoryData(classes=classes, batch_size=2, photos=11)
if devices > 1:
    trainer.fit(model, datamodule=data)
    torch.save(model.state_dict(), folder + "/fitted.pt")
else:
    model.load_state_dict(torch.load(sys.argv[3]))
trainer.validate(model, datamodule=data, verbose=False)
trainer.test(model, datamodule=data, verbose=False)
print("temperature", trainer.global_rank, float(model.temperature))
"""


@pytest.mark.slow
def test_two_processes_draw_and_report_what_one_does(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(TWO))
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()

    def run(*words: str) -> str:
        paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            [sys.executable, str(script), *words],
            env=clean() | paths,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout

    two = run(str(tmp_path / "two"), "2")
    one = run(str(tmp_path / "one"), "1", str(tmp_path / "two" / "fitted.pt"))
    temperatures = {line.split()[-1] for line in (one + two).splitlines() if line.startswith("temperature")}
    assert len(temperatures) == 1
    assert (tmp_path / "two" / "gradcam" / "panel" / "epoch_000.jpg").is_file()
    for name in ("report/metrics.json", "report/predictions.csv", "gradcam/index.csv"):
        assert (tmp_path / "two" / name).read_text() == (tmp_path / "one" / name).read_text()


def clean() -> dict[str, str]:
    import os

    return {
        key: value for key, value in os.environ.items() if not key.startswith(("LOCAL_", "NODE_", "MASTER_", "WORLD_"))
    }
