"""fishnet study: a protocol of stages that choose a model; every trial a process, every result a file."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput, Interrupted
from fishnet.names import nearest

from . import entry
from .checks import MONITORS, check_writable, validate
from .composing import Composer, own_keys

log = logging.getLogger("fishnet")


def study(config: DictConfig) -> None:
    name = str(HydraConfig.get().runtime.choices["study"])
    given = [one for one in HydraConfig.get().overrides.task if not own_keys(one)]
    check(config)
    check_stages(name, list(HydraConfig.get().overrides.task))
    from fishnet.studies.engine import Engine, Limits, plan
    from fishnet.studies.executors import executor_named
    from fishnet.studies.journal import TRIAL_COMMAND, Journal
    from fishnet.studies.mirror import Mirror
    from fishnet.studies.protocol import parse

    protocol = parse(
        name,
        OmegaConf.to_container(config.study, resolve=True),  # type: ignore[arg-type]
        scores=MONITORS,
        folds=config.folds,
        trials=config.trials,
    )
    home = Path.cwd()
    folder = Path(config.out or Path("outputs") / f"study_{name.replace('/', '_')}").expanduser().absolute()
    mirror = Mirror(protocol, folder, uri=config.tracking.uri, home=home, experiment=config.tracking.experiment)
    compose = Composer(given, searched=_searched(protocol))
    check_folds(config, protocol, compose)
    plan(protocol, compose)
    limit = None if config.limit is None else config.limit * 3600
    executor = executor_named(
        config.executor,
        home=home,
        logs=folder / "submitted",
        limit=limit,
        settings=OmegaConf.to_container(config.executor_args),  # type: ignore[arg-type]
    )
    journal = Journal(folder)
    engine = Engine(
        protocol,
        journal,
        compose=compose,
        executor=executor,
        limits=Limits(jobs=config.jobs, seconds=limit, memory=config.memory),
        job={"command": [sys.executable, *TRIAL_COMMAND], "cwd": str(home)},
        retry=config.retry,
        ended=mirror.note,
    )
    if config.deliver:
        whole = engine.replay()
        print(mirror.deliver(engine.states, journal, "FINISHED" if whole else "KILLED"), flush=True)
        return
    run(engine, mirror, given)


def run(engine: Any, mirror: Any, given: list[str]) -> None:
    """Everything has been checked: from here on files are written."""
    from rich.console import Console
    from rich.text import Text

    from fishnet.studies.page import LivingPage
    from fishnet.studies.table import Watcher, stage_table

    folder = engine.journal.folder
    engine.journal.open()
    for sentence in engine.journal.changed(engine.protocol, given):
        log.warning(sentence)
    console = Console(width=None if os.isatty(1) else 160)
    page = LivingPage(engine.protocol, engine.journal, given)
    with heard(), mirror.opened(engine):
        try:
            with Watcher(console) as watcher:
                engine.watch([watcher, page])
                engine.run()
        finally:
            for state in engine.states:
                if state.scored:
                    console.print(stage_table(state))
            page.write(engine.states)
            if any(state.choice for state in engine.states):
                console.print(Text(f"{'chosen':12s}{folder / 'selected.json'}"), soft_wrap=True)
            console.print(Text(f"{'report':12s}{page.path}"), soft_wrap=True)
        verdict = engine.verdict()
        if verdict is not None:
            raise verdict


@contextmanager
def heard() -> Iterator[None]:
    """A polite end: trainings leave a checkpoint."""

    def stop(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---- checks


def check(config: DictConfig) -> None:
    if config.get("study") is None:
        known = GlobalHydra.instance().config_loader().get_group_options("study")
        raise BadInput(f"study is needed: say study=…; there are {', '.join(known)}.")
    validate(config)
    for key, value in (("limit", config.limit), ("memory", config.memory)):
        if value is not None and not (isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0):
            raise BadInput(f"{key}={value}: this is a number above 0, or null.")
    for key, value, least in (("jobs", config.jobs, 1), ("trials", config.trials, 1), ("folds", config.folds, 2)):
        if (value is None and key != "jobs") or (type(value) is int and value >= least):
            continue
        raise BadInput(f"{key}={value}: this is a whole number, {least} or more.")
    if config.out is not None:
        check_writable("out", config.out)
    for key in ("resume", "name", "data.fold", "data.folds"):
        if OmegaConf.select(config, key) is not None:
            raise BadInput(f"{key}: a study gives each training its own; {_instead(key)}.")


def check_stages(name: str, overrides: list[str]) -> None:
    """`study.stages.ratee.folds=2` would be a stage of its own."""
    known = list(entry.compose("study", [f"study={name}"]).study.stages)
    for one in overrides:
        key = one.removeprefix("++").split("=")[0].split(".")
        if one.startswith("++study.stages.") and key[2] not in known:
            raise BadInput(f"study={name} has no stage {key[2]}; {nearest(key[2], known)}")


def _instead(key: str) -> str:
    return {
        "resume": "the same command goes on where it stopped",
        "name": "choose the study's folder with out=",
    }.get(key, "say folds=5 for the whole study")


def _searched(protocol: Any) -> dict[str, str]:
    """Key → the stage that searches over it."""
    found: dict[str, str] = {}
    for stage in protocol.stages:
        keys = [*stage.search.space, *(key for point in stage.search.points.values() for key in point)]
        found.update(dict.fromkeys(keys, stage.name))
    return found


def check_folds(config: DictConfig, protocol: Any, compose: Composer) -> None:
    """Folds larger than the smallest class, found before a photo is read."""
    from fishnet.data.index import class_counts
    from fishnet.data.listing import list_photos
    from fishnet.data.splits import check_counts

    for stage in protocol.stages:
        data = compose(stage.base, stage.settings, {}).config["data"]
        if data["_target_"].endswith("ReefData"):
            counts = dict.fromkeys((f"species {number}" for number in range(1, data["species"] + 1)), data["photos"])
        elif data["split_file"]:
            continue
        else:
            folders = list_photos(Path(data["root"]).expanduser().absolute()).counts()
            counts = class_counts(folders, data["classes"], data["positive"], 2)
        try:
            check_counts(counts, stage.folds)
        except BadInput as error:
            raise BadInput(f"stage {stage.name}: {error}") from error


def no_sweep(base: DictConfig, overrides: list[str], jobs: object) -> None:
    raise BadInput("-m sweeps trainings; a study is one protocol: give several commands, or a stage with a grid.")


if __name__ == "__main__":
    entry.start(study, "study", sweep=no_sweep)
