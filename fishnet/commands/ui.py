"""fishnet ui: MLflow's own pages on this machine, on loopback only."""

from pathlib import Path

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.tracking.ui import serve_ui


def main(config: DictConfig) -> None:
    validate(config)
    serve_ui(uri=config.tracking.uri, home=Path.cwd(), port=config.port)


if __name__ == "__main__":
    start(main, "ui")
