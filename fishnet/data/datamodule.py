"""Glue: index, split, transforms and loaders behind one LightningDataModule of plain values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fishnet.errors import BadInput

from .augment import augmented
from .cache import Decoded, working_images
from .chance import fixed_key
from .index import Index, build_index, class_counts
from .listing import Listing, list_photos
from .loading import (
    EpochSampler,
    EvaluationSampler,
    FeatureDataset,
    PhotoDataset,
    ResumableLoader,
    as_it_is,
    single_thread,
)
from .split_file import load_split
from .splits import check_counts, split
from .store import Stored
from .views import AUGMENTATIONS, View
from .working import working_side

Features = Callable[[np.ndarray, bool], Sequence[Stored]]  # rows, for training? → one store a view, in their order


class ImageFolderData(L.LightningDataModule):
    """A folder of class folders, split by group and served in batches of uint8 images.

    The image size and resampling are the model's (found through the trainer) unless `image_size` is given.
    """

    def __init__(
        self,
        *,
        root: str,
        manifest: str | None = None,
        classes: list[str] | None = None,
        positive: str | None = None,
        group: str | None = None,
        duplicates: Literal["group", "drop", "ignore"] = "group",
        max_refused: float = 0.1,
        val: float = 0.15,
        test: float = 0.15,
        folds: int | None = None,
        fold: int | None = None,
        split_file: str | None = None,
        image_size: int | None = None,
        augment: Literal["none", "mirror", "light", "photo", "affine"] = "light",
        balance: Literal["none", "weights", "sampler"] = "none",
        batch_size: int = 32,
        workers: int = 0,
        cache: str = "auto",
        cache_limit: float = 20.0,
        views: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if augment not in AUGMENTATIONS:
            raise BadInput(f"data.augment={augment} is unknown: choose from {', '.join(AUGMENTATIONS)}.")
        if balance not in ("none", "weights", "sampler"):
            raise BadInput(f"data.balance={balance} is unknown: choose from none, weights, sampler.")
        self.root = Path(root).expanduser().absolute()
        self.manifest, self.wanted_classes, self.positive = manifest, classes, positive
        self.group, self.duplicates, self.max_refused = group, duplicates, max_refused
        self.val, self.test, self.folds, self.fold, self.split_file = val, test, folds, fold, split_file
        self.image_size, self.augment, self.balance = image_size, augment, balance
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.cache, self.cache_limit, self.views = cache, cache_limit, views
        self._images: dict[tuple[int, str], Decoded | Stored] = {}
        self.preprocessing: Any = None  # of a model that looks at the photos without a trainer
        self._features: Features | None = None
        self.tested = "test"  # the part that the test loader serves; `fishnet evaluate` may choose another
        self.fewest = 2  # classes, unless a model brings its own:
        self.spoken: list[str] | None = None

    # ---- what is in the folder

    @cached_property
    def listing(self) -> Listing:
        """Names of folders and files; no photo is read."""
        return list_photos(self.root)

    @property
    def folder_counts(self) -> dict[str, int]:
        """Each class folder with the number of its photos, before one is read."""
        return self.listing.counts()

    @property
    def class_names(self) -> list[str]:
        """The classes, before a photo is read."""
        return list(class_counts(self.folder_counts, self.wanted_classes, self.positive, self.fewest))

    def check_counts(self) -> None:
        """Refuses, before a photo is read, a class with too few of them for any split."""
        if self.tested != "all" and not self.split_file:
            check_counts(class_counts(self.folder_counts, self.wanted_classes, self.positive, self.fewest), self.folds)

    @cached_property
    def index(self) -> Index:
        found = build_index(
            self.root,
            manifest=self.manifest,
            classes=self.wanted_classes,
            positive=self.positive,
            group=self.group,
            duplicates=self.duplicates,
            max_refused=self.max_refused,
            listing=self.listing,
            fewest=self.fewest,
        )
        return found if self.spoken is None else numbered_as(found, self.spoken)

    @property
    def classes(self) -> list[str]:
        return self.index.classes

    @property
    def table(self) -> pd.DataFrame:
        return self.index.table

    @cached_property
    def assignment(self) -> pd.Series:
        """train, val or test for every row of the table; all test where the whole folder is measured."""
        if self.tested == "all":
            return pd.Series("test", index=self.table.index, name="split")
        if self.split_file:
            return load_split(Path(self.split_file).expanduser(), self.table)
        return split(
            self.table,
            val=self.val,
            test=self.test,
            folds=self.folds,
            fold=self.fold,
            seed=self.seed,
        )

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of one part of the split, or of the whole folder (`all`)."""
        if part == "all":
            return np.arange(len(self.table))
        return np.flatnonzero(self.assignment.to_numpy() == part)

    @cached_property
    def class_weights(self) -> np.ndarray:
        """Inverse class frequency over the training photos, with mean 1."""
        counts = np.bincount(self.table.label.to_numpy()[self.rows("train")], minlength=len(self.classes))
        return counts.sum() / (len(self.classes) * np.maximum(counts, 1))

    def speak(self, classes: list[str]) -> None:
        """Number the labels as a trained model does; a class that it never saw cannot be measured."""
        self.fewest = 1
        unknown = [name for name in self.class_names if name not in classes]
        if unknown and len(classes) == 2 and classes[0] == f"not {classes[1]}":
            raise BadInput(f"the model tells {classes[1]} from the rest: say data.positive={classes[1]}.")
        if unknown:
            raise BadInput(
                f"the model knows {', '.join(classes[:8])}{' …' if len(classes) > 8 else ''}; the folder also holds "
                f"{', '.join(unknown[:5])}: leave them out with data.classes=[…] or rename the folders."
            )
        self.spoken = list(classes)

    # ---- batches

    def train_dataloader(self) -> DataLoader:
        rows = self.rows("train")
        weights = self.class_weights[self.table.label.to_numpy()[rows]] if self.balance == "sampler" else None
        rank, world = self._place()
        sampler = EpochSampler(rows, seed=self.seed, weights=weights, rank=rank, world=world)
        alone = len(sampler) % self.batch_size == 1 and len(sampler) > 1  # batch norm cannot learn from a single photo
        return self._loader(ResumableLoader, self._served("train"), sampler, drop_last=alone)

    def val_dataloader(self) -> DataLoader:
        return self.evaluation_loader("val")

    def test_dataloader(self) -> DataLoader:
        return self.evaluation_loader(self.tested)

    def predict_dataloader(self) -> DataLoader:
        return self.evaluation_loader("all")

    def evaluation_loader(self, part: str) -> DataLoader:
        rank, world = self._place()
        sampler = EvaluationSampler(self.rows(part), rank=rank, world=world)
        return self._loader(DataLoader, self._served(part), sampler)

    def on_after_batch_transfer(self, batch: dict, dataloader_idx: int) -> dict:
        """What a preset does to whole batches happens here, on the model's device."""
        chance = batch.pop("chance", None)
        return batch if chance is None else {**batch, "image": augmented(batch["image"], chance, self.augment)}

    def photos(self, rows: Sequence[int]) -> Tensor:
        """Photos as a model sees them in evaluation, for whoever wants to look at them."""
        dataset = self._dataset("none")
        return torch.stack([dataset[(row, row)]["image"] for row in rows])

    def serve_features(self, features: Features) -> None:
        """From here on loaders serve what a frozen backbone says of their rows, asked for when a loader is made."""
        self._features = features

    def batches(self, rows: np.ndarray, *, view: int | None, device: torch.device) -> Iterator[dict]:
        """Batches of rows on a device: their evaluation view (None), or one of the fixed training views."""
        augment = "none" if view is None else self.augment
        sampler = [(int(row), fixed_key(self.table.sha256.iloc[row], view or 0, self.seed)) for row in rows]
        for batch in self._loader(DataLoader, self._dataset(augment), sampler):
            moved = {name: values.to(device) for name, values in batch.items()}
            yield self.on_after_batch_transfer(moved, 0)

    def view_settings(self, view: int | None) -> dict:
        """What tells one fixed view from another."""
        return {"view": "plain"} if view is None else {"view": view, "augment": self.augment, "seed": self.seed}

    def _dataset(self, augment: str) -> PhotoDataset:
        size, crop, interpolation = self._wishes()
        images = self._working_images(working_side(size, crop), interpolation)
        return PhotoDataset(images, self.table.label.to_numpy(), View(size, augment))

    def _served(self, part: str) -> Dataset:
        training = part == "train"
        if self._features is None:
            return self._dataset(self.augment if training else "none")
        rows = self.rows(part)
        return FeatureDataset(self._features(rows, training), self.table.label.to_numpy(), rows)

    def _loader(self, kind, dataset: Dataset, sampler, **more):
        return kind(
            dataset,
            batch_size=self.batch_size,
            collate_fn=as_it_is,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=single_thread,
            pin_memory=self._on_gpu(),
            **more,
        )

    def _working_images(self, side: int, interpolation: str) -> Decoded | Stored:
        """Opened once: every loader of a run looks into the same cache."""
        if (side, interpolation) not in self._images:
            self._images[side, interpolation] = working_images(
                self.index.root,
                self.table,
                side=side,
                interpolation=interpolation,
                cache=self.cache,
                limit=self.cache_limit,
            )
        return self._images[side, interpolation]

    def _wishes(self) -> tuple[int, float, str]:
        """Size, crop share and resampling: the model's own, where a trainer knows one."""
        wishes = self.preprocessing or getattr(getattr(self.trainer, "lightning_module", None), "preprocessing", None)
        if wishes is None:
            if self.image_size is None:
                raise BadInput("data.image_size is needed where no model tells it.")
            return self.image_size, 0.875, "bilinear"
        return self.image_size or wishes.size, wishes.crop, wishes.interpolation

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def numbered_as(index: Index, classes: list[str]) -> Index:
    """The index with the labels of a trained model."""
    place = {name: number for number, name in enumerate(classes)}
    table = index.table.assign(label=[place[index.classes[label]] for label in index.table.label])
    return replace(index, table=table, classes=classes)
