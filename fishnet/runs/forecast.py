"""How long a training will take here, measured on a few photos before it begins, and what would be faster."""

import logging
import time
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.functional import cross_entropy

from fishnet.models.arithmetic import Setting, in_setting
from fishnet.models.classifier import ImageClassifier
from fishnet.models.features import has_features
from fishnet.models.isolation import rng_preserved, training_state_restored
from fishnet.progress import duration
from fishnet.text import counted

log = logging.getLogger("fishnet")

TRIED = 4  # photos of the trial
LONG = 3600.0  # seconds, from which on a faster way is proposed


@dataclass(frozen=True)
class Cost:
    """Seconds for a photo: to learn from it, and to answer it."""

    learning: float
    answering: float


@dataclass(frozen=True)
class Plan:
    """How much there is to do.

    Args:
        epochs: at most.
        learned, answered: photos of the training and validation parts.
        stored: whether a frozen backbone sees each photo once; `views` so many times.
        views: of a training photo.
    """

    epochs: int
    learned: int
    answered: int
    stored: bool = False
    views: int = 1

    def seconds(self, cost: Cost) -> float:
        if self.stored:
            return cost.answering * (self.views * self.learned + self.answered)
        return self.epochs * (cost.learning * self.learned + cost.answering * self.answered)


def forecast(config: DictConfig, model: ImageClassifier, *, learned: int, answered: int) -> None:
    """Log how long the training takes on this processor; where it is long, also what would be faster.

    Args:
        config: of the run, its arithmetic chosen.
        model: still on the CPU; it is left as it was.
        learned, answered: photos of the training and validation parts.
    """
    frozen, data = config.model.freeze == "backbone", config.data
    fixed = frozen and has_features(model) and (data.augment == "none" or data.views > 0)
    views = max(1, int(data.views)) if data.augment != "none" else 1
    plan = Plan(config.trainer.max_epochs, learned, answered, fixed, views)
    setting = Setting(str(config.trainer.precision), bool(config.trainer.channels_last))
    cost = measured(model, setting)
    seconds = plan.seconds(cost)
    each = "each seen once by the frozen backbone" if fixed else f"{counted(plan.epochs, 'epoch')} at most"
    log.info("About %s on this processor: %s, %s.", duration(seconds), counted(learned, "training photo"), each)
    if seconds > LONG and (words := faster(config, frozen=frozen)) and not fixed:
        quick = duration(Plan(plan.epochs, learned, answered, stored=True).seconds(cost))
        log.info("In about %s: the same with %s (the backbone sees each photo once).", quick, words)


def faster(config: DictConfig, *, frozen: bool) -> str:
    """The settings with which the backbone runs once a photo; none where there are no published weights for it."""
    if frozen:
        return "data.augment=none"
    if config.model.backbone == "cnn":
        return ""
    pretrained = "" if config.model.pretrained else "model.pretrained=true "
    return f"{pretrained}model.freeze=backbone data.augment=none"


def measured(model: ImageClassifier, setting: Setting) -> Cost:
    """Seconds for a photo on the model's device, by a second step of each kind: the first makes buffers."""
    generator, size = torch.Generator().manual_seed(0), model.preprocessing.size
    images = torch.randint(0, 256, (TRIED, 3, size, size), generator=generator, dtype=torch.uint8).to(model.device)
    labels = (torch.arange(TRIED) % len(model.classes)).to(model.device)
    with rng_preserved(), training_state_restored(model), in_setting(setting, model.device):
        learning = [_learn(model, images, labels) for _ in range(2)][1]
        model.eval()
        answering = [_answer(model, images) for _ in range(2)][1]
    return Cost(learning / TRIED, answering / TRIED)


def _learn(model: ImageClassifier, images: Tensor, labels: Tensor) -> float:
    model.train()
    begin = time.perf_counter()
    cross_entropy(model(images), labels).backward()
    return _until_done(model) - begin


@torch.no_grad()
def _answer(model: ImageClassifier, images: Tensor) -> float:
    begin = time.perf_counter()
    model(images)
    return _until_done(model) - begin


def _until_done(model: ImageClassifier) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
