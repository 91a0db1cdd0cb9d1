"""Steps before the network: part of the model, so that a checkpoint alone prepares its photos."""

import numpy as np
import pytest
import pytorch_lightning as L
import torch
from PIL import Image, ImageOps

from fishnet import ImageClassifier, ImageFolderData
from fishnet.errors import BadInput
from fishnet.models.preprocessing import CROP, STEPS, contrasted, whitened
from tests.support.drawing import draw_folder
from tests.support.models import with_drawn_heads

PHOTOS = torch.randint(40, 200, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def pillows(work, images: torch.Tensor) -> torch.Tensor:
    done = [np.asarray(work(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in images]
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("step", "usual"), [("autocontrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize)])
def test_contrast_is_pillows_photo_by_photo(step, usual):
    ours = contrasted(PHOTOS, [step])
    assert (ours.int() - pillows(usual, PHOTOS).int()).abs().max() <= 1
    assert torch.equal(ours[:1], contrasted(PHOTOS[:1], [step]))


def test_whitened_photos_have_mean_0_and_variance_1_and_plain_ones_are_0():
    images = PHOTOS.float() / 255
    images[0] = 0.3
    white = whitened(images)
    assert white[0].abs().max() < 1e-5
    assert white[1:].mean(dim=(1, 2, 3)).abs().max() < 1e-5
    assert white[1:].std(dim=(1, 2, 3)).sub(1).abs().max() < 1e-2


@pytest.mark.parametrize("step", STEPS)
def test_a_checkpoint_prepares_its_photos_as_training_did(tmp_path, step):
    torch.manual_seed(0)
    model = with_drawn_heads(ImageClassifier(classes=["a", "b"], backbone="cnn", preprocess=[step], image_size=32))
    plain = ImageClassifier(classes=["a", "b"], backbone="cnn", image_size=32)
    plain.load_state_dict(model.state_dict())
    trainer = L.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "m.ckpt")
    again = ImageClassifier.load_from_checkpoint(tmp_path / "m.ckpt", weights_only=True)
    assert again.preprocessing == model.preprocessing
    for one in (model, plain, again):
        one.eval()
    with torch.no_grad():
        assert torch.equal(again(PHOTOS), model(PHOTOS))
        assert torch.allclose(model(PHOTOS), plain(PHOTOS)) == (step == "crop")


def test_crop_shows_the_middle_of_the_photo(tmp_path):
    draw_folder(tmp_path / "photos", photos=3)
    shown = {}
    for steps in ([], ["crop"]):
        model = ImageClassifier(classes=["a", "b"], backbone="cnn", preprocess=steps, image_size=32)
        data = ImageFolderData(root=str(tmp_path / "photos"), duplicates="ignore")
        shown[len(steps)] = data.for_model(preprocessing=model.preprocessing).photos([0])
    middle = torch.nn.functional.interpolate(shown[0].float()[..., 3:29, 3:29], size=32, mode="bilinear")
    assert CROP == 0.8
    assert (middle - shown[1].float()).abs().mean() < (shown[0].float() - shown[1].float()).abs().mean() / 2


@pytest.mark.parametrize(("step", "words"), [("mirror", "data.augment=mirror"), ("equalise", "did you mean equalize")])
def test_unknown_steps_are_one_sentence(step, words):
    with pytest.raises(BadInput, match=words):
        ImageClassifier(classes=["a", "b"], backbone="cnn", preprocess=[step])


def test_steps_are_done_in_one_order_however_they_are_given():
    model = ImageClassifier(classes=["a", "b"], backbone="cnn", preprocess=["whiten", "crop", "autocontrast"])
    assert model.preprocessing.steps == ("crop", "autocontrast", "whiten")
