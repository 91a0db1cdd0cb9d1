"""precision=auto: measured without touching the model, plain float32 unless something is clearly faster."""

import json

import pytest
import torch
from omegaconf import OmegaConf

from fishnet.environment import PRECISION
from fishnet.models.classifier import ImageClassifier
from fishnet.models.precision import PLAIN, SETTINGS, fastest, measured
from fishnet.runs import precision as pace


def model_of(**more) -> ImageClassifier:
    return ImageClassifier(classes=["a", "b"], backbone="test_resnet", image_size=32, **more)


def test_every_setting_is_tried_and_the_model_stays_as_it_was():
    model = model_of(freeze="backbone")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chance = torch.random.get_rng_state()
    speeds = measured(model, 4, torch.device("cpu"))
    assert set(speeds) == set(SETTINGS)
    assert all(speed > 0 for speed in speeds.values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(chance, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("speeds", "chosen"), [((10, 10.5, 10.9), 0), ((10, 12, 11.5), 1), ((10, 12, 25), 2), ((10, 5, 4), 0)]
)
def test_plain_float32_stays_unless_another_is_clearly_faster(speeds, chosen):
    assert fastest(dict(zip(SETTINGS, speeds, strict=True))) == SETTINGS[chosen]


def settings(**trainer):
    base = {"precision": "auto", "channels_last": None, "compile": False, "num_nodes": 1, "accelerator": "cpu"}
    return OmegaConf.create({"trainer": {**base, **trainer}, "data": {"batch_size": 4}})


@pytest.fixture
def probes(monkeypatch, tmp_path):
    """Counts the measurements; each finds bfloat16 the fastest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(PRECISION, raising=False)
    asked: list[int] = []

    def found(model, batch_size, device):
        asked.append(batch_size)
        return dict(zip(SETTINGS, (10.0, 12.0, 25.0), strict=True))

    monkeypatch.setattr(pace, "measured", found)
    yield asked
    monkeypatch.delenv(PRECISION, raising=False)


def test_the_choice_is_written_into_the_configuration_and_made_once(probes):
    for _ in range(2):
        config, model = settings(), model_of()
        said = pace.settle(config, model)
        assert (config.trainer.precision, config.trainer.channels_last) == ("bf16-mixed", True)
        assert "25" in said
        assert model.network.conv1[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert len(probes) == 1
    pace.settle(settings(), model_of(freeze="backbone"))
    assert len(probes) == 2


def test_a_damaged_memory_is_measured_again(probes):
    pace.settle(settings(), model_of())
    pace._file().write_text('{"x": [1]}')
    pace.settle(settings(), model_of())
    assert len(probes) == 2


def test_what_was_asked_for_is_not_measured(probes):
    config = settings(precision="32-true")
    assert pace.settle(config, model_of()) == ""
    assert config.trainer.precision == "32-true"
    config = settings(channels_last=False)
    pace.settle(config, model_of())
    assert config.trainer.channels_last is False
    assert len(probes) == 1


def test_the_processes_of_one_run_agree(probes, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(PRECISION, json.dumps(PLAIN))
    config = settings()
    pace.settle(config, model_of())
    assert config.trainer.precision == "32-true"
    monkeypatch.delenv("LOCAL_RANK")
    config = settings(num_nodes=2)
    pace.settle(config, model_of())
    assert config.trainer.precision == ("bf16-mixed" if torch.cuda.is_available() else "32-true")
    assert probes == []


def test_measuring_a_finished_model_is_plain():
    config = settings()
    pace.plainly(config)
    assert (config.trainer.precision, config.trainer.channels_last) == PLAIN


def test_compiling_is_asked_for_and_leaves_the_names_of_weights(probes, monkeypatch):
    compiled: list[type] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self)))
    model = model_of()
    names = set(model.state_dict())
    pace.settle(settings(precision="32-true"), model)
    assert compiled == []
    pace.settle(settings(precision="32-true", compile=True), model)
    assert compiled == [type(model.network)]
    assert set(model.state_dict()) == names
