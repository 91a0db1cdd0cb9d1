"""What the evidence for a class is made of: a few directions, ranked by how much they are the class's own.

The evidence, cell by cell and channel by channel, is taken apart by non-negative matrix factorisation. Directions that
speak for the class and for no other come first: the animal's own marks, and whatever is only ever seen with it.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import entropy, skew
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

DIRECTIONS = 8  # of a class
UPPER = 0.75  # quantile of presence by which directions are ranked
ABSENT = 0.1  # of what it is in the photos that are full of it, below which a direction is missing in a photo


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
        coefficients = self.model.transform(speaking_for(self.weight, maps) / self.scale).astype(float)
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


def strongest_photos(cells: np.ndarray, groups: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most so many photos with the strongest cells of a direction; a second photo of a group only if
    there are too few groups, for photos of a group look alike."""
    order = np.argsort(-cells.max(axis=(1, 2)), kind="stable")
    turns = pd.Series(groups[order]).groupby(groups[order]).cumcount().to_numpy()
    return order[np.argsort(turns, kind="stable")][:most]
