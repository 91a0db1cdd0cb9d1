"""A run's saved configuration may be a stranger's: what it names is built only where a run is built of such classes."""

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.config.compose import compose
from fishnet.errors import BadInput
from fishnet.runs.saved_config import LARGEST, check_targets, literal, other_packages, read_saved

CALLBACKS = {
    "a function of a module": {"_target_": "os.system", "command": "touch {proof}"},
    "by what a module of ours has imported": {"_target_": "fishnet.files.os.system", "command": "touch {proof}"},
    "by a package of ours": {"_target_": "fishnet.config.building.os.system", "command": "touch {proof}"},
    "a builtin": {"_target_": "builtins.exec", "_args_": ["open('{proof}', 'w')"]},
    "Hydra's own": {"_target_": "hydra.utils.call", "_args_": [{"_target_": "os.system", "command": "touch {proof}"}]},
    "Hydra's own method": {"_target_": "hydra.utils.get_method", "path": "os.system"},
    "Hydra, by a module of ours": {"_target_": "fishnet.config.building.instantiate", "config": {}},
    "a function of ours that starts processes": {
        "_target_": "fishnet.config.retraining.start_training", "arguments": [], "key": "x",
    },
    "a class of ours that no run is built of": {"_target_": "fishnet.tracking.journal.Journal", "path": "{proof}"},
    "partly": {"_target_": "subprocess.Popen", "_partial_": True},
    "inside a list": {"_target_": "fishnet.callbacks.views.Views", "inner": [{"deep": {"_target_": "os.getpid"}}]},
    "inside a callback of Lightning": {
        "_target_": "pytorch_lightning.callbacks.LambdaCallback",
        "on_fit_start": {"_target_": "os.system", "_partial_": True},
    },
    "Lightning's command line, which builds what it is named": {
        "_target_": "pytorch_lightning.cli.LightningCLI", "args": {"class_path": "os.system"},
    },
    "a logger to anybody": {"_target_": "pytorch_lightning.loggers.MLFlowLogger", "tracking_uri": "http://127.0.0.1:1"},
    "a function of Lightning": {"_target_": "pytorch_lightning.seed_everything"},
    "by a class of Lightning": {"_target_": "pytorch_lightning.Trainer.from_argparse_args"},
    "by dots": {"_target_": "fishnet..files.os.system"},
    "a list for a target": {"_target_": ["os.system"]},
    "nothing for a target": {"_target_": None},
    "computed": "${{oc.create:{{_target_: os.system, command: touch {proof}}}}}",
    "out of the environment": {"_target_": "fishnet.callbacks.views.Views", "out": "${{oc.env:HOME}}"},
    "a target that is computed": {"_target_": "${{oc.decode:os.system}}"},
}  # fmt: skip


def filled(tree, proof: Path):
    if isinstance(tree, dict):
        return {key: filled(value, proof) for key, value in tree.items()}
    if isinstance(tree, list):
        return [filled(value, proof) for value in tree]
    return tree.format(proof=proof) if isinstance(tree, str) else tree


def saved(folder: Path, **changes) -> Path:
    """The file of an ordinary run, with changes."""
    settings = OmegaConf.to_container(compose("train", ["data=folder", "data.root=lake"]), resolve=True)
    file = folder / "config.yaml"
    file.write_text(OmegaConf.to_yaml(OmegaConf.create({**settings, **changes})))
    return file


def read(file: Path, packages=()) -> None:
    check_targets(read_saved(file), file, packages)


def test_an_ordinary_run_of_each_kind_is_read(tmp_path):
    for overrides in ([], ["data=folder", "data.root=lake", "callbacks=[audit,exchange]"], ["experiment=fox_gan"]):
        config = compose("train", [*overrides, *(["data.classes=[a]"] if "experiment" in str(overrides) else [])])
        OmegaConf.save(config, tmp_path / "config.yaml", resolve=True)
        read(tmp_path / "config.yaml")


def test_callbacks_of_lightning_and_its_parts_of_a_trainer_are_read(tmp_path):
    file = tmp_path / "config.yaml"
    config = compose("train", [])
    OmegaConf.set_struct(config, False)
    config.callbacks.rate = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}
    config.trainer.profiler = {"_target_": "pytorch_lightning.profilers.SimpleProfiler"}
    OmegaConf.save(config, file, resolve=True)
    read(file)


@pytest.mark.parametrize("how", CALLBACKS)
def test_nothing_else_is_read_and_nothing_is_run(tmp_path, how):
    proof = tmp_path / "proof"
    config = OmegaConf.to_container(compose("train", ["data=folder", "data.root=lake"]), resolve=True)
    config["callbacks"]["evil"] = filled(CALLBACKS[how], proof)
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    with pytest.raises(BadInput, match=r"callbacks\.evil"):
        read(tmp_path / "config.yaml")
    assert not proof.exists()


@pytest.mark.parametrize("seam", ["data", "model", "trainer", "tracking", "range_test"])
def test_no_seam_takes_a_function(tmp_path, seam):
    config = OmegaConf.to_container(compose("train", ["data=folder", "data.root=lake"]), resolve=True)
    config[seam]["_target_"] = "os.getpid"
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    with pytest.raises(BadInput, match=rf"os.getpid at {seam}._target_.*could be anybody's"):
        read(tmp_path / "config.yaml")


def test_a_package_that_is_typed_gives_its_own_classes_and_no_more(tmp_path, monkeypatch):
    package = tmp_path / "mine_of_the_user"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("import os\nfrom subprocess import Popen\nclass Part:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, allowed in (("Part", True), ("os.system", False), ("Popen", False), ("Part.mro", False)):
        file = saved(tmp_path, part={"_target_": f"mine_of_the_user.parts.{name}"})
        if allowed:
            with pytest.raises(BadInput, match=r"packages=\[mine_of_the_user\]"):
                read(file)
            assert "mine_of_the_user" not in sys.modules  # nothing is imported before it is allowed
        if allowed:
            read(file, ["mine_of_the_user"])
        else:
            with pytest.raises(BadInput):
                read(file, ["mine_of_the_user"])
    assert other_packages(OmegaConf.to_container(read_saved(file))) == ["mine_of_the_user"]


def test_what_the_file_itself_allows_is_not_believed(tmp_path):
    config = OmegaConf.to_container(compose("train", ["data=folder", "data.root=lake"]), resolve=True)
    config |= {"packages": ["os", "subprocess"]}
    config["callbacks"]["evil"] = {"_target_": "subprocess.Popen", "args": ["true"]}
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    with pytest.raises(BadInput):
        read(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe", b"", b"- a list", b"a: [", b"a: &x [1]\nb: *x", b"data: 1", b"x" * (LARGEST + 1),
        b"data: !!python/object/apply:os.getpid []", b"[" * 5000, b"data: {}\nmodel: {}",
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_one_sentence(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(BadInput, match="is no configuration of a run"):
        read_saved(tmp_path / "config.yaml")
    with pytest.raises(BadInput, match="is no configuration of a run"):
        read_saved(tmp_path / "missing.yaml")


@pytest.mark.parametrize("text", ["${HOME}", "a ${b} c", r"\${x}", r"\\${x}", "plain", "$ {x}"])
def test_a_text_is_read_as_it_stands(tmp_path, text):
    file = saved(tmp_path, name=literal(text))
    assert OmegaConf.to_container(read_saved(file), resolve=True)["name"] == text
