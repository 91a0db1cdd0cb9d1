"""How right are maps of evidence, where it is known which pixels are the animal? Six figures, each beside its chance.

A map may be right without lying on the whole animal, and a network may use what is not the animal: then an honest map
scores low here. The figures compare maps of one network; they do not say what the network should look at.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

MapFunction = Callable[[Tensor], Tensor]  # photos (N × 3 × side × side bytes) → maps (N × h × w, signed)
DRAWS = 2000  # of photos, for intervals
STEP = 32  # photos at once


class Score(NamedTuple):
    """A figure over photos with its 95 % interval, and what a map that knows nothing has; a single photo has no
    interval (NaN)."""

    value: float
    low: float
    high: float
    chance: float
    says: str

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval; None where there is none."""
        return None if np.isnan(self.low) else (self.low, self.high)


def score_maps(map_function: MapFunction, photos: Tensor, masks: Tensor, *, seed: int = 0) -> dict[str, Score]:
    """The figures of any function that makes maps.

    Args:
        map_function: asked for a few photos at a time.
        photos: N × 3 × side × side, bytes.
        masks: N × side × side, 1 on the animal and 0 elsewhere; both kinds in each.
        seed: of the draws for intervals.
    """
    parts = [map_function(photos[start : start + STEP]) for start in range(0, len(photos), STEP)]
    return scores_of(torch.cat(parts), masks, seed=seed)


def scores_of(maps: Tensor, masks: Tensor, *, seed: int = 0) -> dict[str, Score]:
    """The same of maps that are there: N × h × w, signed."""
    rows = [_figures(values.float(), mask.float()) for values, mask in zip(maps, masks, strict=True)]
    share = masks.float().mean(dim=(1, 2)).numpy()
    chances = {
        "pointing": share, "mass": share, "overlap": share / (2 - share), "rank": np.full(len(share), 0.5),
        "cold": np.zeros(len(share)), "outside": np.full(len(share), 0.5),
    }  # fmt: skip
    lots = np.random.default_rng(seed).integers(0, len(rows), (DRAWS, len(rows)))
    scores = {}
    for name, says in FIGURES.items():
        values = np.array([row[name] for row in rows])
        means = values[lots].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975)) if len(rows) > 1 else (np.nan, np.nan)
        scores[name] = Score(float(values.mean()), float(low), float(high), float(np.mean(chances[name])), says)
    return scores


FIGURES = {
    "pointing": "the hottest spot lies on the animal (pointing game)",
    "mass": "share of the positive evidence that lies on the animal",
    "overlap": "intersection over union of the animal and as many of the hottest pixels as it has",
    "rank": "a pixel of the animal is hotter than one beside it (area under the curve)",
    "outside": "the hottest spot beside the animal, as a share of it and the hottest on it (lower is better)",
    "cold": "photos whose map has no positive evidence at all",
}


def _figures(values: Tensor, mask: Tensor) -> dict[str, float]:
    large = interpolate(values[None, None], size=mask.shape, mode="bilinear", align_corners=False)[0, 0]
    warm, on = large.clamp(min=0), mask > 0.5
    if not bool(warm.max() > 0):
        cold = dict.fromkeys(("pointing", "mass", "overlap"), 0.0)
        return {**cold, "rank": 0.5, "outside": 0.5, "cold": 1.0}
    flat, inside = large.flatten(), on.flatten()
    hottest = torch.zeros_like(inside)
    hottest[torch.topk(flat, int(inside.sum())).indices] = True
    ranks = torch.empty_like(flat)
    ranks[flat.argsort()] = torch.arange(1, len(flat) + 1, dtype=flat.dtype)
    own, others = int(inside.sum()), int((~inside).sum())
    ahead = float(ranks[inside].double().sum() - own * (own + 1) / 2) / (own * others)
    beside, on_animal = float(warm[~on].max()), float(warm[on].max())
    return {
        "pointing": float(inside[flat.argmax()]),
        "mass": float(warm[on].sum() / warm.sum()),
        "overlap": float((hottest & inside).sum() / (hottest | inside).sum()),
        "rank": ahead,
        "outside": beside / (beside + on_animal),
        "cold": 0.0,
    }
