"""fishnet explain: maps of every photo, pictures of those that tell most, and bad input in one sentence."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture
def checkpoint(fishnet, tiny, tmp_path):
    ended = fishnet("train", *tiny, "out=run", "test=false", "callbacks.heatmaps=null", "trainer.max_epochs=1")
    assert ended.status == 0, ended.err
    return "run/checkpoints/best.ckpt"


def test_a_data_set(fishnet, checkpoint, shapes, tmp_path):
    ended = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=why", "pictures=6")
    assert ended.status == 0, ended.err
    maps, table = np.load(tmp_path / "why" / "maps.npy"), pd.read_csv(tmp_path / "why" / "maps.csv")
    assert maps.shape[0] == len(table) == 48
    assert maps.dtype == np.float16
    assert set(table["class"]) == {"disc", "box", "bar"}
    pictures = sorted((tmp_path / "why" / "pictures").iterdir())
    assert len(pictures) == 6
    assert min(Image.open(pictures[0]).size) >= 224
    again = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=why")
    assert again.status == 2
    assert "holds maps already" in again.err


def test_one_photo_for_all_classes_and_a_broken_one_beside_it(fishnet, checkpoint, shapes, tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "a b.jpg").write_bytes(next(shapes.glob("disc/*.jpg")).read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    ended = fishnet("explain", f"checkpoint={checkpoint}", "images=loose", "out=why", "all_classes=true")
    assert ended.status == 0, ended.err
    assert "broken.jpg" in ended.err + ended.out
    assert np.load(tmp_path / "why" / "maps.npy").shape[:2] == (1, 3)
    assert [path.name for path in (tmp_path / "why" / "pictures").iterdir()] == ["000_a b.jpg"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["images=nowhere"], "nowhere"),
        (["images={shapes}", "pictures=-1"], "pictures=-1"),
        (["images={shapes}", "all_classes=maybe"], "all_classes"),
        (["images={shapes}", "out=run/run.json"], "is a file"),
    ],
)
def test_bad_input_is_one_sentence(fishnet, checkpoint, shapes, arguments, word):
    ended = fishnet("explain", f"checkpoint={checkpoint}", *(one.format(shapes=shapes) for one in arguments))
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert word in line
