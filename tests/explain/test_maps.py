"""Maps of a whole folder: exact where that is possible, the library's elsewhere, and taken up where they stopped."""

import numpy as np
import pytest
import torch

from fishnet.data.store import Store
from fishnet.errors import BadInput, WorkFailed
from fishnet.explain.additive import additive_maps, is_additive
from fishnet.explain.gradcam import explained
from fishnet.explain.maps import COMMIT_EVERY, batch_maps, read_maps, write_maps
from fishnet.explain.underway import UNFINISHED
from fishnet.models.classifier import ImageClassifier
from tests.support.memory_data import MemoryData
from tests.support.models import with_drawn_heads

CLASSES = ["a", "b", "c"]


def model_of(backbone: str, size: int = 64) -> ImageClassifier:
    torch.manual_seed(0)
    return with_drawn_heads(ImageClassifier(classes=CLASSES, backbone=backbone, image_size=size))


def photos(count: int = 3, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("backbone", "additive"),
    [
        ("test_resnet", True),
        ("mobilenetv2_100", True),
        ("densenet121", True),
        ("mobilenetv3_small_050", False),  # a layer between pooling and head
        ("cnn", False),
        ("vgg11", False),
        ("vit_tiny_patch16_224", False),
    ],
)
def test_which_networks_are_additive_is_found_out(backbone, additive):
    assert is_additive(model_of(backbone, 224 if "vit" in backbone else 64)) == additive


@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv2_100"])
def test_maps_and_bias_sum_to_the_logits_and_are_grad_cams(backbone):
    model, images = model_of(backbone).train(), photos()
    modes = {name: module.training for name, module in model.named_modules()}
    parts = additive_maps(model, images)
    assert modes == {name: module.training for name, module in model.named_modules()}
    assert torch.allclose(parts.maps.sum(dim=(2, 3)) + parts.bias, model.eval()(images), atol=1e-4)
    for k in range(len(CLASSES)):
        grad_cam = explained(model, images, [k] * len(images)).maps
        assert torch.allclose(parts.maps[:, k], grad_cam, atol=1e-5)


@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv3_small_050", "cnn"])
def test_one_class_or_all(backbone):
    model, images = model_of(backbone), photos(4)
    one, logits = batch_maps(model, images)
    every, again = batch_maps(model, images, all_classes=True)
    assert torch.allclose(logits, again, atol=1e-5)
    answers = logits.argmax(dim=1)
    assert every.shape[:2] == (4, 3)
    assert torch.allclose(one, every[torch.arange(4), answers], atol=1e-5)


@pytest.fixture
def data() -> MemoryData:
    return MemoryData(classes=CLASSES, photos=12)


def batches(data: MemoryData):
    rows = np.arange(len(data.table))
    return [{"image": data.photos(part)} for part in np.array_split(rows, 9)]


def test_the_files_of_a_folder(data, tmp_path):
    model = model_of("test_resnet", 32)
    found = write_maps(model, batches(data), data.table, tmp_path / "maps", about="a")
    assert found.maps.dtype == np.float16
    assert len(found.maps) == len(found.logits) == len(found.table) == 36
    assert found.table.path.tolist() == data.table.path.tolist()
    assert set(found.table.explained) <= set(CLASSES)
    exact, logits = batch_maps(model, data.photos(range(36)))
    assert np.abs(found.maps.astype(np.float32) - exact.numpy()).max() < 1e-3 * float(exact.abs().max()) + 1e-4
    assert np.allclose(found.logits, logits, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["logits.npy", "maps.csv", "maps.npy"]


def test_an_ended_run_goes_on_and_other_photos_start_anew(data, tmp_path, monkeypatch):
    monkeypatch.setattr("fishnet.explain.maps.COMMIT_EVERY", 2)
    model, out, shown = model_of("test_resnet", 32), tmp_path / "maps", []

    def ending(after: int):
        for number, batch in enumerate(batches(data)):
            if number == after:
                raise KeyboardInterrupt
            yield batch

    real = batch_maps

    def noting(model, images, **more):
        shown.append(len(images))
        return real(model, images, **more)

    monkeypatch.setattr("fishnet.explain.maps.batch_maps", noting)
    with pytest.raises(KeyboardInterrupt):
        write_maps(model, ending(5), data.table, out, about="a")
    with pytest.raises(FileNotFoundError):
        read_maps(out)
    shown.clear()
    write_maps(model, batches(data), data.table, out, about="a")
    assert len(shown) == 9 - 4
    whole = write_maps(model, batches(data), data.table, tmp_path / "whole", about="a")
    assert np.array_equal(read_maps(out).maps, whole.maps)
    with pytest.raises(KeyboardInterrupt):
        write_maps(model, ending(5), data.table, out, about="a")
    shown.clear()
    write_maps(model, batches(data), data.table, out, about="b")
    assert len(shown) == 9


def test_slow_batches_are_kept_one_by_one(data, tmp_path, monkeypatch):
    monkeypatch.setattr("fishnet.explain.maps.COMMIT_AFTER", 0)

    def ending():
        yield from batches(data)[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_maps(model_of("test_resnet", 32), ending(), data.table, tmp_path / "maps", about="a")
    settings = {"about": "a", "photos": len(data.table)}
    kept = Store(tmp_path / "maps" / UNFINISHED / "maps", dtype="float16", about=settings)
    assert kept.missing([str(row) for row in range(36)]).tolist() == list(range(12, 36))


def test_two_runs_do_not_share_a_folder(data, tmp_path):
    model = model_of("test_resnet", 32)

    def meanwhile():
        with pytest.raises(BadInput, match="another process"):
            write_maps(model, batches(data), data.table, tmp_path / "maps", about="b")
        yield from batches(data)

    write_maps(model, meanwhile(), data.table, tmp_path / "maps", about="a")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["logits.npy", "maps.csv", "maps.npy"]


def test_too_few_photos_are_an_error(data, tmp_path):
    with pytest.raises(WorkFailed, match="12 photos"):
        write_maps(model_of("test_resnet", 32), batches(data)[:3], data.table, tmp_path / "maps")
    assert COMMIT_EVERY > 1
