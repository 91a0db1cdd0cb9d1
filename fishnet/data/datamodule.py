"""A folder of photos for Lightning: its loaders, and what is done to a batch on the device."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fishnet.environment import limit_photos
from fishnet.errors import BadInput
from fishnet.ranges import Above, AtLeast, Within, check_ranges

from .batch_size import photos_at_once
from .class_names import ClassNames
from .folder import PhotoFolder, finished, photo_loader
from .index import Index
from .listing import folder_source
from .loading import (
    REPEATS,
    EpochSampler,
    EvaluationSampler,
    FeatureDataset,
    Known,
    ResumableLoader,
    has_repeats,
    workers_beside,
)
from .seen import SeenPhotos
from .store import Stored
from .views import PlainPreprocessing, Preprocessing, View

Features = Callable[[np.ndarray, bool], Sequence[Stored]]  # rows, for training? → one store a view, in their order


def _of_folder(name: str) -> Any:
    return property(attrgetter(f"folder.{name}"))


class ImageFolderData(L.LightningDataModule):
    """A folder of class folders, split by group and served in batches of uint8 images.

    A batch is `{"image": uint8 N × 3 × size × size, "label": int, "index": row of the table, -1 for a repeat}`. Size
    and resampling are the model's, which is found through the trainer.

    Args:
        root: The folder that holds one folder for each class, or the `datapackage.json` of a Camtrap DP package.
        manifest: Another table of the photos than `manifest.csv` in the folder.
        curation: A list of photos to leave out (`drop`), to call by another class (`relabel`), or whose training loss
            counts for more or less (`weigh`).
        classes: A subset of the class folders, by their names or those of `classes.csv`.
        positive: One class against all others, named likewise.
        group: What must not be split: a column of the manifest, or a regular expression such as `(.+)_frame`; `auto`
            recognises shots of one subject by manifest, names and clocks; `none` takes the manifest's observations.
        duplicates: What happens to exact and near copies: `group` keeps them in one part, `drop` keeps one of them.
        max_refused: The share of photos that may be unreadable; more of them stop the run.
        most_megapixels: Larger photos are refused. It holds for the whole process, as the memory of its decoders does.
        val: The share of the photos for validation.
        test: The share of the photos for the test.
        folds: Into how many folds to split, instead of a test share.
        fold: Which fold is the test part, from 0.
        split_file: The saved split of another run, to use it again.
        image_size: The side of the square that the model is shown; the model's own by default.
        augment: What training shows: `light` crops and mirrors, `photo` also recolours, `affine` turns and shifts.
        balance: For classes of unequal size: `weights` in the loss, or a `sampler` that draws rare classes oftener.
        batch_size: Photos in a batch.
        workers: Processes that load photos beside the model; by default none on a CPU and up to eight on a GPU.
        cache: Where decoded photos are kept: `auto` (beside the index), `off`, or a folder.
        cache_limit: The most that the cache may take, in GB; above it, photos are decoded each time.
        views: With a frozen backbone, so many fixed random views of a photo, each computed once.
        seed: What the split and fixed views follow from, and the order of photos unless `order_seed` is set.
    """

    root: Path = _of_folder("root")
    seed: int = _of_folder("seed")
    cache: str = _of_folder("cache")
    class_names: list[str] = _of_folder("class_names")
    names: ClassNames = _of_folder("names")
    index: Index = _of_folder("index")
    classes: list[str] = _of_folder("classes")
    table: pd.DataFrame = _of_folder("table")
    assignment: pd.Series = _of_folder("assignment")
    class_weights: np.ndarray = _of_folder("class_weights")
    check: Callable[[], None] = _of_folder("check")
    rows: Callable[[str], np.ndarray] = _of_folder("rows")
    seen_photos: SeenPhotos = _of_folder("seen_photos")

    def __init__(
        self,
        *,
        root: str,
        manifest: str | None = None,
        curation: str | None = None,
        classes: list[str] | None = None,
        positive: str | None = None,
        group: str | None = "auto",
        duplicates: Literal["group", "drop", "ignore"] = "group",
        max_refused: Annotated[float, Within(0, 1)] = 0.1,
        most_megapixels: Annotated[int, Within(1, 178)] = 100,
        val: float = 0.15,
        test: float = 0.15,
        folds: Annotated[int, AtLeast(2)] | None = None,
        fold: Annotated[int, AtLeast(0)] | None = None,
        split_file: str | None = None,
        image_size: Annotated[int, AtLeast(8)] | None = None,
        augment: Literal["none", "mirror", "light", "photo", "affine"] = "light",
        balance: Literal["none", "weights", "sampler"] = "none",
        batch_size: Annotated[int, AtLeast(1)] = 32,
        workers: Annotated[int, AtLeast(0)] | None = None,
        cache: str = "auto",
        cache_limit: Annotated[float, Above(0)] = 20.0,
        views: Annotated[int, AtLeast(0)] | None = None,
        seed: Annotated[int, AtLeast(0)] = 0,
    ) -> None:
        super().__init__()
        check_ranges(ImageFolderData.__init__, locals())
        limit_photos(most_megapixels)
        View(image_size or 0, augment)  # refuses an unknown augmentation
        if balance not in ("none", "weights", "sampler"):
            raise BadInput(f"data.balance={balance} is unknown: choose from none, weights, sampler.")
        self.folder = PhotoFolder(
            source=folder_source(root, classes), chosen=classes, manifest=manifest, curation=curation,
            positive=positive, group=group, duplicates=duplicates, max_refused=max_refused, val=val, test=test,
            folds=folds, fold=fold, split_file=split_file, seed=seed, cache=cache, cache_limit=cache_limit,
        )  # fmt: skip
        self.image_size, self.augment, self.balance = image_size, augment, balance
        self.batch_size, self.workers, self.views = batch_size, workers, views or 0
        self.order_seed = seed  # of the training's order of photos; `train` sets its own, and the split stays as it is
        self.part = "test"  # that the loaders of test and predict serve
        self._preprocessing: Preprocessing | None = None
        self._features: Features | None = None

    def for_model(
        self,
        *,
        classes: Sequence[str] | None = None,
        names: ClassNames | None = None,
        preprocessing: Preprocessing | None = None,
        part: str = "test",
        seen: SeenPhotos | None = None,
    ) -> "ImageFolderData":
        """A copy that suits a trained model: its classes in order with their names, its preprocessing, what it has
        seen, the part that is tested (one of the split, `unseen` or `all`)."""
        data = copy(self)
        data.part = part
        data.folder = replace(self.folder, whole=part == "all")
        if classes is not None:
            data.folder = data.folder.for_classes(classes, names)
        if seen is not None:
            data.folder = data.folder.seen_by(seen)
        data._preprocessing = preprocessing or self._preprocessing
        return data

    # ---- the photos

    def photos(self, rows: Sequence[int]) -> Tensor:
        return self.folder.photos(rows, self.preprocessing)

    def batches(self, rows: np.ndarray, *, view: int | None, device: torch.device) -> Iterator[dict[str, Tensor]]:
        at_once = None if torch.device(device).type == "cuda" else self.batch_size  # nothing is learned of them
        at_once = photos_at_once(at_once, torch.device(device), self.preprocessing.size)
        how: dict[str, Any] = {"batch_size": at_once, "workers": self.workers, "device": device}
        how |= {} if view is None else {"augment": self.augment, "view": view}
        return self.folder.batches(rows, self.preprocessing, **how)

    def view_settings(self, view: int | None) -> dict[str, Any]:
        """What tells one fixed view from another."""
        return {"view": "plain"} if view is None else {"view": view, "augment": self.augment, "seed": self.seed}

    @property
    def preprocessing(self) -> Preprocessing:
        """That of `for_model`, or of the trainer's model, which takes up `image_size` when it is set up."""
        model = getattr(self.trainer, "lightning_module", None)
        known = self._preprocessing or getattr(model, "preprocessing", None)
        if known is None and self.image_size is None:
            raise BadInput("data.image_size is needed where no model tells it.")
        return known or PlainPreprocessing(self.image_size or 0)

    # ---- loaders

    def train_dataloader(self) -> DataLoader:
        rows = self.rows("train")
        weights = self.class_weights[self.table.label.to_numpy()[rows]] if self.balance == "sampler" else None
        sampler = EpochSampler(rows, seed=self.order_seed, weights=weights, **self._rank_and_world())
        alone = len(sampler) % self.batch_size == 1 and len(sampler) > 1  # batch norm cannot learn from a single photo
        how: dict[str, Any] = {"kind": ResumableLoader, "device": self._device(), "drop_last": alone}
        return self._loader(self._dataset("train"), sampler, **how)

    def val_dataloader(self) -> DataLoader:
        return self.evaluation_loader("val")

    def test_dataloader(self) -> DataLoader:
        return self.evaluation_loader(self.part)

    def predict_dataloader(self) -> DataLoader:
        return self.evaluation_loader(self.part)

    def evaluation_loader(self, part: str) -> DataLoader:
        """Every photo of a part once, over all processes."""
        return self._loader(self._dataset(part), EvaluationSampler(self.rows(part), **self._rank_and_world()))

    def on_before_batch_transfer(self, batch: dict, dataloader_idx: int) -> dict:
        """Say whether there are repeats, where the loader has not said it."""
        return {**batch, REPEATS: has_repeats(batch)} if "index" in batch and REPEATS not in batch else batch

    def on_after_batch_transfer(self, batch: dict, dataloader_idx: int) -> dict:
        """What a preset does to whole batches happens here, on the model's device."""
        return finished(batch, self.augment, self.preprocessing.size)

    def serve_features(self, features: Features) -> None:
        """From here on loaders serve features of a frozen backbone, which are asked for when a loader is made."""
        self._features = features

    @property
    def serves_features(self) -> bool:
        return self._features is not None

    @property
    def loss_weights(self) -> np.ndarray:
        """How much each photo counts in the loss, by its curation and its class."""
        labels = self.table.label.to_numpy()
        weights = np.ones(len(labels)) if self.folder.weights is None else self.folder.weights
        return weights * self.class_weights[labels] if self.balance == "weights" else weights

    def known(self, part: str, *, views: bool = False) -> Known:
        """Features of a part's photos as they are evaluated, or of their fixed views, with labels and loss weights; of
        a data module that serves features."""
        assert self._features is not None
        rows, labels, weights = self.rows(part), self.table.label.to_numpy(), self.loss_weights
        stored = self._features(rows, views)
        features = np.concatenate([[view[position].ravel() for position in range(len(rows))] for view in stored])
        return Known(features, np.tile(labels[rows], len(stored)), np.tile(weights[rows], len(stored)))

    def _dataset(self, part: str) -> Dataset:
        training = part == "train"
        weights = self.folder.weights if training else None
        if self._features is None:
            dataset = self.folder.dataset(self.preprocessing, self.augment if training else "none", weights)
            return replace(dataset, scale_late=self._device().type == "cuda")
        rows = self.rows(part)
        return FeatureDataset(self._features(rows, training), self.table.label.to_numpy(), rows, weights)

    def _loader(self, dataset: Dataset, sampler: Any, **more: Any) -> DataLoader:
        device = self._device()
        asked = 0 if self._features is not None and self.workers is None else self.workers  # features are at hand
        workers = workers_beside(device, asked, self.trainer.num_devices if self.trainer else 1)
        more["pin_memory"] = device.type == "cuda"
        return photo_loader(dataset, sampler, batch_size=self.batch_size, workers=workers, **more)

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _rank_and_world(self) -> dict[str, int]:
        return {"rank": self.trainer.global_rank, "world": self.trainer.world_size} if self.trainer else {}
