"""Pairs of files that show one photo: crops, enlargements, other compressions, mirrored or with a caption on them.

Perceptual hashes do not find these (a crop is as far from its photo as any other), features of a network rank them, and
geometry decides: points that both pictures have (SIFT) must lie on one affine map, and where the map lays one picture
over the other they must be alike in every part. Points without likeness are a place or an animal photographed twice:
they are shown to the user and not joined, for all photos of a camera that stands still have points in common.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from fishnet.errors import BadInput
from fishnet.files import replacing
from fishnet.headers import RefusedImage
from fishnet.images import load_image

PAIRS = "same_photo.csv"
NEIGHBOURS = (
    5  # of each photo that are looked at: of crops to half the area, 95 % have their photo among the first five
)
MOST_PAIRS = 2000  # about two minutes
_KEPT = 512  # photos whose points are kept: 200 MB
_SIDE = 512  # pixels, of the longer side
_MIRRORED = 0.8  # cosine from which a mirrored copy is looked for: features hardly notice it
_POINTS = 12  # in common
_ALIKE = 0.5  # correlation of the parts that agree least
_WINDOW, _WORST, _TEXTURE = 65, 15, 4.0  # pixels; percent; grey levels below which a part has nothing to compare
_COLUMNS = ("path_a", "path_b", "sha256_a", "sha256_b", "cosine", "points", "alike")


@dataclass(frozen=True)
class Pair:
    """Rows of two photos, and what speaks for their being one."""

    left: int
    right: int
    cosine: float
    points: int = 0
    alike: float = 0.0

    @property
    def one_photo(self) -> bool:
        return self.points >= _POINTS and self.alike >= _ALIKE

    @property
    def one_scene(self) -> bool:
        return self.points >= _POINTS and not self.one_photo


# ---- which pairs to look at


def nearest_pairs(features: np.ndarray, groups: np.ndarray) -> list[Pair]:
    """Pairs of neighbours that are not in one group, the most similar first, at most `MOST_PAIRS` of them."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosines: dict[tuple[int, int], float] = {}
    for start in range(0, len(unit), 1000):
        near = unit[start : start + 1000] @ unit.T
        near[groups[start : start + 1000, None] == groups[None]] = -1
        count = min(NEIGHBOURS, near.shape[1])
        columns = np.argpartition(-near, count - 1, axis=1)[:, :count]
        for row, others in enumerate(columns.tolist(), start):
            cosines |= {(min(row, k), max(row, k)): float(near[row - start, k]) for k in others}
    ranked = sorted(cosines.items(), key=lambda item: (-item[1], item[0]))
    return [Pair(left, right, cosine) for (left, right), cosine in ranked if cosine > 0][:MOST_PAIRS]


# ---- what two pictures have in common


def compared(pairs: Sequence[Pair], photos: Sequence[Path]) -> Iterator[Pair]:
    """Each pair with its points and likeness; a photo that can no longer be read has none."""
    points_of = lru_cache(maxsize=_KEPT)(lambda row, mirrored: points_in(photos[row], mirrored=mirrored))
    for pair in sorted(pairs, key=lambda pair: (pair.left, pair.right)):  # points of one are used again at once
        points, alike = 0, 0.0
        for mirrored in (False, True) if pair.cosine >= _MIRRORED else (False,):
            try:
                points, alike = common(points_of(pair.left, False), points_of(pair.right, mirrored))
            except RefusedImage:
                break
            if points >= _POINTS:
                break
        yield Pair(pair.left, pair.right, pair.cosine, points, alike)


Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # the grey picture, places of its points, their descriptors


def points_in(photo: Path | bytes, *, mirrored: bool = False) -> Points:
    """The points of a photo at a common size, or of its mirror image."""
    image = load_image(photo, min_side=_SIDE).convert("L")
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    grey = np.asarray(image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC))
    grey = np.ascontiguousarray(grey[:, ::-1]) if mirrored else grey
    keypoints, descriptors = cv2.SIFT_create(nfeatures=1000).detectAndCompute(grey, None)  # type: ignore[attr-defined]
    if not keypoints:
        return grey, np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8)
    return (
        grey,
        np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2),
        np.asarray(descriptors, np.uint8),
    )


def common(left: Points, right: Points) -> tuple[int, float]:
    """How many points lie on one affine map from left to right, and how alike the parts are that agree least."""
    if min(len(left[1]), len(right[1])) < 2:
        return 0, 0.0
    matches = cv2.BFMatcher().knnMatch(left[2], right[2], k=2)
    clear = [first for first, second in matches if first.distance < 0.75 * second.distance]
    if len(clear) < _POINTS // 2:
        return 0, 0.0
    source, target = left[1][[m.queryIdx for m in clear]], right[1][[m.trainIdx for m in clear]]
    affine, fits = cv2.estimateAffine2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=3.0)
    if affine is None:
        return 0, 0.0
    points = len(np.unique(target[fits.ravel() == 1].round(), axis=0))  # many may fall on the same spot by accident
    return points, _alike(left[0], right[0], affine) if points >= _POINTS else 0.0


def _alike(left: np.ndarray, right: np.ndarray, affine: np.ndarray) -> float:
    """The correlation of the parts that agree least, where the map lays the left picture over the right one."""
    size = right.shape[::-1]
    laid = cv2.GaussianBlur(cv2.warpAffine(left, affine, size), (0, 0), 2).astype(np.float32)
    covered = cv2.warpAffine(np.ones(left.shape, np.float32), affine, size)
    plain = cv2.GaussianBlur(right, (0, 0), 2).astype(np.float32)
    mean = _means(covered)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = _means(laid * covered) / mean, _means(plain * covered) / mean
        variance_a = _means(laid * laid * covered) / mean - a * a
        variance_b = _means(plain * plain * covered) / mean - b * b
        correlation = (_means(laid * plain * covered) / mean - a * b) / np.sqrt(variance_a * variance_b)
    textured = (mean > 0.9) & (np.maximum(variance_a, variance_b) > _TEXTURE**2)
    return float(np.percentile(np.nan_to_num(correlation[textured], nan=0.0), _WORST)) if textured.any() else 0.0


def _means(picture: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(picture, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE)


# ---- the pairs on disk


def write_pairs(pairs: Sequence[Pair], table: pd.DataFrame, file: Path) -> None:
    """The pairs that are one photo, so that later commands join them without looking again."""
    paths, digests = table["path"].tolist(), table["sha256"].tolist()
    rows = [
        (
            paths[p.left],
            paths[p.right],
            digests[p.left],
            digests[p.right],
            round(p.cosine, 4),
            p.points,
            round(p.alike, 3),
        )
        for p in pairs
    ]
    with replacing(file) as temporary:
        pd.DataFrame(rows, columns=list(_COLUMNS)).to_csv(temporary, index=False, lineterminator="\n")


def read_pairs(file: Path, table: pd.DataFrame) -> np.ndarray:
    """Rows of the pairs whose photos are in the table, byte for byte; shape N × 2, empty where there is no file."""
    try:
        pairs = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        digests = pairs[["sha256_a", "sha256_b"]]
    except (FileNotFoundError, NotADirectoryError):
        return np.empty((0, 2), np.int64)
    except (KeyError, ValueError, OSError) as error:  # pandas' parser and Unicode errors are ValueErrors
        raise BadInput(f"{file} cannot be read as pairs of photos: delete it, and run fishnet check again.") from error
    row = pd.Series(np.arange(len(table)), table["sha256"]).groupby(level=0).first()
    rows = np.stack([digests[name].map(row).to_numpy(float) for name in digests], axis=1)
    return rows[~np.isnan(rows).any(axis=1)].astype(np.int64)
