"""Two crops to look at, for every class: a cue on the animal is seen by a person, if shown the right part of a photo.

A hand or a tag on the animal cannot be told from it by labels, and the exchange leaves it alone. So the page shows what
is most the class's own in what the model has learned, in the photos where it is strongest, and there the patch that it
rests on. No verdict is given.
"""

import functools
from itertools import pairwise, product

import numpy as np
import pandas as pd
import torch

from fishnet.explain.additive import is_additive, last_maps
from fishnet.models.backbones import single_head
from fishnet.models.interface import Classifier
from fishnet.page.page import Chapter, prose
from fishnet.text import counted

from . import pictures
from .directions import Factors, directions_of, ranked, spread_over, strongest_photos, traits
from .evidence import cell_shares
from .kinds import blurred
from .sections import MANY, Audited, Section

OTHERS = 120  # photos of other classes in which a direction should be missing
SHOWN = 2  # directions of a class on the page
CROPS = 6  # photos of each of them
PATCHES = 6  # a side, blurred away in turn: at 12 a cue hardly changes by the loss of one

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def crops_section(audited: Audited) -> Section:
    """A sheet of crops for each class and each of its first directions; all directions are in the table.

    Of many classes those that rest on something are open, and the others folded. Left out are classes of fewer photos
    than a sheet shows, and those for which no channel can speak.
    """
    chapter, folded = Chapter("Two crops to look at"), Chapter()
    if not is_additive(audited.model):
        chapter.add_text(_prose().no_directions())
        return Section(chapter)
    chapter.add_text(_prose().directions(), style="boxed")
    names = audited.measured.classes
    opened = names if len(names) <= MANY else [verdict.name for verdict in audited.found if verdict.word == "shortcut"]
    labels, tables = audited.measured.photos["label"].to_numpy(), []
    reference = spread_over(labels, OTHERS)
    elsewhere = cells_of(audited, reference)[0]
    for label, name in enumerate(names):
        own, others = np.flatnonzero(labels == label), elsewhere[labels[reference] != label]
        if len(own) < CROPS or not len(others) or head_weight(audited, label).max() <= 0:
            continue
        table, sheets = of_class(audited, label, own, others)
        tables.append(table)
        called, of_name = audited.called.full(name), Chapter()
        for place, sheet in enumerate(sheets):
            of_name.add_figure(sheet, _prose().crops_caption(called, place + 1, table.iloc[place].to_dict()))
        if name in opened:
            chapter.add_heading(called)
            chapter.blocks += of_name.blocks
        else:
            folded.add_details(called, of_name)
    if not tables:
        return Section()
    if folded.blocks:
        words = counted(len(folded.blocks), "class that was", "classes that were")
        chapter.add_details(f"{words} not found to rest on anything else", folded)
    return Section(chapter, {"directions": pd.concat(tables, ignore_index=True)})


def of_class(audited: Audited, label: int, own: np.ndarray, elsewhere: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    """A row for each direction of a class, in the order of their ranks, and addresses of sheets of the first ones.

    Args:
        audited: the model and its photos.
        label: of the class.
        own: positions of its photos.
        elsewhere: last maps of photos of other classes.
    """
    cells, inside = cells_of(audited, own)
    found = directions_of(cells, elsewhere, head_weight(audited, label), audited.seed)
    table = ranked(traits(found, inside))
    photos, numbers = audited.measured.photos.iloc[own], table["direction"].tolist()
    strongest = [strongest_photos(found.own[number], photos["group"].to_numpy(), CROPS) for number in numbers]
    table.insert(0, "class", audited.measured.classes[label])
    table["photos"] = ["; ".join(photos["path"].iloc[chosen]) for chosen in strongest]
    sheets = []
    for number, chosen in zip(numbers[:SHOWN], strongest, strict=False):
        images = audited.views_of(own[chosen].tolist()).pixels
        sheets.append(crops_sheet(images, losses(audited.model, found.factors, number, images)))
    return table, sheets


def head_weight(audited: Audited, label: int) -> np.ndarray:
    """What each channel of the last maps adds to the class's logit."""
    head = single_head(audited.model.network)
    assert head is not None
    return head.weight[label].detach().float().cpu().numpy()


def cells_of(audited: Audited, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last maps of photos (n, channels, rows, columns), and the share of each cell inside the animal's region."""
    maps, inside = [], []
    for part in torch.from_numpy(positions).split(audited.batch_size):
        views = audited.views_of(part.tolist())
        maps.append(last_maps(audited.model, views.pixels).cpu())
        inside.append(cell_shares(views.protected[:, 0].cpu(), maps[-1]))
    return torch.cat(maps).numpy(), torch.cat(inside).numpy()


def losses(model: Classifier, factors: Factors, number: int, images: torch.Tensor) -> np.ndarray:
    """(n, PATCHES, PATCHES): how much of a direction is lost in each photo when a patch of it is blurred away.

    A cell of the last maps has seen a large part of the photo; this says which part it was.
    """
    spans = [slice(*ends) for ends in pairwise(np.linspace(0, images.shape[-1], PATCHES + 1).round().astype(int))]
    lost = []
    for image, smooth in zip(images, blurred(images, images.shape[-1] / 8), strict=True):
        shown = image.repeat(PATCHES**2 + 1, 1, 1, 1)
        for photo, (rows, columns) in zip(shown, product(spans, spans), strict=False):
            photo[:, rows, columns] = smooth[:, rows, columns]
        present = factors.evidence(last_maps(model, shown).cpu().numpy())[number].sum(axis=(1, 2))
        lost.append((present[-1] - present[:-1]).reshape(PATCHES, PATCHES))
    return np.stack(lost)


def crop_box(lost: np.ndarray, side: int) -> tuple[slice, slice]:
    """Rows and columns, in pixels of a photo, of twice the size of the patch that counts most and around it."""
    spans = []
    for position, count in zip(np.unravel_index(int(lost.argmax()), lost.shape), lost.shape, strict=True):
        size = round(2 * side / count)
        low = round((position + 0.5) * side / count - size / 2)
        low = min(max(low, 0), side - size)
        spans.append(slice(low, low + size))
    return spans[0], spans[1]


def crops_sheet(images: torch.Tensor, lost: np.ndarray) -> str:
    """Address of a sheet: photos with the crop outlined, and the crops below, with what their middle is worth."""
    photos = [pictures.as_bytes(image) for image in images]
    boxes = [crop_box(of_photo, len(photo)) for photo, of_photo in zip(photos, lost, strict=True)]
    return pictures.crops_sheet(photos, boxes, [f"−{of_photo.max():.2f}" for of_photo in lost])
