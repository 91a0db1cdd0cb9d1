"""Settings → a training's command line and configuration, as Hydra would compose it for `fishnet train`."""

from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fishnet.errors import BadInput
from fishnet.studies.settings import Settings
from fishnet.studies.trials import Composed

from .checks import validate
from .entry import compose, in_our_words
from .quoting import OPEN_BRANCHES, quote

OWN = ("study", "out", "executor", "executor_args", "jobs", "limit", "memory", "trials", "folds", "retry", "deliver")
OFTEN = "tracking."  # of the study itself; its trainings are written down and sent by it


def own_keys(override: str) -> bool:
    """Whether a word of the command line speaks to the study, not to its trainings."""
    key = override.lstrip("+~").split("=")[0]
    return key in OWN or key.startswith(("study.", "executor_args.", OFTEN))


class Composer:
    """One for a study: the words of its command line that speak to trainings are part of each."""

    def __init__(self, given: list[str], *, searched: dict[str, str]) -> None:
        self.groups = [one for one in given if "." not in _key(one) and _is_group(_key(one))]
        self.values = [one for one in given if one not in self.groups]
        for one in self.values:
            if _key(one) in searched:
                raise BadInput(
                    f"{one}: the stage {searched[_key(one)]} chooses {_key(one)} itself: "
                    f"edit its search with study.stages.{searched[_key(one)]}.…, or leave it out."
                )
        self.small = _of_the_trainer(self.groups)

    def __call__(self, base: str | None, before: Settings, after: Settings) -> Composed:
        fixed = {key for key in after if key in self.small}
        overrides = [
            *([f"experiment={base}"] if base else []),
            *self.groups,
            *written(before),
            *written({key: value for key, value in self.small.items() if key not in fixed}),
            *written(after),
            *self.values,
        ]
        try:
            config = compose("train", overrides)
            validate(config)
            return Composed(overrides, OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
        except (BadInput, HydraException, OmegaConfBaseException) as error:
            raise in_our_words(error, "train") from error


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def _is_group(key: str) -> bool:
    return key in ("data", "model", "trainer", "callbacks", "tracking", "experiment")


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
