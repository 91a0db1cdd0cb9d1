"""Mistakes of the first hour: each is a sentence, and those that need no torch come without it."""

import subprocess
import sys

import pytest
import torch

from fishnet.errors import BadInput
from tests.support.processes import environment


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "++trainer.foo=3"], ["trainer.foo", "no such setting"]),
        (["train", "++model.dropuot=0.1"], ["model.dropuot", "did you mean dropout?"]),
        (["train", "-m", "experiment=glob(zz*)"], ["experiment=glob(zz*)", "nothing"]),
        (["explain", "checkpoint=nowhere.ckpt", "images=."], ["nowhere.ckpt", "no such checkpoint"]),
    ],
)
def test_they_are_refused_without_torch(tmp_path, arguments, words):
    verb, *rest = arguments
    script = f"""
import runpy, sys
sys.argv = ["fishnet", *{rest!r}]
try:
    runpy.run_module("fishnet.commands.{verb}", run_name="__main__")
finally:
    assert "torch" not in sys.modules
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == BadInput.status, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words)


def test_weights_alone_are_told_what_they_are_good_for(fishnet, tmp_path, shapes):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "weights.pth")
    ended = fishnet("predict", f"checkpoint={tmp_path}/weights.pth", f"images={shapes}")
    assert ended.status == BadInput.status
    assert "weights alone" in ended.err and f"model.pretrained={tmp_path}/weights.pth" in ended.err


def test_the_configuration_of_a_sweeps_first_job_is_shown(fishnet):
    ended = fishnet("train", "-m", "experiment=glob(d*)", "model.lr=0.5,0.25", "--cfg", "job")
    assert ended.status == 0
    assert ended.out.startswith("# the first of 2 jobs\n") and "\n  lr: 0.5\n" in ended.out
    assert "draw_size" in ended.out


def test_a_sweep_finds_choices_of_a_folder_of_ones_own(fishnet, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "lake.yaml").write_text("# @package _global_\nseed: 77\n")
    ended = fishnet("train", "-m", "--config-dir", "mine", "experiment=glob(l*)", "--cfg", "job")
    assert ended.status == 0, ended.err
    assert "seed: 77" in ended.out and "1 job" in ended.out
    ended = fishnet("train", "-m", "experiment=glob(l*)", "--cfg", "job")
    assert ended.status == 2 and "demo" in ended.err
