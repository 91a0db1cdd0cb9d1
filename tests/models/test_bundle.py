"""A model's bundle: it answers as the model does, and whatever was changed in it is refused with the reason."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fishnet import ImageClassifier
from fishnet.data.seen import SeenPhotos
from fishnet.errors import BadInput
from fishnet.models.bundle import is_bundle, read_bundle, read_gallery, write_bundle

CLASSES = ["perch", "grand brochet", "鲤"]


def drawn_model() -> ImageClassifier:
    torch.manual_seed(3)
    settings = {"filters": [8, 12], "dense": 0}
    model = ImageClassifier(
        classes=CLASSES, backbone="cnn", backbone_args=settings, image_size=32, preprocess=["autocontrast", "crop"]
    ).eval()
    model.temperature.fill_(1.7)
    digests = {"train": np.array([3, 5]), "val": np.array([7]), "test": np.array([], np.int64)}
    model.seen = SeenPhotos(digests, "(.+)_frame")
    return model


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "fish"
    about = {"thresholds": {"perch": 0.7, "鲤": None}, "metrics": {"test/f1_macro": 0.9}}
    write_bundle(drawn_model(), folder, about=about, audit={"verdicts": []}, gallery={"0.jpg": b"photo"})
    return folder


@pytest.fixture
def bundle(written, tmp_path) -> Path:
    return shutil.copytree(written, tmp_path / "fish")


def test_it_answers_as_the_model_does(written):
    photos = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    read, model = read_bundle(written), drawn_model()
    with torch.inference_mode():
        assert torch.equal(read.model(photos), model(photos))
        assert torch.equal(read.model.probabilities(read.model(photos)), model.probabilities(model(photos)))
    assert read.model.preprocessing == model.preprocessing and read.model.classes == CLASSES
    assert not read.model.training
    assert read.about["metrics"] == {"test/f1_macro": 0.9} and read.about["thresholds"]["perch"] == 0.7
    assert read.audit == {"verdicts": []} and (read.folder / "gallery" / "0.jpg").read_bytes() == b"photo"
    assert read.model.seen.group == "(.+)_frame"
    assert {part: list(digests) for part, digests in read.model.seen.digests.items()} == {
        "train": [3, 5], "val": [7], "test": [],
    }  # fmt: skip


def test_nobody_needs_fishnet_to_check_the_digests(written):
    for line in (written / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((written / name).read_bytes()).hexdigest() == digest
    assert {file.suffix for file in written.rglob("*.*")} == {".safetensors", ".json", ".jpg"}  # no pickle


def test_a_folder_is_not_written_over(written):
    with pytest.raises(OSError, match="not empty"):
        write_bundle(drawn_model(), written, about={})
    assert is_bundle(written) and not is_bundle(written.parent) and not list(written.parent.glob(".*"))


def test_the_preprocessing_is_the_bundles_and_not_the_librarys(bundle):
    """A later timm may have other values for the same backbone."""
    change(bundle, preprocessing=lambda values: {**values, "mean": [0.1, 0.2, 0.3], "crop": 0.5})
    model = read_bundle(bundle).model
    assert model.preprocessing.crop == 0.5 and model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


# ---- tampered


def sums_again(folder: Path) -> None:
    """As somebody does who knows how."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(folder).as_posix()}\n" for f in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def change(folder: Path, **changes) -> None:
    """Values of model.json, with digests that fit."""
    about = json.loads((folder / "model.json").read_text())
    for key, to in changes.items():
        about[key] = to(about.get(key)) if callable(to) else to
    (folder / "model.json").write_text(json.dumps(about))
    sums_again(folder)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def change_audit(folder: Path, **values) -> None:
    (folder / "audit.json").write_text(json.dumps(values))
    sums_again(folder)


def change_weights(folder: Path, to) -> None:
    save_file(to(load_file(folder / "model.safetensors")), folder / "model.safetensors")
    sums_again(folder)


def architecture(**changes):
    return {"architecture": lambda values: {**values, **changes}}


def linked(folder: Path, name: str) -> None:
    shutil.move(folder / name, folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)


TAMPERED = {
    "a bit of the weights": (lambda b: flip(b / "model.safetensors"), "model.safetensors is not what was written"),
    "a bit of the values": (lambda b: flip(b / "model.json"), "model.json is not what was written"),
    "a bit of the audit": (lambda b: flip(b / "audit.json"), "audit.json is not what was written"),
    "a photo of the gallery": (lambda b: flip(b / "gallery" / "0.jpg"), "0.jpg is not what was written"),
    "weights cut short": (lambda b: truncate(b / "model.safetensors"), "cut short"),
    "no weights": (lambda b: (b / "model.safetensors").unlink(), "model.safetensors is missing"),
    "no digests": (lambda b: (b / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
    "digests that are none": (lambda b: (b / "SHA256SUMS").write_text("hello\n"), "lines that fishnet does not"),
    "weights that are not listed": (lambda b: unlist(b, "model.safetensors"), "does not list model.safetensors"),
    "a file outside": (lambda b: add_line(b, "../secret"), "lines that fishnet does not write"),
    "a file named twice": (lambda b: add_line(b, "model.json"), "lines that fishnet does not write"),
    "a link": (lambda b: linked(b, "model.json"), "no plain file"),
    "another format": (lambda b: change(b, format=99), "its format is 99"),
    "no JSON": (lambda b: ((b / "model.json").write_text("{"), sums_again(b)), "is no JSON"),
    "a deep JSON": (lambda b: ((b / "model.json").write_text("[" * 100_000), sums_again(b)), "is no JSON"),
    "NaN": (lambda b: ((b / "model.json").write_text('{"format": NaN}'), sums_again(b)), "NaN is no number"),
    "classes that are no names": (lambda b: change(b, **architecture(classes=[1, 2, 3])), "no list of names"),
    "a class twice": (lambda b: change(b, **architecture(classes=["a", "a", "b"])), "named twice"),
    "a class more": (lambda b: change(b, **architecture(classes=[*CLASSES, "x"])), "does not fit the network"),
    "a backbone of a hub": (lambda b: change(b, **architecture(backbone="hf-hub:evil/net")), "is unknown"),
    "another backbone": (lambda b: change(b, **architecture(backbone="resnet18")), "no network can|does not fit"),
    "a network that fills the memory": (
        lambda b: change(b, **architecture(backbone_args={"filters": [10**6, 10**6], "dense": 0})), "does not fit",
    ),
    "a huge side": (lambda b: change(b, **architecture(image_size=10**6)), "image_size=1000000"),
    "an argument that names code": (
        lambda b: change(b, **architecture(backbone_args={"act_layer": "os.system"})), "backbone_args does not fit",
    ),
    "an address of weights": (
        lambda b: change(b, **architecture(backbone="resnet18", backbone_args={"pretrained": True})), "bring weights",
    ),
    "a file of weights": (
        lambda b: change(b, **architecture(backbone="resnet18", backbone_args={"checkpoint_path": "x.pth"})),
        "bring weights",
    ),
    "a mean that is none": (lambda b: change(b, preprocessing={"mean": "x"}), "preprocessing makes no sense"),
    "a crop of nothing": (lambda b: change(b, preprocessing=lambda v: {**v, "crop": 0}), "preprocessing makes no"),
    "a side of half a pixel": (lambda b: change(b, preprocessing=lambda v: {**v, "size": 32.5}), "makes no sense"),
    "a dropout of words": (lambda b: change(b, **architecture(dropout="x")), "dropout='x' is no number"),
    "verdicts that are none": (lambda b: change_audit(b, verdicts=5), "no verdicts by class"),
    "a verdict without a class": (lambda b: change_audit(b, verdicts=[{"verdict": "shortcut"}]), "no verdicts by"),
    "a threshold of another class": (lambda b: change(b, thresholds={"eel": 0.5}), "not those of its classes"),
    "a threshold beyond one": (lambda b: change(b, thresholds={"perch": 1.5}), "no probability"),
    "weights that are no numbers": (
        lambda b: change_weights(b, lambda w: {**w, "temperature": torch.tensor(float("nan"))}),
        "no numbers",
    ),
    "a temperature of zero": (
        lambda b: change_weights(b, lambda w: {**w, "temperature": torch.zeros(())}), "temperature is not above zero",
    ),
    "a pickle for weights": (lambda b: (torch.save({}, b / "model.safetensors"), sums_again(b)), "cannot be read"),
    "half of what was seen": (
        lambda b: change_weights(b, lambda w: {k: v for k, v in w.items() if k != "seen.val"}), "lacks the photos",
    ),
}  # fmt: skip


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def unlist(folder: Path, name: str) -> None:
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.open() if not line.endswith(f"{name}\n")))


def add_line(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("")
    with open(folder / "SHA256SUMS", "a") as sums:
        sums.write(f"{hashlib.sha256(b'').hexdigest()}  {name}\n")


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_refused_with_the_reason(bundle, what):
    tamper, reason = TAMPERED[what]
    tamper(bundle)
    with pytest.raises(BadInput, match=reason):
        read_bundle(bundle)


# ---- a gallery

PHOTO = {"file": "0.jpg", "true": "perch", "predicted": "grand brochet", "probability": 0.6}
BAD_GALLERIES = {
    "a file that is not listed": {**PHOTO, "file": "1.jpg"},
    "a file elsewhere": {**PHOTO, "file": "../model.json"},
    "no file": {key: value for key, value in PHOTO.items() if key != "file"},
    "a probability of text": {**PHOTO, "probability": "high"},
    "a probability beyond one": {**PHOTO, "probability": 2},
    "a class that is no name": {**PHOTO, "true": ["perch"]},
    "a licence that is no text": {**PHOTO, "licence": 3},
    "no values": "0.jpg",
}


def with_gallery(folder: Path, rows: object, content: bytes = b"\xff\xd8\xff photo") -> Path:
    files = {"0.jpg": content, "gallery.json": json.dumps(rows).encode()}
    write_bundle(drawn_model(), folder, about={}, gallery=files)
    return folder


def test_a_gallery_is_read_as_it_was_written_and_nothing_else_of_it(tmp_path):
    folder = with_gallery(tmp_path / "fish", {"photos": [{**PHOTO, "licence": "cc-by", "more": "unknown"}]})
    assert read_gallery(read_bundle(folder)) == ([{**PHOTO, "licence": "cc-by"}], {"0.jpg": b"\xff\xd8\xff photo"})


def test_a_bundle_without_a_gallery_has_no_photos(written):
    assert read_gallery(read_bundle(written)) == ([], {})  # gallery/0.jpg, which no index describes


@pytest.mark.parametrize("what", BAD_GALLERIES)
def test_a_gallery_that_makes_no_sense_is_refused(tmp_path, what):
    folder = with_gallery(tmp_path / "fish", {"photos": [PHOTO, BAD_GALLERIES[what]]})
    with pytest.raises(BadInput, match=r"gallery\.json does not describe"):
        read_gallery(read_bundle(folder))


def test_what_is_no_photo_is_not_shown_as_one(tmp_path):
    folder = with_gallery(tmp_path / "fish", {"photos": [PHOTO]}, content=b"<html>")
    with pytest.raises(BadInput, match="is no JPEG"):
        read_gallery(read_bundle(folder))
