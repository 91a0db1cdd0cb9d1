"""Maps of a whole folder, at the speed of answering: one file of maps, one of logits, and the table of what they are.

Everything that looks at many photos reads these files. Maps are signed and unnormalised, so they may be summed and
compared; they are computed in float32 and kept as float16. A run that was ended goes on where it was.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.errors import BadInput, WorkFailed
from fishnet.files import LockHeld, locked, replacing
from fishnet.models.isolation import eval_mode_restored

from .additive import additive_maps, is_additive
from .gradcam import explained, last_convolution

COMMIT_EVERY = 64  # batches


class FolderMaps(NamedTuple):
    """`maps` is photos × h × w, for the class in `table.explained`; with all classes photos × classes × h × w."""

    maps: np.ndarray
    logits: np.ndarray
    table: pd.DataFrame


def write_maps(
    model, batches: Iterable[dict], table: pd.DataFrame, out: Path, *, all_classes: bool = False, about: str = ""
) -> FolderMaps:
    """`batches` show the rows of `table` in its order; `about` names model and photos, so that only those go on."""
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        writing = _Writing(out, len(table), about)
        for batch in writing.not_yet(batches):
            maps, logits = batch_maps(model, batch["image"].to(model.device), all_classes=all_classes)
            writing.add(maps, logits)
        writing.end(_told(table, np.load(writing.part("logits"), mmap_mode="r"), model))
    return read_maps(out)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs in one folder would write each into the other's maps."""
    try:
        with locked(out.with_name(f".{out.name}.lock"), timeout=0):
            yield
    except LockHeld:
        raise BadInput(
            f"{out}: another process writes its maps there; wait for it, or choose another folder."
        ) from None


def read_maps(out: Path) -> FolderMaps:
    """The files of a finished run, mapped and not read."""
    maps, logits = (np.load(out / f"{name}.npy", mmap_mode="r") for name in ("maps", "logits"))
    return FolderMaps(maps, logits, pd.read_csv(out / "maps.csv", keep_default_na=False))


def batch_maps(model, images: Tensor, *, all_classes: bool = False) -> tuple[Tensor, Tensor]:
    """Raw maps and logits of one batch; the class of a map is the model's answer unless all are asked for."""
    with eval_mode_restored(model):
        if _additive(model):
            parts = additive_maps(model, images)
            chosen = parts.maps if all_classes else parts.maps[torch.arange(len(images)), parts.logits.argmax(dim=1)]
            return chosen.cpu(), parts.logits.cpu()
        layer = last_convolution(model.network, images.shape[-1])
        if not all_classes:
            found = explained(model, images, layer=layer)
            return found.maps, found.logits
        each = [explained(model, images, [k] * len(images), layer=layer) for k in range(len(model.classes))]
        return torch.stack([one.maps for one in each], dim=1), each[0].logits


def _additive(model) -> bool:
    """Found out once a model."""
    known = model.__dict__.get("_additive_maps")
    if known is None:
        known = model.__dict__["_additive_maps"] = is_additive(model)
    return known


def _told(table: pd.DataFrame, logits: np.ndarray, model) -> pd.DataFrame:
    chances = torch.from_numpy(np.array(logits)).div(float(model.temperature)).softmax(dim=1).numpy()
    answers = logits.argmax(axis=1)
    names = np.array(model.classes, dtype=object)
    known = table[[column for column in ("path", "class", "label", "sha256", "group") if column in table]]
    return known.reset_index(drop=True).assign(explained=names[answers], probability=chances.max(axis=1).round(6))


class _Writing:
    """Files under other names until all is there; a count beside them says how far they can be believed."""

    def __init__(self, out: Path, photos: int, about: str) -> None:
        self.out, self.photos, self.about = out, photos, about
        self.files: dict[str, np.memmap] = {}
        self.done = self._before()
        self._batches = 0

    def part(self, name: str) -> Path:
        return self.out / f".{name}.part.npy"

    def not_yet(self, batches: Iterable[dict]) -> Iterator[dict]:
        """The batches behind those of an earlier, ended process."""
        seen = 0
        for batch in batches:
            seen += len(batch["image"])
            if seen > self.done:
                if seen - len(batch["image"]) < self.done:
                    raise WorkFailed(f"{self.out} was begun with other batches: delete it and start again.")
                yield batch

    def add(self, maps: Tensor, logits: Tensor) -> None:
        for name, values, kind in (("maps", maps, np.float16), ("logits", logits, np.float32)):
            array = values.detach().numpy().astype(kind)
            if name not in self.files:
                self.files[name] = self._open(name, (self.photos, *array.shape[1:]), kind)
            self.files[name][self.done : self.done + len(array)] = array
        self.done += len(maps)
        self._batches += 1
        if self._batches % COMMIT_EVERY == 0:
            self._commit()

    def end(self, table: pd.DataFrame) -> None:
        self._commit()
        if self.done != self.photos:
            raise WorkFailed(f"maps of {self.done} photos were made where {self.photos} were to be.")
        self.files.clear()
        with replacing(self.out / "maps.csv") as temporary:
            table.to_csv(temporary, index=False)
        for name in ("logits", "maps"):  # maps.npy is the last to come: where it is, all is
            self.part(name).replace(self.out / f"{name}.npy")
        self._progress().unlink(missing_ok=True)

    def _open(self, name: str, shape: tuple[int, ...], kind: type) -> np.memmap:
        if self.done:
            return np.lib.format.open_memmap(self.part(name), mode="r+")
        file = np.lib.format.open_memmap(self.part(name), mode="w+", dtype=kind, shape=shape)
        self._reserve(name)
        return file

    def _reserve(self, name: str) -> None:
        """A full disk is an error that can be told here; under a mapped page it would kill the process."""
        path = self.part(name)
        try:
            with open(path, "rb+") as opened:
                os.posix_fallocate(opened.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, error.strerror, str(self.out)) from error

    def _progress(self) -> Path:
        return self.out / ".progress.json"

    def _before(self) -> int:
        try:
            told = json.loads(self._progress().read_text())
            here = all(self.part(name).exists() for name in ("maps", "logits"))
            return int(told["done"]) if here and told["about"] == self.about and told["photos"] == self.photos else 0
        except (OSError, ValueError, KeyError):
            return 0

    def _commit(self) -> None:
        for file in self.files.values():
            file.flush()
        with replacing(self._progress()) as temporary:
            temporary.write_text(json.dumps({"done": self.done, "photos": self.photos, "about": self.about}))
