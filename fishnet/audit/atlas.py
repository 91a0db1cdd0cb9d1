"""Where a class's evidence lies on average: a map a class over its own audited photos. An illustration, no verdict."""

import functools

import numpy as np
import pandas as pd
import torch
from PIL import Image

from fishnet.explain.additive import is_additive
from fishnet.explain.overlay import reddened, sheet
from fishnet.page.page import Chapter, prose

from . import pictures
from .evidence import Evidence, cell_shares, evidence_of
from .sections import Audited, Section

BORDER = 1 / 8  # of the side, along each edge
CENTRE = 1 / 2  # of the side, in the middle
PALE = 232  # the grey of a cell without evidence

_prose = functools.partial(prose, "fishnet.audit", "prose.html")


def atlas_section(audited: Audited) -> Section | None:
    """A sheet of maps and where their evidence lies; None for networks whose evidence does not add up to logits."""
    if not is_additive(audited.model):
        return None
    measured = audited.measured
    evidence, labels = evidence_of(audited), measured.photos["label"].to_numpy()
    table = atlas_table(evidence, labels, measured.classes)
    tiles = [
        map_tile(
            audited.called.short(name),
            evidence.own[labels == label].mean(axis=0),
            measured.regions.protected[labels == label],
        )
        for label, name in enumerate(measured.classes)
        if (labels == label).any()
    ]
    chapter = Chapter("Where the evidence lies")
    chapter.add_figure(pictures.address(sheet(tiles, columns=6)), _prose().atlas())
    shares = ["border", "centre", "protected"]
    rows = [
        [
            audited.called.full(row["class"]),
            row["photos"],
            *(f"{row[name]:.0%} ({row[f'{name}_area']:.0%})" for name in shares),
        ]
        for row in table.to_dict("records")
    ]
    header = ["class", "photos", "at the border", "in the middle", "in the animal's region"]
    chapter.add_table(header, rows, numeric=range(1, 5), folded="shares of the evidence, and of the area")
    return Section(chapter, {"atlas": table}, {"audit/outside_share": 1 - float(table["protected"].mean())})


def map_tile(name: str, values: np.ndarray, protected: torch.Tensor) -> Image.Image:
    """A class's mean map in red, with the outline of where its animal is in at least half of the photos."""
    side = protected.shape[-1]
    pale = np.full((side, side, 3), PALE, np.uint8)
    return pictures.tile(reddened(pale, values)[0], name, protected.mean(dim=0).numpy() >= 0.5)


def atlas_table(evidence: Evidence, labels: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """A row a class: the mean evidence of its own photos in all (without the constant), and which share of what speaks
    for the class lies at the border, in the middle and inside the animal's region, beside their shares of the area."""
    cells = evidence.own.shape[1:]
    regions = {"border": 1 - middle(1 - 2 * BORDER, *cells), "centre": middle(CENTRE, *cells)}
    rows = []
    for label, name in enumerate(classes):
        own = np.maximum(evidence.own[labels == label], 0)
        if not len(own):
            continue
        row = {"class": name, "photos": len(own), "evidence": evidence.own[labels == label].sum(axis=(1, 2)).mean()}
        for region, inside in {**regions, "protected": evidence.inside[labels == label]}.items():
            row[region] = (own * inside).sum() / max(own.sum(), 1e-12)
            row[f"{region}_area"] = inside.mean()
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def middle(share: float, rows: int, columns: int) -> np.ndarray:
    """How much of each cell lies in a central square with this share of the side."""
    fine = torch.linspace(-1, 1, 32 * max(rows, columns)).abs() <= share
    return cell_shares((fine[:, None] & fine)[None], torch.empty(rows, columns))[0].numpy()
