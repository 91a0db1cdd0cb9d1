"""fishnet explain: maps of every photo, pictures of those that tell most, and bad input in one sentence."""

import errno
import json
import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fishnet.files import locked


@pytest.fixture
def checkpoint(trained):
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
    assert table["seen"].value_counts().to_dict() == {"train": 33, "val": 8, "test": 7}
    assert "trained on 33 of these 48 photos" in ended.err
    assert min(Image.open(pictures[0]).size) >= 224
    again = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=why")
    assert again.status == 2
    assert "holds maps.npy already" in again.err


def test_a_run_that_ended_before_its_page_goes_on_behind_its_maps(fishnet, checkpoint, shapes, tmp_path, monkeypatch):
    import fishnet.explain.contents as inside
    import fishnet.explain.maps as room

    typed = [f"checkpoint={checkpoint}", f"images={shapes}", "pictures=2", "contents=true"]
    made = []
    write = room.write_maps
    monkeypatch.setattr(room, "write_maps", lambda *a, **k: made.append(k["method"]) or write(*a, **k))
    with monkeypatch.context() as ended:
        ended.setattr(inside, "stages_of", lambda model: signal.raise_signal(signal.SIGINT))
        assert fishnet("explain", *typed, "out=why").status == 130
    (tmp_path / "why/pictures/of_before.jpg").touch()
    again = fishnet("explain", *typed, "out=why")
    assert again.status == 0 and made == ["auto"], again.err
    assert {path.name for path in (tmp_path / "why").iterdir()} == {
        *("contents", "logits.npy", "maps.csv", "maps.npy", "page.html", "pictures")
    }
    assert len(list((tmp_path / "why/pictures").iterdir())) == 2
    with monkeypatch.context() as ended:
        ended.setattr(inside, "stages_of", lambda model: signal.raise_signal(signal.SIGINT))
        assert fishnet("explain", *typed, "out=other").status == 130
    other = fishnet("explain", *typed, "out=other", "method=gradcam")
    assert other.status == 0 and made == ["auto", "auto", "gradcam"], other.err


def test_what_lies_in_the_folder_is_not_written_over(fishnet, checkpoint, shapes, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/page.html").write_text("mine")
    ended = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=mine")
    assert ended.status == 2 and "out=mine holds page.html already" in ended.err
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["mine"]


def test_a_finished_folder_is_written_over_where_that_is_asked_for(fishnet, checkpoint, shapes, tmp_path):
    typed = [f"checkpoint={checkpoint}", f"images={shapes}/*/*_00[0-2].jpg", "out=why", "overwrite=true"]
    assert fishnet("explain", *typed, "contents=true").status == 0
    (tmp_path / "why/mine.txt").touch()
    again = fishnet("explain", *typed, "method=gradcam", "pictures=2")
    assert again.status == 0, again.err
    names = {"logits.npy", "maps.csv", "maps.npy", "page.html", "pictures", "mine.txt"}
    assert {path.name for path in (tmp_path / "why").iterdir()} == names
    assert len(list((tmp_path / "why/pictures").iterdir())) == 2
    assert len(pd.read_csv(tmp_path / "why/maps.csv")) == 9
    (tmp_path / "why/maps.csv").unlink()
    ended = fishnet("explain", *typed)
    assert ended.status == 2 and "which is not of an earlier explain" in ended.err


def test_labels_are_the_models(fishnet, checkpoint, shapes, tmp_path):
    """A folder of two of its classes, and one of classes that it does not know."""
    two, strange = tmp_path / "two", tmp_path / "strange"
    for name in ("disc", "bar"):
        shutil.copytree(shapes / name, two / name)
    for name in ("disc", "bar"):
        shutil.copytree(shapes / name, strange / f"other {name}")
    ended = fishnet("explain", f"checkpoint={checkpoint}", "images=two", "out=why", "pictures=0")
    assert ended.status == 0, ended.err
    table = pd.read_csv(tmp_path / "why" / "maps.csv")
    assert dict(zip(table["class"], table["label"], strict=True)) == {"bar": 0, "disc": 2}
    ended = fishnet("explain", f"checkpoint={checkpoint}", "images=strange", "out=unknown", "pictures=0")
    assert ended.status == 0, ended.err
    assert "not the classes of the model" in ended.err
    assert "label" not in pd.read_csv(tmp_path / "unknown" / "maps.csv")


@pytest.mark.slow
def test_one_class_against_the_rest_is_right_about_the_rest(fishnet, tiny, shapes, tmp_path):
    ended = fishnet(
        *("train", *tiny, "out=run", "data.positive=disc", "callbacks.heatmaps=null", "trainer.max_epochs=1")
    )
    assert ended.status == 0, ended.err
    ended = fishnet("explain", "checkpoint=run/checkpoints/best.ckpt", f"images={shapes}", "out=why", "pictures=0")
    assert ended.status == 0, ended.err
    table = pd.read_csv(tmp_path / "why" / "maps.csv")
    assert table["class"].value_counts().to_dict() == {"not disc": 32, "disc": 16}


def test_photos_for_all_classes_and_a_broken_one_beside_them(fishnet, checkpoint, shapes, tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "a b.jpg").write_bytes(next(shapes.glob("disc/*.jpg")).read_bytes())
    (folder / f"{60 * '🐟'}.jpg").write_bytes(next(shapes.glob("box/*.jpg")).read_bytes())  # 244 bytes of 255
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    ended = fishnet("explain", f"checkpoint={checkpoint}", "images=loose", "out=why", "all_classes=true")
    assert ended.status == 0, ended.err
    assert "broken.jpg" in ended.err + ended.out
    assert np.load(tmp_path / "why" / "maps.npy").shape[:2] == (2, 3)
    names = {path.stem.split("_")[1] for path in (tmp_path / "why" / "pictures").iterdir()}
    assert "a b" in names and len(names) == 2


def test_photos_that_cannot_be_read_are_listed_and_stop_nothing(fishnet, checkpoint, shapes, tmp_path):
    folder = tmp_path / "spoilt"
    shutil.copytree(shapes, folder)
    for photo in sorted(folder.glob("disc/*.jpg"))[:8]:
        photo.write_bytes(b"\xff\xd8\xff")
    ended = fishnet("explain", f"checkpoint={checkpoint}", "images=spoilt", "out=why", "pictures=0")
    assert ended.status == 0, ended.err
    assert len(pd.read_csv(tmp_path / "why" / "maps.csv")) == 40
    assert "8 photos" in ended.err


def test_a_full_disk_is_told_before_the_first_map(fishnet, checkpoint, shapes, tmp_path, monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        ended = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=why")
    assert ended.status == 1
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert "No space left on device" in line
    assert not list((tmp_path / "why").glob("*.npy"))
    assert fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=why").status == 0


def test_a_model_that_wants_its_photos_otherwise_starts_anew(fishnet, checkpoint, shapes, tmp_path, monkeypatch):
    from fishnet.explain import maps as room

    seen: list[str] = []
    write = room.write_maps
    monkeypatch.setattr(room, "write_maps", lambda *a, about, **k: seen.append(about) or write(*a, about=about, **k))
    stored = torch.load(tmp_path / checkpoint, weights_only=True)
    stored["hyper_parameters"]["preprocess"] = ["autocontrast"]
    torch.save(stored, tmp_path / "other.ckpt")
    for number, one in enumerate((checkpoint, checkpoint, "other.ckpt")):
        assert fishnet("explain", f"checkpoint={one}", f"images={shapes}", f"out=why{number}", "pictures=0").status == 0
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["images=nowhere"], "nowhere"),
        (["images={shapes}", "pictures=-1"], "pictures=-1"),
        (["images={shapes}", "all_classes=maybe"], "all_classes"),
        (["images={shapes}", "out=run/run.json"], "is a file"),
        (["images={shapes}", "out={shapes}/why"], "lies inside images="),
    ],
)
def test_bad_input_is_one_sentence(fishnet, checkpoint, shapes, arguments, word):
    ended = fishnet("explain", f"checkpoint={checkpoint}", *(one.format(shapes=shapes) for one in arguments))
    assert ended.status == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert word in line


def test_the_page_fades_and_shows_what_is_inside(fishnet, checkpoint, shapes, tmp_path):
    typed = [f"images={shapes}", "out=why", "pictures=8", "contents=true", "method=layercam"]
    ended = fishnet("explain", f"checkpoint={checkpoint}", *typed)
    assert ended.status == 0, ended.err
    page = (tmp_path / "why/page.html").read_text()
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert len(data["cards"]) == 8 and "Feature maps" in page and "What excites a channel" in page
    wrong = [card for card in data["cards"] if card["kind"] == "wrong"]
    assert wrong and all(len(card["views"]) == 2 for card in wrong)  # the answer's map, and that of the true class
    assert all(len(card["views"]) == 1 for card in data["cards"] if card["kind"] == "right")
    assert all(view["heat"].startswith("data:image/png") for card in data["cards"] for view in card["views"])
    assert not any(card["path"].startswith("/") for card in data["cards"])
    widths = {Image.open(path).width for path in (tmp_path / "why/pictures").iterdir()}
    assert len(widths) == 2  # two tiles for a right answer, three for a wrong one
    assert {path.suffix for path in (tmp_path / "why/contents").iterdir()} == {".png", ".jpg"}
    table = pd.read_csv(tmp_path / "why/maps.csv")
    exact = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "out=other", "pictures=0")
    assert exact.status == 0 and len(table) == 48
    assert not np.array_equal(np.load(tmp_path / "why/maps.npy"), np.load(tmp_path / "other/maps.npy"))


def test_maps_are_scored_where_the_animals_are_known(fishnet, checkpoint, shapes, tmp_path):
    table = pd.DataFrame({"path": [f"disc/photo_{number:03d}.jpg" for number in range(10)]})
    table.assign(xmin=4, ymin=4, xmax=30, ymax=30).to_csv(tmp_path / "boxes.csv", index=False)
    typed = [f"checkpoint={checkpoint}", f"images={shapes}", "score=true", "pictures=0"]
    ended = fishnet("explain", *typed, "boxes=boxes.csv", "out=boxed")
    assert ended.status == 0, ended.err
    lines = [line for line in ended.out.splitlines() if "chance" in line]
    assert len(lines) == 6 and "pointing game" in lines[0]
    assert "38 photos left out, whose animal is not known" in ended.err
    assert "How right are the maps?" in (tmp_path / "boxed/page.html").read_text()
    for more, sentence in (
        ([], "has no masks of its own"),
        (["boxes=none.csv"], "there is no such file"),
        (["boxes=boxes.csv", "masks=."], "leave one out"),
    ):
        ended = fishnet("explain", *typed, *more, "out=bad")
        assert ended.status == 2 and sentence in ended.err
    assert not (tmp_path / "bad").exists()
    ended = fishnet("explain", *typed[:2], "boxes=boxes.csv", "out=bad")
    assert ended.status == 2 and "for score=true" in ended.err


def test_a_method_that_the_network_cannot_serve_is_named(fishnet, checkpoint, shapes):
    ended = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "method=additive", "out=exact")
    assert ended.status == 2 and "choose from gradcam" in ended.err
    ended = fishnet("explain", f"checkpoint={checkpoint}", f"images={shapes}", "method=gradcamm", "out=exact")
    assert ended.status == 2 and "gradcam++" in ended.err


def test_photos_of_a_list_have_the_class_of_their_folder(fishnet, checkpoint, shapes, tmp_path):
    """Where that is a class of the model; of a photo from elsewhere nobody knows what is right."""
    shutil.copy(shapes / "disc" / "photo_001.jpg", tmp_path / "somewhere.jpg")
    photos = [shapes / "disc" / "photo_000.jpg", shapes / "box" / "photo_003.jpg", tmp_path / "somewhere.jpg"]
    ended = fishnet("explain", f"checkpoint={checkpoint}", f"images=[{','.join(map(str, photos))}]", "out=why")
    assert ended.status == 0, ended.err
    table = pd.read_csv(tmp_path / "why" / "maps.csv", keep_default_na=False)
    assert table["class"].tolist() == ["disc", "box", ""]
    right = [row["explained"] == row["class"] for row in table.to_dict("records")[:2]]
    page = (tmp_path / "why" / "page.html").read_text()
    cards = json.loads(page[page.index('{"cards":') : page.index("</script>", page.index('{"cards":'))])["cards"]
    kinds = {card["path"].rpartition("/")[2]: card["kind"] for card in cards}
    assert kinds == {
        "photo_000.jpg": "right" if right[0] else "wrong", "photo_003.jpg": "right" if right[1] else "wrong",
        "somewhere.jpg": "",
    }  # fmt: skip


def files_of(folder):
    """What two explanations of the same photos have in common, to the byte."""
    return {name: (folder / name).read_bytes() for name in ("maps.npy", "logits.npy", "maps.csv")}


def test_parts_and_the_command_that_joins_them_are_the_whole(fishnet, checkpoint, shapes, tmp_path, monkeypatch):
    import fishnet.explain.maps as room

    typed = [f"checkpoint={checkpoint}", f"images={shapes}", "batch_size=5", "pictures=2"]
    assert fishnet("explain", *typed, "out=whole").status == 0
    made, real = [], room.batch_maps
    monkeypatch.setattr(
        room, "batch_maps", lambda model, images, **k: made.append(len(images)) or real(model, images, **k)
    )
    for number, batches in ((2, [5, 5, 5]), (3, [5, 5, 5, 3])):
        made.clear()
        ended = fishnet("explain", *typed, "out=why", f"part={number}/3")
        assert ended.status == 0 and made == batches, ended.err
        assert {path.name[0] for path in (tmp_path / "why").iterdir()} == {"."}  # no file before all is there
    assert fishnet("explain", *typed, "out=why", "part=3/3").status == 0 and made == [5, 5, 5, 3]
    made.clear()
    ended = fishnet("explain", *typed, "out=why")
    assert ended.status == 0 and made[:3] == [5, 5, 5], ended.err  # the missing part, before the cards of wrong answers
    assert files_of(tmp_path / "why") == files_of(tmp_path / "whole")
    names = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    assert {path.relative_to(tmp_path / "why") for path in (tmp_path / "why").rglob("*")} == names


def test_parts_of_something_else_are_refused_by_name(fishnet, checkpoint, shapes, tmp_path):
    typed = [f"images={shapes}/*/*_00[0-2].jpg", "out=why", "pictures=0"]
    stored = torch.load(tmp_path / checkpoint, weights_only=True)
    stored["state_dict"] = {name: values + 1 for name, values in stored["state_dict"].items()}
    torch.save(stored, tmp_path / "other.ckpt")
    assert fishnet("explain", f"checkpoint={checkpoint}", *typed, "part=1/2").status == 0
    for given, sentence in (
        (["checkpoint=other.ckpt", *typed, "part=2/2"], "part 1/2 of another model"),
        (["checkpoint=other.ckpt", *typed], "part 1/2 of another model"),
        ([f"checkpoint={checkpoint}", *typed, "part=2/2", "method=layercam"], "part 1/2 of another method="),
        ([f"checkpoint={checkpoint}", *typed, "part=2/2", "batch_size=4"], "part 1/2 of another batch_size="),
        ([f"checkpoint={checkpoint}", *typed, "part=3/2"], "such as part=2/4"),
    ):
        ended = fishnet("explain", *given)
        (line,) = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
        assert ended.status == 2 and sentence in line
    assert fishnet("explain", "checkpoint=other.ckpt", *typed, "part=2/2", "overwrite=true").status == 0
    assert fishnet("explain", "checkpoint=other.ckpt", *typed).status == 0
    assert fishnet("explain", "checkpoint=other.ckpt", *typed[:1], "out=whole", "pictures=0").status == 0
    assert files_of(tmp_path / "why") == files_of(tmp_path / "whole")


def test_a_part_at_work_is_left_to_its_process(fishnet, checkpoint, shapes, tmp_path):
    typed = [f"checkpoint={checkpoint}", f"images={shapes}/*/*_00[0-2].jpg", "out=why", "pictures=0"]
    assert fishnet("explain", *typed, "part=1/2").status == 0
    with locked(tmp_path / "why/.unfinished/part-1-of-2.lock", timeout=0):  # as its process does
        for more in ([], ["part=1/2"], ["method=layercam", "overwrite=true"]):
            ended = fishnet("explain", *typed, *more)
            assert ended.status == 2 and "another process makes part 1/2" in ended.err
        assert fishnet("explain", *typed, "part=2/2").status == 0
    assert fishnet("explain", *typed).status == 0
