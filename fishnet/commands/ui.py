"""fishnet ui: the MLflow UI on this machine, on loopback only

Examples
  fishnet ui
  fishnet ui port=5050
"""

from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.ranges import Port
from fishnet.tracking.ui import serve_ui

POSITION = 100  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    port: Annotated[int, Port]


def main(config: DictConfig) -> None:
    validate(config, "ui")
    serve_ui(uri=config.tracking.uri, home=Path.cwd(), port=config.port)


if __name__ == "__main__":
    start(main, "ui")
