"""Loose photos: every one in its order, refused with its reason or shown as the model wants it."""

import hashlib
import os
import shutil
import socket

import pytest
import torch

from fishnet import ImageClassifier, ImageFolderData
from fishnet.data.listing import find_photos, list_photos
from fishnet.data.photos import photo_batches
from fishnet.errors import BadInput
from fishnet.text import reasons_in_lines
from tests.support.models import with_drawn_heads


@pytest.fixture
def model() -> ImageClassifier:
    torch.manual_seed(0)
    return with_drawn_heads(ImageClassifier(classes=["bar", "box", "disc"], backbone="cnn", image_size=32)).eval()


def test_batches_are_full_and_refused_photos_keep_their_place(shapes, tmp_path, model):
    photos = sorted(shapes.glob("disc/*.jpg"))[:5]
    (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:200])
    given = [tmp_path / "cut.jpg", *photos[:3], tmp_path / "gone.jpg", *photos[3:]]
    batches = list(photo_batches(given, model.preprocessing, batch_size=2))
    assert [path for batch in batches for path in batch.photos] == given
    assert [bool(problem) for batch in batches for problem in batch.problems] == [1, 0, 0, 0, 1, 0, 0]
    assert [len(batch.views) for batch in batches] == [2, 2, 1]
    assert batches[0].images.shape == (2, 3, 32, 32)
    assert batches[0].digests[0] == hashlib.sha256(photos[0].read_bytes()).hexdigest()


def test_a_jpeg_that_was_cut_and_closed_again_is_answered_and_named(shapes, tmp_path, model, caplog):
    whole = sorted(shapes.glob("disc/*.jpg"))[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3] + b"\xff\xd9")
    (tmp_path / "whole.jpg").write_bytes(whole)
    (batch,) = photo_batches([tmp_path / "cut.jpg", tmp_path / "whole.jpg"], model.preprocessing, batch_size=2)
    assert batch.problems == ["", ""]
    (line,) = [record.getMessage() for record in caplog.records if "grey rest" in record.getMessage()]
    assert line.startswith(f"{tmp_path / 'cut.jpg'} ends in a grey rest")


def test_a_photo_has_the_same_logits_by_its_path_its_bytes_and_its_folder(shapes, model):
    paths = sorted(shapes.glob("*/*.png")) + sorted(shapes.glob("*/*.jpg"))
    (by_path,) = photo_batches(paths[:4], model.preprocessing, batch_size=4)
    (by_bytes,) = photo_batches([path.read_bytes() for path in paths[:4]], model.preprocessing, batch_size=4)
    data = ImageFolderData(root=str(shapes)).for_model(preprocessing=model.preprocessing)
    row = {str(data.root / path): number for number, path in enumerate(data.table["path"])}
    in_folder = data.photos([row[str(path)] for path in paths[:4]])
    assert torch.equal(by_path.images, by_bytes.images) and torch.equal(by_path.images, in_folder)
    with torch.inference_mode():
        assert torch.equal(model(by_path.images), model(by_bytes.images))


def test_photos_below_a_folder_are_found_in_order(shapes, tmp_path):
    assert find_photos(shapes) == sorted(shapes.glob("*/*.jpg"))
    for path, word in ((tmp_path / "none", "does not exist"), (tmp_path, "holds no photos")):
        with pytest.raises(BadInput, match=word):
            find_photos(path)


def test_what_a_folder_of_class_folders_leaves_out_is_left_out_here_too(shapes, tmp_path, caplog):
    root = tmp_path / "photos"
    shutil.copytree(shapes, root)
    for name in ("scan.xcf", "film.mp4", ".hidden.jpg"):
        (root / "disc" / name).touch()
    (root / ".cache").mkdir()
    shutil.copy(root / "disc/photo_000.jpg", root / ".cache/small.jpg")
    (root / "disc/out.jpg").symlink_to(shapes / "disc/photo_000.jpg")
    os.mkfifo(root / "disc/pipe.jpg")
    with open(os.fsencode(root / "disc") + b"/bad\xff.jpg", "wb") as file:
        file.write(b"x")
    shutil.copy(root / "disc/photo_000.jpg", root / "disc/a\rb.jpg")  # would end a row of a table
    photos = find_photos(root)
    listing = list_photos(root)
    assert [photo.relative_to(root).as_posix() for photo in photos] == [path for path, *_ in listing.photos]
    assert [record.message for record in caplog.records] == [
        *listing.warnings(),
        *reasons_in_lines(listing.refused),
    ]
    assert "disc/bad\\udcff.jpg: the file's name is not valid UTF-8" in caplog.text
    assert "disc/a\\rb.jpg: the file's name has a carriage return in it" in caplog.text
    assert "1 .xcf" in caplog.text and "1 special files" in caplog.text


@pytest.fixture
def few(shapes, tmp_path, monkeypatch):
    """Photos under names that are patterns themselves, and a text file beside them."""
    monkeypatch.chdir(tmp_path)
    photo = next(shapes.glob("disc/*.jpg"))
    for name in ("lake [2024]/a.jpg", "lake [2024]/b.JPG", "lake [2024]/deep/er/c.jpg", "odd[1]*.jpg", "a, b.jpg"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, file)
    (tmp_path / "lake [2024]/notes.csv").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("images", "names"),
    [
        ("lake [2024]/*.jpg", "a"),
        ("lake [2024]/*", "a b"),
        ("lake [2024]/**/*.[jJ][pP][gG]", "a b c"),
        ("*/*/*/c.jpg", "c"),
        ("odd[1]*.jpg", "odd[1]*"),
        ("[odd[1]*.jpg, lake [2024]/b.JPG,lake [2024]/a.jpg]", "odd[1]* b a"),
        ('["a, b.jpg",lake [2024]/**/c.jpg]', "a, b c"),
        ("[" + ",".join(50 * ["lake [2024]/a.jpg"]) + "]", "a"),
        ("list.txt", "b a, b a c"),
    ],
)
def test_patterns_and_lists_name_photos(few, images, names):
    (few / "list.txt").write_text("\n  lake [2024]/b.JPG\na, b.jpg\nlake [2024]\n")
    assert " ".join(path.stem for path in find_photos(images)) == names


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("lake/*.jpg", "no photo fits this pattern"),
        ("lake [2024]/*.csv", "what does is no photo (notes.csv)"),
        ("[a.jpg,gone.jpg]", r"images=[a.jpg,gone.jpg]: images=a.jpg does not exist"),
        ("[]", "images=[] names no photo"),
        ("empty.txt", "images=empty.txt names no photo"),
        ("round.txt", "it names the list round.txt"),
        ("photo.txt", "is no text in UTF-8"),
    ],
)
def test_patterns_and_lists_that_name_none_are_refused_in_a_sentence(few, images, words):
    (few / "empty.txt").touch()
    (few / "round.txt").write_text("round.txt\n")
    shutil.copy(few / "a, b.jpg", few / "photo.txt")
    with pytest.raises(BadInput) as refused:
        find_photos(images)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_pipes_sockets_and_bytes_that_are_no_text_cost_only_themselves(few, shapes, caplog):
    """In a pattern and in a list; nothing waits for a pipe."""
    folder = few / "mixed"
    folder.mkdir()
    photo = shutil.copy(next(shapes.glob("disc/*.jpg")), folder / "good.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(folder / "socket.jpg"))
    shutil.copy(photo, os.fsencode(folder) + b"/bad\xff.jpg")
    (few / "list.txt").write_text("mixed/pipe.jpg\nmixed/good.jpg\n/dev/null\n")
    for images in ("mixed/*.jpg", "[mixed/socket.jpg,mixed/good.jpg]", "list.txt", "mixed"):
        caplog.clear()
        assert [path.name for path in find_photos(images)] == ["good.jpg"], images
        assert "special files" in caplog.text or "socket or device" in caplog.text, images
        assert ("bad\\udcff.jpg" in caplog.text) == ("txt" not in images and "[" not in images)
    with pytest.raises(BadInput, match="is no file, but a pipe, socket or device"):
        find_photos("mixed/pipe.jpg")
