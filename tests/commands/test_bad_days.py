"""What training survives, and how it ends when it does not: always in order, with one sentence and whole files."""

import csv
import errno
import json

import pytest
import torch

from fishnet.models.checkpoint import verified
from fishnet.tracking.store import open_store
from tests.support.drawing import draw_folder

BRIEF = ["callbacks.heatmaps=null", "test=false"]


def the_run(home):
    client = open_store(None, home=home).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return client, run


def the_sentence(ended) -> str:
    assert "Traceback" not in ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    return line


def test_a_loss_that_is_no_number_ends_the_run_before_the_weights(fishnet, tiny, tmp_path):
    ended = fishnet("train", *tiny, *BRIEF, "out=run", "model.lr=1e30", "callbacks.last.every_n_steps=1")
    assert ended.status == 1
    said = the_sentence(ended)
    for word in ("loss became", "at step 1 ", "epoch 0", "lr 1e+30", ".jpg", "smaller lr"):
        assert word in said
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    assert the_run(tmp_path)[1].info.status == "FAILED"


def test_weights_that_are_no_numbers_never_become_a_checkpoint(fishnet, tiny, tmp_path, monkeypatch):
    step = torch.optim.SGD.step

    def ruin(self, *arguments, **options):
        loss = step(self, *arguments, **options)
        self.param_groups[0]["params"][0].data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(torch.optim.SGD, "step", ruin)
    ended = fishnet("train", *tiny, *BRIEF, "out=run", "callbacks.last.every_n_steps=1")
    assert ended.status == 1
    assert "weights (" in the_sentence(ended)
    assert not list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))
    assert the_run(tmp_path)[1].info.status == "FAILED"


def test_answers_that_are_no_numbers_are_neither_measured_nor_kept(fishnet, tiny, tmp_path):
    """The only step of this run has a loss, and leaves weights that are numbers; what they answer is none."""
    settings = ["trainer.max_epochs=1", "model.lr=1e30", "data.batch_size=64"]
    ended = fishnet("train", *tiny, *BRIEF, "out=run", *settings)
    assert ended.status == 1
    said = the_sentence(ended)
    for word in ("answers in validation", "at step 1 ", "epoch 0", ".jpg", "smaller lr"):
        assert word in said
    assert not list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))
    assert the_run(tmp_path)[1].info.status == "FAILED"


def test_a_disk_that_fills_up_during_a_checkpoint(fishnet, tiny, tmp_path, monkeypatch):
    save, saved = torch.save, []

    def full(what, file, *more, **options):
        saved.append(file.name)
        if len(saved) < 4:
            return save(what, file, *more, **options)
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    ended = fishnet("train", *tiny, *BRIEF, "out=run", "callbacks.last.every_n_steps=1")
    assert ended.status == 1
    assert "No space left on device" in the_sentence(ended)
    folder = tmp_path / "run" / "checkpoints"
    assert all(verified(path) for path in folder.glob("*.ckpt"))
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert the_run(tmp_path)[1].info.status == "FAILED"
    monkeypatch.setattr(torch, "save", save)
    assert fishnet("train", "resume=run").status == 0
    assert the_run(tmp_path)[1].info.status == "FINISHED"


def test_a_disk_that_fills_up_elsewhere(fishnet, tiny, tmp_path, monkeypatch):
    def full(table, assignment, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("fishnet.data.splits.save_split", full)
    ended = fishnet("train", *tiny, *BRIEF)
    assert ended.status == 1
    assert "No space left on device" in the_sentence(ended)
    assert the_run(tmp_path)[1].info.status == "FAILED"


def test_a_disk_that_fills_up_in_a_verb_that_has_no_run(fishnet, tiny, tmp_path, monkeypatch):
    assert fishnet("train", *tiny, *BRIEF, "out=run").status == 0

    class Full:
        def writerow(self, row):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(csv, "writer", lambda *_, **__: Full())
    (root,) = (word.removeprefix("data.root=") for word in tiny if word.startswith("data.root="))
    ended = fishnet("predict", "checkpoint=run/checkpoints/best.ckpt", f"images={root}", "out=answers.csv")
    assert ended.status == 1
    assert "No space left on device" in the_sentence(ended)
    assert not list(tmp_path.glob("*answers.csv*"))


@pytest.fixture
def damaged(tmp_path):
    """`damaged(4)`: 48 photos, of which the first of each class are cut short."""

    def make(count: int):
        root = draw_folder(tmp_path / "photos", photos=16)
        for path in sorted(root.glob("*/*.jpg"), key=lambda path: path.name)[:count]:
            path.write_bytes(path.read_bytes()[:200])
        return root

    return make


def test_a_few_photos_that_cannot_be_read_are_told_at_the_end(fishnet, tiny, damaged):
    root = damaged(4)
    ended = fishnet("train", *tiny, *BRIEF, f"data.root={root}", "trainer.max_epochs=1")
    assert ended.status == 0, ended.err
    last_words = ended.out.splitlines()[-4:]
    (line,) = [line for line in last_words if line.startswith("left out")]
    assert "4 photos" in line
    assert "photo_000.jpg" in (root.with_name(f".{root.name}.fishnet") / "refused.csv").read_text()
    assert str(root.with_name(f".{root.name}.fishnet") / "refused.csv") in line


def test_many_photos_that_cannot_be_read_stop_it(fishnet, tiny, damaged, tmp_path):
    ended = fishnet("train", *tiny, f"data.root={damaged(6)}")
    assert ended.status == 1
    assert "6 of 48 photos" in the_sentence(ended)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".photos.fishnet", "photos"]


HOSTILE = ['Klunzinger\'s "wrasse"', "Xiphophorus × hellerii", "鯉", "鮎, 香魚", "${oc.env:HOME}", "a=b [c] {d}"]


def test_class_names_as_people_write_them(fishnet, tiny, tmp_path):
    root = draw_folder(tmp_path / "photos", HOSTILE, photos=8)
    ended = fishnet("train", *tiny, f"data.root={root}", "out=run", "data.batch_size=16", "trainer.max_epochs=1")
    assert ended.status == 0, ended.err
    client, run = the_run(tmp_path)
    assert len({key for key in run.data.metrics if key.startswith("val_class/")}) == len(HOSTILE)
    told = json.loads((tmp_path / "run" / "run.json").read_text())["classes"]
    assert sorted(told) == sorted(HOSTILE)
    folder = client.download_artifacts(run.info.run_id, "report", str(tmp_path))
    report = "".join(path.read_text() for path in sorted(tmp_path.glob(f"{folder}/*.csv".removeprefix(f"{tmp_path}/"))))
    for name in ("Xiphophorus × hellerii", "鯉", "${oc.env:HOME}"):
        assert name in report
    again = fishnet("evaluate", "checkpoint=run/checkpoints/best.ckpt", f"data.root={root}", "callbacks.heatmaps=null")
    assert again.status == 0, again.err
