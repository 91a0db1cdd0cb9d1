"""fishnet collect: species names → licensed photos in class folders, with a manifest. Torch is never imported."""

import logging

from omegaconf import DictConfig, OmegaConf

from fishnet.config.entry import start
from fishnet.config.schema import constructor, describe, fits, range_broken
from fishnet.config.validate import validate
from fishnet.errors import BadInput, Interrupted
from fishnet.text import counted

log = logging.getLogger("fishnet")

PLAN = "fishnet.collect.plan.Plan"


def collect(config: DictConfig) -> None:
    """Collect, or refresh, and print what came of it."""
    validate(config)
    settings = {str(key): value for key, value in (OmegaConf.to_container(config, resolve=True) or {}).items()}  # type: ignore[union-attr]
    check_types(settings)
    from fishnet.collect.job import collect as do_collect
    from fishnet.collect.job import refreshed
    from fishnet.collect.plan import Plan
    from fishnet.collect.progress import Bars, table

    plan = Plan(**settings)
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


def check_types(settings: dict) -> None:
    """BadInput for a wrong type or a value out of range, before anything heavy is imported."""
    schema = constructor(PLAN)
    for key, value in settings.items():
        annotation, _ = schema[key]
        if not fits(value, annotation):
            raise BadInput(f"{key}={value}: this takes {describe(annotation)}.")
        if allowed := range_broken(value, annotation):
            raise BadInput(f"{key}={value}: {allowed}.")


if __name__ == "__main__":
    start(collect, "collect")
