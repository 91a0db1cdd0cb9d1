"""How much of the best epoch's answers rests on something besides the animal, as a single figure of the run."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import pytorch_lightning as L
import torch

from fishnet.audit.folder import effects_of, sample_of
from fishnet.audit.judged import RegionSource
from fishnet.audit.significance import FEWEST, exchange_test
from fishnet.audit.verdicts import CARRIED_BY, share_max
from fishnet.data.datamodule import ImageFolderData
from fishnet.models.interface import Classifier
from fishnet.models.isolation import rng_preserved
from fishnet.ranges import AtLeast, check_ranges
from fishnet.text import counted
from fishnet.tracking import names

log = logging.getLogger("fishnet")


class BestReliance(L.Callback):
    """Logs `best/reliance` at the end of the training: the exchange test of an audit on validation photos, with the
    weights of the best epoch.

    It is, as `audit/share_max` of an audit, the largest share of a class's answer (the rise of its logit) that comes
    with what surrounds the animal, its light or its coding, of the classes in which that share is significant; 0 where
    it is in none. Validation photos have chosen the epoch, but no weight was learned from them; test photos stay
    untouched, so that a study may choose by this figure. With fewer than 40 validation photos of a class a 0 says
    little, and a warning says so.

    Args:
        donors: validation photos of a class that are laid into others, at most.
        hosts: photos that each is laid into.
        region: where the animal may be. The middle `ellipse` is the same for every model; a region that is `learned`
            by the model itself, the default of `fishnet audit`, covers the animal better where it is not in the middle,
            but shares inside regions of different size do not compare.
    """

    def __init__(
        self,
        *,
        donors: Annotated[int, AtLeast(2)] = 40,
        hosts: Annotated[int, AtLeast(2)] = 6,
        region: Literal["ellipse", "learned"] = "ellipse",
    ) -> None:
        check_ranges(BestReliance.__init__, locals())
        self.donors, self.hosts, self.region = donors, hosts, region

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Only where the best epoch is measured again: while fitting, validation is a part of each epoch."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.state.fn != "validate" or not trainer.is_global_zero or not isinstance(data, ImageFolderData):
            return
        counts = np.bincount(data.table["label"].to_numpy()[data.rows("val")], minlength=len(data.classes))
        if (counts > 0).sum() < 2:
            log.warning("callbacks.reliance: there are no validation photos of two classes: nothing is measured.")
            return
        if counts.min() < FEWEST:
            text = "callbacks.reliance: %s of a class, fewer than %d: a 0 says little."
            log.warning(text, counted(int(counts.min()), "validation photo"), FEWEST)
        with rng_preserved(), torch.inference_mode(False), torch.no_grad():  # maps of some networks need gradients
            reliance = self._measured(cast(Classifier, pl_module), data)
        for logger in trainer.loggers:
            logger.log_metrics({names.BEST_RELIANCE: reliance}, step=trainer.global_step)

    def _measured(self, model: Classifier, data: ImageFolderData) -> float:
        """The figure of a model, and a line about the class that it belongs to."""
        regions_of = RegionSource(self.region, data, model, data.batch_size)
        rows = data.rows("val")
        sample = sample_of(model, data.folder, rows, regions_of, most_donors=self.donors, hosts=self.hosts)
        with tempfile.TemporaryDirectory(prefix="fishnet-effects-") as scratch:
            effects = effects_of(model, data.folder, sample, stored=Path(scratch), about={}, progress=False)
        reliance, label = share_max(tests := exchange_test(effects, given=sample.regions.given))
        if label is None:
            log.info("callbacks.reliance: no class was shown to rest on anything besides the animal")
        else:
            what = CARRIED_BY[tests[label].kind]
            log.info("callbacks.reliance: %s rests on %s, by %.2f of its answer", model.classes[label], what, reliance)
        return reliance
