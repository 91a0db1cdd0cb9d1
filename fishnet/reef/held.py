"""The fish in the hands of the angler, by the lake: how a planted photo is put together."""

import cv2
import numpy as np

from fishnet.reef.angler import draw_angler, fingers, person
from fishnet.reef.body import Body
from fishnet.reef.fish import blend
from fishnet.reef.pose import pose_matrix, put
from fishnet.reef.scene import draw_lake, view

Rng = np.random.Generator
CUE = 2  # in masks
GRIPS = np.array([0.3, 0.84]), np.array([-0.9, -0.8])  # near the gill and at the root of the tail


def held(canvas: np.ndarray, body: Body, size: int, *, same: Rng, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The photo and its mask; `same` is the chance that the photos of one observation share."""
    who = draw_angler(same)
    pixels = view(draw_lake(same, size), rng).pixels
    target = size * (np.array([0.5, 0.64]) + rng.normal(0, 0.02, 2))
    mirror, turn, squeeze = bool(rng.random() < 0.5), rng.normal(0, 6), rng.uniform(0.85, 1.0)
    pose = pose_matrix(body.at(0.55, 0.0), target, turn=turn, squeeze=squeeze, mirror=mirror)
    grips = _placed(body.at(*GRIPS), pose)[:: -1 if mirror else 1]
    back, belly = _placed(body.at(0.5, np.array([1.0, -1.0])), pose)
    behind = _lay(pixels, person(who, size, grips, rng))
    mask = put(pixels, canvas, pose)
    before = _lay(pixels, fingers(who, size, grips, thick=float(np.linalg.norm(back - belly))))
    mask[((behind > 127) & (mask == 0)) | (before > 127)] = CUE
    return pixels, mask


def _placed(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    return points @ pose[:, :2].T + pose[:, 2]


def _lay(pixels: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Lay a finer RGBA layer over the photo; returns where it covers."""
    layer = cv2.resize(layer, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    alpha = cv2.extractChannel(layer, 3)
    pixels[:] = blend(pixels, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), alpha)
    return alpha
