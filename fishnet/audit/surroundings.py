"""What a photo shows beside its animal, as short rows of numbers: its border, and what lies outside a protected region.

The region is where the animal may be: the central ellipse, unless a mask says better. All numbers are taken from a
small square copy of the photo, so that the size and the shape of the file are not among them.
"""

from functools import cache

import cv2
import numpy as np

from .regions import ellipse

SIDE = 96  # pixels: a watermark's letters are still seen, a sensor's grain no longer
MARGIN = 5  # pixels, width of the square by which a mask is widened: outlines are never exact
RING = 3  # pixels: frames and the edges of scans are as wide, and the ellipse ends before it
BLURS = (0.7, 1.4, 2.8)  # pixels: bands of sharpness
DARK = 4.0  # grey levels added before a logarithm: the noise of a dark pixel
THUMBNAIL = 8  # pixels, side


def small_copy(image: np.ndarray) -> np.ndarray:
    """The photo as SIDE × SIDE × 3 bytes."""
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@cache
def outside_ellipse() -> np.ndarray:
    """SIDE × SIDE booleans: outside the central ellipse."""
    return ellipse(SIDE).numpy() == 0


def outside_mask(animal: np.ndarray) -> np.ndarray:
    """SIDE × SIDE booleans: outside a mask of the animal (booleans, as high and wide as the photo) and its margin."""
    shrunk = cv2.resize(animal.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.dilate((shrunk > 0).astype(np.uint8), np.ones((MARGIN, MARGIN), np.uint8)) == 0


# ---- rows of numbers: each from a small copy, and where it is free (booleans, at least one of them true)


def border_ring(photo: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Colour and evenness of the four edges, and their step to what lies just inside."""
    rims = [_free_part(photo, free, strip) for strip in _strips(0)]
    colour = np.array([rim.mean(axis=0) for rim in rims])
    spread = np.array([rim.mean(axis=1).std() for rim in rims])
    step = colour - np.array([_free_part(photo, free, strip).mean(axis=0) for strip in _strips(2 * RING)])
    whole = [colour.mean(axis=0), colour.std(axis=0), step.mean(axis=0), np.abs(step).mean(axis=0)]
    return np.concatenate([*whole, [spread.mean(), spread.min(), spread.max()], spread])


def outside_colour(photo: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Lightness and the ratios of red and of blue to green outside the region: their means and spreads."""
    levels = np.log(photo[free].astype(np.float32) + DARK)
    numbers = np.column_stack([levels[:, 1], levels[:, 0] - levels[:, 1], levels[:, 2] - levels[:, 1]])
    return np.concatenate([numbers.mean(axis=0), numbers.std(axis=0)])


def outside_texture(photo: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Light, contrast and fine detail of the four corners, by how much one stands out, and sharpness in three bands."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    both = np.dstack([grey, np.abs(grey - cv2.blur(grey, (3, 3)))])
    halves = slice(0, SIDE // 2), slice(SIDE // 2, SIDE)
    corners = np.array([_corner(_free_part(both, free, (rows, columns))) for rows in halves for columns in halves])
    bands = [np.abs(grey - cv2.GaussianBlur(grey, (0, 0), blur))[free] for blur in BLURS]
    sharpness = np.log1p([measure(band) for band in bands for measure in (np.mean, np.std)])
    stands_out = corners.max(axis=0) - np.median(corners, axis=0)
    return np.concatenate([corners.ravel(), stands_out, corners.mean(axis=0), sharpness])


def grey_thumbnail(photo: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The whole photo, animal and all, as 8 × 8 greys."""
    small = cv2.resize(photo, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel().astype(np.float32)


def colour_thumbnail(photo: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The whole photo, animal and all, as 8 × 8 colours."""
    return cv2.resize(photo, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel().astype(np.float32)


def _strips(start: int) -> list[tuple[slice, slice]]:
    """Top, bottom, left and right: RING pixels wide, `start` pixels from the edge."""
    near, far, all_of_it = slice(start, start + RING), slice(SIDE - start - RING, SIDE - start), slice(None)
    return [(near, all_of_it), (far, all_of_it), (all_of_it, near), (all_of_it, far)]


def _free_part(image: np.ndarray, free: np.ndarray, part: tuple[slice, slice]) -> np.ndarray:
    """The free pixels of a part, a row each; of a part that is all animal, those of the whole photo."""
    pixels = image[part][free[part]]
    return (pixels if len(pixels) else image[free]).astype(np.float32)


def _corner(pixels: np.ndarray) -> list[float]:
    """From greys and their detail (columns): what letters and logos change."""
    (light, detail), brighter = pixels.mean(axis=0), np.percentile(pixels, [90, 95], axis=0)
    outshines = pixels[:, 0].max() - brighter[0, 0]
    return [light, pixels[:, 0].std(), np.log1p(detail), np.log1p(brighter[1, 1]), outshines]
