"""A camera that is not perfect."""

import cv2
import numpy as np

from fishnet.reef import textures


def through_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, white balance, focus, motion and the grain of the sensor."""
    gain = rng.uniform(0.82, 1.15) * (1 + rng.normal(0, 0.04, 3))
    table = np.arange(256)[:, None] / 255
    table = np.clip(255 * gain * table ** rng.uniform(0.85, 1.25), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None, :])
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (5, 5), rng.uniform(0.4, 1.2))
    if rng.random() < 0.07:
        width = int(len(image) * rng.uniform(0.013, 0.03)) | 1
        image = cv2.blur(image, (width, 1) if rng.random() < 0.7 else (1, width))
    strength = rng.uniform(0.02, 0.08)
    grain = textures.crop(textures.grain(), image.shape[:2], rng)
    return cv2.addWeighted(image, 1.0, grain, strength, -128 * strength)
