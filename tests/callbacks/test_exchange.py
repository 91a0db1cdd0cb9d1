"""Photos that are given what surrounds others while a network trains: how many, from where, and the same again."""

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as L
import torch

from fishnet import ImageClassifier, ImageFolderData
from fishnet.audit.augmenting import LAID, SMALLEST, Augmentation
from fishnet.audit.regions import ellipse
from fishnet.callbacks.exchange import ExchangeAugmentation
from fishnet.callbacks.features import FrozenFeatures
from fishnet.callbacks.guards import SeededSteps
from fishnet.config.compose import compose
from fishnet.errors import BadInput
from tests.support.trainers import quiet_trainer

SIDE = 32


def plain_photos(count: int) -> torch.Tensor:
    """Each of one grey of its own."""
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 3, SIDE, SIDE) * 5


def test_a_share_of_the_photos_gets_the_surroundings_of_others_of_the_batch():
    photos = plain_photos(48)
    changed = Augmentation(share=0.5)(photos, np.random.default_rng(0))
    edge, middle = changed[:, 0, 0, 0], changed[:, 0, SIDE // 2, SIDE // 2]
    assert torch.equal(middle, photos[:, 0, 0, 0])
    assert 14 <= (edge != middle).sum() <= 34
    assert set(edge.tolist()) <= set(photos[:, 0, 0, 0].tolist())
    assert torch.equal(photos, plain_photos(48))  # the batch itself is left as it was


def test_nothing_inside_the_smallest_ellipse_is_changed_and_corners_always_are():
    photos = plain_photos(48)
    changed = Augmentation(share=1.0)(photos, np.random.default_rng(0)) != photos
    # a soft edge of a few pixels reaches into the protected region
    assert not (changed & ellipse(SIDE, SMALLEST[0] - 0.3, SMALLEST[1] - 0.25).bool()).any()
    assert changed[:, :, 0, 0].all()
    covered = changed.float().mean(dim=(1, 2, 3))
    assert covered.max() - covered.min() > 0.1  # the ellipse differs


def test_half_of_the_donors_are_carriers():
    carriers = torch.full((3, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    changed = Augmentation(share=1.0, carriers=carriers)(plain_photos(48), np.random.default_rng(0))
    assert 12 <= (changed[:, 0, 0, 0] == 255).sum() <= 36


@pytest.mark.parametrize("kind", LAID)
def test_bytes_stay_bytes_and_numbers_stay_numbers(kind):
    photos = torch.randint(0, 256, (6, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    augmentation = Augmentation(kinds=[kind], share=1.0)
    whole = augmentation(photos, np.random.default_rng(1))
    fractions = augmentation(photos.float() / 255, np.random.default_rng(1))
    assert whole.dtype == torch.uint8 and not torch.equal(whole, photos)
    assert torch.allclose(whole.float() / 255, fractions, atol=0.51 / 255)


def test_a_single_photo_is_left_alone():
    photos = plain_photos(1)
    assert torch.equal(Augmentation(share=1.0)(photos, np.random.default_rng(0)), photos)


@pytest.mark.parametrize(("kinds", "words"), [(["rings"], "did you mean ring"), ([], "name what is exchanged")])
def test_unknown_kinds_are_refused(kinds, words):
    with pytest.raises(BadInput, match=words):
        Augmentation(kinds=kinds)


def training(shapes, folder, *callbacks, epochs=2, checkpoint=None, **model):
    """Train, and return the model and what its network was shown in training."""
    torch.manual_seed(1)
    data = ImageFolderData(root=str(shapes), image_size=SIDE, batch_size=8, augment="none")
    arguments = {"filters": [4]}
    network = ImageClassifier(
        classes=data.classes, backbone="cnn", backbone_args=arguments, **model
    )  # fmt: skip
    shown: list[torch.Tensor] = []

    class Shown(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            shown.append(batch["image"] if "image" in batch else batch["features"])

    guards = [SeededSteps(seed=0), *callbacks, Shown()]
    trainer = quiet_trainer(folder, max_epochs=epochs, callbacks=guards, use_distributed_sampler=False)
    trainer.fit(network, datamodule=data, ckpt_path=checkpoint)
    return network, shown, trainer


def test_a_resumed_run_is_shown_the_same_photos(shapes, tmp_path):
    _, whole, _ = training(shapes, tmp_path, ExchangeAugmentation(seed=3), epochs=2)
    _, first, trainer = training(shapes, tmp_path, ExchangeAugmentation(seed=3), epochs=1)
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    _, second, _ = training(
        shapes, tmp_path, ExchangeAugmentation(seed=3), epochs=2, checkpoint=tmp_path / "first.ckpt"
    )
    assert len(whole) == len(first) + len(second)
    assert all(torch.equal(*pair) for pair in zip(whole, [*first, *second], strict=True))
    _, other, _ = training(shapes, tmp_path, ExchangeAugmentation(seed=4), epochs=1)
    assert not torch.equal(first[0], other[0])


def test_without_a_share_training_is_equal_to_the_last_bit(shapes, tmp_path):
    without, _, _ = training(shapes, tmp_path)
    nothing, _, _ = training(shapes, tmp_path, ExchangeAugmentation(share=0.0))
    assert all(torch.equal(a, b) for a, b in zip(without.parameters(), nothing.parameters(), strict=True))


def test_carriers_are_training_photos_and_no_more_than_the_bank_holds(shapes, tmp_path):
    data = ImageFolderData(root=str(shapes), image_size=SIDE, batch_size=8)
    paths, part = data.table["path"], data.assignment
    file = tmp_path / "photos.csv"
    pd.DataFrame({"path": paths, "carries": paths.str.startswith("disc")}).to_csv(file, index=False)
    callback = ExchangeAugmentation(carriers=str(file), bank=5)
    _, _, trainer = training(shapes, tmp_path, callback, epochs=1)
    bank = callback.augmentation.carriers
    assert bank.shape == (5, 3, SIDE, SIDE) and bank.dtype == torch.uint8
    mine = trainer.datamodule.photos(np.flatnonzero((part == "train") & paths.str.startswith("disc")).tolist())
    assert all(any(torch.equal(photo, other) for other in mine) for photo in bank)
    pd.DataFrame({"path": paths[part != "train"]}).to_csv(file, index=False)
    with pytest.raises(BadInput, match="none of its photos is in the training part"):
        training(shapes, tmp_path, ExchangeAugmentation(carriers=str(file)), epochs=1)


@pytest.mark.parametrize(
    ("text", "words"), [("class\nx\n", "no column path"), ("", "cannot be read"), (None, "nowhere")]
)
def test_a_table_of_carriers_that_is_none_is_refused(tmp_path, text, words):
    file = tmp_path / "nowhere.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=words):
        ExchangeAugmentation(carriers=str(file))


def test_a_frozen_backbone_runs_on_the_exchanged_photos(shapes, tmp_path):
    """Not on stored features, of which nothing can be exchanged."""
    _, shown, _ = training(
        shapes, tmp_path, ExchangeAugmentation(), FrozenFeatures(), epochs=1, freeze="backbone"
    )  # fmt: skip
    assert shown[0].ndim == 4


def test_the_mended_model_says_from_which(shapes, tmp_path):
    from fishnet.models.checkpoint import load_model

    callback = ExchangeAugmentation(mended_from="runs/a/checkpoints/best.ckpt", kinds=["ring", "ellipse"])
    _, _, trainer = training(shapes, tmp_path, callback, epochs=1)
    trainer.save_checkpoint(tmp_path / "mended.ckpt")
    mended = load_model(tmp_path / "mended.ckpt").mended
    assert mended == {
        "from": "runs/a/checkpoints/best.ckpt", "how": "retrain", "kinds": ["ring", "ellipse"], "share": 0.55,
    }  # fmt: skip


def test_the_exchange_is_chosen_together_with_what_watches_it():
    both = compose("train", ["callbacks=[audit,exchange]", "callbacks.heatmaps=null"]).callbacks
    audit, exchange = (compose("train", [f"callbacks={name}"]).callbacks for name in ("audit", "exchange"))
    assert dict(both) == {**audit, **exchange, "heatmaps": None}


def test_the_configuration_has_the_constructors_defaults():
    import inspect

    chosen = compose("train", ["callbacks=exchange", "seed=7"]).callbacks
    assert chosen.exchange.seed == 7 and chosen.best is not None
    defaults = {name: p.default for name, p in inspect.signature(ExchangeAugmentation).parameters.items()}
    assert {name: value for name, value in chosen.exchange.items() if name != "_target_"} == {
        **defaults, "kinds": ["ellipse"], "seed": 7,
    }  # fmt: skip
