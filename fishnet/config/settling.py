"""Settings that were left open are settled by the others, before anything is built; the run keeps what was settled."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from omegaconf import DictConfig

from fishnet.models.published import own_backbones

if TYPE_CHECKING:
    import pandas as pd

    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

OWN_PHOTOS = "fishnet.data.datamodule.ImageFolderData"
FIXED_VIEWS = 4  # of each photo, that a frozen backbone computes once
WHOLE = "squash"  # better than padding on river fish, two networks: experiments/fit
MANY = 0.5  # of the photos: where as many are cut, all are shown whole


def settle(config: DictConfig) -> None:
    """What follows from other settings alone: published weights for people's own photos, for a network that has some;
    fixed views where a frozen backbone would compute random ones in each epoch; the middle of photos of drawn fish; a
    single epoch where nothing but a fitted classifier layer learns."""
    model, data = config.model, config.data
    own = data._target_ == OWN_PHOTOS
    if model.get("pretrained") == "auto":
        model.pretrained = own and model.backbone not in own_backbones()
    if model.get("fit") == "auto" and not own:
        model.fit = "crop"
    if "views" in data and data.views is None:
        fixed = model.get("freeze") == "backbone" and data.augment != "none"
        data.views = FIXED_VIEWS if fixed else 0
    if model.get("head") == "logistic" and model.get("freeze") == "backbone":
        config.trainer.max_epochs = 1


def warn_of_frozen(config: DictConfig) -> None:
    """A frozen network that has learned nothing sees noise."""
    if config.model.get("freeze", "none") != "none" and not config.model.get("pretrained"):
        log.warning(
            "warning: model.freeze=%s keeps weights as they were drawn, which tell little: say model.pretrained=true.",
            config.model.freeze,
        )


class HasTable(Protocol):
    """Photos with their `width` and `height`, a row each."""

    @property
    def table(self) -> "pd.DataFrame": ...


def settle_fit(config: DictConfig, data: HasTable, model: "ImageClassifier") -> None:
    """`model.fit`: all of each photo where many would lose more than a quarter of their length, else their middle.

    What can be refused has been refused by now: this is the first that has to know the photos' sizes.
    """
    if config.model.get("fit") != "auto":
        return
    from fishnet.data.checks import is_long

    share = 0.0 if "crop" in (config.model.preprocess or ()) else float(is_long(data.table).mean())
    config.model.fit = model.hparams["fit"] = WHOLE if share >= MANY else "crop"
    model.preprocessing = replace(model.preprocessing, fit=config.model.fit)
    if config.model.fit == WHOLE:
        text = (
            "%.0f %% of the photos are long, of which their middle would leave out more than a quarter: they are shown"
        )
        log.info(f"{text} whole (model.fit={WHOLE}; crop shows the middle).", 100 * share)
