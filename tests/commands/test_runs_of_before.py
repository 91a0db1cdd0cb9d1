"""What was made before the rooms were moved still loads, resumes and compares: these files were written then."""

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.config.compose import compose
from fishnet.config.settling import settle
from fishnet.models.checkpoint import load_model, read_checkpoint, verified
from fishnet.studies.trials import digest_of
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder

FILES = Path(__file__).parents[1] / "support" / "run_of_before"
TAGS = {
    "fishnet.command": "train",
    "fishnet.git_commit": "bb21abea2d47bb6b4d305ecb49ae56e9d748ae71",
    "fishnet.config_digest": "efe0e018a2b1e4a1",
    "fishnet.data_digest": "0edd5c1d39cfea536e9713a17ad189a24d16e36162086b7201783dd1dd8be22b",
    "fishnet.split_digest": "53972123be7eaa4a5903037d8dcd9cbef974ae4345b4fc03c9bcab3b6a1ffee0",
    "fishnet.best_epoch": "0",
    "fishnet.parameters": "1191",
}
PARAMS = {"model.backbone": "cnn", "model.lr": "0.01", "data.image_size": "32", "seed": "0"}
METRICS = {"best/val_f1_macro": 0.1666667, "test/f1_macro": 0.1666667, "test/accuracy": 0.3333333, "optim/lr": 0.01}


@pytest.fixture
def run(tmp_path) -> Path:
    """The folder of a run of two epochs, its photos, and its entry in a store as it was written then."""
    draw_folder(tmp_path / "shapes", photos=8)
    folder = shutil.copytree(FILES, tmp_path / "run")
    store = open_store(None, home=tmp_path)
    client = store.client()
    entry = client.create_run(store.experiment("fishnet"), run_name="cnn-of-before", tags=TAGS)
    client.set_tag(entry.info.run_id, "fishnet.folder", str(folder))
    for key, value in PARAMS.items():
        client.log_param(entry.info.run_id, key, value)
    for key, value in METRICS.items():
        client.log_metric(entry.info.run_id, key, value)
    client.set_terminated(entry.info.run_id, "FINISHED")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "run_id": entry.info.run_id}))
    return folder


def test_its_checkpoint_is_whole_and_answers(run, fishnet):
    best = run / "checkpoints" / "best.ckpt"
    assert verified(best)
    model = load_model(best)
    assert (model.classes, model.preprocessing.size) == (["bar", "box", "disc"], 32)
    assert fishnet("predict", f"checkpoint={best}", "images=shapes", "out=answers.csv").status == 0
    assert len(Path("answers.csv").read_text().splitlines()) == 1 + 24
    ended = fishnet(
        "evaluate", f"checkpoint={best}", "data.root=shapes", "data.batch_size=8", "part=test",
        f"data.split_file={run / 'split' / 'split.csv'}", "callbacks.heatmaps=null", "callbacks.views=null",
        "out=again",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    metrics = json.loads(Path("again/report/metrics.json").read_text())
    assert metrics["figures"]["accuracy"]["value"] == pytest.approx(1 / 3)


def test_it_goes_on_from_its_last_step(run, fishnet):
    run_id = json.loads((run / "run.json").read_text())["run_id"]
    before = read_checkpoint(run / "checkpoints" / "last.ckpt")
    ended = fishnet("train", f"resume={run_id[:6]}", "trainer.max_epochs=3")
    assert ended.status == 0, ended.err
    after = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert (before["epoch"], after["epoch"]) == (1, 2)
    assert after["global_step"] == before["global_step"] * 3 // 2
    assert "epoch 3/3" in ended.err + ended.out
    assert "epoch 2/3" not in ended.err + ended.out


def test_it_stands_in_the_table(run, fishnet):
    ended = fishnet("compare", "sort=test/f1_macro", "csv=runs.csv")
    assert ended.status == 0, ended.err
    assert "cnn-of-before" in ended.out
    assert "0.167" in ended.out
    assert "cnn-of-before" in Path("runs.csv").read_text()


@pytest.mark.parametrize(
    ("overrides", "digest"),
    [(["data=reef", "data.root=data"], "f54bd2c6afe1"), (["data=folder", "data.root=lake"], "988121bf0ead")],
)
def test_the_trainings_of_a_study_keep_their_digests(overrides, digest, tmp_path, monkeypatch):
    """A study's folder is known by these; another digest would run every training again.

    A default that has changed is another training: what was grouped by nothing is so by data.group=null alone.
    """
    monkeypatch.chdir(tmp_path)

    def settled(*more: str):
        config = compose("train", [*overrides, *more])
        settle(config)
        return OmegaConf.to_container(config, resolve=True)

    own = ["model.pretrained=false", "model.fit=crop"] if "data=folder" in overrides else []
    assert digest_of(settled("data.group=null", *own)) == digest
    assert digest_of(settled()) != digest
