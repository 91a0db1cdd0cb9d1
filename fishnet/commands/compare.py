"""fishnet compare: runs as a table: metrics, what differs, links into the MLflow UI

Examples
  fishnet compare
  fishnet compare last=50 sort=test/f1_macro status=FINISHED
  fishnet compare parent=t-sweep csv=runs.csv
  fishnet compare deliver=true                send what a lost server has not received
"""

from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText, Port
from fishnet.tracking.compare import compare
from fishnet.tracking.delivery import deliver
from fishnet.tracking.runs import tidy
from fishnet.tracking.store import open_store

POSITION = 80  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    experiment: FreeText | None
    status: str | None
    parent: FreeText | None
    last: Annotated[int, AtLeast(1)]
    sort: str
    csv: FreeText | None
    overwrite: bool
    deliver: bool
    port: Annotated[int, Port]


def main(config: DictConfig) -> None:
    validate(config, "compare")
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
