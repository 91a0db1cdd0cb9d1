"""Every experiment and every verb composes and passes the early check; nobody has to remember to test a new one."""

from pathlib import Path

import pytest
import torch

from fishnet.config.compose import compose
from fishnet.config.validate import validate
from fishnet.errors import WorkFailed

CONF = Path(__file__).parent.parent.parent / "conf"
PLACE = CONF / "experiment"
EXPERIMENTS = [path.relative_to(PLACE).with_suffix("").as_posix() for path in PLACE.rglob("*.yaml")]
TRAINERS = [p.stem for p in (CONF / "trainer").glob("*.yaml")]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_valid_and_says_its_command(name):
    validate(compose("train", [f"experiment={name}"]), "train")
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    assert f"# fishnet train experiment={name}" in text.splitlines()[1]


@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_is_valid(name):
    validate(compose("train", [f"trainer={name}"]), "train")


def test_a_full_gpu_says_what_to_try():
    from fishnet.runs.running import in_words

    config = compose("train", ["data.batch_size=48", "trainer.accumulate_grad_batches=2"])
    cured = in_words(torch.OutOfMemoryError("CUDA out of memory"), config)
    assert isinstance(cured, WorkFailed)
    assert "data.batch_size=24" in str(cured)
    assert "trainer.accumulate_grad_batches=4" in str(cured)
