"""A verb's configuration without running it, and what its overrides say."""

import os
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput

from .hydra_internals import config_loader
from .quoting import quote
from .validate import validate

MOST_CHECKED = 50  # values of one sweep that are checked before anything starts


def compose(verb: str, overrides: list[str], config_dir: str | None = None) -> DictConfig:
    """As the verb would have it; inside a running verb with that verb's own search path."""
    if GlobalHydra.instance().is_initialized():
        return hydra_compose(verb, overrides=overrides)
    with initialize_config_module("fishnet.conf", version_base="1.3"):
        return hydra_compose(verb, overrides=[*overrides, *searchpath(config_dir)])


def searchpath(config_dir: str | None) -> list[str]:
    """The override by which the user's own folder of settings (--config-dir) is searched too."""
    return [f"hydra.searchpath=[{quote(f'file://{os.path.abspath(config_dir)}')}]"] if config_dir else []


def job_folder() -> Path | None:
    """A sweep's job has a numbered folder that Hydra names; a single run has none."""
    running = HydraConfig.get()
    return Path(running.runtime.output_dir) if running.mode == RunMode.MULTIRUN else None


def parsed(overrides: list[str], config_dir: str | None = None) -> list[Override]:
    """The overrides as Hydra reads them; `glob(...)` in them finds the program's choices and those of the user's folder
    of settings."""
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else config_loader(config_dir)
    return OverridesParser.create(loader).parse_overrides(overrides)


def swept_keys(overrides: list[str]) -> list[str]:
    """The keys that a multirun gives several values."""
    return [override.get_key_element() for override in parsed(overrides) if override.is_sweep_override()]


def check_sweep(overrides: list[str], verb: str, config_dir: str | None) -> DictConfig:
    """Refuse a sweep before its first job: every value of every swept key is composed and checked once."""
    for override in parsed(overrides, config_dir):
        if override.get_key_element() == "out" and not override.is_sweep_override():
            raise BadInput("out= is one folder, and -m runs several jobs: leave it out, each job is given its own.")
    values = {position: swept[:MOST_CHECKED] for position, swept in swept_values(overrides, config_dir).items()}
    first = first_job(overrides, config_dir)
    base = compose(verb, first, config_dir)
    validate(base, verb, multirun=True)
    for position, choices in values.items():
        for choice in choices[1:]:
            job = [*first[:position], choice, *first[position + 1 :]]
            validate(compose(verb, job, config_dir), verb, multirun=True)
    return base


def swept_values(overrides: list[str], config_dir: str | None = None) -> dict[int, list[str]]:
    """Position of a swept override → an override for each of its values."""
    swept = {
        position: [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        for position, override in enumerate(parsed(overrides, config_dir))
        if override.is_sweep_override()
    }
    for position, values in swept.items():
        if not values:
            group = overrides[position].partition("=")[0]
            there = ", ".join(config_loader(config_dir).get_group_options(group)) or "none"
            raise BadInput(
                f"{overrides[position]}: this sweeps over nothing, for no choice has such a name (there are {there}; "
                "what lies in a folder of the group is named, as in experiment=fish_species/resnet101)."
            )
    return swept


def first_job(overrides: list[str], config_dir: str | None = None) -> list[str]:
    """The overrides of a sweep's first job."""
    values = swept_values(overrides, config_dir)
    return [values[position][0] if position in values else text for position, text in enumerate(overrides)]


def known_keys(verb: str) -> list[str]:
    """Every key of the verb, dotted, for each kind of data set."""
    keys: set[str] = set()
    for choice in ([], ["data=folder"], ["data=reef"]):
        try:
            keys |= dotted_keys(OmegaConf.to_container(compose(verb, choice), resolve=False))
        except HydraException:
            continue
    return sorted(key for key in keys if not key.rsplit(".", 1)[-1].startswith("_"))


def dotted_keys(tree: object, prefix: str = "") -> set[str]:
    """Of branches and leaves alike."""
    if not isinstance(tree, dict):
        return set()
    return {f"{prefix}{key}" for key in tree}.union(
        *(dotted_keys(value, f"{prefix}{key}.") for key, value in tree.items())
    )
