"""Maps of a whole folder, at the speed of answering: one file of maps, one of logits, and the table of what they are.

Everything that looks at many photos reads these files. Maps are signed and unnormalised, so they may be summed and
compared; they are computed in float32 and kept as float16. A run that was ended goes on where it was.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fishnet.cells import defused_table, restored_table
from fishnet.data.batch_size import Halving
from fishnet.data.class_names import ClassNames
from fishnet.data.observations import Part
from fishnet.data.store import SharedStore, Store
from fishnet.errors import BadInput, WorkFailed
from fishnet.files import LockHeld, locked, replacing, write_whole
from fishnet.models.interface import Classifier
from fishnet.models.isolation import eval_mode_restored

from .additive import additive_maps, is_additive
from .gradcam import METHODS, explained, last_convolution
from .underway import UNFINISHED

if TYPE_CHECKING:
    from fishnet.models.classifier import ImageClassifier

COMMIT_EVERY = 64  # batches
COMMIT_AFTER = 10.0  # seconds, where batches are slow: Score-CAM takes minutes for 64 of them
AUTO, ADDITIVE = "auto", "additive"  # methods beside those of `METHODS`
FILES = ("logits.npy", "maps.csv", "seen_as.json", "maps.npy")  # of `save_maps`


class FolderMaps(NamedTuple):
    """`maps` is photos × h × w, for the class in `table.explained`; with all classes photos × classes × h × w."""

    maps: np.ndarray
    logits: np.ndarray
    table: pd.DataFrame


def write_maps(
    model: "ImageClassifier",
    batches: Iterable[dict[str, Tensor]],
    table: pd.DataFrame,
    out: Path,
    *,
    rows: np.ndarray | None = None,
    all_classes: bool = False,
    method: str = AUTO,
    about: str = "",
) -> FolderMaps:
    """Maps and logits of a folder's photos, kept in `out` and taken up where earlier processes were ended.

    Args:
        model: Whose answers are explained.
        batches: They show the rows of `table` in its order.
        table: One row for each photo.
        out: The folder for `maps.npy`, `logits.npy` and `maps.csv`.
        rows: Those that the batches show, where others are kept already.
        all_classes: Maps for every class, and not only for the model's answer.
        method: Of the maps, as in `batch_maps`.
        about: Names model and photos: what was kept under another name is made again.
    """
    out.mkdir(parents=True, exist_ok=True)
    keys = keys_of(len(table))
    try:
        with locked(out.with_name(f".{out.name}.lock"), timeout=0):
            keep_maps(model, batches, len(table), out, rows=rows, all_classes=all_classes, method=method, about=about)
            stores = _stores(out, len(table), about)
            missing = len(keys) - int(_held(stores, keys).sum())
            if missing:
                raise WorkFailed(f"maps of {len(keys) - missing} photos were made where {len(keys)} were to be.")
            logits, maps = (store.read(keys) for store in stores.values())
            answers = np.stack([values.ravel() for values in logits])
            with replacing(out / "maps.csv") as temporary:
                defused_table(_with_answers(table, answers, model)).to_csv(temporary, index=False)
            _export(logits, out / "logits.npy", dimensions=1)
            _export(maps, out / "maps.npy", dimensions=3 if all_classes else 2)  # the last: where it is, all is
            shutil.rmtree(out / UNFINISHED)
    except LockHeld:
        raise BadInput(
            f"{out}: another process writes its maps there; wait for it, or choose another folder."
        ) from None
    return read_maps(out)


def keep_maps(
    model: "ImageClassifier", batches: Iterable[dict[str, Tensor]], photos: int, out: Path, *,
    part: str = "", rows: np.ndarray | None = None, all_classes: bool = False, method: str = AUTO, about: str = "",
) -> None:  # fmt: skip
    """Keep what is missing, some batches at a time; a batch is computed whole, so that its numbers never change.

    Args:
        photos: How many there are in all.
        part: The name of what this process keeps, where several share the photos out: `part-1-of-2`.

    The others are those of `write_maps`, which makes its files of what all processes have kept.
    """
    keys, stores = keys_of(photos), _stores(out, photos, about)
    own = {name: store.own(part) for name, store in stores.items()}
    missing = {*np.flatnonzero(~_held(stores, keys)).tolist()}
    left = list(range(photos)) if rows is None else rows.tolist()
    kept: dict[str, dict[int, np.ndarray]] = {name: {} for name in stores}
    start = done = 0
    committed, halving = time.monotonic(), Halving()
    for batch in batches:
        shown = left[start : start + len(batch["image"])]
        start += len(shown)
        if missing.isdisjoint(shown):
            continue
        halves = halving(partial(_mapped, model, all_classes, method), batch["image"])
        maps, logits = (torch.cat(values) for values in zip(*halves, strict=True))
        for name, values in (("logits", logits), ("maps", maps)):
            kept[name] |= zip(shown, values.detach().numpy().astype(stores[name].dtype), strict=True)
        if not done:
            size = sum(arrays[shown[0]].nbytes for arrays in kept.values())
            _check_room(out, size * (len(missing.intersection(left)) + (0 if part else photos)))
        done += 1
        if done % COMMIT_EVERY == 0 or time.monotonic() - committed > COMMIT_AFTER:
            _keep(own, keys, kept)
            committed = time.monotonic()
    _keep(own, keys, kept)


def _mapped(model: "ImageClassifier", all_classes: bool, method: str, images: Tensor) -> tuple[Tensor, Tensor]:
    return batch_maps(model, images.to(model.device), all_classes=all_classes, method=method)


def rows_left(out: Path, photos: int, about: str, batch_size: int, part: Part | None = None) -> np.ndarray:
    """The rows of the batches, of a part or of all, in which a map is missing.

    Batches are those of all photos, whatever the number of parts: a map is the same to the last bit whoever makes it.
    """
    held = _held(_stores(out, photos, about), keys_of(photos))
    batches = np.array_split(np.arange(photos), range(batch_size, photos, batch_size))
    own = batches if part is None else [batches[number] for number in part.share(len(batches))]
    return np.concatenate([np.zeros(0, np.int64), *(batch for batch in own if not held[batch].all())])


def keys_of(photos: int) -> list[str]:
    """What maps are kept under."""
    return [str(row) for row in range(photos)]


def _stores(out: Path, photos: int, about: str) -> dict[str, SharedStore]:
    """Where logits and maps are kept until all are there."""
    settings = {"about": about, "photos": photos}
    kinds = (("logits", "float32"), ("maps", "float16"))
    return {name: SharedStore(out / UNFINISHED / name, dtype=dtype, about=settings) for name, dtype in kinds}


def _held(stores: dict[str, SharedStore], keys: Sequence[str]) -> np.ndarray:
    """Of which photos all is kept."""
    return np.all([store.holds(keys) for store in stores.values()], axis=0)


def _keep(own: dict[str, Store], keys: Sequence[str], kept: dict[str, dict[int, np.ndarray]]) -> None:
    for name, arrays in kept.items():
        rows, values = list(arrays), list(arrays.values())
        shapes = np.array([(1, 1, 1, *value.shape)[-3:] for value in values], dtype=np.int32)
        make = partial(lambda values, positions: ((at, values[at]) for at in positions.tolist()), values)
        own[name].fill([keys[row] for row in rows], shapes, make, label=name, progress=False)
        arrays.clear()


def _check_room(out: Path, size: int) -> None:
    """A full disk is an error before the first map is kept, not hours later."""
    probe = out / ".room"
    try:
        with open(probe, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
    finally:
        probe.unlink(missing_ok=True)


def _export(stored: Sequence[np.ndarray], file: Path, *, dimensions: int) -> None:
    """A plain .npy file of the arrays in their order, each with its last `dimensions`."""
    shape = (len(stored), *stored[0].shape[-dimensions:])
    header = {"descr": np.lib.format.dtype_to_descr(stored[0].dtype), "fortran_order": False, "shape": shape}
    with replacing(file, alone=True) as temporary, open(temporary, "wb") as opened:
        np.lib.format.write_array_header_1_0(opened, header)
        for row in range(len(stored)):
            opened.write(stored[row].tobytes())


def save_maps(out: Path, table: pd.DataFrame, maps: np.ndarray, logits: np.ndarray, model: Classifier) -> None:
    """The files of `write_maps` for maps of a few photos that are at hand, each whole, and `seen_as.json`.

    The latter says how the model cuts its view, to which the maps belong, out of a photo.

    Args:
        out: The folder.
        table: One row for each photo.
        maps: Of each photo's answer, photos × h × w.
        logits: Of each photo.
        model: Whose they are.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "seen_as.json", json.dumps(model.preprocessing.as_dict()))
    with replacing(out / "maps.csv") as temporary:
        defused_table(_with_answers(table, logits, model)).to_csv(temporary, index=False)
    for name, values in (("logits", logits.astype(np.float32)), ("maps", maps.astype(np.float16))):
        with replacing(out / f"{name}.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, values)


def read_maps(out: Path) -> FolderMaps:
    """The files of a finished run, mapped and not read."""
    maps, logits = (np.load(out / f"{name}.npy", mmap_mode="r") for name in ("maps", "logits"))
    return FolderMaps(maps, logits, restored_table(pd.read_csv(out / "maps.csv", keep_default_na=False)))


def batch_maps(
    model: Classifier, images: Tensor, *, all_classes: bool = False, targets: Tensor | None = None,
    method: str = AUTO,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Raw maps and logits of one batch: of all classes, of a class for each photo (`targets`), or of the answers.

    `method`: the exact additive map where the network has one, else Grad-CAM (`auto`), or one of `METHODS`.
    """
    with eval_mode_restored(model):
        if method == ADDITIVE or (method == AUTO and has_additive_maps(model)):
            parts = additive_maps(model, images)
            if all_classes:
                return parts.maps.cpu(), parts.logits.cpu()
            of_class = parts.logits.argmax(dim=1) if targets is None else targets
            return parts.maps[torch.arange(len(images)), of_class].cpu(), parts.logits.cpu()
        how: dict[str, Any] = {"layer": last_convolution(model.network, images.shape[-1])}
        how["method"] = "gradcam" if method == AUTO else method
        if not all_classes:
            return explained(model, images, None if targets is None else targets.tolist(), **how)
        each = [explained(model, images, [k] * len(images), **how) for k in range(len(model.classes))]
        return torch.stack([answer.maps for answer in each], dim=1), each[0].logits


def has_additive_maps(model: Classifier) -> bool:
    """`is_additive`, found out once a model."""
    if "_additive_maps" not in model.__dict__:
        model.__dict__["_additive_maps"] = is_additive(model)
    return model.__dict__["_additive_maps"]


def check_method(model: "ImageClassifier", method: str) -> None:
    """Refuse a method that this network cannot serve, with the names of those that can."""
    if has_additive_maps(model):
        return
    if last_convolution(model.network, model.preprocessing.size) is None:
        raise BadInput(
            f"this network works on tokens and has no convolution: none of {', '.join((ADDITIVE, *METHODS))} can "
            "explain it. A network of convolutions, such as model.backbone=resnet50, can be explained."
        )
    if method == ADDITIVE:
        raise BadInput(
            "method=additive needs a network of convolutions, a mean over places and a linear layer, which this one is "
            f"not; choose from {', '.join(METHODS)}."
        )


def _with_answers(table: pd.DataFrame, logits: np.ndarray, model: Classifier) -> pd.DataFrame:
    """What is known of each photo, with the model's answer, whose map it is, and its probability."""
    probabilities = torch.from_numpy(logits).div(float(model.temperature)).softmax(dim=1).numpy()
    names = np.array(model.classes, dtype=object)[logits.argmax(axis=1)]
    known = table[[column for column in ("path", "class", "label", "sha256", "group", "seen") if column in table]]
    answered = known.reset_index(drop=True).assign(explained=names, probability=probabilities.max(axis=1).round(6))
    named, called = {"class": "class_name", "explained": "explained_name"}, getattr(model, "names", ClassNames())
    return called.beside(answered, {column: new for column, new in named.items() if column in answered})
