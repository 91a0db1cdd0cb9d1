"""Tetrominoes of 8 × 8 pixels, whose important pixels are known, re-drawn after XAI-TRIS (Clark et al. 2023).

    python -m experiments.maps.tetrominoes --csv tetrominoes.csv

Two classes, told apart by a T and an L: added at fixed places (linear), multiplied with the noise (multiplicative), at
any place and turn (rigid), or by whether both have the same sign (xor); the ground is white noise or smoothed. Maps of
the house's small network beside pytorch-grad-cam's, Captum's and two filters that know nothing, by two measures: which
share of the n highest pixels is among the n true ones, and 1 - the earth mover's distance of map and truth.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance_nd
from torch import Tensor

from experiments.planted_cues.bench import append
from experiments.planted_cues.training import fitted
from fishnet import ImageClassifier

from .methods import all_maps, methods

SIDE, TRAIN, TEST, MEASURED = 8, 4000, 600, 60
T = np.array([[1, 1, 1], [0, 1, 0]])
L = np.array([[1, 0], [1, 0], [1, 1]])
# how strong the signal is beside the noise: a network is right on 80 % or more
STRENGTH = {
    ("linear", "white"): 0.35, ("linear", "smooth"): 0.2, ("multiplicative", "white"): 0.85,
    ("multiplicative", "smooth"): 0.85, ("rigid", "white"): 0.7, ("rigid", "smooth"): 0.5,
    ("xor", "white"): 0.5, ("xor", "smooth"): 0.35,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--only", help="one scenario")
    chosen = parser.parse_args()
    for scenario, ground in STRENGTH:
        if chosen.only in (None, scenario):
            for row in rows_of(scenario, ground):
                append(chosen.csv, [row])
                print(row, flush=True)


def rows_of(scenario: str, ground: str) -> Iterator[dict]:
    """A row a method."""
    rng = np.random.default_rng(0)
    images, truth, labels = drawn(scenario, ground, TRAIN + TEST, rng)
    torch.manual_seed(0)
    arguments = {"filters": [32, 64], "pool": "none", "dense": 64 if scenario == "xor" else 0}
    arguments["grid"] = 4 if scenario == "xor" else 1
    model = ImageClassifier(classes=["T", "L"], backbone="cnn", backbone_args=arguments, image_size=SIDE)
    fitted(
        model, images[:TRAIN], torch.from_numpy(labels[:TRAIN]), lambda batch: batch, epochs=12, rate=0.004,
        batch_size=64,
    )  # fmt: skip
    with torch.no_grad():
        answers = model(images[TRAIN:]).argmax(dim=1)
    accuracy = float((answers.numpy() == labels[TRAIN:]).mean())
    right = np.flatnonzero(answers.numpy() == labels[TRAIN:])[:MEASURED]
    photos, masks = images[TRAIN:][right], truth[TRAIN:][right]
    for name, method in chosen_methods(model).items():
        maps = all_maps(method, photos, answers[right])[0].numpy()
        maps = np.abs(maps) if name.startswith("Captum") else np.maximum(maps, 0)
        found = [precision(own, mask) for own, mask in zip(maps, masks, strict=True)]
        moved = [1 - earth_moved(own, mask) for own, mask in zip(maps, masks, strict=True)]
        about = {"scenario": scenario, "ground": ground, "accuracy": accuracy, "method": name}
        error = 1.96 / np.sqrt(len(found))
        yield about | {
            "precision": float(np.mean(found)), "precision_half": float(np.std(found) * error),
            "1 - EMD": float(np.mean(moved)), "1 - EMD_half": float(np.std(moved) * error),
        }  # fmt: skip


def chosen_methods(model: ImageClassifier) -> dict:
    """Without what needs an earlier stage, which these networks of one size do not have."""
    every = methods(model, slow=True)
    return {name: method for name, method in every.items() if "Layer-CAM, a stage" not in name}


def drawn(scenario: str, ground: str, count: int, rng: np.random.Generator) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Images as bytes, the pixels that matter, and classes."""
    images, truth, labels = (
        np.zeros((count, SIDE, SIDE)),
        np.zeros((count, SIDE, SIDE), bool),
        rng.integers(0, 2, count),
    )
    strength = STRENGTH[scenario, ground]
    for number, label in enumerate(labels):
        pattern = patterns(scenario, int(label), rng)
        noise = rng.normal(size=(SIDE, SIDE))
        noise = gaussian_filter(noise, 1.5) if ground == "smooth" else noise
        noise /= np.linalg.norm(noise)
        signal = pattern / np.linalg.norm(pattern)
        truth[number] = pattern != 0
        if scenario == "multiplicative":
            images[number] = noise * (1 - strength * (pattern != 0))
        else:
            images[number] = strength * signal + (1 - strength) * noise
    scaled = 127.5 + 127.5 * images / np.quantile(np.abs(images), 0.998)
    pixels = np.clip(scaled, 0, 255).round().astype(np.uint8)
    return torch.from_numpy(np.repeat(pixels[:, None], 3, axis=1)), truth, labels


def patterns(scenario: str, label: int, rng: np.random.Generator) -> np.ndarray:
    """The signal: 0 where nothing lies, else its sign."""
    canvas = np.zeros((SIDE, SIDE))
    if scenario == "xor":
        first = 1 if rng.random() < 0.5 else -1
        canvas[1:3, 1:4] += first * T
        canvas[4:7, 4:6] += (first if label == 0 else -first) * L
        return canvas
    shape = (T, L)[label]
    if scenario == "rigid":
        shape = np.rot90(shape, rng.integers(4))
        top, left = (int(rng.integers(SIDE - length + 1)) for length in shape.shape)
    else:
        top, left = ((1, 1), (4, 4))[label]
    canvas[top : top + shape.shape[0], left : left + shape.shape[1]] += shape
    return canvas


def precision(values: np.ndarray, mask: np.ndarray) -> float:
    """Of the highest pixels, as many as are true; equal values are taken by lot."""
    order = np.lexsort((np.random.default_rng(0).random(values.size), -values.ravel()))
    return float(mask.ravel()[order[: mask.sum()]].mean())


PLACES = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1).reshape(-1, 2).astype(float)


def earth_moved(values: np.ndarray, mask: np.ndarray) -> float:
    """How far the map's weight has to go to become the truth, in diagonals; 1 for a map without any."""
    if not values.max() > 0:
        return 1.0
    weights, goal = values.ravel() / values.sum(), mask.ravel() / mask.sum()
    kept = weights > 1e-4
    return wasserstein_distance_nd(PLACES[kept], PLACES[goal > 0], weights[kept], goal[goal > 0]) / np.hypot(7, 7)


if __name__ == "__main__":
    main()
