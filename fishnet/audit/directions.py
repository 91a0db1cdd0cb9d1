"""Two crops to look at, for every class: what the model has learned of it that is most its own.

A cue on the animal itself, such as a hand or a tag, cannot be told from the animal by labels, and is not seen by the
exchange. A person sees it at once, if shown the right crop. The evidence for a class, cell by cell and channel by
channel, is taken apart into a few directions (non-negative matrix factorisation), and those are shown first that speak
for the class and for no other: a cue that no other class has is one of them more often than not. No verdict is given.
"""

import functools
import warnings
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pandas as pd
import torch
from scipy.stats import entropy, skew
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from fishnet.explain.additive import is_additive, last_maps
from fishnet.models.backbones import single_head
from fishnet.models.interface import Classifier
from fishnet.page.page import Chapter, prose

from . import pictures
from .evidence import cell_shares
from .kinds import blurred
from .sections import Audited, Section

DIRECTIONS = 8  # of a class
OTHERS = 120  # photos of other classes in which a direction should be missing
SHOWN = 2  # directions of a class on the page
CROPS = 6  # photos of each of them
PATCHES = 6  # a side, blurred away in turn: at 12 a cue hardly changes by the loss of one
UPPER = 0.75  # quantile of presence by which directions are ranked
ABSENT = 0.1  # of what it is in the photos that are full of it, below which a direction is missing in a photo

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


@dataclass(frozen=True)
class Factors:
    """A class's evidence taken apart.

    Args:
        weight: what each channel of the last maps adds to the class's logit.
        model: the factorisation of evidence (cells, channels that speak for the class).
        scale: that evidence is divided by first, for the factorisation stops by absolute changes.
    """

    weight: np.ndarray
    model: NMF
    scale: float

    def evidence(self, maps: np.ndarray) -> np.ndarray:
        """(directions, n, rows, columns), what each adds to the class's logit in each cell of last maps."""
        coefficients = self.model.transform(speaking_for(self.weight, maps) / self.scale)
        logits = coefficients * self.model.components_.sum(axis=1) * self.scale
        return logits.reshape(len(maps), *maps.shape[2:], -1).transpose(3, 0, 1, 2)


@dataclass(frozen=True)
class Directions:
    """What the evidence for a class is made of.

    Args:
        factors: by which it is taken apart.
        own: (directions, n, rows, columns), what each adds to the class's logit in each cell of the class's photos.
        others: (directions, m), what it would add to the logit in photos of other classes, as a sum over cells.
    """

    factors: Factors
    own: np.ndarray
    others: np.ndarray

    @property
    def presence(self) -> np.ndarray:
        """(directions, n), what each adds to the class's logit in each of the class's photos."""
        return self.own.sum(axis=(2, 3))


def directions_section(audited: Audited) -> Section:
    """A sheet of crops for each class and each of its first directions; all directions are in the table.

    Left out are classes of fewer photos than a sheet shows, and those for which no channel can speak.
    """
    chapter = Chapter("Two crops to look at")
    if not is_additive(audited.model):
        chapter.add_text(_prose().no_directions())
        return Section(chapter)
    chapter.add_text(_prose().directions(), style="boxed")
    labels, tables = audited.measured.photos["label"].to_numpy(), []
    reference = spread_over(labels, OTHERS)
    elsewhere = cells_of(audited, reference)[0]
    for label, name in enumerate(audited.measured.classes):
        own, others = np.flatnonzero(labels == label), elsewhere[labels[reference] != label]
        if len(own) < CROPS or not len(others) or head_weight(audited, label).max() <= 0:
            continue
        table, sheets = of_class(audited, label, own, others)
        tables.append(table)
        chapter.add_heading(name)
        for place, sheet in enumerate(sheets):
            chapter.add_figure(sheet, _prose().crops_caption(name, place + 1, table.iloc[place].to_dict()))
    if not tables:
        return Section()
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
    strongest = [strongest_photos(found.own[number], photos["group"].to_numpy()) for number in numbers]
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


def spread_over(labels: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most so many photos, as many of each class as there are."""
    turns = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    return np.sort(np.lexsort((labels, turns))[:most])


def directions_of(own: np.ndarray, others: np.ndarray, weight: np.ndarray, seed: int) -> Directions:
    """Take the evidence for a class apart.

    Args:
        own: last maps of the class's photos, (n, channels, rows, columns).
        others: of photos of other classes.
        weight: what each channel adds to the class's logit.
        seed: of the factorisation.
    """
    taught = speaking_for(weight, own)
    scale = max(float(taught.mean()), 1e-12)
    count = min(DIRECTIONS, *taught.shape)
    model = NMF(count, init="nndsvda", tol=1e-3, max_iter=300, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what still moves a little shows the same crops
        model.fit(taught / scale)
    factors = Factors(weight, model, scale)
    return Directions(factors, factors.evidence(own), factors.evidence(others).sum(axis=(2, 3)))


def speaking_for(weight: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """(cells, channels): what each cell of last maps adds to the logit by channels that can speak for the class."""
    positive = weight > 0
    rows = maps[:, positive].transpose(0, 2, 3, 1).reshape(-1, int(positive.sum()))
    return np.maximum(rows * weight[positive] / (maps.shape[2] * maps.shape[3]), 0).astype(np.float32)


def traits(found: Directions, inside: np.ndarray) -> pd.DataFrame:
    """A row a direction, by which they can be ranked.

    `gap`: how far its presence in the class's photos lies above that in others', in standard deviations; `upper_gap`:
    the same of their upper quartiles, which are there also where only a half of the photos carries a cue; `exclusive`:
    the share of its presence that is the class's; `skew` of its presence in the class's photos; `missing`: the share of
    these in which it is hardly there; `inside`: the share of its evidence inside the animal's region; `radius`: its
    mean distance from the middle, in halves of the side; `scattered`: the entropy of its position, 1 where any cell is
    as likely; `size`: its share of the evidence for the class.

    Args:
        found: the directions.
        inside: (n, rows, columns), the share of each cell inside the animal's region.
    """
    rows, columns = inside.shape[1:]
    down, across = ((np.arange(count) + 0.5) / count * 2 - 1 for count in (rows, columns))
    radius, total, lines = np.hypot(down[:, None], across), max(found.own.sum(), 1e-12), []
    for number, (cells, own, others) in enumerate(zip(found.own, found.presence, found.others, strict=True)):
        mean = cells.mean(axis=0) / max(cells.mean(axis=0).sum(), 1e-12)
        spread = max(np.sqrt((own.var() + others.var()) / 2), 1e-12)
        lines.append(
            {
                "direction": number, "gap": (own.mean() - others.mean()) / spread,
                "upper_gap": (np.quantile(own, UPPER) - np.quantile(others, UPPER)) / spread,
                "exclusive": own.mean() / max(own.mean() + others.mean(), 1e-12),
                "skew": float(skew(own)) if own.std() > 1e-9 else 0.0,
                "missing": float((own < ABSENT * np.quantile(own, 0.95)).mean()),
                "inside": (cells * inside).sum() / max(cells.sum(), 1e-12), "radius": float((mean * radius).sum()),
                "scattered": float(entropy(mean.ravel()) / np.log(mean.size)) if mean.size > 1 else 1.0,
                "size": cells.sum() / total,
            }
        )  # fmt: skip
    return pd.DataFrame(lines)


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """By the gap of their upper quartiles, the widest first, with their `rank` from 1 on; figures rounded.

    Of the bench's cues by which this was chosen (experiments/planted_cues) it puts the direction that tells best which
    photos carry the cue among the first two more often than the gap of the means does.
    """
    table = table.sort_values("upper_gap", ascending=False, kind="stable", ignore_index=True).round(4)
    table.insert(1, "rank", np.arange(1, len(table) + 1))
    return table


def strongest_photos(cells: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Positions of the photos with the strongest cells of a direction; a second photo of a group only if there are too
    few groups, for photos of a group look alike."""
    order = np.argsort(-cells.max(axis=(1, 2)), kind="stable")
    turns = pd.Series(groups[order]).groupby(groups[order]).cumcount().to_numpy()
    return order[np.argsort(turns, kind="stable")][:CROPS]


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
