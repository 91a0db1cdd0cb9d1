"""The house stands as it was drawn: imports point one way, and each guest has one room."""

import ast
import tomllib
from pathlib import Path

HOUSE = Path(__file__).parent.parent / "fishnet"
ROOMS = [
    "errors",
    "environment",
    "ranges",
    "files",
    "text",
    "cells",
    "progress",
    "fonts",
    "exif",
    "headers",
    "expendable",
    "images",
    "page",
    "reef",
    "collect",
    "data",
    "measure",
    "models",
    "explain",
    "audit",
    "embed",
    "tracking",
    "jobs",
    "callbacks",
    "runs",
    "studies",
    "serve",
    "fisheries",
    "config",
    "commands",
]
GUESTS = {
    "hydra": {"config", "commands"},
    "mlflow": {"tracking"},
    "selenium": {"collect"},
    "aiohttp": {"collect"},
    "pytorch_grad_cam": {"explain"},
    "optuna": {"studies"},
    "submitit": {"jobs"},
    "ray": {"jobs"},
    "fastapi": {"serve"},
    "umap": {"embed"},
    "onnx": {"models"},
    "onnxruntime": {"models"},
    "uvicorn": {"serve"},
    "prometheus_client": {"serve"},
    "boto3": {"data"},
    "botocore": {"data"},
}


def imports(path: Path) -> list[str]:
    found = []
    package = ["fishnet", *path.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.append(".".join([*base, *([node.module] if node.module else [])]))
    return found


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def files() -> list[Path]:
    return [path for path in HOUSE.rglob("*.py") if room_of(path) not in ("__init__", "__main__")]


def test_a_room_imports_only_from_rooms_above_it():
    wrong = []
    for path in files():
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "fishnet" and len(parts) > 1:
                if ROOMS.index(parts[1]) > ROOMS.index(room_of(path)):
                    wrong.append(f"{path.name} imports {name}")
    assert not wrong


def test_each_guest_stays_in_its_room():
    wrong = [
        f"{path.relative_to(HOUSE)} imports {name}"
        for path in files()
        for name in imports(path)
        if name.split(".")[0] in GUESTS and room_of(path) not in GUESTS[name.split(".")[0]]
    ]
    assert not wrong


def test_nothing_imports_the_experiments_and_there_are_no_utils():
    assert not [path for path in files() if any(name.startswith("experiments") for name in imports(path))]
    assert not [path for path in HOUSE.rglob("*") if path.stem in ("utils", "common", "helpers")]


def test_the_hallway_holds_verbs_and_nothing_else():
    from fishnet.__main__ import VERBS

    rooms = {path.stem for path in (HOUSE / "commands").glob("*.py")} - {"__init__"}
    assert rooms == set(VERBS)


def test_no_files_import_each_other_in_a_circle():
    modules = {".".join(["fishnet", *path.relative_to(HOUSE).with_suffix("").parts]): path for path in files()}
    arrows = {
        name: {target for target in imports_of_files(path) if target in modules} for name, path in modules.items()
    }
    while arrows:
        ends = {name for name, targets in arrows.items() if not targets & set(arrows)}
        assert ends, f"a circle among {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in ends}


def imports_of_files(path: Path) -> set[str]:
    """What is imported as soon as the file is, by dotted name; `from room import file` counts as the file."""
    package = ["fishnet", *path.relative_to(HOUSE).parts[:-1]]
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def test_every_room_is_installed_and_so_is_what_lies_in_it():
    """The list of packages is kept by hand, for conf/ lies elsewhere."""
    setup = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {".".join(file.parent.relative_to(HOUSE.parent).parts) for file in HOUSE.rglob("*.py")}
    assert set(setup["packages"]) == rooms | {"fishnet.conf"}
    for room in rooms:
        folder = HOUSE.parent / room.replace(".", "/")
        named = {file for pattern in setup["package-data"].get(room, []) for file in folder.glob(pattern)}
        others = {file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
        others = {file for file in others if next(p for p in file.parents if (p / "__init__.py").exists()) == folder}
        assert named == others, room
