import os
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fishnet import __main__ as dispatcher
from fishnet.config.compose import compose
from fishnet.config.hydra_internals import instantiate
from fishnet.config.quoting import quoted
from fishnet.runs.saved_config import literal

HARD = [
    "(.+)_frame",
    "photo (1).jpg",
    "epoch=3.ckpt",
    "Klunzinger's wrasse",
    "É",
    "~/photos",
    "a, b",
    "[x]",
    "{y}",
    "魚",
    "C:\\fish\\",
    "tail\\'",
    "${oc.env:HOME}",
    "a\\${b}",
]


def read_back(argument: str) -> str:
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override()
    config = OmegaConf.create({"value": override.value()})
    return config.value


@pytest.mark.parametrize("text", HARD)
def test_free_text_reaches_the_configuration_as_typed(text):
    assert read_back(quoted(f"data.root={text}", "train")) == text


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1))
def test_any_text_survives(text):
    argument = quoted(f"data.root={text}", "train")
    if argument == f"data.root={text}":  # words and quoted text go through as they are
        return
    assert read_back(argument) == text


@pytest.mark.parametrize(
    "argument", ["data.group=null", "model.pretrained=true", "data.root='a b'", "model.lr=0.1,0.2", "-m"]
)
def test_words_quotes_and_other_keys_are_left_alone(argument):
    assert quoted(argument, "train") == argument


@pytest.mark.parametrize("name", ["2020", "inf", "1e5", "a b'ü", "mine (2)"])
def test_a_protocol_may_have_any_name(name):
    argument = quoted(f"study={name}", "study")
    assert OverridesParser.create().parse_override(argument).value() == name


@pytest.mark.parametrize(
    "argument", ["study=one_animal", "study=a,b", "data=[folder]", "model=choice(a,b)", "study='a b'"]
)
def test_plain_names_and_sweeps_of_groups_are_left_alone(argument):
    assert quoted(argument, "study") == argument


def test_the_command_is_kept_as_typed(monkeypatch):
    typed = ["train", "data=folder", "data.root=my photos (1)", "name=Klunzinger's"]
    became: list[str] = []
    monkeypatch.setattr("sys.argv", ["fishnet", *typed])
    monkeypatch.setattr("os.execv", lambda path, command: became.extend(command))
    monkeypatch.setenv("FISHNET_COMMAND", "")
    dispatcher.main()
    assert shlex.split(os.environ["FISHNET_COMMAND"]) == ["fishnet", *typed]
    assert became[-2] == "data.root='my photos (1)'"


@pytest.mark.parametrize("typed", ["model.backbone_args.pad_type=same", "model.backbone_args={pad_type: same}"])
def test_what_a_network_takes_can_be_typed_key_by_key_or_together(typed):
    config = compose("train", [quoted(typed, "train")])
    assert config.model.backbone_args == {"pad_type": "same"}


@pytest.mark.parametrize("text", HARD)
def test_a_text_that_is_built_from_a_configuration_is_the_text(text):
    config = OmegaConf.create({"_target_": "builtins.dict", "root": "", "all": [], "size": "${two}", "two": 2})
    config.root, config.all = literal(text), literal([text])
    assert config.root == text
    built = instantiate(config, home=text, tags={"folder": text})
    assert built == {"root": text, "all": [text], "size": 2, "two": 2, "home": text, "tags": {"folder": text}}


def test_quotes_of_the_user_hold_a_text_too():
    assert read_back(quoted("data.root='lake ${x}'", "train")) == "lake ${x}"
