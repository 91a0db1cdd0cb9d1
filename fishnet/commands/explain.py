"""fishnet explain: a checkpoint on photos → what it looks at, as raw maps, red pictures and a page

In out/: page.html, the photos under their maps with a slider that fades the red; pictures/, the same as files; maps.npy
(photos × rows × columns, signed and unnormalised), logits.npy, and maps.csv, which says what each row is. A wrong
answer is shown beside the map of the true class.

method=additive is exact for networks of convolutions, a mean over places and a linear layer, and costs no more than the
answer; auto takes it where it is to be had, and else gradcam. hirescam, layercam, gradcam++, eigencam (knows no class)
and scorecam (hundreds of times as slow) are those of pytorch-grad-cam, at the last convolution.

contents=true shows what is inside: the maps of each stage's most active channels, and for the liveliest channels the
photos that excite them most. score=true prints how right the maps are where it is known where the animals are: boxes=
(a table, Camtrap DP, COCO, MegaDetector), masks= (a folder with a mask for each photo), or a drawn reef's own masks.

Examples
  fishnet explain checkpoint=outputs/RUN/checkpoints/best.ckpt images=photos/lake
  fishnet explain checkpoint=best.ckpt images='my photo.jpg' out=why all_classes=true overwrite=true
  fishnet explain checkpoint=best.ckpt images='photos/lake/*/*_3.jpg'               or '[a.jpg,b.jpg]', or list.txt
  fishnet explain checkpoint=best.ckpt images=photos/lake method=layercam contents=true out=inside
  fishnet explain checkpoint=best.ckpt images=photos/lake score=true boxes=boxes.csv
  fishnet explain checkpoint=best.ckpt images=PACKAGE/datapackage.json out=why      of camera traps (Camtrap DP)
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.validate import check_outside, check_writable, validate
from fishnet.data.listing import FolderSource
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.files import LockHeld, locked, write_whole
from fishnet.progress import with_progress
from fishnet.ranges import AtLeast, FreeText, Within
from fishnet.text import counted, reasons_in_lines

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from fishnet.data.folder import PhotoFolder
    from fishnet.explain.cards import Views
    from fishnet.explain.contact import Card
    from fishnet.explain.maps import FolderMaps
    from fishnet.explain.scores import Score
    from fishnet.models.classifier import ImageClassifier
    from fishnet.page.page import Chapter

log = logging.getLogger("fishnet")

POSITION = 70  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    images: FreeText
    out: FreeText
    overwrite: bool
    method: Literal["auto", "additive", "gradcam", "hirescam", "layercam", "gradcam++", "eigencam", "scorecam"]
    all_classes: bool
    pictures: Annotated[int, AtLeast(0)]
    contents: bool
    score: bool
    boxes: FreeText | None
    masks: FreeText | None
    batch_size: Annotated[int, AtLeast(1)]
    most_megapixels: Annotated[int, Within(1, 178)]
    cache: FreeText


MOST_LOOSE = 5000  # photos outside class folders are held in memory
MADE = ("maps.npy", "logits.npy", "maps.csv", "pictures", "contents", "page.html")  # in out=
FINISHED = ("maps.npy", "logits.npy", "maps.csv", "page.html")  # of these, in every finished folder
UNDERWAY = ".explaining"  # in out= until the page is there: names the model, the photos and the method

Shown = tuple["pd.DataFrame", Iterable[dict], "Views"]


def explain(config: DictConfig) -> dict[str, float]:
    """Maps first, resumable; pictures from them."""
    bring_checkpoint(config)
    validate(config, "explain")
    require_checkpoint(config)
    keep_freed_memory()
    images, out = Path(config.images).expanduser(), Path(config.out).expanduser().absolute()
    check_free(out, config.out, config.overwrite)
    if os.path.isdir(images):
        check_outside(config.out, "images", config.images)
    if config.boxes and config.masks:
        raise BadInput("boxes= and masks= both say where the animals are: leave one out.")
    if (config.boxes or config.masks) and not config.score:
        raise BadInput("boxes= and masks= are for score=true, which is not asked for.")
    check_writable("out", config.out)
    from fishnet.data.observations import loose_photos

    found = loose_photos(config.images)
    photos, above = found.files, found.folder.absolute()  # the folder to which photos are named
    import torch

    from fishnet.explain.cards import cards_of, named, save_cards
    from fishnet.explain.maps import check_method, read_maps, write_maps
    from fishnet.models.checkpoint import load_model

    model = load_model(Path(config.checkpoint)).to("cuda" if torch.cuda.is_available() else "cpu")
    check_method(model, config.method)
    source = source_of_classes(images, photos, model.classes)
    if config.score and source is None:
        raise BadInput("score=true needs class folders: images= holds photos outside of them.")
    table, batches, views = _data_set(config, model, source) if source else _loose(config, model, photos)
    known = animals = torch.empty(0)
    if config.score and source is not None:
        known, animals = _animals(config, table, model, source.root)
    if "seen" in table and (trained := int((table["seen"] == "train").sum())):
        every = "this photo" if trained == 1 else f"all these {trained} photos"
        some = f"{trained} of these {len(table)} photos; the others are drawn first"
        log.warning("The model was trained on %s.", every if trained == len(table) else some)
    preprocessing = sorted(model.preprocessing.as_dict().items())
    identity = f"{_digest(model)} {preprocessing} {table['sha256'].tolist()} {config.all_classes} {config.method}"
    about = hashlib.sha256(identity.encode()).hexdigest()
    shown = with_progress(batches, -(-len(table) // config.batch_size), "explaining")
    how = {"all_classes": config.all_classes, "method": config.method}
    with alone_in(out):
        kept = go_on(out, about, config.overwrite)
        maps = read_maps(out) if kept else write_maps(model, shown, table, out, about=about, **how)
        cards = cards_of(model, maps, views, config.pictures, config.method, root=above)
        save_cards(cards, out / "pictures")
        scores = _scores(maps, known, animals) if config.score else {}
        names = [named(path, above) for path in table["path"]]
        inside = _contents(model, views, names, config) if config.contents else []
        _write_page(config, out, cards, scores, inside)
        (out / UNDERWAY).unlink()
    for score in scores.values():
        interval = " [{:.3f}, {:.3f}]".format(*score.ends) if score.ends else ""
        print(f"{'score':12s}{score.value:.3f}{interval}  chance {score.chance:.3f}  {score.says}")
    log.info("%s: maps of %s, %s", out, counted(len(table), "photo"), counted(len(cards), "picture"))
    print(f"{'page':12s}{out / 'page.html'}", flush=True)
    return {"photos": float(len(table)), "pictures": float(len(cards))} | {
        f"score/{name}": score.value for name, score in scores.items()
    }


def check_free(out: Path, typed: str, overwrite: bool) -> None:
    """Refuse a folder that holds what this verb would write, unless it is that of a run that was ended, or one that
    this verb has filled and that may be written over."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"out={typed} is a file: give the name of a folder.")
    held = [name for name in MADE if (out / name).exists()]
    if not held or (out / UNDERWAY).exists():
        return
    if not overwrite:
        raise BadInput(f"out={typed} holds {held[0]} already: choose another folder, or say overwrite=true.")
    if not all((out / name).exists() for name in FINISHED):
        raise BadInput(f"out={typed} holds {held[0]}, which is not of an earlier explain: choose another folder.")


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """No other process of this verb writes there meanwhile."""
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked(out.with_name(f".{out.name}.page.lock"), timeout=0):
            yield
    except LockHeld:
        raise BadInput(f"{out}: another process writes there; wait for it, or choose another folder.") from None


def go_on(out: Path, about: str, overwrite: bool) -> bool:
    """Whether all maps of this model, these photos and this method are there already, from a run that was ended before
    its page was written. What such a run has made of maps, or as maps of something else, is taken away; so is all that
    a finished one has made, where it may be written over."""
    from fishnet.explain.maps import UNFINISHED

    mark = out / UNDERWAY
    if overwrite and (out / "maps.npy").exists() and not mark.exists():
        write_whole(mark, "")  # from here on it is a run that was ended, whatever happens
        (out / "page.html").unlink()
    if mark.exists():
        for name in ("pictures", "contents"):
            shutil.rmtree(out / name, ignore_errors=True)
        if mark.read_text(errors="replace") != about:
            (out / "maps.npy").unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(mark, about)
    kept = (out / "maps.npy").exists()
    if kept:  # the last of the maps' files: it was ended before it took away what these were made of
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return kept


def source_of_classes(images: Path, photos: list[Path], classes: list[str]) -> FolderSource | None:
    """The photos with their classes; None where they have none, and are explained as loose photos."""
    from fishnet.data.camtrap import is_package
    from fishnet.data.camtrap_classes import BLANK
    from fishnet.data.listing import PackageSource

    if not is_package(images):
        in_class_folders = os.path.isdir(images) and all(photo.parent != images for photo in photos)
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
    from fishnet.data.index import cut_photos
    from fishnet.runs.run import refused_lines

    folder = PhotoFolder(source=source, duplicates="ignore", cache=str(config.cache), fewest=1, max_refused=1.0)
    folder, understood = _labelled(folder, model)
    folder = replace(folder, seen=model.seen)
    for line in [*refused_lines(folder), *cut_photos(folder.table)]:
        log.warning(line)
    table = folder.table.assign(path=[str(folder.root / path) for path in folder.table["path"]])
    table = table if understood else table.drop(columns="label")
    look, rows = model.preprocessing, np.arange(len(table))
    batches = folder.batches(rows, look, batch_size=config.batch_size, device=model.device)
    return table, batches, lambda chosen: folder.photos(chosen, look).permute(0, 2, 3, 1).numpy()


def _labelled(folder: "PhotoFolder", model: "ImageClassifier") -> "tuple[PhotoFolder, bool]":
    """With the model's labels, if the folders are classes of the model: only then is it known what is right."""
    classes = model.classes
    one_against_rest = len(classes) == 2 and classes[0] == f"not {classes[1]}"
    counts = folder.source.counts()
    if one_against_rest and classes[1] in counts and classes[0] not in counts:
        folder = replace(folder, positive=classes[1])
    try:
        return folder.for_classes(classes, model.names), True
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
    for line in reasons_in_lines((str(path), problem) for path, problem in pairs if problem):
        log.warning(line)
    paths = [str(path) for path, problem in pairs if not problem]
    if not paths:
        raise BadInput(f"images={config.images}: none of the photos can be read.")
    digests = [digest for batch in batches for digest in batch.digests]
    table = pd.DataFrame({"path": paths, "sha256": digests})
    table = table.assign(seen=model.seen.parts(digests)) if model.seen else table
    true = [true_class(Path(path), model) for path in paths]
    if any(true):  # of the others nobody knows what is right
        labels = [model.classes.index(name) if name else -1 for name in true]
        table = table.assign(**{"class": [name or "" for name in true]}, label=labels)
    views = [view for batch in batches for view in batch.views]
    shown = ({"image": batch.images} for batch in batches if batch.views)
    return table, shown, lambda chosen: torch.stack([views[row] for row in chosen]).numpy()


def true_class(photo: Path, model: "ImageClassifier") -> str | None:
    """The class of the model whose folder a photo lies in; None where the folder is no class of the model."""
    from fishnet.data.class_names import read_class_names

    folder = photo.absolute().parent
    return model.names.of_folder(folder.name, read_class_names(folder.parent), model.classes)


def _digest(model: "ImageClassifier") -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _animals(
    config: DictConfig, table: "pd.DataFrame", model: "ImageClassifier", root: Path
) -> "tuple[torch.Tensor, torch.Tensor]":
    """The rows of photos whose animals are known, and where these are; the others are counted and left out."""
    import torch

    from fishnet.audit.boxes import boxed_regions
    from fishnet.audit.masks import has_reef_masks, masked_regions, reef_regions

    inner = table.assign(path=[str(Path(path).relative_to(root)) for path in table["path"]])
    if config.boxes:
        regions = boxed_regions(Path(config.boxes).expanduser(), inner, model.preprocessing)
    elif config.masks:
        regions = masked_regions(Path(config.masks).expanduser(), inner, model.preprocessing)
    elif has_reef_masks(root):
        regions = reef_regions(root, inner, model.preprocessing)
    else:
        raise BadInput(f"score=true: {root} has no masks of its own; say boxes=FILE or masks=FOLDER.")
    share = regions.protected.mean(dim=(1, 2))
    known = torch.where((share > 0) & (share < 1))[0]
    if not len(known):
        raise BadInput("score=true: of none of these photos it is known where the animal is.")
    if left := len(table) - len(known):
        log.warning("score: %s left out, whose animal is not known or fills all of the photo.", counted(left, "photo"))
    return known, regions.protected[known]


def _scores(results: "FolderMaps", known: "torch.Tensor", animals: "torch.Tensor") -> "dict[str, Score]":
    """How right the answers' maps are."""
    import numpy as np
    import torch

    from fishnet.explain.scores import scores_of

    rows = known.numpy()
    values = results.maps[rows] if results.maps.ndim == 3 else results.maps[rows, results.logits[rows].argmax(axis=1)]
    return scores_of(torch.from_numpy(np.asarray(values, np.float32)), animals)


def _contents(model: "ImageClassifier", views: "Views", names: list[str], config: DictConfig) -> "list[Chapter]":
    """The chapters on what is inside the network, and their pictures in out/contents."""
    import torch

    from fishnet.explain.contents import contents_chapters

    def batches() -> "Iterator[torch.Tensor]":
        for first in range(0, len(names), config.batch_size):
            shown = views(list(range(first, min(first + config.batch_size, len(names)))))
            yield torch.as_tensor(shown).permute(0, 3, 1, 2).to(model.device)

    return contents_chapters(model, batches, names, Path(config.out).expanduser() / "contents")


def _write_page(
    config: DictConfig, out: Path, cards: "list[Card]", scores: "dict[str, Score]", inside: "list[Chapter]"
) -> None:
    from fishnet.explain.contact import cards_chapter, scores_chapter
    from fishnet.page.page import render_page

    chapters = [cards_chapter(cards)] if cards else []
    chapters += [scores_chapter(scores)] if scores else []
    about = f"fishnet explain: {config.checkpoint} on {config.images}, method={config.method}"
    write_whole(out / "page.html", render_page("What the model looks at", about, [*chapters, *inside]))


if __name__ == "__main__":
    start(explain, "explain")
