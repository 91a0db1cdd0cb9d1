"""What fine-tuning needs: lower rates for lower layers, one cycle, smoothed labels, mixed photos."""

import numpy as np
import pytest
import pytorch_lightning as L
import torch
from torch import nn

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.logistic import share_of_rate
from fishnet.models.mixing import mixed
from fishnet.models.optimisation import layer_groups, make_optimizer, make_scheduler, one_cycle, scale_rates
from tests.support.trainers import quiet_trainer

SMALL = {"backbone": "cnn", "backbone_args": {"filters": [4, 4], "dense": 0}, "image_size": 32}


def test_each_layer_learns_slower_than_the_one_above():
    network = ImageClassifier(classes=["a", "b"], **SMALL).network
    groups = layer_groups(network, lr=0.1, weight_decay=0.01, decay=0.5)
    rates = [group["lr"] for group in groups]
    assert rates[0] == 0.1 and rates == sorted(rates, reverse=True) and rates[-1] < 0.05
    head = {id(parameter) for parameter in groups[0]["params"]} | {id(p) for p in groups[1]["params"]}
    assert id(list(network.parameters())[-1]) in head
    assert all(group["weight_decay"] == 0 for group in groups for p in group["params"] if p.ndim < 2)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_one_cycle_rises_for_a_quarter_and_ends_at_nothing():
    rates = [one_cycle(step, 100) for step in range(121)]
    assert rates.index(max(rates)) == 25 and max(rates) == 1
    assert rates[0] == pytest.approx(0.04) and rates[100] == pytest.approx(0, abs=1e-9)
    assert rates[120] == pytest.approx(0, abs=1e-9)  # of a run that goes on beyond what it was planned for


def test_scaled_rates_are_those_of_all_steps():
    model = nn.Linear(2, 2)
    optimizer = make_optimizer([*model.parameters()], name="adamw", lr=0.1, momentum=0.9, weight_decay=0.0)
    scheduler = make_scheduler(optimizer, name="one_cycle", epochs=1, patience=1, factor=0.1, steps=lambda: 20)
    scale_rates([optimizer], [scheduler], 0.25)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.025 * one_cycle(step, 20) for step in range(20)])


@pytest.mark.parametrize(
    ("wrong", "many", "share"), [(0, 10, 1 / 3), (1, 30, 0.25), (40, 126, 1.0), (0, 998, 0.004), (100, 100, 1.0)]
)
def test_the_rate_follows_from_what_the_fitted_layer_gets_wrong(wrong, many, share):
    assert share_of_rate(wrong, many) == pytest.approx(share)


def test_mixed_photos_are_weighed_means_and_their_share_follows_from_the_step():
    batch = {"image": torch.arange(12, dtype=torch.uint8).view(3, 1, 2, 2), "label": torch.tensor([0, 1, 2])}
    np.random.seed(5)
    first, pair = mixed(batch, 0.4)
    np.random.seed(5)
    again, _ = mixed(batch, 0.4)
    assert torch.equal(first["image"], again["image"]) and pair.labels.tolist() == [2, 0, 1]
    expected = (pair.share * batch["image"][0] + (1 - pair.share) * batch["image"][2]) / 255
    assert torch.allclose(first["image"][0], expected)


def test_only_training_smooths_labels_and_a_mixed_loss_is_that_of_both_labels():
    model = ImageClassifier(classes=["a", "b", "c"], **SMALL, label_smoothing=0.3)
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    plain = nn.functional.cross_entropy(logits, labels)
    smooth = nn.functional.cross_entropy(logits, labels, label_smoothing=0.3)
    assert model.loss(logits, {"label": labels}, "val") == plain != smooth
    assert model.loss(logits, {"label": labels}, "train") == smooth
    weighed = {"label": labels, "weight": torch.ones(5)}
    assert model.loss(logits, weighed, "train") == pytest.approx(smooth.item(), rel=1e-5)


def test_statistics_that_are_kept_and_scales_that_learn(shapes, tmp_path):
    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8)
    small = {"backbone": "test_resnet", "image_size": 32}
    for keep in (True, False):
        model = ImageClassifier(classes=data.classes, **small, keep_statistics=keep)
        before = {name: value.clone() for name, value in model.network.state_dict().items()}
        quiet_trainer(tmp_path / str(keep), max_epochs=1).fit(model, datamodule=data)
        after = model.network.state_dict()
        statistics = [name for name in after if name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
        assert statistics and all(torch.equal(after[name], before[name]) == keep for name in statistics)
        assert not torch.equal(after["bn1.weight"], before["bn1.weight"])


def test_all_of_it_trains_and_the_rate_is_that_of_the_classifier_layer(shapes, tmp_path):
    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8)
    rates: list[float] = []

    class Rates(L.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            rates.append(pl_module.resume_state.learning_rate)

    recipe = {"optimizer": "adamw", "lr": 0.01, "layer_decay": 0.7, "scheduler": "one_cycle", "mixup": 0.2}
    model = ImageClassifier(classes=data.classes, **SMALL, **recipe, label_smoothing=0.1)
    trainer = quiet_trainer(tmp_path, callbacks=[Rates()], max_epochs=4)
    trainer.fit(model, datamodule=data)
    steps = trainer.global_step
    assert rates == pytest.approx([0.01 * one_cycle(step, steps) for step in range(steps)])
    assert np.isfinite(float(trainer.callback_metrics["train/loss"]))
