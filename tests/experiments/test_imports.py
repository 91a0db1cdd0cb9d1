"""No experiment is forgotten when the house changes: each can at least be begun."""

import importlib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
FILES = sorted(path.relative_to(HOUSE) for path in (HOUSE / "experiments").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_it_finds_what_it_uses(file):
    importlib.import_module(".".join(file.with_suffix("").parts))
