"""fishnet explain: a checkpoint on photos → what it looks at, as raw maps and as red pictures

In out/: pictures/, maps.npy (photos × rows × columns, signed and unnormalised), logits.npy, and maps.csv, which says
what each row is.

Examples
  fishnet explain checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/lake
  fishnet explain checkpoint=best.ckpt images='my photo.jpg' out=why all_classes=true
  fishnet explain checkpoint=best.ckpt images=PACKAGE/datapackage.json out=why      of camera traps (Camtrap DP)
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint
from fishnet.config.entry import start
from fishnet.config.validate import check_outside, check_writable, validate
from fishnet.data.listing import FolderSource, find_photos
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText
from fishnet.text import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from fishnet.data.folder import PhotoFolder
    from fishnet.explain.maps import FolderMaps
    from fishnet.models.classifier import ImageClassifier

log = logging.getLogger("fishnet")

POSITION = 70  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    all_classes: bool
    pictures: Annotated[int, AtLeast(0)]
    batch_size: Annotated[int, AtLeast(1)]
    cache: FreeText


MOST_LOOSE = 5000  # photos outside class folders are held in memory

Views = Callable[[list[int]], "np.ndarray"]  # rows → what the model is shown of them
Shown = tuple["pd.DataFrame", Iterable[dict], Views]


def explain(config: DictConfig) -> dict[str, float]:
    """Maps first, resumable; pictures from them."""
    bring_checkpoint(config)
    validate(config, "explain")
    keep_freed_memory()
    images, out = Path(config.images).expanduser(), Path(config.out).expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise BadInput(f"out={config.out} is a file: give the name of a folder.")
    if (out / "maps.npy").exists():
        raise BadInput(f"out={config.out} holds maps already: choose another folder, or delete that one.")
    if images.is_dir():
        check_outside(config.out, "images", config.images)
    check_writable("out", config.out)
    photos = photos_of(images)
    import torch
    from rich.progress import track

    from fishnet.explain.maps import write_maps
    from fishnet.models.checkpoint import load_model

    model = load_model(Path(config.checkpoint)).to("cuda" if torch.cuda.is_available() else "cpu")
    source = source_of_classes(images, photos, model.classes)
    table, batches, views = _data_set(config, model, source) if source else _loose(config, model, photos)
    if "seen" in table and (trained := int((table["seen"] == "train").sum())):
        log.warning(
            "The model was trained on %d of these %s; the others are drawn first.",
            trained,
            counted(len(table), "photo"),
        )
    preprocessing = sorted(model.preprocessing.as_dict().items())
    identity = f"{_digest(model)} {preprocessing} {table['sha256'].tolist()} {config.all_classes}"
    about = hashlib.sha256(identity.encode()).hexdigest()
    shown = track(batches, total=-(-len(table) // config.batch_size), description="explaining", transient=True)
    maps = write_maps(model, shown, table, out, all_classes=config.all_classes, about=about)
    drawn = _draw(maps, views, out / "pictures", config.pictures)
    log.info("%s: maps of %s, %s", out, counted(len(table), "photo"), counted(drawn, "picture"))
    return {"photos": float(len(table)), "pictures": float(drawn)}


def photos_of(images: Path) -> list[Path]:
    """A photo, all below a folder, or those of a Camtrap DP package."""
    from fishnet.data.camtrap import is_package
    from fishnet.data.observations import loose_photos

    return loose_photos(images).files if is_package(images) else find_photos(images)


def source_of_classes(images: Path, photos: list[Path], classes: list[str]) -> FolderSource | None:
    """The photos with their classes; None where they have none, and are explained as loose photos."""
    from fishnet.data.camtrap import is_package
    from fishnet.data.camtrap_classes import BLANK
    from fishnet.data.listing import PackageSource

    if not is_package(images):
        in_class_folders = images.is_dir() and all(photo.parent != images for photo in photos)
        return FolderSource(str(images)) if in_class_folders else None
    source = PackageSource(str(images), blanks=BLANK in classes)
    try:
        return source if source.listing.photos else None
    except BadInput as error:
        log.info("%s", error)
        return None


def _data_set(config: DictConfig, model: "ImageClassifier", source: FolderSource) -> Shown:
    """Class folders: indexed, verified, decoded once."""
    import numpy as np

    from fishnet.data.folder import PhotoFolder
    from fishnet.runs.run import refused_lines

    folder = PhotoFolder(source=source, duplicates="ignore", cache=str(config.cache), fewest=1, max_refused=1.0)
    folder, understood = _labelled(folder, model.classes)
    folder = replace(folder, seen=model.seen)
    for line in refused_lines(folder):
        log.warning(line)
    table = folder.table.assign(path=[str(folder.root / path) for path in folder.table["path"]])
    table = table if understood else table.drop(columns="label")
    look, rows = model.preprocessing, np.arange(len(table))
    batches = folder.batches(rows, look, batch_size=config.batch_size, device=model.device)
    return table, batches, lambda chosen: folder.photos(chosen, look).permute(0, 2, 3, 1).numpy()


def _labelled(folder: "PhotoFolder", classes: list[str]) -> "tuple[PhotoFolder, bool]":
    """With the model's labels, if the folders are classes of the model: only then is it known what is right."""
    one_against_rest = len(classes) == 2 and classes[0] == f"not {classes[1]}"
    counts = folder.source.counts()
    if one_against_rest and classes[1] in counts and classes[0] not in counts:
        folder = replace(folder, positive=classes[1])
    try:
        return folder.for_classes(classes), True
    except BadInput:
        log.info("The folders are not the classes of the model: its answers are shown, but none is called wrong.")
        return folder, False


def _loose(config: DictConfig, model: "ImageClassifier", photos: list[Path]) -> Shown:
    """A few photos from anywhere."""
    import pandas as pd
    import torch

    from fishnet.data.photos import photo_batches

    if len(photos) > MOST_LOOSE:
        raise BadInput(
            f"images={config.images} holds {len(photos)} photos: put more than {MOST_LOOSE} in class folders."
        )
    batches = list(photo_batches(photos, model.preprocessing, batch_size=config.batch_size))
    pairs = [pair for batch in batches for pair in zip(batch.photos, batch.problems, strict=True)]
    for path, problem in pairs:
        if problem:
            log.warning("%s: %s", path, problem)
    paths = [str(path) for path, problem in pairs if not problem]
    if not paths:
        raise BadInput(f"images={config.images}: none of the photos can be read.")
    digests = [digest for batch in batches for digest in batch.digests]
    table = pd.DataFrame({"path": paths, "sha256": digests})
    table = table.assign(seen=model.seen.parts(digests)) if model.seen else table
    views = [view for batch in batches for view in batch.views]
    shown = ({"image": batch.images} for batch in batches if batch.views)
    return table, shown, lambda chosen: torch.stack([views[row] for row in chosen]).numpy()


def _digest(model: "ImageClassifier") -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _draw(results: "FolderMaps", views: Views, folder: Path, most: int) -> int:
    """Pictures of the most instructive photos; returns how many were drawn."""
    import numpy as np

    from fishnet.explain.overlay import Caption, captioned, instructive_rows, overlay, save
    from fishnet.measure.predictions import margins

    table = results.table
    true = table["class"] if "label" in table else table["explained"]
    rows = instructive_rows(table.assign(true=true), margins(results.logits), most)
    maps = (
        results.maps if results.maps.ndim == 3 else results.maps[np.arange(len(table)), results.logits.argmax(axis=1)]
    )
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
    for number, (row, view) in enumerate(zip(rows, views(rows) if rows else [], strict=True)):
        caption = Caption(str(true[row]), str(table["explained"][row]), float(table["probability"][row]))
        picture = captioned(overlay(view, maps[row].astype(np.float32)), caption)
        save(picture, folder / f"{number:03d}_{Path(table['path'][row]).stem[:60]}.jpg")
    return len(rows)


if __name__ == "__main__":
    start(explain, "explain")
