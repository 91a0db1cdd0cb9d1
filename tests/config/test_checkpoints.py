"""What `checkpoint=` may name."""

import pytest
from omegaconf import OmegaConf

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.errors import BadInput


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run ${of} mine"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints/best.ckpt").touch()
    return folder


def brought(path):
    config = OmegaConf.create({"checkpoint": str(path).replace("${", r"\${")})
    bring_checkpoint(config)
    require_checkpoint(config)
    return config.checkpoint


def test_the_folder_of_a_run_is_its_best_checkpoint(run):
    assert brought(run) == str(run / "checkpoints/best.ckpt")


def test_files_and_other_folders_are_left_as_they_are(run):
    for path in (run / "checkpoints/best.ckpt", run / "checkpoints"):
        assert brought(path) == str(path)


def test_what_is_not_there_is_refused():
    with pytest.raises(BadInput, match="nowhere: there is no such checkpoint"):
        brought("nowhere")
