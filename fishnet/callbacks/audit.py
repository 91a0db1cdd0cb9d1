"""What the classes rest on while a network learns: the cheap form of an audit, each few epochs."""

import logging
import time
from typing import Annotated, cast

import numpy as np
import pytorch_lightning as L
import torch

from fishnet.audit.exchange import Effects, Exchange
from fishnet.audit.kinds import Views
from fishnet.audit.regions import ellipse
from fishnet.audit.significance import price_of
from fishnet.data.folder import PhotoSource
from fishnet.explain.overlay import fixed_panel
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored, rng_preserved
from fishnet.ranges import Above, AtLeast, check_ranges
from fishnet.text import slugs

log = logging.getLogger("fishnet")

KINDS = ("outer", "ring")
FEWEST = 2  # donors of a class
TIMED = 2  # epochs, before it is decided what is measured


class EpochAudit(L.Callback):
    """Logs `audit/outer_max` and `audit/ring_max`, and both of each class: by how much the class's probability rises in
    photos of other classes that are given the surroundings, or the edge, of its photos, beyond other photos' ones.

    The middle ellipse is left alone, and no test is made: a curve to look at, and no verdict. The same validation
    photos are exchanged each time. The second epoch decides how many, by the time that it and a first exchange have
    taken; where even two of each class would take too much, epochs are left out. Training is the same to the last
    bit with and without.

    Args:
        photos: validation photos that are exchanged, at most.
        hosts: photos that each is laid into.
        every: epochs.
        share: of the time of the epochs in between.
    """

    def __init__(
        self,
        *,
        photos: Annotated[int, AtLeast(2)] = 256,
        hosts: Annotated[int, AtLeast(2)] = 4,
        every: Annotated[int, AtLeast(1)] = 1,
        share: Annotated[float, Above(0)] = 0.02,
    ) -> None:
        check_ranges(EpochAudit.__init__, locals())
        self.photos, self.hosts, self.every, self.share = photos, hosts, every, share
        self._began, self._epochs = 0.0, list[float]()  # seconds
        self._rows: list[int] = []  # donors; before it is decided how many, all
        self._apart = 0  # epochs between two measurements; 0 before that is decided

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or not isinstance(data, PhotoSource):
            return
        with rng_preserved(), torch.no_grad():
            if not self._apart:
                self._epochs.append(time.perf_counter() - self._began)
                if len(self._epochs) == TIMED:
                    self._decide(cast(Classifier, pl_module), data)
            elif (trainer.current_epoch + 1) % self._apart == 0:
                values = self._values(cast(Classifier, pl_module), data)
                for logger in trainer.loggers:
                    logger.log_metrics({**values, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)

    def _decide(self, model: Classifier, data: PhotoSource) -> None:
        """How many donors are measured, and how many epochs apart, from the shorter of the epochs so far."""
        candidates, labels = data.rows("val"), data.table["label"].to_numpy()
        classes = len(np.unique(labels[candidates]))
        if classes < 2:
            return
        self._rows = fixed_panel(candidates, labels[candidates], self.photos)
        fewest = min(len(self._rows), FEWEST * classes)
        times = []
        for count in (fewest, fewest):  # the first one warms up
            began = time.perf_counter()
            self._effects(model, data, self._rows[:count])
            times.append(time.perf_counter() - began)
        cost, allowed = times[-1] / fewest, self.share * min(self._epochs)
        self._apart = self.every * max(1, int(np.ceil(fewest * cost / (allowed * self.every))))
        self._rows = self._rows[: max(fewest, int(allowed * self._apart / cost))]
        log.info(
            "callbacks.audit: %d photos each %d epochs, in %g of the time", len(self._rows), self._apart, self.share
        )

    def _values(self, model: Classifier, data: PhotoSource) -> dict[str, float]:
        """By the names under which they are logged."""
        effects, names = self._effects(model, data, self._rows), slugs(model.classes)
        values: dict[str, float] = {}
        for kind in KINDS:
            own = {
                names[label]: price_of(effects, int(label), kind, np.flatnonzero(effects.labels == label))[0]
                for label in np.unique(effects.labels)
            }
            values |= {f"audit/{kind}_max": max(own.values())}
            values |= {f"audit/{kind}/{name}": value for name, value in own.items()}
        return values

    def _effects(self, model: Classifier, data: PhotoSource, rows: list[int]) -> Effects:
        """Of these photos in hosts that are the first of them all."""
        table = data.table.iloc[rows]
        labels, groups = table["label"].to_numpy(), table["group"].to_numpy()
        hosts, region = self._rows[: self.hosts], ellipse(model.preprocessing.size).to(model.device)

        def views(chosen: list[int]) -> Views:
            images = data.photos(chosen).to(model.device).float() / 255
            return Views(images, region.expand(len(images), 1, *region.shape))

        with eval_mode_restored(model), torch.autocast(model.device.type, enabled=False):
            exchange = Exchange(model, views(hosts), data.table["label"].to_numpy()[hosts], KINDS)
            starts = range(0, len(rows), exchange.at_once)
            found = [exchange.effects(views(rows[start : start + exchange.at_once])) for start in starts]
        logits, probabilities = np.concatenate(found).transpose(1, 2, 0, 3)
        return Effects(KINDS, logits[:-1], probabilities[:-1], labels, groups, logits[-1])
