"""A run's training once more: its own settings, the folder where it is now, and the exchange."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.config import retraining
from fishnet.config.compose import compose
from fishnet.config.validate import validate
from fishnet.errors import BadInput, WorkFailed
from fishnet.models.checkpoint import read_checkpoint, write_checkpoint

OWN = ["seed=3", "model.backbone=cnn", "model.backbone_args.filters=[4,8]", "model.lr=0.02", "callbacks.heatmaps=null"]
REEF = ["data=reef", "data.species=4", "data.photos=40", "data.augment=mirror"]


@pytest.fixture
def started(monkeypatch):
    """The arguments of each training that is started, which does not run."""
    arguments: list[list[str]] = []
    monkeypatch.setattr(retraining, "start_training", lambda given, key: arguments.append(given))
    return arguments


def run_folder(folder: Path, overrides: list[str]) -> Path:
    """What a run leaves of its settings and its split; returns its checkpoint."""
    quoted = [f"++{text}" if text.startswith("model.backbone_args") else text for text in overrides]
    config = compose("train", quoted)
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(OmegaConf.to_yaml(config))
    (folder / "split").mkdir()
    (folder / "split" / "split.csv").write_text("path,sha256,split\n")
    return folder / "checkpoints" / "best.ckpt"


@pytest.mark.parametrize(
    "data", [REEF, ["data=folder", "data.root=lake", "data.augment=mirror"]], ids=["reef", "folder"]
)
def test_the_training_is_the_runs_own_with_the_exchange(started, tmp_path, data):
    checkpoint, photos = run_folder(tmp_path / "run", [*data, *OWN]), tmp_path / "photos of a lake"
    photos.mkdir()
    audit = compose("audit", [f"data.root='{photos}'", "checkpoint=x", "tracking.offline=true"])
    with pytest.raises(WorkFailed, match="has left no"):  # for it did not run
        retraining.retrain(
            checkpoint, root=photos, kinds=["ellipse", "ring"], carriers=tmp_path / "photos.csv",
            settings_folder=tmp_path / "why [1]" / "mend", out=tmp_path / "why [1]" / "mended", audit=audit,
        )  # fmt: skip
    (option, folder, *overrides), *_ = started
    assert option == "--config-dir"
    new = compose("train", overrides, folder)
    validate(new, "train")
    before = OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config" / "config.yaml"), resolve=True)
    now = OmegaConf.to_container(new, resolve=True)
    for seam in ("model", "trainer", "seed", "monitor", "test", "range_test"):
        assert now[seam] == before[seam], seam
    kept = {key: value for key, value in before["data"].items() if key in now["data"]}
    split = str(tmp_path / "run" / "split" / "split.csv")
    target = "fishnet.data.datamodule.ImageFolderData"
    assert now["data"] == {**kept, "_target_": target, "root": str(photos), "split_file": split}
    assert now["callbacks"].pop("exchange") == {
        "_target_": "fishnet.callbacks.exchange.ExchangeAugmentation", "share": 0.55, "kinds": ["ellipse", "ring"],
        "carriers": str(tmp_path / "photos.csv"), "bank": 256, "seed": 3, "mended_from": str(checkpoint),
    }  # fmt: skip
    assert now["callbacks"] == before["callbacks"]
    assert now["tracking"]["offline"] is True
    assert (now["name"], now["out"]) == ("mended-cnn", str(tmp_path / "why [1]" / "mended"))


def test_the_list_by_which_the_run_was_curated_is_taken_up(started, tmp_path):
    run_folder(tmp_path / "run", ["data=folder", "data.root=lake"])
    (tmp_path / "run" / "config" / "curation.csv").write_text("path,action\n")
    audit = compose("audit", ["data.root=lake", "checkpoint=x"])
    settings = retraining.settings_of(tmp_path / "run", tmp_path, audit)
    assert settings["data"]["curation"] == str(tmp_path / "run" / "config" / "curation.csv")


@pytest.mark.parametrize("missing", ["config/config.yaml", "split/split.csv"])
def test_a_checkpoint_without_its_run_is_refused(tmp_path, missing):
    checkpoint = run_folder(tmp_path / "run", ["data=folder", "data.root=lake"])
    (tmp_path / "run" / missing).unlink()
    with pytest.raises(BadInput, match=f"{missing} is missing.*mend=head"):
        retraining.run_of(checkpoint, "mend=retrain", cure=", or say mend=head")


def test_a_training_that_fails_ends_the_audit_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkFailed, match="ended with status 2"):
        retraining.start_training(["data=nowhere"], "mend=retrain")


def short_settings(folder: Path, seed: int) -> dict:
    (folder / "lake").mkdir(exist_ok=True)
    audit = compose("audit", [f"data.root='{folder}/lake'", "checkpoint=x"])
    settings = retraining.settings_of(folder / "run", folder / "lake", audit)
    return {**settings, "seed": seed, "trainer": {**settings["trainer"], "max_epochs": 3}}


def kept(folder: Path, settings: dict) -> Path:
    how = {"key": "spread=1", "name": "early", "change": "for 3 epochs"}
    return retraining.kept_training(
        settings, folder / "run", settings_folder=folder / "why", home=folder / "trainings", **how
    )  # fmt: skip


def test_a_training_of_which_only_the_model_is_kept_is_a_run_of_no_store(started, tmp_path):
    """It is the run's own but for what was changed and for what nobody looks at."""
    run_folder(tmp_path / "run", ["data=folder", "data.root=lake", *OWN])
    with pytest.raises(WorkFailed, match="spread=1: the training has left no"):  # for it did not run
        kept(tmp_path, short_settings(tmp_path, seed=7))
    new = compose("train", started[0][2:], started[0][1])
    validate(new, "train")
    before = OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config" / "config.yaml"), resolve=True)
    now = OmegaConf.to_container(new, resolve=True)
    assert now["model"] == before["model"] and now["data"]["seed"] == before["data"]["seed"] == 3
    assert (now["seed"], now["trainer"]["max_epochs"], now["test"]) == (7, 3, False)
    assert now["tracking"]["offline"] is True and now["callbacks"]["last"] is now["callbacks"]["views"] is None
    assert now["callbacks"]["best"] == before["callbacks"]["best"]


def test_a_training_is_made_anew_where_its_settings_or_its_list_differ(tmp_path, monkeypatch):
    run_folder(tmp_path / "run", ["data=folder", "data.root=lake", *OWN])
    made: list[str] = []

    def start_training(arguments, key):
        out = Path(next(word for word in arguments if word.startswith("out=")).removeprefix("out=").strip("'"))
        made.append(out.name)
        write_checkpoint({"state_dict": {}, "hyper_parameters": {}, "optimizer_states": [1]}, out / retraining.BEST)

    monkeypatch.setattr(retraining, "start_training", start_training)
    first = kept(tmp_path, short_settings(tmp_path, seed=0))
    assert kept(tmp_path, short_settings(tmp_path, seed=0)) == first and len(made) == 1
    assert "optimizer_states" not in read_checkpoint(first)
    assert kept(tmp_path, short_settings(tmp_path, seed=1)) != first and len(made) == 2
    settings, file = short_settings(tmp_path, seed=0), tmp_path / "curation.csv"
    settings["data"]["curation"] = str(file)
    paths = set()
    for text in ("path,action\na.jpg,drop\n", "path,action\nb.jpg,drop\n"):
        file.write_text(text)
        paths.add(kept(tmp_path, settings))
    assert len(paths | {first}) == 3 and len(made) == 4
    assert not list((tmp_path / "trainings").glob("*.unfinished"))
