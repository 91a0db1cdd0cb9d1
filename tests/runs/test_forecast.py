"""What a training will take, measured before it; and that the measuring leaves no trace."""

import logging

import pytest
import torch
from omegaconf import OmegaConf

from fishnet.models.arithmetic import PLAIN
from fishnet.models.classifier import ImageClassifier
from fishnet.runs import forecast as module
from fishnet.runs.forecast import Cost, Plan, forecast, measured


@pytest.fixture
def model():
    return ImageClassifier(classes=["perch", "pike"], backbone="resnet18", image_size=32)


def config_of(**model_keys):
    data = {"augment": "light", "views": 0}
    trainer = {"max_epochs": 30, "precision": "32-true", "channels_last": False}
    own = {"freeze": "none", "backbone": "resnet18", "pretrained": False} | model_keys
    return OmegaConf.create({"model": own, "data": data, "trainer": trainer})


def test_the_trial_leaves_no_trace(model):
    model.network.layer1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes, state = [layer.training for layer in model.modules()], torch.random.get_rng_state()
    cost = measured(model, PLAIN)
    assert cost.learning > cost.answering > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert modes == [layer.training for layer in model.modules()]
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(weight.grad is None for weight in model.parameters())


def test_a_plan_counts_each_photo_each_epoch_or_once_where_features_are_stored():
    cost = Cost(learning=2.0, answering=0.5)
    assert Plan(10, learned=100, answered=20).seconds(cost) == 10 * (200 + 10)
    assert Plan(10, learned=100, answered=20, stored=True, views=3).seconds(cost) == 0.5 * 320


@pytest.mark.parametrize(
    ("keys", "lines", "proposal"),
    [
        ({}, 2, "model.pretrained=true model.freeze=backbone data.augment=none"),
        ({"pretrained": True}, 2, "with model.freeze=backbone data.augment=none"),
        ({"freeze": "backbone"}, 2, "with data.augment=none"),
        ({"backbone": "cnn"}, 1, ""),
    ],
)
def test_a_long_training_comes_with_the_faster_choice(model, caplog, monkeypatch, keys, lines, proposal):
    monkeypatch.setattr(module, "measured", lambda *_, **__: Cost(learning=1.0, answering=0.25))
    with caplog.at_level(logging.INFO, "fishnet"):
        forecast(config_of(**keys), model, learned=480, answered=80)
    texts = [record.message for record in caplog.records]
    assert texts[0] == "About 4 h 10 min on this processor: 480 training photos, 30 epochs at most."
    assert len(texts) == lines and proposal in texts[-1]
    assert lines == 1 or texts[1].startswith("In about 2 min: ")  # 560 photos, each answered once


def test_a_short_one_is_a_line(model, caplog, monkeypatch):
    monkeypatch.setattr(module, "measured", lambda *_, **__: Cost(learning=0.001, answering=0.0005))
    with caplog.at_level(logging.INFO, "fishnet"):
        forecast(config_of(), model, learned=480, answered=80)
    assert [record.message for record in caplog.records] == [
        "About 16 s on this processor: 480 training photos, 30 epochs at most."
    ]
