"""Blind probes on drawn folders: how often they name a class where nothing is planted, and where something is.

    python -m experiments.planted_cues.probes clean   --csv probes.csv --folders 100
    python -m experiments.planted_cues.probes planted --csv probes.csv --folders 24
    python -m experiments.planted_cues.probes noise   --csv probes.csv --folders 60
    python -m experiments.planted_cues.probes fits    --csv probes.csv --folders 6

A folder is 6 species × 60 photos of 96 pixels, each of another seed from FIRST_SEED on; the alarm's rule was set on
seeds below 100. `planted` draws a cue into half of a class. `noise` is the certificate: labels of clean folders are
permuted between observations, and the rivals' formulas (`rivals.py`) are asked beside our probes. `fits` compares the
closed form with logistic regression and boosted trees, in bits and in seconds. A row for each folder and checker is
added to the table, and a summary is printed.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fishnet.audit.information import usable_information
from fishnet.audit.probes import LOOKS, Probe, standing_out
from fishnet.audit.surroundings import outside_ellipse
from fishnet.reef.drawing import drawn_photos
from fishnet.reef.make import JPEG
from fishnet.reef.settings import Settings

from . import rivals
from .cases import FIRST_SEED

PHOTOS, SIDE = 60, 96
CUES = ("border", "tint", "watermark", "vignette", "blur", "background", "jpeg", "angler", "float")
SEES_NOTHING = [(probe, look) for probe, look in LOOKS if not probe.sees_animal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--csv", type=Path, required=True, help="rows are added to this table")
    parser.add_argument("--folders", type=int, default=24)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.folders)
    rows = pd.DataFrame([row for seed in seeds for row in PARTS[chosen.part](seed)])
    rows.insert(0, "part", chosen.part)
    rows.to_csv(chosen.csv, mode="a", header=not chosen.csv.exists(), index=False, float_format="%.4f")
    shown = [name for name in ("alarm", "right", "bits", "figure", "seconds") if rows[name].notna().any()]
    print(rows.groupby(["cue", "checker"], sort=False)[shown].mean().round(3).to_string())


class Drawn:
    """A folder in memory, as its files would be read: pixels, labels, observations and what its manifest says."""

    def __init__(self, seed: int, plant: dict | None = None) -> None:
        settings = Settings(photos=PHOTOS, size=SIDE, seed=seed, plant=plant)
        self.names = [kind.name for kind in settings.kinds]
        photos = [*drawn_photos(settings)]
        entries = [entry for entry, _ in photos]
        self.pixels = np.stack([packed(photo.pixels) for _, photo in photos])
        self.label = np.array([self.names.index(entry.kind.name) for entry in entries])
        self.group = self.label + len(self.names) * np.array([entry.observation.number for entry in entries])
        seen = [entry.observation for entry in entries]
        self.words = {
            "observer": np.array([each.observer for each in seen], object),
            "place": np.array([f"{each.lat:.0f} {each.lon:.0f}" for each in seen], object),
            "month": np.array([each.taken_on[5:7] for each in seen], object),
        }

    def values(self, probes: list = SEES_NOTHING) -> Iterator[tuple[Probe, np.ndarray]]:
        free = outside_ellipse()
        for probe, look in probes:
            yield probe, np.stack([look(photo, free) for photo in self.pixels])
        yield from ((Probe(name, "B"), words) for name, words in self.words.items())

    def shuffled(self, seed: int) -> np.ndarray:
        """Labels permuted between observations."""
        groups, number = np.unique(self.group, return_inverse=True)
        return np.random.default_rng(seed).permutation(groups % len(self.names))[number]


def packed(pixels: np.ndarray) -> np.ndarray:
    """As the reef's JPEG files are read."""
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels[:, :, ::-1], JPEG)[1], cv2.IMREAD_COLOR))[:, :, ::-1]


def row(cue: str, seed: int, checker: str, **figures: object) -> dict:
    empty = dict.fromkeys(("alarm", "right", "bits", "likeness", "figure", "seconds"))
    return {"cue": cue, "seed": seed, "checker": checker, **empty, **figures}


def asked(
    folder: Drawn, label: np.ndarray, cue: str, seed: int, probes: list, planted: int | None = None
) -> Iterator[dict]:
    """A row a probe; `right` is whether the class that carries the cue is the first that is named."""
    for probe, values in folder.values(probes):
        told = usable_information(values, label, folder.group)
        named = standing_out(told)
        first = int(np.where(named, told.class_bits, -np.inf).argmax()) if named.any() else None
        right = None if planted is None else first == planted
        bits = told.class_bits[planted] if planted is not None else told.bits
        yield row(cue, seed, probe.name, alarm=named.any(), right=right, bits=bits, likeness=told.likeness.min())


def clean(seed: int) -> Iterator[dict]:
    folder = Drawn(seed)
    yield from asked(folder, folder.label, "none", seed, [*LOOKS])


def planted(seed: int) -> Iterator[dict]:
    for cue in CUES:
        number = seed % 6
        name = Settings().kinds[number].name
        folder = Drawn(seed, {"cue": cue, "class": name, "share": 0.5})
        yield from asked(folder, folder.label, cue, seed, SEES_NOTHING, number)


def noise(seed: int) -> Iterator[dict]:
    """Six classes, and the first of them against the others, as ShortKit-ML's probe needs two groups."""
    folder = Drawn(seed)
    label = folder.shuffled(seed)
    yield from asked(folder, label, "permuted labels", seed, SEES_NOTHING)
    thumbnails = np.stack([cv2.resize(photo, (8, 8), interpolation=cv2.INTER_AREA).ravel() for photo in folder.pixels])
    values = StandardScaler().fit_transform(thumbnails.astype(float))
    sure = cross_val_predict(LogisticRegression(max_iter=1000), values, label, cv=5, method="predict_proba")
    issues = rivals.label_issues(label, sure)
    powers = [rivals.predictive_power(each, label) for each in rivals.properties(folder.pixels).values()]
    cue = "permuted labels"
    yield row(cue, seed, "cleanlab, class imbalance", alarm=rivals.is_imbalanced(label))
    yield row(cue, seed, "cleanlab, label issues", alarm=issues > 0, figure=issues / len(label))
    yield from (
        row(cue, seed, f"deepchecks, any of 5 properties above {least}", alarm=max(powers) >= least, figure=max(powers))
        for least in (0.1, 0.5)
    )
    for name, one in (("one class of six", label == 0), ("the five others", label != 0)):
        score = rivals.probe_f1(values, one)
        yield row(cue, seed, f"ShortKit-ML, coded 1: {name}", alarm=score > 0.7, figure=score)


def fits(seed: int) -> Iterator[dict]:
    """Bits and balanced accuracy (`figure`) by three classifiers on the same values; copies are timed too for ours."""
    for cue in ("none", "border", "watermark", "vignette"):
        plant = None if cue == "none" else {"cue": cue, "class": Settings().kinds[seed % 6].name, "share": 0.5}
        folder = Drawn(seed, plant)
        for probe, values in folder.values([*LOOKS]):
            if values.dtype == object:
                continue
            begun = time.perf_counter()
            told = usable_information(values, folder.label, folder.group)
            spent = time.perf_counter() - begun
            yield row(
                cue, seed, f"{probe.name}, ours and 199 copies", bits=told.bits, figure=told.accuracy, seconds=spent
            )
            for name, model in models().items():
                begun = time.perf_counter()
                bits, accuracy = fitted(model, values, folder)
                spent = time.perf_counter() - begun
                yield row(cue, seed, f"{probe.name}, {name}", bits=bits, figure=accuracy, seconds=spent)


def models() -> dict[str, object]:
    linear = LogisticRegression(C=0.03, class_weight="balanced", max_iter=300)
    trees = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=6, learning_rate=0.05, l2_regularization=5, class_weight="balanced", random_state=0
    )
    return {"logistic regression": make_pipeline(StandardScaler(), linear), "boosted trees": trees}


def fitted(model: object, values: np.ndarray, folder: Drawn) -> tuple[float, float]:
    """Bits a photo and balanced accuracy; the classes are even."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    sure = cross_val_predict(model, values, folder.label, groups=folder.group, cv=folds, method="predict_proba")
    own = sure[np.arange(len(sure)), folder.label]
    bits = np.log2(np.maximum(own, 1e-6) * len(folder.names)).mean()
    return float(bits), float((sure.argmax(axis=1) == folder.label).mean())


PARTS = {"clean": clean, "planted": planted, "noise": noise, "fits": fits}

if __name__ == "__main__":
    main()
