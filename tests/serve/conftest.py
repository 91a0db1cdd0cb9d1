from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import Service, drawn_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    return drawn_bundle(tmp_path_factory.mktemp("served") / "fish", names=("Perca fluviatilis", "European perch"))


@pytest.fixture(scope="module")
def service(bundle) -> Iterator[Service]:
    with Service(bundle) as running:
        yield running
