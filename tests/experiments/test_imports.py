"""No experiment is forgotten when the house changes: each can at least be begun."""

import ast
import importlib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
FILES = sorted(path.relative_to(HOUSE) for path in (HOUSE / "experiments").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_it_finds_what_it_uses(file):
    importlib.import_module(".".join(file.with_suffix("").parts))


@pytest.mark.parametrize("folder", ["fishnet", "experiments"])
def test_nothing_outside_the_tests_imports_from_them(folder):
    wrong = []
    for path in (HOUSE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong += [f"{path} imports {name}" for name in names if name.split(".")[0] == "tests"]
    assert not wrong
