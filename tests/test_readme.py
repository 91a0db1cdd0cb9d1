"""The README is true: its commands compose as pasted into bash, its script runs, and its pictures exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fishnet.config.compose import check_sweep, compose
from fishnet.config.quoting import quoted
from fishnet.config.validate import validate
from fishnet.data.chunks import Folder
from fishnet.data.listing import FolderSource
from fishnet.data.packing import pack
from tests.support.drawing import draw_folder

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


COMMANDS = [
    line.split("  #")[0].strip()
    for block in blocks("bash")
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip().startswith("fishnet ")
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the names that the README speaks of, and a `fishnet` that tells what bash has given it."""
    place = tmp_path_factory.mktemp("readme")
    draw_folder(place / "photos" / "lake", ["perch", "pike", "roach"], photos=16)
    pack(FolderSource(str(place / "photos" / "lake")), Folder(str(place / "streams" / "lake")), chunk_mb=64)
    shim = place / "bin" / "fishnet"
    shim.parent.mkdir()
    shim.write_text("#!/bin/bash\nprintf '%s\\0' \"$@\"\n")
    shim.chmod(0o755)
    return place


def pasted(command: str, place: Path) -> list[str]:
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_the_readme_has_commands_for_every_verb():
    from fishnet.__main__ import VERBS

    assert {command.split()[1] for command in COMMANDS} >= set(VERBS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_is_understood_as_pasted(command, place, monkeypatch):
    monkeypatch.chdir(place)
    verb, *arguments = pasted(command, place)
    overrides = [quoted(argument, verb) for argument in arguments]
    if "-m" in overrides:
        overrides.remove("-m")
        check_sweep(overrides, verb, None)
    else:
        config = compose(verb, overrides)
        if {"checkpoint", "data"} <= set(config) and OmegaConf.is_missing(config.data, "root"):
            config.data.root = str(place / "photos" / "lake")  # else that of the checkpoint's run, which is not here
        validate(config, verb)


@pytest.mark.slow
def test_the_script_runs_and_brings_neither_hydra_nor_mlflow(place):
    (script,) = blocks("python")
    assert len([line for line in script.splitlines() if line.strip()]) <= 15
    check = "\nimport sys\nassert not {'hydra', 'mlflow'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", script + check],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_first_screen():
    screen = README.split("\n## ")[0]
    assert len(re.findall(r"!\[", screen)) == 1
    assert screen.count("make ") >= 2
    assert re.search(r"^\|.*\|$", screen, flags=re.M)


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (HOUSE / target).exists(), target
