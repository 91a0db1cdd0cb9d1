"""What users install: the wheel alone, in an environment of its own, far from this checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
UV = [sys.executable, "-m", "uv"]


@pytest.mark.slow
def test_the_wheel_carries_the_configuration(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VIRTUAL_ENV", "PYTHONPATH", "UV_COMPILE"))}

    def run(*command: str | Path, where: Path = CHECKOUT) -> str:
        done = subprocess.run([*map(str, command)], cwd=where, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    source = tmp_path / "source"  # a copy: setuptools leaves its build folder beside what it builds
    for name in ("fishnet", "conf"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, source)
    run(*UV, "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path, source)
    wheel = next(tmp_path.glob("fishnet_vision-*.whl"))
    run(*UV, "venv", "--python", sys.executable, tmp_path / "clean")
    python = tmp_path / "clean" / "bin" / "python"
    # what `make setup` has just installed lies in uv's cache: no network is needed
    run(*UV, "pip", "install", "--offline", "--python", python, "-c", CHECKOUT / "constraints.txt", wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    fishnet = tmp_path / "clean" / "bin" / "fishnet"
    assert "backbone: resnet101" in run(fishnet, "train", "--cfg", "job", where=empty)
    assert "max_epochs" in run(fishnet, "train", "experiment=demo", "--cfg", "job", where=empty)
    assert "fishnet train -m" in run(fishnet, "train", "--help", where=empty)
    every = "import pkgutil, fishnet; [__import__(m.name) for m in pkgutil.walk_packages(fishnet.__path__, 'fishnet.')]"
    run(python, "-c", every.replace("fishnet.')", "fishnet.') if '__main__' not in m.name"), where=empty)
    assert "fishnet audit" in run(fishnet, "audit", "--help", where=empty)
    place = run(python, "-c", "import fishnet; print(fishnet.__file__)", where=empty).strip()
    assert Path(place).is_relative_to(tmp_path)
    assert list(empty.iterdir()) == []
