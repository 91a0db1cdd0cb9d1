"""Training photos that are given what surrounds other photos, so that the network cannot rest on it."""

import logging
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch import Tensor

from fishnet.audit.augmenting import BANK, SHARE, Augmentation
from fishnet.cells import restored_table
from fishnet.data.folder import PhotoSource
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText, Probability, check_ranges
from fishnet.text import counted
from fishnet.tracking import names

log = logging.getLogger("fishnet")


class ExchangeAugmentation(L.Callback):
    """In each batch a share of the photos gets the surroundings, the light or the coding of others.

    What it does follows from seed, epoch and step alone, so a resumed run does the same.

    Args:
        share: of the photos of each batch.
        kinds: what is exchanged, of `ellipse` (all but the middle, which is of random size), `outer`, `ring`,
            `corners`, `colour`, `light`, `grid` and `sharp`; an audit says which of them a class rests on.
        carriers: a table with the column `path`, such as photos.csv of an audit; if it has a column `carries`, the rows
            where that is true. Those of its photos that are in the training part are half of all donors.
        bank: at most so many of them are kept in memory.
        seed: of the run.
        mended_from: the checkpoint in whose place this training puts another; the new one and its run record it.
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Probability] = SHARE,
        kinds: list[str] | None = None,
        carriers: FreeText | None = None,
        bank: Annotated[int, AtLeast(1)] = BANK,
        seed: Annotated[int, AtLeast(0)] = 0,
        mended_from: FreeText | None = None,
    ) -> None:
        check_ranges(ExchangeAugmentation.__init__, locals())
        self.augmentation = Augmentation(kinds=kinds or ["ellipse"], share=share)
        self.paths = None if carriers is None else carrier_paths(carriers)
        self.carriers, self.bank, self.seed, self.mended_from = carriers, bank, seed, mended_from

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.paths is not None:
            images = self._bank_of(trainer.datamodule, self.paths).to(pl_module.device)  # type: ignore[attr-defined]
            self.augmentation = Augmentation(self.augmentation.kinds, self.augmentation.share, images)
        if self.mended_from is not None:
            how = {"from": self.mended_from, "how": "retrain", "kinds": [*self.augmentation.kinds]}
            pl_module.mended = {**how, "share": self.augmentation.share}  # type: ignore[assignment]
            for logger in trainer.loggers:
                if hasattr(logger, "set_tags"):
                    logger.set_tags({names.MENDED_FROM: self.mended_from})

    def _bank_of(self, data: object, paths: set[str]) -> Tensor:
        """The carriers of the training part as they are evaluated, uint8, no more than `bank`."""
        if not isinstance(data, PhotoSource):
            raise BadInput("callbacks.exchange.carriers: the data module does not know its photos by path.")
        rows = data.rows("train")
        carrying = rows[data.table["path"].iloc[rows].isin(paths).to_numpy()]
        if not len(carrying):
            raise BadInput(f"callbacks.exchange.carriers={self.carriers}: none of its photos is in the training part.")
        if len(carrying) > self.bank:
            carrying = np.sort(np.random.default_rng(self.seed).choice(carrying, self.bank, replace=False))
        log.info(
            "callbacks.exchange: half of the donors are of %s of %s", counted(len(carrying), "photo"), self.carriers
        )
        return data.photos(carrying.tolist())

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx: int) -> None:
        key = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        with torch.no_grad():
            batch["image"] = self.augmentation(batch["image"], np.random.default_rng(key))


def carrier_paths(file: str) -> set[str]:
    """The photos that a table names, or BadInput."""
    try:
        table = restored_table(pd.read_csv(Path(file).expanduser(), keep_default_na=False))
        carrying = table["carries"].astype(str).str.lower().isin(["true", "1"]) if "carries" in table else slice(None)
        return set(table.loc[carrying, "path"])
    except KeyError:
        raise BadInput(f"callbacks.exchange.carriers={file}: it has no column path.") from None
    except (OSError, ValueError) as error:  # pandas' parser and Unicode errors are ValueErrors
        raise BadInput(f"callbacks.exchange.carriers={file} cannot be read as a table ({error}).") from error
