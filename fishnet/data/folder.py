"""A folder of photos without Lightning: what is in it, how it is split, and its photos as a model sees them.

Training reaches it through `ImageFolderData`; whatever only looks at photos (explain, audit, serve) uses it as it is.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fishnet.errors import BadInput

from .augment import augmented, fixed_key
from .cache import Decoded, working_images
from .class_names import REST, ClassNames
from .index import Index, build_index, class_counts
from .listing import FolderSource
from .loading import PhotoDataset, PhotoLoader, as_it_is, prepare_worker, workers_beside
from .pieces import scaled_pieces
from .seen import UNSEEN, SeenPhotos
from .splits import check_counts, load_split, split
from .store import Stored
from .subjects import stated_groups
from .views import Preprocessing, View, Working, working

_log = logging.getLogger(__name__)


@runtime_checkable
class PhotoSource(Protocol):
    """What a callback may ask of a data module that knows its photos by row number."""

    augment: str

    @property
    def classes(self) -> list[str]: ...
    @property
    def table(self) -> pd.DataFrame:
        """One row for each photo, at least path, label and group."""

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of a part of the split, or of all photos (`all`)."""

    def photos(self, rows: Sequence[int]) -> Tensor:
        """uint8 photos as a model sees them in evaluation, N × 3 × size × size."""

    def batches(self, rows: np.ndarray, *, view: int | None, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Batches of rows on a device: their evaluation view (None), or one of the fixed training views."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoFolder:
    """A folder of class folders: an index of its photos, a split by group, and batches of uint8 photos.

    It never changes; what a model asks of it makes another one (`for_classes`). What it reads is read once, when it is
    first needed.

    Args:
        source: Where the class folders come from.
        manifest: Another table of the photos than `manifest.csv` in the folder.
        curation: A list of photos to leave out, relabel or weigh.
        chosen: A subset of the class folders, by their names or those of `classes.csv`.
        positive: One class against all others, named likewise.
        group: What must not be split: a column of the manifest, or a regular expression on file names; `auto`
            recognises shots of one subject by manifest, names and clocks; `none` takes the manifest's observations.
        duplicates: What happens to exact and near copies: kept in one group, dropped, or ignored.
        max_refused: The share of photos that may be unreadable.
        val: The share of the photos for validation.
        test: The share of the photos for the test.
        folds: Into how many folds to split, instead of a test share.
        fold: Which fold is the test part, from 0.
        split_file: A saved split to use instead of a new one.
        seed: What the split and the fixed views follow from.
        cache: Where decoded photos are kept: `auto` (beside the index), `off`, or a folder.
        cache_limit: The most that the cache may take, in GB.
        labels: The classes of a trained model, in the order of its labels; by default those of the folder.
        label_names: What people call these.
        fewest: How many classes the folder must hold.
        whole: Whether all photos are the test part, and no split is made.
        seen: What a trained model has seen: the table tells it for each photo, and it takes the place of a split.
    """

    source: FolderSource
    manifest: str | None = None
    curation: str | None = None
    chosen: Sequence[str] | None = None
    positive: str | None = None
    group: str | None = "auto"
    duplicates: Literal["group", "drop", "ignore"] = "group"
    max_refused: float = 0.1
    val: float = 0.15
    test: float = 0.15
    folds: int | None = None
    fold: int | None = None
    split_file: str | None = None
    seed: int = 0
    cache: str = "auto"
    cache_limit: float = 20.0
    labels: Sequence[str] | None = None
    label_names: ClassNames = field(default_factory=ClassNames)
    fewest: int = 2
    whole: bool = False
    seen: SeenPhotos | None = None
    _images: dict[Working, Decoded | Stored] = field(default_factory=dict, init=False, repr=False)

    def for_classes(self, classes: Sequence[str], names: ClassNames | None = None) -> "PhotoFolder":
        """This folder with a trained model's labels, be it of one class; a class that it does not know is refused.

        Args:
            classes: In the order of the labels.
            names: What people call them: a class folder whose name is another, but that is called so, is the same.
        """
        folder = replace(self, labels=list(classes), label_names=names or ClassNames(), fewest=1)
        unknown = [name for name in folder.class_names if folder.label_of(name) is None]
        if unknown and len(classes) == 2 and classes[0] == f"{REST}{classes[1]}":
            raise BadInput(f"the model tells {classes[1]} from the rest: say data.positive={classes[1]}.")
        if unknown:
            raise BadInput(
                f"the model knows {', '.join(classes[:8])}{' …' if len(classes) > 8 else ''}; the folder also holds "
                f"{', '.join(unknown[:5])}: leave them out with data.classes=[…] or rename the folders."
            )
        return folder

    def seen_by(self, seen: SeenPhotos) -> "PhotoFolder":
        """This folder with what a trained model has seen of it, grouped as the training was.

        A grouping that was set here is kept, and so is `auto` where that of the training groups no photo here.
        """
        folder = replace(self, seen=seen)
        if self.group != "auto" or seen.group in (None, "auto"):
            return folder
        try:
            stated_groups(self.table, seen.group)
        except BadInput:
            _log.warning("data.group=%s, by which the model was trained, groups no photo here.", seen.group)
            return folder
        return replace(folder, group=seen.group)

    # ---- before a photo is read

    @property
    def root(self) -> Path:
        return self.source.root

    def counts(self) -> dict[str, int]:
        """Each class, in the order of the folder's labels, with the number of its photos."""
        return class_counts(self.source.counts(), self._chosen, self._positive, self.fewest)

    @cached_property
    def _chosen(self) -> list[str] | None:
        return None if self.chosen is None else [self.source.typed(name) for name in self.chosen]

    @cached_property
    def _positive(self) -> str | None:
        return None if self.positive is None else self.source.typed(self.positive)

    @property
    def names(self) -> ClassNames:
        """What people call the classes, those of a trained model among them."""
        return self.label_names | self.source.names

    def label_of(self, name: str) -> str | None:
        """The model's class that a class of the folder is; None where it knows none of that name."""
        return self.label_names.of_folder(name, self.source.names, self.labels or ())

    @property
    def class_names(self) -> list[str]:
        return list(self.counts())

    def check(self) -> None:
        """Refuse a class with too few photos for any split."""
        if not (self.whole or self.split_file or self.seen or self.curation):  # which may move photos between classes
            check_counts(self.counts(), self.folds)

    # ---- the table

    @cached_property
    def index(self) -> Index:
        index = build_index(
            self.root, listing=self.source.listing, classes=self._chosen, fewest=self.fewest, manifest=self.manifest,
            positive=self._positive, group=self.group, duplicates=self.duplicates, max_refused=self.max_refused,
            curation=self.curation,
        )  # fmt: skip
        table, classes = index.table, index.classes
        if self.seen is not None:
            table = table.assign(seen=self.seen.parts(table.sha256))
        if self.labels is not None:
            classes, called = list(self.labels), [self.label_of(name) or name for name in index.classes]
            table = table.assign(label=[classes.index(called[label]) for label in table.label])
            table = table.assign(**{"class": [classes[label] for label in table.label]})
        return replace(index, table=table, classes=classes)

    @property
    def classes(self) -> list[str]:
        return self.index.classes

    @property
    def table(self) -> pd.DataFrame:
        return self.index.table

    @cached_property
    def assignment(self) -> pd.Series:
        """train, val or test for every row of the table; of a model's folder also new, for what it has not seen."""
        if self.whole:
            return pd.Series("test", index=self.table.index, name="split")
        if self.seen is not None and not self.split_file:
            return self.table["seen"].rename("split")
        if self.split_file:
            return load_split(Path(self.split_file).expanduser(), self.table)
        return split(self.table, val=self.val, test=self.test, folds=self.folds, fold=self.fold, seed=self.seed)

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of a part of the split, of the whole folder (`all`), or of what a model neither learned from nor
        was chosen by (`unseen`)."""
        if part == "all":
            return np.arange(len(self.table))
        if part == "unseen":
            return np.flatnonzero(self.table["seen"].isin(UNSEEN))
        return np.flatnonzero(self.assignment == part)

    @cached_property
    def seen_photos(self) -> SeenPhotos:
        """What a model has seen that is trained on this folder."""
        return SeenPhotos.of(self.table["sha256"], self.assignment, self.group)

    @cached_property
    def class_weights(self) -> np.ndarray:
        """Inverse class frequency over the training photos, with mean 1."""
        counts = np.bincount(self.table.label.to_numpy()[self.rows("train")], minlength=len(self.classes))
        return counts.sum() / (len(self.classes) * np.maximum(counts, 1))

    # ---- photos

    def images(self, preprocessing: Preprocessing) -> Decoded | Stored:
        """The photos at their working size for a model, by row; opened once, so that all loaders share one cache."""
        how = working(preprocessing)
        if how not in self._images:
            self._images[how] = working_images(
                self.index.root, self.table, how, cache=self.cache, limit=self.cache_limit,
                photo_of=self.source.photo,
            )  # fmt: skip
        return self._images[how]

    @property
    def weights(self) -> np.ndarray | None:
        """Of each photo in the training loss; None where no curation weighs any."""
        return self.table["loss_weight"].to_numpy() if "loss_weight" in self.table else None

    def dataset(
        self, preprocessing: Preprocessing, augment: str = "none", weights: np.ndarray | None = None
    ) -> PhotoDataset:
        """Batches of draws (row, key), as far as they are made on the processor."""
        labels, view = self.table.label.to_numpy(), View(preprocessing.size, augment)
        return PhotoDataset(self.images(preprocessing), labels, view, weights)

    def photos(self, rows: Sequence[int], preprocessing: Preprocessing) -> Tensor:
        dataset = self.dataset(preprocessing)
        return torch.stack([dataset[(row, row)]["image"] for row in rows])

    def batches(
        self, rows: np.ndarray, preprocessing: Preprocessing, *, batch_size: int, augment: str = "none", view: int = 0,
        device: torch.device | str = "cpu", workers: int | None = None,
    ) -> Iterator[dict[str, Tensor]]:  # fmt: skip
        """Batches of rows on a device: their evaluation view, or with `augment` the fixed view of this number."""
        dataset = self.dataset(preprocessing, augment)
        draws = [(int(row), fixed_key(self.table.sha256.iloc[row], view, self.seed)) for row in rows]
        pin, workers = torch.device(device).type == "cuda", workers_beside(torch.device(device), workers)
        for batch in photo_loader(dataset, draws, batch_size=batch_size, workers=workers, pin_memory=pin):
            yield finished({name: values.to(device) for name, values in batch.items()}, augment, preprocessing.size)


def photo_loader(
    dataset: Any, sampler: Any, *, batch_size: int, workers: int, kind: type[DataLoader] = PhotoLoader, **more: Any
) -> DataLoader:
    """A loader of data sets that make whole batches."""
    return kind(
        dataset, batch_size=batch_size, collate_fn=as_it_is, sampler=sampler, num_workers=workers,
        persistent_workers=workers > 0, worker_init_fn=prepare_worker, **more,
    )  # fmt: skip


def finished(batch: dict[str, Tensor], augment: str, size: int) -> dict[str, Tensor]:
    """A batch after what a preset does to whole batches, on the device where the batch is: views of `size` pixels."""
    if "pieces" in batch:
        others = {name: values for name, values in batch.items() if name not in ("pieces", "sizes")}
        batch = {"image": scaled_pieces(batch["pieces"], batch["sizes"], size), **others}
    if "noise" not in batch:
        return batch
    kept = {name: values for name, values in batch.items() if name != "noise"}
    return {**kept, "image": augmented(batch["image"], batch["noise"], augment)}
