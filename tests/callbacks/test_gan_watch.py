"""What goes wrong in a GAN is said in words; what does not is not."""

import pytest

from fishnet import ImageFolderData
from fishnet.callbacks.gan_watch import GanWatch, troubles
from fishnet.callbacks.guards import FiniteNumbers
from fishnet.errors import WorkFailed
from fishnet.models.gan import ImageGAN
from tests.support.drawing import draw_folder
from tests.support.memory_data import MemoryData
from tests.support.trainers import quiet_trainer

TINY = {"classes": ["perch"], "latent": 8, "width": 4, "discriminator_width": 4}

WELL = {
    "gan/train_taken_for_real": 0.7,
    "gan/held_out_taken_for_real": 0.6,
    "val/diversity": 0.9,
    "val/kid": 0.3,
    "train/generator_loss": 1.5,
}


def test_a_sound_training_is_left_in_peace():
    assert troubles(WELL, best_kid=0.25) == {}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            {"gan/train_taken_for_real": 0.98, "gan/held_out_taken_for_real": 0.4},
            "overfitting",
            ["98%", "40%", "heart"],
        ),
        ({"val/diversity": 0.2}, "collapse", ["0.20 times", "few kinds"]),
        ({"val/kid": 3.0}, "divergence", ["0.250 to 3.000", "diverges"]),
        ({"val/kid": float("nan"), "val/diversity": float("nan")}, "unmeasured", ["two photos for validation"]),
        ({"train/generator_loss": 9.0}, "divergence", ["9.0", "hardly learns"]),
    ],
)
def test_each_trouble_has_its_sentence(change, kind, words):
    found = troubles({**WELL, **change}, best_kid=0.25)
    assert list(found) == [kind]
    assert all(word in found[kind] for word in words)


def test_shares_of_real_photos_are_logged_and_the_last_sentence_is_kept(tmp_path):
    watch = GanWatch(photos=6)
    trainer = quiet_trainer(tmp_path, max_epochs=1, num_sanity_val_steps=0, callbacks=[watch])
    root = draw_folder(tmp_path / "photos", ["perch"], photos=24)
    data = ImageFolderData(root=str(root), group="none", augment="mirror", image_size=64, batch_size=8)
    trainer.fit(ImageGAN(**TINY), datamodule=data.for_model(classes=["perch"]))
    shares = [float(trainer.callback_metrics[f"gan/{part}_taken_for_real"]) for part in ("train", "held_out")]
    assert all(0 <= share <= 1 for share in shares)
    assert (tmp_path / "report" / "gan.txt").read_text().startswith("After epoch 1:")
    again = GanWatch()
    again.load_state_dict(watch.state_dict())
    assert again.best_kid == watch.best_kid < float("inf")


def test_a_loss_that_is_no_number_ends_the_training_before_it_reaches_the_weights(tmp_path):
    gan = ImageGAN(**TINY, penalty=1e38)
    trainer = quiet_trainer(tmp_path, max_epochs=1, num_sanity_val_steps=0, callbacks=[FiniteNumbers()])
    gan.discriminator.head.weight.data.fill_(1e30)
    with pytest.raises(WorkFailed, match="the loss became"):
        trainer.fit(gan, datamodule=MemoryData(classes=["perch"], photos=24, size=64))
    assert all(bool(value.isfinite().all()) for value in gan.state_dict().values())
