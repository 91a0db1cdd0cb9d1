"""fishnet collect: species names → licensed photos in class folders, with a manifest

In data/<name>/: <id>-<slug>/<photo>, manifest.csv (licence, author, observation of each photo), classes.csv.
The same command goes on where it was ended.

Examples
  fishnet collect taxa='Perca fluviatilis, Esox lucius' name=lake
  fishnet collect taxa='Perca fluviatilis' name=perch limit=500 licences=[cc0,cc-by] since=2015-01-01
  fishnet collect taxa='Perca fluviatilis' name=many source=open_data tables=tables limit=5000
  fishnet collect source=list list=photos.csv name=mine licences=any
  fishnet collect source=list list=gbif/multimedia.txt name=gbif
  fishnet collect source=list list=PACKAGE/datapackage.json name=traps       photos of camera traps that are addresses
  fishnet collect taxa=47162 name=page source=browser licences=any pages=https://a-site-that-allows-it.org
  fishnet collect refresh=true name=lake       drop what was withdrawn or deleted since

What they mean
  source           inaturalist (its API) | open_data (the monthly tables) | browser (scrolls a page) | list
  list             CSV or Parquet with the columns url and class (licence, observer … if known), or a GBIF archive's
                   multimedia.txt with occurrence.txt beside it, or the datapackage.json of a Camtrap DP package
  limit            photos a class, null for all; the lot decides which, and seed= the lot
  licences         open (Creative Commons but -nd, cc0, pd, gfdl) | any | codes such as [cc0,cc-by]
  per_observation  one | all: photos of one observation show one animal
  pool             observations a class that are looked at; of more, a sample from all years
  place since until quality size     filters: a place's number, days, research | any, small … original; a list
                   heeds days alone, the browser no days, and what is not heeded is refused
  pause            seconds between two calls of an API, of all your processes together
  hosts            further [host:port] that may be asked, also on your own network
  robots           source=browser: obey, or 'ignore <host>' where you may
"""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.data.camtrap import is_package
from fishnet.errors import Interrupted
from fishnet.text import counted

log = logging.getLogger("fishnet")

POSITION = 10  # in the list of `fishnet --help`


def collect(config: DictConfig) -> None:
    """Collect, or refresh, and print what came of it."""
    validate(config, "collect")
    settings = {str(key): value for key, value in (OmegaConf.to_container(config, resolve=True) or {}).items()}  # type: ignore[union-attr]
    from fishnet.collect.job import collect as do_collect
    from fishnet.collect.job import refreshed
    from fishnet.collect.plan import Plan
    from fishnet.collect.progress import Bars, table

    plan = Plan(**settings)
    if plan.list is not None and is_package(plan.list):
        plan.list = addresses_of(plan.list, plan.ledger.with_name("addresses.csv"))
    if plan.refresh:
        with Bars() as bars:
            dropped = refreshed(plan, bars)
        for path, photo_id, reason in dropped:
            print(f"{path}  {photo_id}: {reason}", flush=True)
        log.info("%s: %s dropped", plan.root, counted(len(dropped), "photo"))
        return
    try:
        with Bars() as bars:
            result = do_collect(plan, bars)
    except Interrupted:
        log.info("%s: stopped; what was kept stays, and the same command goes on", plan.root)
        raise
    print(table(result), flush=True)
    result.check()


def addresses_of(package: Path, table: Path) -> Path:
    """The table of a Camtrap DP package's addresses, which is written anew by each command."""
    from fishnet.data.camtrap import kinds_of
    from fishnet.data.camtrap_addresses import write_addresses

    if left_out := write_addresses(package, table):
        log.warning("Left out of %s: %s.", package, kinds_of(left_out))
    return table


if __name__ == "__main__":
    start(collect, "collect")
