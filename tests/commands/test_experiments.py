"""Every experiment and every verb composes and passes the early check; nobody has to remember to test a new one."""

from pathlib import Path

import pytest
import torch

from fishnet.config.compose import compose
from fishnet.config.validate import validate
from fishnet.errors import WorkFailed

CONF = Path(__file__).parent.parent.parent / "conf"
FOLDER = CONF / "experiment"
EXPERIMENTS = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))
REEF_GAN = ["data=reef", "data.classes=[bandfin_perch]", "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1"]
NO_WEIGHTS = ["model.pretrained=false", "model.head=linear"]
OF_WEIGHTS = ["model.keep_statistics=false", "model.lr_by_error=false"]  # what only a published network has
REEF_TUNED = ["data=reef", "model.backbone=mobilenetv3_small_050", *NO_WEIGHTS, *OF_WEIGHTS]
OF_A_FOLDER = {"fox_gan": REEF_GAN, "fine_tune": REEF_TUNED}  # experiments that name no folder are tried on the reef
TRAINERS = [p.stem for p in (CONF / "trainer").glob("*.yaml")]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_valid_and_says_its_command(name):
    validate(compose("train", [f"experiment={name}", *OF_A_FOLDER.get(name, [])]), "train")
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    assert f"# fishnet train experiment={name}" in text.splitlines()[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_for_a_few_batches(name, fishnet, tmp_path):
    small = [
        "data.photos=12",
        "data.draw_size=64",
        "data.image_size=64",
        "data.batch_size=4",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",  # the experiment's own stands behind that of trainer=smoke
        *OF_A_FOLDER.get(name, []),
    ]
    ended = fishnet("train", f"experiment={name}", "trainer=smoke", "trainer.precision=32-true", *small, "out=run")
    assert ended.status == 0, ended.err
    left = "report/metrics.json" if name != "fox_gan" else "samples/epoch_0000.jpg"
    assert (tmp_path / "run" / left).is_file()
    assert (tmp_path / "run" / "model" / "model.ckpt").is_file()


@pytest.mark.parametrize("name", TRAINERS)
def test_every_trainer_is_valid(name):
    validate(compose("train", [f"trainer={name}"]), "train")


def test_a_full_gpu_says_what_to_try():
    from fishnet.runs.run import as_known_failure

    config = compose("train", ["data.batch_size=48", "trainer.accumulate_grad_batches=2"])
    cured = as_known_failure(torch.OutOfMemoryError("CUDA out of memory"), config)
    assert isinstance(cured, WorkFailed)
    assert "data.batch_size=24" in str(cured)
    assert "trainer.accumulate_grad_batches=4" in str(cured)
