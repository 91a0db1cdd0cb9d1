"""The configuration that a run has saved, as a stranger may have written it: nothing in it can run code.

Hydra imports and calls whatever a `_target_` names. In a saved configuration it may name only what the program builds
itself: callbacks, models, data modules, the trainer and its parts, of fishnet and of Lightning, and any class of a
package that the user has typed (`packages=[mine]`). All is looked up before anything is built.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from fishnet.errors import BadInput

LARGEST = 2**20  # bytes: a configuration has about 5,000
SEAMS = ("data", "model", "trainer", "callbacks", "tracking")
OWN, LIGHTNING = "fishnet", ("pytorch_lightning", "lightning", "lightning_fabric")
REFERENCE = re.compile(r"\$\{[\w.]+\}")  # to another key of the same file


def read_saved(file: Path) -> DictConfig:
    """The settings of a run, in which nothing is computed: values that OmegaConf's functions would make (`${oc.env:…}`)
    and YAML's own references are refused."""
    try:
        text = _text_of(file)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("it refers to parts of itself")  # a few lines of which can stand for gigabytes
        saved = OmegaConf.create(text)
        if not isinstance(saved, DictConfig) or not all(isinstance(saved.get(seam), DictConfig) for seam in SEAMS):
            raise ValueError("it lacks some of data, model, trainer, callbacks and tracking")
    except Exception as error:  # whatever a foreign YAML file can raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(f"{file} is no configuration of a run ({reason}).") from error
    for key, value in _leaves(OmegaConf.to_container(saved, resolve=False)):
        if is_computed(value):
            raise BadInput(
                f"{file} is not as a run saves it: {key} would be computed when it is read. Write its value there."
            )
    return saved


def check_targets(saved: DictConfig, file: Path, packages: Sequence[str]) -> None:
    """Refuse settings that name anything but a class that may be built; see the file's docstring.

    Args:
        saved: the settings, as `read_saved` returns them.
        file: from which they were read.
        packages: what the user has allowed besides, as `mine` or `mine.models`; never taken from the file.
    """
    for key, target in _leaves(OmegaConf.to_container(saved, resolve=False)):
        if key.rpartition(".")[2] == "_target_":
            _check_target(key, target, file, packages)


def other_packages(settings: object) -> list[str]:
    """The packages besides fishnet and Lightning of which settings, that are the user's own, name something."""
    targets = [str(value) for key, value in _leaves(settings) if key.rpartition(".")[2] == "_target_"]
    return sorted({target.split(".")[0] for target in targets} - {OWN, *LIGHTNING})


def is_computed(value: object) -> bool:
    """Whether a text would call a function of OmegaConf's, even one that a backslash makes a text at first reading."""
    return isinstance(value, str) and "${" in REFERENCE.sub("", value)


def literal(value: Any) -> Any:
    """A value for a configuration that reads as it stands, whatever braces a folder's name has: `${` in a text, or in
    texts of lists and mappings, is no interpolation."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    if isinstance(value, dict):
        return {key: literal(each) for key, each in value.items()}
    return [literal(each) for each in value] if isinstance(value, list) else value


def _text_of(file: Path) -> str:
    if not file.is_file():
        raise ValueError("it is not there")
    with file.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("it is larger than any")
    return data.decode("utf-8")


def _leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value with its dotted key; a `_target_` whatever its value is."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in pairs:
        inner = f"{key}.{name}".lstrip(".")
        if isinstance(value, (dict, list)) and name != "_target_":
            yield from _leaves(value, inner)
        else:
            yield inner, value


def _check_target(key: str, target: object, file: Path, packages: Sequence[str]) -> None:
    name = target if isinstance(target, str) else ""
    within = [package for package in (OWN, *LIGHTNING, *packages) if name.startswith(f"{package}.")]
    found = _class_named(name) if within else None
    typed = [package for package in packages if name.startswith(f"{package}.")]
    if found is not None and (
        any(f"{found.__module__}.".startswith(f"{package}.") for package in typed) or _is_built(found, key)
    ):
        return
    shown = str(target)[:80]
    root = shown.split(".")[0]
    cure = f"packages=[{root}]" if name.isprintable() and root.isidentifier() and root != OWN else ""
    raise BadInput(
        f"{file} names {shown} at {key}, which is not built from a saved configuration: it could be anybody's code"
        f"{f'; if {root} is yours, say {cure}' if cure and root not in LIGHTNING else ''}."
    )


def _class_named(name: str) -> type | None:
    """The class that is defined under this dotted name in a module of this name; None for anything else.

    A path that leaves the package by what a module has imported (`fishnet.files.os.system`) names no module.
    """
    module_name, _, last = name.rpartition(".")
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    try:
        module = import_module(module_name)
    except Exception:  # there is none, or it does not import: either way nothing can be built
        return None
    walked: Any = sys.modules[name.split(".")[0]]
    for part in name.split(".")[1:]:  # as Hydra finds it
        walked = getattr(walked, part, None)
    found = vars(module).get(last)
    is_itself = isinstance(module, ModuleType) and module.__name__ == module_name and walked is found
    return found if is_itself and isinstance(found, type) else None


def _is_built(found: type, key: str) -> bool:
    """Whether a class of fishnet or Lightning is one that a run is built of. Lightning's loggers are not: a file could
    send reports to anybody by them; nor is what takes names of classes itself, as Lightning's command line does."""
    import pytorch_lightning as L
    from lightning_fabric.plugins import CheckpointIO, ClusterEnvironment
    from pytorch_lightning.plugins import LayerSync, Precision
    from pytorch_lightning.profilers import Profiler
    from pytorch_lightning.strategies import Strategy

    from fishnet.callbacks.lr_range import RangeTest
    from fishnet.tracking.logger import MlflowLogger

    kinds: tuple[type, ...] = (L.Callback, L.LightningModule, L.LightningDataModule, L.Trainer, RangeTest)
    if key.startswith("trainer."):
        kinds += (Profiler, Strategy, Precision, CheckpointIO, ClusterEnvironment, LayerSync)
    root = found.__module__.split(".")[0]
    return root in (OWN, *LIGHTNING) and (issubclass(found, kinds) or found is MlflowLogger)
