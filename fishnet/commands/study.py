"""fishnet study: a protocol of stages (searches, folds, repeats) that choose a model, each trial a process of its own

The same command goes on where it stopped. Protocols are conf/study/*.yaml, and your own with --config-dir FOLDER
(FOLDER/study/NAME.yaml).

Examples
  fishnet study study=one_animal data=folder data.root=animals data.positive=fox
  fishnet study study=dog_breeds data=folder data.root=dogs 'data.classes=[boxer,chihuahua]' model.pretrained=true
  fishnet study study=product_images data=folder data.root=products model.pretrained=true jobs=2 limit=6
  fishnet study study=one_animal trainer=smoke trials=2 folds=2    does the whole protocol run?
  fishnet study study=one_animal jobs=2 'executor_args={gpus: [0, 1]}'     each training a GPU of its own
  fishnet study study=one_animal executor=submitit jobs=16 'executor_args={slurm_partition: gpu, gpus_per_node: 1}'
  fishnet study study=one_animal study.stages.random.search.trials=30     any part of a protocol is a key
  fishnet study study=one_animal retry=true                        run the failed trainings again
  fishnet study study=one_animal deliver=true                      send to MLflow what a lost server has not received

A protocol (conf/study/NAME.yaml): title, claim, stages; score, folds and seeds for every stage that names no others
  stages.NAME.base            an experiment to begin with (conf/experiment)
  stages.NAME.from            the stage whose choice is taken up: the one before, unless said; null for none
  stages.NAME.set             settings of all its trials
  stages.NAME.search.kind     grid, random, tpe or list
            .search.space     lists of values; {low: 0.001, high: 0.1, log: true}; {times: [0.5, 1, 2]} of the choice
            .search.points    named settings, each tried (list) or each with the whole grid
            .search.trials    how many of random and tpe; also seed, prune (true ends what stays behind the median)
  stages.NAME.folds, seeds    5; 3 or [0, 1, 2]: every trial is measured on each
  stages.NAME.score           val/f1_macro, val/accuracy, val/loss, …
  stages.NAME.limit           {best/reliance: 0.05}: trials with more rank behind all others, whatever their score
                              (callbacks: reliance logs it; or val/loss, val/calibration_error)
  stages.NAME.keep            top (top: 3, distinct: model.backbone), folds (the winners), vote (their majority), lr
  stages.NAME.test            true: the test split is touched; in the last stage alone

limit= is the hours that one training may take, counted anew each time it goes on; memory the GB that one may ask for.

What is written: outputs/study_NAME/report.html, results.csv, selected.json, trials/DIGEST/{result.json,log.txt,run/}
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fishnet.config.compose import compose
from fishnet.config.composing import Composer, base_settings, check_given, config_dir, is_own
from fishnet.config.entry import start
from fishnet.config.parting import check_executor_args
from fishnet.config.quoting import quoted
from fishnet.config.validate import MONITORS, check_writable, validate
from fishnet.environment import shared_cores
from fishnet.errors import BadInput, interrupted_by
from fishnet.ranges import Above, AtLeast, FreeText
from fishnet.runs.saved_config import is_computed
from fishnet.text import nearest

if TYPE_CHECKING:
    from fishnet.studies.engine import Engine
    from fishnet.studies.mlflow_mirror import Mirror
    from fishnet.studies.planning import Planned

log = logging.getLogger("fishnet")

POSITION = 40  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    seed: Annotated[int, AtLeast(0)]
    out: FreeText | None
    name: FreeText | None
    resume: FreeText | None
    executor: str
    executor_args: dict
    jobs: Annotated[int, AtLeast(1)]
    limit: Annotated[float, Above(0)] | None
    memory: Annotated[float, Above(0)] | None
    trials: Annotated[int, AtLeast(1)] | None
    folds: Annotated[int, AtLeast(2)] | None
    retry: bool
    deliver: bool


def study(config: DictConfig) -> None:
    """Check everything that can be checked before a training runs, then run the study, or send it to MLflow."""
    name, overrides = str(HydraConfig.get().runtime.choices["study"]), list(HydraConfig.get().overrides.task)
    if config.get("study") is not None and (config.retry or config.deliver):
        overrides = final_overrides([*typed_before(folder_of(config, name)), *overrides])
        config = compose("study", overrides)
    given = [override for override in overrides if not is_own(override)]
    check(config, given)
    check_stages(name, overrides)
    from fishnet.jobs.executors import executor_named
    from fishnet.studies.engine import Engine
    from fishnet.studies.journal import Journal
    from fishnet.studies.mlflow_mirror import Mirror
    from fishnet.studies.planning import decided, plan, with_bases
    from fishnet.studies.pool import Pool
    from fishnet.studies.protocol import parse

    protocol = parse(
        name,
        OmegaConf.to_container(config.study, resolve=True),  # type: ignore[arg-type]
        scores=MONITORS,
        folds=config.folds,
        trials=config.trials,
    )
    home = Path.cwd()
    folder = folder_of(config, name)
    check_same_photos(folder, given)
    mirror = Mirror(protocol, folder, uri=config.tracking.uri, home=home, experiment=config.tracking.experiment)
    composer = Composer(given, decided=decided(protocol))
    check_photos(plan(protocol, composer))
    protocol = with_bases(protocol, base_settings)
    seconds = None if config.limit is None else config.limit * 3600
    executor = executor_named(
        "local" if config.deliver else config.executor,  # nothing is to run: no cluster is asked
        home=home,
        logs=folder / "submitted",
        limit=seconds,
        settings={} if config.deliver else OmegaConf.to_container(config.executor_args),  # type: ignore[arg-type]
    )
    journal = Journal(folder)
    # as if it were typed in a shell: the dispatcher quotes for Hydra, whatever the study's folder is called
    command = [sys.executable, "-m", "fishnet", "train", *config_dir()]
    job = {"command": command, "cwd": str(home), "limit": seconds, "memory": config.memory}
    job |= {"environment": shared_cores(config.jobs)} if config.executor == "local" else {}
    pool = Pool(journal, executor, config.jobs, job)
    engine = Engine(protocol, journal, compose=composer, pool=pool, retry=config.retry, ended=mirror.note)
    if config.deliver:
        status = "FINISHED" if engine.replay() else "KILLED"
        print(mirror.deliver(engine.states, journal, status), flush=True)
        return
    run(engine, mirror, given, [text for text in overrides if of_protocol(text)])


def folder_of(config: DictConfig, name: str) -> Path:
    """Where the study keeps what it does: `out`, or outputs/study_NAME."""
    return Path(config.out or Path("outputs") / f"study_{name.replace('/', '_')}").expanduser().absolute()


def of_protocol(override: str) -> bool:
    """Whether an override is part of the study's protocol: not of how it is run."""
    return is_own(override) and override.lstrip("+~").split("=")[0].split(".")[0] in ("study", "trials", "folds")


# Where runs are reported to and by what they are started: only typed, never taken from a study's folder.
NOT_OF_A_FILE = ("hydra", "tracking", "executor", "executor_args", "packages")


def typed_before(folder: Path) -> list[str]:
    """What the study in this folder was started with: its failed trainings are repeated, and what it has found is sent,
    under these settings. What is typed now stands behind them and wins."""
    from fishnet.studies.journal import Journal

    given, own = Journal(folder).settings()
    typed = [*own, *given]
    for text in typed:
        key = text.lstrip("+~").partition("=")[0].replace("/", ".").split(".")[0]
        names_code = any(word in text for word in ("_target_", "searchpath")) or is_computed(text)
        if names_code or key in NOT_OF_A_FILE:
            raise BadInput(
                f"{folder / 'study.json'} would have {text[:80]} set, which is not believed of a file: type the "
                "study's command again, with retry=true behind it."
            )
    return typed


def check_same_photos(folder: Path, given: list[str]) -> None:
    """Refuse to start over in the folder of a study of other photos."""
    from fishnet.studies.journal import Journal

    before, now = (
        next((text for text in reversed(texts) if text.startswith("data.root=")), "")
        for texts in (Journal(folder).settings()[0], given)
    )
    if before != now and (folder / "study.json").is_file():
        raise BadInput(
            f"{folder} holds a study of {before or 'drawn fish'}, and this is {now or 'of drawn fish'}: give this one "
            "a folder of its own, as out=outputs/study_NAME."
        )


def run(engine: "Engine", mirror: "Mirror", given: list[str], own: list[str]) -> None:
    """Run the study, with a live table and page; everything has been checked, and from here on files are written."""
    from rich.console import Console
    from rich.text import Text

    from fishnet.studies.page import LivingPage
    from fishnet.studies.table import Watcher, stage_table

    folder = engine.journal.folder
    engine.journal.open()
    for sentence in engine.journal.changed(engine.protocol, final_overrides(given), own):
        log.warning(sentence)
    console = Console(width=None if os.isatty(1) else 160)
    page = LivingPage(engine.protocol, engine.journal, given)
    with interrupted_by(signal.SIGUSR1), mirror.opened(engine):
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


def final_overrides(given: list[str]) -> list[str]:
    """Each key's last override, sorted: another order of the same command line is no other study."""
    return sorted({override.lstrip("+").split("=")[0]: override for override in given}.values())


# ---- checks


def check(config: DictConfig, given: list[str]) -> None:
    """Refuse keys of the study itself that are out of range, and overrides that contradict it."""
    if config.get("study") is None:
        known = GlobalHydra.instance().config_loader().get_group_options("study")
        raise BadInput(f"study is needed: say study=…; there are {', '.join(known)}.")
    check_given(given, {})
    check_executor_args(config)
    validate(config, "study")
    if config.out is not None:
        check_writable("out", config.out)


def check_stages(name: str, overrides: list[str]) -> None:
    """Refuse `study.stages.ratee.folds=2`, which would be a stage of its own."""
    known = list(compose("study", [quoted(f"study={name}", "study")]).study.stages)
    for override in overrides:
        key = override.removeprefix("++").split("=")[0].split(".")
        if override.startswith("++study.stages.") and key[2] not in known:
            raise BadInput(f"study={name} has no stage {key[2]}; {nearest(key[2], known)}")


def check_photos(planned: "list[Planned]") -> None:
    """Refuse more folds than the smallest class has photos, and classes that do not exist, before a photo is read."""
    from fishnet.data.index import class_counts
    from fishnet.data.sources import source_of
    from fishnet.data.splits import check_counts

    known: dict[str, dict[str, int]] = {}
    for plan in planned:
        data = plan.trial.config["data"]
        source = source_of(data)
        if data["split_file"] or source is None:
            continue
        if str(source.root) not in known:
            known[str(source.root)] = source.counts()
        try:
            classes = data["classes"] and [source.typed(name) for name in data["classes"]]
            positive = data["positive"] and source.typed(data["positive"])
            check_counts(class_counts(known[str(source.root)], classes, positive, 2), plan.stage.folds)
        except BadInput as error:
            raise BadInput(f"stage {plan.stage.name}: {error}") from error


def no_sweep(base: DictConfig, overrides: list[str], jobs: object) -> None:
    """A study is never swept."""
    raise BadInput("-m sweeps trainings; a study is one protocol: give several commands, or a stage with a grid.")


if __name__ == "__main__":
    start(study, "study", sweep=no_sweep)
