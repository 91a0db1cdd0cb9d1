"""What is taken from Hydra's private modules, and what is read off its messages: an upgrade has to look here."""

import os
import re
from importlib.resources import files
from typing import Any

import hydra.utils
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from fishnet.runs.saved_config import literal

__all__ = [
    "CONF", "chosen_option", "chosen_twice", "config_loader", "get_args_parser", "instantiate", "mistyped_group",
    "mistyped_key",
]  # fmt: skip

CONF = "pkg://fishnet.conf"


def config_loader(config_dir: str | None) -> ConfigLoader:
    """What finds the program's own choices, and those of the user's folder (--config-dir)."""
    path = create_config_search_path(CONF)
    if config_dir:
        path.append("command-line", f"file://{os.path.abspath(config_dir)}")
    return ConfigLoaderImpl(path)


def instantiate(config: DictConfig, *, _convert_: str = "all", _partial_: bool = False, **more: Any) -> Any:
    """Hydra's own, for values that are texts: a folder may be called `${HOME}`.

    Hydra resolves the configuration in place and then reads it, which resolves it once more; so each text is escaped
    for both.
    """
    settings = OmegaConf.to_container(config, resolve=True)
    node = OmegaConf.create(literal(literal(settings)))
    how: dict[str, Any] = {"_convert_": _convert_, **({"_partial_": True} if _partial_ else {})}
    return hydra.utils.instantiate(node, **how, **literal(literal(more)))


def mistyped_key(error: Exception) -> str | None:
    """The key that Hydra or OmegaConf does not know, where that is what the error says."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    named = re.search(r"(?:override|access|append) '([^']+)'", text) or re.search(r"full_key: (\S+)", text)
    unknown = "not in struct" in text or "Could not override" in text
    return named[1].split("@")[0] if named and unknown else None


def mistyped_group(error: Exception) -> tuple[str, str, list[str]] | None:
    """(group, choice, what there is to choose from), where a file of a group was not found."""
    named = re.search(r"Could not (?:find|load) '([^']+)'", str(error))
    if named is None:
        return None
    group, _, choice = named[1].rpartition("/")
    _, listed, names = str(error).partition("Available options")
    if listed:
        return group, choice, re.findall(r"^\s*(?:\t)?([\w.-]+)$", names, flags=re.M)
    folder = files("fishnet.conf").joinpath(group)  # one of several choices, of which the message lists none
    shipped = [file.name for file in folder.iterdir()] if group and folder.is_dir() else []
    return group, choice, sorted(name.removesuffix(".yaml") for name in shipped if name.endswith(".yaml"))


def chosen_twice(error: Exception) -> str | None:
    """The group that was added (+group=…) though it has a choice, where that is what the error says."""
    named = re.search(r"Multiple values for (\w+)\. To override", str(error))
    return named[1] if named else None


def chosen_option(error: Exception) -> bool:
    """Whether the error says that a whole group was overridden by a value."""
    return "Config group override" in str(error)
