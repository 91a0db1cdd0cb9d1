"""What `fishnet collect` refuses, in one sentence, before anything is written; and its one copy of defaults."""

import inspect
import json

import pytest
from omegaconf import OmegaConf

from fishnet.collect.plan import Plan
from fishnet.config.compose import compose
from fishnet.config.quoting import quoted


def test_each_default_in_the_configuration_equals_the_constructors():
    values = OmegaConf.to_container(compose("collect", ["name=x"]), resolve=True)
    parameters = inspect.signature(Plan).parameters
    assert set(values) == set(parameters)
    assert [key for key, one in parameters.items() if key != "name" and one.default != values[key]] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["taxa=Perca fluviatilis"], ["name", "needed"]),
        (["name=x"], ["taxa", "needed"]),
        (["name=../x", "taxa=a"], ["name=../x"]),
        (["name=CON", "taxa=a"], ["name=CON"]),
        (["name=x", "taxa=a", "limit=0"], ["limit=0"]),
        (["name=x", "taxa=a", "limit=many"], ["limit=many", "whole number"]),
        (["name=x", "taxa=a", "source=google"], ["source=google", "inaturalist"]),
        (["name=x", "taxa=a", "licences=cc-bye"], ["licences=cc-bye", "cc-by"]),
        (["name=x", "taxa=a", "per_observation=two"], ["per_observation=two"]),
        (["name=x", "taxa=a", "since=yesterday"], ["since=yesterday", "2024-05-31"]),
        (["name=x", "taxa=a", "since=2020"], ["since=2020", "2024-05-31"]),
        (["name=x", "taxa=a", "robots=ignore"], ["robots=ignore", "host"]),
        (["name=x", "taxa="], ["taxa", "needed"]),
        (["name=x", "taxa=a", "limit=-1"], ["limit=-1", "this is 1 to"]),
        (["name=x", "taxa=a", "since=2024-01-01", "until=2023-01-01"], ["later than"]),
        (["name=x", "taxa=a", "size=huge"], ["size=huge"]),
        (["name=x", "taxa=a", "connections=1000"], ["connections=1000", "64"]),
        (["name=x", "taxa=a", "pause=0.1"], ["pause=0.1", "second"]),
        (["name=x", "taxa=a", "hosts=[evil]"], ["hosts=evil", "host:port"]),
        (["name=x", "source=list"], ["list="]),
        (["name=x", "taxa=a", "list=x.csv"], ["source=list"]),
        (["name=x", "source=list", "list=none.csv"], ["none.csv", "does not exist"]),
        (["name=x", "taxa=a", "source=browser"], ["licences=any"]),
        (["name=x", "taxa=a", "source=open_data", "tables=nowhere"], ["nowhere", "photos.csv.gz", "taxa"]),
        (["name=x", "taxa=a", "source=open_data", "place=3"], ["place=3"]),
        (["name=x", "refresh=true"], ["nothing was collected"]),
        (["name=x", "taxa=a", "taxon=b"], ["taxon", "taxa"]),
        (["name=taken", "taxa=47162"], ["holds something else already"]),
    ],
)
def test_settings_that_cannot_be_right(fishnet, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data/taken").mkdir(parents=True)
    (tmp_path / "data/taken/file").touch()
    ended = fishnet("collect", *arguments)
    assert ended.status == 2, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("fishnet:")]
    assert len(lines) == 1, ended.err
    assert all(word in lines[0] for word in words), lines[0]
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if "cache" not in str(path)}
    assert left == {"data", "data/taken", "data/taken/file"}


def test_names_are_typed_as_people_write_them():
    for taxa in ("Perca fluviatilis, Esox lucius", "Klunzinger's wrasse", "Xiphophorus × hellerii", "鯉"):
        assert compose("collect", ["name=x", quoted(f"taxa={taxa}", "collect")]).taxa == taxa


def test_another_collection_under_the_same_name_is_refused(fishnet, tmp_path, monkeypatch):
    from fishnet.collect.ledger import Ledger

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    plan = Plan(name="lake", taxa="47162")
    plan.root.mkdir(parents=True)
    ledger = Ledger(plan.ledger)
    ledger.write_note("settings", json.dumps(plan.fixed))
    ledger.close()
    ended = fishnet("collect", "name=lake", "taxa=47162", "licences=any")
    assert ended.status == 2
    assert "was collected with licences=cc-by" in ended.err
