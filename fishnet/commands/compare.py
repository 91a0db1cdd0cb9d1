"""fishnet compare: runs as a table, with links into the MLflow UI. Neither torch nor lightning is imported."""

from pathlib import Path

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.errors import BadInput
from fishnet.tracking.compare import compare
from fishnet.tracking.outbox import deliver
from fishnet.tracking.stale import tidy
from fishnet.tracking.store import open_store


def main(config: DictConfig) -> None:
    validate(config)
    home = Path.cwd()
    delivered = deliver(home) if config.deliver else []
    for sentence in delivered:
        print(sentence, flush=True)
    try:
        store = open_store(config.tracking.uri, home=home, create=False)
    except BadInput:
        if delivered:
            return  # all went to a server, and no store is kept here
        raise
    tidied = tidy(store, home / "outputs")
    nothing = ["Nothing waits to be delivered."] if config.deliver and not delivered and not tidied else []
    for sentence in [*tidied, *nothing]:
        print(sentence, flush=True)
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
