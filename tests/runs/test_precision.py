"""precision=auto: by a rule of hardware and network, without touching the model; what is given is left alone."""

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from fishnet.environment import PRECISION
from fishnet.errors import BadInput
from fishnet.models import arithmetic
from fishnet.models.arithmetic import MIXED, PLAIN, PLAIN_LAST, Setting, depthwise_share, rule
from fishnet.models.classifier import ImageClassifier
from fishnet.runs import precision
from fishnet.runs.precision import choose_precision

SPEED = Path(__file__).parents[2] / "experiments" / "speed" / "results.csv"


def model_of(backbone: str = "test_resnet", **more) -> ImageClassifier:
    return ImageClassifier(classes=["a", "b"], backbone=backbone, **{"image_size": 32, **more})


def settings(**trainer):
    base = {"precision": "auto", "channels_last": None, "compile": False, "num_nodes": 1, "accelerator": "cpu"}
    return OmegaConf.create({"trainer": {**base, **trainer}, "data": {"batch_size": 4}})


@pytest.fixture
def rules(monkeypatch):
    """How often the rule was applied, on a CPU with bfloat16 units."""
    monkeypatch.delenv(PRECISION, raising=False)
    monkeypatch.setattr(arithmetic, "cpu_flags", lambda: {"avx512_bf16"})
    applied: list[str] = []

    def counting(model, **hardware):
        setting, reason = rule(model, **hardware)
        applied.append(reason)
        return setting, reason

    monkeypatch.setattr(precision, "rule", counting)
    yield applied
    monkeypatch.delenv(PRECISION, raising=False)


def test_the_model_stays_as_it_was():
    model = model_of(freeze="backbone")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    rng = torch.random.get_rng_state()
    assert rule(model, use_gpu=False)[0] in (PLAIN, PLAIN_LAST, MIXED)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(rng, torch.random.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("flags", "backbone", "setting"),
    [
        ({"avx512f", "avx512_bf16"}, "test_resnet", MIXED),
        ({"amx_bf16", "amx_tile"}, "vit_tiny_patch16_224", MIXED),
        ({"asimd", "bf16"}, "cnn", MIXED),
        ({"avx512_bf16"}, "mobilenetv2_100", PLAIN_LAST),
        ({"avx512f"}, "mobilenetv3_large_100", PLAIN_LAST),
        ({"avx512f"}, "test_resnet", PLAIN),
        (set(), "test_resnet", PLAIN),
    ],
)
def test_a_cpu_is_judged_by_its_units_and_the_network_by_its_layers(monkeypatch, flags, backbone, setting):
    monkeypatch.setattr(arithmetic, "cpu_flags", lambda: flags)
    size = 224 if backbone.startswith("vit") else 64
    for _ in range(2):
        assert rule(model_of(backbone, image_size=size), use_gpu=False)[0] == setting


@pytest.mark.parametrize(("units", "setting"), [(True, MIXED), (False, PLAIN)])
@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv2_100"])
def test_a_gpu_is_judged_by_its_units(monkeypatch, units, setting, backbone):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: units)
    assert rule(model_of(backbone), use_gpu=True)[0] == setting


def measured() -> dict[str, tuple[str, int, Setting, float]]:
    """The last ratio to plain float32 of each network in the table of experiments/speed."""
    rows = {}
    with SPEED.open() as file:
        for row in csv.DictReader(file):
            if row["stage"] == "train" and not math.isnan(float(row["ratio"])):
                network, setting = row["case"].split(", ")
                backbone, size, _ = network.split()
                chosen = Setting(setting.split()[0], "last" in setting)
                rows[backbone] = (backbone, int(size), chosen, float(row["ratio"]))
    return rows


@pytest.mark.slow
def test_the_rule_chooses_what_was_measured_to_be_fastest(monkeypatch):
    """Every network of the table gets the setting that was fastest there, so nothing of the measured gain is lost."""
    monkeypatch.setattr(arithmetic, "cpu_flags", lambda: {"avx512_bf16"})
    table = measured()
    assert len(table) == 13
    for backbone, size, fastest, ratio in table.values():
        assert rule(model_of(backbone, image_size=size), use_gpu=False)[0] == fastest, backbone
        assert ratio >= 1


def test_depthwise_convolutions_are_told_from_grouped_ones():
    assert depthwise_share(model_of("mobilenetv2_100", image_size=96)) == pytest.approx(0.07, abs=0.01)
    assert depthwise_share(model_of("regnety_004", image_size=96)) == 0
    assert depthwise_share(model_of("cnn")) == 0


def test_the_choice_and_its_reason_are_written_down(rules, caplog):
    with caplog.at_level("INFO", "fishnet"):
        for _ in range(2):
            config, model = settings(), model_of()
            text = choose_precision(config, model)
            assert (config.trainer.precision, config.trainer.channels_last) == ("bf16-mixed", True)
            assert text == "bf16-mixed with channels last (a CPU with bfloat16 units and a network of dense layers)"
            assert model.network.conv1[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert "a CPU with bfloat16 units" in caplog.text
    assert "trainer.precision=32-true" in caplog.text


def test_nothing_is_remembered_on_disk(rules, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    choose_precision(settings(), model_of())
    assert list(tmp_path.iterdir()) == []


def test_what_was_given_is_left_alone(rules):
    config = settings(precision="32-true")
    assert choose_precision(config, model_of()) == ""
    assert config.trainer.precision == "32-true"
    assert rules == []
    config = settings(channels_last=False)
    choose_precision(config, model_of())
    assert config.trainer.channels_last is False
    assert len(rules) == 1


def test_the_processes_of_one_run_agree(rules, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(PRECISION, json.dumps(PLAIN))
    config = settings()
    choose_precision(config, model_of())
    assert config.trainer.precision == "32-true"
    assert rules == []
    monkeypatch.delenv("LOCAL_RANK")
    alone, several = settings(), settings(num_nodes=2)
    for config in (alone, several):
        choose_precision(config, model_of())
        assert json.loads(precision.os.environ[PRECISION]) == list(MIXED)
    assert alone.trainer.precision == several.trainer.precision


def test_measuring_a_finished_model_is_plain():
    config = settings()
    precision.require_float32(config)
    assert (config.trainer.precision, config.trainer.channels_last) == PLAIN
    with pytest.raises(BadInput, match="float32 alone"):
        precision.require_float32(settings(precision="bf16-mixed"))


def test_a_machine_that_tells_nothing_of_its_processor_has_no_units(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(OSError()))
    assert arithmetic.cpu_flags() == set()


def test_compiling_is_left_to_torch_and_keeps_the_names_of_weights(rules, monkeypatch):
    compiled: list[type] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self)))
    model = model_of()
    names = set(model.state_dict())
    choose_precision(settings(precision="32-true"), model)
    assert compiled == []
    choose_precision(settings(precision="32-true", compile=True), model)
    assert compiled == [type(model.network)]
    assert set(model.state_dict()) == names


@pytest.mark.parametrize(("units", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_not_taken_on_a_gpu_without_it(monkeypatch, caplog, units, chosen):
    caplog.set_level("INFO", "fishnet")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: units)
    config = settings(precision="bf16-mixed", accelerator="gpu")
    text = choose_precision(config, model_of())
    assert config.trainer.precision == chosen
    assert ("float32" in caplog.text) == bool(text) == (not units)
