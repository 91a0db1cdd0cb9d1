"""Settings → a training's command line and configuration, as Hydra would compose it for `fishnet train`."""

from pathlib import Path
from typing import Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fishnet.errors import BadInput
from fishnet.models.published import own_backbones
from fishnet.runs.saved_config import other_packages
from fishnet.studies.settings import Settings, touches
from fishnet.studies.trials import Composed
from fishnet.text import nearest

from .compose import compose
from .entry import as_user_error
from .quoting import OPEN_BRANCHES, quote, quoted
from .settling import settle
from .validate import validate

OWN = ("study", "out", "executor", "executor_args", "jobs", "limit", "memory", "trials", "folds", "retry", "deliver")
GROUPS = ("data", "model", "trainer", "callbacks", "tracking")
# what a study decides for each of its trainings, and which key of the study to set instead
DECIDED = {
    "seed": "say study.seeds=3",
    "data.fold": "say folds=5 for the whole study",
    "data.folds": "say folds=5 for the whole study",
    "test": "say study.stages.NAME.test=true, in the last stage alone",
    "monitor": "trainings go by the score: say study.score=…",
    "tune": "say study.stages.NAME.keep=lr",
    "experiment": "say study.stages.NAME.base=…",
    "resume": "the same command goes on where it stopped",
    "name": "choose the study's folder with out=",
    "prefetch": "fetch the weights before, with fishnet train prefetch=true",
}


def is_own(override: str) -> bool:
    """Whether an override is for the study itself, not for its trainings."""
    key = _key(override)
    return key in OWN or key.startswith(("study.", "executor_args.", "tracking."))


class Composer:
    """Composes the trainings of one study; the overrides of its command line that are for trainings are part of each.

    Args:
        given: these overrides.
        decided: keys that a stage sets or searches, with the name of the stage; BadInput where `given` has one.
    """

    def __init__(self, given: list[str], *, decided: dict[str, str]) -> None:
        self.groups = [override for override in given if _key(override) in GROUPS]
        self.values = [override for override in given if override not in self.groups]
        check_given(given, decided)
        self.trainer = _trainer_settings(self.groups)
        self._experiments: list[str] = []

    def __call__(self, base: str | None, before: Settings, after: Settings) -> Composed:
        """The training of these settings on top of the experiment `base`.

        `before` is what earlier stages have chosen; the command line wins over it. `after` is what the stage tries and
        what the study fixes (folds, seeds, test): nothing wins over it.
        """
        overrides = [
            *([quoted(f"experiment={base}", "train")] if base else []),
            *self.groups,
            *written(before),
            *written({key: value for key, value in self.trainer.items() if key not in after}),
            *self.values,
            *written(after),
        ]
        try:
            if base is not None and base not in self._experiments:
                self._experiments = self._experiments or experiments()
                if base not in self._experiments:
                    raise BadInput(f"base={base}: there is no such experiment; {nearest(base, self._experiments)}")
            config = compose("train", overrides)
            settle(config)
            unpublished = config.model.backbone in own_backbones() and config.model.pretrained is True
            if unpublished and any(_key(override) == "model.pretrained" for override in self.values):
                overrides.append("model.pretrained=false")  # it is meant for networks that have published weights
                config.model.pretrained = False
            if own := other_packages(OmegaConf.to_container(config, resolve=False)):
                overrides.append(f"packages=[{','.join(own)}]")  # typed here: a training that is resumed may build them
                config.packages = own
            validate(config, "train")
            return Composed(overrides, OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
        except (BadInput, HydraException, OmegaConfBaseException) as error:
            raise as_user_error(error, "train") from error


def check_given(given: list[str], decided: dict[str, str]) -> None:
    """Refuse an override that a stage would overrule, or that would overrule what the study promises. A stage that
    chooses a group, as `callbacks: reliance`, leaves single settings of it to the command line."""
    for override in given:
        key = _key(override)
        if key in GROUPS:
            continue
        for of_study, instead in DECIDED.items():
            if touches(key, of_study):
                raise BadInput(f"{override}: a study decides {of_study} for each of its trainings; {instead}.")
        for setting, stage in decided.items():
            if setting not in GROUPS and touches(key, setting):
                raise BadInput(
                    f"{override}: the stage {stage} decides {setting.lstrip('+')} itself: "
                    f"edit it with study.stages.{stage}.…, or leave it out."
                )


def experiments() -> list[str]:
    """The experiments that a stage can begin with, also those of a folder given with --config-dir."""
    if not GlobalHydra.instance().is_initialized():
        with initialize_config_module("fishnet.conf", version_base="1.3"):
            return experiments()
    loader = GlobalHydra.instance().config_loader()
    names: list[str] = []
    folders = ["experiment"]
    while folders:
        folder = folders.pop()
        names += [f"{folder}/{name}".removeprefix("experiment/") for name in loader.get_group_options(folder)]
        folders += [f"{folder}/{name}" for name in loader.list_groups(folder)]
    return sorted(names)


def base_settings(base: str) -> dict[str, Any]:
    """The whole configuration that an experiment has by itself."""
    return OmegaConf.to_container(compose("train", [quoted(f"experiment={base}", "train")]), resolve=False)  # type: ignore[return-value]


def config_dir() -> list[str]:
    """The study's `--config-dir` as arguments for its trainings, which use the same experiments and groups."""
    for source in HydraConfig.get().runtime.config_sources:
        if source.provider == "command-line":
            return ["--config-dir", str(Path(source.path).absolute())]
    return []


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def _trainer_settings(groups: list[str]) -> Settings:
    """What `trainer=smoke` on the command line changes: it wins over protocol and experiments."""
    chosen = [override for override in groups if _key(override) == "trainer"]
    if not chosen:
        return {}
    given, usual = (OmegaConf.to_container(compose("train", overrides).trainer) for overrides in (chosen, []))
    assert isinstance(given, dict) and isinstance(usual, dict)
    return {f"trainer.{key!s}": value for key, value in given.items() if usual.get(key) != value}


def written(settings: Settings) -> list[str]:
    """Settings as overrides in Hydra's grammar, as a person could paste them."""
    overrides = []
    for key, value in settings.items():
        if key.startswith(OPEN_BRANCHES) and not key.startswith("+"):
            key = f"++{key}"
        overrides.append(f"{key}={grammar(value)}")
    return overrides


def grammar(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(grammar, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}: {grammar(inner)}" for key, inner in value.items()) + "}"
    text = str(value)
    return text if text.replace("_", "").isalnum() and not text[0].isdigit() else quote(text)
