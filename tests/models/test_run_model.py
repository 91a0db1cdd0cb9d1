"""What a run leaves for use elsewhere, and what of its configuration becomes columns; looking costs no torch."""

from omegaconf import OmegaConf

from fishnet.config.compose import compose
from fishnet.models.checkpoint import load_model, verified
from fishnet.models.classifier import ImageClassifier
from fishnet.models.run_model import keep_model
from fishnet.runs.records import run_parameters


class Heard:
    def __init__(self) -> None:
        self.artifacts, self.tags = [], {}

    def log_artifacts(self, source, path) -> None:
        self.artifacts.append((source, path))

    def set_tags(self, tags) -> None:
        self.tags |= tags


def test_the_kept_model_answers_without_its_optimiser(tmp_path):
    model = ImageClassifier(classes=["perch", "pike"], backbone="cnn", backbone_args={"filters": [4]})
    whole = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "epoch": 3,
        "optimizer_states": [{"heavy": True}],
    }
    heard = Heard()
    keep_model(whole, tmp_path / "model", heard)
    assert heard.artifacts == [(tmp_path / "model", "model")]
    assert heard.tags == {"fishnet.best_epoch": 3}
    assert verified(tmp_path / "model" / "model.ckpt")
    assert load_model(tmp_path / "model" / "model.ckpt").classes == ["perch", "pike"]
    assert b"optimizer_states" not in (tmp_path / "model" / "model.ckpt").read_bytes()
    assert "epoch 3" in (tmp_path / "model" / "README.txt").read_text()


def test_parameters_are_choices_and_not_places(tmp_path):
    config = compose("train", ["data=folder", f"data.root={tmp_path}", "model.pretrained=/weights/net.pth"])
    columns = OmegaConf.to_container(OmegaConf.create(run_parameters(config)))
    assert columns["model"]["lr"] == config.model.lr
    assert columns["model"]["pretrained"] == "net.pth"
    assert "image_size" in columns["data"] and "image_size" not in columns["model"]
    assert "seed" not in columns["data"]
    for unwanted in (str(tmp_path), "/weights", "_target_", "enable_progress_bar"):
        assert unwanted not in str(columns)
