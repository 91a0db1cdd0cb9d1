"""fishnet compare: runs as a table or a page: metrics, what differs, the same photos in all of them

out=page.html writes one page, without a network: runs that differ only in seed and fold are one row with its mean and
interval; differences from the best are paired where the test photos are the same; learning curves over each other; and
the same photos with each run's answer and heat-map, those first on which the runs disagree.

Examples
  fishnet compare
  fishnet compare last=50 sort=test/f1_macro status=FINISHED
  fishnet compare parent=t-sweep csv=runs.csv
  fishnet compare parent=t-sweep out=sweep.html
  fishnet compare runs=first,second,third out=page.html photos=100
  fishnet compare deliver=true                send what a lost server has not received
"""

from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.ranges import AtLeast, FreeText, Port
from fishnet.tracking.compare import compare, free_file
from fishnet.tracking.delivery import deliver, waiting_for_others
from fishnet.tracking.runs import tidy
from fishnet.tracking.store import open_store

POSITION = 80  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    experiment: FreeText | None
    status: str | None
    parent: FreeText | None
    runs: FreeText | None
    last: Annotated[int, AtLeast(1)]
    sort: str
    csv: FreeText | None
    out: FreeText | None
    photos: Annotated[int, AtLeast(0)]
    overwrite: bool
    deliver: bool
    port: Annotated[int, Port]


def listed(runs: str) -> list[str]:
    """`first, second` or `[first,second]` → the names; ids such as 24336e05 would be numbers to Hydra."""
    return [name.strip() for name in runs.strip("[] ").split(",") if name.strip()]


def main(config: DictConfig) -> None:
    validate(config, "compare")
    home, page = Path.cwd(), free_file("out", config.out, config.overwrite)
    others = waiting_for_others(home, uri=config.tracking.uri, home=home) if config.deliver else []
    for sentence in others:
        print(sentence, flush=True)
    store = open_store(config.tracking.uri, home=home, create=False)
    delivered = deliver(home, uri=store.uri, home=home) if config.deliver else []
    for sentence in delivered:
        print(sentence, flush=True)
    tidied = store.patiently(lambda: tidy(store, home / "outputs"))
    nothing = ["Nothing waits to be delivered."] if config.deliver and not (delivered or tidied or others) else []
    for sentence in [*tidied, *nothing]:
        print(sentence, flush=True)
    rows = compare(
        uri=config.tracking.uri,
        home=home,
        experiment=config.experiment,
        status=config.status,
        parent=config.parent,
        runs=None if config.runs is None else listed(config.runs),
        last=config.last,
        sort=config.sort,
        csv=config.csv,
        overwrite=config.overwrite,
        port=config.port,
    )
    if page is not None and rows:
        from fishnet.runs.comparison import write_comparison

        write_comparison(rows, store, page, sort=config.sort, most_photos=config.photos)
        print(f"{'page':12s}{page}", flush=True)


if __name__ == "__main__":
    start(main, "compare")
