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
  fishnet explain checkpoint=best.ckpt images=photos/lake out=why part=2/4          the second of four commands
  fishnet explain checkpoint=best.ckpt images=photos/lake out=why                   joins what the four have made
  fishnet explain checkpoint=best.ckpt images=photos/lake out=why parts=8 executor=ray     eight processes, joined
  fishnet explain checkpoint=best.ckpt images=PACKAGE/datapackage.json out=why      of camera traps (Camtrap DP)
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.parting import check_many, check_parting, make_parts, parts_are_joined
from fishnet.config.validate import check_outside, check_writable, validate
from fishnet.data.listing import FolderSource
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.files import write_whole
from fishnet.progress import with_progress
from fishnet.ranges import AtLeast, FreeText, Within
from fishnet.text import counted, few_of, reasons_in_lines

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch

    from fishnet.data.folder import PhotoFolder
    from fishnet.explain.cards import Views
    from fishnet.explain.contact import Card
    from fishnet.explain.maps import FolderMaps
    from fishnet.explain.scores import Score
    from fishnet.explain.underway import Work
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
    part: FreeText | None
    parts: Annotated[int, AtLeast(1)] | None
    executor: str
    executor_args: dict
    batch_size: Annotated[int, AtLeast(1)] | None
    most_megapixels: Annotated[int, Within(1, 178)]
    cache: FreeText


MOST_LOOSE = 5000  # photos outside class folders are held in memory

BatchesOf = Callable[["np.ndarray"], Iterable[dict]]  # batches of rows, each of the whole batches of all photos
Shown = tuple["pd.DataFrame", BatchesOf, "Views"]


def explain(config: DictConfig) -> dict[str, float]:
    """Maps first, resumable; pictures from them."""
    bring_checkpoint(config)
    validate(config, "explain")
    require_checkpoint(config)
    check_parting(config)
    keep_freed_memory()
    from fishnet.explain.underway import UNDERWAY, check_free, name_of, parts_in, whole_alone

    images, out = Path(config.images).expanduser(), Path(config.out).expanduser().absolute()
    check_free(out, config.out, config.overwrite)
    if os.path.isdir(images):
        check_outside(config.out, "images", config.images)
    if config.boxes and config.masks:
        raise BadInput("boxes= and masks= both say where the animals are: leave one out.")
    if (config.boxes or config.masks) and not config.score:
        raise BadInput("boxes= and masks= are for score=true, which is not asked for.")
    check_writable("out", config.out)
    from fishnet.data.observations import loose_photos, part_of
    from fishnet.models.checkpoint import load_model

    if config.part is not None:
        part_of(config.part)
    found = loose_photos(config.images)
    if stream := found.stream:
        photos, above = [], stream.root  # the folder to which photos are named
    else:
        photos, above = found.files, found.folder.absolute()
    if config.parts is not None:
        check_many(config, len(found.table))
        make_parts("explain", config, out, found.digest)
    import torch

    from fishnet.data.batch_size import EXPLAINED, photos_at_once
    from fishnet.explain.cards import cards_of, named, save_cards
    from fishnet.explain.maps import check_method, read_maps, rows_left, write_maps

    model = load_model(Path(config.checkpoint)).to("cuda" if torch.cuda.is_available() else "cpu")
    check_method(model, config.method)
    side = model.preprocessing.size
    config.batch_size = photos_at_once(config.batch_size, model.device, side, on_cpu=16, a_pixel=EXPLAINED)
    source = stream or source_of_classes(images, photos, model.classes)
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
    work = {
        "model": _digest(model), "preprocessing": sorted(map(repr, model.preprocessing.as_dict().items())),
        "photos": hashlib.sha256(json.dumps(table["sha256"].tolist()).encode()).hexdigest(),
        "method": config.method, "all_classes": config.all_classes, "batch_size": config.batch_size,
    }  # fmt: skip
    if config.part is not None:
        return make_part(model, len(table), batches, config, work)
    how = {"all_classes": config.all_classes, "method": config.method, "about": name_of(work)}
    with whole_alone(out, work, overwrite=config.overwrite) as kept:
        if kept:
            maps = read_maps(out)
        else:
            if parts := parts_in(out):
                log.info("Parts that were begun in %s: %s.", out, few_of(parts, 8))
            left = rows_left(out, len(table), how["about"], config.batch_size)
            maps = write_maps(model, with_bar(batches, left, config), table, out, rows=left, **how)
        cards = cards_of(model, maps, views, config.pictures, config.method, root=above)
        save_cards(cards, out / "pictures")
        scores = _scores(maps, known, animals) if config.score else {}
        names = [named(path, above) for path in table["path"]]
        inside = _contents(model, views, names, config) if config.contents else []
        _write_page(config, out, cards, scores, inside)
        (out / UNDERWAY).unlink()
    parts_are_joined(out)
    for score in scores.values():
        interval = " [{:.3f}, {:.3f}]".format(*score.ends) if score.ends else ""
        print(f"{'score':12s}{score.value:.3f}{interval}  chance {score.chance:.3f}  {score.says}")
    log.info("%s: maps of %s, %s", out, counted(len(table), "photo"), counted(len(cards), "picture"))
    print(f"{'page':12s}{out / 'page.html'}", flush=True)
    return {"photos": float(len(table)), "pictures": float(len(cards))} | {
        f"score/{name}": score.value for name, score in scores.items()
    }


def make_part(
    model: "ImageClassifier", photos: int, batches: "BatchesOf", config: DictConfig, work: "Work"
) -> dict[str, float]:
    """The maps of one part, kept in out= until the same command without part= makes files and a page of all of them."""
    from fishnet.data.observations import part_of
    from fishnet.explain.maps import keep_maps, rows_left
    from fishnet.explain.underway import name_of, part_alone, part_name

    part, out = part_of(config.part), Path(config.out).expanduser().absolute()
    how = {"all_classes": config.all_classes, "method": config.method, "about": name_of(work)}
    with part_alone(out, part, work, overwrite=config.overwrite) as whole:
        left = rows_left(out, photos, how["about"], config.batch_size, part)
        if whole:  # the maps are files already, and only the page is missing
            left = left[:0]
        if len(left):
            keep_maps(model, with_bar(batches, left, config), photos, out, part=part_name(part), rows=left, **how)
    log.info(
        "%s: part=%s is there (%s); part= left out, the command joins all parts.",
        out,
        part,
        counted(len(left), "new map"),
    )
    return {"photos": float(len(left))}


def with_bar(batches: "BatchesOf", rows: "np.ndarray", config: DictConfig) -> Iterator[dict]:
    """Batches of these rows, with a bar that tells how many are done."""
    return with_progress(batches(rows) if len(rows) else (), -(-len(rows) // config.batch_size), "explaining")


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
    look = model.preprocessing

    def batches(shown: np.ndarray) -> "Iterator[dict[str, torch.Tensor]]":
        return folder.batches(shown, look, batch_size=config.batch_size, device=model.device)

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
    import numpy as np
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

    def shown(rows: np.ndarray) -> "Iterator[dict[str, torch.Tensor]]":
        for chosen in torch.from_numpy(rows).split(config.batch_size):
            yield {"image": torch.stack([views[row] for row in chosen.tolist()]).permute(0, 3, 1, 2)}

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
