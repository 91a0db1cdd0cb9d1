"""fishnet compare: runs as a table, with links into the MLflow UI. Neither torch nor lightning is imported."""

from pathlib import Path

from omegaconf import DictConfig

from fishnet.tracking.compare import compare
from fishnet.tracking.outbox import deliver
from fishnet.tracking.stale import close_stale_runs
from fishnet.tracking.store import open_store

from .entry import start


def main(config: DictConfig) -> None:
    home = Path.cwd()
    for sentence in deliver(home / "outputs") if config.deliver else ():
        print(sentence)
    close_stale_runs(open_store(config.tracking.uri, home=home, create=False))
    compare(
        uri=config.tracking.uri,
        home=home,
        experiment=config.experiment,
        status=config.status,
        parent=config.parent,
        last=config.last,
        sort=config.sort,
        csv=config.csv,
        overwrite=config.overwrite,
        port=config.port,
    )


if __name__ == "__main__":
    start(main, "compare")
