"""What is taken from Hydra's private modules, and what is read off its messages: an upgrade has to look here."""

from typing import Any

import hydra.utils
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from fishnet.runs.saved_config import literal

__all__ = ["chosen_option", "chosen_twice", "get_args_parser", "instantiate", "mistyped_group", "mistyped_key"]


def instantiate(config: DictConfig, *, _convert_: str = "all", _partial_: bool = False, **more: Any) -> Any:
    """Hydra's own, for values that are texts: a folder may be called `${HOME}`.

    Hydra resolves the configuration in place and then reads it, which resolves it once more; so each text is escaped
    for both.
    """
    settings = OmegaConf.to_container(config, resolve=True)
    node = OmegaConf.create(literal(literal(settings)))
    how: dict[str, Any] = {"_convert_": _convert_, **({"_partial_": True} if _partial_ else {})}
    return hydra.utils.instantiate(node, **how, **literal(literal(more)))
