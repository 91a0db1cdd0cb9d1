"""Settings → a training's command line and configuration, as Hydra would compose it for `fishnet train`."""

from pathlib import Path
from typing import Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fishnet.errors import BadInput
from fishnet.models.published import own_backbones
from fishnet.studies.settings import Settings, touches
from fishnet.studies.trials import Composed
from fishnet.text import nearest

from .compose import compose
from .entry import as_user_error
from .quoting import OPEN_BRANCHES, quote, quoted
from .validate import validate

OWN = ("study", "out", "executor", "executor_args", "jobs", "limit", "memory", "trials", "folds", "retry", "deliver")
OFTEN = "tracking."  # of the study itself; its trainings are written down and sent by it
# what a study gives each of its trainings, and how it is told of it
OF_THE_STUDY = {
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


def own_keys(override: str) -> bool:
    """Whether a word of the command line speaks to the study, not to its trainings."""
    key = override.lstrip("+~").split("=")[0]
    return key in OWN or key.startswith(("study.", "executor_args.", OFTEN))


class Composer:
    """One for a study: the words of its command line that speak to trainings are part of each."""

    def __init__(self, given: list[str], *, decided: dict[str, str]) -> None:
        self.groups = [one for one in given if _is_group(_key(one))]
        self.values = [one for one in given if one not in self.groups]
        check_given(given, decided)
        self.small = _of_the_trainer(self.groups)
        self._experiments: list[str] = []

    def __call__(self, base: str | None, before: Settings, after: Settings) -> Composed:
        """`after` is what the stage tries and what the study fixes (folds, seeds, test): nothing speaks after it."""
        fixed = {key for key in after if key in self.small}
        overrides = [
            *([quoted(f"experiment={base}", "train")] if base else []),
            *self.groups,
            *written(before),
            *written({key: value for key, value in self.small.items() if key not in fixed}),
            *self.values,
            *written(after),
        ]
        try:
            self._check_base(base)
            config = compose("train", overrides)
            if _unpublished(config) and any(_key(one) == "model.pretrained" for one in self.values):
                overrides.append("model.pretrained=false")  # it was said to the networks that have published weights
                config.model.pretrained = False
            validate(config, "train")
            return Composed(overrides, OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
        except (BadInput, HydraException, OmegaConfBaseException) as error:
            raise as_user_error(error, "train") from error

    def _check_base(self, base: str | None) -> None:
        if base is None or base in self._experiments:
            return
        self._experiments = self._experiments or experiments()
        if base not in self._experiments:
            raise BadInput(f"base={base}: there is no such experiment; {nearest(base, self._experiments)}")


def check_given(given: list[str], decided: dict[str, str]) -> None:
    """A word on the command line that a stage would overrule, or that would overrule what the study promises."""
    for one in given:
        key = _key(one)
        if _is_group(key):
            continue
        for of_study, instead in OF_THE_STUDY.items():
            if touches(key, of_study):
                raise BadInput(f"{one}: a study decides {of_study} for each of its trainings; {instead}.")
        for found, stage in decided.items():
            if touches(key, found):
                raise BadInput(
                    f"{one}: the stage {stage} decides {found.lstrip('+')} itself: "
                    f"edit it with study.stages.{stage}.…, or leave it out."
                )


def experiments() -> list[str]:
    """All that a stage can begin with, also those of a folder given with --config-dir."""
    if not GlobalHydra.instance().is_initialized():
        with initialize_config_module("fishnet.conf", version_base="1.3"):
            return experiments()
    loader = GlobalHydra.instance().config_loader()
    found: list[str] = []
    folders = ["experiment"]
    while folders:
        folder = folders.pop()
        found += [f"{folder}/{name}".removeprefix("experiment/") for name in loader.get_group_options(folder)]
        folders += [f"{folder}/{name}" for name in loader.list_groups(folder)]
    return sorted(found)


def base_settings(base: str) -> dict[str, Any]:
    """What an experiment says by itself."""
    return OmegaConf.to_container(compose("train", [quoted(f"experiment={base}", "train")]), resolve=False)  # type: ignore[return-value]


def own_folder() -> list[str]:
    """`--config-dir` for trainings, which find experiments and groups of the user's own there as the study does."""
    for source in HydraConfig.get().runtime.config_sources:
        if source.provider == "command-line":
            return ["--config-dir", str(Path(source.path).absolute())]
    return []


def _unpublished(config: DictConfig) -> bool:
    return config.model.backbone in own_backbones() and config.model.pretrained is True


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def _is_group(key: str) -> bool:
    return key in ("data", "model", "trainer", "callbacks", "tracking")


def _of_the_trainer(groups: list[str]) -> Settings:
    """`trainer=smoke` on the command line means it: what that file says wins over protocol and experiments."""
    chosen = [one for one in groups if _key(one) == "trainer"]
    if not chosen:
        return {}
    asked, usual = (OmegaConf.to_container(compose("train", more).trainer) for more in (chosen, []))
    assert isinstance(asked, dict) and isinstance(usual, dict)
    return {f"trainer.{key!s}": value for key, value in asked.items() if usual.get(key) != value}


def written(settings: Settings) -> list[str]:
    """In Hydra's grammar, as a person could paste it."""
    words = []
    for key, value in settings.items():
        if key.startswith(OPEN_BRANCHES) and not key.startswith("+"):
            key = f"++{key}"
        words.append(f"{key}={grammar(value)}")
    return words


def grammar(value: Any) -> str:
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
